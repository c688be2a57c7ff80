/* buffer.h: buffers for bytes that were received before somebody asked for them.
 *
 * A connection holds one only while it has such bytes.  Each thread keeps a few that are free.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Large enough that reading ahead saves system calls, and as large as the allocator hands out without one. */
#define DILL_BUFFER_SIZE (16 * 1024 - 32)

struct dill_buffer
{
  struct dill_buffer *next; /* among the free ones */
  uint32_t start;           /* the first byte that was not taken */
  uint32_t end;
  char bytes[DILL_BUFFER_SIZE];
};

struct dill_buffer_pool
{
  struct dill_buffer *free;
  unsigned n_free;
};

/* An empty buffer, or NULL: reading ahead is a convenience that may fail. */
struct dill_buffer *dill_buffer_take (struct dill_buffer_pool *pool);

void dill_buffer_give (struct dill_buffer_pool *pool, struct dill_buffer *buffer);

void dill_buffer_pool_clear (struct dill_buffer_pool *pool);
