/* test-await-places.c: records that were given up, and what stands in their place when the operation calls back.
 *
 * Guarantees: a record that is in the place of another one never gets that one's result: if it cannot be told whose
 * result comes the call says EBUSY.  A stack that an operation may still write to belongs to nobody.  Memory of the
 * caller's may be freed, and stacks, contexts and threads may end, while a callback is owed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "await-utils.h"

#include <string.h>

/* --- The same place --- */

/* Operations whose records stand in the same place, one after the other. */
typedef struct
{
  struct dill_await await;
  GCancellable *cancellable;
  int64_t deadline;
  GTask *task;
  GTask *first; /* NULL, or one to be ended, and called back, between the beginning and the wait */
} Place;

static void
turn (void)
{
  do
    g_main_context_iteration (NULL, FALSE);
  while (g_main_context_pending (NULL));
}

static GAsyncResult *
visit (Place *it)
{
  it->await = (struct dill_await) DILL_AWAIT_INIT;
  it->task = begin (&it->await, it->cancellable);
  turn ();
  if (it->first != NULL)
    {
      finish (it->first, 1);
      turn ();
    }
  return dill_await (&it->await, it->cancellable, it->deadline);
}

/* Leaves one behind in the place of IT, and returns its operation. */
static GTask *
leave_one (Place *it)
{
  it->deadline = dill_now () + 1;
  test_assert_null_errno (visit (it), ETIMEDOUT);
  it->deadline = soon ();
  return it->task;
}

static gboolean
finish_visit (gpointer data)
{
  Place *it = data;

  finish (it->task, 42);
  return G_SOURCE_REMOVE;
}

/* All is well in the place again. */
static void
check_place (Place *it)
{
  settle ();
  it->first = NULL;
  call_when_waiting (finish_visit, it);
  g_assert_cmpint (number_of (visit (it)), ==, 42);
  settle ();
}

/* The first operation is still on its way. */
static void
test_busy (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Place it = { 0 };
  GTask *left[] = { leave_one (&it), NULL };

  it.cancellable = cancellable;
  test_assert_null_errno (visit (&it), EBUSY);
  g_assert_true (g_cancellable_is_cancelled (cancellable));
  left[1] = it.task;

  /* In the other order, which makes no difference. */
  it.cancellable = NULL;
  finish (left[1], 2);
  turn ();
  test_assert_null_errno (visit (&it), EBUSY);
  finish (it.task, 3);
  finish (left[0], 1);
  check_place (&it);
}

/* It calls back after the second one was begun, and before that is waited for. */
static void
test_first_calls_back_between (void)
{
  Place it = { 0 };

  it.first = leave_one (&it);
  test_assert_null_errno (visit (&it), EBUSY);
  g_assert_cmpint (n_operations, ==, 1);
  finish (it.task, 2);
  check_place (&it);
}

static GTask *task_in_between;

static gboolean
finish_newest (gpointer data)
{
  Place *it = data;

  it->first = NULL;
  task_in_between = it->task;
  finish (it->task, 2);
  return G_SOURCE_REMOVE;
}

/* The second one calls back first: that is taken for the first one's, and so what comes then must not be taken for the
 * second one's. */
static void
test_second_calls_back_between (void)
{
  Place it = { 0 };
  GTask *left = leave_one (&it);

  g_idle_add (finish_newest, &it);
  test_assert_null_errno (visit (&it), EBUSY);
  g_assert_true (task_in_between == it.task);
  g_assert_cmpint (n_operations, ==, 1);
  finish (left, 1);
  check_place (&it);
}

/* Once it has called back there is nothing to be confused with. */
static void
test_over (void)
{
  Place it = { 0 };

  for (guint i = 0; i < 3; i++)
    {
      finish (leave_one (&it), 1);
      check_place (&it);
    }
}

/* Calls of one function stand in the same place of the stack. */
static void
test_frame (void)
{
  struct dill_await *places[2];
  GTask *tasks[2];

  for (guint i = 0; i < 2; i++)
    {
      struct dill_await await = DILL_AWAIT_INIT;

      places[i] = &await;
      tasks[i] = begin (&await, NULL);
      test_assert_null_errno (dill_await (&await, NULL, dill_now () + 1), i == 0 ? ETIMEDOUT : EBUSY);
    }
  g_assert_true (places[0] == places[1]);
  finish (tasks[1], 1);
  finish (tasks[0], 0);
  settle ();
}

/* One whose number is not known may be older than it is. */
static void
test_unknown_number (void)
{
  struct dill_await await = DILL_AWAIT_INIT;
  GTask *task = begin (&await, NULL);

  test_assert_null_errno (dill_await (&await, NULL, 0), ETIMEDOUT);
  finish (task, 1);
  settle ();

  memset (&await, 0, sizeof await);
  task = begin (&await, NULL);
  test_assert_null_errno (dill_await (&await, NULL, soon ()), EBUSY);
  finish (task, 2);
  settle ();

  await = (struct dill_await) DILL_AWAIT_INIT;
  finish (begin (&await, NULL), 3);
  g_assert_cmpint (number_of (dill_await (&await, NULL, soon ())), ==, 3);
  settle ();
}

/* --- Stacks --- */

/* A coroutine that lends a buffer on its stack to an operation. */
typedef struct
{
  GTask *task;
  char *buffer;
} Lender;

enum
{
  BUFFER_SIZE = 20000
};

TEST_LOCALS_OUTLIVE static void
lend (void *data)
{
  struct dill_await await = DILL_AWAIT_INIT;
  char buffer[BUFFER_SIZE];
  Lender *lender = data;

  lender->buffer = buffer;
  lender->task = begin (&await, NULL);
  test_assert_null_errno (dill_await (&await, NULL, -1), ECANCELED);
}

/* One that finds out where it is. */
TEST_LOCALS_OUTLIVE static void
look_around (void *data)
{
  char here;

  *(const char **) data = &here;
  dill_yield ();
}

/* Whether a new coroutine gets the stack that LENDER had. */
static bool
is_stack_used_again (const Lender *lender)
{
  const char *place = NULL;

  g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (look_around, &place))));
  return ABS (place - lender->buffer) < 2 * BUFFER_SIZE;
}

static void
test_stack_is_held (gconstpointer in_bundle)
{
  Lender lender;
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 3; i++)
    {
      if (in_bundle != NULL)
        {
          g_assert_no_errno (dill_bundle_spawn (b, lend, &lender));
          g_assert_no_errno (dill_hclose (b));
          b = test_assert_ok (dill_bundle ());
        }
      else
        g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (lend, &lender))));

      for (guint j = 0; j < 100; j++)
        g_assert_false (is_stack_used_again (&lender));
      g_assert_no_errno (dill_msleep (dill_now () + 20)); /* nor is it trimmed, as free stacks are */
      g_assert_false (is_stack_used_again (&lender));
      memset (lender.buffer, 0x41, BUFFER_SIZE); /* by a thread of GIO, say */

      /* When the operation is over the stack comes back. */
      finish (lender.task, 1);
      settle ();
      while (!is_stack_used_again (&lender))
        g_assert_no_errno (dill_msleep (dill_now () + 2));
    }
  g_assert_no_errno (dill_hclose (b));
}

static dill_coroutine void
lend_once (Lender *lender)
{
  lend (lender);
}

/* Neither the caller's stack nor a record on the heap is looked at. */
static void
test_memory_is_freed (void)
{
  struct dill_await *await = g_new (struct dill_await, 1);
  char *stack = g_malloc (100000);
  Lender lender;
  GTask *task;

  g_assert_no_errno (dill_hclose (test_assert_ok (dill_go_mem (lend_once (&lender), stack, 100000))));
  g_free (stack);

  *await = (struct dill_await) DILL_AWAIT_INIT;
  task = begin (await, NULL);
  test_assert_null_errno (dill_await (await, NULL, 0), ETIMEDOUT);
  g_free (await);

  finish (lender.task, 1);
  finish (task, 2);
  settle ();
}

/* --- Ends --- */

/* The operation is begun by one who stays. */
typedef struct
{
  struct dill_await *await;
  Steps steps;
} Leaver;

static void
await_for_ever (void *data)
{
  struct dill_await await = DILL_AWAIT_INIT;
  Leaver *leaver = data;

  leaver->await = &await;
  dill_await (&await, NULL, -1);
  g_assert_not_reached ();
}

/* A context ends while a coroutine at home there waits; before that somebody may have called back. */
static void
test_context_ends (gconstpointer calls_back_first)
{
  GMainContext *context = g_main_context_new ();
  Leaver leaver = { 0 };
  GTask *task;

  g_main_context_push_thread_default (context);
  test_assert_ok (dill_spawn (await_for_ever, &leaver));
  g_main_context_pop_thread_default (context);
  task = begin (leaver.await, NULL);
  if (calls_back_first != NULL)
    {
      finish (task, 1);
      test_iterate_until (!g_main_context_pending (NULL));
    }
  test_expect_log (G_LOG_LEVEL_WARNING, "*GMainContext has ended*", g_main_context_unref (context));
  if (calls_back_first == NULL)
    finish (task, 1);
  settle ();
}

static gpointer
leave_thread (gpointer data)
{
  Leaver *leaver = data;

  test_assert_ok (dill_spawn (await_for_ever, leaver));
  g_async_queue_push (leaver->steps.to_main, leaver->await);
  next_step (leaver->steps.from_main);
  return NULL;
}

/* The thread's stacks are unmapped when the operation calls back. */
static void
test_thread_ends (void)
{
  Leaver leaver = { .steps = steps_new () };
  GThread *thread;
  GTask *task;

  g_test_expect_message ("dillipc", G_LOG_LEVEL_WARNING, "*thread has ended*");
  thread = g_thread_new ("leaver", leave_thread, &leaver);
  task = begin (next_step (leaver.steps.to_main), NULL);
  g_async_queue_push (leaver.steps.from_main, &leaver);
  test_thread_join (thread);
  g_test_assert_expected_messages ();
  finish (task, 1);
  settle ();
  steps_free (&leaver.steps);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/await-places/busy", test_busy);
  g_test_add_func ("/await-places/first-calls-back-between", test_first_calls_back_between);
  g_test_add_func ("/await-places/second-calls-back-between", test_second_calls_back_between);
  g_test_add_func ("/await-places/over", test_over);
  g_test_add_func ("/await-places/frame", test_frame);
  g_test_add_func ("/await-places/unknown-number", test_unknown_number);
  g_test_add_data_func ("/await-places/stack-is-held", NULL, test_stack_is_held);
  g_test_add_data_func ("/await-places/stack-is-held-in-bundle", "bundle", test_stack_is_held);
  g_test_add_func ("/await-places/memory-is-freed", test_memory_is_freed);
  g_test_add_data_func ("/await-places/context-ends", NULL, test_context_ends);
  g_test_add_data_func ("/await-places/context-ends-called-back", "called back", test_context_ends);
  g_test_add_func ("/await-places/thread-ends", test_thread_ends);
  return g_test_run ();
}
