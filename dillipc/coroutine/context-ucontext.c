/* context-ucontext.c: the context switch by swapcontext(3), for processors without assembly here.
 *
 * A suspended flow keeps its ucontext_t on its own stack.  Each switch makes a system call (the signal mask is saved),
 * and the functions are obsolete in POSIX though every libc but musl has them.  A flow cannot begin in the middle of
 * its starter's function this way: dill_go_begin () fails, and programs use dill_spawn ().
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/context.h"

#include <dillipc/dill-coroutine.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

/* At the upper end of a new flow's stack. */
struct first_frame
{
  ucontext_t ucontext;
  void (*func) (void *data);
  void *data;
};

/* makecontext () passes nothing but ints. */
static void
enter (unsigned upper_half, unsigned lower_half)
{
  struct first_frame *frame = (struct first_frame *) (uintptr_t) ((uint64_t) upper_half << 32 | lower_half);

  frame->func (frame->data);
  __builtin_trap ();
}

void
dill_context_init (struct dill_context *context, void *stack, size_t size, void (*func) (void *data), void *data)
{
  uintptr_t end = ((uintptr_t) stack + size - sizeof (struct first_frame)) & ~(uintptr_t) 63;
  struct first_frame *frame = (struct first_frame *) end;

  dill_announce_stack (&context->announced, stack, size);
  if (getcontext (&frame->ucontext) != 0)
    abort (); /* it has no way to fail */
  frame->func = func;
  frame->data = data;
  frame->ucontext.uc_link = NULL;
  frame->ucontext.uc_stack = (stack_t) { .ss_sp = stack, .ss_size = end - (uintptr_t) stack };
  makecontext (&frame->ucontext, (void (*) (void)) enter, 2, (unsigned) ((uint64_t) (uintptr_t) frame >> 32),
               (unsigned) (uintptr_t) frame);
  context->sp = frame;
}

void
dill_context_exchange (struct dill_context *from, struct dill_context *to)
{
  /* Sanitizers look at uc_stack, which swapcontext () does not fill in. */
  ucontext_t self = { .uc_flags = 0 };
  ucontext_t *other = to->sp;

  from->sp = &self;
  to->sp = NULL;
  if (swapcontext (&self, other) != 0)
    abort (); /* ENOMEM only on other systems, for stacks that grow */
}

/* A suspended flow has one more ucontext_t on its stack, besides that of the first frame, which is aligned. */
size_t
dill_context_overhead (void)
{
  return sizeof (struct first_frame) + 63 + sizeof (ucontext_t);
}

int
dill_go_begin (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len)
{
  (void) site;
  (void) bundle;
  (void) mem;
  (void) len;

  *handle = -1;
  errno = ENOTSUP;
  return 0;
}
