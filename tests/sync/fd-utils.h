/* fd-utils.h: for tests of descriptors: coroutines that wait for one, and pipes to fill and drain.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

#include <fcntl.h>
#include <unistd.h>

/* One who waits for a descriptor. */
typedef struct
{
  int fd;
  gboolean out;
  gint64 deadline;
  int result;
  int error;
} Waiter;

static inline void
wait_for_fd (void *data)
{
  Waiter *waiter = data;

  errno = 0;
  waiter->result = waiter->out ? dill_fdout (waiter->fd, waiter->deadline) : dill_fdin (waiter->fd, waiter->deadline);
  waiter->error = errno;
}

static inline int
start_waiter (Waiter *waiter, int fd, gboolean out)
{
  int h;

  *waiter = (Waiter) { .fd = fd, .out = out, .deadline = soon (), .result = 1 };
  h = test_assert_ok (dill_spawn (wait_for_fd, waiter));
  g_assert_cmpint (waiter->result, ==, 1);
  return h;
}

static inline void
finish_waiter (Waiter *waiter, int h, int result, int error)
{
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (waiter->result, ==, result);
  if (result < 0)
    {
      g_assert_cmpint (waiter->error, ==, error);
      test_errnos_note (waiter->out ? "dill_fdout" : "dill_fdin", error);
    }
  g_assert_no_errno (dill_hclose (h));
}

static inline void
clean_and_close (int fd)
{
  g_assert_no_errno (dill_fdclean (fd));
  g_assert_no_errno (close (fd));
}

static inline void
fill (int fd)
{
  static const char zeros[4096];

  g_assert_no_errno (fcntl (fd, F_SETFL, O_NONBLOCK));
  while (write (fd, zeros, sizeof zeros) > 0)
    continue;
  g_assert_cmpint (errno, ==, EAGAIN);
}

static inline void
drain (int fd)
{
  char buffer[4096];

  g_assert_no_errno (fcntl (fd, F_SETFL, O_NONBLOCK));
  while (read (fd, buffer, sizeof buffer) > 0)
    continue;
  g_assert_cmpint (errno, ==, EAGAIN);
}
