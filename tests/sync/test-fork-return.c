/* test-fork-return.c: a child that was forked in a coroutine, and returns from the coroutine's function.
 *
 * Control goes back to whoever resumed the coroutine, in the child too.  What else was ready is the parent's, and does
 * not run in the child.  A wait that the child comes back to fails.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine-utils.h"

#include <stdbool.h>
#include <unistd.h>

typedef struct
{
  bool waits_first; /* so that the scheduler resumes the one that forks, with others to follow */
  GMainLoop *loop;  /* NULL, or to be run by the one that forks, who is resumed in it again */
  pid_t child;
  guint n_steps;
  guint n_steps_before; /* the fork */
} Scene;

static void
step_for_ever (void *data)
{
  Scene *scene = data;

  do
    scene->n_steps++;
  while (dill_yield () == 0);
}

static void
fork_and_return (void *data)
{
  Scene *scene = data;

  if (scene->waits_first)
    g_assert_no_errno (dill_yield ());
  scene->n_steps_before = scene->n_steps;
  scene->child = test_assert_ok (fork ());
  if (scene->child == 0)
    alarm (TEST_LIMIT_SECONDS);
  if (scene->loop != NULL)
    g_main_loop_quit (scene->loop);
}

/* The child can use the library under a context of its own. */
static void
start_afresh (void)
{
  GMainContext *context = g_main_context_new ();
  guint n_wake_ups = 0;
  int h;

  g_main_context_push_thread_default (context);
  h = test_assert_ok (dill_spawn (sleep_and_count, &n_wake_ups));
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpuint (n_wake_ups, ==, 5);
}

static gboolean
skip_under_tools (void)
{
  return test_skip_under (TEST_UNDER_TSAN, "in a forked child it knows the flow of control that has forked, and no other");
}

/* One that forks between two that are always ready, while the main stack waits for it. */
static void
leave_coroutine (Scene *scene, int expected_errno)
{
  int b = test_assert_ok (dill_bundle ()), forker, result;

  g_assert_no_errno (dill_bundle_spawn (b, step_for_ever, scene));
  forker = test_assert_ok (dill_spawn (fork_and_return, scene));
  if (scene->child != 0)
    g_assert_no_errno (dill_bundle_spawn (b, step_for_ever, scene));

  result = dill_bundle_wait (forker, soon ());
  if (scene->child == 0)
    {
      g_assert_cmpint (errno, ==, expected_errno);
      g_assert_cmpint (result, ==, -1);
      g_assert_cmpuint (scene->n_steps, ==, scene->n_steps_before);
      g_assert_no_errno (dill_hclose (forker));
      g_assert_no_errno (dill_hclose (b));
      start_afresh ();
      _exit (0);
    }

  g_assert_cmpint (result, ==, 0);
  g_assert_cmpint (test_child_wait (scene->child), ==, 0);
  g_assert_cmpuint (scene->n_steps, >=, scene->n_steps_before);
  g_assert_no_errno (dill_hclose (forker));
  g_assert_no_errno (dill_hclose (b));
}

/* The wait on the main stack beneath, of which nobody will tell the child how it ends, is over. */
static void
test_resumed (void)
{
  Scene scene = { .waits_first = true, .child = -1 };

  if (skip_under_tools ())
    return;

  leave_coroutine (&scene, ECANCELED);
}

/* It goes back to its starter. */
static void
test_started (void)
{
  Scene scene = { .child = -1 };

  if (skip_under_tools ())
    return;

  leave_coroutine (&scene, EBADF);
}

static void
run_loop (void *data)
{
  Scene *scene = data;

  g_assert_no_errno (dill_yield ());
  g_main_loop_run (scene->loop);
  if (scene->child == 0)
    g_assert_cmpuint (scene->n_steps, ==, scene->n_steps_before);
}

/* Beneath is a main loop that another coroutine runs: that too returns in the child, and then ends. */
static void
test_in_nested_loop (void)
{
  Scene scene = { .waits_first = true, .child = -1 };
  int h;

  if (skip_under_tools ())
    return;

  scene.loop = g_main_loop_new (NULL, FALSE);
  h = test_assert_ok (dill_spawn (run_loop, &scene));
  leave_coroutine (&scene, ECANCELED);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  g_main_loop_unref (scene.loop);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fork-return/resumed", test_resumed);
  g_test_add_func ("/fork-return/started", test_started);
  g_test_add_func ("/fork-return/in-nested-loop", test_in_nested_loop);
  return g_test_run ();
}
