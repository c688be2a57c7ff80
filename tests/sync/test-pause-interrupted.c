/* test-pause-interrupted.c: what becomes of one who pauses for others, when he is cancelled or the handle is closed.
 *
 * A pause after an operation takes nothing of it back; one in the middle of a transfer is a wait like any other.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "pause-utils.h"

/* --- Cancelled in a pause --- */

/* Takes bytes that all are there: it waits for nothing but the turns of others. */
static void
take_bytes (void *data)
{
  Call *call = data;
  guint8 byte;

  while (dill_brecv (call->s, &byte, 1, -1) == 0)
    {
      g_assert_cmpuint (byte, ==, byte_at (call->length));
      call->length++;
    }
  call_done (call, -1);
}

/* What an operation has done is not taken back by a cancellation in the pause that follows: no byte is lost. */
static void
test_canceled_at_the_end (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  enum { LENGTH = 100 * 1000 };
  g_autofree guint8 *bytes = g_malloc (LENGTH);
  Call call = { .length = 0 };
  guint8 byte;
  int fd;

  make_half_pair (&call.s, &fd);
  fill_bytes (bytes, LENGTH, 0);
  write_all (fd, bytes, LENGTH);
  for (guint i = 0; i < 10; i++)
    {
      int h;

      be_busy ();
      h = start_call (take_bytes, &call);
      g_assert_no_errno (dill_hclose (h));
      assert_call_errno (call, ECANCELED);
      call.is_done = false;
      g_assert_cmpuint (call.length, <, LENGTH); /* it has not waited for more */
      g_assert_no_errno (dill_brecv (call.s, &byte, 1, soon ()));
      g_assert_cmpuint (byte, ==, byte_at (call.length++));
    }
  g_assert_cmpuint (call.length, >, 20);
  g_assert_no_errno (dill_hclose (call.s));
  close (fd);
}

/* In the middle of a long transfer a pause is a wait like any other. */
static void
test_canceled_in_the_middle (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Call call = { .s = -1 };
  char bytes[N_ITEMS];
  int s[2], h;

  make_pair (s);
  call.s = s[0];
  be_busy ();
  h = start_call (send_many, &call);
  g_assert_false (call.is_done);
  g_assert_no_errno (dill_hclose (h));
  assert_call_errno (call, ECANCELED);
  test_assert_errno (dill_bsend (s[0], "x", 1, -1), ECONNRESET);
  g_assert_cmpint (dill_brecv_some (s[1], bytes, sizeof bytes, 0), >, 0); /* what went before the pause */
  close_pair (s);
}

/* --- Closed in a pause --- */

/* Who pauses is still at it: nobody else can, and the end of the handle ends the pause. */
static void
test_closed (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Call in = { .buffer = NULL, .length = 100, .deadline = -1 }, out = { .s = -1 };
  int s[2], sender, receiver;

  make_pair (s);
  in.s = out.s = s[0];
  send_single_bytes (s[1], 100);
  be_busy ();
  sender = start_call (send_many, &out);
  be_busy ();
  receiver = start_call (call_brecv, &in);
  g_assert_false (in.is_done || out.is_done);
  test_assert_errno (dill_bsend (s[0], "x", 1, 0), EBUSY);
  test_assert_errno (dill_brecv (s[0], NULL, 1, 0), EBUSY);
  g_assert_no_errno (dill_hclose (s[0]));
  finish_call (sender, &out);
  finish_call (receiver, &in);
  assert_call_errno (out, ECANCELED);
  assert_call_errno (in, ECANCELED);
  g_assert_no_errno (dill_hclose (s[1]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/pause-interrupted/canceled/at-the-end", test_canceled_at_the_end);
  test_add ("/pause-interrupted/canceled/in-the-middle", test_canceled_in_the_middle);
  test_add ("/pause-interrupted/closed", test_closed);
  return g_test_run ();
}
