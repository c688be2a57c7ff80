/* turn.c: what an engine does when it is its turn.
 *
 * A turn takes a millisecond at most: rounds of running who is ready and then looking who else is, so that what a turn
 * of the main loop costs is shared by many.
 *
 * Relies on: the poller; GLib's prepare and query, through it, for turns that the main context takes no part in.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/turn.h"
#include "engine/engine.h"
#include "engine/thread.h"
#include "engine/wait.h"
#include <dillipc/dill-time.h>

#define TURN_MAX_US 1000
#define TRIM_PAUSE_US 5000
#define LOOKS_GAIN 2
#define LOOKS_PAUSE 63

/* How long a round between two looks at descriptors and timers ought to take, and how many resumptions it may have. */
#define ROUND_MIN_US 50
#define QUOTA_MAX 2048

static void
wake_expired (struct dill_engine *engine)
{
  int64_t now;

  if (engine->timers.root == NULL)
    return;

  now = dill_now ();
  while (engine->timers.root != NULL && engine->timers.root->deadline <= now)
    {
      struct dill_wait *wait = dill_container_of (engine->timers.root, struct dill_wait, timer);

      dill_wait_wake (wait, wait->retry ? DILL_READY : DILL_TIMED_OUT);
    }
}

/* Descriptors and timers are looked at after so many resumptions as take about a quarter of a millisecond. */
static void
adapt_quota (struct dill_engine *engine, int64_t elapsed)
{
  if (elapsed < ROUND_MIN_US)
    engine->quota_size = MIN (2 * engine->quota_size, QUOTA_MAX);
  else if (elapsed > DILL_ROUND_MAX_US)
    engine->quota_size = MAX (engine->quota_size / 4, 1);
}

/* Before the program may sleep for long, stacks that a burst has left behind go back to the system; but not at each
 * turn of a loop that needs them again at the next. */
static void
trim_stacks (struct dill_thread *thread, int64_t now)
{
  if (now - thread->last_trim < TRIM_PAUSE_US)
    return;

  thread->last_trim = now;
  dill_thread_reap (thread);
  dill_thread_release_stacks (thread);
  dill_stack_pool_trim (&thread->stacks);
}

/* Before the context waits, another look at the descriptors saves a turn of its loop if there is something new, and
 * is a system call in vain if there is not.  LAST is what the one before has found. */
static enum dill_findings
look_again (struct dill_engine *engine, enum dill_findings last)
{
  enum dill_findings findings;

  if (last == DILL_FOUND_NOTHING || (last == DILL_FOUND_ALL && !dill_attempts_is_due (&engine->looks)))
    return DILL_FOUND_NOTHING;

  findings = dill_poller_collect (engine);
  dill_attempts_learn (&engine->looks, findings != DILL_FOUND_NOTHING, LOOKS_GAIN, LOOKS_PAUSE);
  return findings;
}

static void
take_turn (struct dill_engine *engine, int64_t start)
{
  struct dill_thread *thread = engine->thread;
  int64_t now = start, round_start;
  enum dill_findings findings = dill_poller_collect (engine);
  bool is_returning;

  for (;;)
    {
      round_start = now;
      wake_expired (engine);
      if (dill_list_is_empty (&engine->ready))
        break;

      thread->slice_start = round_start;
      engine->quota = engine->quota_size;
      is_returning = dill_scheduler_run (thread, engine);
      now = g_get_monotonic_time ();
      adapt_quota (engine, now - round_start);
      if (now - start >= TURN_MAX_US || is_returning || dill_engine_is_inherited (engine))
        break;

      findings = dill_list_is_empty (&engine->ready) ? look_again (engine, findings) : dill_poller_collect (engine);
      if (findings == DILL_FOUND_NOTHING && dill_list_is_empty (&engine->ready))
        break;
    }

  if (dill_list_is_empty (&engine->ready))
    trim_stacks (thread, now);
  engine->last_turn = now;
}

void
dill_turn_take (struct dill_engine *engine)
{
  take_turn (engine, g_get_monotonic_time ());
}

bool
dill_turn_take_alone (struct dill_engine *engine)
{
  int64_t now;

  /* Sources that say in their check function alone that they are ready shall be asked now and then. */
  if (!dill_list_is_empty (&engine->ready) || engine->last_turn - engine->last_dispatch >= TURN_MAX_US)
    return false;

  switch (dill_poller_rest (engine))
    {
    case DILL_REST_EVENTS:
      now = g_get_monotonic_time ();
      if (now - engine->last_dispatch >= TURN_MAX_US)
        return false;
      take_turn (engine, now);
      return true;
    case DILL_REST_DONE:
      return true;
    case DILL_REST_REFUSED:
    default:
      return false;
    }
}
