/* channel.c: making and closing channels; choose.c passes the values.
 *
 * Whoever waits at a channel leaves its queues when woken, so that nobody touches its memory after both ends are
 * closed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sync/channel.h"
#include "engine/storage.h"
#include "engine/thread.h"
#include "engine/wait.h"
#include <dillipc/dill-channel.h>
#include <errno.h>
#include <stdlib.h>

DILL_ASSERT_STORAGE (struct dill_channel, sizeof (struct dill_chstorage));

static struct dill_engine *nowhere = NULL;

void *
dill_channel_query (struct dill_hvfs *vfs, const void *type)
{
  (void) vfs;
  if (type == dill_engine_type)
    return &nowhere;

  errno = ENOTSUP;
  return NULL;
}

static void
channel_close (struct dill_hvfs *vfs)
{
  struct dill_channel_end *end = dill_channel_end_of (vfs);
  struct dill_channel_end *other = end->other;
  struct dill_channel *channel = dill_container_of (end < other ? end : other, struct dill_channel, ends);

  end->is_closed = true;
  dill_channel_fail_all (&end->senders, ECANCELED);
  dill_channel_fail_all (&end->receivers, ECANCELED);
  if (!other->is_closed)
    {
      dill_channel_fail_all (&other->senders, EPIPE);
      dill_channel_fail_all (&other->receivers, EPIPE);
    }
  else if (channel->is_heap)
    {
      free (channel);
    }
}

/* Reserves the numbers of both ends. */
static int
reserve_handles (int handles[2])
{
  struct dill_thread *thread = dill_wait_get_thread ();

  if (thread == NULL || (handles[0] = dill_handle_reserve (thread)) < 0)
    return -1;

  handles[1] = dill_handle_reserve (thread);
  if (handles[1] >= 0)
    return 0;

  dill_handle_take (handles[0]);
  errno = ENOMEM;
  return -1;
}

static void
init_channel (struct dill_channel *channel, bool is_heap, const int handles[2])
{
  channel->is_heap = is_heap;
  for (int i = 0; i < 2; i++)
    {
      struct dill_channel_end *end = &channel->ends[i];

      *end = (struct dill_channel_end){ .vfs = { dill_channel_query, channel_close }, .other = &channel->ends[1 - i] };
      dill_list_init (&end->senders);
      dill_list_init (&end->receivers);
      dill_handle_set (handles[i], &end->vfs);
    }
}

/* In MEM, or in memory of its own if that is NULL. */
static int
make_channel (void *mem, int chv[2])
{
  struct dill_channel *channel;
  int handles[2];

  if (reserve_handles (handles) < 0)
    return -1;

  channel = dill_storage_place (mem, sizeof *channel);
  if (channel == NULL)
    {
      dill_handle_take (handles[0]);
      dill_handle_take (handles[1]);
      errno = ENOMEM;
      return -1;
    }

  init_channel (channel, mem == NULL, handles);
  chv[0] = handles[0];
  chv[1] = handles[1];
  return 0;
}

int
dill_chmake (int chv[2])
{
  if (chv == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  return make_channel (NULL, chv);
}

int
dill_chmake_mem (void *mem, int chv[2])
{
  if (mem == NULL || chv == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  return make_channel (mem, chv);
}

int
dill_chdone (int ch)
{
  struct dill_channel_end *end = dill_channel_get (ch);

  if (end == NULL)
    return -1;

  if (end->is_done || end->other->is_closed)
    {
      errno = EPIPE;
      return -1;
    }

  end->is_done = true;
  dill_channel_fail_all (&end->senders, EPIPE);
  dill_channel_fail_all (&end->other->receivers, EPIPE);
  return 0;
}
