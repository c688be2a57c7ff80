/* test-await-end.c: operations that nobody waits for any more.
 *
 * A deadline and a cancellation are kept, the operation is told to stop, and a result that is there counts.  When the
 * operation calls back later, with the address of a record that is gone, nothing is touched: neither the record's
 * memory nor a newer record in its place, and no other coroutine's stack.  That newer record is never given another's
 * result.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "await-utils.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* --- Time --- */

/* Without anything to cancel it with, the operation goes on by itself. */
static void
test_time_out (void)
{
  struct dill_await await = DILL_AWAIT_INIT;
  GTask *task = begin (&await, NULL);
  int64_t deadline = dill_now () + 5;

  test_assert_null_errno (dill_await (&await, NULL, deadline), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, deadline);
  test_assert_null_errno (dill_await (&await, NULL, -1), EINVAL);
  finish (task, 1);
  settle ();
}

static gboolean
note_wait (gpointer has_waited)
{
  *(bool *) has_waited = true;
  return G_SOURCE_REMOVE;
}

static void
fail_on_cancel (GCancellable *cancellable G_GNUC_UNUSED, gpointer task)
{
  g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled");
  g_object_unref (task);
}

static void
succeed_on_cancel (GCancellable *cancellable G_GNUC_UNUSED, gpointer task)
{
  g_task_set_check_cancellable (task, FALSE);
  finish (task, 6);
}

/* For how long an operation that was cancelled for want of time may take to end, in milliseconds. */
#define GRACE 100

/* Waits for an operation, which ON_CANCEL ends or not, until the deadline.  One that has passed when the wait begins is
 * another matter (test_no_time ()): then nobody waits for the operation to end. */
static GAsyncResult *
await_past_deadline (GCallback on_cancel, GTask **task, int64_t *deadline)
{
  for (int64_t patience = 2;; patience = next_patience (patience))
    {
      struct dill_await await = DILL_AWAIT_INIT; /* in the same place each time */
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      bool has_waited = false;
      GAsyncResult *result;

      *task = begin (&await, cancellable);
      if (on_cancel != NULL)
        g_cancellable_connect (cancellable, on_cancel, *task, NULL);
      call_when_waiting (note_wait, &has_waited);
      *deadline = dill_now () + patience;
      result = dill_await (&await, cancellable, *deadline);
      g_assert_cmpint (dill_now (), >=, *deadline);
      g_assert_true (g_cancellable_is_cancelled (cancellable));
      if (has_waited && (on_cancel == NULL || dill_now () < *deadline + GRACE))
        return result;

      g_clear_object (&result);
      if (on_cancel == NULL)
        finish (*task, 1);
      test_iterate_until (has_waited);
      settle ();
    }
}

/* The operation has ended, as operations do, by the time that the caller learns of the deadline. */
static void
test_time_out_heeded (void)
{
  int64_t deadline;
  GTask *task;

  for (guint i = 0; i < 3; i++)
    {
      test_assert_null_errno (await_past_deadline (G_CALLBACK (fail_on_cancel), &task, &deadline), ETIMEDOUT);
      g_assert_cmpint (n_operations, ==, 0);
    }
}

/* Data that an operation has taken from somewhere is not lost. */
static void
test_late_success (void)
{
  int64_t deadline;
  GTask *task;

  g_assert_cmpint (number_of (await_past_deadline (G_CALLBACK (succeed_on_cancel), &task, &deadline)), ==, 6);
  settle ();
}

/* One that does not heed it is not waited for much longer. */
static void
test_time_out_ignored (void)
{
  int64_t deadline;
  GTask *task;

  test_assert_null_errno (await_past_deadline (NULL, &task, &deadline), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, deadline + GRACE);
  g_assert_cmpint (n_operations, ==, 1);
  finish (task, 1);
  settle ();
}

static void
ready_on_cancel (GCancellable *cancellable G_GNUC_UNUSED, gpointer await)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, NULL, NULL);

  g_task_return_int (task, 8);
  dill_await_ready (NULL, G_ASYNC_RESULT (task), await);
}

/* 0 and the past never wait: no source has a turn. */
static void
test_no_time (void)
{
  const int64_t deadlines[] = { 0, 1, dill_now () };
  guint n_calls = 0;
  GSource *source = add_busy_source (NULL, &n_calls);

  for (guint i = 0; i < G_N_ELEMENTS (deadlines); i++)
    {
      struct dill_await await = DILL_AWAIT_INIT, at_once = DILL_AWAIT_INIT;
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      GTask *task = begin (&await, cancellable);

      test_assert_null_errno (dill_await (&await, cancellable, deadlines[i]), ETIMEDOUT);
      g_assert_true (g_cancellable_is_cancelled (cancellable));
      g_assert_cmpuint (n_calls, ==, 0);
      finish (task, 1);
      settle ();

      /* Who calls back within the cancellation has not been too late. */
      g_clear_object (&cancellable);
      cancellable = g_cancellable_new ();
      g_cancellable_connect (cancellable, G_CALLBACK (ready_on_cancel), &at_once, NULL);
      n_calls = 0;
      g_assert_cmpint (number_of (dill_await (&at_once, cancellable, deadlines[i])), ==, 8);
      g_assert_cmpuint (n_calls, ==, 0);
    }
  remove_source (source);
}

/* --- Cancellation --- */

static void
test_cancel (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Caller callers[] = { { .deadline = -1, .cancellable = cancellable }, { .deadline = soon () } };
  guint n_calls = 0;
  GSource *source = add_busy_source (NULL, &n_calls);

  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    {
      g_assert_no_errno (dill_hclose (start_caller (&callers[i])));
      g_assert_true (callers[i].is_done);
      test_assert_null_errno ((errno = callers[i].error, callers[i].result), ECANCELED);
    }
  g_assert_true (g_cancellable_is_cancelled (cancellable));
  g_assert_cmpuint (n_calls, ==, 0);

  remove_source (source);
  for (guint i = 0; i < G_N_ELEMENTS (callers); i++)
    finish (callers[i].task, i);
  settle ();
}

/* A result that was delivered before wins over the cancellation. */
static void
test_cancel_too_late (void)
{
  Caller caller = { .deadline = -1 };
  int h = start_caller (&caller);
  g_autoptr (GTask) task = g_task_new (NULL, NULL, NULL, NULL);

  g_task_return_int (task, 9);
  dill_await_ready (NULL, G_ASYNC_RESULT (task), caller.await);
  g_assert_false (caller.is_done);
  g_assert_no_errno (dill_hclose (h));
  g_assert_cmpint (number_of (caller.result), ==, 9);
  g_object_unref (caller.task);
  settle ();
}

/* Cancels a caller whose deadline has passed, and says whether it was not too late for that. */
static bool
cancel_after (int64_t milliseconds)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Caller caller = { .deadline = dill_now () + milliseconds, .cancellable = cancellable };
  int h = test_assert_ok (dill_spawn (call, &caller));
  bool was_done;

  test_iterate_until (g_cancellable_is_cancelled (cancellable));
  was_done = caller.is_done; /* the deadline came before the wait, or so did the end of the grace before this */
  g_assert_no_errno (dill_hclose (h));
  test_assert_null_errno ((errno = caller.error, caller.result), was_done ? ETIMEDOUT : ECANCELED);
  finish (caller.task, 1);
  settle ();
  return !was_done;
}

/* The grace that an operation has after its deadline ends with the coroutine. */
static void
test_cancel_after_time_out (void)
{
  for (int64_t patience = 2; !cancel_after (patience); patience = next_patience (patience))
    continue;
}

/* Begun and called back before it was awaited, or not: in a cancelled coroutine that fails at entry. */
static void
await_when_canceled (void *data)
{
  GTask **tasks = data;

  test_assert_errno (dill_msleep (-1), ECANCELED);
  for (guint i = 0; i < 3; i++)
    {
      struct dill_await await = DILL_AWAIT_INIT;
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();

      tasks[i] = begin (&await, cancellable);
      if (i == 1)
        {
          dill_await_ready (NULL, G_ASYNC_RESULT (tasks[i]), &await);
          g_clear_object (&tasks[i]);
        }
      test_assert_null_errno (dill_await (&await, cancellable, -1), ECANCELED);
      g_assert_true (g_cancellable_is_cancelled (cancellable));
    }
}

static void
test_canceled_at_entry (void)
{
  GTask *tasks[3];

  g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (await_when_canceled, tasks))));
  g_assert_null (tasks[1]);
  finish (tasks[2], 2);
  finish (tasks[0], 0);
  settle ();
}

typedef struct
{
  struct dill_hvfs vfs;
  GTask *task;
} Object;

static void *
object_query (struct dill_hvfs *vfs G_GNUC_UNUSED, const void *type G_GNUC_UNUSED)
{
  errno = ENOTSUP;
  return NULL;
}

static void
object_close (struct dill_hvfs *vfs)
{
  struct dill_await await = DILL_AWAIT_INIT;

  ((Object *) vfs)->task = begin (&await, NULL);
  test_assert_null_errno (dill_await (&await, NULL, -1), ECANCELED);
}

static void
test_in_close (void)
{
  Object object = { .vfs = { object_query, object_close } };

  g_assert_no_errno (dill_hclose (test_assert_ok (dill_hmake (&object.vfs))));
  finish (object.task, 1);
  settle ();
}

/* --- The end of the thread --- */

typedef struct
{
  GMainContext *context;
  struct dill_await await;
  int64_t deadline;
} Exit;

/* The wait beneath ends meanwhile, and does not return. */
static gboolean
exit_after_deadline (gpointer data)
{
  const Exit *exit = data;

  do
    g_main_context_iteration (exit->context, FALSE);
  while (dill_now () <= exit->deadline + 1);
  g_main_context_iteration (exit->context, FALSE);
  pthread_exit (NULL);
}

static void *
await_until_exit (void *data)
{
  Exit *exit = data;
  GSource *source = g_idle_source_new ();

  g_main_context_push_thread_default (exit->context);
  exit->await = (struct dill_await) DILL_AWAIT_INIT;
  exit->deadline = dill_now () + 5;
  g_source_set_callback (source, exit_after_deadline, exit, NULL);
  g_source_attach (source, exit->context);
  g_source_unref (source);
  dill_await (&exit->await, NULL, exit->deadline);
  return NULL;
}

static int
exit_and_call_back (gpointer data G_GNUC_UNUSED)
{
  Exit exit = { .context = g_main_context_new () };
  GTask *task = g_task_new (NULL, NULL, NULL, NULL);
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, await_until_exit, &exit), ==, 0);
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
  g_assert_null (exit.await.dill_waiter);
  dill_await_ready (NULL, G_ASYNC_RESULT (task), &exit.await);
  g_assert_null (exit.await.dill_result);
  g_object_unref (task);
  return EXIT_SUCCESS;
}

/* In a child, as g_main_context_iteration () never returns. */
static void
test_thread_ends (void)
{
  g_assert_cmpint (test_in_child (exit_and_call_back, NULL), ==, EXIT_SUCCESS);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/await-end/thread-ends", test_thread_ends); /* before there are threads: ThreadSanitizer insists */
  g_test_add_func ("/await-end/time-out", test_time_out);
  g_test_add_func ("/await-end/time-out-heeded", test_time_out_heeded);
  g_test_add_func ("/await-end/time-out-ignored", test_time_out_ignored);
  g_test_add_func ("/await-end/late-success", test_late_success);
  g_test_add_func ("/await-end/no-time", test_no_time);
  g_test_add_func ("/await-end/cancel", test_cancel);
  g_test_add_func ("/await-end/cancel-too-late", test_cancel_too_late);
  g_test_add_func ("/await-end/cancel-after-time-out", test_cancel_after_time_out);
  g_test_add_func ("/await-end/canceled-at-entry", test_canceled_at_entry);
  g_test_add_func ("/await-end/in-close", test_in_close);
  return g_test_run ();
}
