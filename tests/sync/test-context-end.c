/* test-context-end.c: when a GMainContext ends, what was at home there goes, and the thread works on.
 *
 * Its coroutines never run again, its descriptors and socket files are gone, and there is one warning if there was
 * anything to be cleared away.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "remains-utils.h"

static void
test_context_ends (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Remains remains = { .path = test->path, .stack_stays = TRUE }; /* in the thread's pool */
  guint n_fds = test_count_fds ();
  GMainContext *context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  leave_behind (&remains);
  g_main_context_pop_thread_default (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "*GMainContext has ended*", g_main_context_unref (context));
  check_remains (&remains, n_fds);

  /* The thread works on. */
  work (NULL);
}

/* One of a bundle's two members is gone; the bundle, at home nowhere, lives on with the other. */
static void
test_context_ends_with_member (void)
{
  Remains remains = { .ran = FALSE };
  GMainContext *context = g_main_context_new ();
  guint n_wake_ups = 0;
  int b = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_spawn (b, sleep_and_count, &n_wake_ups));
  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_bundle_spawn (b, never_go_on, &remains));
  g_main_context_pop_thread_default (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "*GMainContext has ended*", g_main_context_unref (context));

  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_cmpuint (n_wake_ups, ==, 5);
  g_assert_false (remains.ran);
  g_assert_no_errno (dill_hclose (b));
}

/* Somebody waits, under a context that lives, for a coroutine whose context ends. */
static void
test_context_ends_while_waited_for (void)
{
  Remains remains = { .ran = FALSE };
  GMainContext *context = g_main_context_new ();
  int b = test_assert_ok (dill_bundle ());

  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_bundle_spawn (b, never_go_on, &remains));
  g_main_context_pop_thread_default (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "*GMainContext has ended*", g_main_context_unref (context));
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_no_errno (dill_hclose (b));
}

/* --- A context that ends in another thread --- */

typedef struct
{
  GMainContext *context;
  GMutex mutex;
  GCond cond;
  int step;
  Remains remains;
} Relay;

static void
set_step (Relay *relay, int step)
{
  g_mutex_lock (&relay->mutex);
  relay->step = step;
  g_cond_broadcast (&relay->cond);
  g_mutex_unlock (&relay->mutex);
}

static void
wait_for_step (Relay *relay, int step)
{
  g_mutex_lock (&relay->mutex);
  while (relay->step < step)
    g_cond_wait (&relay->cond, &relay->mutex);
  g_mutex_unlock (&relay->mutex);
}

static gpointer
lose_context (gpointer data)
{
  Relay *relay = data;

  g_main_context_push_thread_default (relay->context);
  if (relay->remains.path != NULL)
    leave_behind (&relay->remains);
  else
    g_assert_no_errno (dill_yield ());
  g_main_context_pop_thread_default (relay->context);
  set_step (relay, 1);
  wait_for_step (relay, 2);

  g_assert_no_errno (dill_yield ()); /* sees that the context is gone */
  set_step (relay, 3);
  work (NULL);
  return NULL;
}

static void
end_context_elsewhere (const char *path)
{
  Relay relay = { .context = g_main_context_new (), .remains = { .path = path } };
  GThread *thread = g_thread_new ("loser", lose_context, &relay);

  wait_for_step (&relay, 1);
  g_main_context_unref (relay.context);
  set_step (&relay, 2);
  wait_for_step (&relay, 3);
  if (path != NULL)
    {
      g_assert_false (relay.remains.ran);
      g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    }
  g_thread_join (thread);
}

/* The descriptors go when the context's thread next comes by, since they are that thread's. */
static void
test_context_ends_elsewhere (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  guint n_fds;

  end_context_elsewhere (NULL);
  n_fds = test_count_fds ();
  g_test_expect_message ("dillipc", G_LOG_LEVEL_WARNING, "*GMainContext has ended*");
  g_test_expect_message ("dillipc", G_LOG_LEVEL_WARNING, "*thread has ended*"); /* the bundle, at home nowhere */
  end_context_elsewhere (test->path);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  work (NULL); /* opens what the main thread keeps open: from here on descriptors can be counted */
  test_add ("/context-end/all", test_context_ends);
  g_test_add_func ("/context-end/with-member", test_context_ends_with_member);
  g_test_add_func ("/context-end/while-waited-for", test_context_ends_while_waited_for);
  test_add ("/context-end/elsewhere", test_context_ends_elsewhere);
  return g_test_run ();
}
