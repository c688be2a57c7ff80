/* test-descriptor-failures.c: what sendfd () and recvfd () refuse, or have no time for, harms neither the stream nor
 * what is sent on it later.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "descriptor-utils.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>

static void
test_unusable_descriptor (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int s[2];

  make_pair (s);
  test_assert_errno (dill_ipc_sendfd (s[0], -1, soon ()), EBADF);
  test_assert_errno (dill_ipc_sendfd (s[0], 1000 * 1000, soon ()), EBADF);
  test_assert_errno (dill_brecv_some (s[1], &(char) { 0 }, 1, 0), ETIMEDOUT); /* no byte was sent */
  fill_connection (s[0]);
  test_assert_errno (dill_ipc_sendfd (s[0], -1, dill_now () + 50), EBADF); /* for which nobody waits */
  close_pair (s);
}

static void
test_time_out (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int64_t start = dill_now ();
  int file = new_file ();
  int s[2];
  gsize n;

  make_pair (s);
  test_assert_errno (dill_ipc_recvfd (s[1], start + 5), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, start + 5);
  n = fill_connection (s[0]);
  start = dill_now ();
  test_assert_errno (dill_ipc_sendfd (s[0], file, start + 5), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, start + 5);
  while (n-- > 0)
    close (test_assert_ok (dill_ipc_recvfd (s[1], soon ())));
  test_assert_errno (dill_ipc_recvfd (s[1], 0), ETIMEDOUT);
  g_assert_no_errno (dill_ipc_sendfd (s[0], file, soon ()));
  expect_file (s[1], file);
  close (file);
  close_pair (s);
}

static void
test_canceled (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Call in = { .deadline = -1 }, out = { .deadline = -1 };
  int s[2], h_in, h_out;
  gsize n;

  make_pair (s);
  n = fill_connection (s[0]);
  in.s = out.s = s[0];
  h_in = start_call (call_recvfd, &in);
  h_out = start_call (call_sendfd, &out);
  g_assert_no_errno (dill_hclose (h_in));
  g_assert_no_errno (dill_hclose (h_out));
  assert_call_errno (in, ECANCELED);
  assert_call_errno (out, ECANCELED);
  while (n-- > 0)
    close (test_assert_ok (dill_ipc_recvfd (s[1], soon ())));
  g_assert_no_errno (dill_ipc_sendfd (s[0], STDIN_FILENO, soon ()));
  g_assert_no_errno (dill_ipc_sendfd (s[1], STDIN_FILENO, soon ()));
  close (test_assert_ok (dill_ipc_recvfd (s[0], soon ())));
  close (test_assert_ok (dill_ipc_recvfd (s[1], soon ())));
  close_pair (s);
}

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

/* A peer may have asked the kernel for no descriptors.  Bytes it gets. */
static void
test_peer_accepts_none (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int s, peer, no = 0;
  char byte;

  make_half_pair (&s, &peer);
  if (setsockopt (peer, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof no) < 0)
    g_test_skip ("this kernel cannot refuse descriptors for a socket (SO_PASSRIGHTS)");
  else
    {
      test_assert_errno (dill_ipc_sendfd (s, STDIN_FILENO, soon ()), EPERM);
      g_assert_no_errno (dill_bsend (s, "x", 1, soon ()));
      read_all (peer, &byte, 1);
      g_assert_cmpint (byte, ==, 'x');
    }
  close (peer);
  g_assert_no_errno (dill_hclose (s));
}

/* The kernel passes no descriptor of an io_uring, which could be one that it is on its way through. */
static void
test_cannot_be_passed (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  struct io_uring_params params = { .flags = 0 };
  int ring = (int) syscall (SYS_io_uring_setup, 1, &params);
  int s[2];

  if (ring < 0)
    {
      g_test_skip ("there is no io_uring here, the one kind of descriptor that cannot be passed");
      return;
    }

  make_pair (s);
  test_assert_errno (dill_ipc_sendfd (s[0], ring, soon ()), EINVAL);
  g_assert_no_errno (dill_ipc_sendfd (s[0], STDIN_FILENO, soon ()));
  close (test_assert_ok (dill_ipc_recvfd (s[1], soon ())));
  close (ring);
  close_pair (s);
}

static int
send_too_many (gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  struct rlimit limit = { 64, 64 };
  int s[2];
  guint n;

  g_main_context_push_thread_default (context);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
  g_assert_no_errno (setresuid (65534, 65534, 65534));
  make_pair (s);
  for (n = 0; n < 1000; n++)
    if (dill_ipc_sendfd (s[0], STDIN_FILENO, 0) < 0)
      break;
  test_assert_errno (dill_ipc_sendfd (s[0], STDIN_FILENO, 0), ETOOMANYREFS);

  /* It passes, and the stream is whole. */
  while (n-- > 0)
    close (test_assert_ok (dill_ipc_recvfd (s[1], 0)));
  g_assert_no_errno (dill_ipc_sendfd (s[0], STDIN_FILENO, 0));
  close (test_assert_ok (dill_ipc_recvfd (s[1], 0)));
  close_pair (s);
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_too_many_on_their_way (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  if (skip_without_fd_limit ())
    return;

  if (geteuid () != 0)
    {
      g_test_skip ("only root can become a user of whom no other process has descriptors on their way");
      return;
    }

  g_assert_cmpint (test_in_child (send_too_many, NULL), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add ("/descriptor-failures/unusable", test_unusable_descriptor);
  test_add ("/descriptor-failures/time-out", test_time_out);
  test_add ("/descriptor-failures/canceled", test_canceled);
  test_add ("/descriptor-failures/refused-by-peer", test_peer_accepts_none);
  test_add ("/descriptor-failures/refused-by-kernel", test_cannot_be_passed);
  test_add ("/descriptor-failures/too-many-on-their-way", test_too_many_on_their_way);
  return g_test_run ();
}
