/* stack.h: guarded stacks from a pool.
 *
 * Relies on mmap(2) and madvise(2); MADV_GUARD_INSTALL (Linux 6.13) makes a guard page that is no mapping of its own.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stddef.h>

struct dill_stack_slab;

/* A stack: the lowest usable byte, the usable size (a guard page lies below), and where it goes back to. */
struct dill_stack
{
  void *base;
  size_t size;
  struct dill_stack_slab *slab;
};

/* The stacks of one thread; all zero is an empty pool.  Only its thread may use it; in a forked child the copy goes on
 * as a pool of the child's. */
struct dill_stack_pool
{
  struct dill_stack_slab *slabs; /* a ring; those with stacks that were given back come first, the latest at the head */
  struct dill_stack_slab *newest;  /* one of them, with the stacks that were never taken; or NULL */
  struct dill_stack_slab *retired; /* a ring of those whose stacks have another size than the one in force */

  /* Of those in slabs.  What is counted up together does not stand together: compilers would do it in one piece,
   * which is slow right after the parts were counted down. */
  size_t n_free;
  size_t stack_size;
  size_t n_dirty; /* free stacks that were given back and still have their pages */
  size_t n_stacks;
  size_t n_idle; /* slabs of which no stack is in use */
};

/* Takes a stack of the size in force.  Returns 0, or -1 with errno ENOMEM. */
int dill_stack_pool_take (struct dill_stack_pool *pool, struct dill_stack *stack);

/* Gives a stack back.  It may be the one that runs: its memory stays mapped and unchanged until the next
 * dill_stack_pool_take () or dill_stack_pool_trim (). */
void dill_stack_pool_give (struct dill_stack_pool *pool, const struct dill_stack *stack);

/* Returns memory that is not likely to be needed soon to the system: the pages of all free stacks but the last few that
 * were given back, and idle slabs.  Costs next to nothing when there is no such memory, otherwise up to a microsecond
 * for each stack.  Never to be called on a stack just given back. */
void dill_stack_pool_trim (struct dill_stack_pool *pool);

/* Unmaps all of them, those that were never given back included. */
void dill_stack_pool_clear (struct dill_stack_pool *pool);

/* The usable size of stacks taken from now on, in bytes. */
size_t dill_stack_size (void);
