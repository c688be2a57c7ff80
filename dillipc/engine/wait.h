/* wait.h: one wait, whatever it is for.
 *
 * The record of a wait lives on the stack of the one who waits.  It stands in the queue of the object that is waited
 * for; one that waits for several objects has more records, which its withdraw function takes out of their queues.
 * When somebody wakes it with an outcome, it joins the ready queue of its engine too, and is resumed in turn.  Should
 * the object be closed before that, the outcome becomes DILL_CLOSED: the waiter must not touch the object.
 *
 * A coroutine that waits is suspended.  Elsewhere, on a thread's own stack or in a callback of a main loop that is
 * nested in a coroutine, a wait iterates the main context until it is its turn.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/engine.h"
#include "engine/list.h"
#include "engine/thread.h"
#include "engine/timer.h"
#include <dillipc/dill-time.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

enum dill_outcome
{
  DILL_PENDING,
  DILL_READY,     /* what was waited for has happened, or should be tried again */
  DILL_TIMED_OUT, /* the deadline was reached */
  DILL_CANCELED,  /* the coroutine was cancelled */
  DILL_CLOSED     /* the object was closed: do not touch it */
};

struct dill_wait
{
  struct dill_list queue; /* in the queue of the object, until it is resumed */
  struct dill_list link;  /* in the engine's ready queue */
  struct dill_timer timer;
  struct dill_engine *engine;
  struct dill_flow *coroutine; /* NULL: the main context is iterated */
  enum dill_outcome outcome;
  bool resumed;     /* its turn has come */
  bool retry;       /* the timer is there to try again, not to give up */
  /* NULL, or called once, when the outcome is known or the stack vanishes. */
  void (*withdraw) (struct dill_wait *wait);
  const char *what; /* for debuggers: the operation */
};

/* What dill_wait_allowed () says when the running flow was cancelled, or closes an object. */
int dill_wait_allowed_to_canceled (struct dill_thread *thread);

/* This thread, or NULL with errno ECANCELED if the running flow may not wait any more, or ENOMEM. */
static inline struct dill_thread *
dill_wait_get_thread (void)
{
  struct dill_thread *thread = dill_thread_get ();

  if (thread == NULL)
    return NULL;

  if (G_LIKELY (!thread->current->canceled && thread->current->n_closing == 0))
    return thread;

  return dill_wait_allowed_to_canceled (thread) < 0 ? NULL : thread;
}

/* 0, or -1 with one of those. */
static inline int
dill_wait_allowed (void)
{
  return dill_wait_get_thread () == NULL ? -1 : 0;
}

/* 0 for a DEADLINE that has passed already: all is done that can be without waiting. */
static inline int64_t
dill_wait_settle (int64_t deadline)
{
  return deadline > 0 && deadline <= dill_now () ? 0 : deadline;
}

/* Whether an operation with DEADLINE can wait at all.  One that cannot, because the time has come or the coroutine was
 * cancelled, asks the kernel even for what was not ready when somebody last looked. */
static inline bool
dill_wait_is_possible (int64_t deadline)
{
  return dill_wait_settle (deadline) != 0 && dill_wait_allowed () == 0;
}

/* Whether the running flow is a coroutine that can be suspended: not in a callback of a loop nested in it. */
static inline bool
dill_wait_can_suspend (const struct dill_thread *thread)
{
  const struct dill_flow *current = thread->current;

  /* In a forked child, whoever would resume the coroutine has stayed in the parent. */
  return current != &thread->own && !dill_engine_is_inherited (current->engine)
         && current->main_depth == g_main_depth ();
}

/* Begins a wait of the running flow of THREAD, which may wait.  Returns 0, or -1 with errno ENOMEM, ENOTSUP or
 * ETIMEDOUT (at once, if DEADLINE is 0 or has passed).  Must be followed by dill_wait_block () or dill_wait_abandon
 * (). */
int dill_wait_begin_in (struct dill_thread *thread, struct dill_wait *wait, const char *what, int64_t deadline);

/* The same in this thread, or -1 with errno ECANCELED. */
static inline int
dill_wait_begin (struct dill_wait *wait, const char *what, int64_t deadline)
{
  struct dill_thread *thread = dill_wait_get_thread ();

  return thread == NULL ? -1 : dill_wait_begin_in (thread, wait, what, deadline);
}

/* Waits until WAIT is woken, and says how. */
enum dill_outcome dill_wait_block (struct dill_wait *wait);

/* Ends a wait that was begun and has not returned: it was not blocked in, or never will return. */
void dill_wait_abandon (struct dill_wait *wait);

/* The stack that WAIT is on vanishes: takes it out of wherever it stands. */
void dill_wait_forget (struct dill_wait *wait);

/* Wakes up a waiter; only the first outcome counts. */
void dill_wait_wake (struct dill_wait *wait, enum dill_outcome outcome);

/* Wakes all waiters in QUEUE, who stay in it until they run. */
void dill_wait_wake_all (struct dill_list *queue, enum dill_outcome outcome);

/* The object of QUEUE goes away: whoever is in it learns that, even if he was woken before but has not run. */
void dill_wait_close_all (struct dill_list *queue);

/* The wait at a link of a queue. */
static inline struct dill_wait *
dill_wait_at (struct dill_list *link)
{
  return dill_container_of (link, struct dill_wait, queue);
}

/* Wakes all waiters in QUEUE, who leave it at once: what becomes of the object is no matter to them. */
static inline void
dill_wait_dismiss_all (struct dill_list *queue, enum dill_outcome outcome)
{
  struct dill_list *link;

  while ((link = dill_list_take_first (queue)) != NULL)
    dill_wait_wake (dill_wait_at (link), outcome);
}

/* Turns an outcome into a result: 0 for DILL_READY, otherwise -1 with errno, which DILL_PENDING leaves as it is: the
 * wait could not begin. */
int dill_wait_result (enum dill_outcome outcome);

/* The same for one who asks the kernel again after each wait, once more when DEADLINE has come: what has come in time
 * counts, however late one's turn comes.  DEADLINE becomes 0 then, and the result is 0. */
int dill_wait_result_or_last_try (enum dill_outcome outcome, int64_t *deadline);

/* Makes WAIT end with DILL_READY after a pause of MILLISECONDS, unless its deadline comes first: for what the kernel
 * offers no event for. */
void dill_wait_retry_in (struct dill_wait *wait, int milliseconds);

/* Lets everybody else go first.  Returns 0, or -1 with errno. */
int dill_wait_yield (void);

/* Operations that need not wait look at the clock once in so many. */
#define DILL_CALLS_PER_LOOK 32

/* Whether THREAD, whose operations have not waited for a while, has not let others go on for too long. */
bool dill_wait_look_at_clock (struct dill_thread *thread);

/* Whether an operation that has not waited for long ought to pause now. */
static inline bool
dill_wait_is_due (void)
{
  struct dill_thread *thread = dill_thread_self;

  return thread != NULL && G_UNLIKELY (++thread->n_calls >= DILL_CALLS_PER_LOOK) && dill_wait_look_at_clock (thread);
}

/* The pause of dill_wait_fairly (). */
void dill_wait_let_others (int64_t deadline);

/* For the end of operations that may end time after time without waiting: now and then lets everybody else go first.
 * RESULT is what the operation returns, negative for failure, and what this returns; DEADLINE is the operation's:
 * with 0 this never waits.  It is the end because what has to wait anyway must not lose its place to a pause before,
 * and because cancellation cannot take a result back.  Who fails and tries again pauses too: for the lack of a
 * descriptor, say, which others may be about to close.  But not who may not wait here, as has been complained of.
 * Keeps errno. */
static inline int64_t
dill_wait_fairly (int64_t result, int64_t deadline)
{
  if (deadline != 0 && (result >= 0 || errno != ENOTSUP) && dill_wait_is_due ())
    dill_wait_let_others (deadline);
  return result;
}

/* One that could wait, until its deadline has passed, does no more than this many bytes: what several sockets hold. */
#define DILL_TRIAL_LATE_MAX (1024 * 1024)

/* An operation of many steps that cannot wait, or cannot any more, and finds more and more to do because its peer keeps
 * up.  When a pause would have been due it looks how much there is to do, and does no more than that.  All 0 at
 * first. */
struct dill_trial
{
  bool is_on;
  uint32_t end; /* of a count of bytes, which may wrap around */
};

/* Whether more was done than there was to do when TRIAL, which is on, began. */
static inline bool
dill_trial_is_over (const struct dill_trial *trial, uint32_t count)
{
  return (int32_t) (count - trial->end) > 0;
}

/* Fails with ETIMEDOUT or, in a cancelled coroutine, ECANCELED. */
int dill_wait_give_up (void);

/* For the middle of an operation on an object that can wait: pauses like dill_wait_fairly (), in QUEUE meanwhile, so
 * that closing the object ends it. */
enum dill_outcome dill_wait_pause (struct dill_list *queue, const char *what);
