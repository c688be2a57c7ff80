/* brecv.c: receiving as many bytes as are asked for.
 *
 * What was read ahead comes first.  As long as something is missing, an attempt to receive (receive.c) follows the
 * other, with waits where nothing is there, and pauses where a peer sends as fast as it is received from.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/connection.h"
#include <errno.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int
dill_connection_wait (struct dill_connection *connection, unsigned direction, const char *what, int64_t *deadline,
                      bool *is_closed)
{
  enum dill_outcome outcome = dill_watch_wait (&connection->watch, direction, what, *deadline);

  *is_closed = outcome == DILL_CLOSED;
  return dill_wait_result_or_last_try (outcome, deadline);
}

/* What is left to do are the bytes that there are to receive or, when sending, as many as there may be room for. */
static void
begin_trial (struct dill_trial *trial, struct dill_connection *connection, unsigned direction, int64_t deadline)
{
  socklen_t length = sizeof (int);
  int n = 0;

  /* A filter of system calls may refuse to tell. */
  if ((direction == DILL_IN ? ioctl (connection->watch.fd, FIONREAD, &n)
                            : getsockopt (connection->watch.fd, SOL_SOCKET, SO_SNDBUF, &n, &length))
      < 0)
    n = DILL_TRIAL_LATE_MAX;
  if (deadline > 0)
    n = MIN (n, DILL_TRIAL_LATE_MAX);
  trial->is_on = true;
  trial->end = connection->n_moved + (uint32_t) n;
}

int
dill_connection_pause (struct dill_connection *connection, unsigned direction, const char *what, int64_t deadline,
                       struct dill_trial *trial, bool *is_closed)
{
  struct dill_list *queue = direction == DILL_IN ? &connection->watch.in : &connection->watch.out;
  enum dill_outcome outcome;

  *is_closed = false;
  if (trial->is_on)
    return dill_trial_is_over (trial, connection->n_moved) ? dill_wait_give_up () : 0;
  if (!dill_wait_is_due ())
    return 0;

  if (!dill_wait_is_possible (deadline))
    {
      begin_trial (trial, connection, direction, deadline);
      return 0;
    }

  outcome = dill_wait_pause (queue, what);
  *is_closed = outcome == DILL_CLOSED;
  return dill_wait_result (outcome);
}

int
dill_connection_pause_between (struct dill_native *stream, bool is_sending, int64_t deadline, struct dill_trial *trial)
{
  struct dill_connection *connection = dill_container_of (stream, struct dill_connection, stream);
  unsigned direction = is_sending ? DILL_OUT : DILL_IN;
  bool is_closed;

  /* At once: the parts are operations with trials of their own, in which alone a pause might become due. */
  if (!trial->is_on && !dill_wait_is_possible (deadline))
    begin_trial (trial, connection, direction, deadline);

  return dill_connection_pause (connection, direction, is_sending ? "msend" : "mrecv", deadline, trial, &is_closed);
}

/* Takes what was read ahead. */
static void
take_buffered (struct dill_connection *connection, struct dill_iolist_cursor *cursor)
{
  struct dill_buffer *buffer = connection->buffer;

  if (buffer != NULL)
    dill_connection_consume (connection,
                             dill_iolist_fill (cursor, buffer->bytes + buffer->start, buffer->end - buffer->start));
}

/* Takes what was read ahead, and says whether that was all. */
static bool
is_complete (struct dill_connection *connection, struct dill_iolist_cursor *cursor)
{
  take_buffered (connection, cursor);
  dill_iolist_advance (cursor, 0);
  return cursor->item == NULL;
}

/* Goes on with receiving after a first ATTEMPT.  HAS_BEGUN says whether something was taken before. */
static int
receive_rest (struct dill_connection *connection, struct dill_iolist_cursor *cursor, bool has_begun,
              enum dill_attempt attempt, int64_t deadline)
{
  bool is_closed = false;
  struct dill_trial trial = { 0 };
  int rc;

  for (;; attempt = dill_connection_receive (connection, cursor, deadline))
    {
      switch (attempt)
        {
        case DILL_ATTEMPT_FAILED:
          /* Without memory nothing of this try was taken; but what went before is half a message. */
          connection->in_broken |= errno != EPIPE && has_begun;
          return -1;
        case DILL_ATTEMPT_AGAIN:
          rc = dill_connection_wait (connection, DILL_IN, "brecv", &deadline, &is_closed);
          break;
        case DILL_ATTEMPT_DONE:
        default:
          has_begun = true;
          if (is_complete (connection, cursor))
            return 0;
          rc = dill_connection_pause (connection, DILL_IN, "brecv", deadline, &trial, &is_closed);
          break;
        }

      if (rc < 0)
        {
          if (!is_closed)
            connection->in_broken = true;
          return -1;
        }
    }
}

int
dill_connection_brecvl (struct dill_native *stream, struct dill_iolist *first, int64_t deadline)
{
  struct dill_connection *connection = dill_container_of (stream, struct dill_connection, stream);
  struct dill_iolist_cursor cursor = { first, 0 };
  enum dill_attempt attempt;
  bool has_begun;

  if (dill_wait_allowed () < 0 || dill_connection_may_receive (connection) < 0)
    return -1;

  if (is_complete (connection, &cursor))
    return 0;

  has_begun = cursor.item != first || cursor.offset > 0;
  attempt = dill_connection_receive (connection, &cursor, deadline);
  return receive_rest (connection, &cursor, has_begun, attempt, deadline);
}

/* The same for a buffer of which N_TAKEN bytes are there. */
__attribute__ ((noinline)) static int
receive_rest_of_piece (struct dill_connection *connection, void *buf, size_t len, size_t n_taken,
                       enum dill_attempt attempt, int64_t deadline)
{
  struct dill_iolist item = { .iol_base = buf, .iol_len = len };
  struct dill_iolist_cursor cursor = { &item, n_taken };

  return receive_rest (connection, &cursor, false, attempt, deadline);
}

/* What was read ahead comes first. */
__attribute__ ((noinline)) static int
receive_buffered (struct dill_native *stream, void *buf, size_t len, int64_t deadline)
{
  struct dill_iolist item = { .iol_base = buf, .iol_len = len };

  return dill_connection_brecvl (stream, &item, deadline);
}

int
dill_connection_brecv (struct dill_native *stream, void *buf, size_t len, int64_t deadline)
{
  struct dill_connection *connection = dill_container_of (stream, struct dill_connection, stream);
  enum dill_attempt attempt;
  size_t n_taken = 0;

  if (G_UNLIKELY (connection->buffer != NULL))
    return receive_buffered (stream, buf, len, deadline);

  if (G_UNLIKELY (dill_wait_allowed () < 0 || dill_connection_may_receive (connection) < 0))
    return -1;

  /* Most are over with one call, and no list. */
  attempt = dill_connection_receive_piece (connection, buf, len, deadline, &n_taken);
  if (G_LIKELY (attempt == DILL_ATTEMPT_DONE && n_taken == len))
    return 0;

  return receive_rest_of_piece (connection, buf, len, n_taken, attempt, deadline);
}

ssize_t
dill_brecv_some (int s, void *buf, size_t len, int64_t deadline)
{
  struct dill_iolist item = { .iol_base = buf, .iol_len = len };
  struct dill_iolist_cursor cursor = { &item, 0 };
  struct dill_connection *connection;
  bool is_closed;

  if (buf == NULL || len == 0 || len > SSIZE_MAX)
    {
      errno = EINVAL;
      return -1;
    }

  if (dill_wait_allowed () < 0 || (connection = dill_connection_get (s)) == NULL
      || dill_connection_may_receive (connection) < 0)
    return -1;

  if (connection->buffer != NULL)
    {
      size_t there = connection->buffer->end - connection->buffer->start;

      take_buffered (connection, &cursor);
      return (ssize_t) dill_wait_fairly ((int64_t) (there < len ? there : len), deadline);
    }

  for (;;)
    {
      switch (dill_connection_receive (connection, &cursor, deadline))
        {
        case DILL_ATTEMPT_DONE:
          return (ssize_t) dill_wait_fairly ((int64_t) (cursor.item == NULL ? len : cursor.offset), deadline);
        case DILL_ATTEMPT_FAILED:
          return -1;
        case DILL_ATTEMPT_AGAIN:
          if (dill_connection_wait (connection, DILL_IN, "brecv_some", &deadline, &is_closed) < 0)
            return -1;
        }
    }
}
