/* dill-message.h: messages, and two protocols that cut a byte stream into them.
 *
 * A message is sent and received as a whole.  prefix puts its length before it, suffix an end mark behind it; either is
 * attached to a handle that is a byte stream, which becomes the new handle's own.
 *
 * One sender and one receiver may be at work on a handle at a time.  A send or receive that fails for want of time or
 * by cancellation leaves its direction in the middle of something, as with byte streams: that direction answers
 * ECONNRESET from then on.  A message that is refused, or is too long for its receiver, harms nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_MESSAGE_H
#define DILL_MESSAGE_H

#include <dillipc/dill-macros.h>
#include <dillipc/dill-stream.h>

DILL_BEGIN_DECLS

/* Memory for objects, at any alignment; the content is the library's. */
struct dill_prefix_storage
{
  char dill_rsvd[128];
};

struct dill_suffix_storage
{
  char dill_rsvd[256];
};

/* The order of the bytes of a length. */
#define DILL_PREFIX_BIG_ENDIAN 0
#define DILL_PREFIX_LITTLE_ENDIAN 1

/* The longest end mark, in bytes. */
#define DILL_SUFFIX_MAX 32

/**
 * dill_msend:
 * @s: a message socket
 * @buf: the message; may be NULL only if @len is 0
 * @len: its length, 0 to SSIZE_MAX
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Sends one message, which may be empty.  Success means that the kernel has it, not that the peer has read it.
 *
 * Returns: 0, or -1 with errno
 *  - EACCES: refused by a security module
 *  - EBADF: @s is not a live handle of this thread
 *  - EBUSY: somebody is sending on @s
 *  - ECANCELED: the coroutine or the handle was cancelled while waiting
 *  - ECONNRESET: the peer is gone, or an earlier send failed halfway
 *  - EINVAL: @buf is NULL or @len too large; suffix: the end mark would be found before the end.  Nothing was sent
 *  - EMSGSIZE: prefix: @len cannot be expressed in the header.  Nothing was sent
 *  - ENOBUFS, ENOMEM: the kernel has no memory for it
 *  - ENOTSUP: @s does not know messages, or the main context cannot be iterated here
 *  - EPIPE: the outgoing half of the stream was ended
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: libdill, msend(3).
 */
DILL_EXPORT int dill_msend (int s, const void *buf, size_t len, int64_t deadline);

/**
 * dill_mrecv:
 * @s: a message socket
 * @buf: where the message goes; NULL drops it
 * @len: room in @buf, 0 to SSIZE_MAX
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Receives one message.  One that is longer than @len is skipped to its end before this fails with EMSGSIZE; the next
 * call receives the next message.
 *
 * Returns: the message's length, 0 to @len, or -1 with errno
 *  - EBADF: @s is not a live handle of this thread
 *  - EBUSY: somebody is receiving on @s
 *  - ECANCELED: the coroutine or the handle was cancelled while waiting
 *  - ECONNRESET: the stream broke or ended within a message, or an earlier receive failed halfway
 *  - EINVAL: @len is too large
 *  - EMSGSIZE: the message was longer than @len, and was skipped; prefix: a length beyond SSIZE_MAX cannot be skipped,
 *    and later calls fail with ECONNRESET
 *  - ENOMEM: no memory
 *  - ENOTSUP: @s does not know messages, or the main context cannot be iterated here
 *  - EPIPE: the stream has ended, after a whole message
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: libdill, mrecv(3).
 */
DILL_EXPORT ssize_t dill_mrecv (int s, void *buf, size_t len, int64_t deadline);

/**
 * dill_msendl:
 * @s: a message socket
 * @first: the first item of a list of buffers, which together are the message
 * @last: its last item
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * dill_msend() for a list, which is only read and may have any number of items.  Errors are those of dill_msend(), and
 *  - EINVAL: also for a list that dill_bsendl() would refuse
 *
 * From: libdill, msendl(3).
 */
DILL_EXPORT int dill_msendl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline);

/**
 * dill_mrecvl:
 * @s: a message socket
 * @first: the first item of a list of buffers; one with a NULL @iol_base drops its bytes
 * @last: its last item
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * dill_mrecv() into a list, whose items are filled one after the other.  The length of the message counts dropped bytes
 * too.
 *
 * Returns: the message's length, or -1 with the errno of dill_mrecv(), and
 *  - EINVAL: also for a list that dill_brecvl() would refuse
 *
 * From: libdill, mrecvl(3).
 */
DILL_EXPORT ssize_t dill_mrecvl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline);

/**
 * dill_prefix_attach:
 * @s: a byte stream
 * @hdrlen: length of the header that is put before each message, 1 to 8 bytes
 * @flags: DILL_PREFIX_BIG_ENDIAN or DILL_PREFIX_LITTLE_ENDIAN
 *
 * Makes a message socket of a byte stream: each message goes behind its length, an unsigned number.  @s is dead
 * afterwards; closing the new handle closes the stream.
 *
 * Returns: a handle, or -1 with errno, @s still usable
 *  - EBADF: @s is not a live handle of this thread
 *  - ECANCELED: the running coroutine was cancelled
 *  - EINVAL: @hdrlen or @flags is none of these
 *  - ENOMEM: no memory, or no handle is left
 *  - ENOTSUP: @s is not a byte stream
 *
 * From: libdill, prefix_attach(3).
 */
DILL_EXPORT int dill_prefix_attach (int s, size_t hdrlen, int flags);

/**
 * dill_prefix_attach_mem:
 * @s: as in dill_prefix_attach()
 * @hdrlen: as in dill_prefix_attach()
 * @flags: as in dill_prefix_attach()
 * @mem: a struct dill_prefix_storage, at any alignment, that stays until the handle is closed or detached
 *
 * dill_prefix_attach() in the caller's memory.  Errors are the same, and EINVAL for a NULL @mem.
 *
 * From: libdill, prefix_attach_mem(3).
 */
DILL_EXPORT int dill_prefix_attach_mem (int s, size_t hdrlen, int flags, void *mem);

/**
 * dill_prefix_detach:
 * @s: what dill_prefix_attach() returned
 *
 * Gives the byte stream back, just behind the last message that was received: nothing that came later is lost.  @s is
 * dead afterwards.
 *
 * Returns: the byte stream's handle, or -1 with errno, @s still usable
 *  - EBADF: @s is not a live handle of this thread
 *  - EBUSY: somebody is sending or receiving on @s
 *  - ENOTSUP: @s was not made by dill_prefix_attach()
 *
 * From: libdill, prefix_detach(3).
 */
DILL_EXPORT int dill_prefix_detach (int s);

/**
 * dill_suffix_attach:
 * @s: a byte stream
 * @suffix: the end mark; it is copied
 * @suffixlen: its length, 1 to DILL_SUFFIX_MAX bytes
 *
 * Makes a message socket of a byte stream: each message goes before an end mark, such as "\r\n".  @s is dead
 * afterwards; closing the new handle closes the stream.
 *
 * Returns: a handle, or -1 with errno, @s still usable
 *  - EBADF: @s is not a live handle of this thread
 *  - ECANCELED: the running coroutine was cancelled
 *  - EINVAL: @suffix is NULL, or @suffixlen out of range
 *  - ENOMEM: no memory, or no handle is left
 *  - ENOTSUP: @s is not a byte stream
 *
 * From: libdill, suffix_attach(3).
 */
DILL_EXPORT int dill_suffix_attach (int s, const void *suffix, size_t suffixlen);

/**
 * dill_suffix_attach_mem:
 * @s: as in dill_suffix_attach()
 * @suffix: as in dill_suffix_attach()
 * @suffixlen: as in dill_suffix_attach()
 * @mem: a struct dill_suffix_storage, at any alignment, that stays until the handle is closed or detached
 *
 * dill_suffix_attach() in the caller's memory.  Errors are the same, and EINVAL for a NULL @mem.
 *
 * From: libdill, suffix_attach_mem(3).
 */
DILL_EXPORT int dill_suffix_attach_mem (int s, const void *suffix, size_t suffixlen, void *mem);

/**
 * dill_suffix_detach:
 * @s: what dill_suffix_attach() returned
 * @deadline: milliseconds of dill_now(); never needed, as nothing is waited for
 *
 * Gives the byte stream back, just behind the last message that was received: nothing that came later is lost.  @s is
 * dead afterwards.
 *
 * Returns: the byte stream's handle, or -1 with errno, @s still usable
 *  - EBADF: @s is not a live handle of this thread
 *  - EBUSY: somebody is sending or receiving on @s
 *  - ENOTSUP: @s was not made by dill_suffix_attach()
 *
 * From: libdill, suffix_detach(3).
 */
DILL_EXPORT int dill_suffix_detach (int s, int64_t deadline);

/**
 * struct dill_msock_vfs:
 *
 * The table of a message socket, which a protocol of one's own returns from its @query for dill_msock_type.  The lists
 * were checked as those of byte streams are.
 */
struct dill_msock_vfs
{
  int (*msendl) (struct dill_msock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline);
  ssize_t (*mrecvl) (struct dill_msock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline);
};

DILL_EXPORT extern const void *dill_msock_type;

DILL_END_DECLS

#endif
