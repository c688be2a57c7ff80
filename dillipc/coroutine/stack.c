/* stack.c: the pool of stacks, and their size.
 *
 * Stacks are cut from slabs, one mapping each, which grow with the pool from 16 stacks to 2048, so that a million
 * stacks need some 500 mappings of the 65,530 that Linux allows by default.
 *
 * The stack that was given back last is taken first, since its pages are there and in the cache: the slab it belongs to
 * moves to the front.  Slabs to which none was given back are at the end.  Only the newest one can have stacks that
 * were never taken, which are used when there is no other, so that taking and giving look at one slab only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/stack.h"
#include "coroutine/stack-slab.h"

#include <dillipc/dill-coroutine.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#define DEFAULT_SIZE ((size_t) 256 << 10)
#define SMALLEST_SIZE ((size_t) 16 << 10) /* a signal frame alone takes up to 12 KiB */
#define LARGEST_SIZE ((size_t) 1 << 30)

#define SMALLEST_SLAB 16
#define LARGEST_SLAB 2048
#define SLAB_BYTES ((size_t) 1 << 30) /* a slab of large stacks has fewer of them, but at least one */

/* This many free stacks keep their pages, and this many stay mapped. */
#define RESERVE 64

/* --- The size in force --- */

static atomic_size_t size_in_force; /* 0 until it is asked for */

static size_t
round_to_pages (size_t bytes)
{
  return (bytes + dill_page_size () - 1) & ~(dill_page_size () - 1);
}

static bool
size_is_valid (size_t bytes)
{
  return bytes >= SMALLEST_SIZE && bytes <= LARGEST_SIZE;
}

/* What DILLIPC_STACK_SIZE says, if that is a size; otherwise the default. */
static size_t
size_from_environment (void)
{
  const char *text = secure_getenv ("DILLIPC_STACK_SIZE");
  char *end;
  unsigned long long bytes;

  if (text == NULL || *text < '0' || *text > '9')
    return DEFAULT_SIZE;

  errno = 0;
  bytes = strtoull (text, &end, 10);
  if (errno != 0 || *end != '\0' || bytes > LARGEST_SIZE || !size_is_valid ((size_t) bytes))
    return DEFAULT_SIZE;

  return (size_t) bytes;
}

size_t
dill_stack_size (void)
{
  size_t size = atomic_load_explicit (&size_in_force, memory_order_relaxed);

  if (size == 0)
    {
      int saved_errno = errno;
      size_t from_environment = round_to_pages (size_from_environment ());

      errno = saved_errno;
      /* On failure SIZE is what another thread has put there meanwhile. */
      if (atomic_compare_exchange_strong (&size_in_force, &size, from_environment))
        size = from_environment;
    }
  return size;
}

int
dill_set_stack_size (size_t bytes)
{
  if (!size_is_valid (bytes))
    {
      errno = EINVAL;
      return -1;
    }

  atomic_store_explicit (&size_in_force, round_to_pages (bytes), memory_order_relaxed);
  return 0;
}

/* --- Rings of slabs --- */

static void
ring_remove (struct dill_stack_slab **ring, struct dill_stack_slab *slab)
{
  if (*ring == slab)
    *ring = slab->next == slab ? NULL : slab->next;

  slab->next->previous = slab->previous;
  slab->previous->next = slab->next;
}

static void
ring_add_first (struct dill_stack_slab **ring, struct dill_stack_slab *slab)
{
  struct dill_stack_slab *first = *ring;

  if (first == NULL)
    first = slab->next = slab->previous = slab;

  slab->next = first;
  slab->previous = first->previous;
  slab->previous->next = slab;
  first->previous = slab;
  *ring = slab;
}

static void
ring_add_last (struct dill_stack_slab **ring, struct dill_stack_slab *slab)
{
  ring_add_first (ring, slab);
  *ring = slab->next;
}

/* --- The pool --- */

/* The size in force has changed: nothing is taken from the slabs there are any more. */
__attribute__ ((noinline)) static void
pool_retire_slabs (struct dill_stack_pool *pool, size_t new_size)
{
  while (pool->slabs != NULL)
    {
      struct dill_stack_slab *slab = pool->slabs;

      ring_remove (&pool->slabs, slab);
      slab->retired = true;
      ring_add_first (&pool->retired, slab);
    }

  pool->newest = NULL;
  pool->stack_size = new_size;
  pool->n_stacks = pool->n_free = pool->n_dirty = pool->n_idle = 0;
}

static void
pool_free_retired (struct dill_stack_pool *pool)
{
  struct dill_stack_slab *slab = pool->retired;
  struct dill_stack_slab *last = slab != NULL ? slab->previous : NULL;
  bool done = slab == NULL;

  while (!done)
    {
      struct dill_stack_slab *next = slab->next;

      done = slab == last;
      if (dill_stack_slab_is_idle (slab) && dill_stack_slab_unmap (slab))
        {
          ring_remove (&pool->retired, slab);
          free (slab);
        }
      else
        dill_stack_slab_clean (slab, 0);
      slab = next;
    }
}

/* Adds a slab as large as the pool, or smaller if the system has no room.  Returns NULL if there is none at all. */
static struct dill_stack_slab *
pool_grow (struct dill_stack_pool *pool)
{
  size_t n_stacks = pool->n_stacks;
  size_t n_fitting = SLAB_BYTES / (pool->stack_size + dill_page_size ());

  pool_free_retired (pool);

  if (n_stacks < SMALLEST_SLAB)
    n_stacks = SMALLEST_SLAB;
  if (n_stacks > LARGEST_SLAB)
    n_stacks = LARGEST_SLAB;
  if (n_stacks > n_fitting)
    n_stacks = n_fitting > 0 ? n_fitting : 1;

  for (; n_stacks > 0; n_stacks /= 2)
    {
      struct dill_stack_slab *slab = dill_stack_slab_new ((unsigned) n_stacks, pool->stack_size);

      if (slab != NULL)
        {
          ring_add_last (&pool->slabs, slab);
          pool->newest = slab;
          pool->n_stacks += n_stacks;
          pool->n_free += n_stacks;
          pool->n_idle++;
          return slab;
        }
    }
  return NULL;
}

/* A stack that was given back earlier.  There is one. */
static void
pool_take_again (struct dill_stack_pool *pool, struct dill_stack *stack)
{
  struct dill_stack_slab *slab = pool->slabs;

  pool->n_idle -= dill_stack_slab_is_idle (slab);
  stack->base = slab->free[--slab->n_free];
  stack->slab = slab;

  if (slab->n_clean > slab->n_free)
    slab->n_clean = slab->n_free;
  else
    pool->n_dirty--;

  if (slab->n_free == 0)
    pool->slabs = slab->next; /* turns the ring: it is the last one now */
}

/* One that was never taken.  Returns false if there is no memory.  Apart, so that the usual way need not save registers
 * for it. */
__attribute__ ((noinline)) static bool
pool_take_first_time (struct dill_stack_pool *pool, struct dill_stack *stack)
{
  struct dill_stack_slab *slab = pool->newest;
  bool was_idle;

  if (slab == NULL || slab->n_begun == slab->n_stacks)
    slab = pool_grow (pool);
  if (slab == NULL)
    return false;

  was_idle = dill_stack_slab_is_idle (slab);
  stack->base = dill_stack_slab_begin (slab);
  stack->slab = slab;
  if (stack->base == NULL)
    return false;

  pool->n_idle -= was_idle;
  return true;
}

int
dill_stack_pool_take (struct dill_stack_pool *pool, struct dill_stack *stack)
{
  if (pool->stack_size != dill_stack_size ())
    pool_retire_slabs (pool, dill_stack_size ());

  if (pool->slabs != NULL && pool->slabs->n_free > 0)
    pool_take_again (pool, stack);
  else if (!pool_take_first_time (pool, stack))
    {
      errno = ENOMEM;
      return -1;
    }

  stack->size = pool->stack_size;
  pool->n_free--;
  return 0;
}

void
dill_stack_pool_give (struct dill_stack_pool *pool, const struct dill_stack *stack)
{
  struct dill_stack_slab *slab = stack->slab;

  slab->free[slab->n_free++] = stack->base;
  if (slab->retired)
    return;

  pool->n_free++;
  pool->n_dirty++;
  pool->n_idle += dill_stack_slab_is_idle (slab);
  if (pool->slabs != slab)
    {
      ring_remove (&pool->slabs, slab);
      ring_add_first (&pool->slabs, slab);
    }
}

/* Unmaps idle slabs, those that were used least recently first, as long as the reserve is to be had from the others. */
static void
pool_free_idle (struct dill_stack_pool *pool)
{
  struct dill_stack_slab *first = pool->slabs;
  struct dill_stack_slab *slab = first->previous;
  bool done = false;

  while (!done)
    {
      struct dill_stack_slab *previous = slab->previous;

      done = slab == first;
      if (dill_stack_slab_is_idle (slab) && pool->n_free >= RESERVE + slab->n_stacks && dill_stack_slab_unmap (slab))
        {
          ring_remove (&pool->slabs, slab);
          pool->n_stacks -= slab->n_stacks;
          pool->n_free -= slab->n_stacks;
          pool->n_dirty -= slab->n_free - slab->n_clean;
          pool->n_idle--;
          if (pool->newest == slab)
            pool->newest = NULL;
          free (slab);
        }
      slab = previous;
    }
}

void
dill_stack_pool_trim (struct dill_stack_pool *pool)
{
  if (pool->retired != NULL)
    pool_free_retired (pool);

  if (pool->n_idle > 0)
    pool_free_idle (pool);

  if (pool->n_dirty > RESERVE)
    {
      struct dill_stack_slab *slab = pool->slabs;
      unsigned keep = RESERVE;

      do
        {
          unsigned n_dirty = slab->n_free - slab->n_clean;
          unsigned n_kept = n_dirty < keep ? n_dirty : keep;

          dill_stack_slab_clean (slab, n_kept);
          pool->n_dirty -= n_dirty - n_kept;
          keep -= n_kept;
          slab = slab->next;
        }
      while (slab != pool->slabs && slab->n_free > 0);
    }
}

static void
pool_clear_ring (struct dill_stack_slab **ring)
{
  while (*ring != NULL)
    {
      struct dill_stack_slab *slab = *ring;

      /* If unmapping fails the addresses stay taken, but not the memory. */
      if (!dill_stack_slab_unmap (slab))
        madvise (slab->memory, slab->n_stacks * slab->stride, MADV_DONTNEED);
      ring_remove (ring, slab);
      free (slab);
    }
}

void
dill_stack_pool_clear (struct dill_stack_pool *pool)
{
  pool_clear_ring (&pool->slabs);
  pool_clear_ring (&pool->retired);
  *pool = (struct dill_stack_pool) { .n_stacks = 0 };
}
