/* engine.h: what makes coroutines and waits of one thread go on in one GMainContext.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/attempts.h"
#include "engine/errand.h"
#include "engine/fork.h"
#include "engine/list.h"
#include "engine/poller.h"
#include "engine/timer.h"
#include <glib.h>
#include <stdbool.h>
#include <time.h>

struct dill_fd_table;
struct dill_thread;

/* How long coroutines run at most, in microseconds, until descriptors and timers are looked at. */
#define DILL_ROUND_MAX_US 250

struct dill_engine
{
  struct dill_list link; /* in the thread's list */
  struct dill_thread *thread;
  unsigned fork_generation; /* the process that made it */
  GMainContext *context;    /* not owned: it owns the source */
  GSource *source;          /* not owned: the context does */
  int n_holders;            /* of this record: the thread and the source.  HOLDS: the library's lock */
  struct dill_list ready;   /* waits whose outcome is known, in the order in which they were woken */
  struct dill_timer_heap timers;
  struct dill_poller poller;
  struct dill_list coroutines; /* all that have not ended */

  struct dill_fd_table *fd_table; /* of sync/fd.c */
  void (*fd_table_free) (struct dill_fd_table *table);

  unsigned quota;             /* resumptions left before descriptors and timers are looked at */
  unsigned quota_size;        /* what it starts with, by experience */
  clockid_t rough_clock;      /* for looks at the time between exact ones */
  struct dill_attempts looks; /* at descriptors once more, before the context asks for them */
  struct dill_attempts spins; /* polls without sleeping */
  unsigned spin_us;           /* how long they take at most */
  int64_t last_turn;          /* when it has ended, in microseconds */
  int64_t last_dispatch;      /* and when the last one that the context gave has */
  int64_t last_look;          /* at the time without a turn for sources of lower priority, in microseconds */
  int64_t last_passed;        /* when they had one, in microseconds of the thread's processor time */
  unsigned n_turns_to_pass;   /* these are theirs */
  bool is_next;               /* they have had them */
  bool is_prepared;           /* the context is about to poll, and will not ask again before */

  bool has_context;          /* the context lives; under the lock of lock.h */
  int is_orphaned;           /* atomic: the context has ended in another thread */
  struct dill_errand burial; /* what is to be done then */
};

/* Whether this is a forked child, and ENGINE the parent process's. */
static inline bool
dill_engine_is_inherited (const struct dill_engine *engine)
{
  return engine->fork_generation != dill_fork_generation;
}

/* The engine in which a wait of the running flow goes on: its coroutine's, or that of the thread-default context.  NULL
 * with errno ENOMEM, or ENOTSUP and a g_critical if the context is inherited over fork () or is another thread's. */
struct dill_engine *dill_engine_get (struct dill_thread *thread);

/* What dill_engine_kick () does if the context is about to poll. */
void dill_engine_wake_context (struct dill_engine *engine);

/* Tells the context that there is work that it does not know of, if it needs to be told. */
static inline void
dill_engine_kick (struct dill_engine *engine)
{
  if (G_UNLIKELY (engine->is_prepared))
    dill_engine_wake_context (engine);
}

/* Ends ENGINE: its coroutines never run again, its objects are closed. Returns whether there were any. */
bool dill_engine_free (struct dill_engine *engine);

/* Drops a hold on ENGINE's memory, which the source needs as long as it may be polled.  In any thread. */
void dill_engine_release (struct dill_engine *engine);

/* The same, because its context has ended, with a warning if there were any. */
void dill_engine_end (struct dill_engine *engine);

/* source.c: the GSource that drives ENGINE, attached to its context. */
void dill_source_attach (struct dill_engine *engine);

/* Leaves the source, if ENGINE has one, to whoever iterates the context next, which removes it, or ends the context:
 * another thread may be doing that right now.  HOLDS: dill_lock_take () */
void dill_source_leave_unlocked (struct dill_engine *engine);

/* Makes the context dispatch the source of ENGINE, which runs the errands of its thread.  HOLDS: dill_lock_take () */
void dill_source_wake_unlocked (struct dill_engine *engine);
