/* test-waiters.c: who waits on a connection: one receiver and one sender at a time, who learn of the handle's end and
 * then leave it alone.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

static void
check_second_receivers_until (int s, int64_t deadline)
{
  char byte = 'x';
  struct dill_iolist item = { &byte, 1, NULL, 0 };

  test_assert_errno (dill_brecv (s, &byte, 1, deadline), EBUSY);
  test_assert_errno (dill_brecvl (s, &item, &item, deadline), EBUSY);
  test_assert_errno (dill_brecv (s, NULL, 1, deadline), EBUSY);
  test_assert_errno (dill_brecv_some (s, &byte, 1, deadline), EBUSY);
  test_assert_errno (dill_ipc_recvfd (s, deadline), EBUSY);
  test_assert_errno (dill_ipc_steal_fd (s), EBUSY);
  g_assert_cmpint (byte, ==, 'x');
}

static void
check_second_senders_until (int s, int64_t deadline)
{
  char byte = 'x';
  struct dill_iolist item = { &byte, 1, NULL, 0 };

  test_assert_errno (dill_bsend (s, &byte, 1, deadline), EBUSY);
  test_assert_errno (dill_bsendl (s, &item, &item, deadline), EBUSY);
  test_assert_errno (dill_bsend (s, NULL, 0, deadline), EBUSY);
  test_assert_errno (dill_ipc_sendfd (s, STDIN_FILENO, deadline), EBUSY);
  test_assert_errno (dill_ipc_done (s, deadline), EBUSY);
  test_assert_errno (dill_ipc_steal_fd (s), EBUSY);
}

/* With a deadline of 0 nobody else ever has a turn meanwhile, not even for fairness. */
static void
check_second_receivers (int s)
{
  check_second_receivers_until (s, 0);
}

static void
check_second_senders (int s)
{
  check_second_senders_until (s, 0);
}

static void
test_second_receiver (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const DillFunc first[] = { call_brecv, call_brecv_some, call_recvfd };
  char bytes[4] = "";

  for (guint i = 0; i < G_N_ELEMENTS (first); i++)
    {
      Call call = { .buffer = bytes, .length = 4, .deadline = -1 };
      int s[2], h;

      make_pair (s);
      call.s = s[0];
      h = start_call (first[i], &call);
      check_second_receivers_until (s[0], soon ());
      check_second_receivers_until (s[0], 0);

      /* The other direction is nobody's business. */
      g_assert_no_errno (dill_bsend (s[0], "x", 1, soon ()));
      if (first[i] == call_recvfd)
        g_assert_no_errno (dill_ipc_sendfd (s[1], STDIN_FILENO, soon ()));
      else
        g_assert_no_errno (dill_bsend (s[1], "abcd", 4, soon ()));
      finish_call (h, &call);
      g_assert_cmpint (call.result, >=, 0);
      if (first[i] == call_recvfd)
        close ((int) call.result);
      else
        g_assert_cmpmem (bytes, 4, "abcd", 4);
      close_pair (s);
    }
}

static void
test_second_sender (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  gsize length = 1000 * 1000;
  g_autofree guint8 *bytes = g_malloc (length);
  g_autofree guint8 *received = g_malloc (length);
  Call call = { .buffer = bytes, .length = length, .deadline = -1 };
  int s[2], h;

  make_pair (s);
  call.s = s[0];
  fill_bytes (bytes, length, 0);
  h = start_call (call_bsend, &call);
  check_second_senders_until (s[0], soon ());
  check_second_senders_until (s[0], 0);
  g_assert_no_errno (dill_brecv (s[1], received, length, soon ()));
  check_bytes (received, length, 0);
  finish_call (h, &call);
  g_assert_cmpint (call.result, ==, 0);
  close_pair (s);
}

static void
test_second_descriptor_sender (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Call call = { .deadline = -1 };
  int s[2], h;
  gsize n;

  make_pair (s);
  call.s = s[0];
  n = fill_connection (s[0]);
  h = start_call (call_sendfd, &call);
  g_assert_false (call.is_done);
  check_second_senders_until (s[0], soon ());
  check_second_senders_until (s[0], 0);
  for (gsize i = 0; i < n + 1; i++)
    close (test_assert_ok (dill_ipc_recvfd (s[1], soon ())));
  finish_call (h, &call);
  g_assert_cmpint (call.result, ==, 0);
  close_pair (s);
}

/* A coroutine that is ready before the waiter, and so runs before it. */
typedef struct
{
  void (*act) (int s);
  int s;
  Call *waiter;
  bool was_early;
} Early;

static void
act_early (void *data)
{
  Early *early = data;

  g_assert_no_errno (dill_yield ());
  early->was_early = !early->waiter->is_done;
  early->act (early->s);
}

/* Lets ACT run on WAITER's connection when its coroutine has been woken but has not run: the event is there when the loop
 * next turns, which looks at the descriptors first, and then runs who is ready in order. */
static void
run_early (void (*act) (int s), DillFunc func, Call *waiter, int peer, const char *bytes, gsize n)
{
  Early early = { .act = act, .s = waiter->s, .waiter = waiter };
  int h, h_early;

  h_early = test_assert_ok (dill_spawn (act_early, &early));
  h = start_call (func, waiter);
  g_assert_false (waiter->is_done);

  if (n > 0)
    g_assert_no_errno (dill_bsend (peer, bytes, n, 0));
  else
    {
      char dropped[65536];

      while (dill_brecv_some (peer, dropped, sizeof dropped, 0) > 0)
        continue;
    }
  g_assert_no_errno (dill_bundle_wait (h_early, soon ()));
  g_assert_true (early.was_early);
  finish_call (h, waiter);
  g_assert_no_errno (dill_hclose (h_early));
}

/* run_early () with one who waits for four bytes, on the first handle of a new pair. */
static void
receive_early (void (*act) (int s), DillFunc func, Call *call, char bytes[4], int s[2])
{
  make_pair (s);
  *call = (Call) { .s = s[0], .buffer = memcpy (bytes, "....", 4), .length = 4, .deadline = -1 };
  run_early (act, func, call, s[1], "abcd", 4);
}

/* The same with one who waits for room. */
static void
send_early (void (*act) (int s), Call *call, int s[2])
{
  gsize length = 300 * 1000;
  g_autofree char *bytes = g_malloc0 (length);

  make_pair (s);
  *call = (Call) { .s = s[0], .buffer = bytes, .length = length, .deadline = -1 };
  run_early (act, call_bsend, call, s[1], NULL, 0);
}

static void
test_second_receiver_early (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char bytes[4];
  Call call;
  int s[2];

  receive_early (check_second_receivers, call_brecv, &call, bytes, s);
  g_assert_cmpint (call.result, ==, 0);
  g_assert_cmpmem (bytes, 4, "abcd", 4);
  close_pair (s);
}

static void
test_second_sender_early (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Call call;
  int s[2];

  send_early (check_second_senders, &call, s);
  g_assert_cmpint (call.result, ==, 0);
  close_pair (s);
}

static void
close_handle (int s)
{
  g_assert_no_errno (dill_hclose (s));
}

static void
test_closed_while_waiting (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const DillFunc receive[] = { call_brecv, call_brecv_some, call_recvfd };
  static const DillFunc send[] = { call_bsend, call_sendfd };
  gsize length = 8 * 1000 * 1000;
  g_autofree char *bytes = g_malloc0 (length);

  for (guint i = 0; i < G_N_ELEMENTS (receive); i++)
    for (guint k = 0; k < G_N_ELEMENTS (send); k++)
      {
        char byte;
        Call in = { .buffer = &byte, .length = 1, .deadline = -1 };
        Call out = { .buffer = bytes, .length = length, .deadline = -1 };
        int s[2], h_in, h_out;

        make_pair (s);
        in.s = out.s = s[0];
        fill_connection (s[0]);
        h_in = start_call (receive[i], &in);
        h_out = start_call (send[k], &out);
        g_assert_no_errno (dill_hclose (s[0]));
        g_assert_false (in.is_done || out.is_done); /* closing only queues them */
        finish_call (h_in, &in);
        finish_call (h_out, &out);
        assert_call_errno (in, ECANCELED);
        assert_call_errno (out, ECANCELED);
        g_assert_no_errno (dill_hclose (s[1]));
      }
}

/* The handle is closed when the waiter was woken because there are bytes, but has not run. */
static void
test_closed_early (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const DillFunc receive[] = { call_brecv, call_brecv_some, call_recvfd };

  for (guint i = 0; i < G_N_ELEMENTS (receive); i++)
    {
      char bytes[4];
      Call call;
      int s[2];

      receive_early (close_handle, receive[i], &call, bytes, s);
      assert_call_errno (call, ECANCELED);
      g_assert_cmpmem (bytes, 4, "....", 4);
      g_assert_no_errno (dill_hclose (s[1]));
    }
}

static void
test_closed_sender_early (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Call call;
  int s[2];

  send_early (close_handle, &call, s);
  assert_call_errno (call, ECANCELED);
  g_assert_no_errno (dill_hclose (s[1]));
}

static void
close_and_reuse (int s)
{
  int others[2];

  /* The same descriptor numbers, with bytes in them at once. */
  g_assert_no_errno (dill_hclose (s));
  g_assert_no_errno (dill_ipc_pair (others));
  g_assert_no_errno (dill_bsend (others[0], "other", 5, 0));
  g_assert_no_errno (dill_bsend (others[1], "other", 5, 0));
  for (guint i = 0; i < 2; i++)
    {
      char bytes[5];

      g_assert_no_errno (dill_brecv (others[i], bytes, 5, soon ()));
      g_assert_no_errno (dill_hclose (others[i]));
    }
}

static void
test_closed_and_number_reused (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  for (guint i = 0; i < 20; i++)
    {
      char bytes[4];
      Call call;
      int s[2];

      receive_early (close_and_reuse, call_brecv, &call, bytes, s);
      assert_call_errno (call, ECANCELED);
      g_assert_cmpmem (bytes, 4, "....", 4);
      g_assert_no_errno (dill_hclose (s[1]));
    }
}

/* In a cancelled coroutine: receives fail at entry and harm nothing, sends have one attempt. */
typedef struct
{
  int s;
  int full;
  bool is_done;
} Last;

static void
use_after_cancellation (void *data)
{
  Last *last = data;
  char byte;

  test_assert_errno (dill_msleep (-1), ECANCELED);
  test_assert_errno (dill_brecv (last->s, &byte, 1, -1), ECANCELED);
  test_assert_errno (dill_brecv (last->s, NULL, 1, 0), ECANCELED);
  test_assert_errno (dill_brecv_some (last->s, &byte, 1, -1), ECANCELED);
  test_assert_errno (dill_ipc_recvfd (last->s, -1), ECANCELED);
  test_assert_errno (dill_ipc_sendfd (last->full, STDIN_FILENO, -1), ECANCELED);
  test_assert_errno (dill_bsend (last->full, "x", 1, -1), ECANCELED);
  test_assert_errno (dill_bsend (last->full, "x", 1, -1), ECONNRESET);
  g_assert_no_errno (dill_bsend (last->s, "ab", 2, -1));
  g_assert_no_errno (dill_ipc_sendfd (last->s, STDIN_FILENO, -1));
  g_assert_no_errno (dill_ipc_done (last->s, -1));
  last->is_done = true;
}

static void
test_canceled_coroutine (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Last last = { .is_done = false };
  int s[2], full[2], h;
  char bytes[2];

  make_pair (s);
  make_pair (full);
  last.s = s[0];
  last.full = full[0];
  fill_connection (full[0]);
  g_assert_no_errno (dill_bsend (s[1], "yz", 2, soon ()));
  h = test_assert_ok (dill_spawn (use_after_cancellation, &last));
  g_assert_no_errno (dill_hclose (h));
  g_assert_true (last.is_done);

  g_assert_no_errno (dill_brecv (s[0], bytes, 2, soon ()));
  g_assert_cmpmem (bytes, 2, "yz", 2);
  g_assert_no_errno (dill_brecv (s[1], bytes, 2, soon ()));
  g_assert_cmpmem (bytes, 2, "ab", 2);
  close (test_assert_ok (dill_ipc_recvfd (s[1], soon ())));
  test_assert_errno (dill_brecv (s[1], bytes, 1, soon ()), EPIPE);
  close_pair (s);
  close_pair (full);
}

/* One attempt means the kernel is asked, though the last time it had no room, and nobody has looked since. */
static void
send_after_cancellation (void *data)
{
  Call *call = data;

  test_assert_errno (dill_msleep (-1), ECANCELED);
  call_bsend (call);
}

static void
test_canceled_attempt_asks_kernel (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Call call = { .buffer = (char *) "x", .length = 1, .deadline = -1 };
  int s[2], h;
  gsize n;

  make_pair (s);
  call.s = s[0];
  n = fill_connection (s[0]);
  h = start_call (send_after_cancellation, &call);
  for (gsize i = 0; i < n; i++)
    close (test_assert_ok (dill_ipc_recvfd (s[1], 0)));
  g_assert_no_errno (dill_hclose (h));
  g_assert_true (call.is_done);
  g_assert_cmpint (call.result, ==, 0);
  close_pair (s);
}

/* A deadline of 0 asks the kernel too. */
static void
test_try_asks_kernel (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  int64_t deadline = GPOINTER_TO_SIZE (data);
  char bytes[2];
  int s[2];

  make_pair (s);
  for (guint i = 0; i < 3; i++)
    {
      test_assert_errno (dill_brecv_some (s[0], bytes, 2, deadline), ETIMEDOUT);
      test_assert_errno (dill_ipc_recvfd (s[0], deadline), ETIMEDOUT);
      g_assert_no_errno (dill_bsend (s[1], "ab", 2, deadline));
      g_assert_no_errno (dill_brecv (s[0], bytes, 2, deadline));
      g_assert_cmpmem (bytes, 2, "ab", 2);
      g_assert_no_errno (dill_ipc_sendfd (s[1], STDIN_FILENO, deadline));
      close (test_assert_ok (dill_ipc_recvfd (s[0], deadline)));
    }
  close_pair (s);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/waiters/second/receiver", test_second_receiver);
  test_add ("/waiters/second/sender", test_second_sender);
  test_add ("/waiters/second/descriptor-sender", test_second_descriptor_sender);
  test_add ("/waiters/second/receiver-when-first-is-woken", test_second_receiver_early);
  test_add ("/waiters/second/sender-when-first-is-woken", test_second_sender_early);
  test_add ("/waiters/closed/waiting", test_closed_while_waiting);
  test_add ("/waiters/closed/receiver-woken", test_closed_early);
  test_add ("/waiters/closed/sender-woken", test_closed_sender_early);
  test_add ("/waiters/closed/number-reused", test_closed_and_number_reused);
  test_add ("/waiters/canceled/coroutine", test_canceled_coroutine);
  test_add ("/waiters/canceled/attempt-asks-kernel", test_canceled_attempt_asks_kernel);
  test_add_data ("/waiters/try-asks-kernel/zero", GSIZE_TO_POINTER (0), test_try_asks_kernel);
  test_add_data ("/waiters/try-asks-kernel/past", GSIZE_TO_POINTER (1), test_try_asks_kernel);
  return g_test_run ();
}
