/* channel.h: what a channel is made of.
 *
 * An end has two queues: of clauses that wait to send to it, and of clauses that wait to receive from it.  A clause is
 * in a queue only as long as it can still be performed: it leaves when its owner's wait has an outcome, not when that
 * runs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/handle-table.h"
#include "engine/list.h"
#include <dillipc/dill-handle.h>
#include <stdbool.h>

struct dill_channel_end
{
  struct dill_hvfs vfs;
  struct dill_channel_end *other;
  struct dill_list senders;
  struct dill_list receivers;
  bool is_done; /* nothing more is sent to it */
  bool is_closed;
};

struct dill_channel
{
  struct dill_channel_end ends[2];
  bool is_heap;
};

/* What ends are known by. */
void *dill_channel_query (struct dill_hvfs *vfs, const void *type);

static inline struct dill_channel_end *
dill_channel_end_of (struct dill_hvfs *vfs)
{
  return dill_container_of (vfs, struct dill_channel_end, vfs);
}

/* The end behind H, or NULL with errno EBADF or ENOTSUP. */
static inline struct dill_channel_end *
dill_channel_get (int h)
{
  struct dill_hvfs *vfs = dill_handle_look_up_kind (h, dill_channel_query);

  return vfs == NULL ? NULL : dill_channel_end_of (vfs);
}

/* choose.c: all clauses in QUEUE fail with ERROR. */
void dill_channel_fail_all (struct dill_list *queue, int error);
