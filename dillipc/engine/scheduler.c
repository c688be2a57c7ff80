/* scheduler.c: who runs when.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/scheduler.h"
#include "engine/thread.h"
#include "engine/wait.h"

/* After so many resumptions the clock is looked at.  Among the first of a round every other look is at the exact one;
 * beyond them, which cannot have taken long each, only one in as many resumptions as these are.  The others are at a
 * rough one. */
#define RESUMPTIONS_PER_LOOK 4
#define RESUMPTIONS_PER_EXACT_LOOK 8
#define N_FIRST_RESUMPTIONS 64

/* How far behind a rough clock may be.  Then five resumptions of a millisecond each go by before a round that had to
 * end does so, and all others still have their turns within ten. */
#define ROUGH_CLOCK_MAX_NS 4000000

clockid_t
dill_scheduler_rough_clock (void)
{
  struct timespec step;

  if (clock_getres (CLOCK_MONOTONIC_COARSE, &step) == 0 && step.tv_sec == 0 && step.tv_nsec <= ROUGH_CLOCK_MAX_NS)
    return CLOCK_MONOTONIC_COARSE;

  return CLOCK_MONOTONIC;
}

void
dill_flow_init (struct dill_flow *coroutine, struct dill_engine *engine, const struct dill_go_site *site,
                void (*abandon) (struct dill_flow *coroutine))
{
  /* One by one: clearing the whole struct first costs more than all the rest of starting a coroutine. */
  coroutine->resumer = NULL;
  coroutine->engine = engine;
  coroutine->wait = NULL;
  coroutine->site = site;
  coroutine->abandon = abandon;
  coroutine->main_depth = 0;
  coroutine->resumed_by = DILL_BY_OTHERS;
  coroutine->canceled = false;
  coroutine->n_closing = 0;
  coroutine->name[0] = '\0';
  dill_list_append (&engine->coroutines, &coroutine->link);
}

/* Puts COROUTINE on top of the chain; returns who was there. */
static struct dill_flow *
push (struct dill_thread *thread, struct dill_flow *coroutine, enum dill_resumed_by by)
{
  struct dill_flow *self = thread->current;

  coroutine->resumer = self;
  coroutine->main_depth = g_main_depth ();
  coroutine->resumed_by = by;
  thread->current = coroutine;
  return self;
}

static void
enter (struct dill_thread *thread, struct dill_flow *coroutine, enum dill_resumed_by by)
{
  struct dill_flow *self = push (thread, coroutine, by);

  dill_context_switch (&self->context, &coroutine->context);
  dill_thread_reap (thread);
}

void
dill_scheduler_resume (struct dill_thread *thread, struct dill_flow *coroutine)
{
  enter (thread, coroutine, DILL_BY_OTHERS);
}

void *
dill_scheduler_begin (struct dill_thread *thread, struct dill_flow *coroutine, void *suspended_sp, void *stack,
                      size_t size)
{
  struct dill_flow *self = push (thread, coroutine, DILL_BY_STARTER);
  void *sp = dill_context_init_bare (&coroutine->context, stack, size);

  dill_context_suspended_at (&self->context, suspended_sp, &coroutine->context);
  return sp;
}

/* Whether the round takes too long.  Apart, so that its callers need not save registers for it. */
__attribute__ ((noinline)) static bool
is_over (const struct dill_engine *engine)
{
  unsigned n_resumptions = engine->quota_size - engine->quota;
  unsigned pace = n_resumptions <= N_FIRST_RESUMPTIONS ? RESUMPTIONS_PER_EXACT_LOOK : N_FIRST_RESUMPTIONS;
  struct timespec now;

  clock_gettime (n_resumptions % pace == 0 ? CLOCK_MONOTONIC : engine->rough_clock, &now);
  return (int64_t) now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000 - engine->thread->slice_start > DILL_ROUND_MAX_US;
}

/* Uses up one resumption of the engine's quota.  What coroutines do between two waits can change at any time from
 * nanoseconds to milliseconds, so the clock is looked at too. */
static void
spend_quota (struct dill_engine *engine)
{
  engine->quota--;
  if (engine->quota % RESUMPTIONS_PER_LOOK == 0 && is_over (engine))
    engine->quota = 0;
}

/* Who runs after COROUTINE: the next ready one in its place, if the scheduler's loop would have chosen that, or else
 * its resumer. */
static struct dill_flow *
successor (struct dill_flow *coroutine)
{
  struct dill_engine *engine = coroutine->engine;
  struct dill_flow *next;
  struct dill_wait *wait;

  if (coroutine->resumed_by != DILL_BY_SCHEDULER || engine->quota == 0 || dill_list_is_empty (&engine->ready))
    return coroutine->resumer;

  wait = dill_container_of (engine->ready.next, struct dill_wait, link);
  next = wait->coroutine;
  if (next == NULL)
    return coroutine->resumer;

  spend_quota (engine);
  dill_list_remove (&wait->link);
  wait->resumed = true;
  next->resumer = coroutine->resumer;
  next->main_depth = coroutine->main_depth;
  next->resumed_by = DILL_BY_SCHEDULER;
  return next;
}

/* The same in a child that was forked in COROUTINE: the others are the parent's, and do not run here. */
static struct dill_flow *
leave_inherited (struct dill_flow *coroutine)
{
  coroutine->engine->quota = 0;
  return coroutine->resumer;
}

/* In one place, though a linker that optimises would like to have it in many: a switch that ends in a return goes
 * where the processor expects only if all flows are suspended in the same one. */
__attribute__ ((noinline)) void
dill_scheduler_suspend (struct dill_thread *thread)
{
  struct dill_flow *self = thread->current;
  struct dill_flow *next = successor (self);

  if (next == self)
    return;

  thread->current = next;
  dill_context_switch (&self->context, &next->context);
  dill_thread_reap (thread);
}

/* The end of the running coroutine but for the switch to whoever is next.  Returns it. */
static inline struct dill_flow *
end (struct dill_thread *thread, const struct dill_stack *stack)
{
  struct dill_flow *self = thread->current;

  dill_thread_reap (thread);
  dill_list_remove (&self->link);

  /* Copies, because the memory of the coroutine may be gone by the time they are looked at. */
  if (dill_context_has_listeners ())
    {
      thread->has_ended = true;
      thread->ended = self->context;
    }
  if (stack != NULL)
    {
      thread->has_ended = true;
      thread->ended_stack.slab = stack->slab;
      thread->ended_stack.base = stack->base;
      thread->ended_stack.size = stack->size;
    }
  return self;
}

void
dill_scheduler_exit (struct dill_thread *thread, const struct dill_stack *stack)
{
  struct dill_flow *self = end (thread, stack);

  thread->current = dill_engine_is_inherited (self->engine) ? leave_inherited (self) : successor (self);
  dill_context_leave (&self->context, &thread->current->context);
}

bool
dill_scheduler_has_way_back (const struct dill_thread *thread)
{
  const struct dill_flow *self = thread->current;

  return DILL_CONTEXT_HAS_WAY_BACK && self->resumed_by == DILL_BY_STARTER && !dill_context_has_listeners ()
         && !dill_engine_is_inherited (self->engine);
}

void
dill_scheduler_go_back (struct dill_thread *thread, const struct dill_stack *stack)
{
  thread->current = end (thread, stack)->resumer;
  thread->way_back = dill_context_way_back (&thread->current->context);
}

void
dill_scheduler_return (struct dill_thread *thread, struct dill_flow *flow)
{
  if (thread->current == flow)
    return;

  dill_announce_return (&thread->current->context.announced, &flow->context.announced);
  thread->current = flow;
}

void
dill_scheduler_cancel (struct dill_thread *thread, struct dill_flow *coroutine)
{
  struct dill_wait *wait = coroutine->wait;

  /* An outcome that was delivered before stands; the next wait will fail. */
  coroutine->canceled = true;
  if (wait->outcome == DILL_PENDING)
    dill_wait_wake (wait, DILL_CANCELED);
  dill_list_remove (&wait->link);
  wait->resumed = true;
  enter (thread, coroutine, DILL_BY_OTHERS);
}

bool
dill_scheduler_run (struct dill_thread *thread, struct dill_engine *engine)
{
  struct dill_list *link;

  while (engine->quota > 0 && (link = dill_list_take_first (&engine->ready)) != NULL)
    {
      struct dill_wait *wait = dill_container_of (link, struct dill_wait, link);

      spend_quota (engine);
      wait->resumed = true;
      if (wait->coroutine == NULL)
        return true;

      enter (thread, wait->coroutine, DILL_BY_SCHEDULER);
    }

  return false;
}
