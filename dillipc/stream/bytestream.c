/* bytestream.c: sending and receiving bytes on any handle that is a byte stream.
 *
 * Lists are checked here, before the stream is touched, so that every stream sees good ones only.  Operations that never
 * have to wait pause here now and then, so that a peer that sends or reads fast does not stop the main loop.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/wait.h"
#include "stream/iolist.h"
#include <dillipc/dill-handle.h>
#include <dillipc/dill-stream.h>
#include <dillipc/dill-time.h>
#include <errno.h>

/* What one system call surely does, if it is in one piece. */
#define SHORT_LENGTH 1024

static const int bsock_tag;
const void *dill_bsock_type = &bsock_tag;

/* A deadline that has passed already means that what can be done without waiting is done.  Only operations that may take
 * several system calls need to be told: they look at the deadline in between. */
static int64_t
settle_deadline (int64_t deadline, bool is_short)
{
  return !is_short && deadline > 0 && deadline <= dill_now () ? 0 : deadline;
}

/* Inline, because of a single buffer little needs to be checked. */
static inline int
send_list (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct dill_bsock_vfs *vfs = dill_hquery (s, dill_bsock_type);
  size_t total;

  if (vfs == NULL || dill_iolist_check (first, last, false, &total) < 0)
    return -1;

  deadline = settle_deadline (deadline, first == last && total <= SHORT_LENGTH);
  return (int) dill_wait_fairly (vfs->bsendl (vfs, first, last, deadline), deadline);
}

static inline int
receive_list (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct dill_bsock_vfs *vfs = dill_hquery (s, dill_bsock_type);
  size_t total;

  if (vfs == NULL || dill_iolist_check (first, last, true, &total) < 0)
    return -1;

  deadline = settle_deadline (deadline, first == last && total <= SHORT_LENGTH);
  return (int) dill_wait_fairly (vfs->brecvl (vfs, first, last, deadline), deadline);
}

int
dill_bsendl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  return send_list (s, first, last, deadline);
}

int
dill_brecvl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  return receive_list (s, first, last, deadline);
}

int
dill_bsend (int s, const void *buf, size_t len, int64_t deadline)
{
  struct dill_iolist item = { .iol_base = (void *) buf, .iol_len = len };

  return send_list (s, &item, &item, deadline);
}

int
dill_brecv (int s, void *buf, size_t len, int64_t deadline)
{
  struct dill_iolist item = { .iol_base = buf, .iol_len = len };

  return receive_list (s, &item, &item, deadline);
}
