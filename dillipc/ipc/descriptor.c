/* descriptor.c: passing descriptors, each with one byte of the stream.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/wait.h"
#include "ipc/connection.h"
#include "ipc/listener.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

int
dill_ipc_sendfd (int s, int fd, int64_t deadline)
{
  char byte = 0;
  struct dill_iolist item = { .iol_base = &byte, .iol_len = 1 };
  struct dill_iolist_cursor cursor = { &item, 0 };
  struct dill_connection *connection;
  union
  {
    struct cmsghdr header;
    char bytes[CMSG_SPACE (sizeof (int))];
  } control = { 0 };
  bool is_closed;

  connection = dill_connection_get (s);
  if (connection == NULL || dill_connection_may_send (connection) < 0)
    return -1;

  if (fcntl (fd, F_GETFD) < 0)
    return -1;

  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN (sizeof (int));
  memcpy (CMSG_DATA (&control.header), &fd, sizeof (int));
  for (;;)
    {
      switch (dill_connection_send (connection, &cursor, &control, sizeof control.bytes, deadline))
        {
        case DILL_ATTEMPT_DONE:
          return (int) dill_wait_fairly (0, deadline);
        case DILL_ATTEMPT_FAILED:
          return -1;
        case DILL_ATTEMPT_AGAIN:
          if (dill_connection_wait (connection, DILL_OUT, "sendfd", &deadline, &is_closed) < 0)
            return -1;
        }
    }
}

/* Takes the descriptor of the buffered bytes, along with one of them. */
static int
take_descriptor (struct dill_connection *connection)
{
  int fd = connection->descriptor;

  if (fd < 0)
    {
      if (connection->descriptor_error == 0)
        {
          errno = EPROTO;
          return -1;
        }
      errno = connection->descriptor_error;
    }

  connection->descriptor = -1;
  connection->descriptor_error = 0;
  dill_connection_consume (connection, 1);
  return fd;
}

int
dill_ipc_recvfd (int s, int64_t deadline)
{
  struct dill_connection *connection;
  bool is_closed;

  if (dill_wait_allowed () < 0 || (connection = dill_connection_get (s)) == NULL
      || dill_connection_may_receive (connection) < 0)
    return -1;

  while (connection->buffer == NULL)
    {
      switch (dill_connection_receive (connection, NULL, deadline))
        {
        case DILL_ATTEMPT_DONE:
          break;
        case DILL_ATTEMPT_FAILED:
          return -1;
        case DILL_ATTEMPT_AGAIN:
          if (dill_connection_wait (connection, DILL_IN, "recvfd", &deadline, &is_closed) < 0)
            return -1;
        }
    }

  return (int) dill_wait_fairly (take_descriptor (connection), deadline);
}

int
dill_ipc_steal_fd (int s)
{
  int fd = dill_connection_steal (s);

  return fd < 0 && errno == ENOTSUP ? dill_listener_steal (s) : fd;
}
