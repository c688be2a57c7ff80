/* connect.c: connecting.
 *
 * While the backlog is full the kernel says EAGAIN and offers no event for the end of that: this is the one wait that
 * tries again by the clock.  Nothing is held meanwhile that an end of the thread would leak.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/address.h"
#include "ipc/connection.h"
#include <dillipc/dill-time.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* The pause between two tries, in milliseconds. */
#define PAUSE_MIN_MS 1
#define PAUSE_MAX_MS 50

/* The handle of a new connection, or -1 with errno; EAGAIN: the backlog is full. */
static int
try_once (const char *addr, unsigned flags, void *mem)
{
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct dill_connection *connection;
  int h, saved_errno;

  if (fd < 0)
    return -1;

  /* The handle first: a connection that is made is not to be dropped for want of one. */
  h = dill_connection_new (fd, mem);
  if (h < 0)
    {
      saved_errno = errno;
      close (fd);
      errno = saved_errno;
      return -1;
    }

  connection = dill_connection_get (h);
  if (dill_address_connect (connection->watch.fd, addr, flags) == 0)
    return h;

  saved_errno = errno;
  dill_hclose (h);
  errno = saved_errno;
  return -1;
}

/* Waits for PAUSE milliseconds, or fails with ETIMEDOUT when DEADLINE comes first. */
static int
wait_for_room (int pause, int64_t deadline)
{
  int64_t now = dill_now ();

  if (deadline >= 0 && deadline <= now)
    {
      errno = ETIMEDOUT;
      return -1;
    }

  return dill_msleep (deadline >= 0 ? MIN (deadline, now + pause) : now + pause);
}

int
dill_ipc_connect_full (const char *addr, unsigned flags, void *mem, int64_t deadline)
{
  int pause = PAUSE_MIN_MS;

  if (dill_wait_allowed () < 0)
    return -1;

  if (addr == NULL || (flags & ~(unsigned) DILL_IPC_ABSTRACT) != 0)
    {
      errno = EINVAL;
      return -1;
    }

  for (;;)
    {
      int h = try_once (addr, flags, mem);

      if (h >= 0 || errno != EAGAIN)
        return (int) dill_wait_fairly (h, deadline);

      if (wait_for_room (pause, deadline) < 0 && dill_wait_result_or_last_try (DILL_PENDING, &deadline) < 0)
        return -1;
      pause = MIN (2 * pause, PAUSE_MAX_MS);
    }
}

int
dill_ipc_connect (const char *addr, int64_t deadline)
{
  return dill_ipc_connect_full (addr, 0, NULL, deadline);
}

int
dill_ipc_connect_mem (const char *addr, void *mem, int64_t deadline)
{
  if (mem == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  return dill_ipc_connect_full (addr, 0, mem, deadline);
}
