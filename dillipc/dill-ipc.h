/* dill-ipc.h: connections to other processes on the same machine (AF_UNIX byte streams).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_IPC_H
#define DILL_IPC_H

#include <dillipc/dill-macros.h>

DILL_BEGIN_DECLS

/* Memory for objects, at any alignment; the content is the library's. */
struct dill_ipc_storage
{
  char dill_rsvd[256];
};

struct dill_ipc_listener_storage
{
  char dill_rsvd[256];
};

struct dill_ipc_pair_storage
{
  char dill_rsvd[512];
};

#define DILL_IPC_SIZE (sizeof (struct dill_ipc_storage))
#define DILL_IPC_LISTENER_SIZE (sizeof (struct dill_ipc_listener_storage))
#define DILL_IPC_PAIR_SIZE (sizeof (struct dill_ipc_pair_storage))

/**
 * dill_ipc_listen:
 * @addr: path of the socket file, up to PATH_MAX with components up to NAME_MAX
 * @backlog: how many connections may wait unaccepted, at least 1; the kernel caps it at net.core.somaxconn
 *
 * Creates a socket file and listens on it.  The file is unlinked when the handle is closed.
 *
 * Returns: the listener's handle, or -1 with errno
 *  - EACCES: no permission to search a directory of the path, or to write in the last
 *  - EADDRINUSE: something stands at @addr already
 *  - ECANCELED: the running coroutine was cancelled
 *  - EINVAL: @addr is NULL or @backlog is below 1
 *  - ELOOP: too many symbolic links in @addr
 *  - EMFILE, ENFILE: no descriptor is left in the process, or in the system
 *  - ENAMETOOLONG: a component is longer than NAME_MAX, or the whole longer than PATH_MAX - 1
 *  - ENOENT: a directory of @addr does not exist, or @addr is empty
 *  - ENOMEM, ENOBUFS: no memory
 *  - ENOTDIR: a component that should be a directory is none
 *  - ENOTSUP: the main context is inherited over fork()
 *  - EROFS, ENOSPC, EDQUOT, EIO, EPERM, EAFNOSUPPORT: from the kernel
 * Nothing is left behind by a call that failed.
 *
 * From: the page ipc_listen_mem(3); bind(2), listen(2), unix(7).
 */
DILL_EXPORT int dill_ipc_listen (const char *addr, int backlog);

/**
 * dill_ipc_listen_mem:
 * @addr: as in dill_ipc_listen()
 * @backlog: as in dill_ipc_listen()
 * @mem: at least DILL_IPC_LISTENER_SIZE bytes, at any alignment, that stay until the handle is closed
 *
 * dill_ipc_listen() in the caller's memory.  Errors are the same, and EINVAL for a NULL @mem.
 *
 * From: the page ipc_listen_mem(3).
 */
DILL_EXPORT int dill_ipc_listen_mem (const char *addr, int backlog, void *mem);

/* Flags of dill_ipc_listen_full () and dill_ipc_connect_full (). */
enum
{
  DILL_IPC_ABSTRACT = 1 << 0,             /* the name is in Linux's abstract namespace: no file */
  DILL_IPC_LISTEN_REPLACE_STALE = 1 << 1, /* take over a socket file on which nobody listens */
  DILL_IPC_LISTEN_KEEP_FILE = 1 << 2      /* leave the file behind on close */
};

/**
 * dill_ipc_listen_full:
 * @addr: a path, or with DILL_IPC_ABSTRACT a name of 1 to 107 bytes
 * @backlog: as in dill_ipc_listen()
 * @flags: DILL_IPC_ABSTRACT, DILL_IPC_LISTEN_REPLACE_STALE, DILL_IPC_LISTEN_KEEP_FILE
 * @mode: permission bits of the socket file, 0001 to 0777, in force from its first instant; 0: as the umask leaves it
 * @mem: (nullable): as in dill_ipc_listen_mem(); NULL: the library's own memory
 *
 * dill_ipc_listen() with choices.  DILL_IPC_LISTEN_REPLACE_STALE removes a socket file that nobody is bound to, never a
 * live one, and no other kind of file; it is free of races among the users of this library, who lock the directory.  A
 * file younger than a tenth of a second is waited for, because its maker may be about to be bound to it.
 *
 * Returns: as dill_ipc_listen(), and
 *  - EACCES: also when a stale file is there, and its directory cannot be read
 *  - EADDRINUSE: also when the directory was locked by others for a second
 *  - EINVAL: unknown flags, bits beyond 0777, a file flag or mode with DILL_IPC_ABSTRACT
 *  - ENOLCK: a stale file is there, but the file system of the directory has no locks
 *  - ENAMETOOLONG: the abstract name is longer than 107 bytes
 */
DILL_EXPORT int dill_ipc_listen_full (const char *addr, int backlog, unsigned flags, unsigned mode, void *mem);

/**
 * dill_ipc_listen_activated:
 * @name: (nullable): the FileDescriptorName= of the socket unit; NULL: the only descriptor that was passed
 *
 * Takes a listening socket over from systemd (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES).  Each is given out once.  Its
 * file is never unlinked.
 *
 * Returns: the listener's handle, or -1 with errno
 *  - EACCES, EPERM: refused by a security module
 *  - ECANCELED: the running coroutine was cancelled
 *  - EINVAL: @name is NULL and more than one was passed, LISTEN_FDNAMES does not name as many as LISTEN_FDS says, or
 *    what was passed does not listen
 *  - ENOENT: none was passed to this process, none of that name, or it was taken already
 *  - ENOMEM, ENOBUFS: no memory
 *  - ENOTSUP: what was passed is not an AF_UNIX stream socket, or the main context is inherited over fork()
 *
 * From: sd_listen_fds(3).
 */
DILL_EXPORT int dill_ipc_listen_activated (const char *name);

/**
 * dill_ipc_accept:
 * @s: a listener
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Accepts a connection.  Any number may wait; they are served first come, first served.
 *
 * Returns: the connection's handle, or -1 with errno
 *  - EACCES, EPERM: refused by a security module; the connection keeps waiting
 *  - EBADF: @s is not a live handle of this thread
 *  - ECANCELED: the coroutine or the handle was cancelled
 *  - EINVAL: a process that has the socket too has shut it down: no connection will come any more
 *  - EMFILE, ENFILE: no descriptor is left in the process, or in the system; the connection keeps waiting
 *  - ENOMEM, ENOBUFS: no memory, or no handle is left; the connection keeps waiting
 *  - ENOTSUP: @s is not a listener, or the main context cannot be iterated here
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: the page ipc_accept_mem(3); accept(2).
 */
DILL_EXPORT int dill_ipc_accept (int s, int64_t deadline);

/**
 * dill_ipc_accept_mem:
 * @s: a listener
 * @mem: at least DILL_IPC_SIZE bytes, at any alignment, that stay until the connection is closed
 * @deadline: as in dill_ipc_accept()
 *
 * dill_ipc_accept() in the caller's memory.  Errors are the same, and EINVAL for a NULL @mem.
 *
 * From: the page ipc_accept_mem(3).
 */
DILL_EXPORT int dill_ipc_accept_mem (int s, void *mem, int64_t deadline);

/**
 * dill_ipc_connect:
 * @addr: path of a socket file, up to PATH_MAX with components up to NAME_MAX
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Connects to a listener.  While its backlog is full this waits for room.
 *
 * Returns: the connection's handle, or -1 with errno
 *  - EACCES: no permission to search a directory of the path, or to write to the socket file
 *  - EAFNOSUPPORT: the system, or a rule for this process, does not let AF_UNIX be used
 *  - ECANCELED: the running coroutine was cancelled
 *  - ECONNREFUSED: nobody listens there, or it is not a socket
 *  - ECONNRESET: the listener was closed meanwhile
 *  - EINVAL: @addr is NULL
 *  - EIO: from the file system
 *  - ELOOP: too many symbolic links in @addr
 *  - EMFILE, ENFILE: no descriptor is left in the process, or in the system
 *  - ENAMETOOLONG: a component is longer than NAME_MAX, or the whole longer than PATH_MAX - 1; without /proc also when
 *    the last component is longer than 107 bytes
 *  - ENOENT: @addr does not exist, or is empty
 *  - ENOMEM, ENOBUFS: no memory
 *  - ENOTDIR: a component that should be a directory is none
 *  - ENOTSUP: the main context cannot be iterated here
 *  - EPROTOTYPE: the socket there is not a stream socket
 *  - EPERM: refused by a security module
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: the page ipc_connect_mem(3); connect(2), unix(7).
 */
DILL_EXPORT int dill_ipc_connect (const char *addr, int64_t deadline);

/**
 * dill_ipc_connect_mem:
 * @addr: as in dill_ipc_connect()
 * @mem: at least DILL_IPC_SIZE bytes, at any alignment, that stay until the connection is closed
 * @deadline: as in dill_ipc_connect()
 *
 * dill_ipc_connect() in the caller's memory.  Errors are the same, and EINVAL for a NULL @mem.
 *
 * From: the page ipc_connect_mem(3).
 */
DILL_EXPORT int dill_ipc_connect_mem (const char *addr, void *mem, int64_t deadline);

/**
 * dill_ipc_connect_full:
 * @addr: a path, or with DILL_IPC_ABSTRACT a name of 1 to 107 bytes
 * @flags: DILL_IPC_ABSTRACT or 0
 * @mem: (nullable): as in dill_ipc_connect_mem(); NULL: the library's own memory
 * @deadline: as in dill_ipc_connect()
 *
 * dill_ipc_connect() with choices.  Errors are the same, and EINVAL for unknown flags.
 */
DILL_EXPORT int dill_ipc_connect_full (const char *addr, unsigned flags, void *mem, int64_t deadline);

/**
 * dill_ipc_pair:
 * @s: (out): two handles
 *
 * Makes two connections that are each other's peer.
 *
 * Returns: 0, or -1 with errno
 *  - EACCES, EAFNOSUPPORT: the system, or a rule for this process, does not let AF_UNIX be used
 *  - ECANCELED: the running coroutine was cancelled
 *  - EINVAL: @s is NULL
 *  - EMFILE, ENFILE: no descriptor is left in the process, or in the system
 *  - ENOMEM, ENOBUFS: no memory, or no handle is left
 *  - ENOTSUP: the main context is inherited over fork()
 *
 * From: libdill, ipc_pair(3); socketpair(2).
 */
DILL_EXPORT int dill_ipc_pair (int s[2]);

/**
 * dill_ipc_pair_mem:
 * @mem: at least DILL_IPC_PAIR_SIZE bytes, at any alignment, that stay until both handles are closed
 * @s: (out): two handles
 *
 * dill_ipc_pair() in the caller's memory.  Errors are the same, and EINVAL for a NULL @mem.
 *
 * From: libdill, ipc_pair_mem(3).
 */
DILL_EXPORT int dill_ipc_pair_mem (void *mem, int s[2]);

/**
 * dill_ipc_done:
 * @s: a connection
 * @deadline: milliseconds of dill_now(); never needed, as nothing is waited for
 *
 * Ends the outgoing half of the stream: the peer receives EPIPE after the last byte.  Receiving goes on.
 *
 * Returns: 0, or -1 with errno
 *  - EACCES: refused by a security module
 *  - EBADF: @s is not a live handle of this thread
 *  - EBUSY: somebody is sending on @s
 *  - ECONNRESET: the connection was broken, or an earlier send failed halfway
 *  - ENOBUFS: no memory; the stream has not ended
 *  - ENOTSUP: @s is not a connection
 *  - EPIPE: it was done already
 *
 * From: libdill, ipc_done(3); shutdown(2).
 */
DILL_EXPORT int dill_ipc_done (int s, int64_t deadline);

/**
 * dill_ipc_close:
 * @s: a connection or a listener
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out; left out in C and C++: -1
 *
 * Closes a connection so that both sides know: ends the outgoing half, drops what still comes until the peer's end of
 * stream, and waits until the peer has read everything.  The handle is gone in any case, and whoever else waits on it
 * gets ECANCELED.  For a listener this is dill_hclose().
 *
 * Returns: 0, or -1 with errno
 *  - EACCES: refused by a security module
 *  - EBADF: @s is not a live handle of this thread
 *  - ECANCELED: the coroutine was cancelled before the peer was done
 *  - ECONNRESET: the peer closed without reading everything, or an earlier send or receive failed halfway
 *  - ENOMEM, ENOBUFS: no memory for the handshake
 *  - ENOTSUP: @s is neither a connection nor a listener (it still lives), or the main context cannot be iterated here
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: libdill, ipc_close(3); unix(7) for SIOCOUTQ.
 */
DILL_EXPORT int dill_ipc_close (int s, int64_t deadline
#ifdef __cplusplus
                                = -1
#endif
);
#ifndef __cplusplus
#define dill_ipc_close(...) DILL_IPC_CLOSE_ (__VA_ARGS__, -1, 0)
#define DILL_IPC_CLOSE_(s, deadline, ...) (dill_ipc_close) ((s), (deadline))
#endif

/**
 * struct dill_ipc_peer:
 * @pid: process; 0 if it is not visible in this PID namespace
 * @uid: effective user
 * @gid: effective group
 *
 * Who connected, or listens.
 */
struct dill_ipc_peer
{
  pid_t pid;
  uid_t uid;
  gid_t gid;
};

/**
 * dill_ipc_peer:
 * @s: a connection
 * @peer: (out): the peer's identity as the kernel recorded it at connect (or listen)
 *
 * Returns: 0, or -1 with errno
 *  - EACCES: refused by a security module
 *  - EBADF: @s is not a live handle of this thread
 *  - EINVAL: @peer is NULL
 *  - ENOBUFS: no memory
 *  - ENOTSUP: @s is not a connection, or the system does not tell
 *
 * From: SO_PEERCRED in unix(7).
 */
DILL_EXPORT int dill_ipc_peer (int s, struct dill_ipc_peer *peer);

DILL_END_DECLS

#endif
