/* test-priority.c: dill_set_priority().
 *
 * Guarantees: coroutines, and waits on the main stack, go on with the priority that was set for their main context,
 * before or after the program's sources; by default that is G_PRIORITY_DEFAULT; one context's priority is not
 * another's; it can be set at any time, from a coroutine too.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine-utils.h"

#include <time.h>

/* A source of the program's that stays ready for some turns, and what it has seen. */
typedef struct
{
  guint n_turns_left;
  guint n_turns;
  guint n_turns_at_yield; /* how many it had had when the coroutine went on */
  gboolean is_done;
} Race;

#define N_TURNS 5

static gboolean
take_turn (gpointer data)
{
  Race *race = data;

  race->n_turns++;
  return --race->n_turns_left > 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void
yield_once (void *data)
{
  Race *race = data;

  test_assert_ok (dill_yield ());
  race->n_turns_at_yield = race->n_turns;
  race->is_done = TRUE;
}

/* The engine steps back for others when its thread has worked for so long.  Makes it do so now, at one of two
 * occasions that are more than 5 ms apart, and not soon again. */
static void
rest (void)
{
  for (clock_t end = clock () + 4 * CLOCKS_PER_SEC / 1000; clock () < end;)
    continue;
  test_assert_ok (dill_msleep (dill_now () + 6));
  test_assert_ok (dill_msleep (dill_now () + 6));
}

/* Where anything may take so long when it is done for the first time, the engine steps back in the middle of it. */
static gboolean
skip_where_slow (void)
{
  return test_skip_under (TEST_UNDER_VALGRIND | TEST_UNDER_EMULATOR, "whoever is slow steps back for the others");
}

/* How many of its turns an idle source of the default priority has had when a coroutine that yielded goes on. */
static guint
turns_before_coroutine (GMainContext *context)
{
  Race race = { .n_turns_left = N_TURNS };
  GSource *idle = g_idle_source_new ();
  int coroutine;

  rest ();
  g_source_set_priority (idle, G_PRIORITY_DEFAULT);
  g_source_set_callback (idle, take_turn, &race, NULL);
  g_source_attach (idle, context);
  g_source_unref (idle);
  coroutine = test_assert_ok (dill_spawn (yield_once, &race));
  g_assert_false (race.is_done);
  test_iterate_until (race.is_done && race.n_turns_left == 0);
  test_assert_ok (dill_hclose (coroutine));
  return race.n_turns_at_yield;
}

static void
test_order (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  if (skip_where_slow ())
    return;

  /* Side by side at first: in the same turn, one after the other. */
  g_assert_cmpuint (turns_before_coroutine (NULL), <=, 1);

  dill_set_priority (G_PRIORITY_DEFAULT + 1);
  g_assert_cmpuint (turns_before_coroutine (NULL), ==, N_TURNS);
  dill_set_priority (G_PRIORITY_DEFAULT - 1);
  g_assert_cmpuint (turns_before_coroutine (NULL), ==, 0);
  dill_set_priority (G_PRIORITY_LOW);
  g_assert_cmpuint (turns_before_coroutine (NULL), ==, N_TURNS);
  dill_set_priority (G_PRIORITY_DEFAULT);
  g_assert_cmpuint (turns_before_coroutine (NULL), <=, 1);
}

/* The same for descriptors: what comes first in the kernel does not count. */
static void
wait_for_byte (void *data)
{
  Race *race = ((gpointer *) data)[0];
  int fd = GPOINTER_TO_INT (((gpointer *) data)[1]);

  test_assert_ok (dill_fdin (fd, soon ()));
  race->n_turns_at_yield = race->n_turns;
  race->is_done = TRUE;
}

static void
test_descriptors (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const int priorities[] = { G_PRIORITY_HIGH, G_PRIORITY_LOW };

  if (skip_where_slow ())
    return;

  for (guint i = 0; i < G_N_ELEMENTS (priorities); i++)
    {
      Race race = { .n_turns_left = N_TURNS };
      GSource *idle = g_idle_source_new ();
      int fds[2], coroutine;
      gpointer arguments[2] = { &race, NULL };

      dill_set_priority (priorities[i]);
      test_assert_ok (pipe (fds));
      arguments[1] = GINT_TO_POINTER (fds[0]);
      coroutine = test_assert_ok (dill_spawn (wait_for_byte, arguments));
      g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
      g_source_set_priority (idle, G_PRIORITY_DEFAULT);
      g_source_set_callback (idle, take_turn, &race, NULL);
      g_source_attach (idle, NULL);
      g_source_unref (idle);
      test_iterate_until (race.is_done && race.n_turns_left == 0);
      g_assert_cmpuint (race.n_turns_at_yield, ==, priorities[i] == G_PRIORITY_LOW ? N_TURNS : 0);

      test_assert_ok (dill_hclose (coroutine));
      test_assert_ok (dill_fdclean (fds[0]));
      close (fds[0]);
      close (fds[1]);
    }
  dill_set_priority (G_PRIORITY_DEFAULT);
}

/* A wait on the main stack lets the sources of a higher priority go first. */
static void
test_main_stack (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Race race = { .n_turns_left = N_TURNS };
  GSource *idle = g_idle_source_new ();

  dill_set_priority (G_PRIORITY_LOW);
  g_source_set_priority (idle, G_PRIORITY_DEFAULT);
  g_source_set_callback (idle, take_turn, &race, NULL);
  g_source_attach (idle, NULL);
  g_source_unref (idle);
  test_assert_ok (dill_yield ());
  g_assert_cmpuint (race.n_turns, ==, N_TURNS);
  dill_set_priority (G_PRIORITY_DEFAULT);
}

/* The context is the thread-default one of the moment. */
static void
test_each_context (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = NULL;

  if (skip_where_slow ())
    return;

  context = g_main_context_new ();
  g_main_context_push_thread_default (context);
  dill_set_priority (G_PRIORITY_LOW);
  g_assert_cmpuint (turns_before_coroutine (context), ==, N_TURNS);
  g_main_context_pop_thread_default (context);

  g_assert_cmpuint (turns_before_coroutine (NULL), <=, 1);
  g_main_context_push_thread_default (context);
  g_assert_cmpuint (turns_before_coroutine (context), ==, N_TURNS);
  g_main_context_pop_thread_default (context);
}

static void
lower_priority (void *data)
{
  Race *race = data;

  dill_set_priority (G_PRIORITY_LOW);
  test_assert_ok (dill_yield ());
  race->n_turns_at_yield = race->n_turns;
  race->is_done = TRUE;
}

static void
test_from_coroutine (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Race race = { .n_turns_left = N_TURNS };
  GSource *idle = g_idle_source_new ();
  int coroutine;

  g_source_set_priority (idle, G_PRIORITY_DEFAULT);
  g_source_set_callback (idle, take_turn, &race, NULL);
  g_source_attach (idle, NULL);
  g_source_unref (idle);
  coroutine = test_assert_ok (dill_spawn (lower_priority, &race));
  test_iterate_until (race.is_done);
  g_assert_cmpuint (race.n_turns_at_yield, ==, N_TURNS);
  test_assert_ok (dill_hclose (coroutine));
  dill_set_priority (G_PRIORITY_DEFAULT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/glib/priority/order", test_order);
  test_add ("/glib/priority/descriptors", test_descriptors);
  test_add ("/glib/priority/main-stack", test_main_stack);
  test_add ("/glib/priority/each-context", test_each_context);
  test_add ("/glib/priority/from-coroutine", test_from_coroutine);

  return g_test_run ();
}
