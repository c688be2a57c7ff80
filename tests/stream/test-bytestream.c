/* test-bytestream.c: which bytes bsend (), brecv () and brecv_some () transfer, as dill-stream.h promises.
 *
 * Pins: exactly those come that were asked for, in order, whatever pieces they are asked for in, and a NULL buffer
 * drops exactly so many; brecv_some () gives what there is, and leaves the stream whole; a length of 0 needs no buffer;
 * wrong arguments harm nothing; what needs no waiting is done after the deadline too; and one that is far
 * away never comes.  A function that the program has put into a stream's table sees all that passes, however short.
 *
 * Relies on IPC connections as the streams.  What failures leave behind is in test-bytestream-failures.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

/* Goes through STREAM in pieces of random lengths. */
typedef struct
{
  int s;
  gsize length;
  gsize piece_max;
} Stream;

static gsize
random_length (gsize piece_max, gsize rest)
{
  return (gsize) g_test_rand_int_range (0, (gint) MIN (piece_max, rest) + 1);
}

static void
send_stream (void *data)
{
  Stream *stream = data;
  g_autofree guint8 *piece = g_malloc (stream->piece_max);

  for (gsize done = 0; done < stream->length;)
    {
      gsize n = random_length (stream->piece_max, stream->length - done);

      fill_bytes (piece, n, done);
      g_assert_no_errno (dill_bsend (stream->s, piece, n, soon ()));
      done += n;
    }
  g_assert_no_errno (dill_ipc_done (stream->s, -1));
}

static void
test_exact_bytes (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  gsize piece_max = GPOINTER_TO_SIZE (data);
  Stream out = { .length = MIN (4 * 1000 * 1000, 4000 * piece_max), .piece_max = piece_max };
  g_autofree guint8 *piece = g_malloc (piece_max + 2);
  int s[2], sender;

  make_pair (s);
  out.s = s[0];
  sender = test_assert_ok (dill_spawn (send_stream, &out));
  for (gsize done = 0; done < out.length;)
    {
      gsize n = random_length (piece_max, out.length - done);

      piece[0] = piece[n + 1] = 0xA5;
      g_assert_no_errno (dill_brecv (s[1], piece + 1, n, soon ()));
      check_bytes (piece + 1, n, done);
      g_assert_cmpuint (piece[0] + piece[n + 1], ==, 2 * 0xA5);
      done += n;
    }

  test_assert_errno (dill_brecv (s[1], piece, 1, soon ()), EPIPE);
  g_assert_no_errno (dill_hclose (sender));
  close_pair (s);
}

static void
test_zero_length (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int s[2];
  char byte = 'x';

  make_pair (s);
  g_assert_no_errno (dill_bsend (s[0], NULL, 0, 0));
  g_assert_no_errno (dill_brecv (s[1], NULL, 0, 0));
  g_assert_no_errno (dill_brecv (s[1], &byte, 0, -1));
  test_assert_errno (dill_brecv_some (s[1], &byte, 1, 0), ETIMEDOUT); /* nothing was sent */
  close_pair (s);
}

static void
test_invalid_arguments (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char byte = 'x';
  int s[2];

  make_pair (s);
  test_assert_errno (dill_bsend (s[0], NULL, 1, -1), EINVAL);
  test_assert_errno (dill_bsend (s[0], &byte, (size_t) SSIZE_MAX + 1, -1), EINVAL);
  test_assert_errno (dill_brecv (s[1], &byte, (size_t) SSIZE_MAX + 1, -1), EINVAL);
  test_assert_errno (dill_brecv (s[1], NULL, SIZE_MAX, -1), EINVAL);
  test_assert_errno (dill_brecv_some (s[1], NULL, 1, -1), EINVAL);
  test_assert_errno (dill_brecv_some (s[1], &byte, 0, -1), EINVAL);
  test_assert_errno (dill_brecv_some (s[1], &byte, (size_t) SSIZE_MAX + 1, -1), EINVAL);

  /* None of this has harmed anything. */
  g_assert_no_errno (dill_bsend (s[0], &byte, 1, 0));
  g_assert_no_errno (dill_brecv (s[1], &byte, 1, 0));
  close_pair (s);
}

/* A deadline that has passed before is like 0: what can be done without waiting is done. */
static void
test_past_deadline (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  int64_t deadline = GPOINTER_TO_SIZE (data);
  enum
  {
    LENGTH = 20 * 1000,
    N_ITEMS = 2000
  }; /* 125 system calls, for which a socket has room */
  g_autofree struct dill_iolist *items = g_new0 (struct dill_iolist, N_ITEMS);
  g_autofree guint8 *bytes = g_malloc (LENGTH);
  int s[2];

  make_pair (s);
  for (guint i = 0; i < N_ITEMS; i++)
    items[i] = (struct dill_iolist) { bytes + 10 * i, 10, i + 1 < N_ITEMS ? &items[i + 1] : NULL, 0 };

  /* Often enough for every pause that keeps long transfers fair to fall due. */
  for (guint i = 0; i < 200; i++)
    {
      fill_bytes (bytes, 10, i);
      g_assert_no_errno (dill_bsend (s[0], bytes, 10, deadline));
      g_assert_no_errno (dill_brecv (s[1], bytes, 10, deadline));
      check_bytes (bytes, 10, i);
      g_assert_no_errno (dill_bsend (s[0], bytes, 5, deadline));
      g_assert_cmpint (dill_brecv_some (s[1], bytes, 10, deadline), ==, 5);
    }

  fill_bytes (bytes, LENGTH, 7);
  g_assert_no_errno (dill_bsendl (s[0], &items[0], &items[N_ITEMS - 1], deadline));
  memset (bytes, 0, LENGTH);
  g_assert_no_errno (dill_brecvl (s[1], &items[0], &items[N_ITEMS - 1], deadline));
  check_bytes (bytes, LENGTH, 7);
  test_assert_errno (dill_brecv (s[1], bytes, 1, deadline), ETIMEDOUT);
  close_pair (s);
}

static void
test_brecv_some (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int64_t start = dill_now ();
  char bytes[10];
  Call call = { .buffer = bytes, .length = sizeof bytes, .deadline = -1 };
  int s[2], h;

  make_pair (s);
  call.s = s[1];

  /* Time-outs and cancellation leave the stream whole. */
  test_assert_errno (dill_brecv_some (s[1], bytes, 1, 0), ETIMEDOUT);
  test_assert_errno (dill_brecv_some (s[1], bytes, 1, start), ETIMEDOUT);
  test_assert_errno (dill_brecv_some (s[1], bytes, 1, start + 5), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, start + 5);
  h = start_call (call_brecv_some, &call);
  g_assert_no_errno (dill_hclose (h));
  assert_call_errno (call, ECANCELED);

  g_assert_no_errno (dill_bsend (s[0], "abcdef", 6, 0));
  g_assert_cmpint (dill_brecv_some (s[1], bytes, 2, -1), ==, 2);
  g_assert_cmpmem (bytes, 2, "ab", 2);

  /* What was read ahead comes alone, though more has arrived since; a brecv () joins the two. */
  g_assert_no_errno (dill_bsend (s[0], "ghi", 3, 0));
  g_assert_cmpint (dill_brecv_some (s[1], bytes, sizeof bytes, -1), ==, 4);
  g_assert_cmpmem (bytes, 4, "cdef", 4);
  g_assert_no_errno (dill_brecv (s[1], bytes, 3, 0));
  g_assert_cmpmem (bytes, 3, "ghi", 3);

  g_assert_no_errno (dill_ipc_done (s[0], -1));
  test_assert_errno (dill_brecv_some (s[1], bytes, 1, -1), EPIPE);
  test_assert_errno (dill_brecv_some (s[1], bytes, 1, 0), EPIPE);
  close_pair (s);
}

static void
test_null_buffer (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Stream out = { .length = 1000 * 1000, .piece_max = 40 * 1000 };
  char byte;
  int s[2], sender;

  make_pair (s);
  out.s = s[0];
  sender = test_assert_ok (dill_spawn (send_stream, &out));
  for (gsize done = 0; done < out.length; done += 100 * 1000)
    {
      g_assert_no_errno (dill_brecv (s[1], NULL, 99999, soon ()));
      g_assert_no_errno (dill_brecv (s[1], &byte, 1, soon ()));
      g_assert_cmpuint ((guint8) byte, ==, byte_at (done + 99999));
    }
  test_assert_errno (dill_brecv (s[1], NULL, 1, soon ()), EPIPE);

  /* In the other direction nothing comes. */
  test_assert_errno (dill_brecv (s[0], NULL, 1000, dill_now () + 5), ETIMEDOUT);
  test_assert_errno (dill_brecv (s[0], NULL, 1, soon ()), ECONNRESET);
  g_assert_no_errno (dill_hclose (sender));
  close_pair (s);
}

static void
test_far_deadlines (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const int64_t deadlines[] = { INT64_MAX, INT64_C (100) * 365 * 86400 * 1000, -1, INT64_MIN };

  for (guint i = 0; i < G_N_ELEMENTS (deadlines); i++)
    {
      char byte;
      Call call = { .buffer = &byte, .length = 1, .deadline = deadlines[i] };
      int s[2], h;

      make_pair (s);
      call.s = s[1];
      h = start_call (call_brecv, &call);
      g_assert_no_errno (dill_msleep (dill_now () + 2));
      g_assert_false (call.is_done);
      g_assert_no_errno (dill_bsend (s[0], "a", 1, deadlines[i]));
      finish_call (h, &call);
      g_assert_cmpint (call.result, ==, 0);
      close_pair (s);
    }
}

/* What stood in the tables of a sender and a receiver before, and what has passed since. */
static struct
{
  struct dill_bsock_vfs original;
  gsize n_sent, n_received;
} watched;

static int
watch_bsendl (struct dill_bsock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  watched.n_sent += first->iol_len;
  return watched.original.bsendl (vfs, first, last, deadline);
}

static int
watch_brecvl (struct dill_bsock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  watched.n_received += first->iol_len;
  return watched.original.brecvl (vfs, first, last, deadline);
}

static void
test_replaced_functions (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const gsize lengths[] = { 1, 1024, 1025, 3000 };
  struct dill_bsock_vfs *sender, *receiver;
  guint8 bytes[3000];
  gsize total = 0;
  int s[2];

  make_pair (s);
  sender = dill_hquery (s[0], dill_bsock_type);
  receiver = dill_hquery (s[1], dill_bsock_type);
  watched.original = (struct dill_bsock_vfs) { sender->bsendl, receiver->brecvl };
  sender->bsendl = watch_bsendl;
  receiver->brecvl = watch_brecvl;
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      fill_bytes (bytes, lengths[i], total);
      g_assert_no_errno (dill_bsend (s[0], bytes, lengths[i], soon ()));
      memset (bytes, 0xA5, sizeof bytes);
      g_assert_no_errno (dill_brecv (s[1], bytes, lengths[i], soon ()));
      total += lengths[i];
      g_assert_cmpuint (bytes[lengths[i] - 1], ==, byte_at (total - 1));
      g_assert_cmpuint (watched.n_sent, ==, total);
      g_assert_cmpuint (watched.n_received, ==, total);
    }
  close_pair (s);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add_data ("/bytestream/exact-bytes/small", GSIZE_TO_POINTER (7), test_exact_bytes);
  test_add_data ("/bytestream/exact-bytes/medium", GSIZE_TO_POINTER (3000), test_exact_bytes);
  test_add_data ("/bytestream/exact-bytes/around-the-buffer", GSIZE_TO_POINTER (17 * 1024), test_exact_bytes);
  test_add_data ("/bytestream/exact-bytes/large", GSIZE_TO_POINTER (1000 * 1000), test_exact_bytes);
  test_add ("/bytestream/zero-length", test_zero_length);
  test_add ("/bytestream/invalid-arguments", test_invalid_arguments);
  test_add_data ("/bytestream/deadline/zero", GSIZE_TO_POINTER (0), test_past_deadline);
  test_add_data ("/bytestream/deadline/past", GSIZE_TO_POINTER (1), test_past_deadline);
  test_add ("/bytestream/deadline/far", test_far_deadlines);
  test_add ("/bytestream/brecv-some", test_brecv_some);
  test_add ("/bytestream/null-buffer", test_null_buffer);
  test_add ("/bytestream/replaced-functions", test_replaced_functions);
  return g_test_run ();
}
