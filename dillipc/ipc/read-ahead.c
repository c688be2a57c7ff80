/* read-ahead.c: what a connection has received before anybody asked for it, for the protocols on top of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/connection.h"
#include <errno.h>

static struct dill_connection *
connection_of (struct dill_native *stream)
{
  return dill_container_of (stream, struct dill_connection, stream);
}

size_t
dill_connection_look (struct dill_native *stream, const char **bytes)
{
  struct dill_connection *connection = connection_of (stream);
  struct dill_buffer *buffer = connection->buffer;

  /* Whoever receives here now takes them first. */
  if (buffer == NULL || connection->in_broken || dill_watch_is_busy (&connection->watch, DILL_IN))
    return 0;

  *bytes = buffer->bytes + buffer->start;
  return buffer->end - buffer->start;
}

void
dill_connection_take (struct dill_native *stream, size_t length)
{
  dill_connection_consume (connection_of (stream), length);
}

int
dill_connection_receive_ahead (struct dill_native *stream, int64_t deadline)
{
  struct dill_connection *connection = connection_of (stream);
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
          if (dill_connection_wait (connection, DILL_IN, "mrecv", &deadline, &is_closed) == 0)
            break;
          if (!is_closed)
            connection->in_broken = true;
          return -1;
        }
    }
}
