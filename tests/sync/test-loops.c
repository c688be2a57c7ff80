/* test-loops.c: waits and GLib's main loops.
 *
 * A coroutine that waits goes back to the main loop.  On the main stack, and in callbacks, a wait iterates the
 * thread-default context as a nested loop would: other sources and coroutines go on.  Under a private context only what
 * belongs to it runs.  Closing and starting iterate nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "loop-utils.h"

/* --- On the main stack --- */

static void
test_main_stack (void)
{
  guint n_calls = 0, n_wake_ups = 0;
  GSource *source = add_busy_source (NULL, &n_calls);
  int h = test_assert_ok (dill_spawn (sleep_and_count, &n_wake_ups));

  g_assert_cmpuint (n_calls, ==, 0);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpuint (n_calls, >, 0);
  g_assert_cmpuint (n_wake_ups, ==, 5);

  g_assert_no_errno (dill_hclose (h));
  remove_source (source);
}

static gboolean
wait_in_callback (gpointer data)
{
  Scene *scene = data;
  guint n_wake_ups = 0;
  int h = test_assert_ok (dill_spawn (sleep_and_count, &n_wake_ups));

  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpuint (n_wake_ups, ==, 5);
  g_assert_no_errno (dill_hclose (h));
  g_main_loop_quit (scene->loop);
  return G_SOURCE_REMOVE;
}

/* In a callback of g_main_loop_run () a wait may block, too, and the loop goes on. */
static void
test_callback (Scene *scene, gconstpointer data G_GNUC_UNUSED)
{
  GSource *source = add_source (NULL, g_idle_source_new (), wait_in_callback, scene);
  GSource *busy = add_busy_source (NULL, &scene->n_calls);

  g_main_loop_run (scene->loop);
  g_assert_cmpuint (scene->n_calls, >, 1);
  remove_source (source);
  remove_source (busy);
}

/* --- Private contexts --- */

static void
test_private_context (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n_default = 0, n_private = 0, n_outside = 0, n_inside = 0;
  GSource *outside = add_busy_source (NULL, &n_default);
  GSource *inside = add_busy_source (context, &n_private);
  int at_default = test_assert_ok (dill_spawn (sleep_and_count, &n_outside));
  int at_private;

  g_main_context_push_thread_default (context);
  at_private = test_assert_ok (dill_spawn (sleep_and_count, &n_inside));
  g_assert_no_errno (dill_msleep (dill_now () + 3));
  g_assert_no_errno (dill_bundle_wait (at_private, soon ()));
  g_assert_cmpuint (n_private, >, 0);
  g_assert_cmpuint (n_default, ==, 0);
  g_assert_cmpuint (n_inside, ==, 5);
  g_assert_cmpuint (n_outside, ==, 0);
  g_assert_no_errno (dill_hclose (at_private));
  g_main_context_pop_thread_default (context);

  n_private = 0;
  g_assert_no_errno (dill_bundle_wait (at_default, soon ()));
  g_assert_cmpuint (n_default, >, 0);
  g_assert_cmpuint (n_private, ==, 0);
  g_assert_cmpuint (n_outside, ==, 5);
  g_assert_no_errno (dill_hclose (at_default));
  remove_source (outside);
  remove_source (inside);
}

/* A coroutine stays where it was started, whatever is pushed when it waits again. */
static void
test_home (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n_wake_ups = 0;
  int h;

  g_main_context_push_thread_default (context);
  h = test_assert_ok (dill_spawn (sleep_and_count, &n_wake_ups));
  g_main_context_pop_thread_default (context);

  test_assert_errno (dill_bundle_wait (h, dill_now () + 5), ETIMEDOUT);
  g_assert_cmpuint (n_wake_ups, ==, 0);
  while (n_wake_ups < 5)
    g_main_context_iteration (context, TRUE);
  g_assert_no_errno (dill_bundle_wait (h, 0));
  g_assert_no_errno (dill_hclose (h));
}

static void
wait_for_handle (void *data)
{
  Scene *scene = data;

  g_assert_no_errno (dill_bundle_wait (scene->handle, soon ()));
  g_string_append_c (scene->log, 'w');
}

/* A coroutine of one context waits for a coroutine of another: each goes on at home. */
static void
test_two_homes (Scene *scene, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n_wake_ups = 0;
  int h;

  g_main_context_push_thread_default (context);
  scene->handle = test_assert_ok (dill_spawn (sleep_and_count, &n_wake_ups));
  g_main_context_pop_thread_default (context);
  h = test_assert_ok (dill_spawn (wait_for_handle, scene));

  while (n_wake_ups < 5)
    g_main_context_iteration (context, TRUE);
  g_assert_cmpstr (scene->log->str, ==, "");
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpstr (scene->log->str, ==, "w");
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (scene->handle));
}

/* --- What does not iterate --- */

static void
clean_up_slowly (void *data)
{
  test_assert_errno (dill_msleep (-1), ECANCELED);
  test_assert_errno (dill_yield (), ECANCELED);
  test_assert_errno (dill_msleep (dill_now () + 5), ECANCELED);
  (*(guint *) data)++;
}

static void
test_close_does_not_iterate (void)
{
  guint n_calls = 0, n_ended = 0;
  GSource *source = add_busy_source (NULL, &n_calls);
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 10; i++)
    g_assert_no_errno (dill_bundle_spawn (b, clean_up_slowly, &n_ended));
  g_assert_no_errno (dill_hclose (b));
  g_assert_cmpuint (n_ended, ==, 10);
  g_assert_cmpuint (n_calls, ==, 0);
  remove_source (source);
}

static void
yield_and_count (void *data)
{
  g_assert_no_errno (dill_yield ());
  (*(guint *) data)++;
}

/* Neither does starting coroutines, however often. */
static void
test_start_does_not_iterate (void)
{
  guint n_calls = 0, n_wake_ups = 0;
  GSource *source = add_busy_source (NULL, &n_calls);
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 1000; i++)
    g_assert_no_errno (dill_bundle_spawn (b, yield_and_count, &n_wake_ups));
  g_assert_cmpuint (n_calls, ==, 0);
  g_assert_cmpuint (n_wake_ups, ==, 0);
  remove_source (source);
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_cmpuint (n_wake_ups, ==, 1000);
  g_assert_no_errno (dill_hclose (b));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/loops/main-stack", test_main_stack);
  add ("/loops/callback", test_callback);
  g_test_add_func ("/loops/private-context", test_private_context);
  g_test_add_func ("/loops/home", test_home);
  add ("/loops/two-homes", test_two_homes);
  g_test_add_func ("/loops/close-does-not-iterate", test_close_does_not_iterate);
  g_test_add_func ("/loops/start-does-not-iterate", test_start_does_not_iterate);
  return g_test_run ();
}
