/* handle.c: the table behind the numbers that programs hold.
 *
 * A number has 22 bits of index, of which 0 is never used, and above them 9 bits of generation, 1 to 511: so it is
 * positive, and small integers that were never given out are no handles.  The index leads to a block of 256 entries
 * through a directory that only grows; looking a number up takes no lock.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/handle.h"
#include "engine/lock.h"
#include "engine/thread.h"
#include "engine/wait.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define INDEX_BITS 22
#define GENERATION_MAX 511u
#define BLOCK_BITS 8
#define BLOCK_SIZE (1u << BLOCK_BITS)
#define N_BLOCKS (1u << (INDEX_BITS - BLOCK_BITS))

/* A thread takes another block rather than use up its last free entries: numbers then come again only after some
 * 190 * 511 others. */
#define N_FREE_KEPT 64

struct dill_handle_entry
{
  struct dill_hvfs *vfs; /* NULL: free or reserved */
  uint16_t generation;
  bool is_used;
  uint32_t next_free; /* index, or 0 */
};

struct dill_handle_block
{
  _Atomic (struct dill_thread *) thread; /* whose entries these are; other threads may look */
  unsigned fork_generation;              /* the process that gave these numbers out */
  uint32_t first_index;
  uint32_t n_owners;              /* how many threads have had it */
  struct dill_handle_block *next; /* in the thread's list, or among those without a thread */
  struct dill_handle_entry entries[BLOCK_SIZE];
};

/* Debuggers find all handles here. */
static _Atomic (struct dill_handle_block *) dill_handle_directory[N_BLOCKS];

/* HOLDS: dill_lock_take () */
static uint32_t n_blocks;
static struct dill_handle_block *spare_blocks; /* of threads that have ended */

static struct dill_handle_entry *
entry_at (uint32_t index)
{
  struct dill_handle_block *block
      = atomic_load_explicit (&dill_handle_directory[index >> BLOCK_BITS], memory_order_acquire);

  return &block->entries[index & (BLOCK_SIZE - 1)];
}

static void
push_free (struct dill_handle_pool *pool, uint32_t index)
{
  entry_at (index)->next_free = 0;
  if (pool->n_free++ == 0)
    pool->first_free = index;
  else
    entry_at (pool->last_free)->next_free = index;
  pool->last_free = index;
}

/* HOLDS: dill_lock_take () */
static struct dill_handle_block *
new_block_unlocked (void)
{
  struct dill_handle_block *block = spare_blocks;

  if (block != NULL)
    {
      spare_blocks = block->next;
      return block;
    }

  if (n_blocks == N_BLOCKS || (block = calloc (1, sizeof *block)) == NULL)
    return NULL;

  block->first_index = n_blocks * BLOCK_SIZE;
  for (uint32_t i = 0; i < BLOCK_SIZE; i++)
    block->entries[i].generation = 1;
  atomic_store_explicit (&dill_handle_directory[n_blocks++], block, memory_order_release);
  return block;
}

static bool
grow (struct dill_thread *thread)
{
  struct dill_handle_pool *pool = &thread->handles;
  struct dill_handle_block *block;

  dill_lock_take ();
  block = new_block_unlocked ();
  dill_lock_release ();
  if (block == NULL)
    return false;

  atomic_store_explicit (&block->thread, thread, memory_order_relaxed);
  block->fork_generation = dill_fork_generation;
  block->next = pool->blocks;
  pool->blocks = block;

  /* Each owner begins one entry later, so that threads that come and go do not wear out the same few numbers. */
  block->n_owners++;
  for (uint32_t i = 0; i < BLOCK_SIZE; i++)
    {
      uint32_t index = block->first_index + (block->n_owners + i) % BLOCK_SIZE;

      if (index != 0)
        push_free (pool, index);
    }
  return true;
}

int
dill_handle_reserve (struct dill_thread *thread)
{
  struct dill_handle_pool *pool = &thread->handles;
  struct dill_handle_entry *entry;
  uint32_t index;

  if (pool->n_free <= N_FREE_KEPT && !grow (thread) && pool->n_free == 0)
    {
      errno = ENOMEM;
      return -1;
    }

  index = pool->first_free;
  entry = entry_at (index);
  pool->first_free = entry->next_free;
  pool->n_free--;
  entry->is_used = true;
  entry->vfs = NULL;
  return (int) ((uint32_t) entry->generation << INDEX_BITS | index);
}

/* The entry of H, and its block, if it was given out, here or in the parent process, and not freed since. */
static struct dill_handle_entry *
find (int h, struct dill_handle_block **block)
{
  uint32_t index = (uint32_t) h & ((1u << INDEX_BITS) - 1);
  struct dill_handle_entry *entry;

  if (h <= 0)
    return NULL;

  *block = atomic_load_explicit (&dill_handle_directory[index >> BLOCK_BITS], memory_order_acquire);
  if (*block == NULL || dill_thread_self == NULL
      || atomic_load_explicit (&(*block)->thread, memory_order_relaxed) != dill_thread_self)
    return NULL;

  entry = &(*block)->entries[index & (BLOCK_SIZE - 1)];
  if (!entry->is_used || entry->generation != (uint32_t) h >> INDEX_BITS)
    return NULL;

  return entry;
}

void
dill_handle_set (int h, struct dill_hvfs *vfs)
{
  struct dill_handle_block *block;
  struct dill_handle_entry *entry = find (h, &block);

  g_assert (entry != NULL);
  entry->vfs = vfs;
}

struct dill_hvfs *
dill_handle_get (int h)
{
  struct dill_handle_block *block;
  struct dill_handle_entry *entry = find (h, &block);

  if (G_UNLIKELY (entry == NULL || entry->vfs == NULL || block->fork_generation != dill_fork_generation))
    {
      errno = EBADF;
      return NULL;
    }

  return entry->vfs;
}

struct dill_hvfs *
dill_handle_get_kind (int h, void *(*query) (struct dill_hvfs *vfs, const void *type))
{
  struct dill_hvfs *vfs = dill_handle_get (h);

  if (vfs == NULL || vfs->query == query)
    return vfs;

  errno = ENOTSUP;
  return NULL;
}

struct dill_hvfs *
dill_handle_take (int h)
{
  struct dill_handle_block *block;
  struct dill_handle_entry *entry = find (h, &block);
  struct dill_hvfs *vfs;

  if (entry == NULL)
    {
      errno = EBADF;
      return NULL;
    }

  vfs = entry->vfs;
  entry->vfs = NULL;
  entry->is_used = false;
  entry->generation = entry->generation == GENERATION_MAX ? 1 : entry->generation + 1;
  if (block->fork_generation == dill_fork_generation)
    push_free (&dill_thread_self->handles, (uint32_t) h & ((1u << INDEX_BITS) - 1));
  if (vfs == NULL)
    errno = EBADF;
  return vfs;
}

void
dill_handle_foreach (struct dill_thread *thread, void (*visit) (int h, struct dill_hvfs *vfs, void *data), void *data)
{
  for (struct dill_handle_block *block = thread->handles.blocks; block != NULL; block = block->next)
    {
      for (uint32_t i = 0; i < BLOCK_SIZE; i++)
        {
          struct dill_handle_entry *entry = &block->entries[i];

          if (entry->vfs != NULL)
            visit ((int) ((uint32_t) entry->generation << INDEX_BITS | (block->first_index + i)), entry->vfs, data);
        }
    }
}

void
dill_handle_pool_disown (struct dill_handle_pool *pool)
{
  /* The blocks stay in the directory under the parent's generation, so that what was inherited can still be closed. */
  *pool = (struct dill_handle_pool){ 0 };
}

void
dill_handle_pool_clear (struct dill_handle_pool *pool)
{
  struct dill_handle_block *block;

  dill_lock_take ();
  while ((block = pool->blocks) != NULL)
    {
      pool->blocks = block->next;
      atomic_store_explicit (&block->thread, NULL, memory_order_relaxed);
      for (uint32_t i = 0; i < BLOCK_SIZE; i++)
        {
          if (block->entries[i].is_used)
            block->entries[i].generation = block->entries[i].generation % GENERATION_MAX + 1;
          block->entries[i].is_used = false;
          block->entries[i].vfs = NULL;
        }
      block->next = spare_blocks;
      spare_blocks = block;
    }
  dill_lock_release ();
  *pool = (struct dill_handle_pool){ 0 };
}

int
dill_hmake (struct dill_hvfs *vfs)
{
  struct dill_thread *thread;
  int h;

  if (vfs == NULL || vfs->query == NULL || vfs->close == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  if (dill_wait_allowed () < 0 || (thread = dill_thread_get ()) == NULL || (h = dill_handle_reserve (thread)) < 0)
    return -1;

  dill_handle_set (h, vfs);
  return h;
}

void *
dill_hquery (int h, const void *type)
{
  struct dill_hvfs *vfs = dill_handle_get (h);

  return vfs == NULL ? NULL : vfs->query (vfs, type);
}

int
dill_hown (int h)
{
  struct dill_thread *thread = dill_thread_get ();
  struct dill_hvfs *vfs;
  int successor;

  if (thread == NULL || (vfs = dill_handle_get (h)) == NULL || (successor = dill_handle_reserve (thread)) < 0)
    return -1;

  dill_handle_take (h);
  dill_handle_set (successor, vfs);
  return successor;
}
