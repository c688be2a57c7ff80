/* test-await.c: an operation that calls back, as one call that returns.
 *
 * The call returns what was called back with, and a reference to it, as soon as that has happened: in a coroutine, on
 * the main stack and in nested loops, and at once if it was before.  Each operation wakes up the one who waits for it.
 * A record serves one operation, and one who waits.  Calls back that come in another thread are as good.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "await-utils.h"

/* --- The result --- */

static gboolean
finish_in_callback (gpointer task)
{
  finish (task, 42);
  return G_SOURCE_REMOVE;
}

static void
test_main_stack (void)
{
  struct dill_await await = DILL_AWAIT_INIT;
  GTask *task = begin (&await, NULL);

  g_idle_add (finish_in_callback, task);
  g_assert_cmpint (number_of (dill_await (&await, NULL, soon ())), ==, 42);
  settle ();
}

static void
test_coroutine (void)
{
  Caller caller = { .deadline = soon () };
  int h = start_caller (&caller);

  finish (caller.task, 7);
  g_assert_false (caller.is_done); /* nothing but the main loop calls back */
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (number_of (caller.result), ==, 7);
  g_assert_no_errno (dill_hclose (h));
  settle ();
}

/* The caller owns a reference, and nobody else. */
static void
test_reference (void)
{
  struct dill_await await = DILL_AWAIT_INIT;
  GTask *task = begin (&await, NULL);
  GAsyncResult *result;
  gpointer weak = task;

  g_object_add_weak_pointer (G_OBJECT (task), &weak);
  finish (task, 1);
  result = dill_await (&await, NULL, soon ());
  g_assert_no_errno (dill_msleep (dill_now () + 1));
  g_assert_true ((gpointer) result == weak);
  g_assert_cmpuint (G_OBJECT (result)->ref_count, ==, 1);
  g_object_unref (result);
  g_assert_null (weak);
}

static void
test_error (void)
{
  struct dill_await await = DILL_AWAIT_INIT;
  GTask *task = begin (&await, NULL);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;

  g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "there is none");
  g_object_unref (task);
  result = dill_await (&await, NULL, soon ());
  g_assert_cmpint (g_task_propagate_int (G_TASK (result), &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

/* What is there already is returned without a turn of the main loop, whatever the deadline. */
static void
test_called_back_before (void)
{
  const int64_t deadlines[] = { 0, 1, -1, soon () };

  for (guint i = 0; i < G_N_ELEMENTS (deadlines); i++)
    {
      struct dill_await await = DILL_AWAIT_INIT;
      guint n_calls = 0;
      GSource *source;

      finish (begin (&await, NULL), i);
      test_iterate_until (!g_main_context_pending (NULL));

      source = add_busy_source (NULL, &n_calls);
      g_assert_cmpint (number_of (dill_await (&await, NULL, deadlines[i])), ==, i);
      g_assert_cmpuint (n_calls, ==, 0);
      remove_source (source);
    }
  settle ();
}

/* --- Several --- */

/* Two operations at once, of which the second ends first. */
static void
test_two_of_one_caller (void)
{
  struct dill_await first = DILL_AWAIT_INIT, second = DILL_AWAIT_INIT;
  GTask *tasks[] = { begin (&first, NULL), begin (&second, NULL) };

  finish (tasks[1], 2);
  g_idle_add (finish_in_callback, tasks[0]);
  g_assert_cmpint (number_of (dill_await (&first, NULL, soon ())), ==, 42);
  g_assert_cmpint (number_of (dill_await (&second, NULL, 0)), ==, 2);
  settle ();
}

static void
test_many (void)
{
  Caller callers[200] = { 0 };
  int handles[G_N_ELEMENTS (callers)];

  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      callers[i].deadline = soon ();
      handles[i] = start_caller (&callers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      guint which = i * 77 % G_N_ELEMENTS (callers); /* in another order than they were begun */

      finish (callers[which].task, which);
    }
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      g_assert_no_errno (dill_bundle_wait (handles[i], soon ()));
      g_assert_cmpint (number_of (callers[i].result), ==, i);
      g_assert_no_errno (dill_hclose (handles[i]));
    }
  settle ();
}

/* --- Loops --- */

static gboolean
await_in_callback (gpointer loop)
{
  struct dill_await await = DILL_AWAIT_INIT;
  GTask *task = begin (&await, NULL);

  g_idle_add (finish_in_callback, task);
  g_assert_cmpint (number_of (dill_await (&await, NULL, soon ())), ==, 42);
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

static void
run_loop (void *data)
{
  g_assert_no_errno (dill_yield ());
  g_idle_add (await_in_callback, data);
  g_main_loop_run (data);
}

static void
test_nested_loop (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  int h = test_assert_ok (dill_spawn (run_loop, loop));

  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  settle ();
}

/* Under a pushed context nothing else goes on; what was begun under another one is not called back. */
static void
test_private_context (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  struct dill_await outer = DILL_AWAIT_INIT, inner = DILL_AWAIT_INIT;
  guint n_calls = 0;
  GSource *source = add_busy_source (NULL, &n_calls);

  finish (begin (&outer, NULL), 1);
  g_main_context_push_thread_default (context);
  finish (begin (&inner, NULL), 2);
  g_assert_cmpint (number_of (dill_await (&inner, NULL, soon ())), ==, 2);
  g_assert_cmpuint (n_calls, ==, 0);
  g_main_context_pop_thread_default (context);
  g_assert_cmpint (number_of (dill_await (&outer, NULL, soon ())), ==, 1);
  remove_source (source);
  settle ();
}

/* --- Misuse --- */

static void
test_null (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  test_assert_null_errno (dill_await (NULL, cancellable, -1), EINVAL);
  g_assert_false (g_cancellable_is_cancelled (cancellable));
}

static void
test_twice (void)
{
  struct dill_await await = DILL_AWAIT_INIT;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  finish (begin (&await, cancellable), 1);
  g_assert_cmpint (number_of (dill_await (&await, cancellable, soon ())), ==, 1);
  test_assert_null_errno (dill_await (&await, cancellable, soon ()), EINVAL);
  g_assert_false (g_cancellable_is_cancelled (cancellable));

  /* Made anew it is as good as another one. */
  await = (struct dill_await) DILL_AWAIT_INIT;
  finish (begin (&await, cancellable), 2);
  g_assert_cmpint (number_of (dill_await (&await, cancellable, soon ())), ==, 2);
  settle ();
}

static int
await_after_fork (gpointer data G_GNUC_UNUSED)
{
  struct dill_await await = DILL_AWAIT_INIT;

  begin (&await, NULL);
  test_expect_critical ("*forked child*", test_assert_null_errno (dill_await (&await, NULL, -1), ENOTSUP));
  return 0;
}

/* A child must not wait under its parent's context. */
static void
test_inherited_context (void)
{
  g_assert_no_errno (dill_yield ()); /* the parent uses it */
  g_assert_cmpint (test_in_child (await_after_fork, NULL), ==, 0);
}

/* Somebody else waits for it, and is not disturbed. */
static void
test_busy (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Caller caller = { .deadline = soon (), .cancellable = cancellable };
  int h = start_caller (&caller);

  test_assert_null_errno (dill_await (caller.await, cancellable, soon ()), EBUSY);
  g_assert_false (g_cancellable_is_cancelled (cancellable));
  finish (caller.task, 3);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (number_of (caller.result), ==, 3);
  g_assert_no_errno (dill_hclose (h));
  settle ();
}

/* One that is all zeros has no number, and will do where no other was given up. */
static void
test_zeros (void)
{
  static struct dill_await await;

  finish (begin (&await, NULL), 4);
  g_assert_cmpint (number_of (dill_await (&await, NULL, soon ())), ==, 4);
  settle ();
}

static void
test_called_back_twice (void)
{
  struct dill_await await = DILL_AWAIT_INIT;
  g_autoptr (GTask) task = g_task_new (NULL, NULL, NULL, NULL);

  dill_await_ready (NULL, G_ASYNC_RESULT (task), &await);
  test_expect_critical ("*dill_await_ready*", dill_await_ready (NULL, G_ASYNC_RESULT (task), &await));
  g_object_unref (dill_await (&await, NULL, 0));
  test_expect_critical ("*dill_await_ready*", dill_await_ready (NULL, G_ASYNC_RESULT (task), &await));
  test_expect_critical ("*await*NULL*", dill_await_ready (NULL, G_ASYNC_RESULT (task), NULL));
  test_expect_critical ("*G_IS_ASYNC_RESULT*", dill_await_ready (NULL, NULL, &await));
  g_assert_cmpuint (G_OBJECT (task)->ref_count, ==, 1);
}

/* --- Other threads --- */

/* The record is this thread's; the operation is begun, and calls back, in the main thread. */
typedef struct
{
  bool by_coroutine;
  bool comes_late; /* when there has been a call back already */
  Steps steps;
  struct dill_await *await;
  TestStep published; /* how often */
} Relay;

static gboolean
publish (gpointer data)
{
  Relay *relay = data;

  test_step_reach (&relay->published, relay->published.number + 1);
  return G_SOURCE_REMOVE;
}

static void
await_elsewhere (void *data)
{
  struct dill_await await = DILL_AWAIT_INIT;
  Relay *relay = data;

  relay->await = &await;
  if (relay->comes_late)
    {
      publish (relay);
      next_step (relay->steps.from_main);
    }
  else
    call_when_waiting (publish, relay);
  g_assert_cmpint (number_of (dill_await (&await, NULL, soon ())), ==, 5);
}

static gpointer
run_elsewhere (gpointer data)
{
  Relay *relay = data;

  if (relay->by_coroutine)
    {
      int h = test_assert_ok (dill_spawn (await_elsewhere, relay));

      g_assert_no_errno (dill_bundle_wait (h, soon ()));
      g_assert_no_errno (dill_hclose (h));
    }
  else
    await_elsewhere (relay);
  return NULL;
}

static void
test_other_thread (gconstpointer data)
{
  guint variant = GPOINTER_TO_UINT (data);
  Relay relay = {
    .by_coroutine = variant & 1,
    .comes_late = variant & 2,
    .steps = steps_new (),
    .published = TEST_STEP_INIT,
  };

  for (int i = 0; i < 20; i++)
    {
      GThread *thread = test_thread_start (run_elsewhere, &relay);

      test_step_await (&relay.published, i + 1);
      finish (begin (relay.await, NULL), 5);
      test_iterate_until (!g_main_context_pending (NULL));
      if (relay.comes_late)
        g_async_queue_push (relay.steps.from_main, &relay);
      test_thread_join (thread);
    }
  settle ();
  steps_free (&relay.steps);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/await/main-stack", test_main_stack);
  g_test_add_func ("/await/coroutine", test_coroutine);
  g_test_add_func ("/await/reference", test_reference);
  g_test_add_func ("/await/error", test_error);
  g_test_add_func ("/await/called-back-before", test_called_back_before);
  g_test_add_func ("/await/two-of-one-caller", test_two_of_one_caller);
  g_test_add_func ("/await/many", test_many);
  g_test_add_func ("/await/nested-loop", test_nested_loop);
  g_test_add_func ("/await/private-context", test_private_context);
  g_test_add_func ("/await/null", test_null);
  g_test_add_func ("/await/twice", test_twice);
  g_test_add_func ("/await/inherited-context", test_inherited_context);
  g_test_add_func ("/await/busy", test_busy);
  g_test_add_func ("/await/zeros", test_zeros);
  g_test_add_func ("/await/called-back-twice", test_called_back_twice);
  g_test_add_data_func ("/await/other-thread/main-stack", GUINT_TO_POINTER (0), test_other_thread);
  g_test_add_data_func ("/await/other-thread/coroutine", GUINT_TO_POINTER (1), test_other_thread);
  g_test_add_data_func ("/await/other-thread/main-stack-late", GUINT_TO_POINTER (2), test_other_thread);
  g_test_add_data_func ("/await/other-thread/coroutine-late", GUINT_TO_POINTER (3), test_other_thread);
  return g_test_run ();
}
