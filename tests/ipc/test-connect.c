/* test-connect.c: connecting: each errno that the pages name, and waiting for room in the backlog, which holds exactly
 * as many connections as listen () was told, and is asked for room now and then only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-utils.h"

#include <limits.h>
#include <sys/stat.h>

/* What every function that connects says, with a deadline. */
static void
check_errno_until (const char *path, int64_t deadline, int expected)
{
  char mem[DILL_IPC_SIZE];

  test_assert_errno (dill_ipc_connect (path, deadline), expected);
  test_assert_errno (dill_ipc_connect_mem (path, mem, deadline), expected);
  test_assert_errno (dill_ipc_connect_full (path, 0, NULL, deadline), expected);
}

static void
check_errno (const char *path, int expected)
{
  const int64_t deadlines[] = { 0, -1, soon () };
  guint n_fds = test_count_fds ();

  for (guint i = 0; i < G_N_ELEMENTS (deadlines); i++)
    check_errno_until (path, deadlines[i], expected);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
test_errors (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *file = g_build_filename (test->dir, "file", NULL);
  g_autofree char *in_file = g_build_filename (file, "socket", NULL);
  g_autofree char *link = g_build_filename (test->dir, "link", NULL);
  g_autofree char *in_nothing = g_build_filename (test->dir, "nothing", "socket", NULL);
  g_autofree char *dead = g_build_filename (test->dir, "dead", NULL);
  g_autofree char *datagram = g_build_filename (test->dir, "datagram", NULL);
  g_autofree char *long_name = g_strnfill (NAME_MAX + 1, 'n');
  g_autofree char *long_component = g_build_filename (test->dir, long_name, NULL);
  g_autofree char *long_path = g_strnfill (PATH_MAX, '/');
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  char mem[DILL_IPC_SIZE];
  int fd;

  check_errno ("", ENOENT);
  check_errno (test->path, ENOENT);
  check_errno (in_nothing, ENOENT);
  check_errno (test->dir, ECONNREFUSED);

  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  check_errno (file, ECONNREFUSED);
  check_errno (in_file, ENOTDIR);

  g_assert_no_errno (symlink ("link", link));
  check_errno (link, ELOOP);

  close (listen_raw (dead, 1));
  check_errno (dead, ECONNREFUSED);

  fd = test_assert_ok (socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  strcpy (address.sun_path, datagram);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  check_errno (datagram, EPROTOTYPE);
  close (fd);

  check_errno (long_component, ENAMETOOLONG);
  check_errno (long_path, ENAMETOOLONG);
  check_errno (NULL, EINVAL);
  test_assert_errno (dill_ipc_connect_mem (test->path, NULL, soon ()), EINVAL);
  test_assert_errno (dill_ipc_connect_full (test->path, 1u << 31, mem, soon ()), EINVAL);
  test_assert_errno (dill_ipc_connect_full (test->path, DILL_IPC_LISTEN_KEEP_FILE, mem, soon ()), EINVAL);
}

static void
test_no_permission (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int fd;

  if (geteuid () != 0)
    {
      g_test_skip ("only root can become somebody who may not connect");
      return;
    }

  fd = listen_raw (test->path, 1);
  g_assert_no_errno (chmod (test->path, 0777)); /* the directory is closed */
  check_no_permission (check_errno, test->path);
  g_assert_no_errno (chmod (test->path, 0700));
  g_assert_no_errno (chmod (test->dir, 0755)); /* the file is */
  check_no_permission (check_errno, test->path);
  close (fd);
}

static void
test_no_descriptor_left (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int fd = listen_raw (test->path, 5), s;
  FdLimit limit;

  fd_limit_begin (&limit, 0);
  check_errno_until (test->path, 0, EMFILE);
  check_errno_until (test->path, soon (), EMFILE);
  fd_limit_end (&limit);
  s = test_assert_ok (dill_ipc_connect (test->path, soon ()));
  g_assert_no_errno (dill_hclose (s));
  close (fd);
}

static void
test_kernel_errors (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  static const KernelFault faults[] = {
    { SYS_socket, ENFILE },  { SYS_socket, ENOBUFS }, { SYS_socket, ENOMEM }, { SYS_connect, ECONNRESET },
    { SYS_connect, ENOMEM }, { SYS_connect, EPERM },  { SYS_connect, EIO },   { SYS_socket, EAFNOSUPPORT },
  };
  int fd = listen_raw (test->path, 5);

  check_kernel_errors (check_errno, test->path, faults, G_N_ELEMENTS (faults));
  close (fd);
}

static void
test_backlog (TestDir *test, gconstpointer data)
{
  int backlog = (int) GPOINTER_TO_SIZE (data);
  g_autofree int *waiting = g_new (int, backlog);
  int ls = test_assert_ok (dill_ipc_listen (test->path, backlog));
  int64_t start;
  int s;

  for (guint round = 0; round < 2; round++)
    {
      guint n_fds;

      for (int i = 0; i < backlog; i++)
        waiting[i] = test_assert_ok (dill_ipc_connect (test->path, 0));

      n_fds = test_count_fds ();
      check_errno_until (test->path, 0, ETIMEDOUT);
      start = dill_now ();
      test_assert_errno (dill_ipc_connect (test->path, start + 20), ETIMEDOUT);
      g_assert_cmpint (dill_now (), >=, start + 20);
      g_assert_cmpuint (test_count_fds (), ==, n_fds);

      for (int i = 0; i < backlog; i++)
        {
          s = test_assert_ok (dill_ipc_accept (ls, 0));
          g_assert_no_errno (dill_hclose (s));
          g_assert_no_errno (dill_hclose (waiting[i]));
        }
      test_assert_errno (dill_ipc_accept (ls, 0), ETIMEDOUT); /* those that failed left nothing there */
    }
  g_assert_no_errno (dill_hclose (ls));
}

typedef struct
{
  Call call;
  const char *path;
} Connecting;

static void
call_connect (void *data)
{
  Connecting *connecting = data;
  call_done (&connecting->call, dill_ipc_connect (connecting->path, connecting->call.deadline));
}

static void
test_waits_for_room (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 1)), first, s, h;
  Connecting connecting = { .path = test->path, .call.deadline = soon () };

  first = test_assert_ok (dill_ipc_connect (test->path, 0));
  h = test_assert_ok (dill_spawn (call_connect, &connecting));
  g_assert_no_errno (dill_msleep (dill_now () + 20));
  g_assert_false (connecting.call.is_done);
  s = test_assert_ok (dill_ipc_accept (ls, soon ()));
  finish_call (h, &connecting.call);
  g_assert_no_errno (dill_hclose (test_assert_ok ((int) connecting.call.result)));
  g_assert_no_errno (dill_hclose (first));
  g_assert_no_errno (dill_hclose (s));
  g_assert_no_errno (dill_hclose (ls));
}

static guint n_attempts;

int connect (int fd, const struct sockaddr *address, socklen_t length);

/* Counts what the library asks the kernel. */
int
connect (int fd, const struct sockaddr *address, socklen_t length)
{
  n_attempts++;
  return (int) syscall (SYS_connect, fd, address, length);
}

static int longest_pause; /* in milliseconds */

/* The poll function of a context, which notes for how long that is to sleep. */
static int
note_pause (GPollFD *fds, guint n_fds, int milliseconds)
{
  if (milliseconds < 0 || milliseconds > longest_pause)
    longest_pause = milliseconds < 0 ? G_MAXINT : milliseconds;
  return g_poll (fds, n_fds, milliseconds);
}

/* After 1 ms, 2, 4, 8, 16 and 32, then every 50: 18 attempts in 600 ms, fewer only where timers come late. */
static void
test_attempts (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  int ls = test_assert_ok (dill_ipc_listen (test->path, 1)), first;

  g_main_context_set_poll_func (context, note_pause);
  g_main_context_push_thread_default (context);
  first = test_assert_ok (dill_ipc_connect (test->path, 0));
  n_attempts = 0;
  longest_pause = 0;
  test_assert_errno (dill_ipc_connect (test->path, dill_now () + 600), ETIMEDOUT);
  g_assert_cmpint (longest_pause, <=, 51);
  g_assert_cmpuint (n_attempts, >, 1);
  g_assert_cmpuint (n_attempts, <=, 20);
  g_assert_no_errno (dill_hclose (first));
  g_main_context_pop_thread_default (context);
  g_assert_no_errno (dill_hclose (ls));
}

static void
test_room_never_comes (TestDir *test, gconstpointer data)
{
  bool is_canceled = GPOINTER_TO_SIZE (data);
  int ls = test_assert_ok (dill_ipc_listen (test->path, 1)), first, h;
  Connecting connecting = { .path = test->path, .call.deadline = -1 };
  guint n_fds;

  first = test_assert_ok (dill_ipc_connect (test->path, 0));
  n_fds = test_count_fds ();
  h = test_assert_ok (dill_spawn (call_connect, &connecting));
  g_assert_false (connecting.call.is_done);
  if (is_canceled)
    {
      g_assert_no_errno (dill_hclose (h));
      assert_call_errno (connecting.call, ECANCELED);
    }
  else
    {
      g_assert_no_errno (dill_hclose (ls)); /* with its file */
      finish_call (h, &connecting.call);
      assert_call_errno (connecting.call, ENOENT);
    }
  g_assert_cmpuint (test_count_fds (), <=, n_fds);
  g_assert_no_errno (dill_hclose (first));
  if (is_canceled)
    g_assert_no_errno (dill_hclose (ls));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add ("/connect/errors", test_errors);
  test_add ("/connect/no-permission", test_no_permission);
  test_add ("/connect/no-descriptor", test_no_descriptor_left);
  test_add ("/connect/kernel-errors", test_kernel_errors);
  test_add_data ("/connect/backlog/1", GSIZE_TO_POINTER (1), test_backlog);
  test_add_data ("/connect/backlog/2", GSIZE_TO_POINTER (2), test_backlog);
  test_add_data ("/connect/backlog/10", GSIZE_TO_POINTER (10), test_backlog);
  test_add ("/connect/waits-for-room", test_waits_for_room);
  test_add ("/connect/attempts", test_attempts);
  test_add_data ("/connect/room-never-comes/canceled", GSIZE_TO_POINTER (true), test_room_never_comes);
  test_add_data ("/connect/room-never-comes/listener-closed", GSIZE_TO_POINTER (false), test_room_never_comes);
  return g_test_run ();
}
