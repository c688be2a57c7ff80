/* test-listen.c: listeners as handles: what listen () refuses, what it leaves behind, and how it ends.  Addresses, and
 * the files at them, have tests of their own.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"
#include "syscall-utils.h"

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
}

typedef struct
{
  const char *path;
  long number;
  int error;
} Fault;

static int
listen_fails_in_child (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Fault *fault = data;
  guint n_fds;

  g_main_context_push_thread_default (context);
  open_context ();
  n_fds = test_count_fds ();
  if (!fail_calls (fault->number, fault->error))
    return CANNOT;
  test_assert_errno (dill_ipc_listen (fault->path, 5), fault->error);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  test_assert_errno (access (fault->path, F_OK), ENOENT);
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_kernel_errors (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Fault faults[] = {
    { test->path, SYS_socket, ENFILE },  { test->path, SYS_socket, ENOBUFS }, { test->path, SYS_socket, EAFNOSUPPORT },
    { test->path, SYS_bind, EROFS },     { test->path, SYS_bind, ENOSPC },    { test->path, SYS_bind, EDQUOT },
    { test->path, SYS_bind, EIO },       { test->path, SYS_bind, EPERM },     { test->path, SYS_bind, ENOMEM },
    { test->path, SYS_listen, ENOBUFS },
  };

  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      int status = test_in_child (listen_fails_in_child, &faults[i]);

      if (status == CANNOT)
        {
          g_test_skip ("seccomp filters are not permitted here");
          return;
        }
      g_assert_cmpint (status, ==, 0);
    }
}

static int
listen_after_fork (gpointer data)
{
  guint n_fds = test_count_fds ();

  test_expect_critical ("*forked child*", test_assert_errno (dill_ipc_listen (data, 5), ENOTSUP));
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
  char byte;

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
  test_add ("/listen/no-descriptor", test_no_descriptor_left);
  test_add ("/listen/kernel-errors", test_kernel_errors);
  test_add ("/listen/inherited-context", test_inherited_context);
  test_add ("/listen/close-resets-waiting", test_close_resets_waiting);
  return g_test_run ();
}
