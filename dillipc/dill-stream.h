/* dill-stream.h: byte streams.
 *
 * One sender and one receiver may be at work on a handle at a time.  A send or receive that fails for want of time or
 * by cancellation leaves its direction of the stream in the middle of something: that direction answers ECONNRESET from
 * then on.  dill_brecv_some() is the exception: it may time out any number of times.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_STREAM_H
#define DILL_STREAM_H

#include <dillipc/dill-macros.h>

DILL_BEGIN_DECLS

/**
 * struct dill_iolist:
 * @iol_base: the bytes; NULL on receive: skip @iol_len bytes of the stream
 * @iol_len: how many
 * @iol_next: the next item, or NULL in the last one
 * @iol_rsvd: 0
 *
 * One piece of a scattered buffer.
 */
struct dill_iolist
{
  void *iol_base;
  size_t iol_len;
  struct dill_iolist *iol_next;
  int iol_rsvd;
};

/**
 * dill_bsend:
 * @s: a byte stream
 * @buf: the bytes; may be NULL only if @len is 0
 * @len: how many, 0 to SSIZE_MAX
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Sends the whole buffer.  Success means that the kernel has the bytes, not that the peer has read them.  A try with a
 * deadline of 0 follows a peer that keeps up all the time for 1,024 system calls and 5 milliseconds more.
 *
 * Returns: 0, or -1 with errno
 *  - EACCES: refused by a security module
 *  - EBADF: @s is not a live handle of this thread
 *  - EBUSY: somebody is sending on @s
 *  - ECANCELED: the coroutine or the handle was cancelled while waiting
 *  - ECONNRESET: the peer is gone, or an earlier send failed halfway
 *  - EINVAL: @buf is NULL or @len too large
 *  - ENOBUFS, ENOMEM: the kernel has no memory for it
 *  - ENOTSUP: @s is not a byte stream, or the main context cannot be iterated here
 *  - EPIPE: dill_ipc_done() was called on @s
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: libdill, bsend(3); unix(7).
 */
DILL_EXPORT int dill_bsend (int s, const void *buf, size_t len, int64_t deadline);

/**
 * dill_brecv:
 * @s: a byte stream
 * @buf: where the bytes go; NULL drops them
 * @len: how many, 0 to SSIZE_MAX
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Receives exactly @len bytes.  A try with a deadline of 0 follows a peer that keeps up all the time for 1,024 system
 * calls and 5 milliseconds more.
 *
 * Returns: 0, or -1 with errno
 *  - EBADF: @s is not a live handle of this thread
 *  - EBUSY: somebody is receiving on @s
 *  - ECANCELED: the coroutine or the handle was cancelled while waiting
 *  - ECONNRESET: the connection was broken, or an earlier receive failed halfway
 *  - EINVAL: @len is too large
 *  - ENOMEM: no memory
 *  - ENOTSUP: @s is not a byte stream, or the main context cannot be iterated here
 *  - EPIPE: the stream ended before @len bytes had come
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: libdill, brecv(3); unix(7).
 */
DILL_EXPORT int dill_brecv (int s, void *buf, size_t len, int64_t deadline);

/**
 * dill_bsendl:
 * @s: a byte stream
 * @first: the first item of a list of buffers
 * @last: its last item
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * dill_bsend() for a list, which is only read and may have any number of items.  Errors are those of dill_bsend(), and
 *  - EINVAL: @first or @last is NULL, @last is not reached from @first or has a successor, the list runs in a circle,
 *    an @iol_rsvd is not 0, an @iol_base is NULL with an @iol_len that is not 0, or the lengths add up to more than
 *    SSIZE_MAX.  Neither the stream nor the list was touched.
 *
 * From: libdill, bsendl(3).
 */
DILL_EXPORT int dill_bsendl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline);

/**
 * dill_brecvl:
 * @s: a byte stream
 * @first: the first item of a list of buffers; one with a NULL @iol_base drops its bytes
 * @last: its last item
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * dill_brecv() into a list.  Errors are those of dill_brecv(), and EINVAL for a list that dill_bsendl() would refuse
 * (a NULL @iol_base is allowed here).
 *
 * From: libdill, brecvl(3).
 */
DILL_EXPORT int dill_brecvl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline);

/**
 * dill_brecv_some:
 * @s: an IPC connection
 * @buf: where the bytes go
 * @len: room in @buf, 1 to SSIZE_MAX
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Receives what is there, at least one byte: for line protocols and the like.  Failing harms nothing.
 *
 * Returns: 1 to @len, or -1 with the errno of dill_brecv(), and
 *  - EINVAL: @buf is NULL, or @len is 0 or too large
 *
 * From: recv(2).
 */
DILL_EXPORT ssize_t dill_brecv_some (int s, void *buf, size_t len, int64_t deadline);

/**
 * struct dill_bsock_vfs:
 *
 * The table of a byte stream, which a protocol of one's own returns from its @query for dill_bsock_type.
 */
struct dill_bsock_vfs
{
  int (*bsendl) (struct dill_bsock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline);
  int (*brecvl) (struct dill_bsock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline);
};

DILL_EXPORT extern const void *dill_bsock_type;

DILL_END_DECLS

#endif
