/* switch-x86.S: the context switch for the System V ABI on 32-bit x86.
 *
 * A suspended flow is described by its stack pointer alone, below which nothing is in use.  From there upwards lie
 *
 *    0  mxcsr (4 bytes), x87 control word (2 bytes), padding
 *    8  edi, esi, ebx, ebp
 *   24  the address at which it goes on
 *
 * and eax is 0 when it does.  As on x86-64 it is resumed by a return, and the control words are loaded only if they
 * differ.  A build that does not ask for SSE has to run on processors without it, and leaves mxcsr alone, which nothing
 * in such a build uses.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/switch.h"

#define MXCSR_CONTROL 0xffc0

.macro push_saved register
  pushl %\register
  .cfi_adjust_cfa_offset 4
  .cfi_rel_offset \register, 0
.endm

.macro pop_saved register
  popl %\register
  .cfi_adjust_cfa_offset -4
  .cfi_restore \register
.endm

.macro push_frame
  push_saved ebp
  push_saved ebx
  push_saved esi
  push_saved edi
  subl $8, %esp
  .cfi_adjust_cfa_offset 8
#if defined(__SSE__)
  stmxcsr (%esp)
#endif
  fnstcw 4(%esp)
.endm

/* All but the return address. */
.macro pop_frame
  addl $8, %esp
  .cfi_adjust_cfa_offset -8
  pop_saved edi
  pop_saved esi
  pop_saved ebx
  pop_saved ebp
.endm

begin_hidden_function dill_context_exchange
  endbr32
  push_frame
  movl 28(%esp), %eax
  movl 32(%esp), %edx
  movzwl 4(%esp), %ecx
#if defined(__SSE__)
  movl (%esp), %ebx
#endif

  movl %esp, (%eax)
  movl (%edx), %esp
  movl $0, (%edx)

  xorw 4(%esp), %cx
#if defined(__SSE__)
  xorl (%esp), %ebx
  andl $MXCSR_CONTROL, %ebx
  orw %bx, %cx
#endif
  jne .Lload_control
.Lresume:
  .cfi_remember_state
  pop_frame
  xorl %eax, %eax
  ret

.Lload_control:
  .cfi_restore_state
#if defined(__SSE__)
  ldmxcsr (%esp)
#endif
  fldcw 4(%esp)
  jmp .Lresume
end_function dill_context_exchange

begin_function dill_go_begin
  endbr32
  push_frame

  /* The same arguments once more, and the frame as the sixth; with them the stack pointer is a multiple of 16. */
  movl %esp, %eax
  subl $12, %esp
  .cfi_adjust_cfa_offset 12
  pushl %eax
  .cfi_adjust_cfa_offset 4
  .irp offset, 44, 40, 36, 32, 28
  pushl \offset(%eax)
  .cfi_adjust_cfa_offset 4
  .endr
  call dill_context_begin
  addl $36, %esp
  .cfi_adjust_cfa_offset -36
  testl %eax, %eax
  je .Lnot_begun

  /* The frame stays behind, for the second return.  The callee-saved registers still are the caller's, who takes his
   * arguments off the new stack too, or overwrites them there: both within the headroom. */
  movl 24(%esp), %ecx
  leal -4(%eax), %esp
  .cfi_remember_state
  .cfi_def_cfa esp, 4
  .cfi_register eip, ecx
  forget ebp, ebx, esi, edi
  movl %ecx, (%esp)
  movl $1, %eax
  ret

.Lnot_begun:
  .cfi_restore_state
  pop_frame
  xorl %eax, %eax
  ret
end_function dill_go_begin

/* esi is its function, edi the argument. */
begin_hidden_function dill_context_entry
  .cfi_undefined eip
  nop
  endbr32
  subl $12, %esp
  .cfi_adjust_cfa_offset 12
  pushl %edi
  .cfi_adjust_cfa_offset 4
  call *%esi
  ud2
end_function dill_context_entry

/* Landing pads for indirect branches (IBT) are there; a shadow stack (SHSTK) would have to be switched too. */
  .section .note.gnu.property, "a", @note
  .p2align 2
  .long 4, 12, 5
  .asciz "GNU"
  .long 0xc0000002, 4, 1
