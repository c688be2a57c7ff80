/* read-ahead.c: what a connection has received before anybody asked for it, for the protocols on top of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "stream/read-ahead.h"
#include "ipc/connection.h"
#include <errno.h>

static const int read_ahead_tag;
const void *const dill_read_ahead_type = &read_ahead_tag;

static struct dill_connection *
connection_of (struct dill_bsock_vfs *vfs)
{
  return dill_container_of (vfs, struct dill_connection, bsock);
}

static size_t
look (struct dill_bsock_vfs *vfs, const char **bytes)
{
  struct dill_connection *connection = connection_of (vfs);
  struct dill_buffer *buffer = connection->buffer;

  /* Whoever receives here now takes them first. */
  if (buffer == NULL || connection->in_broken || dill_watch_is_busy (&connection->watch, DILL_IN))
    return 0;

  *bytes = buffer->bytes + buffer->start;
  return buffer->end - buffer->start;
}

static void
take (struct dill_bsock_vfs *vfs, size_t length)
{
  dill_connection_consume (connection_of (vfs), length);
}

static int
receive (struct dill_bsock_vfs *vfs, int64_t deadline)
{
  struct dill_connection *connection = connection_of (vfs);
  bool is_closed = false;

  if (dill_wait_allowed () < 0 || dill_connection_may_receive (connection) < 0)
    return -1;

  for (;;)
    {
      switch (dill_connection_receive (connection, NULL, deadline))
        {
        case DILL_ATTEMPT_DONE:
          return 0;
        case DILL_ATTEMPT_FAILED:
          return -1;
        case DILL_ATTEMPT_AGAIN:
          if (dill_connection_wait (connection, DILL_IN, "mrecv", deadline, &is_closed) == 0)
            break;
          if (!is_closed)
            connection->in_broken = true;
          return -1;
        }
    }
}

const struct dill_read_ahead_vfs dill_connection_read_ahead = { dill_connection_brecvl, look, take, receive };
