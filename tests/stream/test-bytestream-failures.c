/* test-bytestream-failures.c: what each way in which bsend () and brecv () fail leaves behind.
 *
 * Pins: a time-out or a cancellation breaks its own direction, for all that uses it, and leaves the other one whole;
 * the end of the stream is EPIPE, in the middle of a receive too, comes after all that was sent before it, and wakes
 * who waits; a peer that is gone is ECONNRESET to who sends, waiting or not, and no signal; after dill_ipc_done ()
 * sending is EPIPE, and receiving goes on.
 *
 * Relies on IPC connections as the streams.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

/* One direction of the handle BROKEN is broken, whatever uses it; the other goes on. */
static void
check_only_in_is_broken (int broken, int peer)
{
  char byte = 'x';

  test_assert_errno (dill_brecv (broken, &byte, 1, soon ()), ECONNRESET);
  test_assert_errno (dill_brecv (broken, NULL, 1, 0), ECONNRESET);
  test_assert_errno (dill_brecv_some (broken, &byte, 1, soon ()), ECONNRESET);
  test_assert_errno (dill_ipc_recvfd (broken, soon ()), ECONNRESET);

  g_assert_no_errno (dill_bsend (broken, "ok", 2, soon ()));
  g_assert_no_errno (dill_brecv (peer, &byte, 1, soon ()));
  g_assert_cmpint (byte, ==, 'o');
  g_assert_no_errno (dill_ipc_done (broken, -1));
}

static void
check_only_out_is_broken (int broken, int peer)
{
  char byte = 'x';

  test_assert_errno (dill_bsend (broken, &byte, 1, soon ()), ECONNRESET);
  test_assert_errno (dill_ipc_sendfd (broken, STDIN_FILENO, soon ()), ECONNRESET);
  test_assert_errno (dill_ipc_done (broken, soon ()), ECONNRESET);

  g_assert_no_errno (dill_bsend (peer, "ok", 2, soon ()));
  g_assert_no_errno (dill_brecv (broken, &byte, 1, soon ()));
  g_assert_cmpint (byte, ==, 'o');
}

static void
test_brecv_time_out (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  int64_t milliseconds = GPOINTER_TO_SIZE (data);
  int64_t start = dill_now ();
  char bytes[3];
  int s[2];

  make_pair (s);
  g_assert_no_errno (dill_bsend (s[1], "ab", 2, soon ()));
  test_assert_errno (dill_brecv (s[0], bytes, 3, milliseconds > 0 ? start + milliseconds : 0), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, start + milliseconds);
  check_only_in_is_broken (s[0], s[1]);
  close_pair (s);
}

static void
test_brecv_canceled (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char bytes[3];
  Call call = { .buffer = bytes, .length = 3, .deadline = -1 };
  int s[2], h;

  make_pair (s);
  call.s = s[0];
  g_assert_no_errno (dill_bsend (s[1], "ab", 2, soon ()));
  h = start_call (call_brecv, &call);
  g_assert_no_errno (dill_hclose (h));
  assert_call_errno (call, ECANCELED);
  check_only_in_is_broken (s[0], s[1]);
  close_pair (s);
}

static void
test_bsend_time_out (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  int64_t milliseconds = GPOINTER_TO_SIZE (data);
  int64_t start = dill_now ();
  gsize length = 8 * 1000 * 1000;
  g_autofree char *bytes = g_malloc0 (length);
  int s[2];

  make_pair (s);
  test_assert_errno (dill_bsend (s[0], bytes, length, milliseconds > 0 ? start + milliseconds : 0), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, start + milliseconds);
  check_only_out_is_broken (s[0], s[1]);
  close_pair (s);
}

/* Makes a pair, and starts to send more on its first handle than a socket has room for.  BYTES are to be freed. */
static int
start_long_bsend (Call *call, char **bytes, int s[2])
{
  gsize length = 8 * 1000 * 1000;
  int h;

  make_pair (s);
  *bytes = g_malloc0 (length);
  *call = (Call) { .s = s[0], .buffer = *bytes, .length = length, .deadline = -1 };
  h = start_call (call_bsend, call);
  g_assert_false (call->is_done);
  return h;
}

static void
test_bsend_canceled (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *bytes = NULL;
  Call call;
  int s[2];
  int h = start_long_bsend (&call, &bytes, s);

  g_assert_no_errno (dill_hclose (h));
  assert_call_errno (call, ECANCELED);
  check_only_out_is_broken (s[0], s[1]);
  close_pair (s);
}

static void
test_end_of_stream (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool by_closing = GPOINTER_TO_SIZE (data);
  char bytes[10];
  int s[2];

  make_pair (s);
  g_assert_no_errno (dill_bsend (s[0], "abc", 3, 0));
  if (by_closing)
    g_assert_no_errno (dill_hclose (s[0]));
  else
    g_assert_no_errno (dill_ipc_done (s[0], -1));

  g_assert_no_errno (dill_brecv (s[1], bytes, 1, soon ()));
  test_assert_errno (dill_brecv (s[1], bytes, 3, soon ()), EPIPE); /* in the middle */
  test_assert_errno (dill_brecv (s[1], bytes, 1, soon ()), EPIPE);
  test_assert_errno (dill_brecv (s[1], NULL, 1, 0), EPIPE);
  test_assert_errno (dill_ipc_recvfd (s[1], soon ()), EPIPE);
  if (by_closing)
    {
      test_assert_errno (dill_bsend (s[1], "abc", 3, soon ()), ECONNRESET); /* and no SIGPIPE */
      test_assert_errno (dill_ipc_sendfd (s[1], STDIN_FILENO, soon ()), ECONNRESET);
    }
  else
    {
      g_assert_no_errno (dill_bsend (s[1], "abc", 3, soon ()));
      g_assert_no_errno (dill_hclose (s[0]));
    }
  g_assert_no_errno (dill_hclose (s[1]));
}

static void
test_end_wakes_receiver (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char bytes[3];
  Call call = { .buffer = bytes, .length = 3, .deadline = -1 };
  int s[2], h;

  make_pair (s);
  call.s = s[1];
  h = start_call (call_brecv, &call);
  g_assert_no_errno (dill_bsend (s[0], "ab", 2, 0)); /* two events in one: bytes and the end */
  g_assert_no_errno (dill_hclose (s[0]));
  finish_call (h, &call);
  assert_call_errno (call, EPIPE);
  g_assert_no_errno (dill_hclose (s[1]));
}

static void
test_peer_closes_while_sending (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *bytes = NULL;
  Call call;
  int s[2];
  int h = start_long_bsend (&call, &bytes, s);

  g_assert_no_errno (dill_hclose (s[1]));
  finish_call (h, &call);
  assert_call_errno (call, ECONNRESET);
  test_assert_errno (dill_bsend (s[0], bytes, 1, soon ()), ECONNRESET);
  g_assert_no_errno (dill_hclose (s[0]));
}

static void
test_send_after_done (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char bytes[3];
  int s[2];

  make_pair (s);
  g_assert_no_errno (dill_bsend (s[0], "abc", 3, 0));
  g_assert_no_errno (dill_ipc_done (s[0], 0));
  test_assert_errno (dill_bsend (s[0], "abc", 3, soon ()), EPIPE);
  test_assert_errno (dill_bsend (s[0], "", 0, soon ()), EPIPE);
  test_assert_errno (dill_ipc_sendfd (s[0], STDIN_FILENO, soon ()), EPIPE);
  test_assert_errno (dill_ipc_done (s[0], soon ()), EPIPE);
  g_assert_no_errno (dill_brecv (s[1], bytes, 3, soon ()));
  g_assert_no_errno (dill_bsend (s[1], "abc", 3, 0));
  g_assert_no_errno (dill_brecv (s[0], bytes, 3, soon ()));
  close_pair (s);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add_data ("/bytestream-failures/time-out/brecv-at-once", GSIZE_TO_POINTER (0), test_brecv_time_out);
  test_add_data ("/bytestream-failures/time-out/brecv", GSIZE_TO_POINTER (10), test_brecv_time_out);
  test_add_data ("/bytestream-failures/time-out/bsend-at-once", GSIZE_TO_POINTER (0), test_bsend_time_out);
  test_add_data ("/bytestream-failures/time-out/bsend", GSIZE_TO_POINTER (10), test_bsend_time_out);
  test_add ("/bytestream-failures/canceled/brecv", test_brecv_canceled);
  test_add ("/bytestream-failures/canceled/bsend", test_bsend_canceled);
  test_add_data ("/bytestream-failures/end/done", GSIZE_TO_POINTER (false), test_end_of_stream);
  test_add_data ("/bytestream-failures/end/closed", GSIZE_TO_POINTER (true), test_end_of_stream);
  test_add ("/bytestream-failures/end/wakes-receiver", test_end_wakes_receiver);
  test_add ("/bytestream-failures/end/peer-closes-while-sending", test_peer_closes_while_sending);
  test_add ("/bytestream-failures/end/send-after-done", test_send_after_done);
  return g_test_run ();
}
