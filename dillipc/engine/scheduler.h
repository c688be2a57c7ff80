/* scheduler.h: coroutines, and who runs when.
 *
 * Whoever resumes a coroutine, a parent in go(), a closer, or the scheduler's loop, gets control back when it next
 * waits or ends.  So the flows that are not suspended form a chain: the running one, its resumer, that one's resumer,
 * and so on to the thread's own stack.  Each lies beneath the one before it and cannot go on earlier.
 *
 * As a short cut, a coroutine that the scheduler's loop resumed hands over to the next ready one directly, which then
 * stands in its place in the chain.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine/context.h"
#include "engine/list.h"
#include <stdbool.h>
#include <time.h>

struct dill_flow;
struct dill_engine;
struct dill_go_site;
struct dill_stack;
struct dill_thread;
struct dill_wait;

/* Who has resumed a coroutine. */
enum dill_resumed_by
{
  DILL_BY_STARTER,   /* it runs for the first time, and its starter waits in dill_go_begin () */
  DILL_BY_OTHERS,
  DILL_BY_SCHEDULER  /* the scheduler's loop */
};

struct dill_flow
{
  struct dill_context context;
  struct dill_flow *resumer; /* who gets control back; NULL for a thread's own stack */
  struct dill_engine *engine;     /* home; NULL for a thread's own stack */
  struct dill_wait *wait;         /* what it is suspended in, or NULL */
  struct dill_list link;          /* in the engine's list of all coroutines */
  const char *stack;              /* its lowest byte */
  size_t stack_size;
  void (*abandon) (struct dill_flow *coroutine); /* its engine has ended: it will never run again */
  const struct dill_go_site *site; /* where it was started */
  int main_depth;                  /* g_main_depth () when it was resumed */
  enum dill_resumed_by resumed_by;
  bool canceled;
  unsigned n_closing; /* how many hvfs.close functions are running on it */
  char name[32];
};

/* Makes COROUTINE, whose context is set up elsewhere and whose stack is noted in it, a member of ENGINE. */
void dill_flow_init (struct dill_flow *coroutine, struct dill_engine *engine, const struct dill_go_site *site,
                     void (*abandon) (struct dill_flow *coroutine));

/* Runs COROUTINE until it waits or ends. */
void dill_scheduler_resume (struct dill_thread *thread, struct dill_flow *coroutine);

/* The same for a coroutine that begins in the middle of its starter's function: the running flow was suspended at
 * SUSPENDED_SP.  Returns the stack pointer to go on with, on a stack of SIZE bytes from STACK. */
void *dill_scheduler_begin (struct dill_thread *thread, struct dill_flow *coroutine, void *suspended_sp, void *stack,
                            size_t size);

/* Suspends the running coroutine; returns when it is resumed. */
void dill_scheduler_suspend (struct dill_thread *thread);

/* Ends the running coroutine.  Its STACK goes back to the pool, unless that is NULL, once another flow runs. */
void dill_scheduler_exit (struct dill_thread *thread, const struct dill_stack *stack) __attribute__ ((noreturn));

/* Whether the running coroutine, which ends, can go back to its starter the way it came (coroutine/context.h). */
bool dill_scheduler_has_way_back (const struct dill_thread *thread);

/* Then this ends it like dill_scheduler_exit (), but returns, on its stack still.  Nothing must happen any more until
 * dill_go_begin () is called. */
void dill_scheduler_go_back (struct dill_thread *thread, const struct dill_stack *stack);

/* pthread_exit () in another flow has come back to the stack of FLOW, with whoever was on top of it gone. */
void dill_scheduler_return (struct dill_thread *thread, struct dill_flow *flow);

/* Cancels a suspended coroutine and runs it, which it does without waiting, to its end. */
void dill_scheduler_cancel (struct dill_thread *thread, struct dill_flow *coroutine);

/* A clock that costs next to nothing and still is exact enough to end rounds by, if the system has one. */
clockid_t dill_scheduler_rough_clock (void);

/* Runs ready coroutines of ENGINE until there is none, the engine's quota is used up, or it is the turn of a wait that
 * iterates the main context: then it returns true. */
bool dill_scheduler_run (struct dill_thread *thread, struct dill_engine *engine);
