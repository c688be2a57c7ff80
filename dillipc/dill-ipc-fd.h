/* dill-ipc-fd.h: plain descriptors: connections and listeners made of them and turned back into them, and those that
 * are passed to the peer.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_IPC_FD_H
#define DILL_IPC_FD_H

#include <dillipc/dill-macros.h>

DILL_BEGIN_DECLS

/**
 * dill_ipc_fromfd:
 * @fd: a connected AF_UNIX stream socket; the handle owns it from then on
 *
 * Makes a connection of a descriptor, which becomes non-blocking and close-on-exec.
 *
 * Returns: the connection's handle, or -1 with errno, @fd untouched
 *  - EACCES, EPERM: refused by a security module
 *  - EBADF: @fd is not an open descriptor
 *  - ECANCELED: the running coroutine was cancelled
 *  - EINVAL: @fd is a listening socket
 *  - ENOMEM, ENOBUFS: no memory, or no handle is left
 *  - ENOTCONN: @fd is not connected
 *  - ENOTSUP: @fd is not an AF_UNIX stream socket, or the main context is inherited over fork()
 *
 * From: libdill, ipc_fromfd(3).
 */
DILL_EXPORT int dill_ipc_fromfd (int fd);

/**
 * dill_ipc_fromfd_mem:
 * @fd: as in dill_ipc_fromfd()
 * @mem: at least DILL_IPC_SIZE bytes, at any alignment, that stay until the connection is closed
 *
 * dill_ipc_fromfd() in the caller's memory.  Errors are the same, and EINVAL for a NULL @mem.
 */
DILL_EXPORT int dill_ipc_fromfd_mem (int fd, void *mem);

/**
 * dill_ipc_listener_fromfd:
 * @fd: a listening AF_UNIX stream socket; the handle owns it from then on
 *
 * Makes a listener of a descriptor.  Its socket file is not unlinked.
 *
 * Returns: the listener's handle, or -1 with errno, @fd untouched
 *  - EACCES, EPERM: refused by a security module
 *  - EBADF: @fd is not an open descriptor
 *  - ECANCELED: the running coroutine was cancelled
 *  - EINVAL: @fd does not listen
 *  - ENOMEM, ENOBUFS: no memory, or no handle is left
 *  - ENOTSUP: @fd is not an AF_UNIX stream socket, or the main context is inherited over fork()
 *
 * From: libdill, ipc_listener_fromfd(3).
 */
DILL_EXPORT int dill_ipc_listener_fromfd (int fd);

/**
 * dill_ipc_listener_fromfd_mem:
 * @fd: as in dill_ipc_listener_fromfd()
 * @mem: at least DILL_IPC_LISTENER_SIZE bytes, at any alignment, that stay until the handle is closed
 *
 * dill_ipc_listener_fromfd() in the caller's memory.  Errors are the same, and EINVAL for a NULL @mem.
 */
DILL_EXPORT int dill_ipc_listener_fromfd_mem (int fd, void *mem);

/**
 * dill_ipc_steal_fd:
 * @s: a connection or a listener
 *
 * Gives the plain descriptor back; the handle is gone.  It stays non-blocking and close-on-exec, and a listener's
 * socket file stays where it is.
 *
 * Returns: the descriptor, now the caller's, or -1 with errno
 *  - EBADF: @s is not a live handle of this thread
 *  - EBUSY: received bytes or a descriptor are still unread, or somebody waits on @s
 *  - ENOTSUP: @s is neither a connection nor a listener
 */
DILL_EXPORT int dill_ipc_steal_fd (int s);

/**
 * dill_ipc_sendfd:
 * @s: a connection
 * @fd: an open descriptor, which stays the caller's
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Passes a duplicate of @fd to the peer, along with one byte of the stream.  Failing harms nothing.
 *
 * Returns: 0, or -1 with errno
 *  - EACCES: refused by a security module
 *  - EBADF: @s is not a live handle of this thread, or @fd is not an open descriptor
 *  - EBUSY: somebody is sending on @s
 *  - ECANCELED: the coroutine or the handle was cancelled while waiting
 *  - ECONNRESET: the peer is gone, or an earlier send failed halfway
 *  - EINVAL: @fd cannot be passed
 *  - ENOBUFS, ENOMEM: the kernel has no memory for it
 *  - ENOTSUP: @s is not a connection, or the main context cannot be iterated here
 *  - EPERM: the peer accepts no descriptors, or a security module refuses
 *  - EPIPE: dill_ipc_done() was called on @s
 *  - ETIMEDOUT: the deadline was reached
 *  - ETOOMANYREFS: too many descriptors are on their way
 *
 * From: libdill, ipc_sendfd(3); unix(7).
 */
DILL_EXPORT int dill_ipc_sendfd (int s, int fd, int64_t deadline);

/**
 * dill_ipc_recvfd:
 * @s: a connection
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Receives a descriptor and the byte it came with.  Failing harms nothing.  A descriptor whose byte is taken by
 * dill_brecv() is closed, and of several that were sent with one byte only the first gets in.
 *
 * Returns: the descriptor, close-on-exec and the caller's, or -1 with errno
 *  - EBADF: @s is not a live handle of this thread
 *  - EBUSY: somebody is receiving on @s
 *  - ECANCELED: the coroutine or the handle was cancelled while waiting
 *  - ECONNRESET: the connection was broken, or an earlier receive failed halfway
 *  - EMFILE: a descriptor came, but none was left in the process: it is lost, and its byte was taken
 *  - ENOMEM: no memory
 *  - ENOTSUP: @s is not a connection, or the main context cannot be iterated here
 *  - EPIPE: the stream has ended
 *  - EPROTO: the next byte came without a descriptor; it stays in the stream
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: libdill, ipc_recvfd(3); unix(7).
 */
DILL_EXPORT int dill_ipc_recvfd (int s, int64_t deadline);

DILL_END_DECLS

#endif
