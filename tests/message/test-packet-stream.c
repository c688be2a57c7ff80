/* test-packet-stream.c: docs/examples/sealed/packet-stream.c, a byte stream of a program's own on top of messages.
 *
 * Pins: a stack of four protocols, two of them the program's own, carries what a connection does, and is closed by its
 * topmost handle; the stream has the errnos of an IPC connection, and is left in peace by what fails to be put on it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "packet-stream.h"
#include "sealed-utils.h"

#define AMOUNT 1000000

static void
make_stream_pair (int s[2])
{
  make_sealed_pair (s);
  s[0] = test_assert_ok (packet_stream_attach (s[0]));
  s[1] = test_assert_ok (packet_stream_attach (s[1]));
}

/* --- Bytes --- */

static gsize
random_length (GRand *random, gsize max)
{
  gsize length = (gsize) g_rand_int_range (random, 0, 50000);

  return MIN (length, max);
}

static void
send_amount (void *data)
{
  Call *call = data;
  g_autofree guint8 *bytes = g_malloc (AMOUNT);
  g_autoptr (GRand) random = g_rand_new_with_seed (1);
  gsize length;

  fill_bytes (bytes, AMOUNT, 0);
  for (gsize done = 0; done < AMOUNT; done += length)
    {
      length = random_length (random, AMOUNT - done);
      g_assert_no_errno (dill_bsend (call->s, bytes + done, length, soon ()));
    }
  call_done (call, 0);
}

/* Sizes of all kinds, in lists of two items, and some of the bytes skipped. */
static void
test_bytes (void)
{
  g_autofree guint8 *bytes = g_malloc (100000);
  g_autoptr (GRand) random = g_rand_new_with_seed (2);
  Call call = { 0 };
  int s[2], h;

  make_stream_pair (s);
  call.s = s[0];
  h = start_call (send_amount, &call);
  for (gsize done = 0; done < AMOUNT;)
    {
      gsize length = random_length (random, (AMOUNT - done) / 2), rest = (AMOUNT - done) % 2;
      bool skips = g_rand_boolean (random);
      struct dill_iolist last = { bytes + length, length + rest, NULL, 0 };
      struct dill_iolist first = { skips ? NULL : bytes, length, &last, 0 };

      g_assert_no_errno (dill_brecvl (s[1], &first, &last, soon ()));
      if (!skips)
        check_bytes (bytes, length, done);
      check_bytes (bytes + length, length + rest, done + length);
      done += 2 * length + rest;
    }
  finish_call (h, &call);
  close_pair (s);
}

/* A protocol of the library's above, and the end of everything by the topmost handle. */
static void
test_stack (void)
{
  char buffer[20];
  int s[2];

  make_stream_pair (s);
  s[0] = test_assert_ok (dill_suffix_attach (s[0], "\r\n", 2));
  s[1] = test_assert_ok (dill_suffix_attach (s[1], "\r\n", 2));
  g_assert_no_errno (dill_msend (s[0], "a line", 6, soon ()));
  g_assert_no_errno (dill_msend (s[0], "", 0, soon ()));
  g_assert_cmpint (dill_mrecv (s[1], buffer, sizeof buffer, soon ()), ==, 6);
  g_assert_cmpint (dill_mrecv (s[1], buffer, sizeof buffer, soon ()), ==, 0);
  g_assert_no_errno (dill_hclose (s[0]));
  test_assert_errno (dill_mrecv (s[1], buffer, sizeof buffer, soon ()), EPIPE);
  g_assert_no_errno (dill_hclose (s[1]));
}

/* --- Failures --- */

static void
test_errnos (void)
{
  char buffer[10];
  Call call = { .buffer = buffer, .length = 2, .deadline = soon () };
  int s[2], plain[2], h;

  make_pair (plain);
  test_assert_errno (packet_stream_attach (-1), EBADF);
  test_assert_errno (packet_stream_attach (plain[0]), ENOTSUP);
  test_assert_errno (packet_stream_detach (plain[0]), ENOTSUP);
  g_assert_no_errno (dill_bsend (plain[0], "x", 1, soon ()));
  close_pair (plain);

  make_stream_pair (s);
  call.s = s[0];
  h = start_call (call_brecv, &call);
  test_assert_errno (dill_brecv (s[0], buffer, 1, soon ()), EBUSY);
  test_assert_errno (packet_stream_detach (s[0]), EBUSY);
  g_assert_no_errno (dill_bsend (s[1], "abc", 3, soon ()));
  finish_call (h, &call);
  g_assert_cmpint (call.result, ==, 0);
  test_assert_errno (packet_stream_detach (s[0]), EBUSY); /* "c" is unread */
  g_assert_no_errno (dill_brecv (s[0], buffer, 1, 0));
  test_assert_errno (dill_brecv (s[0], buffer, 1, dill_now () + 1), ETIMEDOUT);
  test_assert_errno (dill_brecv (s[0], buffer, 1, soon ()), ECONNRESET);
  g_assert_no_errno (dill_bsend (s[0], "x", 1, soon ())); /* the other direction works on */

  g_assert_no_errno (dill_hclose (s[0]));
  g_assert_no_errno (dill_brecv (s[1], buffer, 1, soon ()));
  test_assert_errno (dill_brecv (s[1], buffer, 1, soon ()), EPIPE);
  test_assert_errno (dill_brecv (s[1], buffer, 1, soon ()), EPIPE);
  s[1] = test_assert_ok (packet_stream_detach (s[1]));
  g_assert_no_errno (dill_hclose (s[1]));
}

static void
test_closed_while_waiting (void)
{
  char buffer[10];
  Call call = { .buffer = buffer, .length = sizeof buffer, .deadline = soon () };
  int s[2], h;

  make_stream_pair (s);
  call.s = s[0];
  h = start_call (call_brecv, &call);
  g_assert_no_errno (dill_hclose (s[0]));
  finish_call (h, &call);
  assert_call_errno (call, ECANCELED);
  g_assert_no_errno (dill_hclose (s[1]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/packet-stream/bytes", test_bytes);
  g_test_add_func ("/packet-stream/stack", test_stack);
  g_test_add_func ("/packet-stream/errnos", test_errnos);
  g_test_add_func ("/packet-stream/closed-while-waiting", test_closed_while_waiting);

  return g_test_run ();
}
