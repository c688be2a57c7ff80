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

  .text

/* void dill_context_exchange (struct dill_context *from, struct dill_context *to) */
  .globl dill_context_exchange
  .hidden dill_context_exchange
  .type dill_context_exchange, %function
  .p2align 4
dill_context_exchange:
  .cfi_startproc
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
  .cfi_endproc
  .size dill_context_exchange, . - dill_context_exchange

/* int dill_go_begin (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len) */
  .globl dill_go_begin
  .type dill_go_begin, %function
  .p2align 4
dill_go_begin:
  .cfi_startproc
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
  .cfi_restore x19
  .cfi_restore x20
  .cfi_restore x21
  .cfi_restore x22
  .cfi_restore x23
  .cfi_restore x24
  .cfi_restore x25
  .cfi_restore x26
  .cfi_restore x27
  .cfi_restore x28
  .cfi_restore x29
  .cfi_restore x30
  .cfi_restore d8
  .cfi_restore d9
  .cfi_restore d10
  .cfi_restore d11
  .cfi_restore d12
  .cfi_restore d13
  .cfi_restore d14
  .cfi_restore d15
  mov w0, #1
  ret

.Lnot_begun:
  .cfi_restore_state
  pop_frame
  mov w0, #0
  ret
  .cfi_endproc
  .size dill_go_begin, . - dill_go_begin

/* The first frame of a flow made by dill_context_init (): x19 is its function, x20 the argument.  Nobody called it, and
 * back-traces end here.  Before it runs, it is resumed behind the nop: debuggers look up the instruction before the
 * address at which a frame goes on. */
  .globl dill_context_entry
  .hidden dill_context_entry
  .type dill_context_entry, %function
  .p2align 4
  .cfi_startproc
  .cfi_undefined x30
dill_context_entry:
  nop
  LANDING_PAD
  mov x0, x20
  blr x19
  brk #1
  .cfi_endproc
  .size dill_context_entry, . - dill_context_entry

  .section .note.GNU-stack, "", %progbits

/* Landing pads for indirect branches (BTI) are there. */
  .section .note.gnu.property, "a", %note
  .p2align 3
  .word 4, 16, 5
  .asciz "GNU"
  .word 0xc0000000, 4, 1
  .p2align 3
