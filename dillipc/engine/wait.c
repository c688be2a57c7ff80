/* wait.c: one wait, whatever it is for.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/wait.h"
#include "engine/thread.h"
#include "engine/turn.h"
#include <dillipc/dill-time.h>
#include <errno.h>
#include <pthread.h>

/* Operations that need not wait pause after a millisecond. */
#define SLICE_MAX_US 1000

__attribute__ ((noinline)) int
dill_wait_allowed_to_canceled (struct dill_thread *thread)
{
  const struct dill_flow *current = thread->current;

  /* A callback of a loop that is nested in a coroutine is not the coroutine. */
  if (current != &thread->own && current->main_depth != g_main_depth ())
    return 0;

  errno = ECANCELED;
  return -1;
}

/* A wait that iterates a main context.  One that another thread runs cannot be iterated here.  Apart, like the one
 * before, so that the usual way need not save registers for it. */
__attribute__ ((noinline)) static int
find_context (struct dill_thread *thread, struct dill_wait *wait, bool complains)
{
  wait->coroutine = NULL;
  wait->engine = dill_engine_get (thread);
  if (wait->engine == NULL)
    return -1;

  if (g_main_context_acquire (wait->engine->context))
    return 0;

  if (complains)
    g_critical ("this thread cannot wait under a GMainContext that another one is running: push one of its own");
  errno = ENOTSUP;
  return -1;
}

/* For the running flow of THREAD, which may wait.  Who only pauses does not complain: he could do without. */
static inline int
begin (struct dill_thread *thread, struct dill_wait *wait, const char *what, bool complains)
{
  if (G_LIKELY (dill_wait_can_suspend (thread)))
    {
      wait->coroutine = thread->current;
      wait->engine = thread->current->engine;
    }
  else if (find_context (thread, wait, complains) < 0)
    return -1;

  dill_list_init (&wait->queue);
  dill_list_init (&wait->link);
  wait->timer.pending = false;
  wait->timer.deadline = -1;
  wait->outcome = DILL_PENDING;
  wait->resumed = false;
  wait->retry = false;
  wait->withdraw = NULL;
  wait->what = what;
  return 0;
}

int
dill_wait_begin_in (struct dill_thread *thread, struct dill_wait *wait, const char *what, int64_t deadline)
{
  if (deadline >= 0 && (deadline == 0 || deadline <= dill_now ()))
    {
      errno = ETIMEDOUT;
      return -1;
    }

  if (begin (thread, wait, what, true) < 0)
    return -1;

  if (deadline > 0)
    {
      wait->timer.deadline = deadline;
      dill_timer_add (&wait->engine->timers, &wait->timer);
      dill_engine_kick (wait->engine);
    }

  return 0;
}

/* Takes the records that WAIT has besides its own out of their queues. */
static void
withdraw (struct dill_wait *wait)
{
  void (*func) (struct dill_wait *wait) = wait->withdraw;

  if (G_LIKELY (func == NULL))
    return;

  wait->withdraw = NULL;
  func (wait);
}

void
dill_wait_forget (struct dill_wait *wait)
{
  withdraw (wait);
  dill_list_remove (&wait->queue);
  dill_list_remove (&wait->link);
  dill_timer_remove (&wait->engine->timers, &wait->timer);
}

/* Undoes what find_context () has done. */
static void
release_context (struct dill_wait *wait)
{
  if (wait->coroutine == NULL)
    g_main_context_release (wait->engine->context);
}

void
dill_wait_abandon (struct dill_wait *wait)
{
  dill_wait_forget (wait);
  release_context (wait);
}

static void
suspend (struct dill_wait *wait)
{
  wait->coroutine->wait = wait;
  while (!wait->resumed)
    dill_scheduler_suspend (wait->engine->thread);
  wait->coroutine->wait = NULL;
}

/* A wait that iterates, and who does. */
struct iteration
{
  struct dill_wait *wait;
  struct dill_flow *flow;
};

/* pthread_exit () in a callback, or in a coroutine resumed from here, has come back to this stack, which vanishes. */
static void
stop_iterating (void *data)
{
  struct iteration *iteration = data;

  dill_scheduler_return (iteration->wait->engine->thread, iteration->flow);
  dill_wait_abandon (iteration->wait);
}

static void
iterate (struct dill_wait *wait)
{
  struct iteration iteration = { wait, wait->engine->thread->current };

  pthread_cleanup_push (stop_iterating, &iteration);
  while (!wait->resumed && !dill_engine_is_inherited (wait->engine))
    if (!dill_turn_take_alone (wait->engine))
      g_main_context_iteration (wait->engine->context, TRUE);
  pthread_cleanup_pop (0);

  /* A coroutine has forked, and has ended in the child too: what it waits for here happens in the parent. */
  if (dill_engine_is_inherited (wait->engine))
    wait->outcome = DILL_CANCELED;
}

enum dill_outcome
dill_wait_block (struct dill_wait *wait)
{
  if (wait->coroutine != NULL)
    suspend (wait);
  else
    iterate (wait);

  /* One whose turn has come stands nowhere else any more. */
  if (G_LIKELY (wait->resumed))
    dill_list_remove (&wait->queue);
  else
    dill_wait_forget (wait);
  release_context (wait);
  return wait->outcome;
}

/* In line in what is called most. */
__attribute__ ((always_inline)) static inline void
wake (struct dill_wait *wait, enum dill_outcome outcome)
{
  struct dill_engine *engine = wait->engine;

  if (wait->outcome != DILL_PENDING)
    return;

  wait->outcome = outcome;
  withdraw (wait);
  dill_timer_remove (&engine->timers, &wait->timer);
  dill_list_append (&engine->ready, &wait->link);
  dill_engine_kick (engine);
}

void
dill_wait_wake (struct dill_wait *wait, enum dill_outcome outcome)
{
  wake (wait, outcome);
}

void
dill_wait_wake_all (struct dill_list *queue, enum dill_outcome outcome)
{
  for (struct dill_list *link = queue->next; link != queue; link = link->next)
    dill_wait_wake (dill_wait_at (link), outcome);
}

void
dill_wait_close_all (struct dill_list *queue)
{
  struct dill_list *link;

  while ((link = dill_list_take_first (queue)) != NULL)
    {
      struct dill_wait *wait = dill_wait_at (link);

      dill_wait_wake (wait, DILL_CLOSED);
      wait->outcome = DILL_CLOSED;
    }
}

int
dill_wait_result (enum dill_outcome outcome)
{
  if (outcome == DILL_READY)
    return 0;

  if (outcome != DILL_PENDING)
    errno = outcome == DILL_TIMED_OUT ? ETIMEDOUT : ECANCELED;
  return -1;
}

void
dill_wait_retry_in (struct dill_wait *wait, int milliseconds)
{
  int64_t moment = dill_now () + milliseconds;

  if (wait->timer.pending && wait->timer.deadline <= moment)
    return;

  dill_timer_remove (&wait->engine->timers, &wait->timer);
  wait->timer.deadline = moment;
  wait->retry = true;
  dill_timer_add (&wait->engine->timers, &wait->timer);
  dill_engine_kick (wait->engine);
}

int
dill_wait_yield (void)
{
  struct dill_thread *thread = dill_wait_get_thread ();
  struct dill_wait wait;

  if (thread == NULL || begin (thread, &wait, "yield", true) < 0)
    return -1;

  wake (&wait, DILL_READY);
  if (wait.coroutine == NULL)
    return dill_wait_result (dill_wait_block (&wait));

  /* Nothing but its turn was waited for, so there is nothing to end. */
  suspend (&wait);
  return 0;
}

bool
dill_wait_look_at_clock (struct dill_thread *thread)
{
  thread->n_calls = 0;
  return g_get_monotonic_time () - thread->slice_start > SLICE_MAX_US;
}

/* Makes the scheduler's loop return to the main context before it resumes anybody else. */
static void
end_round (struct dill_engine *engine)
{
  engine->quota = 0;
  engine->thread->slice_start = g_get_monotonic_time ();
}

void
dill_wait_let_others (int64_t deadline)
{
  int saved_errno = errno;
  struct dill_thread *thread;
  struct dill_wait wait;

  if (deadline > 0 && deadline <= dill_now ())
    return;

  if ((thread = dill_wait_get_thread ()) != NULL && begin (thread, &wait, "pause", false) == 0)
    {
      end_round (wait.engine);
      dill_wait_wake (&wait, DILL_READY);
      dill_wait_block (&wait);
    }

  errno = saved_errno;
}

int
dill_wait_result_or_last_try (enum dill_outcome outcome, int64_t *deadline)
{
  if (dill_wait_result (outcome) == 0)
    return 0;
  if (errno != ETIMEDOUT || *deadline == 0)
    return -1;

  *deadline = 0;
  return 0;
}

int
dill_wait_give_up (void)
{
  if (dill_wait_allowed () == 0)
    errno = ETIMEDOUT;
  return -1;
}

enum dill_outcome
dill_wait_pause (struct dill_list *queue, const char *what)
{
  struct dill_thread *thread;
  struct dill_wait wait;

  if ((thread = dill_wait_get_thread ()) == NULL)
    return DILL_PENDING;
  if (begin (thread, &wait, what, false) < 0)
    return DILL_READY;

  /* In the queue, so that closing the object ends the pause; the timer is its turn. */
  dill_list_append (queue, &wait.queue);
  end_round (wait.engine);
  dill_wait_retry_in (&wait, 0);
  return dill_wait_block (&wait);
}
