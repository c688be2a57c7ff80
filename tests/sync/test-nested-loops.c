/* test-nested-loops.c: waits and main loops, one within the other.
 *
 * A loop that a coroutine or a callback runs does not freeze the others.  A wait in a callback of such a loop iterates,
 * as on the main stack.  Nested waits and loops end last in, first out, and what lies beneath them cannot be closed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "loop-utils.h"

/* --- Nested loops --- */

static void
run_loop (void *data)
{
  Scene *scene = data;

  g_main_loop_run (scene->loop);
  g_string_append_c (scene->log, 'r');
}

static void
sleep_and_quit (void *data)
{
  Scene *scene = data;

  for (guint i = 0; i < 3; i++)
    {
      sleep_for (1);
      g_string_append_c (scene->log, 's');
    }
  g_main_loop_quit (scene->loop);
}

/* The loop in the coroutine does not freeze the one that is to end it, nor anybody's timer. */
static void
test_loop_in_coroutine (Scene *scene, gconstpointer data G_GNUC_UNUSED)
{
  scene_run_both (scene, sleep_and_quit, run_loop); /* which runs the loop at once, on top of this function */
  g_assert_cmpstr (scene->log->str, ==, "sssr");
}

static void
yield_and_run_loop (void *data)
{
  g_assert_no_errno (dill_yield ());
  run_loop (data);
}

/* The same, in a coroutine that the main loop has resumed: its source has to dispatch again while it is dispatched. */
static void
test_loop_in_resumed_coroutine (Scene *scene, gconstpointer data G_GNUC_UNUSED)
{
  scene_run_both (scene, yield_and_run_loop, sleep_and_quit);
  g_assert_cmpstr (scene->log->str, ==, "sssr");
}

static gboolean
run_loop_in_callback (gpointer data)
{
  run_loop (data);
  return G_SOURCE_REMOVE;
}

static void
test_loop_in_callback (Scene *scene, gconstpointer data G_GNUC_UNUSED)
{
  GSource *source = add_source (NULL, g_idle_source_new (), run_loop_in_callback, scene);
  int h = test_assert_ok (dill_spawn (sleep_and_quit, scene));

  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  test_iterate_until (scene->log->len == 4);
  g_assert_cmpstr (scene->log->str, ==, "sssr");
  g_assert_no_errno (dill_hclose (h));
  remove_source (source);
}

static gboolean
count_depth (gpointer data)
{
  Scene *scene = data;

  scene->depth = MAX (scene->depth, g_main_depth ());
  return G_SOURCE_CONTINUE;
}

static gboolean
wait_in_nested_callback (gpointer data)
{
  Scene *scene = data;

  scene->depth = 0;
  sleep_for (5);
  g_assert_cmpint (scene->depth, ==, g_main_depth () + 1);
  g_string_append_c (scene->log, 'c');
  g_main_loop_quit (scene->loop);
  return G_SOURCE_REMOVE;
}

static void
add_source_and_run_loop (void *data)
{
  Scene *scene = data;
  GSource *source;

  g_assert_no_errno (dill_yield ());
  source = add_source (NULL, g_idle_source_new (), wait_in_nested_callback, scene);
  run_loop (scene);
  remove_source (source);
}

/* A callback of a loop in a coroutine is not that coroutine: it iterates, as on the main stack. */
static void
test_wait_in_callback_of_nested_loop (Scene *scene, gconstpointer data G_GNUC_UNUSED)
{
  GSource *busy = add_source (NULL, g_idle_source_new (), count_depth, scene);
  int h = test_assert_ok (dill_spawn (add_source_and_run_loop, scene));

  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpstr (scene->log->str, ==, "cr");
  g_assert_no_errno (dill_hclose (h));
  remove_source (busy);
}

typedef struct
{
  GString *log;
  gint64 outer_deadline;
  gint64 inner_deadline;
} Nesting;

static gboolean
wait_longer (gpointer data)
{
  Nesting *nesting = data;

  g_string_append_c (nesting->log, '(');
  nesting->inner_deadline = MAX (nesting->outer_deadline, dill_now ()) + 10;
  g_assert_no_errno (dill_msleep (nesting->inner_deadline));
  g_string_append_c (nesting->log, ')');
  return G_SOURCE_REMOVE;
}

/* Whether the outer wait had begun before its deadline, and so the inner one began in it. */
static gboolean
nest_waits (int64_t milliseconds)
{
  Nesting nesting = { .log = g_string_new (NULL), .outer_deadline = dill_now () + milliseconds };
  GSource *source = add_source (NULL, g_idle_source_new (), wait_longer, &nesting);
  gboolean are_nested;

  g_assert_no_errno (dill_msleep (nesting.outer_deadline));
  are_nested = nesting.log->len > 0;
  if (are_nested)
    {
      g_string_append_c (nesting.log, '.');
      g_assert_cmpstr (nesting.log->str, ==, "().");
      g_assert_cmpint (dill_now (), >=, nesting.inner_deadline);
    }

  remove_source (source);
  g_string_free (nesting.log, TRUE);
  return are_nested;
}

/* An outer wait ends after the inner one, though its deadline comes first. */
static void
test_nested_waits (void)
{
  for (int64_t patience = 5; !nest_waits (patience); patience = next_patience (patience))
    continue;
}

/* --- Loops on top of each other, and closing what lies beneath --- */

typedef struct
{
  GMainLoop *loops[2];
  GString *log;
} Tower;

static void
run_lower (void *data)
{
  Tower *tower = data;

  g_assert_no_errno (dill_yield ());
  g_main_loop_run (tower->loops[0]);
  g_string_append_c (tower->log, 'l');
}

static void
run_upper (void *data)
{
  Tower *tower = data;

  while (!g_main_loop_is_running (tower->loops[0]))
    sleep_for (1);
  g_main_loop_run (tower->loops[1]);
  g_string_append_c (tower->log, 'u');
}

static void
quit_both (void *data)
{
  Tower *tower = data;

  while (!g_main_loop_is_running (tower->loops[1]))
    sleep_for (1);
  g_main_loop_quit (tower->loops[0]);
  g_string_append_c (tower->log, '0');
  sleep_for (3);
  g_string_append_c (tower->log, '1');
  g_main_loop_quit (tower->loops[1]);
}

/* Two coroutines with a loop each: the lower one can end after the upper one only; everybody else goes on. */
static void
test_two_nested_loops (void)
{
  Tower tower
      = { .loops = { g_main_loop_new (NULL, FALSE), g_main_loop_new (NULL, FALSE) }, .log = g_string_new (NULL) };
  TestLimit limit;
  int b = test_assert_ok (dill_bundle ());

  test_limit_begin (&limit, NULL, "the nested loops");
  g_assert_no_errno (dill_bundle_spawn (b, run_lower, &tower));
  g_assert_no_errno (dill_bundle_spawn (b, run_upper, &tower));
  g_assert_no_errno (dill_bundle_spawn (b, quit_both, &tower));
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_cmpstr (tower.log->str, ==, "01ul");
  g_assert_no_errno (dill_hclose (b));
  test_limit_end (&limit);

  for (guint i = 0; i < 2; i++)
    g_main_loop_unref (tower.loops[i]);
  g_string_free (tower.log, TRUE);
}

static void
sleep_and_log (void *data)
{
  Scene *scene = data;

  test_assert_errno (dill_msleep (-1), ECANCELED);
  g_string_append_c (scene->log, 'x');
}

static gboolean
close_in_callback (gpointer data)
{
  Scene *scene = data;

  test_assert_errno (dill_hclose (scene->bundle), EDEADLK);
  g_string_append_c (scene->log, 'd');
  g_main_loop_quit (scene->loop);
  return G_SOURCE_REMOVE;
}

static void
close_in_coroutine (void *data)
{
  Scene *scene = data;

  sleep_for (2); /* the loop is begun by then */
  close_in_callback (scene);
}

/* One member cannot end, since the caller stands on its stack; so the other one is left alone, too. */
static void
test_close_beneath (Scene *scene, gconstpointer data)
{
  gboolean by_callback = GPOINTER_TO_INT (data);
  GSource *source = g_timeout_source_new (2);
  int h = -1;

  scene->bundle = test_assert_ok (dill_bundle ());
  g_assert_no_errno (dill_bundle_spawn (scene->bundle, sleep_and_log, scene));
  if (by_callback)
    add_source (NULL, source, close_in_callback, scene);
  else
    h = test_assert_ok (dill_spawn (close_in_coroutine, scene));
  g_assert_no_errno (dill_bundle_spawn (scene->bundle, run_loop, scene));
  g_assert_cmpstr (scene->log->str, ==, "dr");

  g_assert_no_errno (dill_hclose (scene->bundle));
  g_assert_cmpstr (scene->log->str, ==, "drx");
  if (h >= 0)
    g_assert_no_errno (dill_hclose (h));
  remove_source (source);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/nested-loops/loop-in-coroutine", test_loop_in_coroutine);
  add ("/nested-loops/loop-in-resumed-coroutine", test_loop_in_resumed_coroutine);
  add ("/nested-loops/loop-in-callback", test_loop_in_callback);
  add ("/nested-loops/wait-in-callback-of-nested-loop", test_wait_in_callback_of_nested_loop);
  g_test_add_func ("/nested-loops/nested-waits", test_nested_waits);
  g_test_add_func ("/nested-loops/two-nested-loops", test_two_nested_loops);
  add_data ("/nested-loops/close-beneath-by-callback", test_close_beneath, GINT_TO_POINTER (TRUE));
  add_data ("/nested-loops/close-beneath-by-coroutine", test_close_beneath, GINT_TO_POINTER (FALSE));
  return g_test_run ();
}
