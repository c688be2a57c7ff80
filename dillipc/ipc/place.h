/* place.h: putting a listener's file in its place.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "ipc/socket-file.h"

/* Makes a stream socket (non-blocking, close-on-exec) that listens at PATH, for BACKLOG connections, with the
 * permission bits MODE (0: as the umask leaves them).  With REPLACE_STALE it takes the place of a socket file that
 * nobody is bound to, and may wait for that.  Returns the descriptor and fills FILE, or returns -1 with errno and
 * leaves nothing behind. */
int dill_place_listen (struct dill_socket_file *file, const char *path, int backlog, mode_t mode, bool replace_stale);
