/* test-channel-end.c: nobody is left waiting at a channel, and nobody is found there who does not wait any more.
 *
 * Whoever closes or finishes an end wakes all who can get nothing more from the channel, and nothing of it is touched
 * once both ends are closed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sync/channel.h"
#include "channel-utils.h"

#include <string.h>

/* --- Those who do not wait any more --- */

typedef struct
{
  gint64 deadline;
  int ch;
  int other;
  Party *parties;
  guint n_parties;
  gboolean all_wait; /* all began to wait before the deadline */
  gboolean looked;
} Observer;

/* Runs when the parties have been woken by their deadline, and have not run. */
static void
look_at_queue (void *data)
{
  Observer *observer = data;
  int value = 1;

  g_assert_no_errno (dill_msleep (observer->deadline));
  if (!observer->all_wait)
    return;
  for (guint i = 0; i < observer->n_parties; i++)
    g_assert_cmpint (observer->parties[i].result, ==, 1);
  g_assert_true (dill_list_is_empty (&dill_channel_get (observer->ch)->receivers));
  test_assert_errno (dill_chsend (observer->other, &value, sizeof value, 0), ETIMEDOUT);
  observer->looked = TRUE;
}

/* Whether the parties began to wait soon enough. */
static gboolean
time_out_together (Fixture *fixture, int64_t milliseconds)
{
  const guint n_parties = 1000 / test_slowdown ();
  gint64 deadline = dill_now () + milliseconds;
  Observer observer
      = { deadline, fixture->ends[0], fixture->ends[1], g_new0 (Party, n_parties), n_parties, FALSE, FALSE };

  g_assert_no_errno (dill_bundle_spawn (fixture->b, look_at_queue, &observer));
  for (guint i = 0; i < n_parties; i++)
    {
      observer.parties[i] = (Party) { fixture->ends[0], DILL_CHRECV, 0, sizeof (int), deadline, 0, 0, NULL, '?' };
      g_assert_no_errno (dill_bundle_spawn (fixture->b, party_act, &observer.parties[i]));
    }
  observer.all_wait = dill_now () < deadline;
  finish (fixture);
  g_assert_cmpint (observer.looked, ==, observer.all_wait);
  for (guint i = 0; i < n_parties; i++)
    assert_party (&observer.parties[i], -1, ETIMEDOUT);
  g_free (observer.parties);
  return observer.all_wait;
}

/* Neither are they found, nor does anybody have to step over them, however many there are. */
static void
test_timed_out_leave_queue (Fixture *fixture, gconstpointer data)
{
  (void) data;
  for (int64_t patience = 20; !time_out_together (fixture, patience); patience = next_patience (patience))
    continue;
}

static void
test_cancellation (Fixture *fixture, gconstpointer data)
{
  Party parties[2];
  int value = 1;

  (void) data;
  party_start (&parties[0], fixture->b, DILL_CHSEND, fixture->ends[0], 1);
  party_start (&parties[1], fixture->b, DILL_CHRECV, fixture->ends[0], 1);
  cancel (fixture);
  assert_party (&parties[0], -1, ECANCELED);
  assert_party (&parties[1], -1, ECANCELED);
  test_assert_errno (dill_chrecv (fixture->ends[1], &value, sizeof value, 0), ETIMEDOUT);
  test_assert_errno (dill_chsend (fixture->ends[1], &value, sizeof value, 0), ETIMEDOUT);
}

/* What was delivered stays delivered, though the receiver has not run when it is cancelled. */
static void
test_delivered_wins (Fixture *fixture, gconstpointer data)
{
  Party receiver, sender;
  int value = 42;

  (void) data;
  party_start (&receiver, fixture->b, DILL_CHRECV, fixture->ends[0], 0);
  g_assert_no_errno (dill_chsend (fixture->ends[1], &value, sizeof value, 0));
  cancel (fixture);
  assert_party (&receiver, 0, 0);
  g_assert_cmpint (receiver.value, ==, 42);

  party_start (&sender, fixture->b, DILL_CHSEND, fixture->ends[0], 43);
  g_assert_no_errno (dill_chrecv (fixture->ends[1], &value, sizeof value, 0));
  close_end (fixture, 0); /* not even that matters to him */
  cancel (fixture);
  assert_party (&sender, 0, 0);
}

static void
use_canceled (void *data)
{
  Fixture *fixture = data;
  char memory[sizeof (struct dill_chstorage)];
  int value = 1, ends[2];

  test_assert_errno (dill_msleep (-1), ECANCELED);
  test_assert_errno (dill_chrecv (fixture->ends[0], &value, sizeof value, 0), ECANCELED);
  test_assert_errno (dill_chsend (fixture->ends[1], &value, sizeof value, -1), ECANCELED);
  test_assert_errno (dill_choose (NULL, 0, -1), ECANCELED);
  test_assert_errno (dill_chmake (ends), ECANCELED);
  test_assert_errno (dill_chmake_mem (memory, ends), ECANCELED);
  g_assert_no_errno (dill_chdone (fixture->ends[0]));
}

static void
test_canceled_at_entry (Fixture *fixture, gconstpointer data)
{
  Party waiting;

  (void) data;
  /* There even is a value to be had. */
  party_start (&waiting, fixture->b, DILL_CHSEND, fixture->ends[1], 1);
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (use_canceled, fixture))));
  g_assert_cmpint (waiting.result, ==, 1);
  cancel (fixture);
}

/* --- Done, and closed --- */

static void
test_done (Fixture *fixture, gconstpointer data)
{
  Party sender, other_sender, receiver, back;
  int value = 1;

  (void) data;
  party_start (&receiver, fixture->b, DILL_CHRECV, fixture->ends[1], 0);
  party_start (&back, fixture->b, DILL_CHRECV, fixture->ends[0], 0);
  g_assert_no_errno (dill_chdone (fixture->ends[0]));
  g_assert_no_errno (dill_yield ());
  assert_party (&receiver, -1, EPIPE);
  g_assert_cmpint (back.result, ==, 1);

  test_assert_errno (dill_chdone (fixture->ends[0]), EPIPE);
  test_assert_errno (dill_chsend (fixture->ends[0], &value, sizeof value, -1), EPIPE);
  test_assert_errno (dill_chrecv (fixture->ends[1], &value, sizeof value, -1), EPIPE);

  /* The other direction is as it was. */
  g_assert_no_errno (dill_chsend (fixture->ends[1], &value, sizeof value, 0));
  finish (fixture);
  assert_party (&back, 0, 0);
  party_start (&sender, fixture->b, DILL_CHSEND, fixture->ends[1], 1);
  party_start (&other_sender, fixture->b, DILL_CHSEND, fixture->ends[1], 2);
  g_assert_no_errno (dill_chdone (fixture->ends[1]));
  finish (fixture);
  assert_party (&sender, -1, EPIPE);
  assert_party (&other_sender, -1, EPIPE);
  test_assert_errno (dill_chrecv (fixture->ends[0], &value, sizeof value, 0), EPIPE);
}

static void
test_close_wakes_all (Fixture *fixture, gconstpointer data)
{
  const guint n = 4;

  (void) data;
  for (guint op = 1; op <= 2; op++)
    {
      Party near[4], far[4];

      for (guint i = 0; i < n; i++)
        {
          party_start (&near[i], fixture->b, (int) op, fixture->ends[0], 0);
          party_start (&far[i], fixture->b, (int) op, fixture->ends[1], 0);
        }
      close_end (fixture, 0);
      g_assert_cmpint (near[0].result, ==, 1); /* nobody has run */
      finish (fixture);
      for (guint i = 0; i < n; i++)
        {
          assert_party (&near[i], -1, ECANCELED);
          assert_party (&far[i], -1, EPIPE);
        }
      close_end (fixture, 1);
      g_assert_no_errno (dill_chmake (fixture->ends));
    }
}

static void
test_other_end_closed (Fixture *fixture, gconstpointer data)
{
  int value = 1;

  (void) data;
  close_end (fixture, 1);
  test_assert_errno (dill_chsend (fixture->ends[0], &value, sizeof value, -1), EPIPE);
  test_assert_errno (dill_chrecv (fixture->ends[0], &value, sizeof value, 0), EPIPE);
  test_assert_errno (dill_chdone (fixture->ends[0]), EPIPE);
}

/* Waiters that have been woken but have yet to run do not look at the memory of a channel that is gone. */
static void
test_memory_is_gone (void)
{
  int b = test_assert_ok (dill_bundle ());
  Party parties[4];

  for (guint offset = 0; offset < 16; offset++)
    {
      char *memory = g_malloc (sizeof (struct dill_chstorage) + 32);
      int ends[2], value = 9;

      memset (memory, 0x5a, sizeof (struct dill_chstorage) + 32);
      g_assert_no_errno (dill_chmake_mem (memory + 16 + offset, ends));
      party_start (&parties[0], b, DILL_CHSEND, ends[0], 7);
      party_start (&parties[1], b, DILL_CHRECV, ends[0], 0);
      party_start (&parties[2], b, DILL_CHSEND, ends[0], 0);
      party_start (&parties[3], b, DILL_CHRECV, ends[0], 0);
      g_assert_no_errno (dill_chrecv (ends[1], &value, sizeof value, 0));
      g_assert_cmpint (value, ==, 7);
      g_assert_no_errno (dill_chsend (ends[1], &value, sizeof value, 0));
      g_assert_no_errno (dill_hclose (ends[offset & 1]));
      g_assert_no_errno (dill_hclose (ends[!(offset & 1)]));

      for (guint i = 0; i < 16 + offset; i++)
        g_assert_cmpint (memory[i], ==, 0x5a);
      for (guint i = 16 + offset + sizeof (struct dill_chstorage); i < sizeof (struct dill_chstorage) + 32; i++)
        g_assert_cmpint (memory[i], ==, 0x5a);
      g_free (memory);
      g_assert_no_errno (dill_bundle_wait (b, soon ()));
      assert_party (&parties[0], 0, 0);
      assert_party (&parties[1], 0, 0);
      g_assert_cmpint (parties[1].value, ==, 7);
      assert_party (&parties[2], -1, offset & 1 ? EPIPE : ECANCELED);
      assert_party (&parties[3], -1, offset & 1 ? EPIPE : ECANCELED);
    }
  g_assert_no_errno (dill_hclose (b));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/channel-end/timed-out-leave-queue", test_timed_out_leave_queue);
  add ("/channel-end/cancellation", test_cancellation);
  add ("/channel-end/delivered-wins", test_delivered_wins);
  add ("/channel-end/canceled-at-entry", test_canceled_at_entry);
  add ("/channel-end/done", test_done);
  add ("/channel-end/close-wakes-all", test_close_wakes_all);
  add ("/channel-end/other-end-closed", test_other_end_closed);
  g_test_add_func ("/channel-end/memory-is-gone", test_memory_is_gone);
  return g_test_run ();
}
