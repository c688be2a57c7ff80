/* handle.c: the table behind the numbers that programs hold.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/handle-table.h"
#include "engine/lock.h"
#include "engine/thread.h"
#include "engine/wait.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define GENERATION (1 << DILL_HANDLE_INDEX_BITS) /* the first, and the step to the next */

/* A thread takes another block rather than use up its last free entries: numbers then come again only after some
 * 190 * 511 others. */
#define N_FREE_KEPT 64

/* Not NULL: threads that do not use the library have no record. */
#define NOBODY ((struct dill_thread *) (void *) dill_handle_directory)

_Atomic (struct dill_handle_block *) dill_handle_directory[DILL_HANDLE_N_BLOCKS];

/* HOLDS: dill_lock_take () */
static uint32_t n_blocks;
static struct dill_handle_block *spare_blocks; /* of threads that have ended */

/* Ends the life of a number: the entry will have another one. */
static void
retire (struct dill_handle_entry *entry)
{
  int number = entry->number;

  if (number > INT_MAX - GENERATION)
    number &= DILL_HANDLE_INDEX_MASK;
  entry->number = ~(number + GENERATION);
}

static void
push_free (struct dill_handle_pool *pool, struct dill_handle_entry *entry)
{
  entry->next_free = NULL;
  if (pool->n_free++ == 0)
    pool->first_free = entry;
  else
    pool->last_free->next_free = entry;
  pool->last_free = entry;
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

  if (n_blocks == DILL_HANDLE_N_BLOCKS || (block = calloc (1, sizeof *block)) == NULL)
    return NULL;

  for (uint32_t i = 0; i < DILL_HANDLE_BLOCK_SIZE; i++)
    block->entries[i].number = ~(int) (GENERATION + n_blocks * DILL_HANDLE_BLOCK_SIZE + i);
  atomic_init (&block->thread, NOBODY);
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
  for (uint32_t i = 0; i < DILL_HANDLE_BLOCK_SIZE; i++)
    {
      struct dill_handle_entry *entry = &block->entries[(block->n_owners + i) % DILL_HANDLE_BLOCK_SIZE];

      if ((~entry->number & DILL_HANDLE_INDEX_MASK) != 0)
        push_free (pool, entry);
    }
  return true;
}

int
dill_handle_new (struct dill_thread *thread, struct dill_hvfs *vfs)
{
  struct dill_handle_pool *pool = &thread->handles;
  struct dill_handle_entry *entry;

  if (pool->n_free <= N_FREE_KEPT && !grow (thread) && pool->n_free == 0)
    {
      errno = ENOMEM;
      return -1;
    }

  entry = pool->first_free;
  pool->first_free = entry->next_free;
  pool->n_free--;
  entry->vfs = vfs;
  entry->number = ~entry->number;
  return entry->number;
}

void
dill_handle_set (int h, struct dill_hvfs *vfs)
{
  struct dill_handle_block *block;
  struct dill_handle_entry *entry = dill_handle_find (h, &block);

  g_assert (entry != NULL);
  entry->vfs = vfs;
}

struct dill_hvfs *
dill_handle_get (int h)
{
  return dill_handle_look_up (h);
}

struct dill_hvfs *
dill_handle_get_kind (int h, void *(*query) (struct dill_hvfs *vfs, const void *type))
{
  return dill_handle_look_up_kind (h, query);
}

struct dill_hvfs *
dill_handle_take (int h)
{
  struct dill_handle_block *block;
  struct dill_handle_entry *entry = dill_handle_find (h, &block);
  struct dill_hvfs *vfs;

  if (entry == NULL)
    {
      errno = EBADF;
      return NULL;
    }

  vfs = entry->vfs;
  retire (entry);
  if (block->fork_generation == dill_fork_generation)
    push_free (&dill_thread_self->handles, entry);
  if (vfs == NULL)
    errno = EBADF;
  return vfs;
}

void
dill_handle_foreach (struct dill_thread *thread, void (*visit) (int h, struct dill_hvfs *vfs, void *data), void *data)
{
  for (struct dill_handle_block *block = thread->handles.blocks; block != NULL; block = block->next)
    {
      for (uint32_t i = 0; i < DILL_HANDLE_BLOCK_SIZE; i++)
        {
          struct dill_handle_entry *entry = &block->entries[i];

          if (entry->number > 0 && entry->vfs != NULL)
            visit (entry->number, entry->vfs, data);
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
      atomic_store_explicit (&block->thread, NOBODY, memory_order_relaxed);
      for (uint32_t i = 0; i < DILL_HANDLE_BLOCK_SIZE; i++)
        if (block->entries[i].number > 0)
          retire (&block->entries[i]);
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

  if (vfs == NULL || vfs->query == NULL || vfs->close == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  thread = dill_wait_get_thread ();
  return thread == NULL ? -1 : dill_handle_new (thread, vfs);
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

  if (thread == NULL || (vfs = dill_handle_get (h)) == NULL || (successor = dill_handle_new (thread, vfs)) < 0)
    return -1;

  dill_handle_take (h);
  return successor;
}
