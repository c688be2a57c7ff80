/* socket.h: what listeners and connections do alike with plain sockets.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether FD is a connected, or a listening, AF_UNIX stream socket.  0, or -1 with errno EBADF, EINVAL (it listens, or
 * does not), ENOTCONN or ENOTSUP. */
int dill_socket_check_connected (int fd);
int dill_socket_check_listening (int fd);

/* Makes FD non-blocking and close-on-exec, and an object of it with MAKE.  Returns MAKE's result; on failure FD is
 * as it was before. */
int dill_socket_adopt (int fd, int (*make) (int fd, void *mem), void *mem);

/* Makes the kernel send nothing along with the bytes but descriptors, whose room credentials, a security label or a
 * pidfd would take.  Returns whether it did before.  A listener hands this down to its connections, when they are
 * made. */
bool dill_socket_drop_extras (int fd);
