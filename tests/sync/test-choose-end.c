/* test-choose-end.c: what ends a choice: a channel's end, time, cancellation, the end of a context or a thread.
 *
 * Whatever ends the wait takes all of its clauses away, the end of the stack that they are on included.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "choose-utils.h"

#include <string.h>

/* --- Ends of the wait --- */

static void
test_close (Fixture *fixture, gconstpointer data)
{
  Chooser choosers[2];
  int value = 1;

  (void) data;
  chooser_start (&choosers[0], fixture->b, fixture->clauses, 5);
  chooser_start (&choosers[1], fixture->b, fixture->clauses, N_CHANNELS);
  g_assert_no_errno (dill_hclose (fixture->near[4]));
  fixture->near[4] = -1;
  test_assert_errno (dill_chsend (fixture->far[1], &value, sizeof value, 0), ETIMEDOUT);
  finish (fixture);
  assert_chooser (&choosers[0], 4, ECANCELED);
  assert_chooser (&choosers[1], 4, ECANCELED);
  assert_choice (0, EBADF, &fixture->clauses[4], 1, -1);

  chooser_start (&choosers[0], fixture->b, fixture->clauses, 4);
  g_assert_no_errno (dill_hclose (fixture->far[2]));
  g_assert_no_errno (dill_hclose (fixture->near[2]));
  g_assert_no_errno (dill_chdone (fixture->far[1])); /* too late to matter */
  finish (fixture);
  assert_chooser (&choosers[0], 2, EPIPE);
  assert_choice (1, EPIPE, fixture->clauses, 4, -1);
  fixture->near[2] = -1;
  fixture->far[2] = test_assert_ok (dill_bundle ());
}

static void
test_time_out_and_cancellation (Fixture *fixture, gconstpointer data)
{
  Chooser chooser;
  int value = 1;

  (void) data;
  assert_choice (-1, ETIMEDOUT, fixture->clauses, N_CHANNELS, dill_now () + 2);
  chooser_start (&chooser, fixture->b, fixture->clauses, N_CHANNELS);
  g_assert_no_errno (dill_hclose (fixture->b));
  assert_chooser (&chooser, -1, ECANCELED);
  for (guint i = 0; i < N_CHANNELS; i++)
    test_assert_errno (dill_chsend (fixture->far[i], &value, sizeof value, 0), ETIMEDOUT);

  fixture->b = test_assert_ok (dill_bundle ());
  chooser_start (&chooser, fixture->b, fixture->clauses, N_CHANNELS);
  g_assert_no_errno (dill_chsend (fixture->far[19], &value, sizeof value, 0));
  g_assert_no_errno (dill_hclose (fixture->b));
  assert_chooser (&chooser, 19, 0); /* it had been delivered */
  fixture->b = test_assert_ok (dill_bundle ());
}

/* --- Coroutines that never run again --- */

/* Writes over a stack that was given back. */
static void
use_stack (void *data)
{
  volatile char bytes[16384];

  (void) data;
  memset ((char *) bytes, 0x77, sizeof bytes);
}

static void
use_old_stacks (void)
{
  for (guint i = 0; i < 8; i++)
    g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (use_stack, NULL))));
}

/* Their context ends while they wait, some with few clauses, some with many, and one has been woken already; the
 * channels go on, and serve those who came before and after. */
static void
test_context_ends (Fixture *fixture, gconstpointer data)
{
  GMainContext *context = g_main_context_new ();
  Chooser before, after, lost[4];
  int handles[4], value = 1;

  (void) data;
  chooser_start (&before, fixture->b, fixture->clauses, 1);
  g_main_context_push_thread_default (context);
  for (int i = 0; i < 4; i++)
    {
      lost[i] = (Chooser) { fixture->clauses + 1, i < 2 ? 1 + i : N_CHANNELS - 1, i & 1 ? soon () : -1, 0, 0 };
      handles[i] = test_assert_ok (dill_spawn (choose, &lost[i]));
      g_assert_cmpint (lost[i].result, ==, -2);
    }
  g_main_context_pop_thread_default (context);
  chooser_start (&after, fixture->b, fixture->clauses + 1, 2);
  g_assert_no_errno (dill_chsend (fixture->far[1], &value, sizeof value, 0));

  test_expect_log (G_LOG_LEVEL_WARNING, "a GMainContext has ended with*", g_main_context_unref (context));
  use_old_stacks ();
  for (guint i = 3; i < N_CHANNELS; i++)
    test_assert_errno (dill_chsend (fixture->far[i], &value, sizeof value, 0), ETIMEDOUT);
  g_assert_no_errno (dill_chsend (fixture->far[0], &value, sizeof value, 0));
  g_assert_no_errno (dill_chsend (fixture->far[2], &value, sizeof value, 0));
  finish (fixture);
  assert_chooser (&before, 0, 0);
  assert_chooser (&after, 1, 0);
  for (guint i = 0; i < 4; i++)
    {
      g_assert_cmpint (lost[i].result, ==, -2);
      test_assert_errno (dill_hclose (handles[i]), EBADF);
    }
}

/* The same in memory of the caller's, for a member of a bundle that stays. */
static void
test_context_ends_own_stack (Fixture *fixture, gconstpointer data)
{
  GMainContext *context = g_main_context_new ();
  size_t len = 64 * 1024;
  void *stack = g_malloc (len);
  int value = 1;

  (void) data;
  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_bundle_go_mem (fixture->b, dill_choose (fixture->clauses, 3, -1), stack, len));
  g_main_context_pop_thread_default (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "a GMainContext has ended with*", g_main_context_unref (context));
  memset (stack, 0x77, len);
  g_free (stack);
  test_assert_errno (dill_chsend (fixture->far[2], &value, sizeof value, 0), ETIMEDOUT);
  g_assert_no_errno (dill_hclose (fixture->far[1]));
  fixture->far[1] = test_assert_ok (dill_bundle ());
}

static gpointer
leave_choosers (gpointer data)
{
  static struct dill_chclause clauses[N_CHANNELS];
  static Chooser choosers[2];

  (void) data;
  for (guint i = 0; i < N_CHANNELS; i++)
    {
      int ends[2];

      g_assert_no_errno (dill_chmake (ends));
      clauses[i] = (struct dill_chclause) { i & 1 ? DILL_CHSEND : DILL_CHRECV, ends[0], NULL, 0 };
    }
  choosers[0] = (Chooser) { clauses, N_CHANNELS, soon (), 0, 0 };
  choosers[1] = (Chooser) { clauses, 3, -1, 0, 0 };
  test_assert_ok (dill_spawn (choose, &choosers[0]));
  test_assert_ok (dill_spawn (choose, &choosers[1]));
  return choosers;
}

/* With a context of the library's own, and with one that ends first. */
static void
test_thread_ends (void)
{
  Chooser *choosers;

  test_expect_log (G_LOG_LEVEL_WARNING, "a thread has ended with*",
                   choosers = test_thread_join (g_thread_new ("test", leave_choosers, NULL)));
  g_assert_cmpint (choosers[0].result, ==, -2);
  g_assert_cmpint (choosers[1].result, ==, -2);

  /* Its context ends before it, with the coroutines; what is left for the end of the thread is the channels. */
  g_test_expect_message ("dillipc", G_LOG_LEVEL_WARNING, "a GMainContext has ended with*");
  test_expect_log (G_LOG_LEVEL_WARNING, "a thread has ended with*", choosers = test_in_thread (leave_choosers, NULL));
  g_assert_cmpint (choosers[0].result, ==, -2);
  g_assert_cmpint (choosers[1].result, ==, -2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/choose-end/close", test_close);
  add ("/choose-end/time-out-and-cancellation", test_time_out_and_cancellation);
  add ("/choose-end/context-ends", test_context_ends);
  add ("/choose-end/context-ends-own-stack", test_context_ends_own_stack);
  g_test_add_func ("/choose-end/thread-ends", test_thread_ends);
  return g_test_run ();
}
