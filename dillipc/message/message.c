/* message.c: sending and receiving messages on any handle that knows them.
 *
 * Lists are checked here, so that every protocol sees good ones only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/wait.h"
#include "stream/iolist.h"
#include <dillipc/dill-handle.h>
#include <dillipc/dill-message.h>
#include <errno.h>

static const int msock_tag;
const void *dill_msock_type = &msock_tag;

int
dill_msendl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct dill_msock_vfs *vfs = dill_hquery (s, dill_msock_type);
  size_t total;

  if (vfs == NULL || dill_iolist_check (first, last, false, &total) < 0)
    return -1;

  return (int) dill_wait_fairly (vfs->msendl (vfs, first, last, deadline), deadline);
}

ssize_t
dill_mrecvl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct dill_msock_vfs *vfs = dill_hquery (s, dill_msock_type);
  ssize_t length;
  size_t total;

  if (vfs == NULL || dill_iolist_check (first, last, true, &total) < 0)
    return -1;

  length = vfs->mrecvl (vfs, first, last, deadline);

  /* A peer that sends messages that are too long, one after the other, must not have all the time either. */
  if (length >= 0 || errno == EMSGSIZE)
    dill_wait_fairly (0, deadline);
  return length;
}

int
dill_msend (int s, const void *buf, size_t len, int64_t deadline)
{
  struct dill_iolist item = { .iol_base = (void *) buf, .iol_len = len };

  return dill_msendl (s, &item, &item, deadline);
}

ssize_t
dill_mrecv (int s, void *buf, size_t len, int64_t deadline)
{
  struct dill_iolist item = { .iol_base = buf, .iol_len = len };

  return dill_mrecvl (s, &item, &item, deadline);
}
