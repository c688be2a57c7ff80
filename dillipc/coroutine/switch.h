/* switch.h: what the files switch-*.S have in common; in assembly.
 *
 * Each has three functions for one processor:
 *
 * void dill_context_exchange (struct dill_context *from, struct dill_context *to)
 *   Pushes a frame on the stack, stores the stack pointer in FROM, takes that of TO and pops the frame there.
 *
 * int dill_go_begin (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len)
 *   Pushes the same frame and calls dill_context_begin () with its arguments and the stack pointer.  Returns 1 on the
 *   stack that it is told, with all other registers as the caller had them, or 0 at once.  In the former case the frame
 *   stays behind for the second return, which is the end of a dill_context_exchange () and therefore gives 0 as well.
 *   With DILL_CONTEXT_HAS_WAY_BACK it is also called on the new stack, and makes the second return itself.
 *
 * dill_context_entry
 *   The first frame of a flow made by dill_context_init () (context.c), whose function and argument it finds in
 *   registers.  Nobody called it, and back-traces end here.  It begins with a nop, behind which it is resumed:
 *   debuggers look up the instruction before the address at which a frame goes on.
 *
 * CFI describes every instruction of them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

.macro begin_function name
  .globl \name
  .type \name, %function
  .p2align 4
\name:
  .cfi_startproc
.endm

.macro begin_hidden_function name
  .hidden \name
  begin_function \name
.endm

.macro end_function name
  .cfi_endproc
  .size \name, . - \name
.endm

/* The registers are what the caller had in them, or has again. */
.macro forget registers:vararg
  .irp register, \registers
  .cfi_restore \register
  .endr
.endm

/* No code is on the stack. */
  .section .note.GNU-stack, "", %progbits

  .text
