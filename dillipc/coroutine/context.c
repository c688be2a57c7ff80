/* context.c: the first frame of a flow, laid out as switch-*.S expects it, and the C half of dill_go_begin ().
 *
 * Every suspended flow, new or not, has the same frame at its stack pointer, so that the switch needs to know nothing
 * about the flow it resumes.  The structs below and the offsets in switch-*.S are one definition in two languages.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/context.h"

/* The frame, from the stack pointer upwards. */
#if defined(__x86_64__)

struct frame
{
  uint32_t mxcsr;
  uint16_t x87_control;
  uint16_t padding;
  uint64_t r15, r14, r13, r12, rbx, rbp;
  uintptr_t pc;
};

#define NOP_SIZE 1

_Static_assert(sizeof (struct frame) == 64, "switch-x86_64.S pushes 64 bytes");

#elif defined(__aarch64__)

struct frame
{
  uint64_t x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29;
  uintptr_t pc;
  double d8_to_d15[8];
  uint64_t fpcr;
  uint64_t padding;
};

#define NOP_SIZE 4

_Static_assert(sizeof (struct frame) == 176, "switch-aarch64.S pushes 176 bytes");

#else
#error "No assembly for this processor: configure with -Dcontext=ucontext"
#endif

_Static_assert(offsetof (struct dill_context, sp) == 0, "switch-*.S finds the stack pointer there");

/* In assembly: calls the function of a new flow.  Its first instruction, NOP_SIZE bytes, is only looked at. */
void dill_context_entry (void);

void
dill_context_init (struct dill_context *context, void *stack, size_t size, void (*func) (void *data), void *data)
{
  struct frame *frame = (struct frame *) dill_context_stack_end (stack, size) - 1;

  dill_announce_stack (&context->announced, stack, size);
  *frame = (struct frame) { .pc = (uintptr_t) dill_context_entry + NOP_SIZE };
#if defined(__x86_64__)
  __asm__ volatile("stmxcsr %0" : "=m"(frame->mxcsr));
  __asm__ volatile("fnstcw %0" : "=m"(frame->x87_control));
  frame->r12 = (uint64_t) func;
  frame->r13 = (uint64_t) data;
#elif defined(__aarch64__)
  __asm__ volatile("mrs %0, fpcr" : "=r"(frame->fpcr));
  frame->x19 = (uint64_t) func;
  frame->x20 = (uint64_t) data;
#endif
  context->sp = frame;
}

/* What dill_go_begin () calls: dill_go_prepare (), and the announcement of the switch that follows.  That must wait
 * until the last function that a sanitizer watches is done with the old stack. */
void *dill_context_begin (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len,
                          void *suspended_sp);

DILL_UNINSTRUMENTED void *
dill_context_begin (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len, void *suspended_sp)
{
  void *sp = dill_go_prepare (handle, site, bundle, mem, len, suspended_sp);

  if (sp != NULL)
    dill_announce_switch_now ();
  return sp;
}
