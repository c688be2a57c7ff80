/* switch-aarch64.S: the context switch for AArch64 (AAPCS64).
 *
 * A suspended flow is described by its stack pointer alone, below which nothing is in use.  From there upwards lie
 *
 *    0  x19 to x29
 *   88  x30, the address at which it goes on
 *   96  d8 to d15
 *  160  fpcr, padding
 *
 * and w0 is 0 when it does.  fpcr is stored always and loaded only if it differs: loading is what takes time.
 *
 * A suspended flow is resumed by `ret`, though the return stack predicts it badly: where branch targets are enforced
 * (BTI) no other branch may land behind a call.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/switch.h"

#define FRAME 176
#define LANDING_PAD hint #34 /* bti c; does nothing on older processors */

.macro save_pair first, second, offset
  stp \first, \second, [sp, #\offset]
  .cfi_rel_offset \first, \offset
  .cfi_rel_offset \second, \offset + 8
.endm

.macro load_pair first, second, offset
  ldp \first, \second, [sp, #\offset]
  .cfi_restore \first
  .cfi_restore \second
.endm

/* Leaves fpcr in x9. */
.macro push_frame
  sub sp, sp, #FRAME
  .cfi_adjust_cfa_offset FRAME
  save_pair x19, x20, 0
  save_pair x21, x22, 16
  save_pair x23, x24, 32
  save_pair x25, x26, 48
  save_pair x27, x28, 64
  save_pair x29, x30, 80
  save_pair d8, d9, 96
  save_pair d10, d11, 112
  save_pair d12, d13, 128
  save_pair d14, d15, 144
  mrs x9, fpcr
  str x9, [sp, #160]
.endm

.macro pop_frame
  load_pair x19, x20, 0
  load_pair x21, x22, 16
  load_pair x23, x24, 32
  load_pair x25, x26, 48
  load_pair x27, x28, 64
  load_pair x29, x30, 80
  load_pair d8, d9, 96
  load_pair d10, d11, 112
  load_pair d12, d13, 128
  load_pair d14, d15, 144
  add sp, sp, #FRAME
  .cfi_adjust_cfa_offset -FRAME
.endm

begin_hidden_function dill_context_exchange
  LANDING_PAD
  push_frame

  mov x10, sp
  str x10, [x0]
  ldr x11, [x1]
  mov sp, x11
  str xzr, [x1]

  ldr x10, [sp, #160]
  cmp x9, x10
  b.eq .Lresume
  msr fpcr, x10
.Lresume:
  pop_frame
  mov w0, #0
  ret
end_function dill_context_exchange

begin_function dill_go_begin
  LANDING_PAD
  push_frame
  mov x5, sp
  bl dill_context_begin
  cbz x0, .Lnot_begun

  /* The frame stays behind, for the second return.  The callee-saved registers still are the caller's, except x30. */
  ldr x30, [sp, #88]
  mov sp, x0
  .cfi_remember_state
  .cfi_def_cfa sp, 0
  forget x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29, x30, d8, d9, d10, d11, d12, d13, d14, d15
  mov w0, #1
  ret

.Lnot_begun:
  .cfi_restore_state
  pop_frame
  mov w0, #0
  ret
end_function dill_go_begin

/* x19 is its function, x20 the argument. */
begin_hidden_function dill_context_entry
  .cfi_undefined x30
  nop
  LANDING_PAD
  mov x0, x20
  blr x19
  brk #1
end_function dill_context_entry

/* Landing pads for indirect branches (BTI) are there. */
  .section .note.gnu.property, "a", %note
  .p2align 3
  .word 4, 16, 5
  .asciz "GNU"
  .word 0xc0000000, 4, 1
  .p2align 3
