/* test-accept-pressure.c: connections that come when the process has no descriptor or memory left for them go on to
 * wait, and none is lost or leaked over many.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "accept-utils.h"
#include "syscall-utils.h"

#include <stdlib.h>

static void
test_no_descriptor_left (TestDir *test, gconstpointer data)
{
  bool waits = GPOINTER_TO_SIZE (data);
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), clients[2], h;
  Call call = { .s = ls, .deadline = waits ? -1 : 0 };
  char mem[DILL_IPC_SIZE];
  FdLimit limit;

  if (skip_without_fd_limit ())
    return;

  if (!waits)
    clients[0] = connect_number (test->path, 0);
  clients[1] = test_assert_ok (socket (AF_UNIX, SOCK_STREAM, 0));
  h = waits ? start_call (call_accept, &call) : -1;
  if (waits)
    clients[0] = test_assert_ok (socket (AF_UNIX, SOCK_STREAM, 0));

  fd_limit_begin (&limit, 0);
  if (waits)
    {
      struct sockaddr_un address = { .sun_family = AF_UNIX };

      strcpy (address.sun_path, test->path);
      g_assert_no_errno (connect (clients[0], (struct sockaddr *) &address, sizeof address));
      write_all (clients[0], "", 1);
      finish_call (h, &call);
      assert_call_errno (call, EMFILE);
    }
  test_assert_errno (dill_ipc_accept (ls, soon ()), EMFILE);
  test_assert_errno (dill_ipc_accept (ls, 0), EMFILE);
  test_assert_errno (dill_ipc_accept_mem (ls, mem, 0), EMFILE);
  fd_limit_end (&limit);

  /* It has gone on to wait, and needs no new event to be found. */
  g_assert_cmpuint (take_number (test_assert_ok (dill_ipc_accept (ls, soon ()))), ==, 0);
  close (clients[0]);
  close (clients[1]);
  g_assert_no_errno (dill_hclose (ls));
}

/* Whatever else the kernel says reaches the caller; the plain accept () then finds the connection still there. */
static int
accept_fails_in_child (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  int error = GPOINTER_TO_INT (data);
  const char *path = g_getenv ("TEST_SOCKET");
  guint n_fds;
  int ls, fd, client;

  g_main_context_push_thread_default (context);
  open_context ();
  ls = test_assert_ok (dill_ipc_listen (path, 5));
  client = connect_number (path, 5);
  n_fds = test_count_fds ();
  if (!fail_calls (SYS_accept4, error))
    return CANNOT;
  test_assert_errno (dill_ipc_accept (ls, soon ()), error);
  test_assert_errno (dill_ipc_accept (ls, 0), error);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  fd = test_assert_ok (dill_ipc_steal_fd (ls));
#ifdef SYS_accept
  g_assert_cmpuint (take_number (dill_ipc_fromfd (test_assert_ok (syscall (SYS_accept, fd, NULL, NULL)))), ==, 5);
#endif
  close (fd);
  close (client);
  unlink (path);
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_kernel_errors (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  static const int errors[] = { ENFILE, ENOMEM, ENOBUFS };

  g_setenv ("TEST_SOCKET", test->path, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    if (!check_child (test_in_child (accept_fails_in_child, GINT_TO_POINTER (errors[i])), NO_SECCOMP))
      return;
}

/* With all of the process's memory in use, the connection is not taken only to be dropped. */
static int
accept_without_memory (gpointer data G_GNUC_UNUSED)
{
  static void *blocks[1 << 20];
  g_autoptr (GMainContext) context = g_main_context_new ();
  const char *path = g_getenv ("TEST_SOCKET");
  struct rlimit limit = { 64 << 20, RLIM_INFINITY };
  char mem[DILL_IPC_SIZE];
  int ls, s, rc, error;
  guint n = 0;

  g_main_context_push_thread_default (context);
  open_context ();
  ls = test_assert_ok (dill_ipc_listen (path, 5));
  connect_number (path, 0);
  connect_number (path, 1);
  g_assert_no_errno (setrlimit (RLIMIT_DATA, &limit));
  for (size_t size = 1 << 20; size >= 16; size = size > 512 ? size / 2 : size - 16)
    while (n < G_N_ELEMENTS (blocks) && (blocks[n] = malloc (size)) != NULL)
      n++;
  rc = dill_ipc_accept (ls, 0);
  error = errno;
  s = dill_ipc_accept_mem (ls, mem, 0); /* needs none */
  while (n > 0)
    free (blocks[--n]);

  test_assert_errno ((errno = error, rc), ENOMEM);
  g_assert_cmpuint (take_number (test_assert_ok (s)), ==, 0);
  g_assert_cmpuint (take_number (test_assert_ok (dill_ipc_accept (ls, soon ()))), ==, 1);
  g_assert_no_errno (dill_hclose (ls));
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_no_memory (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  if (test_skip_under (TEST_UNDER_ANY, "its allocator needs more memory than can be withheld"))
    return;

  g_setenv ("TEST_SOCKET", test->path, TRUE);
  g_assert_cmpint (test_in_child (accept_without_memory, NULL), ==, 0);
}

static void
serve_rounds (void *data)
{
  Call *call = data;

  for (guint i = 0; i < 1000; i++)
    {
      char bytes[5];
      int s = test_assert_ok (dill_ipc_accept (call->s, soon ()));

      g_assert_no_errno (dill_brecv (s, bytes, 5, soon ()));
      g_assert_no_errno (dill_bsend (s, bytes, 5, soon ()));
      g_assert_no_errno (dill_ipc_close (s, soon ()));
    }
  call_done (call, 0);
}

static void
test_thousand_rounds (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  guint n_fds = test_count_fds ();
  Call call = { .s = test_assert_ok (dill_ipc_listen (test->path, 5)) };
  int h = test_assert_ok (dill_spawn (serve_rounds, &call));

  for (guint i = 0; i < 1000; i++)
    {
      int s = test_assert_ok (dill_ipc_connect (test->path, soon ()));
      char bytes[5];

      g_assert_no_errno (dill_bsend (s, "hello", 5, soon ()));
      g_assert_no_errno (dill_brecv (s, bytes, 5, soon ()));
      g_assert_cmpmem (bytes, 5, "hello", 5);
      g_assert_no_errno (dill_ipc_close (s, soon ()));
    }
  finish_call (h, &call);
  g_assert_no_errno (dill_hclose (call.s));
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add_data ("/accept-pressure/no-descriptor/try", GSIZE_TO_POINTER (false), test_no_descriptor_left);
  test_add_data ("/accept-pressure/no-descriptor/waiting", GSIZE_TO_POINTER (true), test_no_descriptor_left);
  test_add ("/accept-pressure/kernel-errors", test_kernel_errors);
  test_add ("/accept-pressure/no-memory", test_no_memory);
  test_add ("/accept-pressure/thousand-rounds", test_thousand_rounds);
  return g_test_run ();
}
