/* close-utils.h: how to see that ipc_close () has taken a handle away.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"

/* The handle is dead, and so is its descriptor: the peer sees that nobody is there. */
static inline void
check_is_gone (int s, int peer)
{
  struct pollfd poll_fd = { .fd = peer, .events = POLLIN };

  test_assert_errno (dill_hclose (s), EBADF);
  test_assert_errno (dill_ipc_close (s, 0), EBADF);
  if (peer >= 0)
    {
      g_assert_cmpint (poll (&poll_fd, 1, 0), ==, 1);
      g_assert_true (poll_fd.revents & POLLHUP);
      close (peer);
    }
}
