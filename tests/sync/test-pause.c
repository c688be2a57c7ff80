/* test-pause.c: the pauses in which one who never has to wait lets others have their turns.
 *
 * Whatever is called time after time pauses now and then, unless it cannot wait: for its deadline, or since it was
 * cancelled before.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "pause-utils.h"

#include <sys/ioctl.h>

/* --- Who pauses --- */

/* Everything that can be done so often without waiting, and somebody who wants a turn. */
typedef struct
{
  int stream[2];
  int messages[2];
  int channel[2];
  int b;
  guint n_turns;
} Things;

static void
count_turns (void *data)
{
  while (dill_yield () == 0)
    ++*(guint *) data;
}

static void
send_for_ever (void *data)
{
  Things *things = data;

  dill_chsend (things->channel[1], "x", 1, -1);
}

static void
receive_for_ever (void *data)
{
  Things *things = data;
  char byte;

  dill_chrecv (things->channel[1], &byte, 1, -1);
}

static void
things_init (Things *things)
{
  things->n_turns = 0;
  things->b = test_assert_ok (dill_bundle ());
  make_pair (things->stream);
  make_pair (things->messages);
  g_assert_no_errno (dill_chmake (things->channel));
  for (guint i = 0; i < 2; i++)
    things->messages[i] = test_assert_ok (dill_prefix_attach (things->messages[i], 1, 0));
  g_assert_no_errno (dill_bundle_spawn (things->b, count_turns, &things->n_turns));
}

static void
things_clear (Things *things)
{
  g_assert_no_errno (dill_hclose (things->b));
  close_pair (things->stream);
  close_pair (things->messages);
  close_pair (things->channel);
}

typedef struct
{
  const char *name;
  void (*prepare) (Things *things); /* for one call, with no wait of its own */
  int (*call) (Things *things, gint64 deadline);
} Kind;

static void
prepare_nothing (Things *things G_GNUC_UNUSED)
{
}

static void
prepare_byte (Things *things)
{
  g_assert_no_errno (dill_bsend (things->stream[0], "x", 1, 0));
}

/* The kernel hands out no more at a time than what comes with a descriptor. */
static void
prepare_single_byte (Things *things)
{
  g_assert_no_errno (dill_ipc_sendfd (things->stream[0], STDIN_FILENO, 0));
}

static void
prepare_message (Things *things)
{
  g_assert_no_errno (dill_msend (things->messages[0], "x", 1, 0));
}

static void
prepare_sender (Things *things)
{
  g_assert_no_errno (dill_bundle_spawn (things->b, send_for_ever, things));
}

static void
prepare_receiver (Things *things)
{
  g_assert_no_errno (dill_bundle_spawn (things->b, receive_for_ever, things));
}

static int
do_bsend (Things *things, gint64 deadline)
{
  return dill_bsend (things->stream[0], "x", 1, deadline);
}

static int
do_brecv (Things *things, gint64 deadline)
{
  return dill_brecv (things->stream[1], NULL, 1, deadline);
}

static int
do_brecv_some (Things *things, gint64 deadline)
{
  char byte;

  return (int) dill_brecv_some (things->stream[1], &byte, 1, deadline);
}

static int
do_msend (Things *things, gint64 deadline)
{
  return dill_msend (things->messages[0], "x", 1, deadline);
}

static int
do_mrecv (Things *things, gint64 deadline)
{
  return (int) dill_mrecv (things->messages[1], NULL, 1, deadline);
}

static int
do_chsend (Things *things, gint64 deadline)
{
  return dill_chsend (things->channel[0], "x", 1, deadline);
}

static int
do_chrecv (Things *things, gint64 deadline)
{
  char byte;

  return dill_chrecv (things->channel[0], &byte, 1, deadline);
}

static int
do_choose (Things *things, gint64 deadline)
{
  char byte;
  struct dill_chclause clause = { DILL_CHRECV, things->channel[0], &byte, 1 };

  return dill_choose (&clause, 1, deadline);
}

static int
do_fdout (Things *things G_GNUC_UNUSED, gint64 deadline)
{
  return dill_fdout (STDERR_FILENO, deadline);
}

static const Kind kinds[] = {
  { "bsend", prepare_nothing, do_bsend },
  { "brecv", prepare_byte, do_brecv },
  { "brecv-some", prepare_single_byte, do_brecv_some },
  { "brecv-some-buffered", prepare_byte, do_brecv_some },
  { "msend", prepare_nothing, do_msend },
  { "mrecv", prepare_message, do_mrecv },
  { "chsend", prepare_receiver, do_chsend },
  { "chrecv", prepare_sender, do_chrecv },
  { "choose", prepare_sender, do_choose },
  { "fdout", prepare_nothing, do_fdout },
};

static void
test_lets_others_go (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Kind *kind = data;
  const gint64 deadlines[] = { 0, 1, -1, soon () };

  for (guint i = 0; i < G_N_ELEMENTS (deadlines); i++)
    {
      Things things;

      things_init (&things);
      for (guint j = 0; j < N_CALLS; j++)
        kind->prepare (&things);
      be_busy ();
      for (guint j = 0; j < N_CALLS; j++)
        test_assert_ok (kind->call (&things, deadlines[i]));
      if (i < 2)
        g_assert_cmpuint (things.n_turns, ==, 0); /* who must not wait does not pause */
      else
        g_assert_cmpuint (things.n_turns, >, 0);
      things_clear (&things);
    }
}

/* In transfers that take many system calls: a list of many items, and bytes that come with a descriptor each. */
static void
test_within_a_transfer (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  enum { N = 100 };
  g_autofree struct dill_iolist *items = make_items ();
  Things things;

  things_init (&things);
  be_busy ();
  g_assert_no_errno (dill_bsendl (things.stream[0], &items[0], &items[N_ITEMS - 1], -1));
  g_assert_cmpuint (things.n_turns, >, 0);

  send_single_bytes (things.stream[1], N);
  be_busy ();
  things.n_turns = 0;
  g_assert_no_errno (dill_brecv (things.stream[0], NULL, N, -1));
  g_assert_cmpuint (things.n_turns, >, 0);
  things_clear (&things);
}

/* How much of a message has been sent when others have their next turn. */
typedef struct
{
  int peer;
  int there;
} Look;

static void
look_in_next_turn (void *data)
{
  Look *look = data;

  g_assert_no_errno (dill_yield ());
  g_assert_no_errno (ioctl (look->peer, FIONREAD, &look->there));
}

/* A message of many parts is one transfer. */
static void
test_within_a_message (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree struct dill_iolist *items = make_items ();
  Look look;
  int s, h;

  make_half_pair (&s, &look.peer);
  s = test_assert_ok (dill_suffix_attach (s, "\n", 1));
  h = test_assert_ok (dill_spawn (look_in_next_turn, &look));
  be_busy ();
  g_assert_no_errno (dill_msendl (s, &items[0], &items[N_ITEMS - 1], -1));
  g_assert_no_errno (dill_bundle_wait (h, -1));
  g_assert_cmpint (look.there, >, 0);
  g_assert_cmpint (look.there, <, N_ITEMS);
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (s));
  close (look.peer);
}

/* --- No time for a pause --- */

/* However long ago the deadline was, what can be done without waiting is done, in as many system calls as it takes. */
static void
test_past_deadline (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree struct dill_iolist *items = make_items ();
  Things things;

  things_init (&things);
  be_busy ();
  things.n_turns = 0;
  g_assert_no_errno (dill_bsendl (things.stream[0], &items[0], &items[N_ITEMS - 1], dill_now () - 1));
  send_single_bytes (things.stream[1], N_CALLS);
  be_busy ();
  g_assert_no_errno (dill_brecv (things.stream[0], NULL, N_CALLS, dill_now () - 1));
  g_assert_cmpuint (things.n_turns, ==, 0);
  things_clear (&things);
}

static void
send_after_cancellation (void *data)
{
  g_autofree struct dill_iolist *items = make_items ();
  Call *call = data;

  test_assert_errno (dill_msleep (-1), ECANCELED);
  be_busy ();

  /* What one system call can do is done, and so is the rest, whether there would be time to wait or not. */
  g_assert_no_errno (dill_bsendl (call->s, &items[0], &items[N_ITEMS - 1], 0));
  g_assert_no_errno (dill_bsend (call->s, "x", 1, -1));
  send_many (call);
}

/* One who is cancelled before has one attempt, which no pause cuts short. */
static void
test_canceled_before (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Call call = { .s = -1 };
  char bytes[2 * N_ITEMS + 1];
  int s[2];

  make_pair (s);
  call.s = s[0];
  g_assert_no_errno (dill_hclose (start_call (send_after_cancellation, &call)));
  g_assert_true (call.is_done);
  g_assert_cmpint (call.result, ==, 0);
  g_assert_no_errno (dill_brecv (s[1], bytes, sizeof bytes, 0));
  close_pair (s);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autofree char *path = g_strconcat ("/pause/lets-others-go/", kinds[i].name, NULL);

      test_add_data (path, &kinds[i], test_lets_others_go);
    }
  test_add ("/pause/within-a-transfer", test_within_a_transfer);
  test_add ("/pause/within-a-message", test_within_a_message);
  test_add ("/pause/past-deadline", test_past_deadline);
  test_add ("/pause/canceled/before", test_canceled_before);
  return g_test_run ();
}
