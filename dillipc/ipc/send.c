/* send.c: sending bytes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/connection.h"
#include "ipc/socket.h"
#include <errno.h>
#include <sys/socket.h>

int
dill_connection_may_send (struct dill_connection *connection)
{
  if (dill_watch_is_busy (&connection->watch, DILL_OUT))
    errno = EBUSY;
  else if (connection->out_broken)
    errno = ECONNRESET;
  else if (connection->out_done)
    errno = EPIPE;
  else
    return 0;

  return -1;
}

enum dill_attempt
dill_connection_send (struct dill_connection *connection, struct dill_iolist_cursor *cursor, void *control,
                      size_t control_length, int64_t deadline)
{
  struct dill_watch *watch = &connection->watch;
  struct iovec pieces[DILL_IOLIST_BATCH];
  size_t length, skip;
  struct msghdr message = { .msg_iov = pieces, .msg_control = control, .msg_controllen = control_length };
  ssize_t n;

  if (!(watch->ready & DILL_OUT) && dill_socket_can_wait (deadline))
    return DILL_ATTEMPT_AGAIN;

  message.msg_iovlen = (size_t) dill_iolist_batch (cursor, pieces, DILL_IOLIST_BATCH, &length, &skip);
  do
    {
      /* One piece alone takes the kernel less time this way. */
      if (message.msg_iovlen == 1 && control == NULL)
        n = send (watch->fd, pieces[0].iov_base, pieces[0].iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
      else
        n = sendmsg (watch->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
  while (n < 0 && errno == EINTR);

  if (n >= 0)
    {
      connection->has_sent = true;
      dill_iolist_advance (cursor, (size_t) n);
      return DILL_ATTEMPT_DONE;
    }

  if (errno == EAGAIN || errno == EWOULDBLOCK)
    {
      watch->ready &= (uint8_t) ~DILL_OUT;
      return DILL_ATTEMPT_AGAIN;
    }

  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
    {
      connection->out_broken = true;
      errno = ECONNRESET;
    }
  return DILL_ATTEMPT_FAILED;
}

int
dill_connection_bsendl (struct dill_bsock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last,
                        int64_t deadline)
{
  struct dill_connection *connection = dill_container_of (vfs, struct dill_connection, bsock);
  struct dill_iolist_cursor cursor = { first, 0 };
  bool is_closed = false, has_begun = false;
  struct dill_trial trial = { 0 };
  int rc;

  (void) last;
  if (dill_connection_may_send (connection) < 0)
    return -1;

  dill_iolist_advance (&cursor, 0);
  while (cursor.item != NULL)
    {
      switch (dill_connection_send (connection, &cursor, NULL, 0, deadline))
        {
        case DILL_ATTEMPT_FAILED:
          /* Without memory nothing of this try was sent; but what went before is half a message. */
          connection->out_broken |= has_begun;
          return -1;
        case DILL_ATTEMPT_AGAIN:
          rc = dill_connection_wait (connection, DILL_OUT, "bsend", deadline, &is_closed);
          break;
        case DILL_ATTEMPT_DONE:
        default:
          has_begun = true;
          if (cursor.item == NULL)
            return 0;
          rc = dill_connection_pause (connection, DILL_OUT, "bsend", deadline, &trial, &is_closed);
          break;
        }

      if (rc < 0)
        {
          if (!is_closed)
            connection->out_broken = true;
          return -1;
        }
    }

  return 0;
}

int
dill_connection_end_output (struct dill_connection *connection)
{
  if (shutdown (connection->watch.fd, SHUT_WR) == 0)
    {
      connection->out_done = true;
      return 0;
    }

  if (errno == ENOTCONN)
    {
      connection->out_broken = true;
      errno = ECONNRESET;
    }
  return -1;
}

int
dill_ipc_done (int s, int64_t deadline)
{
  struct dill_connection *connection = dill_connection_get (s);

  (void) deadline;
  if (connection == NULL || dill_connection_may_send (connection) < 0)
    return -1;

  return dill_connection_end_output (connection);
}
