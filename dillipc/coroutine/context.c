/* context.c: the first frame of a flow, laid out as switch-*.S expects it, and the C half of dill_go_begin ().
 *
 * Every suspended flow, new or not, has the same frame at its stack pointer, so that the switch needs to know nothing
 * about the flow it resumes.  The structs below and the offsets in switch-*.S are one definition in two languages.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/context.h"

/* For each processor: the frame, from the stack pointer upwards, and what a new flow finds in the registers.  Its
 * function and data are where dill_context_entry () looks for them. */
#if defined(__x86_64__)

struct frame
{
  uint32_t mxcsr;
  uint16_t x87_control;
  uint16_t padding;
  uintptr_t r15, r14, r13, r12, rbx, rbp;
  uintptr_t pc;
};

#define FRAME_SIZE 64
#define NOP_SIZE 1

static inline void
fill_frame (struct frame *frame, uintptr_t func, uintptr_t data)
{
  __asm__ volatile ("stmxcsr %0" : "=m"(frame->mxcsr));
  __asm__ volatile ("fnstcw %0" : "=m"(frame->x87_control));
  frame->r12 = func;
  frame->r13 = data;
}

#elif defined(__i386__)

struct frame
{
  uint32_t mxcsr;
  uint16_t x87_control;
  uint16_t padding;
  uintptr_t edi, esi, ebx, ebp;
  uintptr_t pc;
};

#define FRAME_SIZE 28
#define NOP_SIZE 1

static inline void
fill_frame (struct frame *frame, uintptr_t func, uintptr_t data)
{
#if defined(__SSE__)
  __asm__ volatile ("stmxcsr %0" : "=m"(frame->mxcsr));
#endif
  __asm__ volatile ("fnstcw %0" : "=m"(frame->x87_control));
  frame->esi = func;
  frame->edi = data;
}

#elif defined(__aarch64__)

struct frame
{
  uintptr_t x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29;
  uintptr_t pc;
  double d8_to_d15[8];
  uint64_t fpcr;
  uint64_t padding;
};

#define FRAME_SIZE 176
#define NOP_SIZE 4

static inline void
fill_frame (struct frame *frame, uintptr_t func, uintptr_t data)
{
  __asm__ volatile ("mrs %0, fpcr" : "=r"(frame->fpcr));
  frame->x19 = func;
  frame->x20 = data;
}

#elif defined(__arm__)

struct frame
{
  double d8_to_d15[8];
  uint32_t fpscr;
  uintptr_t r4, r5, r6, r7, r8, r9, r10, r11;
  uintptr_t pc;
};

#define FRAME_SIZE 104
#define NOP_SIZE 4

static inline void
fill_frame (struct frame *frame, uintptr_t func, uintptr_t data)
{
#if defined(__ARM_FP) && !defined(__SOFTFP__)
  __asm__ volatile ("vmrs %0, fpscr" : "=r"(frame->fpscr));
#endif
  frame->r4 = func;
  frame->r5 = data;
}

#elif defined(__riscv) && __riscv_xlen == 64

struct frame
{
  uintptr_t s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11;
  uintptr_t pc;
  uint64_t frm;
  double fs0_to_fs11[12];
};

#define FRAME_SIZE 208
#define NOP_SIZE 4

static inline void
fill_frame (struct frame *frame, uintptr_t func, uintptr_t data)
{
#if defined(__riscv_flen)
  __asm__ volatile ("frrm %0" : "=r"(frame->frm));
#endif
  frame->s0 = func;
  frame->s1 = data;
}

#else
#error "No assembly for this processor: configure with -Dcontext=ucontext"
#endif

_Static_assert (sizeof (struct frame) == FRAME_SIZE, "switch-*.S pushes that much");
_Static_assert (offsetof (struct dill_context, sp) == 0, "switch-*.S finds the stack pointer there");

/* In assembly: calls the function of a new flow.  Its first instruction, NOP_SIZE bytes, is only looked at. */
void dill_context_entry (void);

void
dill_context_init (struct dill_context *context, void *stack, size_t size, void (*func) (void *data), void *data)
{
  struct frame *frame = (struct frame *) ((char *) dill_context_stack_end (stack, size) - FRAME_SIZE);

  dill_announce_stack (&context->announced, stack, size);
  *frame = (struct frame) { .pc = (uintptr_t) dill_context_entry + NOP_SIZE };
  fill_frame (frame, (uintptr_t) func, (uintptr_t) data);
  context->sp = frame;
}

/* The headroom of a bare flow, and its frame while it is suspended. */
size_t
dill_context_overhead (void)
{
  return DILL_CONTEXT_HEADROOM + FRAME_SIZE;
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
