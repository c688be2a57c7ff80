/* test-pair.c: ipc_pair () makes two connections that are each other's peers, or nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-utils.h"

static void
test_both_ways (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool in_memory = GPOINTER_TO_SIZE (data);
  char mem[DILL_IPC_PAIR_SIZE], bytes[3];
  int s[2] = { -1, -1 };

  g_assert_no_errno (in_memory ? dill_ipc_pair_mem (mem, s) : dill_ipc_pair (s));
  g_assert_cmpint (s[0], >, 0);
  g_assert_cmpint (s[1], >, 0);
  g_assert_cmpint (s[0], !=, s[1]);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_no_errno (dill_bsend (s[i], "abc", 3, 0));
      g_assert_no_errno (dill_brecv (s[1 - i], bytes, 3, soon ()));
      g_assert_cmpmem (bytes, 3, "abc", 3);
      g_assert_no_errno (dill_ipc_done (s[i], 0));
      test_assert_errno (dill_brecv (s[1 - i], bytes, 1, soon ()), EPIPE);
    }
  g_assert_no_errno (dill_ipc_close (s[0], soon ()));
  g_assert_no_errno (dill_ipc_close (s[1], soon ()));
}

static void
test_close_on_exec (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int s[2];

  make_pair (s);
  for (guint i = 0; i < 2; i++)
    {
      int fd = test_assert_ok (dill_ipc_steal_fd (s[i]));

      g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
      g_assert_true (fcntl (fd, F_GETFL) & O_NONBLOCK);
      close (fd);
    }
}

static void
test_invalid_arguments (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char mem[DILL_IPC_PAIR_SIZE];
  guint n_fds = test_count_fds ();
  int s[2];

  test_assert_errno (dill_ipc_pair (NULL), EINVAL);
  test_assert_errno (dill_ipc_pair_mem (mem, NULL), EINVAL);
  test_assert_errno (dill_ipc_pair_mem (NULL, s), EINVAL);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

/* Nothing is written. */
static void
check_errno (const char *path G_GNUC_UNUSED, int expected)
{
  char mem[DILL_IPC_PAIR_SIZE];
  int s[2] = { -5, -6 };

  test_assert_errno (dill_ipc_pair (s), expected);
  test_assert_errno (dill_ipc_pair_mem (mem, s), expected);
  g_assert_cmpint (s[0], ==, -5);
  g_assert_cmpint (s[1], ==, -6);
}

static void
test_no_descriptor_left (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  if (skip_without_fd_limit ())
    return;

  for (guint n = 0; n < 2; n++)
    {
      FdLimit limit;

      fd_limit_begin (&limit, n);
      check_errno (NULL, EMFILE);
      fd_limit_end (&limit);
    }
}

static void
test_kernel_errors (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const KernelFault faults[] = {
    { SYS_socketpair, ENFILE },
    { SYS_socketpair, ENOBUFS },
    { SYS_socketpair, ENOMEM },
    { SYS_socketpair, EAFNOSUPPORT },
  };

  check_kernel_errors (check_errno, NULL, faults, G_N_ELEMENTS (faults));
}

/* A child has the parent's context, which it must not wait under. */
static int
pair_after_fork (gpointer data G_GNUC_UNUSED)
{
  guint n_fds = test_count_fds ();
  char mem[DILL_IPC_PAIR_SIZE];
  int s[2];

  test_expect_critical ("*forked child*", test_assert_errno (dill_ipc_pair (s), ENOTSUP));
  test_expect_critical ("*forked child*", test_assert_errno (dill_ipc_pair_mem (mem, s), ENOTSUP));
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  return 0;
}

static void
test_inherited_context (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (pair_after_fork, NULL), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add_data ("/pair/both-ways/heap", GSIZE_TO_POINTER (false), test_both_ways);
  test_add_data ("/pair/both-ways/own-memory", GSIZE_TO_POINTER (true), test_both_ways);
  test_add ("/pair/close-on-exec", test_close_on_exec);
  test_add ("/pair/invalid-arguments", test_invalid_arguments);
  test_add ("/pair/no-descriptor", test_no_descriptor_left);
  test_add ("/pair/kernel-errors", test_kernel_errors);
  test_add ("/pair/inherited-context", test_inherited_context);
  return g_test_run ();
}
