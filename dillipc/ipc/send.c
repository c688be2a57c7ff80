/* send.c: sending bytes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/connection.h"
#include <errno.h>
#include <sys/socket.h>

/* What became of a system call that has returned N. */
static inline enum dill_attempt
judge (struct dill_connection *connection, ssize_t n)
{
  if (G_LIKELY (n >= 0))
    {
      connection->has_sent = true;
      connection->n_moved += (uint32_t) n;
      return DILL_ATTEMPT_DONE;
    }

  if (errno == EAGAIN || errno == EWOULDBLOCK)
    {
      connection->watch.ready &= (uint8_t) ~DILL_OUT;
      return DILL_ATTEMPT_AGAIN;
    }

  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
    {
      connection->out_broken = true;
      errno = ECONNRESET;
    }
  return DILL_ATTEMPT_FAILED;
}

/* One piece alone takes the kernel less time than a list of them. */
static inline ssize_t
send_piece (int fd, const void *bytes, size_t length)
{
  ssize_t n;

  do
    n = send (fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);

  return n;
}

static ssize_t
send_pieces (int fd, const struct msghdr *message)
{
  ssize_t n;

  do
    n = sendmsg (fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);

  return n;
}

enum dill_attempt
dill_connection_send (struct dill_connection *connection, struct dill_iolist_cursor *cursor, void *control,
                      size_t control_length, int64_t deadline)
{
  struct dill_watch *watch = &connection->watch;
  struct iovec pieces[DILL_IOLIST_BATCH];
  size_t length, skip;
  struct msghdr message = { .msg_iov = pieces, .msg_control = control, .msg_controllen = control_length };
  enum dill_attempt attempt;
  ssize_t n;

  if (!(watch->ready & DILL_OUT) && dill_wait_is_possible (deadline))
    return DILL_ATTEMPT_AGAIN;

  message.msg_iovlen = (size_t) dill_iolist_batch (cursor, pieces, DILL_IOLIST_BATCH, &length, &skip);
  if (message.msg_iovlen == 1 && control == NULL)
    n = send_piece (watch->fd, pieces[0].iov_base, pieces[0].iov_len);
  else
    n = send_pieces (watch->fd, &message);

  attempt = judge (connection, n);
  if (attempt == DILL_ATTEMPT_DONE)
    dill_iolist_advance (cursor, (size_t) n);
  return attempt;
}

/* Goes on with sending after a first ATTEMPT. */
static int
send_rest (struct dill_connection *connection, struct dill_iolist_cursor *cursor, enum dill_attempt attempt,
           int64_t deadline)
{
  bool is_closed = false, has_begun = false;
  struct dill_trial trial = { 0 };
  int rc;

  for (;; attempt = dill_connection_send (connection, cursor, NULL, 0, deadline))
    {
      switch (attempt)
        {
        case DILL_ATTEMPT_FAILED:
          /* Without memory nothing of this try was sent; but what went before is half a message. */
          connection->out_broken |= has_begun;
          return -1;
        case DILL_ATTEMPT_AGAIN:
          rc = dill_connection_wait (connection, DILL_OUT, "bsend", &deadline, &is_closed);
          break;
        case DILL_ATTEMPT_DONE:
        default:
          has_begun = true;
          if (cursor->item == NULL)
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
}

int
dill_connection_bsendl (struct dill_native *stream, struct dill_iolist *first, int64_t deadline)
{
  struct dill_connection *connection = dill_container_of (stream, struct dill_connection, stream);
  struct dill_iolist_cursor cursor = { first, 0 };

  if (dill_connection_may_send (connection) < 0)
    return -1;

  dill_iolist_advance (&cursor, 0);
  if (cursor.item == NULL)
    return 0;

  return send_rest (connection, &cursor, dill_connection_send (connection, &cursor, NULL, 0, deadline), deadline);
}

/* The same for a buffer of which N_SENT bytes have gone. */
__attribute__ ((noinline)) static int
send_rest_of_piece (struct dill_connection *connection, const void *buf, size_t len, size_t n_sent,
                    enum dill_attempt attempt, int64_t deadline)
{
  struct dill_iolist item = { .iol_base = (void *) buf, .iol_len = len };
  struct dill_iolist_cursor cursor = { &item, n_sent };

  return send_rest (connection, &cursor, attempt, deadline);
}

int
dill_connection_bsend (struct dill_native *stream, const void *buf, size_t len, int64_t deadline)
{
  struct dill_connection *connection = dill_container_of (stream, struct dill_connection, stream);
  enum dill_attempt attempt;
  ssize_t n;

  if (G_UNLIKELY (dill_connection_may_send (connection) < 0))
    return -1;

  if (G_UNLIKELY (!(connection->watch.ready & DILL_OUT) && dill_wait_is_possible (deadline)))
    return send_rest_of_piece (connection, buf, len, 0, DILL_ATTEMPT_AGAIN, deadline);

  /* Most are over with one call, and no list. */
  n = send_piece (connection->watch.fd, buf, len);
  attempt = judge (connection, n);
  if (G_LIKELY (n == (ssize_t) len))
    return 0;

  return send_rest_of_piece (connection, buf, len, n > 0 ? (size_t) n : 0, attempt, deadline);
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
