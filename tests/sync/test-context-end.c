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

/* A coroutine that ends its own context is told so, and goes on as if it was cancelled. */
static dill_coroutine void
end_own_context (GMainContext *context, gboolean *has_ended)
{
  g_main_context_pop_thread_default (context);
  test_expect_critical ("*ended while a coroutine*", g_main_context_unref (context));
  test_assert_errno (dill_msleep (-1), ECANCELED);
  test_assert_errno (dill_spawn (never_go_on, NULL), ECANCELED);
  *has_ended = TRUE;
}

static dill_coroutine void
start_who_ends (GMainContext *context, gboolean *has_ended)
{
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_go (end_own_context (context, has_ended)))));
  test_assert_errno (dill_yield (), ECANCELED);
}

static void
test_context_ends_beneath (void)
{
  for (guint depth = 1; depth <= 2; depth++)
    {
      GMainContext *context = g_main_context_new ();
      gboolean has_ended = FALSE;
      int h;

      g_main_context_push_thread_default (context);
      h = depth == 1 ? dill_go (end_own_context (context, &has_ended)) : dill_go (start_who_ends (context, &has_ended));
      g_assert_true (has_ended);
      g_assert_no_errno (dill_hclose (test_assert_ok (h)));
      work (NULL);
    }
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
  TestStep step;
  Remains remains;
  GMainLoop *loop;
  int bundle;
} Relay;

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
  test_step_reach (&relay->step, 1);
  test_step_await (&relay->step, 2);

  g_assert_no_errno (dill_yield ()); /* sees that the context is gone */
  test_step_reach (&relay->step, 3);
  work (NULL);
  return NULL;
}

static void
end_context_elsewhere (const char *path)
{
  Relay relay = { .context = g_main_context_new (), .step = TEST_STEP_INIT, .remains = { .path = path } };
  GThread *thread = g_thread_new ("loser", lose_context, &relay);

  test_step_await (&relay.step, 1);
  g_main_context_unref (relay.context);
  test_step_reach (&relay.step, 2);
  test_step_await (&relay.step, 3);
  if (path != NULL)
    {
      g_assert_false (relay.remains.ran);
      g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    }
  g_thread_join (thread);
}

/* The descriptors go when the context's thread next looks for a context, since they are that thread's. */
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

static void
quit_when_gone (void *data)
{
  Relay *relay = data;

  test_step_reach (&relay->step, 1);
  g_assert_no_errno (dill_bundle_wait (relay->bundle, soon ()));
  g_assert_false (g_file_test (relay->remains.path, G_FILE_TEST_EXISTS));
  g_main_loop_quit (relay->loop);
}

/* Runs a loop in which nothing happens. */
static gpointer
run_other_loop (gpointer data)
{
  Relay *relay = data;
  GMainContext *context = g_main_context_get_thread_default ();
  int h;

  relay->loop = g_main_loop_new (context, FALSE);
  relay->bundle = test_assert_ok (dill_bundle ());
  g_main_context_push_thread_default (relay->context);
  g_assert_no_errno (dill_bundle_spawn (relay->bundle, never_accept, &relay->remains));
  g_main_context_pop_thread_default (relay->context);

  h = test_assert_ok (dill_spawn (quit_when_gone, relay));
  test_loop_run (relay->loop);
  g_assert_false (relay->remains.ran);
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (relay->bundle));
  g_main_loop_unref (relay->loop);
  return NULL;
}

/* It comes by at once, if it iterates any other context that it uses the library in, though it has nothing to do
 * there. */
static void
test_context_ends_elsewhere_while_idle (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Relay relay = { .context = g_main_context_new (), .step = TEST_STEP_INIT, .remains = { .path = test->path } };
  GThread *thread;

  g_test_expect_message ("dillipc", G_LOG_LEVEL_WARNING, "*GMainContext has ended*");
  thread = test_thread_start (run_other_loop, &relay);
  test_step_await (&relay.step, 1);
  g_main_context_unref (relay.context);
  test_thread_join (thread);
  g_test_assert_expected_messages ();
}

static gpointer
end_contexts (gpointer queue)
{
  GMainContext *context;

  while ((context = g_async_queue_pop (queue)) != g_main_context_default ())
    g_main_context_unref (context);
  return NULL;
}

static GMainContext *
new_used_context (void)
{
  GMainContext *context = g_main_context_new ();

  use_context (context);
  return context;
}

/* Contexts of a thread end in another one and in itself at the same time, and the one tells the others. */
static void
test_contexts_end_everywhere (void)
{
  g_autoptr (GAsyncQueue) queue = g_async_queue_new ();
  GThread *thread = g_thread_new ("unref", end_contexts, queue);
  guint n_fds = test_count_fds ();

  for (guint i = 0; i < 500; i++)
    {
      GMainContext *context = new_used_context ();

      g_async_queue_push (queue, new_used_context ());
      if (i % 2 == 0)
        g_main_context_iteration (context, FALSE);
      g_main_context_unref (context);
    }
  g_async_queue_push (queue, g_main_context_default ());
  test_thread_join (thread);
  g_assert_no_errno (dill_yield ());
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
wait_for_descriptor (void *fd)
{
  test_assert_errno (dill_fdin (GPOINTER_TO_INT (fd), -1), ECANCELED);
}

static void
ignore_message (const char *domain G_GNUC_UNUSED, GLogLevelFlags level G_GNUC_UNUSED, const char *message G_GNUC_UNUSED,
                gpointer data)
{
  (*(guint *) data)++;
}

static gboolean
never_fatal (const char *domain G_GNUC_UNUSED, GLogLevelFlags level G_GNUC_UNUSED, const char *message G_GNUC_UNUSED,
             gpointer data G_GNUC_UNUSED)
{
  return FALSE;
}

/* Whether the waiter is cancelled or gone with the context, of which there is a warning, is a matter of luck. */
static void
test_context_ends_while_waiters_leave (void)
{
  g_autoptr (GAsyncQueue) queue = g_async_queue_new ();
  GThread *thread = g_thread_new ("unref", end_contexts, queue);
  guint n_fds, n_warnings = 0, handler;
  int fds[2];

  handler = g_log_set_handler ("dillipc", G_LOG_LEVEL_WARNING, ignore_message, &n_warnings);
  g_test_log_set_fatal_handler (never_fatal, NULL);
  n_fds = test_count_fds ();
  g_assert_no_errno (pipe (fds));
  for (guint i = 0; i < 1000; i++)
    {
      GMainContext *context = g_main_context_new ();
      int b = test_assert_ok (dill_bundle ());

      g_main_context_push_thread_default (context);
      g_assert_no_errno (dill_bundle_spawn (b, wait_for_descriptor, GINT_TO_POINTER (fds[0])));
      g_assert_no_errno (dill_yield ());
      g_main_context_pop_thread_default (context);
      g_async_queue_push (queue, context);
      g_assert_no_errno (dill_hclose (b));
    }
  g_async_queue_push (queue, g_main_context_default ());
  test_thread_join (thread);
  g_assert_no_errno (dill_yield ());
  g_assert_no_errno (dill_fdclean (fds[0]));
  close (fds[0]);
  close (fds[1]);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  g_assert_cmpuint (n_warnings, <=, 1000);
  g_log_remove_handler ("dillipc", handler);
  g_test_log_set_fatal_handler (NULL, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  work (NULL); /* opens what the main thread keeps open: from here on descriptors can be counted */
  test_add ("/context-end/all", test_context_ends);
  g_test_add_func ("/context-end/beneath", test_context_ends_beneath);
  g_test_add_func ("/context-end/with-member", test_context_ends_with_member);
  g_test_add_func ("/context-end/while-waited-for", test_context_ends_while_waited_for);
  test_add ("/context-end/elsewhere", test_context_ends_elsewhere);
  test_add ("/context-end/elsewhere-while-idle", test_context_ends_elsewhere_while_idle);
  g_test_add_func ("/context-end/everywhere", test_contexts_end_everywhere);
  g_test_add_func ("/context-end/while-waiters-leave", test_context_ends_while_waiters_leave);
  return g_test_run ();
}
