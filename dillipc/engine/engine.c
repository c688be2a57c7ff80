/* engine.c: engines, one for each GMainContext in which a thread waits.
 *
 * An engine lives as long as its context, whose source it is, or until its thread ends.  Only its own thread frees it:
 * should the context end elsewhere, the engine is marked, and that is left as an errand.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/engine.h"
#include "engine/lock.h"
#include "engine/thread.h"
#include "engine/wait.h"
#include "engine/watch.h"
#include <errno.h>
#include <stdlib.h>

#define QUOTA_AT_FIRST 8

static const int engine_tag;
const void *const dill_engine_type = &engine_tag;

/* A thread without a thread-default context neither may nor needs to iterate the global default one, which is
 * another's: it gets one of its own.  Apart, like all that is seldom needed, so that the usual way need not save
 * registers for it. */
__attribute__ ((noinline)) static GMainContext *
find_other_context (struct dill_thread *thread)
{
  if (thread->private_context != NULL && !g_main_context_is_owner (g_main_context_default ()))
    return thread->private_context;

  if (thread->is_main || g_main_context_is_owner (g_main_context_default ()))
    return g_main_context_default ();

  thread->private_context = g_main_context_new ();
  return thread->private_context;
}

/* The context that a wait iterates, not in a coroutine. */
static inline GMainContext *
find_context (struct dill_thread *thread)
{
  GMainContext *context = g_main_context_get_thread_default ();

  if (context != NULL)
    return context;

  if (G_LIKELY (thread->is_main && thread->private_context == NULL))
    return g_main_context_default ();

  return find_other_context (thread);
}

/* The context has ended in another thread. */
static void
bury (struct dill_errand *errand)
{
  dill_engine_end (dill_container_of (errand, struct dill_engine, burial));
}

static struct dill_engine *
new_engine (struct dill_thread *thread, GMainContext *context)
{
  struct dill_engine *engine = calloc (1, sizeof *engine);

  if (engine == NULL)
    {
      errno = ENOMEM;
      return NULL;
    }

  engine->thread = thread;
  engine->fork_generation = dill_fork_generation;
  engine->context = context;
  engine->n_holders = 2;
  engine->quota_size = QUOTA_AT_FIRST;
  engine->rough_clock = dill_scheduler_rough_clock ();
  dill_list_init (&engine->ready);
  dill_list_init (&engine->coroutines);
  dill_poller_init (&engine->poller);
  dill_errand_init (&engine->burial, bury);
  dill_source_attach (engine);
  dill_lock_take ();
  dill_list_append (&thread->engines, &engine->link);
  dill_lock_release ();
  return engine;
}

static struct dill_engine *
find_engine (struct dill_thread *thread, GMainContext *context)
{
  /* Contexts that have ended, at whose place in memory this one may be, go first. */
  dill_errand_run_all (thread);
  for (struct dill_list *link = thread->engines.next; link != &thread->engines; link = link->next)
    {
      struct dill_engine *engine = dill_container_of (link, struct dill_engine, link);

      if (engine->context == context)
        return engine;
    }

  return NULL;
}

static struct dill_engine *
check_engine (struct dill_engine *engine)
{
  if (G_LIKELY (engine == NULL || !dill_engine_is_inherited (engine)))
    return engine;

  g_critical ("a forked child cannot wait under a GMainContext of its parent's: push one of its own");
  errno = ENOTSUP;
  return NULL;
}

/* For one that is not the one looked up last. */
__attribute__ ((noinline)) static struct dill_engine *
get_another (struct dill_thread *thread, GMainContext *context)
{
  struct dill_engine *engine = find_engine (thread, context);

  if (engine == NULL)
    engine = new_engine (thread, context);
  if (engine != NULL && !dill_engine_is_inherited (engine))
    thread->recent_engine = engine;
  return check_engine (engine);
}

struct dill_engine *
dill_engine_get (struct dill_thread *thread)
{
  struct dill_engine *engine = thread->recent_engine;
  GMainContext *context;

  if (dill_wait_can_suspend (thread))
    return thread->current->engine;

  context = find_context (thread);
  if (engine == NULL || engine->context != context || g_atomic_int_get (&engine->is_orphaned)
      || dill_engine_is_inherited (engine))
    return get_another (thread, context);

  return engine;
}

void
dill_engine_wake_context (struct dill_engine *engine)
{
  if (dill_engine_is_inherited (engine) || g_atomic_int_get (&engine->is_orphaned))
    return;

  /* Somebody's prepare function has called the library after the engine told how long the context may sleep. */
  engine->is_prepared = false;
  g_main_context_wakeup (engine->context);
}

/* What must be closed when an engine ends, and whether there was any of it. */
struct left_over
{
  struct dill_engine *engine;
  bool found;
};

static void
close_at_home (int h, struct dill_hvfs *vfs, void *data)
{
  struct left_over *left_over = data;
  struct dill_engine **home = vfs->query (vfs, dill_engine_type);

  if (home == NULL || *home != left_over->engine)
    return;

  left_over->found = true;
  dill_handle_take (h);
  vfs->close (vfs);
}

/* A stack that vanishes.  Its coroutine may stand on another one of them, and is not looked at once it is abandoned. */
struct vanishing_stack
{
  const char *start;
  const char *end;
  struct dill_context context;
};

struct vanishing
{
  struct vanishing_stack *stacks; /* in the order of their addresses */
  size_t n_stacks;
};

static int
compare_stacks (const void *a, const void *b)
{
  const struct vanishing_stack *one = a, *other = b;

  return one->start < other->start ? -1 : one->start > other->start;
}

static bool
is_vanishing (const struct vanishing *vanishing, const char *address)
{
  size_t low = 0, high = vanishing->n_stacks;

  while (low < high)
    {
      size_t middle = (low + high) / 2;

      if (address < vanishing->stacks[middle].start)
        high = middle;
      else if (address >= vanishing->stacks[middle].end)
        low = middle + 1;
      else
        return true;
    }

  for (size_t i = 0; i < vanishing->n_stacks; i++)
    if (dill_context_has_frame (&vanishing->stacks[i].context, address))
      return true;

  return false;
}

/* Any other object on a stack that vanishes loses its handle.  Its functions are not called: what they would clean up
 * belongs to code that does not run any more. */
static void
take_vanishing (int h, struct dill_hvfs *vfs, void *data)
{
  if (is_vanishing (data, (const char *) vfs))
    dill_handle_take (h);
}

static void
collect_vanishing (struct vanishing *vanishing, struct dill_engine *engine)
{
  struct dill_list *link;
  size_t n = 0;

  *vanishing = (struct vanishing) { 0 };
  if (dill_list_is_empty (&engine->coroutines))
    return;

  for (link = engine->coroutines.next; link != &engine->coroutines; link = link->next)
    n++;

  /* GLib's allocator: there is nobody left to tell of want of memory. */
  vanishing->stacks = g_new (struct vanishing_stack, n);
  vanishing->n_stacks = n;
  for (link = engine->coroutines.next; link != &engine->coroutines; link = link->next)
    {
      const struct dill_flow *coroutine = dill_container_of (link, struct dill_flow, link);

      vanishing->stacks[--n] = (struct vanishing_stack) { .start = coroutine->stack,
                                                          .end = coroutine->stack + coroutine->stack_size,
                                                          .context = coroutine->context };
    }

  qsort (vanishing->stacks, vanishing->n_stacks, sizeof *vanishing->stacks, compare_stacks);
}

/* The last thing to happen to them before they are used again. */
static void
forget_vanishing (struct vanishing *vanishing)
{
  for (size_t i = 0; i < vanishing->n_stacks; i++)
    dill_context_abandon (&vanishing->stacks[i].context);
  g_free (vanishing->stacks);
}

/* Coroutines go without running.  What they wait for, on stacks that vanish, must forget them. */
static void
abandon_coroutines (struct dill_engine *engine)
{
  struct dill_list *link;

  while ((link = dill_list_take_first (&engine->coroutines)) != NULL)
    {
      struct dill_flow *coroutine = dill_container_of (link, struct dill_flow, link);

      if (coroutine->wait != NULL)
        dill_wait_forget (coroutine->wait);
      coroutine->abandon (coroutine);
    }
}

bool
dill_engine_free (struct dill_engine *engine)
{
  struct dill_thread *thread = engine->thread;
  struct left_over left_over = { .engine = engine };
  struct vanishing vanishing;

  dill_lock_take ();
  dill_list_remove (&engine->link);
  dill_errand_withdraw_unlocked (&engine->burial);
  dill_source_leave_unlocked (engine);
  dill_lock_release ();
  if (thread->recent_engine == engine)
    thread->recent_engine = NULL;
  if (dill_engine_is_inherited (engine))
    return false; /* what it points to is the parent's */

  /* The stacks are given back but still there, as long as nobody takes one: so objects on them can be closed. */
  collect_vanishing (&vanishing, engine);
  left_over.found = vanishing.n_stacks > 0;
  abandon_coroutines (engine);
  dill_handle_foreach (thread, close_at_home, &left_over);
  dill_handle_foreach (thread, take_vanishing, &vanishing);
  forget_vanishing (&vanishing);
  if (engine->fd_table != NULL)
    engine->fd_table_free (engine->fd_table);
  dill_poller_clear (&engine->poller);
  dill_engine_release (engine);
  return left_over.found;
}

void
dill_engine_release (struct dill_engine *engine)
{
  bool is_last;

  dill_lock_take ();
  is_last = --engine->n_holders == 0;
  dill_lock_release ();
  if (!is_last)
    return;

  dill_poller_free (&engine->poller);
  free (engine);
}

/* Whoever of the running flows is at home in ENGINE may not wait any more: nobody would resume it.  Returns whether
 * there is anybody. */
static bool
cancel_running (struct dill_engine *engine)
{
  bool found = false;

  for (struct dill_flow *flow = engine->thread->current; flow != NULL; flow = flow->resumer)
    if (flow->engine == engine)
      flow->canceled = found = true;
  return found;
}

void
dill_engine_end (struct dill_engine *engine)
{
  if (!dill_engine_is_inherited (engine) && cancel_running (engine))
    {
      g_critical ("a GMainContext has ended while a coroutine that is at home there was running");
      /* The rest follows when the thread ends.  Where the context was, there may be another one soon. */
      g_atomic_int_set (&engine->is_orphaned, 1);
      engine->context = NULL;
      return;
    }

  if (dill_engine_free (engine))
    g_warning ("a GMainContext has ended with coroutines or handles that were not closed; they are gone");
}
