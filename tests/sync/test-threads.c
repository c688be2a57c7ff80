/* test-threads.c: threads, each with contexts, coroutines and handles of its own, do not disturb one another.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "work-utils.h"

static void
test_four_threads (void)
{
  GThread *threads[4];
  guint n_fds;

  work (NULL);
  n_fds = test_count_fds ();
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = test_thread_start (work, NULL);
  work (NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    test_thread_join (threads[i]);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

/* --- Threads without a context --- */

typedef struct
{
  GMainLoop *loop;
  GThread *home; /* whose thread runs the default context */
  guint n_calls;
} DefaultLoop;

static gboolean
count_at_home (gpointer data)
{
  DefaultLoop *loop = data;

  g_assert_true (g_thread_self () == loop->home);
  loop->n_calls++;
  return G_SOURCE_CONTINUE;
}

static gboolean
quit_once_called (gpointer data)
{
  DefaultLoop *loop = data;

  if (loop->n_calls == 0)
    return G_SOURCE_CONTINUE;
  g_main_loop_quit (loop->loop);
  return G_SOURCE_REMOVE;
}

static gpointer
work_and_quit (gpointer data)
{
  DefaultLoop *loop = data;

  work (NULL);
  g_idle_add (quit_once_called, loop); /* the main thread may not even have begun to run it */
  return NULL;
}

/* While the main thread runs the default context, a worker that never heard of contexts gets along. */
static void
test_no_context (void)
{
  DefaultLoop loop = { .loop = g_main_loop_new (NULL, FALSE), .home = g_thread_self () };
  guint id = g_timeout_add (1, count_at_home, &loop);
  GThread *thread = g_thread_new ("plain", work_and_quit, &loop);

  test_loop_run (loop.loop);
  g_thread_join (thread);
  g_assert_cmpuint (loop.n_calls, >, 0);
  g_source_remove (id);
  g_main_loop_unref (loop.loop);
}

/* Nor does it take over the main thread's sources while that does something else. */
static void
test_no_context_and_default_is_idle (void)
{
  DefaultLoop loop = { .home = g_thread_self () };
  guint id = g_idle_add (count_at_home, &loop);

  g_thread_join (g_thread_new ("plain", work, NULL));
  g_assert_cmpuint (loop.n_calls, ==, 0);
  g_source_remove (id);
}

/* It does when it runs the default context itself. */
static gpointer
run_default_context (gpointer data)
{
  guint n_calls = 0;

  sleep_for (1);
  g_assert_cmpuint (*(guint *) data, ==, 0);
  g_assert_true (g_main_context_acquire (NULL));
  sleep_for (1);
  n_calls = *(guint *) data;
  g_assert_cmpuint (n_calls, >, 0);
  g_main_context_release (NULL);
  sleep_for (1);
  g_assert_cmpuint (*(guint *) data, ==, n_calls);
  return NULL;
}

static void
test_default_of_its_own (void)
{
  guint n_calls = 0;
  GSource *source = add_busy_source (NULL, &n_calls);

  g_thread_join (g_thread_new ("plain", run_default_context, &n_calls));
  remove_source (source);
}

/* A child that it forks has one thread, which is the main one: that waits under the default context. */
static int
wait_in_child (gpointer data)
{
  sleep_for (1);
  g_assert_cmpuint (*(guint *) data, >, 0);
  return 0;
}

static gpointer
wait_and_fork (gpointer data)
{
  sleep_for (1);
  g_assert_cmpuint (*(guint *) data, ==, 0);
  g_assert_cmpint (test_in_child (wait_in_child, data), ==, 0);
  return NULL;
}

static void
test_no_context_and_fork (void)
{
  guint n_calls = 0;
  GSource *source = add_busy_source (NULL, &n_calls);

  g_thread_join (g_thread_new ("plain", wait_and_fork, &n_calls));
  g_assert_cmpuint (n_calls, ==, 0);
  remove_source (source);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  work (NULL); /* opens what the main thread keeps open: from here on descriptors can be counted */
  g_test_add_func ("/threads/four-threads", test_four_threads);
  g_test_add_func ("/threads/no-context", test_no_context);
  g_test_add_func ("/threads/no-context-and-default-is-idle", test_no_context_and_default_is_idle);
  g_test_add_func ("/threads/default-of-its-own", test_default_of_its_own);
  g_test_add_func ("/threads/no-context-and-fork", test_no_context_and_fork);
  return g_test_run ();
}
