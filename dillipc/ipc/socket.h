/* socket.h: what listeners and connections do alike with plain sockets and with memory of the caller's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdint.h>

struct dill_watch;

/* The first good place for an object in MEM, whose size allows for 15 bytes of alignment. */
static inline void *
dill_socket_align (void *mem)
{
  return (void *) (((uintptr_t) mem + 15) & ~(uintptr_t) 15);
}

/* Whether FD is a connected, or a listening, AF_UNIX stream socket.  0, or -1 with errno EBADF, EINVAL (it listens, or
 * does not), ENOTCONN or ENOTSUP. */
int dill_socket_check_connected (int fd);
int dill_socket_check_listening (int fd);

/* Makes FD non-blocking and close-on-exec, and an object of it with MAKE.  Returns MAKE's result; on failure FD is as it
 * was before. */
int dill_socket_adopt (int fd, int (*make) (int fd, void *mem), void *mem);

/* To be called before an operation: one that cannot wait, by its DEADLINE or because the coroutine was cancelled, is to
 * ask the kernel, since nobody may have looked at DIRECTION since it was found not ready. */
void dill_socket_recheck (struct dill_watch *watch, unsigned direction, int64_t deadline);
