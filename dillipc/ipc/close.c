/* close.c: closing a connection so that both sides know that everything has arrived.
 *
 * The end of the stream is sent, what still comes is dropped up to the peer's end of stream, and then the kernel tells
 * when the peer has read the last byte: SIOCOUTQ is (nearly) 0, and each read of the peer's makes an edge of EPOLLOUT.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/connection.h"
#include "ipc/listener.h"
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Where the poller reports no edges, the kernel is asked after a pause that grows between these, in milliseconds. */
#define PAUSE_MIN_MS 1
#define PAUSE_MAX_MS 50

static int
fail (int error)
{
  errno = error;
  return -1;
}

/* What is below the size of the smallest message counts as nothing, in bytes: the kernel wakes us before it lets go
 * of its own last reference, which counts as one, and no other event would come. */
#define UNREAD_MIN 256

/* Drops what comes, up to the end of the stream. */
static int
drain (struct dill_connection *connection, int64_t deadline, bool *is_closed)
{
  struct dill_iolist rest = { .iol_base = NULL, .iol_len = SSIZE_MAX };
  struct dill_trial trial = { 0 };

  while (!connection->in_done)
    {
      struct dill_iolist_cursor cursor = { &rest, 0 };
      int rc = 0;

      if (connection->buffer != NULL)
        dill_connection_consume (connection, connection->buffer->end - connection->buffer->start);

      switch (dill_connection_receive (connection, &cursor, deadline))
        {
        case DILL_ATTEMPT_FAILED:
          if (errno != EPIPE)
            return -1;
          break;
        case DILL_ATTEMPT_AGAIN:
          rc = dill_connection_wait (connection, DILL_IN, "ipc_close", &deadline, is_closed);
          break;
        case DILL_ATTEMPT_DONE:
          rc = dill_connection_pause (connection, DILL_IN, "ipc_close", deadline, &trial, is_closed);
          break;
        }

      if (rc < 0)
        return -1;
    }

  return 0;
}

/* Waits for a sign that the peer has read something, or until it is time to look for the last time. */
static int
wait_for_progress (struct dill_connection *connection, int64_t *deadline, int *pause, bool *is_closed)
{
  struct dill_wait wait;
  enum dill_outcome outcome;

  if (dill_wait_begin (&wait, "ipc_close", *deadline) < 0)
    return dill_wait_result_or_last_try (DILL_PENDING, deadline);

  if (dill_poller_reports_edges)
    {
      outcome = dill_watch_block (&connection->watch, DILL_OUT, &wait);
    }
  else
    {
      dill_list_append (&connection->watch.out, &wait.queue);
      dill_wait_retry_in (&wait, *pause);
      *pause = MIN (2 * *pause, PAUSE_MAX_MS);
      outcome = dill_wait_block (&wait);
    }

  *is_closed = outcome == DILL_CLOSED;
  return dill_wait_result_or_last_try (outcome, deadline);
}

/* Waits until the peer has read everything. */
static int
flush (struct dill_connection *connection, int64_t deadline, bool *is_closed)
{
  int fd = connection->watch.fd;
  int pause = PAUSE_MIN_MS;
  int unread, error = 0;
  socklen_t length = sizeof error;

  while (ioctl (fd, SIOCOUTQ, &unread) == 0 && unread >= UNREAD_MIN)
    {
      if (wait_for_progress (connection, &deadline, &pause, is_closed) < 0)
        return -1;
    }

  /* A peer that closes without reading empties the queue too, and leaves an error. */
  if (getsockopt (fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0)
    return 0;

  return fail (ECONNRESET);
}

static int
shake_hands (struct dill_connection *connection, int64_t deadline, bool *is_closed)
{
  *is_closed = false;
  deadline = dill_wait_settle (deadline);
  if (connection->in_broken || connection->out_broken)
    return fail (ECONNRESET);

  if ((!connection->out_done && dill_connection_end_output (connection) < 0)
      || drain (connection, deadline, is_closed) < 0)
    return -1;

  return flush (connection, deadline, is_closed);
}

int
(dill_ipc_close) (int s, int64_t deadline)
{
  struct dill_connection *connection = dill_connection_get (s);
  bool is_closed;
  int rc, saved_errno;

  if (connection == NULL && (errno == EBADF || dill_listener_get (s) != NULL))
    return dill_hclose (s); /* a listener, or a number that a forked child has inherited, or dead */
  if (connection == NULL)
    return -1;

  /* The program's number dies now.  Another takes its place, unknown to the program, so that the connection still is
   * closed should the thread or the context end meanwhile.  There is one free: the one just given back. */
  dill_handle_take (s);
  s = dill_handle_new (dill_thread_self, &connection->hvfs);
  dill_observers_close (&connection->observers, false);
  dill_wait_close_all (&connection->watch.in);
  dill_wait_close_all (&connection->watch.out);

  rc = shake_hands (connection, deadline, &is_closed);
  saved_errno = errno;
  if (!is_closed)
    dill_hclose (s);
  errno = saved_errno;
  return rc;
}
