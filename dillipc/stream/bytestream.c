/* bytestream.c: sending and receiving bytes on any handle that is a byte stream.
 *
 * Lists are checked here, before the stream is touched, so that every stream sees good ones only.  Operations that
 * never have to wait pause here now and then, so that a peer that sends or reads fast does not stop the main loop.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/handle-table.h"
#include "engine/wait.h"
#include "stream/iolist.h"
#include "stream/native.h"
#include <dillipc/dill-handle.h>
#include <dillipc/dill-stream.h>
#include <errno.h>

/* What one system call surely does, if it is in one piece. */
#define SHORT_LENGTH 1024

static const int bsock_tag;
const void *dill_bsock_type = &bsock_tag;

/* Who is too late from the beginning does all that can be done without waiting; who becomes so later does not.  There
 * is no difference where little is to be done. */
static int64_t
settle_deadline (int64_t deadline, bool is_short)
{
  return is_short ? deadline : dill_wait_settle (deadline);
}

/* Whether this is a buffer, and nothing about it is to be looked at. */
static inline bool
is_short (const void *buf, size_t len)
{
  return buf != NULL && len - 1 < SHORT_LENGTH;
}

int
dill_native_bsendl (struct dill_bsock_vfs *bsock, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct dill_native *stream = dill_container_of (bsock, struct dill_native, bsock);

  (void) last;
  return stream->vfs->bsendl (stream, first, deadline);
}

int
dill_native_brecvl (struct dill_bsock_vfs *bsock, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct dill_native *stream = dill_container_of (bsock, struct dill_native, bsock);

  (void) last;
  return stream->vfs->brecvl (stream, first, deadline);
}

/* The table of the byte stream S, or NULL with errno. */
static inline struct dill_bsock_vfs *
find (int s)
{
  struct dill_hvfs *object = dill_handle_look_up (s);

  return object == NULL ? NULL : object->query (object, dill_bsock_type);
}

static int
send_list (struct dill_bsock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  size_t total;

  if (vfs == NULL || dill_iolist_check (first, last, false, &total) < 0)
    return -1;

  deadline = settle_deadline (deadline, first == last && total <= SHORT_LENGTH);
  return (int) dill_wait_fairly (vfs->bsendl (vfs, first, last, deadline), deadline);
}

static int
receive_list (struct dill_bsock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  size_t total;

  if (vfs == NULL || dill_iolist_check (first, last, true, &total) < 0)
    return -1;

  deadline = settle_deadline (deadline, first == last && total <= SHORT_LENGTH);
  return (int) dill_wait_fairly (vfs->brecvl (vfs, first, last, deadline), deadline);
}

int
dill_bsendl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  return send_list (find (s), first, last, deadline);
}

int
dill_brecvl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  return receive_list (find (s), first, last, deadline);
}

/* What is not short, or not the library's own.  Apart, so that the others need not make room for an item. */
__attribute__ ((noinline)) static int
send_alone (struct dill_bsock_vfs *vfs, const void *buf, size_t len, int64_t deadline)
{
  struct dill_iolist item = { .iol_base = (void *) buf, .iol_len = len };

  return send_list (vfs, &item, &item, deadline);
}

__attribute__ ((noinline)) static int
receive_alone (struct dill_bsock_vfs *vfs, void *buf, size_t len, int64_t deadline)
{
  struct dill_iolist item = { .iol_base = buf, .iol_len = len };

  return receive_list (vfs, &item, &item, deadline);
}

int
dill_bsend (int s, const void *buf, size_t len, int64_t deadline)
{
  struct dill_bsock_vfs *vfs = find (s);
  struct dill_native *stream;

  if (G_UNLIKELY (vfs == NULL || !is_short (buf, len) || (stream = dill_native_to (vfs)) == NULL))
    return send_alone (vfs, buf, len, deadline);

  return (int) dill_wait_fairly (stream->vfs->bsend (stream, buf, len, deadline), deadline);
}

int
dill_brecv (int s, void *buf, size_t len, int64_t deadline)
{
  struct dill_bsock_vfs *vfs = find (s);
  struct dill_native *stream;

  if (G_UNLIKELY (vfs == NULL || !is_short (buf, len) || (stream = dill_native_from (vfs)) == NULL))
    return receive_alone (vfs, buf, len, deadline);

  return (int) dill_wait_fairly (stream->vfs->brecv (stream, buf, len, deadline), deadline);
}
