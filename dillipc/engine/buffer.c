/* buffer.c: buffers for bytes that were received before somebody asked for them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/buffer.h"
#include <stdlib.h>

/* Free ones that a thread keeps: connections hold theirs for a short time, so few are in use at once. */
#define N_FREE_MAX 16

struct dill_buffer *
dill_buffer_take (struct dill_buffer_pool *pool)
{
  struct dill_buffer *buffer = pool->free;

  if (buffer != NULL)
    {
      pool->free = buffer->next;
      pool->n_free--;
    }
  else
    {
      buffer = malloc (sizeof *buffer);
      if (buffer == NULL)
        return NULL;
    }

  buffer->start = 0;
  buffer->end = 0;
  return buffer;
}

void
dill_buffer_give (struct dill_buffer_pool *pool, struct dill_buffer *buffer)
{
  if (pool->n_free == N_FREE_MAX)
    {
      free (buffer);
      return;
    }

  buffer->next = pool->free;
  pool->free = buffer;
  pool->n_free++;
}

void
dill_buffer_pool_clear (struct dill_buffer_pool *pool)
{
  while (pool->free != NULL)
    {
      struct dill_buffer *next = pool->free->next;

      free (pool->free);
      pool->free = next;
    }

  pool->n_free = 0;
}
