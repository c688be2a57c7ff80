/* stack-slab.c: one mapping from which stacks are cut.
 *
 * A slab costs address space only: memory is taken up by the pages that a coroutine touches, and even the guard page is
 * made when a stack is first taken.  All bookkeeping lies outside of the mapping, since a stack is given back while it
 * still runs.
 *
 * Facts this rests on, each pinned by a test: a guard page survives MADV_DONTNEED and fork(2); MADV_GUARD_INSTALL is
 * EINVAL before Linux 6.13 and on locked memory (mlockall(2)), and then mprotect(2) makes the guard.  Emulators such as
 * qemu-user agree to any advice and do nothing: in each slab, what comes of the first one is looked at.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/stack-slab.h"
#include "coroutine/announce.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

size_t
dill_page_size (void)
{
  static atomic_size_t cached;
  size_t size = atomic_load_explicit (&cached, memory_order_relaxed);

  if (size == 0)
    {
      size = (size_t) sysconf (_SC_PAGESIZE);
      atomic_store_explicit (&cached, size, memory_order_relaxed);
    }
  return size;
}

struct dill_stack_slab *
dill_stack_slab_new (unsigned n_stacks, size_t stack_size)
{
  struct dill_stack_slab *slab = malloc (sizeof *slab + n_stacks * sizeof slab->free[0]);
  size_t stride = dill_page_size () + stack_size;
  void *memory;

  if (slab == NULL)
    return NULL;

  memory = mmap (NULL, n_stacks * stride, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED)
    {
      free (slab);
      return NULL;
    }

  /* A huge page would make every stack in it resident, and fill in the guards' places.  A kernel that knows no huge
   * pages refuses the advice and needs none. */
  madvise (memory, n_stacks * stride, MADV_NOHUGEPAGE);

  *slab
      = (struct dill_stack_slab) { .memory = memory, .n_stacks = n_stacks, .stack_size = stack_size, .stride = stride };
  return slab;
}

/* Whether a program that touches PAGE is stopped.  By a call whose one fault is a place that it cannot write to;
 * what the kernel reads, Valgrind looks at first, and falls into the guard itself. */
static bool
is_out_of_reach (char *page)
{
  return uname ((struct utsname *) (void *) page) != 0;
}

/* Makes a guard of the page before a stack, without splitting the mapping if that can be. */
static bool
make_guard (struct dill_stack_slab *slab, char *page)
{
  if (!slab->splits)
    {
      if (madvise (page, dill_page_size (), MADV_GUARD_INSTALL) == 0)
        {
          if (slab->n_begun > 0 || is_out_of_reach (page))
            return true;
        }
      else if (errno != EINVAL)
        return false;

      slab->splits = true;
    }

  return mprotect (page, dill_page_size (), PROT_NONE) == 0;
}

bool
dill_stack_slab_unmap (struct dill_stack_slab *slab)
{
  dill_announce_unmap (slab->memory, slab->n_stacks * slab->stride);
  return munmap (slab->memory, slab->n_stacks * slab->stride) == 0;
}

char *
dill_stack_slab_begin (struct dill_stack_slab *slab)
{
  char *guard = slab->memory + slab->n_begun * slab->stride;

  if (!make_guard (slab, guard))
    return NULL;

  slab->n_begun++;
  return guard + dill_page_size ();
}

void
dill_stack_slab_clean (struct dill_stack_slab *slab, unsigned keep)
{
  unsigned i = slab->n_clean;

  while (i + keep < slab->n_free)
    {
      char *lowest = slab->free[i];
      char *highest = lowest;

      /* Neighbours are often given back one after another: one call will do, and leaves the guards between them. */
      for (i++; i + keep < slab->n_free; i++)
        {
          if (slab->free[i] == highest + slab->stride)
            highest = slab->free[i];
          else if (slab->free[i] == lowest - slab->stride)
            lowest = slab->free[i];
          else
            break;
        }
      madvise (lowest, (size_t) (highest - lowest) + slab->stack_size, MADV_DONTNEED);
    }
  slab->n_clean = i;
}
