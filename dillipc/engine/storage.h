/* storage.h: objects in memory of the program's, which may begin at any address.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

/* What objects are aligned to: as much as malloc (3) promises. */
#define DILL_STORAGE_ALIGNMENT 16

/* That an object of TYPE has room in SIZE bytes, wherever they begin. */
#define DILL_ASSERT_STORAGE(type, size)                                                                                \
  _Static_assert (sizeof (type) + DILL_STORAGE_ALIGNMENT - 1 <= (size), "storage is too small")

/* The first good place for an object in MEM. */
static inline void *
dill_storage_align (void *mem)
{
  return (void *) (((uintptr_t) mem + DILL_STORAGE_ALIGNMENT - 1) & ~(uintptr_t) (DILL_STORAGE_ALIGNMENT - 1));
}

/* Memory for an object of SIZE bytes: in MEM, or from malloc (3) if that is NULL.  NULL with errno ENOMEM. */
static inline void *
dill_storage_place (void *mem, size_t size)
{
  void *object = mem != NULL ? dill_storage_align (mem) : malloc (size);

  if (object == NULL)
    errno = ENOMEM;
  return object;
}
