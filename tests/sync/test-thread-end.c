/* test-thread-end.c: when a thread ends, its stacks, descriptors and socket files go.
 *
 * Its coroutines never run again, and there is one warning if there was anything to be cleared away.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "remains-utils.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

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

/* The same with several. */
static gpointer
leave_behind_in_contexts (gpointer data)
{
  Remains *remains = data;
  GMainContext **contexts = g_new0 (GMainContext *, 3);

  for (guint i = 0; i < 2; i++)
    {
      contexts[i] = g_main_context_new ();
      g_main_context_push_thread_default (contexts[i]);
      leave_behind (&remains[i]);
      g_main_context_pop_thread_default (contexts[i]);
    }
  return contexts;
}

static void
test_thread_ends_before_contexts (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *other = g_strconcat (test->path, "-other", NULL);
  Remains remains[2] = { { .path = test->path }, { .path = other } };
  guint n_fds = test_count_fds ();
  g_autofree GMainContext **contexts = NULL;

  test_expect_log (G_LOG_LEVEL_WARNING, "*thread has ended*",
                   contexts = g_thread_join (g_thread_new ("leaver", leave_behind_in_contexts, remains)));
  for (guint i = 0; i < 2; i++)
    g_main_context_unref (contexts[i]);
  for (guint i = 0; i < 2; i++)
    check_remains (&remains[i], n_fds);
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

/* Its context, which another thread runs at that moment, does not look at what it frees. */
typedef struct
{
  GMainContext *context;
  TestStep step;
  int fd;
} Tenant;

static gpointer
use_context_and_end (gpointer data)
{
  Tenant *tenant = data;

  use_context (tenant->context);
  test_step_reach (&tenant->step, 1);
  return NULL;
}

static void
test_thread_ends_while_context_runs (void)
{
  for (guint i = 0; i < 200; i++)
    {
      Tenant tenant = { .context = g_main_context_new (), .step = TEST_STEP_INIT };
      GThread *thread = g_thread_new ("tenant", use_context_and_end, &tenant);

      test_step_await (&tenant.step, 1);
      for (guint k = 0; k < 50; k++)
        g_assert_false (g_main_context_iteration (tenant.context, FALSE));
      g_thread_join (thread);
      g_main_context_unref (tenant.context);
    }
}

/* Whoever iterates that context later neither has anything to dispatch nor to poll, but GLib's own. */
static void
wait_for_input (void *data)
{
  dill_fdin (*(int *) data, -1);
}

static gpointer
leave_a_wait (gpointer data)
{
  Tenant *tenant = data;

  g_main_context_push_thread_default (tenant->context);
  test_assert_ok (dill_spawn (wait_for_input, &tenant->fd));
  g_assert_no_errno (dill_yield ());
  g_main_context_pop_thread_default (tenant->context);
  return NULL;
}

static void
check_unused (GMainContext *context)
{
  GPollFD fds[10];
  int timeout, priority;

  g_assert_false (g_main_context_pending (context));
  g_assert_true (g_main_context_acquire (context));
  g_assert_false (g_main_context_prepare (context, &priority));
  g_assert_cmpint (g_main_context_query (context, G_MAXINT, &timeout, fds, G_N_ELEMENTS (fds)), ==, 1);
  g_assert_cmpint (timeout, ==, -1);
  g_main_context_release (context);
}

static void
test_thread_leaves_context_unused (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Tenant tenant = { .context = context, .step = TEST_STEP_INIT };
  int fds[2];

  g_assert_no_errno (pipe (fds));
  tenant.fd = fds[0];
  for (guint i = 0; i < 3; i++)
    {
      test_expect_log (G_LOG_LEVEL_WARNING, "*thread has ended*",
                       test_thread_join (g_thread_new ("leaver", leave_a_wait, &tenant)));
      check_unused (context);
    }
  close (fds[0]);
  close (fds[1]);
}

/* --- pthread_exit () --- */

/* How a thread ends, and under which context it had waits on its own stack. */
typedef struct
{
  Remains remains;
  bool by_callback;
  bool is_nested; /* the second of them has begun */
  GMainContext *context;
  int listener;
} Exit;

static void
exit_in_coroutine (void *data)
{
  Exit *exit = data;

  while (!exit->is_nested)
    sleep_for (1);
  exit->remains.n_exits++;
  pthread_exit (NULL);
}

static gboolean
exit_in_callback (gpointer data)
{
  Exit *exit = data;

  if (!exit->is_nested)
    return G_SOURCE_CONTINUE;
  exit->remains.n_exits++;
  pthread_exit (NULL);
}

/* The destructor of a key that is older than the library's: writes over whatever was on the thread's stack. */
static pthread_key_t key;

static void
use_stack (void *data G_GNUC_UNUSED)
{
  char bytes[30000];

  memset (bytes, 0x41, sizeof bytes);
  __asm__ volatile ("" : : "r"(bytes) : "memory");
}

static void
wait_in_coroutine (void *data)
{
  Exit *exit = data;

#if DILL_HAS_SOCKETS
  dill_ipc_accept (exit->listener, soon ());
#else
  dill_msleep (soon ());
#endif
  exit->remains.ran = TRUE;
}

static gboolean
wait_in_callback (gpointer data)
{
  ((Exit *) data)->is_nested = true;
  wait_in_coroutine (data);
  return G_SOURCE_REMOVE;
}

static void
add_once (Exit *exit, GSource *source, GSourceFunc func)
{
  g_source_unref (add_source (exit->context, source, func, exit));
}

/* Two waits of the thread's own stack, one in the other, stand between those of coroutines, in the queue of a
 * listener and among the timers. */
static void *
wait_until_exit (void *data)
{
  Exit *exit = data;

  g_assert_cmpint (pthread_setspecific (key, exit), ==, 0);
  g_main_context_push_thread_default (exit->context);
#if DILL_HAS_SOCKETS
  exit->listener = test_assert_ok (dill_ipc_listen (exit->remains.path, 10));
#endif
  test_assert_ok (dill_spawn (never_go_on, &exit->remains));
  for (guint i = 0; i < 3; i++)
    test_assert_ok (dill_spawn (wait_in_coroutine, exit));

  if (exit->by_callback)
    add_once (exit, g_timeout_source_new (2), exit_in_callback);
  else
    test_assert_ok (dill_spawn (exit_in_coroutine, exit));
  add_once (exit, g_idle_source_new (), wait_in_callback);
  wait_in_coroutine (exit);
  return NULL;
}

static int
exit_and_check (gpointer data)
{
  Exit *exit = data;
  guint n_fds = test_count_fds ();
  pthread_t thread;
  int priority;

  exit->context = g_main_context_new ();
  g_test_expect_message ("dillipc", G_LOG_LEVEL_WARNING, "*thread has ended*");
  g_assert_cmpint (pthread_create (&thread, NULL, wait_until_exit, exit), ==, 0);
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
  g_test_assert_expected_messages ();
  g_main_context_prepare (exit->context, &priority); /* makes it forget that it was in the middle of a dispatch */
  g_main_context_unref (exit->context);
  g_assert_cmpuint (exit->remains.n_exits, ==, 1);
  check_remains (&exit->remains, n_fds);
  return 0;
}

/* In a child, which does not look for leaks at its end: g_main_context_iteration () never returns, and what it holds of
 * the source that it has dispatched stays. */
static void
test_exit (TestDir *test, gconstpointer by_callback)
{
  Exit exit = { .remains.path = test->path, .by_callback = GPOINTER_TO_INT (by_callback) };

  if (test_skip_under (TEST_UNDER_TSAN, "its pthread_exit () only ends a thread from the thread's own stack"))
    return;

  g_assert_cmpint (test_in_child (exit_and_check, &exit), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_cmpint (pthread_key_create (&key, use_stack), ==, 0); /* before the library makes its own */
  work (NULL); /* opens what the main thread keeps open: from here on descriptors can be counted */
  test_add ("/thread-end/all", test_thread_ends);
  test_add ("/thread-end/before-contexts", test_thread_ends_before_contexts);
  test_add ("/thread-end/before-context", test_thread_ends_before_context);
  g_test_add_func ("/thread-end/clean", test_thread_ends_clean);
  g_test_add_func ("/thread-end/while-context-runs", test_thread_ends_while_context_runs);
  g_test_add_func ("/thread-end/context-unused", test_thread_leaves_context_unused);
  test_add_data ("/thread-end/exit-in-coroutine", GINT_TO_POINTER (false), test_exit);
  test_add_data ("/thread-end/exit-in-callback", GINT_TO_POINTER (true), test_exit);
  return g_test_run ();
}
