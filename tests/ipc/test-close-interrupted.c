/* test-close-interrupted.c: ipc_close () that ends before the peer has done its part: at its deadline, however fast the
 * peer sends; by cancellation, after which it still makes one attempt; or with its thread.
 *
 * The handle and its descriptor are gone in each case.  Others who wait on the handle learn of that when it begins.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "close-utils.h"

static void
test_time_out (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  guint what = (guint) GPOINTER_TO_SIZE (data);
  int64_t deadline = what & 1 ? dill_now () + 10 : 0;
  int s, peer;

  make_half_pair (&s, &peer);
  if (what & 2)
    {
      g_assert_no_errno (dill_bsend (s, "abc", 3, 0)); /* is never read */
      g_assert_no_errno (shutdown (peer, SHUT_WR));
    }
  test_assert_errno (dill_ipc_close (s, deadline), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, deadline);
  check_is_gone (s, peer);
}

/* A peer that goes on sending holds nobody up beyond the deadline, nor the main loop. */
static void
test_flood (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  int64_t start = dill_now ();
  int64_t deadline = GPOINTER_TO_SIZE (data) ? start + 50 : 0;
  GThread *thread;
  int s, peer, rc;

  make_half_pair (&s, &peer);
  thread = g_thread_new ("flood", run_flood, GINT_TO_POINTER (peer));
  rc = dill_ipc_close (s, deadline);
  g_assert_cmpint (rc, ==, -1);
  g_assert_cmpint (errno, ==, ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, deadline);
  g_assert_cmpint (dill_now () - start, <, 500 * TEST_LIMIT_SECONDS);
  test_thread_join (thread);
}

static void
test_canceled (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool has_bytes = GPOINTER_TO_SIZE (data);
  Call call = { .deadline = -1 };
  int s, peer, h;

  make_half_pair (&s, &peer);
  call.s = s;
  if (has_bytes)
    {
      g_assert_no_errno (dill_bsend (s, "abc", 3, 0));
      g_assert_no_errno (shutdown (peer, SHUT_WR));
    }
  h = start_call (call_close, &call);
  g_assert_no_errno (dill_hclose (h));
  assert_call_errno (call, ECANCELED);
  check_is_gone (s, peer);
}

static void
close_after_cancellation (void *data)
{
  test_assert_errno (dill_msleep (-1), ECANCELED);
  be_busy ();
  call_close (data);
}

/* It makes one attempt, which succeeds if the peer has done its part, and is not waited for. */
static void
test_canceled_before (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool peer_is_done = GPOINTER_TO_SIZE (data);
  Call call = { .deadline = -1 };
  char bytes[3];
  int s, peer, h;

  make_half_pair (&s, &peer);
  call.s = s;
  test_assert_errno (dill_brecv_some (s, bytes, 1, dill_now () + 1), ETIMEDOUT);
  h = test_assert_ok (dill_spawn (close_after_cancellation, &call));
  if (peer_is_done)
    {
      write_all (peer, "xyz", 3);
      g_assert_no_errno (shutdown (peer, SHUT_WR));
    }
  g_assert_no_errno (dill_hclose (h));
  if (peer_is_done)
    {
      g_assert_true (call.is_done);
      g_assert_cmpint (call.result, ==, 0);
    }
  else
    assert_call_errno (call, ECANCELED);
  check_is_gone (s, peer);
}

/* The attempt may take many system calls, however long the coroutine has not waited. */
static void
test_canceled_with_much_to_drop (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Call call = { .deadline = -1 };
  int s[2], h;

  make_pair (s);
  call.s = s[0];
  h = start_call (close_after_cancellation, &call);
  send_single_bytes (s[1], N_CALLS);
  g_assert_no_errno (dill_ipc_done (s[1], 0));
  g_assert_no_errno (dill_hclose (h));
  g_assert_true (call.is_done);
  g_assert_cmpint (call.result, ==, 0);
  check_is_gone (s[0], -1);
  g_assert_no_errno (dill_hclose (s[1]));
}

/* One who is cancelled does not go on for ever either. */
static void
test_canceled_flood (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Call call = { .deadline = -1 };
  GThread *thread;
  int peer, h;

  make_half_pair (&call.s, &peer);
  h = start_call (close_after_cancellation, &call);
  thread = g_thread_new ("flood", run_flood, GINT_TO_POINTER (peer));
  g_assert_no_errno (dill_hclose (h));
  assert_call_errno (call, ECANCELED);
  check_is_gone (call.s, -1);
  test_thread_join (thread);
}

static void
test_other_waiters (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  gsize length = 8 * 1000 * 1000;
  g_autofree char *bytes = g_malloc0 (length);
  char byte;
  Call in = { .buffer = &byte, .length = 1, .deadline = -1 };
  Call out = { .buffer = bytes, .length = length, .deadline = -1 };
  Call closing = { .deadline = -1 };
  int s, peer, h, h_in, h_out;

  make_half_pair (&s, &peer);
  in.s = out.s = closing.s = s;
  h_in = start_call (call_brecv, &in);
  h_out = start_call (call_bsend, &out);
  h = start_call (call_close, &closing);
  finish_call (h_in, &in);
  finish_call (h_out, &out);
  g_assert_false (closing.is_done); /* they learn of it at once */
  g_assert_no_errno (dill_hclose (h));
  assert_call_errno (closing, ECANCELED);
  assert_call_errno (in, ECANCELED);
  assert_call_errno (out, ECANCELED);
  check_is_gone (s, peer);
}

/* The context is thrown away while somebody is closing. */
static gpointer
end_while_closing (gpointer data)
{
  Call call = { .s = test_assert_ok (dill_ipc_fromfd (GPOINTER_TO_INT (data))), .deadline = -1 };

  start_call (call_close, &call);
  g_assert_false (call.is_done);
  return NULL;
}

static int
end_thread_in_child (gpointer data G_GNUC_UNUSED)
{
  int fds[2];
  char byte;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  write_all (fds[1], "x", 1);
  test_expect_log (G_LOG_LEVEL_WARNING, "*were not closed*",
                   test_in_thread (end_while_closing, GINT_TO_POINTER (fds[0])));
  g_assert_cmpint (read (fds[1], &byte, 1), ==, 0);
  g_assert_cmpint (send (fds[1], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), ==, -1); /* it is closed, not just at its end */
  return errno == EPIPE ? 0 : 1;
}

static void
test_thread_ends_while_closing (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (end_thread_in_child, NULL), ==, 0);
}

#define add_number(name, number, func) test_add_data ("/close-interrupted/" name, GSIZE_TO_POINTER (number), func)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_number ("time-out/try", 0, test_time_out);
  add_number ("time-out/no-end", 1, test_time_out);
  add_number ("time-out/unread-try", 2, test_time_out);
  add_number ("time-out/unread", 3, test_time_out);
  add_number ("flood/try", false, test_flood);
  add_number ("flood/wait", true, test_flood);
  add_number ("canceled/waiting-for-end", false, test_canceled);
  add_number ("canceled/waiting-for-reads", true, test_canceled);
  add_number ("canceled/before-peer-done", true, test_canceled_before);
  add_number ("canceled/before-peer-not-done", false, test_canceled_before);
  test_add ("/close-interrupted/canceled/with-much-to-drop", test_canceled_with_much_to_drop);
  test_add ("/close-interrupted/canceled/flood", test_canceled_flood);
  test_add ("/close-interrupted/other-waiters", test_other_waiters);
  test_add ("/close-interrupted/thread-ends-meanwhile", test_thread_ends_while_closing);
  return g_test_run ();
}
