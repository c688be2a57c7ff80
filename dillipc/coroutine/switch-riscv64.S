/* switch-riscv64.S: the context switch for 64-bit RISC-V, with the D extension or without floating point.
 *
 * A suspended flow is described by its stack pointer alone, below which nothing is in use.  From there upwards lie
 *
 *    0  s0 to s11
 *   96  ra, the address at which it goes on
 *  104  frm, the rounding mode
 *  112  fs0 to fs11
 *
 * and a0 is 0 when it does.  A build without floating point leaves the places of its registers free.  frm is stored
 * always and loaded only if it differs; the exception flags beside it belong to nobody across a call.
 *
 * A flow is resumed through t2: through ra the branch would be predicted from the return stack, and badly; through most
 * other registers it would need a landing pad where those are enforced (Zicfilp).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/switch.h"

#if defined(__riscv_flen) && __riscv_flen != 64
#error "Floating-point registers of this size are not supported: configure with -Dcontext=ucontext"
#endif

#define FRAME 208

#if defined(__riscv_flen)
#define WITH_FPU 1
#endif

.macro save instruction, register, offset
  \instruction \register, \offset(sp)
  .cfi_rel_offset \register, \offset
.endm

.macro load instruction, register, offset
  \instruction \register, \offset(sp)
  .cfi_restore \register
.endm

.macro for_integers operation, instruction
  \operation \instruction, s0, 0
  \operation \instruction, s1, 8
  \operation \instruction, s2, 16
  \operation \instruction, s3, 24
  \operation \instruction, s4, 32
  \operation \instruction, s5, 40
  \operation \instruction, s6, 48
  \operation \instruction, s7, 56
  \operation \instruction, s8, 64
  \operation \instruction, s9, 72
  \operation \instruction, s10, 80
  \operation \instruction, s11, 88
.endm

.macro for_floats operation, instruction
  \operation \instruction, fs0, 112
  \operation \instruction, fs1, 120
  \operation \instruction, fs2, 128
  \operation \instruction, fs3, 136
  \operation \instruction, fs4, 144
  \operation \instruction, fs5, 152
  \operation \instruction, fs6, 160
  \operation \instruction, fs7, 168
  \operation \instruction, fs8, 176
  \operation \instruction, fs9, 184
  \operation \instruction, fs10, 192
  \operation \instruction, fs11, 200
.endm

/* Leaves frm in t0. */
.macro push_frame
  addi sp, sp, -FRAME
  .cfi_adjust_cfa_offset FRAME
  for_integers save, sd
  save sd, ra, 96
#if defined(WITH_FPU)
  for_floats save, fsd
  frrm t0
  sd t0, 104(sp)
#endif
.endm

/* Loads the return address into t2. */
.macro pop_frame
  for_integers load, ld
#if defined(WITH_FPU)
  for_floats load, fld
#endif
  ld t2, 96(sp)
  .cfi_register ra, t2
  addi sp, sp, FRAME
  .cfi_adjust_cfa_offset -FRAME
.endm

begin_hidden_function dill_context_exchange
  push_frame

  sd sp, (a0)
  ld sp, (a1)
  sd zero, (a1)

#if defined(WITH_FPU)
  ld t1, 104(sp)
  beq t0, t1, .Lresume
  fsrm t1
.Lresume:
#endif
  pop_frame
  li a0, 0
  jr t2
end_function dill_context_exchange

begin_function dill_go_begin
  push_frame
  mv a5, sp
  call dill_context_begin
  beqz a0, .Lnot_begun

  /* The frame stays behind, for the second return.  The callee-saved registers still are the caller's, except ra. */
  ld ra, 96(sp)
  mv sp, a0
  .cfi_remember_state
  .cfi_def_cfa sp, 0
  forget s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, ra
#if defined(WITH_FPU)
  forget fs0, fs1, fs2, fs3, fs4, fs5, fs6, fs7, fs8, fs9, fs10, fs11
#endif
  li a0, 1
  ret

.Lnot_begun:
  .cfi_restore_state
  pop_frame
  li a0, 0
  jr t2
end_function dill_go_begin

/* s0 is its function, s1 the argument. */
begin_hidden_function dill_context_entry
  .cfi_undefined ra
  .option push
  .option norvc
  nop
  .option pop
  mv a0, s1
  jalr s0
  ebreak
end_function dill_context_entry
