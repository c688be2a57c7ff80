/* thread.c: the record of each thread that uses the library, from its first call to the thread's end.
 *
 * The end is told by the destructor of a pthread key.  The system runs none for the main thread when the process exits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/thread.h"
#include "engine/engine.h"
#include "engine/lock.h"
#include "engine/outstanding.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

__thread struct dill_thread *dill_thread_self = NULL;

static pthread_key_t key;
static bool has_key; /* HOLDS: the library's lock */

/* Closes what the library can close without running code of the program. */
static void
close_left_over (int h, struct dill_hvfs *vfs, void *data)
{
  bool *found = data;

  if (vfs->query (vfs, dill_engine_type) == NULL)
    return;

  *found = true;
  dill_handle_take (h);
  vfs->close (vfs);
}

/* A stack that is held; this stands at its upper end. */
struct held_stack
{
  struct dill_list link;
  struct dill_stack stack;
};

void
dill_thread_give_stack (struct dill_thread *thread, const struct dill_stack *stack)
{
  struct held_stack *held;

  if (G_LIKELY (!dill_outstanding_is_within (stack->base, stack->size)))
    {
      dill_stack_pool_give (&thread->stacks, stack);
      return;
    }

  held = (struct held_stack *) (void *) ((char *) stack->base + stack->size) - 1;
  memmove (&held->stack, stack, sizeof *stack); /* STACK may stand there too */
  dill_list_append (&thread->held_stacks, &held->link);
}

void
dill_thread_reap_ended (struct dill_thread *thread)
{
  thread->has_ended = false;
  dill_context_clear (&thread->ended);
  if (thread->ended_stack.base != NULL)
    {
      dill_thread_give_stack (thread, &thread->ended_stack);
      thread->ended_stack.base = NULL;
    }
}

void
dill_thread_release_stacks (struct dill_thread *thread)
{
  struct dill_list *next;

  for (struct dill_list *link = thread->held_stacks.next; link != &thread->held_stacks; link = next)
    {
      struct held_stack *held = dill_container_of (link, struct held_stack, link);
      struct dill_stack stack = held->stack;

      next = link->next;
      if (dill_outstanding_is_within (stack.base, stack.size))
        continue;

      dill_list_remove (link);
      dill_stack_pool_give (&thread->stacks, &stack);
    }
}

/* pthread_exit () in a callback leaves the context in the middle of a dispatch; preparing it anew makes it forget
 * that. */
static void
end_private_context (struct dill_thread *thread)
{
  int priority;

  if (thread->private_context == NULL)
    return;

  g_main_context_prepare (thread->private_context, &priority);
  g_clear_pointer (&thread->private_context, g_main_context_unref);
}

static void
free_thread (struct dill_thread *thread)
{
  bool found = false;

  while (!dill_list_is_empty (&thread->engines))
    found |= dill_engine_free (dill_container_of (thread->engines.next, struct dill_engine, link));
  dill_handle_foreach (thread, close_left_over, &found);
  dill_thread_reap (thread);
  dill_handle_pool_clear (&thread->handles);
  dill_stack_pool_clear (&thread->stacks);
  dill_buffer_pool_clear (&thread->buffers);
  end_private_context (thread);
  dill_context_clear (&thread->own.context);
  dill_thread_self = NULL;
  free (thread);

  if (found)
    g_warning ("a thread has ended with coroutines or handles that were not closed; they are gone");
}

/* Not one with the above: what the caller of dill_scheduler_return () has on a stack may be on the wrong one. */
DILL_UNINSTRUMENTED static void
thread_end (void *data)
{
  struct dill_thread *thread = data;

  dill_thread_self = thread; /* the key's value is what is left of it */
  if (thread->fork_generation != dill_fork_generation)
    return; /* nothing of this is the child's to free */

  dill_scheduler_return (thread, &thread->own);
  free_thread (thread);
}

/* Does what is done once in a process.  What fails is tried again the next time. */
static bool
prepare_process (void)
{
  bool is_prepared;

  dill_lock_take ();
  if (!has_key)
    has_key = pthread_key_create (&key, thread_end) == 0;
  is_prepared = has_key && dill_fork_watch_unlocked ();
  dill_lock_release ();
  return is_prepared;
}

static struct dill_thread *
new_thread (void)
{
  struct dill_thread *thread;

  if (!prepare_process () || (thread = calloc (1, sizeof *thread)) == NULL)
    {
      errno = ENOMEM;
      return NULL;
    }

  if (pthread_setspecific (key, thread) != 0)
    {
      free (thread);
      errno = ENOMEM;
      return NULL;
    }

  dill_lock_take ();
  dill_context_init_thread (&thread->own.context);
  dill_lock_release ();
  thread->current = &thread->own;
  dill_list_init (&thread->engines);
  dill_list_init (&thread->errands);
  dill_list_init (&thread->held_stacks);
  thread->fork_generation = dill_fork_generation;
  thread->is_main = syscall (SYS_gettid) == getpid ();
  dill_thread_self = thread;
  return thread;
}

/* In a child, what was inherited is the parent's: its epoll descriptors, its handles, and the loops that it runs. */
static void
adapt_to_fork (struct dill_thread *thread)
{
  for (struct dill_flow *flow = thread->current; flow != NULL; flow = flow->resumer)
    {
      flow->canceled = false;
      flow->n_closing = 0;
    }

  thread->recent_engine = NULL;
  thread->private_context = NULL;
  dill_list_init (&thread->errands);
  dill_handle_pool_disown (&thread->handles);
  thread->fork_generation = dill_fork_generation;
  thread->is_main = true;
}

struct dill_thread *
dill_thread_prepare (void)
{
  if (dill_thread_self == NULL)
    return new_thread ();

  adapt_to_fork (dill_thread_self);
  return dill_thread_self;
}
