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

static gpointer
work_and_quit (gpointer data)
{
  DefaultLoop *loop = data;

  work (NULL);
  g_main_loop_quit (loop->loop);
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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  work (NULL); /* opens what the main thread keeps open: from here on descriptors can be counted */
  g_test_add_func ("/threads/four-threads", test_four_threads);
  g_test_add_func ("/threads/no-context", test_no_context);
  g_test_add_func ("/threads/no-context-and-default-is-idle", test_no_context_and_default_is_idle);
  return g_test_run ();
}
