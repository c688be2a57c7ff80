/* test-canceled.c: where nobody may wait any more, in a cancelled coroutine and in the close function of an object,
 * what makes something, receives or waits fails at entry, though it would not have to wait; the rest works.
 *
 * IPC's own functions are in ipc/test-misuse.c and ipc/test-close-interrupted.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

/* What is tried, and something of every kind to try it on.  Nothing of it would have to wait. */
typedef struct
{
  struct dill_hvfs hvfs; /* an object whose close function tries */
  int connection;
  int peer;
  int messages; /* with a message to receive */
  int message_peer;
  int channel[2]; /* somebody sends to [0] */
  int empty;      /* a bundle */
  int full;
  int fd; /* has something to read */
  int spare;
  guint n_started;
  bool is_done;
} Things;

static dill_coroutine void
count_start (void *data)
{
  ++*(guint *) data;
}

static void
send_value (void *data)
{
  dill_chsend (((Things *) data)->channel[1], "x", 1, -1);
}

static void
try_to_make (Things *things)
{
  static char stack[65536];
  char mem[256];
  int ends[2];

  test_assert_errno (dill_bundle (), ECANCELED);
  test_assert_errno (dill_bundle_mem (mem), ECANCELED);
  test_assert_errno (dill_chmake (ends), ECANCELED);
  test_assert_errno (dill_chmake_mem (mem, ends), ECANCELED);
  test_assert_errno (dill_hmake (&things->hvfs), ECANCELED);
  test_assert_errno (dill_prefix_attach (things->connection, 2, 0), ECANCELED);
  test_assert_errno (dill_prefix_attach_mem (things->connection, 2, 0, mem), ECANCELED);
  test_assert_errno (dill_suffix_attach (things->connection, "\n", 1), ECANCELED);
  test_assert_errno (dill_suffix_attach_mem (things->connection, "\n", 1, mem), ECANCELED);

  test_assert_errno (dill_spawn (count_start, &things->n_started), ECANCELED);
  test_assert_errno (dill_bundle_spawn (things->empty, count_start, &things->n_started), ECANCELED);
  test_assert_errno (dill_go (count_start (&things->n_started)), ECANCELED);
  test_assert_errno (dill_go_mem (count_start (&things->n_started), stack, sizeof stack), ECANCELED);
  test_assert_errno (dill_bundle_go (things->empty, count_start (&things->n_started)), ECANCELED);
  test_assert_errno (dill_bundle_go_mem (things->empty, count_start (&things->n_started), stack, sizeof stack),
                     ECANCELED);
  g_assert_cmpuint (things->n_started, ==, 0);
}

static void
try_to_wait (Things *things)
{
  char byte = 'x';
  struct dill_iolist item = { &byte, 1, NULL, 0 };
  struct dill_chclause clause = { DILL_CHRECV, things->channel[0], &byte, 1 };

  for (int64_t deadline = -1; deadline <= 1; deadline++)
    {
      test_assert_errno (dill_msleep (deadline), ECANCELED);
      test_assert_errno (dill_bundle_wait (things->empty, deadline), ECANCELED);
      test_assert_errno (dill_bundle_wait (things->full, deadline), ECANCELED);
      test_assert_errno (dill_fdin (things->fd, deadline), ECANCELED);
      test_assert_errno (dill_fdout (STDOUT_FILENO, deadline), ECANCELED);
      test_assert_errno (dill_chrecv (things->channel[0], &byte, 1, deadline), ECANCELED);
      test_assert_errno (dill_chsend (things->channel[0], &byte, 1, deadline), ECANCELED);
      test_assert_errno (dill_choose (&clause, 1, deadline), ECANCELED);
      test_assert_errno (dill_choose (NULL, 0, deadline), ECANCELED);
      test_assert_errno (dill_brecv (things->connection, &byte, 1, deadline), ECANCELED);
      test_assert_errno (dill_brecvl (things->connection, &item, &item, deadline), ECANCELED);
      test_assert_errno (dill_brecv_some (things->connection, &byte, 1, deadline), ECANCELED);
      test_assert_errno (dill_mrecv (things->messages, &byte, 1, deadline), ECANCELED);
      test_assert_errno (dill_mrecvl (things->messages, &item, &item, deadline), ECANCELED);
    }
  test_assert_errno (dill_yield (), ECANCELED);
  g_assert_cmpint (byte, ==, 'x');
}

static void
do_what_works (Things *things)
{
  char text[] = "ab";
  struct dill_iolist item = { text, 2, NULL, 0 };

  g_assert_no_errno (dill_bsend (things->connection, text, 2, -1));
  g_assert_no_errno (dill_bsendl (things->connection, &item, &item, -1));
  g_assert_no_errno (dill_msend (things->messages, text, 2, -1));
  g_assert_no_errno (dill_msendl (things->messages, &item, &item, -1));
  g_assert_no_errno (dill_chdone (things->channel[0]));
  g_assert_nonnull (dill_hquery (things->connection, dill_bsock_type));
  things->connection = test_assert_ok (dill_hown (things->connection));
  g_assert_no_errno (dill_fdclean (things->fd));
  dill_set_name ("canceled");
  g_assert_no_errno (dill_hclose (things->spare));
}

static void
try_everything (Things *things)
{
  try_to_make (things);
  try_to_wait (things);
  do_what_works (things);
  things->is_done = true;
}

static void
things_close (struct dill_hvfs *hvfs)
{
  try_everything ((Things *) hvfs);
}

static void
things_init (Things *things)
{
  int fds[2], messages[2], connection[2];

  *things = (Things) { .hvfs = { query_nothing, things_close } };
  make_pair (connection);
  things->connection = connection[0];
  things->peer = connection[1];
  make_pair (messages);
  for (guint i = 0; i < 2; i++)
    messages[i] = test_assert_ok (dill_prefix_attach (messages[i], 1, 0));
  things->messages = messages[0];
  things->message_peer = messages[1];
  g_assert_no_errno (dill_chmake (things->channel));
  things->empty = test_assert_ok (dill_bundle ());
  things->full = test_assert_ok (dill_bundle ());
  things->spare = test_assert_ok (dill_spawn (sleep_for_ever, NULL));
  g_assert_no_errno (dill_bundle_spawn (things->full, send_value, things));
  g_assert_no_errno (dill_bsend (things->peer, "yz", 2, 0));
  g_assert_no_errno (dill_msend (things->message_peer, "y", 1, 0));
  g_assert_no_errno (pipe (fds));
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  close (fds[1]);
  things->fd = fds[0];
}

/* What was sent has arrived, and what was not received still can be. */
static void
things_clear (Things *things)
{
  char bytes[4];

  g_assert_true (things->is_done);
  g_assert_no_errno (dill_brecv (things->peer, bytes, 4, 0));
  g_assert_cmpmem (bytes, 4, "abab", 4);
  g_assert_no_errno (dill_brecv (things->connection, bytes, 2, 0));
  g_assert_cmpmem (bytes, 2, "yz", 2);
  for (guint i = 0; i < 2; i++)
    g_assert_cmpint (dill_mrecv (things->message_peer, bytes, 2, 0), ==, 2);
  g_assert_cmpint (dill_mrecv (things->messages, bytes, 2, 0), ==, 1);
  g_assert_no_errno (dill_chrecv (things->channel[0], bytes, 1, 0));
  g_assert_cmpint (bytes[0], ==, 'x');
  test_assert_errno (dill_hclose (things->spare), EBADF);
  g_assert_no_errno (dill_hclose (things->empty));
  g_assert_no_errno (dill_hclose (things->full));
  for (guint i = 0; i < 2; i++)
    g_assert_no_errno (dill_hclose (things->channel[i]));
  g_assert_no_errno (dill_hclose (things->connection));
  g_assert_no_errno (dill_hclose (things->peer));
  g_assert_no_errno (dill_hclose (things->messages));
  g_assert_no_errno (dill_hclose (things->message_peer));
  close (things->fd);
}

static void
try_when_canceled (void *data)
{
  test_assert_errno (dill_msleep (-1), ECANCELED);
  try_everything (data);
}

static void
test_coroutine (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Things things;

  things_init (&things);
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (try_when_canceled, &things))));
  things_clear (&things);
}

static void
close_things (void *data)
{
  Things *things = data;
  int h = test_assert_ok (dill_hmake (&things->hvfs));

  g_assert_no_errno (dill_hclose (h));
  g_assert_true (things->is_done);
  g_assert_no_errno (dill_yield ()); /* it is over */
}

static void
test_close (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Things things;

  things_init (&things);
  close_things (&things);
  things_clear (&things);
}

static void
test_close_in_coroutine (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Things things;
  int h;

  things_init (&things);
  h = test_assert_ok (dill_spawn (close_things, &things));
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  things_clear (&things);
}

/* The end of a byte stream of the program's own, beneath a protocol of the library's, is such a place too. */
static void
query_and_close (struct dill_hvfs *hvfs)
{
  things_close (hvfs);
}

static int
never_transfer (struct dill_bsock_vfs *vfs G_GNUC_UNUSED, struct dill_iolist *first G_GNUC_UNUSED,
                struct dill_iolist *last G_GNUC_UNUSED, int64_t deadline G_GNUC_UNUSED)
{
  g_assert_not_reached ();
}

static struct dill_bsock_vfs stream = { never_transfer, never_transfer };

static void *
query_stream (struct dill_hvfs *hvfs, const void *type)
{
  return type == dill_bsock_type ? &stream : query_nothing (hvfs, type);
}

static void
test_close_beneath (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Things things;
  int h;

  things_init (&things);
  things.hvfs = (struct dill_hvfs) { query_stream, query_and_close };
  h = test_assert_ok (dill_prefix_attach (test_assert_ok (dill_hmake (&things.hvfs)), 2, 0));
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_msleep (dill_now () + 1));
  things_clear (&things);
}

/* A callback of a loop that such a coroutine runs is not the coroutine. */
static gboolean
wait_in_callback (gpointer data)
{
  GMainLoop *loop = data;

  g_assert_no_errno (dill_msleep (dill_now () + 2));
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (sleep_for_ever, NULL))));
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

static void
run_loop_when_canceled (void *data)
{
  GMainLoop *loop = data;

  test_assert_errno (dill_msleep (-1), ECANCELED);
  g_idle_add (wait_in_callback, loop);
  g_main_loop_run (loop);
  test_assert_errno (dill_yield (), ECANCELED);
}

static void
test_loop (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  TestLimit limit;

  test_limit_begin (&limit, NULL, "the loop in a cancelled coroutine");
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (run_loop_when_canceled, loop))));
  test_limit_end (&limit);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/canceled/coroutine", test_coroutine);
  test_add ("/canceled/close", test_close);
  test_add ("/canceled/close-in-coroutine", test_close_in_coroutine);
  test_add ("/canceled/close-beneath", test_close_beneath);
  test_add ("/canceled/loop", test_loop);
  return g_test_run ();
}
