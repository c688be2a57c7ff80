/* test-message-failures.c: what each way of failing leaves behind of a message socket: deadlines, the end of the
 * stream, two at once, closing, cancellation.
 *
 * Relies on message-utils.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "message-utils.h"

static void
check_in_is_broken (int s, int fd)
{
  char byte;
  struct dill_iolist item = { &byte, 1, NULL, 0 };

  test_assert_errno (dill_mrecv (s, &byte, 1, soon ()), ECONNRESET);
  test_assert_errno (dill_mrecvl (s, &item, &item, soon ()), ECONNRESET);
  test_assert_errno (dill_mrecv (s, NULL, 0, 0), ECONNRESET);
  g_assert_no_errno (dill_msend (s, "ok", 2, 0));
  read_all (fd, &byte, 1);
  g_assert_no_errno (dill_hclose (s));
  close (fd);
}

static void
test_receive_time_out (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  for (guint less = 1; less <= 5; less++)
    for (guint milliseconds = 0; milliseconds <= 5; milliseconds += 5)
      {
        int64_t start = dill_now (), deadline = milliseconds > 0 ? start + milliseconds : 0;
        char buffer[10];
        int s, fd;

        make_half_message_pair (data, &s, &fd);
        write_framed (data, fd, "whole", 0);
        write_framed (data, fd, "half", less);
        g_assert_cmpint (dill_mrecv (s, buffer, sizeof buffer, 0), ==, 5);
        test_assert_errno (dill_mrecv (s, buffer, sizeof buffer, deadline), ETIMEDOUT);
        g_assert_cmpint (dill_now (), >=, start + milliseconds);
        check_in_is_broken (s, fd);
      }
}

/* What is there is received, however long ago the deadline was. */
static void
test_past_deadline (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  guint8 bytes[5000], expected[5000];
  struct dill_iolist item = { bytes, sizeof bytes, NULL, 0 };
  int s[2];

  make_message_pair (data, s);
  fill_message (expected, sizeof expected, 3);
  for (guint i = 0; i < 200; i++)
    {
      int64_t deadline = i & 1;
      gsize length = i % 50 * 100;

      g_assert_no_errno (dill_msend (s[0], expected, length, deadline));
      g_assert_cmpint (dill_mrecv (s[1], bytes, sizeof bytes, deadline), ==, length);
      g_assert_cmpmem (bytes, length, expected, length);
    }
  test_assert_errno (dill_mrecv (s[1], bytes, sizeof bytes, 1), ETIMEDOUT);
  test_assert_errno (dill_mrecvl (s[0], &item, &item, 1), ETIMEDOUT);
  close_pair (s);
}

static void
test_send_time_out (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  gsize length = 8 * 1000 * 1000;
  g_autofree char *bytes = g_malloc0 (length);
  struct dill_iolist item = { bytes, length, NULL, 0 };

  for (guint is_list = 0; is_list < 2; is_list++)
    {
      char buffer[10];
      int s[2];

      make_message_pair (data, s);
      if (is_list)
        test_assert_errno (dill_msendl (s[0], &item, &item, dill_now () + 5), ETIMEDOUT);
      else
        test_assert_errno (dill_msend (s[0], bytes, length, dill_now () + 5), ETIMEDOUT);
      test_assert_errno (dill_msend (s[0], bytes, 1, soon ()), ECONNRESET);
      test_assert_errno (dill_msendl (s[0], &item, &item, soon ()), ECONNRESET);
      test_assert_errno (dill_msend (s[0], NULL, 0, 0), ECONNRESET);
      g_assert_no_errno (dill_msend (s[1], "ok", 2, 0));
      g_assert_cmpint (dill_mrecv (s[0], buffer, sizeof buffer, 0), ==, 2);
      close_pair (s);
    }
}

static void
test_end_of_stream (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  g_autoptr (GByteArray) bytes = framed (data, "half");

  for (guint less = 0; less <= bytes->len; less++)
    {
      char buffer[10];
      struct dill_iolist item = { buffer, sizeof buffer, NULL, 0 };
      int s, fd;

      make_half_message_pair (data, &s, &fd);
      write_framed (data, fd, "whole", 0);
      write_framed (data, fd, "half", less);
      g_assert_no_errno (shutdown (fd, SHUT_WR));
      check_receive (s, "whole");
      if (less == 0)
        check_receive (s, "half");
      if (less == 0 || less == bytes->len)
        {
          test_assert_errno (dill_mrecv (s, buffer, sizeof buffer, soon ()), EPIPE);
          test_assert_errno (dill_mrecv (s, buffer, sizeof buffer, 0), EPIPE);
          test_assert_errno (dill_mrecvl (s, &item, &item, soon ()), EPIPE);
          g_assert_no_errno (dill_hclose (s));
          close (fd);
        }
      else
        {
          test_assert_errno (dill_mrecv (s, buffer, sizeof buffer, soon ()), ECONNRESET);
          check_in_is_broken (s, fd);
        }
    }
}

/* The end comes while a message is being skipped. */
static void
test_end_while_skipping (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  char buffer[2];
  int s, fd;

  make_half_message_pair (data, &s, &fd);
  write_framed (data, fd, "too long", 3);
  g_assert_no_errno (shutdown (fd, SHUT_WR));
  test_assert_errno (dill_mrecv (s, buffer, sizeof buffer, soon ()), ECONNRESET);
  check_in_is_broken (s, fd);
}

static void
test_peer_closes (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  char byte;
  int s[2];

  make_message_pair (data, s);
  g_assert_no_errno (dill_msend (s[0], "last", 4, 0));
  g_assert_no_errno (dill_hclose (s[0])); /* with the connection beneath */
  check_receive (s[1], "last");
  test_assert_errno (dill_msend (s[1], "x", 1, soon ()), ECONNRESET);
  test_assert_errno (dill_msend (s[1], "x", 1, soon ()), ECONNRESET);
  test_assert_errno (dill_mrecv (s[1], &byte, 1, soon ()), EPIPE);
  g_assert_no_errno (dill_hclose (s[1]));
}

/* The end of one's own: a stream on which nothing can be sent any more is none that messages can be sent on. */
static void
test_send_after_done (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Kind *kind = data;
  char byte = 'x';
  struct dill_iolist item = { &byte, 1, NULL, 0 };
  int s, fd;

  make_half_pair (&s, &fd);
  g_assert_no_errno (dill_ipc_done (s, soon ()));
  s = attach_kind (kind, s);
  test_assert_errno (dill_msend (s, &byte, 1, soon ()), EPIPE);
  test_assert_errno (dill_msendl (s, &item, &item, soon ()), EPIPE);
  write_framed (kind, fd, "whole", 0);
  check_receive (s, "whole");
  g_assert_no_errno (dill_hclose (s));
  close (fd);
}

/* SEND is what keeps the socket busy, with BUFFER and LENGTH. */
static void
check_busy (const Kind *kind, DillFunc send, void *buffer, gsize length)
{
  char received[10];
  struct dill_iolist item = { received, 1, NULL, 0 };
  Call out = { .buffer = buffer, .length = length, .deadline = -1 };
  Call in = { .buffer = received, .length = sizeof received, .deadline = -1 };
  int s, fd, sender, receiver;

  make_half_message_pair (kind, &s, &fd);
  out.s = in.s = s;
  sender = start_call (send, &out);
  receiver = start_call (call_mrecv, &in);
  write_framed (kind, fd, "mine", 2);
  g_assert_no_errno (dill_msleep (dill_now () + 2));
  g_assert_false (out.is_done || in.is_done);

  test_assert_errno (dill_msend (s, "x", 1, soon ()), EBUSY);
  test_assert_errno (dill_msendl (s, &item, &item, soon ()), EBUSY);
  test_assert_errno (dill_mrecv (s, received, 1, soon ()), EBUSY);
  test_assert_errno (dill_mrecvl (s, &item, &item, soon ()), EBUSY);
  check_detach_errno (kind, s, EBUSY);

  /* Neither was disturbed. */
  {
    g_autoptr (GByteArray) rest = framed (kind, "mine");

    write_all (fd, rest->data + rest->len - 2, 2);
  }
  finish_call (receiver, &in);
  g_assert_cmpmem (received, in.result, "mine", 4);
  g_assert_no_errno (dill_hclose (sender));
  assert_call_errno (out, ECANCELED);
  test_assert_errno (dill_msend (s, "x", 1, soon ()), ECONNRESET);
  g_assert_no_errno (dill_hclose (s));
  close (fd);
}

static void
test_busy (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  gsize length = 1000 * 1000;
  g_autofree guint8 *bytes = g_malloc (length);
  struct dill_iolist item = { bytes, length, NULL, 0 };

  fill_message (bytes, length, 0);
  check_busy (data, call_msend, bytes, length);
  check_busy (data, call_msendl, &item, 0);
}

/* Closing the handle on which others wait, in memory that is gone then.  The plain stream of the kinds goes too. */
static void
test_close_while_waiting (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Kind *kind = data;
  gsize length = 1000 * 1000;
  g_autofree char *bytes = g_malloc0 (length);
  char buffer[10];
  Call out = { .buffer = bytes, .length = length, .deadline = -1 };
  Call in = { .buffer = buffer, .length = sizeof buffer, .deadline = -1 };
  struct dill_suffix_storage *mem = g_new (struct dill_suffix_storage, 1);
  int s[2], sender, receiver;

  make_pair (s);
  if (kind->is_plain)
    s[0] = plain_attach (s[0], kind->hands_on);
  s[0] = test_assert_ok (kind->is_suffix ? dill_suffix_attach_mem (s[0], MARK, 2, mem)
                                         : dill_prefix_attach_mem (s[0], 4, DILL_PREFIX_BIG_ENDIAN, mem));
  out.s = in.s = s[0];
  sender = start_call (call_msend, &out);
  receiver = start_call (call_mrecv, &in);
  g_assert_no_errno (dill_bsend (s[1], "\0\0", 2, 0));
  g_assert_no_errno (dill_msleep (dill_now () + 2));

  g_assert_no_errno (dill_bsend (s[1], "\0\0", 2, 0)); /* on its way when the handle goes */
  g_assert_no_errno (dill_hclose (s[0]));
  memset (mem, 0xA5, sizeof *mem);
  finish_call (sender, &out);
  finish_call (receiver, &in);
  for (guint i = 0; i < sizeof *mem; i++)
    g_assert_cmpuint (((guint8 *) mem)[i], ==, 0xA5); /* it was the program's again */
  g_free (mem);
  assert_call_errno (out, ECANCELED);
  assert_call_errno (in, ECANCELED);
  g_assert_no_errno (dill_hclose (s[1]));
}

typedef struct
{
  int s;
  int other;
  const Kind *kind;
} Farewell;

static void
say_farewell (void *data)
{
  Farewell *farewell = data;
  char byte;

  test_assert_errno (dill_msleep (-1), ECANCELED);
  g_assert_no_errno (dill_msend (farewell->s, "bye", 3, -1));
  test_assert_errno (dill_mrecv (farewell->s, &byte, 1, -1), ECANCELED);
  test_assert_errno (dill_prefix_attach (farewell->other, 4, 0), ECANCELED);
  test_assert_errno (dill_suffix_attach (farewell->other, MARK, 2), ECANCELED);
  farewell->s = test_assert_ok (detach_kind (farewell->kind, farewell->s));
}

static void
test_canceled (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  char buffer[10];
  Call in = { .buffer = buffer, .length = sizeof buffer, .deadline = -1 };
  Farewell farewell = { .kind = data };
  int s[2], others[2], h, fd;

  make_message_pair (data, s);
  make_pair (others);
  farewell.s = s[0];
  farewell.other = others[0];
  h = test_assert_ok (dill_spawn (say_farewell, &farewell));
  g_assert_no_errno (dill_hclose (h));
  s[0] = farewell.s;
  check_receive (s[1], "bye");
  close_pair (s);
  close_pair (others);

  /* In the middle of a message. */
  make_half_message_pair (data, &in.s, &fd);
  write_framed (data, fd, "half", 1);
  h = start_call (call_mrecv, &in);
  g_assert_no_errno (dill_hclose (h));
  assert_call_errno (in, ECANCELED);
  check_in_is_broken (in.s, fd);
}

typedef struct
{
  int s;      /* a byte from here is the sign */
  int victim; /* a coroutine */
} Closer;

static void
close_at_sign (void *data)
{
  Closer *closer = data;
  char byte;

  g_assert_no_errno (dill_brecv (closer->s, &byte, 1, soon ()));
  g_assert_no_errno (dill_hclose (closer->victim));
}

/* A message that woke its receiver is received, though the receiver is cancelled before its turn comes. */
static void
test_delivered_wins (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  char buffer[10];
  Call in = { .buffer = buffer, .length = sizeof buffer, .deadline = -1 };
  Closer closer;
  int s[2], signs[2], h;

  make_message_pair (data, s);
  make_pair (signs);
  in.s = s[1];
  closer.s = signs[1];
  h = test_assert_ok (dill_spawn (close_at_sign, &closer));
  closer.victim = start_call (call_mrecv, &in);
  g_assert_no_errno (dill_msleep (dill_now () + 1)); /* both are registered */

  /* One poll wakes both, first the one that cancels the other. */
  g_assert_no_errno (dill_bsend (signs[0], "x", 1, 0));
  g_assert_no_errno (dill_msend (s[0], "mine", 4, 0));
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_true (in.is_done);
  g_assert_cmpmem (buffer, in.result, "mine", 4);
  g_assert_no_errno (dill_hclose (h));
  close_pair (s);
  close_pair (signs);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_for_kinds ("/message/time-out/receive", test_receive_time_out);
  add_for_kinds ("/message/time-out/send", test_send_time_out);
  add_for_kinds ("/message/past-deadline", test_past_deadline);
  add_for_kinds ("/message/end/stream", test_end_of_stream);
  add_for_kinds ("/message/end/while-skipping", test_end_while_skipping);
  add_for_kinds ("/message/end/peer-closes", test_peer_closes);
  add_for_kinds ("/message/end/send-after-done", test_send_after_done);
  add_for_kinds ("/message/busy", test_busy);
  add_for_kinds ("/message/close-while-waiting", test_close_while_waiting);
  add_for_kinds ("/message/canceled", test_canceled);
  test_add_data ("/message/delivered-wins/prefix", &kinds[0], test_delivered_wins);
  test_add_data ("/message/delivered-wins/suffix", &kinds[3], test_delivered_wins);
  return g_test_run ();
}
