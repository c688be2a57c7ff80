/* test-thread-end.c: when a thread ends, its stacks, descriptors and socket files go.
 *
 * Its coroutines never run again, and there is one warning if there was anything to be cleared away.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "remains-utils.h"

#include <pthread.h>

static gpointer
leave_behind_and_end (gpointer data)
{
  leave_behind (data);
  return NULL;
}

static void
test_thread_ends (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Remains remains = { .path = test->path };
  guint n_fds = test_count_fds ();

  test_expect_log (G_LOG_LEVEL_WARNING, "*thread has ended*",
                   g_thread_join (g_thread_new ("plain", leave_behind_and_end, &remains)));
  check_remains (&remains, n_fds);
}

/* Its context, which somebody else still holds, has nothing of it any more. */
static gpointer
leave_behind_in_context (gpointer data)
{
  GMainContext *context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  leave_behind (data);
  g_main_context_pop_thread_default (context);
  return context;
}

static void
test_thread_ends_before_context (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Remains remains = { .path = test->path };
  GMainContext *context = g_main_context_new (); /* so that GLib's own descriptors are there */
  guint n_fds;

  n_fds = test_count_fds ();
  g_main_context_unref (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "*thread has ended*",
                   context = g_thread_join (g_thread_new ("leaver", leave_behind_in_context, &remains)));
  check_remains (&remains, n_fds);
  g_main_context_iteration (context, FALSE);
  g_main_context_unref (context);
}

/* A thread that has closed what it had ends without a word. */
static gpointer
work_in_several_contexts (gpointer data G_GNUC_UNUSED)
{
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (GMainContext) context = g_main_context_new ();

      g_main_context_push_thread_default (context);
      g_assert_no_errno (dill_yield ());
      g_assert_no_errno (dill_msleep (dill_now () + 1));
      g_main_context_pop_thread_default (context);
    }
  return NULL;
}

static void
test_thread_ends_clean (void)
{
  g_thread_join (g_thread_new ("clean", work_in_several_contexts, NULL));
  g_thread_join (g_thread_new ("clean", work, NULL));
}

/* --- pthread_exit () --- */

static void
exit_thread (void *data)
{
  Remains *remains = data;

  g_assert_no_errno (dill_yield ());
  remains->n_exits++;
  pthread_exit (NULL);
}

static void *
exit_in_coroutine (void *data)
{
  Remains *remains = data;

  test_assert_ok (dill_spawn (never_go_on, remains));
  test_assert_ok (dill_spawn (exit_thread, remains));
  dill_msleep (-1);
  remains->ran = TRUE;
  return NULL;
}

static int
exit_and_check (gpointer data)
{
  Remains remains = { .path = data };
  guint n_fds = test_count_fds ();
  pthread_t thread;

  g_test_expect_message ("dillipc", G_LOG_LEVEL_WARNING, "*thread has ended*");
  g_assert_cmpint (pthread_create (&thread, NULL, exit_in_coroutine, &remains), ==, 0);
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (remains.n_exits, ==, 1);
  check_remains (&remains, n_fds);
  return 0;
}

/* In a child, which does not look for leaks at its end: g_main_context_iteration () never returns, and what it holds of
 * the source that it has dispatched stays. */
static void
test_exit_in_coroutine (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (exit_and_check, test->path), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  work (NULL); /* opens what the main thread keeps open: from here on descriptors can be counted */
  test_add ("/thread-end/all", test_thread_ends);
  test_add ("/thread-end/before-context", test_thread_ends_before_context);
  g_test_add_func ("/thread-end/clean", test_thread_ends_clean);
  test_add ("/thread-end/exit-in-coroutine", test_exit_in_coroutine);
  return g_test_run ();
}
