/* dill-time.h: the clock, sleeping, and waiting for descriptors.
 *
 * Every deadline in this library is a point in time on the clock of dill_now(), in milliseconds.  0, or a time that has
 * passed, means: try once and never wait.  A negative one never comes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_TIME_H
#define DILL_TIME_H

#include <dillipc/dill-macros.h>

DILL_BEGIN_DECLS

/**
 * dill_now:
 *
 * Returns: milliseconds on CLOCK_MONOTONIC: dill_now () + 100 is a deadline in a tenth of a second.  Never fails.
 *
 * From: libdill, now(3); clock_gettime(2).
 */
DILL_EXPORT int64_t dill_now (void);

/**
 * dill_msleep:
 * @deadline: when to wake up, in milliseconds of dill_now(); negative: never
 *
 * Returns: 0 when the time has come, or -1 with errno
 *  - ECANCELED: the running coroutine was cancelled
 *  - ENOMEM: no memory
 *  - ENOTSUP: the main context cannot be iterated here: it belongs to another thread, or is inherited over fork()
 *
 * From: libdill, msleep(3).
 */
DILL_EXPORT int dill_msleep (int64_t deadline);

/**
 * dill_fdin:
 * @fd: a descriptor that others read
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Waits until reading @fd would not block: data, end of stream or an error is there.  Regular files always are ready.
 *
 * Returns: 0, or -1 with errno
 *  - EBADF: @fd is not an open descriptor
 *  - ECANCELED: the running coroutine was cancelled
 *  - EEXIST: somebody waits in dill_fdin() for @fd already, or an IPC handle of this library owns it
 *  - ELOOP: @fd is an epoll descriptor, and has too many others in it
 *  - ENOMEM: no memory
 *  - ENOTSUP: the main context cannot be iterated here
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: libdill, fdin(3); poll(2).
 */
DILL_EXPORT int dill_fdin (int fd, int64_t deadline);

/**
 * dill_fdout:
 * @fd: a descriptor that others write
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Waits until writing to @fd would not block.  Errors are those of dill_fdin().
 *
 * From: libdill, fdout(3); poll(2).
 */
DILL_EXPORT int dill_fdout (int fd, int64_t deadline);

/**
 * dill_fdclean:
 * @fd: a descriptor that was waited for with dill_fdin() or dill_fdout()
 *
 * Forgets @fd.  Call it before closing a descriptor of your own.
 *
 * Returns: 0, or -1 with errno
 *  - EBADF: @fd is negative
 *  - EEXIST: somebody waits for @fd
 *
 * From: libdill, fdclean(3).
 */
DILL_EXPORT int dill_fdclean (int fd);

DILL_END_DECLS

#endif
