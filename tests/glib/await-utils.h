/* await-utils.h: operations that end when a test says so, and those who wait for them.
 *
 * An operation is a GTask, which gives a number.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

#include <gio/gio.h>
#include <stdbool.h>

/* How many operations are not over: their results have been neither taken nor dropped. */
static gint n_operations;

static inline void
count_down (gpointer data G_GNUC_UNUSED)
{
  g_atomic_int_add (&n_operations, -1);
  g_main_context_wakeup (NULL); /* a thread of GIO may have had the last reference */
}

/* Begins an operation, to be ended with finish () or fail (). */
static inline GTask *
begin (struct dill_await *await, GCancellable *cancellable)
{
  GTask *task = g_task_new (NULL, cancellable, dill_await_ready, await);

  g_atomic_int_inc (&n_operations);
  g_task_set_task_data (task, task, count_down);
  return task;
}

static inline void
finish (GTask *task, gssize number)
{
  g_task_return_int (task, number);
  g_object_unref (task);
}

/* Iterates the main context until no operation is left.  GTask calls back later if it was begun in this very turn. */
static inline void
settle (void)
{
  test_iterate_until (g_atomic_int_get (&n_operations) == 0);
}

/* Takes a result, and the number in it. */
static inline gssize
number_of (GAsyncResult *result)
{
  g_autoptr (GError) error = NULL;
  gssize number;

  g_assert_true (G_IS_TASK (result));
  number = g_task_propagate_int (G_TASK (result), &error);
  g_assert_no_error (error);
  g_object_unref (result);
  return number;
}

/* A coroutine that begins an operation and waits for it, and what came of that. */
typedef struct
{
  GCancellable *cancellable;
  int64_t deadline;
  GTask *task;
  struct dill_await *await; /* on its stack */
  GAsyncResult *result;
  int error;
  bool is_done;
} Caller;

TEST_LOCALS_OUTLIVE static inline void
call (void *data)
{
  struct dill_await await = DILL_AWAIT_INIT;
  Caller *caller = data;

  caller->await = &await;
  caller->task = begin (&await, caller->cancellable);
  caller->result = dill_await (&await, caller->cancellable, caller->deadline);
  caller->error = errno;
  caller->is_done = true;
}

static inline int
start_caller (Caller *caller)
{
  int h = test_assert_ok (dill_spawn (call, caller));

  g_assert_false (caller->is_done);
  return h;
}

/* What another thread and the main one tell each other: any pointers. */
typedef struct
{
  GAsyncQueue *to_main;
  GAsyncQueue *from_main;
} Steps;

static inline Steps
steps_new (void)
{
  return (Steps) { g_async_queue_new (), g_async_queue_new () };
}

static inline void
steps_free (Steps *steps)
{
  g_async_queue_unref (steps->to_main);
  g_async_queue_unref (steps->from_main);
}

static inline gpointer
next_step (GAsyncQueue *queue)
{
  gpointer step = g_async_queue_timeout_pop (queue, TEST_LIMIT_SECONDS * G_USEC_PER_SEC);

  g_assert_nonnull (step);
  return step;
}
