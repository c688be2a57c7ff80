/* handle-table.h: what the table of handles is made of, so that the functions that are called most look numbers up in
 * line.
 *
 * A number has 22 bits of index, of which 0 is never used, and above them 9 bits of generation, 1 to 511: so it is
 * positive, and small integers that were never given out are no handles.  The index leads to a block of 256 entries
 * through a directory that only grows; looking a number up takes no lock.  A free entry has the complement of the
 * number that it will have next, which is no handle's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/handle.h"
#include "engine/thread.h"
#include <errno.h>
#include <stdatomic.h>

#define DILL_HANDLE_INDEX_BITS 22
#define DILL_HANDLE_INDEX_MASK ((1 << DILL_HANDLE_INDEX_BITS) - 1)
#define DILL_HANDLE_BLOCK_BITS 8
#define DILL_HANDLE_BLOCK_SIZE (1u << DILL_HANDLE_BLOCK_BITS)
#define DILL_HANDLE_N_BLOCKS (1u << (DILL_HANDLE_INDEX_BITS - DILL_HANDLE_BLOCK_BITS))

struct dill_handle_entry
{
  union
  {
    struct dill_hvfs *vfs;               /* NULL: reserved */
    struct dill_handle_entry *next_free; /* or NULL */
  };
  int number; /* negative: free */
};

struct dill_handle_block
{
  _Atomic (struct dill_thread *) thread; /* whose entries these are, or NOBODY; other threads may look */
  unsigned fork_generation;              /* the process that gave these numbers out */
  uint32_t n_owners;                     /* how many threads have had it */
  struct dill_handle_block *next;        /* in the thread's list, or among those without a thread */
  struct dill_handle_entry entries[DILL_HANDLE_BLOCK_SIZE];
};

/* Debuggers find all handles here. */
extern _Atomic (struct dill_handle_block *) dill_handle_directory[DILL_HANDLE_N_BLOCKS];

/* The entry of H, and its block, if it was given out, here or in the parent process, and not freed since. */
static inline struct dill_handle_entry *
dill_handle_find (int h, struct dill_handle_block **block)
{
  unsigned index = (unsigned) h & DILL_HANDLE_INDEX_MASK;
  struct dill_handle_entry *entry;

  *block = atomic_load_explicit (&dill_handle_directory[index >> DILL_HANDLE_BLOCK_BITS], memory_order_acquire);
  if (*block == NULL || atomic_load_explicit (&(*block)->thread, memory_order_relaxed) != dill_thread_self)
    return NULL;

  entry = &(*block)->entries[index & (DILL_HANDLE_BLOCK_SIZE - 1)];
  return entry->number == h && h > 0 ? entry : NULL;
}

/* dill_handle_get () */
static inline struct dill_hvfs *
dill_handle_look_up (int h)
{
  struct dill_handle_block *block;
  struct dill_handle_entry *entry = dill_handle_find (h, &block);

  if (G_UNLIKELY (entry == NULL || entry->vfs == NULL || block->fork_generation != dill_fork_generation))
    {
      errno = EBADF;
      return NULL;
    }

  return entry->vfs;
}

/* dill_handle_get_kind () */
static inline struct dill_hvfs *
dill_handle_look_up_kind (int h, void *(*query) (struct dill_hvfs *vfs, const void *type))
{
  struct dill_hvfs *vfs = dill_handle_look_up (h);

  if (G_LIKELY (vfs == NULL || vfs->query == query))
    return vfs;

  errno = ENOTSUP;
  return NULL;
}
