/* switch-arm.S: the context switch for 32-bit ARM (AAPCS), with or without a floating-point unit.
 *
 * A suspended flow is described by its stack pointer alone, below which nothing is in use.  From there upwards lie
 *
 *    0  d8 to d15
 *   64  fpscr
 *   68  r4 to r11
 *  100  lr, the address at which it goes on
 *
 * and r0 is 0 when it does.  A build for processors without floating-point unit leaves the places of its registers
 * free.  fpscr is stored always and loaded only if its control bits differ; the flags in it belong to nobody across a
 * call.
 *
 * This is ARM code, whatever calls it and whatever it calls can be Thumb: all branches to elsewhere are bl, bx or blx.
 * A flow is resumed through r12, because a branch through lr would be predicted from the return stack, and badly.
 *
 * The frames are described twice: for debuggers by CFI, and for libgcc's unwinder, as this ABI has it, by .save and its
 * kin.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/switch.h"

#if __ARM_ARCH < 5
#error "There is no blx before ARMv5: configure with -Dcontext=ucontext"
#endif

#if defined(__ARM_FP) && !defined(__SOFTFP__)
#define WITH_FPU 1
#endif

#define FRAME 104
#define FPSCR 64

  .syntax unified
  .arm
  .cfi_sections .debug_frame

/* Leaves fpscr in r12. */
.macro push_frame
  push {r4-r11, lr}
  .save {r4-r11, lr}
  .cfi_adjust_cfa_offset 36
  .cfi_rel_offset r4, 0
  .cfi_rel_offset r5, 4
  .cfi_rel_offset r6, 8
  .cfi_rel_offset r7, 12
  .cfi_rel_offset r8, 16
  .cfi_rel_offset r9, 20
  .cfi_rel_offset r10, 24
  .cfi_rel_offset r11, 28
  .cfi_rel_offset lr, 32
#if defined(WITH_FPU)
  vmrs r12, fpscr
  push {r12}
  .pad #4
  .cfi_adjust_cfa_offset 4
  vpush {d8-d15}
  .vsave {d8-d15}
  .cfi_adjust_cfa_offset 64
  .cfi_rel_offset d8, 0
  .cfi_rel_offset d9, 8
  .cfi_rel_offset d10, 16
  .cfi_rel_offset d11, 24
  .cfi_rel_offset d12, 32
  .cfi_rel_offset d13, 40
  .cfi_rel_offset d14, 48
  .cfi_rel_offset d15, 56
#else
  sub sp, sp, #68
  .pad #68
  .cfi_adjust_cfa_offset 68
#endif
.endm

/* Pops the return address into r12. */
.macro pop_frame
#if defined(WITH_FPU)
  vpop {d8-d15}
  .cfi_adjust_cfa_offset -64
  forget d8, d9, d10, d11, d12, d13, d14, d15
  add sp, sp, #4
  .cfi_adjust_cfa_offset -4
#else
  add sp, sp, #68
  .cfi_adjust_cfa_offset -68
#endif
  pop {r4-r12}
  .cfi_adjust_cfa_offset -36
  .cfi_register lr, r12
  forget r4, r5, r6, r7, r8, r9, r10, r11
.endm

begin_hidden_function dill_context_exchange
  .fnstart
  push_frame

  str sp, [r0]
  ldr sp, [r1]
  mov r0, #0
  str r0, [r1]

#if defined(WITH_FPU)
  ldr r2, [sp, #FPSCR]
  eor r3, r2, r12
  bic r3, r3, #0xf8000000 /* comparisons, saturation */
  bics r3, r3, #0x9f      /* exceptions */
  beq .Lresume
  vmsr fpscr, r2
.Lresume:
#endif
  pop_frame
  bx r12
  .fnend
end_function dill_context_exchange

begin_function dill_go_begin
  .fnstart
  push_frame

  /* The fifth argument once more, and the frame as the sixth. */
  mov lr, sp
  ldr r12, [sp, #FRAME]
  push {r12, lr}
  .pad #8
  .cfi_adjust_cfa_offset 8
  bl dill_context_begin
  add sp, sp, #8
  .cfi_adjust_cfa_offset -8
  cmp r0, #0
  beq .Lnot_begun

  /* The frame stays behind, for the second return.  The callee-saved registers still are the caller's, except lr. */
  ldr lr, [sp, #FRAME - 4]
  mov sp, r0
  .cfi_remember_state
  .cfi_def_cfa sp, 0
  forget r4, r5, r6, r7, r8, r9, r10, r11, lr
#if defined(WITH_FPU)
  forget d8, d9, d10, d11, d12, d13, d14, d15
#endif
  mov r0, #1
  bx lr

.Lnot_begun:
  .cfi_restore_state
  pop_frame
  bx r12
  .fnend
end_function dill_go_begin

/* r4 is its function, r5 the argument. */
begin_hidden_function dill_context_entry
  .fnstart
  .cantunwind
  .cfi_undefined lr
  nop
  mov r0, r5
  blx r4
  udf #0
  .fnend
end_function dill_context_entry
