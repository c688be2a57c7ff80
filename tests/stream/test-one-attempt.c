/* test-one-attempt.c: transfers that may not wait, for their deadline or since their coroutine is cancelled.
 *
 * Pins: they have one attempt, which asks the kernel, though it had nothing or no room the last time and nobody has
 * looked since; in a cancelled coroutine that goes for sends, while receives fail at entry and harm nothing.
 *
 * Relies on IPC connections as the streams.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

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
  test_add ("/one-attempt/canceled/coroutine", test_canceled_coroutine);
  test_add ("/one-attempt/canceled/attempt-asks-kernel", test_canceled_attempt_asks_kernel);
  test_add_data ("/one-attempt/try-asks-kernel/zero", GSIZE_TO_POINTER (0), test_try_asks_kernel);
  test_add_data ("/one-attempt/try-asks-kernel/past", GSIZE_TO_POINTER (1), test_try_asks_kernel);
  return g_test_run ();
}
