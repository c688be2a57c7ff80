/* stack-utils.h: what the tests of stacks ask about memory, and do to many stacks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine/stack.h"
#include "guard-utils.h"

#define DEFAULT_SIZE ((gsize) 256 << 10)
#define HOT_RESERVE 64 /* as in stack.c */

static inline guint
count_mappings (void)
{
  g_autofree char *maps = NULL;
  guint n_lines = 0;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));
  for (const char *c = maps; *c != '\0'; c++)
    n_lines += *c == '\n';
  return n_lines;
}

/* mincore (2) says ENOMEM for what is not mapped at all. */
static inline gboolean
is_mapped (void *address)
{
  unsigned char resident;

  return mincore (address, page_size (), &resident) == 0;
}

static inline gboolean
is_resident (void *address)
{
  unsigned char resident;

  g_assert_no_errno (mincore (address, page_size (), &resident));
  return resident & 1;
}

static inline char *
last_page (const struct dill_stack *stack)
{
  return (char *) stack->base + stack->size - page_size ();
}

static inline void
take_many (struct dill_stack_pool *pool, struct dill_stack *stacks, guint n_stacks)
{
  for (guint i = 0; i < n_stacks; i++)
    g_assert_no_errno (dill_stack_pool_take (pool, &stacks[i]));
}

static inline void
give_many (struct dill_stack_pool *pool, const struct dill_stack *stacks, guint n_stacks)
{
  for (guint i = 0; i < n_stacks; i++)
    dill_stack_pool_give (pool, &stacks[i]);
}
