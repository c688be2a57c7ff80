/* listener.h: a listening socket.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/watch.h"
#include "ipc/address.h"
#include "ipc/observer.h"
#include <dillipc/dill-handle.h>
#include <dillipc/dill-ipc.h>
#include <dillipc/dill-ipc-fd.h>

struct dill_listener
{
  struct dill_hvfs hvfs;
  struct dill_watch watch;
  struct dill_list observers;
  struct dill_socket_file file;
  bool keeps_file;
  bool has_passed_extras; /* connections made in that time still do */
  bool is_heap;
};

/* The listener behind H, or NULL with errno EBADF or ENOTSUP. */
struct dill_listener *dill_listener_get (int h);

/* dill_ipc_steal_fd () for listeners. */
int dill_listener_steal (int s);
