/* stack-area.h: memory for the stack of a coroutine, in which every byte that does not belong to it is watched.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <string.h>

#if defined(HAVE_VALGRIND_H)
#include <valgrind/memcheck.h>
#endif

/* How far beyond either end an overflow is noticed. */
#define STACK_AREA_MARGIN 16384
#define STACK_AREA_FILL 0xa5

typedef struct
{
  guint8 *block;
  gsize block_size;
  guint8 *stack;
  gsize size;
} StackArea;

/* SIZE bytes, OFFSET behind an address that is aligned to anything. */
static inline void
stack_area_init (StackArea *area, gsize size, gsize offset)
{
  area->block_size = STACK_AREA_MARGIN + offset + size + STACK_AREA_MARGIN;
  area->block_size += 4096 - area->block_size % 4096;
  area->block = aligned_alloc (4096, area->block_size);
  g_assert_nonnull (area->block);
  area->stack = area->block + STACK_AREA_MARGIN + offset;
  area->size = size;
  memset (area->block, STACK_AREA_FILL, area->block_size);
}

/* How many bytes next to BEGIN, below END, are as they were. */
static inline gsize
stack_area_untouched (const guint8 *begin, const guint8 *end)
{
  const guint8 *byte = begin;

  while (byte < end && *byte == STACK_AREA_FILL)
    byte++;
  return (gsize) (byte - begin);
}

/* Asserts that nothing outside was touched.  Returns how much of the stack was.  Valgrind takes what lies below a stack
 * pointer for undefined, though it was defined before. */
static inline gsize
stack_area_check (const StackArea *area)
{
  const guint8 *end = area->stack + area->size;

#if defined(HAVE_VALGRIND_H)
  (void) VALGRIND_MAKE_MEM_DEFINED (area->stack, area->size);
#endif

  g_assert_cmpuint (stack_area_untouched (area->block, area->stack), ==, (gsize) (area->stack - area->block));
  g_assert_cmpuint (stack_area_untouched (end, area->block + area->block_size), ==,
                    (gsize) (area->block + area->block_size - end));
  return area->size - stack_area_untouched (area->stack, end);
}

static inline void
stack_area_clear (StackArea *area)
{
  g_clear_pointer (&area->block, free);
}
