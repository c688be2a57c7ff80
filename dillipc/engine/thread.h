/* thread.h: what the library knows of each thread that uses it.
 *
 * Nothing is shared between threads but the index space of handles, so that nothing else needs a lock.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine/stack.h"
#include "engine/buffer.h"
#include "engine/fork.h"
#include "engine/handle.h"
#include "engine/list.h"
#include "engine/scheduler.h"
#include <glib.h>
#include <pthread.h>

struct dill_thread
{
  struct dill_flow own;      /* stands for the stack that the system gave to the thread */
  struct dill_flow *current; /* whose stack is running */

  /* What the last coroutine that ran to its end left behind, if that has not been seen to. */
  bool has_ended;
  struct dill_context ended;
  struct dill_stack ended_stack;

  void *way_back; /* what dill_go_prepare () is about to return to a coroutine that has ended, or NULL */

  struct dill_list engines;           /* one for each GMainContext in use; changed under the lock of lock.h */
  struct dill_list errands;           /* what other threads have left to do; under that lock */
  struct dill_engine *recent_engine;  /* the one looked up last, or NULL */
  GMainContext *private_context;      /* for a thread that has none of its own, or NULL */
  struct dill_handle_pool handles;
  struct dill_stack_pool stacks;
  struct dill_list held_stacks; /* not in use, but not to be used either; see dill_thread_give_stack () */
  struct dill_buffer_pool buffers;
  unsigned fork_generation; /* the process that this describes */
  bool is_main;             /* it has started the process, or is the one that a fork has left */

  /* For fairness: when the scheduler last took stock, in microseconds, and how often the library was called since. */
  int64_t slice_start;
  unsigned n_calls;
  int64_t last_trim; /* of the stacks, in microseconds */
};

extern __thread struct dill_thread *dill_thread_self __attribute__ ((tls_model ("initial-exec")));

/* Gives a stack back that no coroutine uses any more, though it may be the one that runs; nothing on it is alive.
 * While a callback is owed at one of its addresses, the operation in question may also write to buffers there, which
 * may not belong to another coroutine then: so long it is held. */
void dill_thread_give_stack (struct dill_thread *thread, const struct dill_stack *stack);

/* Lets go of held stacks that need not be held any more. */
void dill_thread_release_stacks (struct dill_thread *thread);

/* What dill_thread_reap () does if there is something to do. */
void dill_thread_reap_ended (struct dill_thread *thread);

/* Sees to what the last coroutine that ended left behind.  To be called before stacks are taken. */
static inline void
dill_thread_reap (struct dill_thread *thread)
{
  if (G_UNLIKELY (thread->has_ended))
    dill_thread_reap_ended (thread);
}

/* Makes the record of a thread, or brings it up to date in a forked child.  NULL with errno ENOMEM. */
struct dill_thread *dill_thread_prepare (void);

/* This thread's record, or NULL with errno ENOMEM. */
static inline struct dill_thread *
dill_thread_get (void)
{
  struct dill_thread *thread = dill_thread_self;

  if (G_LIKELY (thread != NULL && thread->fork_generation == dill_fork_generation))
    return thread;

  return dill_thread_prepare ();
}
