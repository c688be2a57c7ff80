/* context.h: a suspended flow of control, and switching between two of them.
 *
 * While a flow is suspended, everything about it stands on its own stack: the switch pushes the callee-saved registers
 * and the floating-point control words there and keeps only the stack pointer.  Nothing here makes a system call, where
 * there is assembly for the processor; elsewhere context-ucontext.c does the same with swapcontext(3).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine/announce.h"
#include <stddef.h>
#include <stdint.h>

struct dill_go_site;

struct dill_context
{
  void *sp; /* where the registers are; NULL while it runs */
  struct dill_announced announced;
};

/* Lays out the first frame of a flow on STACK, SIZE bytes above it, so that the first switch to CONTEXT calls
 * FUNC (DATA), which must never return.  In a debugger that call is the outermost frame.  The flow starts with the
 * floating-point control words that are in force now. */
void dill_context_init (struct dill_context *context, void *stack, size_t size, void (*func) (void *data), void *data);

/* Where the stack pointer stands in an empty stack. */
static inline void *
dill_context_stack_end (void *stack, size_t size)
{
  return (void *) (((uintptr_t) stack + size) & ~(uintptr_t) 15);
}

/* How many bytes at most of a stack the flow on it cannot use: those that this layer keeps there. */
size_t dill_context_overhead (void);

/* The bare switch, which no tool is told of: for the two functions below only. */
void dill_context_exchange (struct dill_context *from, struct dill_context *to);

/* Makes CONTEXT stand for the stack that the thread was given by the system, which is running. */
static inline void
dill_context_init_thread (struct dill_context *context)
{
  context->sp = NULL;
  dill_announce_thread (&context->announced);
}

/* Suspends the running flow in FROM and goes on with TO; returns when somebody switches back to FROM. */
DILL_UNINSTRUMENTED static inline void
dill_context_switch (struct dill_context *from, struct dill_context *to)
{
  dill_announce_switch (&from->announced, &to->announced, false);
  dill_context_exchange (from, to);
}

/* Goes on with TO for good: the running flow FROM has ended.  FROM and its stack are in use until TO runs. */
DILL_UNINSTRUMENTED __attribute__ ((noreturn)) static inline void
dill_context_leave (struct dill_context *from, struct dill_context *to)
{
  dill_announce_switch (&from->announced, &to->announced, true);
  dill_announce_stack_is_free (&from->announced);
  dill_context_exchange (from, to);
  __builtin_trap ();
}

/* Whether dill_context_clear () matters to anybody. */
static inline bool
dill_context_has_listeners (void)
{
  return dill_announce_is_heard;
}

/* Forgets a flow that has ended; called from another flow, while its stack still exists. */
static inline void
dill_context_clear (struct dill_context *context)
{
  dill_announce_end (&context->announced, false);
  context->sp = NULL;
}

/* The same for one that is suspended, or unwound, and never will go on. */
static inline void
dill_context_abandon (struct dill_context *context)
{
  dill_announce_end (&context->announced, true);
  context->sp = NULL;
}

/* Whether ADDRESS is a local of a suspended flow, but not on its stack: there are tools that keep them elsewhere. */
static inline bool
dill_context_has_frame (const struct dill_context *context, const void *address)
{
  return dill_announce_has_frame (&context->announced, address);
}

/* What follows is for flows that begin in the middle of their starter's function.  dill_go_begin () (dill-go.h), which
 * is assembly, suspends its caller and calls this, which belongs to the part of the library that knows coroutines.  It
 * makes the new flow with dill_context_init_bare (), tells with dill_context_suspended_at () where the caller's frame
 * is, and returns the new flow's stack pointer: dill_go_begin () then returns 1 on that stack, and 0 to the caller when
 * somebody switches back to it.  On NULL it returns 0 to the caller at once. */
void *dill_go_prepare (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len,
                       void *suspended_sp);

/* Whether a bare flow that ends before it was ever suspended may go back to its starter the way it came: its outermost
 * function returns, dill_go_begin () is called once more, and dill_go_prepare () returns the starter's frame, marked.
 * Then all returns match their calls, which spares the processor up to five wrong predictions.  Sanitizers would have
 * to be told of the switch. */
#if defined(__x86_64__) && !defined(DILL_WITH_ASAN) && !defined(DILL_WITH_TSAN)
#define DILL_CONTEXT_HAS_WAY_BACK true
#else
#define DILL_CONTEXT_HAS_WAY_BACK false
#endif

/* Bytes between the stack pointer that a bare flow begins with and the end of its stack.  Compilers write the stacked
 * arguments of a call above the stack pointer: the function that begins here (DILL_GO_SWITCH_ in dill-go.h) calls
 * nothing but dill_go_begin () and a function without any. */
#define DILL_CONTEXT_HEADROOM 64

/* Makes CONTEXT stand for a flow that begins on STACK without a frame; SIZE exceeds DILL_CONTEXT_HEADROOM by what the
 * flow needs.  Returns its stack pointer. */
static inline void *
dill_context_init_bare (struct dill_context *context, void *stack, size_t size)
{
  dill_announce_stack (&context->announced, stack, size);
  context->sp = NULL;
  return (char *) dill_context_stack_end (stack, size) - DILL_CONTEXT_HEADROOM;
}

/* FROM has been suspended with its frame at SP, in favour of TO, which begins as soon as dill_go_prepare () returns. */
static inline void
dill_context_suspended_at (struct dill_context *from, void *sp, struct dill_context *to)
{
  from->sp = sp;
  to->sp = NULL;
  dill_announce_switch_later (&from->announced, &to->announced);
}

/* Takes the frame of the suspended flow CONTEXT, which goes on as soon as dill_go_prepare () returns the result. */
static inline void *
dill_context_way_back (struct dill_context *context)
{
  char *frame = context->sp;

  context->sp = NULL;
  return frame + 1;
}
