/* test-waiters.c: who waits on a connection: one receiver and one sender at a time.
 *
 * Pins: a second one is EBUSY, of whichever kind the two are, also when the first has been woken but has not run, and
 * harms nothing; those who wait learn of the handle's end, and then leave it, and whoever has its number now, alone.
 *
 * Relies on IPC connections as the streams.  Transfers that may not wait are in test-one-attempt.c.
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

/* Lets ACT run on WAITER's connection when its coroutine has been woken but has not run: the event is there when the
 * loop next turns, which looks at the descriptors first, and then runs who is ready in order. */
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
  return g_test_run ();
}
