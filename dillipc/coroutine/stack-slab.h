/* stack-slab.h: one mapping from which stacks are cut; for stack.c only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct dill_stack_slab
{
  struct dill_stack_slab *next;
  struct dill_stack_slab *previous;
  char *memory;
  size_t stack_size;
  size_t stride; /* of a stack with its guard page, which comes first */
  unsigned n_stacks;
  unsigned n_begun; /* the lowest ones, which were taken at least once and have a guard */
  unsigned n_free;  /* of those that were begun */
  unsigned n_clean; /* of the free ones, the first in free[]: they have no pages */
  bool splits;      /* guards are mappings of their own here */
  bool retired;
  char *free[]; /* bases of the free ones; the last is taken first */
};

size_t dill_page_size (void);

/* Maps a slab of N_STACKS stacks with STACK_SIZE usable bytes each, a multiple of dill_page_size ().  Returns NULL if
 * there is no memory; otherwise it is for dill_stack_slab_unmap () and free (). */
struct dill_stack_slab *dill_stack_slab_new (unsigned n_stacks, size_t stack_size);

/* Unmaps its stacks; the slab itself is for free () then.  Returns false, and leaves all as it is, where that would
 * split a mapping and there are too many already. */
bool dill_stack_slab_unmap (struct dill_stack_slab *slab);

/* Returns the base of a stack that was never taken, or NULL if it cannot be guarded. */
char *dill_stack_slab_begin (struct dill_stack_slab *slab);

/* Takes the pages from all free stacks but the last KEEP that were given back. */
void dill_stack_slab_clean (struct dill_stack_slab *slab, unsigned keep);

static inline bool
dill_stack_slab_is_idle (const struct dill_stack_slab *slab)
{
  return slab->n_free == slab->n_begun;
}
