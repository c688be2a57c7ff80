/* address.h: from the address that a program gives to a bound or connected socket, paths of any length included.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "ipc/socket-file.h"

/* Creates a stream socket (non-blocking, close-on-exec), binds it to ADDR and listens with BACKLOG.  FLAGS and MODE are
 * those of dill_ipc_listen_full (), already checked to be known; their combination with ADDR is checked here.  Returns
 * the descriptor and fills FILE, or returns -1 with errno and leaves nothing behind.  Waits only with
 * DILL_IPC_LISTEN_REPLACE_STALE. */
int dill_address_listen (const char *addr, int backlog, unsigned flags, unsigned mode, struct dill_socket_file *file);

/* Tries once to connect the non-blocking socket FD to ADDR.  Returns 0, or -1 with errno; EAGAIN: the backlog is
 * full. */
int dill_address_connect (int fd, const char *addr, unsigned flags);

/* Finds the socket that systemd passed under NAME (NULL: the only one) and marks it as taken.  Returns the descriptor
 * or
 * -1 with errno; see dill_ipc_listen_activated (). */
int dill_activation_take (const char *name);

/* Takes the mark off again: nothing came of it.  FD is what dill_activation_take () returned.  Keeps errno. */
void dill_activation_give_back (int fd);
