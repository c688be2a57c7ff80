/* switch-x86_64.S: the context switch for the System V ABI on x86-64.
 *
 * A suspended flow is described by its stack pointer alone, below which nothing is in use.  From there upwards lie
 *
 *    0  mxcsr (4 bytes), x87 control word (2 bytes), padding
 *    8  r15, r14, r13, r12, rbx, rbp
 *   56  the address at which it goes on
 *
 * and rax is 0 when it does.  The frame is a multiple of 16 bytes, and so is the stack pointer, so that C functions can
 * be called from here.  Three ways lead out of this file:
 *
 *  - to a suspended flow by a return.  The processor predicts it to go where this was called from in the flow that is
 *    being left, which is right as a rule, since flows are suspended at one place in the scheduler.  An indirect jump
 *    would be predicted better between different places, but would leave that prediction behind, and so spoil those of
 *    all the returns that follow: measured with yield (), 39 ns against 20, though the bare switch between two places
 *    takes 3 ns with a jump and 12 with a return;
 *  - to the caller of dill_go_begin () by a return that matches its call, on the new flow's stack, and on the
 *    caller's if the flow ends before anything else has happened: it goes back the way it came, so that all returns
 *    match their calls;
 *  - into a new flow by dill_context_entry ().
 *
 * The control words are stored always and loaded only if they differ: loading is what takes time.  They are compared as
 * wide as they were stored, since only that is served from the store buffer.  Of mxcsr the six exception flags belong
 * to nobody across a call and are left as they are.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/switch.h"

#if defined(__ILP32__)
#error "The x32 ABI is not supported: configure with -Dcontext=ucontext"
#endif

#define MXCSR_CONTROL 0xffc0

.macro push_saved register
  pushq %\register
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset \register, 0
.endm

.macro pop_saved register
  popq %\register
  .cfi_adjust_cfa_offset -8
  .cfi_restore \register
.endm

.macro push_frame
  push_saved rbp
  push_saved rbx
  push_saved r12
  push_saved r13
  push_saved r14
  push_saved r15
  subq $8, %rsp
  .cfi_adjust_cfa_offset 8
  stmxcsr (%rsp)
  fnstcw 4(%rsp)
.endm

/* All but the return address. */
.macro pop_frame
  addq $8, %rsp
  .cfi_adjust_cfa_offset -8
  pop_saved r15
  pop_saved r14
  pop_saved r13
  pop_saved r12
  pop_saved rbx
  pop_saved rbp
.endm

begin_hidden_function dill_context_exchange
  endbr64
  push_frame
  movl (%rsp), %eax
  movzwl 4(%rsp), %ecx

  movq %rsp, (%rdi)
  movq (%rsi), %rsp
  movq $0, (%rsi)

.Lgo_on:
  xorl (%rsp), %eax
  xorw 4(%rsp), %cx
  andl $MXCSR_CONTROL, %eax
  orw %cx, %ax
  jne .Lload_control
.Lresume:
  .cfi_remember_state
  pop_frame
  xorl %eax, %eax
  ret

.Lload_control:
  .cfi_restore_state
  ldmxcsr (%rsp)
  fldcw 4(%rsp)
  jmp .Lresume
end_function dill_context_exchange

begin_function dill_go_begin
  endbr64
  push_frame
  movq %rsp, %r9
  call dill_context_begin
  testq %rax, %rax
  je .Lnot_begun
  testb $1, %al
  jne .Lway_back

  /* The frame stays behind, for the second return.  The callee-saved registers still are the caller's. */
  movq 56(%rsp), %rcx
  leaq -8(%rax), %rsp
  .cfi_remember_state
  .cfi_def_cfa rsp, 8
  .cfi_register rip, rcx
  forget rbp, rbx, r12, r13, r14, r15
  movq %rcx, (%rsp)
  movl $1, %eax
  ret

.Lway_back:
  .cfi_restore_state
  leaq -1(%rax), %rdx
  movl (%rsp), %eax
  movzwl 4(%rsp), %ecx
  movq %rdx, %rsp
  jmp .Lgo_on

.Lnot_begun:
  pop_frame
  xorl %eax, %eax
  ret
end_function dill_go_begin

/* r12 is its function, r13 the argument. */
begin_hidden_function dill_context_entry
  .cfi_undefined rip
  nop
  endbr64
  movq %r13, %rdi
  call *%r12
  ud2
end_function dill_context_entry

/* Landing pads for indirect branches (IBT) are there; a shadow stack (SHSTK) would have to be switched too. */
  .section .note.gnu.property, "a", @note
  .p2align 3
  .long 4, 16, 5
  .asciz "GNU"
  .long 0xc0000002, 4, 1
  .p2align 3
