/* stack-alignment.h: whether the stack is aligned as the ABI has it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#if defined(__arm__)
#define STACK_ALIGNMENT 8
#else
#define STACK_ALIGNMENT 16
#endif

/* A compiler places such a variable relative to the stack pointer that the ABI promises, without looking at it. */
static inline bool
stack_is_aligned (void)
{
  _Alignas(STACK_ALIGNMENT) char variable;
  uintptr_t address = (uintptr_t) &variable;

  __asm__ volatile ("" : "+r"(address));
  return address % STACK_ALIGNMENT == 0;
}
