/* test-listen.c: listeners as handles: what listen () refuses, what it leaves behind, and how it ends.  Addresses, and
 * the files at them, have tests of their own.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-utils.h"

#include <limits.h>
#include <sys/stat.h>

static void
test_serves (TestDir *test, gconstpointer data)
{
  guint how = (guint) GPOINTER_TO_SIZE (data);
  char mem[DILL_IPC_LISTENER_SIZE], byte;
  int ls, client, s;

  ls = how == 0   ? dill_ipc_listen (test->path, 1)
       : how == 1 ? dill_ipc_listen_mem (test->path, 1, mem)
                  : dill_ipc_listen_full (test->path, 1, 0, 0600, how == 2 ? NULL : mem);
  g_assert_no_errno (ls);
  client = test_assert_ok (dill_ipc_connect (test->path, soon ()));
  s = test_assert_ok (dill_ipc_accept (ls, soon ()));
  g_assert_no_errno (dill_bsend (client, "a", 1, soon ()));
  g_assert_no_errno (dill_brecv (s, &byte, 1, soon ()));
  g_assert_no_errno (dill_hclose (client));
  g_assert_no_errno (dill_hclose (s));
  g_assert_no_errno (dill_hclose (ls));
  test_assert_errno (access (test->path, F_OK), ENOENT);
}

static void
test_invalid_arguments (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  char mem[DILL_IPC_LISTENER_SIZE];
  guint n_fds = test_count_fds ();

  test_assert_errno (dill_ipc_listen (test->path, 0), EINVAL);
  test_assert_errno (dill_ipc_listen (test->path, -1), EINVAL);
  test_assert_errno (dill_ipc_listen_mem (test->path, 0, mem), EINVAL);
  test_assert_errno (dill_ipc_listen (NULL, 5), EINVAL);
  test_assert_errno (dill_ipc_listen_mem (NULL, 5, mem), EINVAL);
  test_assert_errno (dill_ipc_listen_mem (test->path, 5, NULL), EINVAL);
  test_assert_errno (dill_ipc_listen_full (test->path, 5, 1u << 30, 0, NULL), EINVAL);
  test_assert_errno (dill_ipc_listen_full (test->path, 5, 0, 01000, NULL), EINVAL);
  test_assert_errno (dill_ipc_listen (NULL, 0), EINVAL);
  test_assert_errno (dill_ipc_listen ("", 5), ENOENT);
  test_assert_errno (access (test->path, F_OK), ENOENT);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
test_address_in_use (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 1));

  test_assert_errno (dill_ipc_listen (test->path, 1), EADDRINUSE);
  g_assert_no_errno (access (test->path, F_OK));
  g_assert_no_errno (dill_hclose (ls));
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_ipc_listen (test->path, 1))));
  g_assert_true (g_file_set_contents (test->path, "kept", -1, NULL));
  test_assert_errno (dill_ipc_listen (test->path, 1), EADDRINUSE);
  g_assert_no_errno (access (test->path, F_OK));
}

/* Each as the page has it, from every function that listens. */
static void
check_each_errno (const char *path, int expected)
{
  char mem[DILL_IPC_LISTENER_SIZE];

  test_assert_errno (dill_ipc_listen (path, 5), expected);
  test_assert_errno (dill_ipc_listen_mem (path, 5, mem), expected);
  test_assert_errno (dill_ipc_listen_full (path, 5, 0, 0600, NULL), expected);
  test_assert_errno (dill_ipc_listen_full (path, 5, DILL_IPC_LISTEN_REPLACE_STALE, 0, NULL), expected);
}

/* However few are left, a listen () that fails leaves nothing behind. */
static void
test_no_descriptor_left (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  guint n_fds = test_count_fds ();
  FdLimit limit;
  int ls = -1;

  for (guint n = 0; ls < 0; n++)
    {
      int error;

      g_assert_cmpuint (n, <, 10);
      fd_limit_begin (&limit, n);
      errno = 0;
      ls = dill_ipc_listen (test->path, 5);
      error = errno;
      fd_limit_end (&limit);
      if (ls < 0)
        {
          g_assert_cmpint (error, ==, EMFILE);
          test_assert_errno (access (test->path, F_OK), ENOENT);
          g_assert_cmpuint (test_count_fds (), ==, n_fds);
        }
      else
        g_assert_cmpuint (n, >, 0);
    }
  g_assert_no_errno (dill_hclose (ls));

  fd_limit_begin (&limit, 0);
  check_each_errno (test->path, EMFILE);
  fd_limit_end (&limit);
}

static void
check_errno (const char *path, int expected)
{
  guint n_fds = test_count_fds ();

  check_each_errno (path, expected);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
test_kernel_errors (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  static const KernelFault faults[] = {
    { SYS_socket, ENFILE }, { SYS_socket, ENOBUFS }, { SYS_socket, EAFNOSUPPORT }, { SYS_bind, EROFS },
    { SYS_bind, ENOSPC },   { SYS_bind, EDQUOT },    { SYS_bind, EIO },            { SYS_bind, EPERM },
    { SYS_bind, ENOMEM },   { SYS_listen, ENOBUFS },
  };

  check_kernel_errors (check_errno, test->path, faults, G_N_ELEMENTS (faults));
  test_assert_errno (access (test->path, F_OK), ENOENT);
}

static void
test_errors (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *file = g_build_filename (test->dir, "file", NULL);
  g_autofree char *in_file = g_build_filename (file, "socket", NULL);
  g_autofree char *link = g_build_filename (test->dir, "link", NULL);
  g_autofree char *in_link = g_build_filename (link, "socket", NULL);
  g_autofree char *in_nothing = g_build_filename (test->dir, "nothing", "socket", NULL);
  g_autofree char *long_name = g_strnfill (NAME_MAX + 1, 'n');
  g_autofree char *long_component = g_build_filename (test->dir, long_name, NULL);
  g_autofree char *long_path = g_strnfill (PATH_MAX, '/');

  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  g_assert_no_errno (symlink ("link", link));

  check_errno ("", ENOENT);
  check_errno (in_nothing, ENOENT);
  check_errno (in_file, ENOTDIR);
  check_errno (in_link, ELOOP);
  check_errno (long_component, ENAMETOOLONG);
  check_errno (long_path, ENAMETOOLONG);
  check_errno (file, EADDRINUSE);
  check_errno (link, EADDRINUSE);
  check_errno (test->dir, EADDRINUSE);
}

static void
test_no_permission (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  if (geteuid () != 0)
    {
      g_test_skip ("only root can become somebody who may not listen");
      return;
    }

  check_no_permission (check_errno, test->path); /* the directory is closed */
  g_assert_no_errno (chmod (test->dir, 0755));
  check_no_permission (check_errno, test->path); /* it may be read only */
}

/* What was asked to stay does, and is a stale file then. */
static void
test_keep_file (TestDir *test, gconstpointer data)
{
  bool with_handshake = GPOINTER_TO_SIZE (data);
  unsigned flags = DILL_IPC_LISTEN_KEEP_FILE | DILL_IPC_LISTEN_REPLACE_STALE;
  int ls;

  for (guint i = 0; i < 2; i++)
    {
      ls = test_assert_ok (dill_ipc_listen_full (test->path, 5, flags, 0, NULL));
      g_assert_no_errno (with_handshake ? dill_ipc_close (ls, soon ()) : dill_hclose (ls));
      g_assert_no_errno (access (test->path, F_OK));
      test_assert_errno (dill_ipc_connect (test->path, soon ()), ECONNREFUSED);
    }
}

/* A stolen listener is somebody else's, with its file. */
static void
test_stolen (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5));
  int fd = test_assert_ok (dill_ipc_steal_fd (ls)), client;

  test_assert_errno (dill_hclose (ls), EBADF);
  client = test_assert_ok (dill_ipc_connect (test->path, soon ()));
  close (test_assert_ok (accept4 (fd, NULL, NULL, SOCK_CLOEXEC)));
  g_assert_no_errno (dill_hclose (client));
  close (fd);
  g_assert_no_errno (access (test->path, F_OK));
}

/* With names as long as they may be, at a path that is relative to where the process was then. */
static int
serve_at_long_path (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autofree char *name = g_strnfill (NAME_MAX, 'n');
  g_autofree char *parent = g_build_filename (name, name, NULL);
  g_autofree char *relative = g_build_filename (parent, name, NULL);
  g_autofree char *absolute = g_build_filename (data, relative, NULL);
  int ls, client, s;

  g_main_context_push_thread_default (context);
  g_assert_no_errno (chdir (data));
  g_assert_no_errno (mkdir (name, 0700));
  g_assert_no_errno (mkdir (parent, 0700));
  ls = test_assert_ok (dill_ipc_listen (relative, 5));
  g_assert_no_errno (chdir ("/"));
  client = test_assert_ok (dill_ipc_connect (absolute, soon ()));
  s = test_assert_ok (dill_ipc_accept (ls, soon ()));
  g_assert_no_errno (dill_hclose (client));
  g_assert_no_errno (dill_hclose (s));
  g_assert_no_errno (access (absolute, F_OK));
  g_assert_no_errno (dill_hclose (ls));
  test_assert_errno (access (absolute, F_OK), ENOENT);
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_long_path (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (serve_at_long_path, test->dir), ==, 0);
}

/* Nothing of it is in the file system, and the name is free again when the handle is closed. */
static int
serve_at_name (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autofree char *name = g_strdup_printf ("dillipc-test-listen-%d", (int) getpid ());

  g_main_context_push_thread_default (context);
  g_assert_no_errno (chdir (data)); /* where it would be, were it a path */
  test_assert_errno (dill_ipc_listen_full (name, 1, DILL_IPC_ABSTRACT, 0600, NULL), EINVAL);
  test_assert_errno (dill_ipc_listen_full (name, 1, DILL_IPC_ABSTRACT | DILL_IPC_LISTEN_KEEP_FILE, 0, NULL), EINVAL);
  test_assert_errno (dill_ipc_listen_full (name, 1, DILL_IPC_ABSTRACT | DILL_IPC_LISTEN_REPLACE_STALE, 0, NULL),
                     EINVAL);
  for (guint i = 0; i < 2; i++)
    {
      int ls = test_assert_ok (dill_ipc_listen_full (name, 1, DILL_IPC_ABSTRACT, 0, NULL)), client;

      test_assert_errno (dill_ipc_listen_full (name, 1, DILL_IPC_ABSTRACT, 0, NULL), EADDRINUSE);
      test_assert_errno (dill_ipc_connect (name, soon ()), ENOENT);
      client = test_assert_ok (dill_ipc_connect_full (name, DILL_IPC_ABSTRACT, NULL, soon ()));
      g_assert_no_errno (dill_hclose (test_assert_ok (dill_ipc_accept (ls, soon ()))));
      test_assert_errno (access (name, F_OK), ENOENT);
      g_assert_no_errno (dill_hclose (client));
      g_assert_no_errno (dill_hclose (ls));
      test_assert_errno (dill_ipc_connect_full (name, DILL_IPC_ABSTRACT, NULL, soon ()), ECONNREFUSED);
    }
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_abstract (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (serve_at_name, test->dir), ==, 0);
}

static int
listen_after_fork (gpointer data)
{
  char mem[DILL_IPC_LISTENER_SIZE];
  guint n_fds = test_count_fds ();

  test_expect_critical ("*forked child*", test_assert_errno (dill_ipc_listen (data, 5), ENOTSUP));
  test_expect_critical ("*forked child*", test_assert_errno (dill_ipc_listen_mem (data, 5, mem), ENOTSUP));
  test_expect_critical ("*forked child*", test_assert_errno (dill_ipc_listen_full (data, 5, 0, 0, NULL), ENOTSUP));
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  test_assert_errno (access (data, F_OK), ENOENT);
  return 0;
}

static void
test_inherited_context (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (listen_after_fork, test->path), ==, 0);
}

/* A connection that nobody accepted learns that the listener has gone. */
static void
test_close_resets_waiting (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5));
  int s = test_assert_ok (dill_ipc_connect (test->path, soon ()));
  char byte = 'x';

  g_assert_no_errno (dill_hclose (ls));
  test_assert_errno (dill_brecv (s, &byte, 1, soon ()), ECONNRESET);
  test_assert_errno (dill_bsend (s, &byte, 1, soon ()), ECONNRESET);
  g_assert_no_errno (dill_hclose (s));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add_data ("/listen/serves/listen", GSIZE_TO_POINTER (0), test_serves);
  test_add_data ("/listen/serves/listen-mem", GSIZE_TO_POINTER (1), test_serves);
  test_add_data ("/listen/serves/listen-full", GSIZE_TO_POINTER (2), test_serves);
  test_add_data ("/listen/serves/listen-full-mem", GSIZE_TO_POINTER (3), test_serves);
  test_add ("/listen/invalid-arguments", test_invalid_arguments);
  test_add ("/listen/address-in-use", test_address_in_use);
  test_add ("/listen/errors", test_errors);
  test_add ("/listen/no-permission", test_no_permission);
  test_add_data ("/listen/keep-file/hclose", GSIZE_TO_POINTER (false), test_keep_file);
  test_add_data ("/listen/keep-file/ipc-close", GSIZE_TO_POINTER (true), test_keep_file);
  test_add ("/listen/stolen", test_stolen);
  test_add ("/listen/long-path", test_long_path);
  test_add ("/listen/abstract", test_abstract);
  test_add ("/listen/no-descriptor", test_no_descriptor_left);
  test_add ("/listen/kernel-errors", test_kernel_errors);
  test_add ("/listen/inherited-context", test_inherited_context);
  test_add ("/listen/close-resets-waiting", test_close_resets_waiting);
  return g_test_run ();
}
