/* await.c: operations of GIO that call back, as calls that return.
 *
 * GIO has the address of the caller's record, and calls back with it once, whatever happens.  As long as dill_await ()
 * has not returned the record is there.  Where it returns without a result the callback is still owed:
 * engine/outstanding.h keeps account of that, so that the callback, when it comes, looks neither at the record nor at
 * one that has taken its place; and engine/thread.c keeps stacks at which a callback is owed from being used again.
 *
 * Callbacks may come in any thread, so the records are guarded by the one lock.  A waiter in another thread is woken by
 * an errand.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/lock.h"
#include "engine/outstanding.h"
#include "engine/thread.h"
#include "engine/wait.h"
#include <dillipc/dill-glib.h>
#include <dillipc/dill-time.h>
#include <errno.h>

/* How long an operation may take to notice that it was cancelled, in milliseconds.  Most need a turn of the main
 * loop or two; one that needs longer is left to itself, so that deadlines mean something. */
#define GRACE_MS 100

/* What dill_await::dill_state says. */
enum
{
  NEW,
  AWAITED, /* dill_await () has been called */
  SPENT    /* and has returned */
};

/* Who waits, on the stack of dill_await (). */
struct waiter
{
  struct dill_wait wait;
  struct dill_errand errand; /* of a callback in another thread: to wake it */
  struct dill_await *await;
  bool is_woken;
};

size_t
dill_await_number (void)
{
  return dill_outstanding_number ();
}

/* --- The callback --- */

static void
wake (struct dill_errand *errand)
{
  dill_wait_wake (&dill_container_of (errand, struct waiter, errand)->wait, DILL_READY);
}

/* Puts RESULT into the record, if that expects one.  HOLDS: dill_lock_take () */
static bool
deliver_unlocked (struct dill_await *await, GAsyncResult *result)
{
  if (await->dill_state == SPENT || await->dill_result != NULL)
    return false;

  await->dill_result = result;
  return true;
}

void
dill_await_ready (GObject *source, GAsyncResult *result, gpointer user_data)
{
  struct dill_await *await = user_data;
  struct waiter *waiter = NULL;
  bool is_owed, is_delivered = false;

  (void) source;
  g_return_if_fail (await != NULL);
  g_return_if_fail (G_IS_ASYNC_RESULT (result));

  g_object_ref (result);
  dill_lock_take ();
  is_owed = dill_outstanding_settle_unlocked (await);
  if (!is_owed && (is_delivered = deliver_unlocked (await, result)))
    waiter = await->dill_waiter;
  if (waiter != NULL && waiter->wait.engine->thread != dill_thread_self)
    {
      dill_errand_leave_unlocked (waiter->wait.engine->thread, &waiter->errand);
      waiter = NULL;
    }
  dill_lock_release ();

  if (waiter != NULL)
    wake (&waiter->errand);
  if (!is_delivered)
    g_object_unref (result);
  if (!is_owed && !is_delivered)
    g_critical ("dill_await_ready() was called for a struct dill_await that expects nothing more");
}

/* --- The end of the record --- */

/* The record is done with.  Returns its result; if there is none, the callback is owed from now on. */
static GAsyncResult *
spend (struct dill_await *await)
{
  GAsyncResult *result;

  dill_lock_take ();
  result = g_steal_pointer (&await->dill_result);
  if (result == NULL && await->dill_state != SPENT)
    dill_outstanding_add_unlocked (await);
  await->dill_state = SPENT;
  dill_lock_release ();
  return result;
}

/* Takes WAITER out of its record, and says whether there is a result. */
static bool
leave (struct waiter *waiter)
{
  bool has_result;

  dill_lock_take ();
  dill_errand_withdraw_unlocked (&waiter->errand);
  waiter->await->dill_waiter = NULL;
  has_result = waiter->await->dill_result != NULL;
  dill_lock_release ();
  return has_result;
}

/* Called when the waiter is woken, and when it never will go on. */
static void
waiter_withdraw (struct dill_wait *wait)
{
  struct waiter *waiter = dill_container_of (wait, struct waiter, wait);
  GAsyncResult *result;

  if (wait->outcome != DILL_PENDING && !waiter->is_woken)
    {
      waiter->is_woken = true;
      wait->withdraw = waiter_withdraw;
      return;
    }

  leave (waiter);
  result = spend (waiter->await);
  g_clear_object (&result);
}

/* --- Waiting --- */

/* Puts WAITER into its record, unless there is a result already. */
static bool
join (struct waiter *waiter)
{
  bool has_result;

  dill_lock_take ();
  has_result = waiter->await->dill_result != NULL;
  if (!has_result)
    {
      waiter->await->dill_waiter = waiter;
      waiter->wait.withdraw = waiter_withdraw;
    }
  dill_lock_release ();
  return !has_result;
}

/* Returns 0 as soon as there is a result, or an errno. */
static int
wait_for_result (struct dill_await *await, int64_t deadline)
{
  struct waiter waiter = { .await = await };
  enum dill_outcome outcome;

  if (dill_wait_begin (&waiter.wait, "await", deadline) < 0)
    return errno;

  dill_errand_init (&waiter.errand, wake);
  if (!join (&waiter))
    {
      dill_wait_abandon (&waiter.wait);
      return 0;
    }

  outcome = dill_wait_block (&waiter.wait);
  if (leave (&waiter))
    return 0;

  return outcome == DILL_TIMED_OUT ? ETIMEDOUT : ECANCELED;
}

/* Makes the record the caller's.  Returns 0, also with a result in it, or an errno. */
static int
claim (struct dill_await *await, bool *has_result)
{
  int error = 0;

  dill_lock_take ();
  if (await->dill_state != NEW)
    error = await->dill_state == SPENT ? EINVAL : EBUSY;
  else
    await->dill_state = AWAITED;
  *has_result = await->dill_result != NULL;
  dill_lock_release ();
  return error;
}

static bool
is_clear (const struct dill_await *await)
{
  bool clear;

  dill_lock_take ();
  clear = dill_outstanding_is_clear_unlocked (await, await->dill_number);
  dill_lock_release ();
  return clear;
}

/* Whether RESULT, which has come after the deadline, is worth more than the news of that.  An operation that was
 * cancelled has failed. */
static bool
is_success (GAsyncResult *result)
{
  return G_IS_TASK (result) && !g_task_had_error (G_TASK (result));
}

/* Ends the record, with an errno.  Only after the deadline a result that has come late is good enough. */
static GAsyncResult *
give_up (struct dill_await *await, int error)
{
  GAsyncResult *result = spend (await);

  if (result != NULL && error == ETIMEDOUT && is_success (result))
    return result;

  g_clear_object (&result);
  errno = error;
  return NULL;
}

GAsyncResult *
dill_await (struct dill_await *await, GCancellable *cancellable, int64_t deadline)
{
  bool has_result, may_wait = deadline < 0 || deadline > dill_now ();
  int error = await != NULL ? claim (await, &has_result) : EINVAL;

  if (error != 0)
    {
      errno = error;
      return NULL;
    }

  if (dill_wait_allowed () < 0)
    error = errno;
  else if (!is_clear (await))
    error = EBUSY;
  else if (!has_result)
    error = wait_for_result (await, deadline);

  if (error == 0)
    return spend (await);

  if (cancellable != NULL)
    {
      g_cancellable_cancel (cancellable);
      if (error == ETIMEDOUT && may_wait && wait_for_result (await, dill_now () + GRACE_MS) == ECANCELED)
        error = ECANCELED;
    }

  return give_up (await, error);
}
