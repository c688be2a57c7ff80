/* receive.c: one system call that receives bytes; brecv.c makes as many as it takes.
 *
 * One recvmsg(2) fills what was asked for, and a buffer behind it with what else is there: a message with a header costs
 * one system call, not two.  The kernel is given room for one descriptor and no more (CMSG_LEN; CMSG_SPACE would let two
 * in), so a peer cannot fill our table.
 *
 * That nothing is left is known from EAGAIN, and from a short read, except when the read may have been cut for another
 * reason: by a descriptor, or by the end of the stream, which must be read to be learned.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/connection.h"
#include "ipc/socket.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes that are to be dropped go here when there is no memory for a buffer. */
#define SCRATCH_SIZE 512

/* Of guesses that the peer has answered: how many may be right before the others are looked at, and how many occasions pass
 * at most after wrong ones. */
#define GUESSES_IN_A_ROW 16
#define GUESSES_PER_LOOK 4 /* at the clock: it takes a tenth of the time of a system call */
#define GUESSES_GAIN 3
#define GUESSES_PAUSE 63

/* Room for a control message with exactly one descriptor. */
union control
{
  struct cmsghdr header;
  char bytes[CMSG_SPACE (sizeof (int))];
};

/* One call of recvmsg (2): where the bytes go, and what else came. */
struct reception
{
  struct iovec pieces[DILL_IOLIST_BATCH + 1];
  int n_pieces;
  size_t wanted; /* of the caller's list */
  size_t room;   /* in all */
  struct msghdr message;
  union control control;
};

int
dill_connection_may_receive (struct dill_connection *connection)
{
  if (dill_watch_is_busy (&connection->watch, DILL_IN))
    errno = EBUSY;
  else if (connection->in_broken)
    errno = ECONNRESET;
  else if (connection->in_done && connection->buffer == NULL)
    errno = EPIPE;
  else
    return 0;

  return -1;
}

/* A GSource of the connection may belong to a context of another thread's, which only looks whether there is a buffer. */
static void
set_buffer (struct dill_connection *connection, struct dill_buffer *buffer)
{
  __atomic_store_n (&connection->buffer, buffer, __ATOMIC_RELAXED);
}

/* The byte that a descriptor came with was taken, and the descriptor was not. */
static void
drop_descriptor (struct dill_connection *connection)
{
  connection->descriptor_error = 0;
  if (connection->descriptor >= 0)
    close (connection->descriptor);
  connection->descriptor = -1;
}

void
dill_connection_consume (struct dill_connection *connection, size_t length)
{
  struct dill_buffer *buffer = connection->buffer;

  buffer->start += (uint32_t) length;
  if (buffer->start < buffer->end)
    return;

  dill_buffer_give (&dill_thread_self->buffers, buffer);
  set_buffer (connection, NULL);
  drop_descriptor (connection);
}

/* Lays out where the bytes go: pieces of the list, and behind them a buffer, or else SCRATCH if some are to be dropped.
 * Returns the buffer, or NULL: for want of memory, or because that much is asked for that a system call saved would not
 * outweigh that the bytes behind it are copied twice. */
static struct dill_buffer *
lay_out (struct reception *reception, const struct dill_iolist_cursor *cursor, char *scratch)
{
  struct dill_buffer *buffer = NULL;
  size_t skip = 0;

  reception->n_pieces = 0;
  reception->wanted = 0;
  if (cursor != NULL)
    reception->n_pieces
        = dill_iolist_batch (cursor, reception->pieces, DILL_IOLIST_BATCH, &reception->wanted, &skip);

  reception->room = reception->wanted;
  if (reception->wanted < DILL_BUFFER_SIZE)
    buffer = dill_buffer_take (&dill_thread_self->buffers);
  if (buffer != NULL)
    {
      reception->pieces[reception->n_pieces++] = (struct iovec){ buffer->bytes, sizeof buffer->bytes };
      reception->room += sizeof buffer->bytes;
    }
  else if (skip > 0)
    {
      size_t length = skip < SCRATCH_SIZE ? skip : SCRATCH_SIZE;

      reception->pieces[reception->n_pieces++] = (struct iovec){ scratch, length };
      reception->wanted += length;
      reception->room += length;
    }
  return buffer;
}

static ssize_t
call_recvmsg (int fd, struct reception *reception)
{
  ssize_t n;

  do
    {
      reception->message = (struct msghdr){
        .msg_iov = reception->pieces,
        .msg_iovlen = (size_t) reception->n_pieces,
        .msg_control = &reception->control,
        .msg_controllen = CMSG_LEN (sizeof (int)),
      };
      n = recvmsg (fd, &reception->message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    }
  while (n < 0 && errno == EINTR);

  return n;
}

/* Keeps the descriptor that came, or the reason why it did not. */
static void
keep_descriptor (struct dill_connection *connection, struct reception *reception)
{
  struct cmsghdr *header = CMSG_FIRSTHDR (&reception->message);

  connection->descriptor_error = 0;
  if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS
      && header->cmsg_len >= CMSG_LEN (sizeof (int)))
    memcpy (&connection->descriptor, CMSG_DATA (header), sizeof (int));
  else if (reception->message.msg_flags & MSG_CTRUNC)
    connection->descriptor_error = EMFILE; /* the kernel found no free number for the first one */
}

static enum dill_attempt
failed (struct dill_connection *connection)
{
  struct dill_watch *watch = &connection->watch;

  if (errno == EAGAIN || errno == EWOULDBLOCK)
    {
      watch->ready &= (uint8_t) ~DILL_IN;
      return DILL_ATTEMPT_AGAIN;
    }

  /* Want of memory passes; anything else says that the connection is broken. */
  connection->in_broken = errno != ENOMEM && errno != ENOBUFS;
  errno = connection->in_broken ? ECONNRESET : ENOMEM;
  return DILL_ATTEMPT_FAILED;
}

static enum dill_attempt
ended (struct dill_connection *connection)
{
  connection->in_done = true;
  errno = EPIPE;
  return DILL_ATTEMPT_FAILED;
}

/* Whether to ask the kernel though nothing is known to be there.  The peer may have answered already: on the same processor
 * the kernel likes to run at once whom a send has woken.  That saves looking at all descriptors, and going through the
 * scheduler.  A guess comes only when nobody else could go on, and neither too many times in a row nor long after the last
 * look at them, since others may have become ready meanwhile: a program may work for long between two messages. */
static bool
may_guess (struct dill_connection *connection)
{
  struct dill_engine *engine = connection->watch.engine;

  if (!connection->has_sent || engine == NULL || !dill_list_is_empty (&engine->ready))
    return false;

  connection->has_sent = false;
  if (connection->n_guessed >= GUESSES_IN_A_ROW)
    {
      connection->n_guessed = 0;
      return false;
    }

  return dill_attempts_is_due (&connection->guesses)
         && (connection->n_guessed % GUESSES_PER_LOOK != 0 || !dill_wait_look_at_clock (dill_thread_self));
}

static void
learn (struct dill_connection *connection, bool was_right)
{
  dill_attempts_learn (&connection->guesses, was_right, GUESSES_GAIN, GUESSES_PAUSE);
  connection->n_guessed += was_right;
}

enum dill_attempt
dill_connection_receive (struct dill_connection *connection, struct dill_iolist_cursor *cursor,
                         int64_t deadline)
{
  struct dill_buffer_pool *pool = &dill_thread_self->buffers;
  struct dill_watch *watch = &connection->watch;
  struct dill_buffer *buffer;
  struct reception reception;
  char scratch[SCRATCH_SIZE];
  bool is_guess = false, is_plain;
  size_t ahead;
  ssize_t n;

  /* A message costs one system call at most: no guesses for what is to be read ahead. */
  if (!(watch->ready & DILL_IN) && dill_socket_can_wait (deadline)
      && !(is_guess = cursor != NULL && may_guess (connection)))
    return DILL_ATTEMPT_AGAIN;

  buffer = lay_out (&reception, cursor, scratch);
  if (buffer == NULL && cursor == NULL)
    {
      errno = ENOMEM;
      return DILL_ATTEMPT_FAILED;
    }

  n = call_recvmsg (watch->fd, &reception);
  if (is_guess)
    learn (connection, n >= 0);
  if (n <= 0)
    {
      if (buffer != NULL)
        dill_buffer_give (pool, buffer);
      return n == 0 ? ended (connection) : failed (connection);
    }

  is_plain = reception.message.msg_controllen == 0 && !(reception.message.msg_flags & MSG_CTRUNC);
  if (is_plain && (size_t) n < reception.room && !(watch->ready & DILL_HUP))
    watch->ready &= (uint8_t) ~DILL_IN;
  else
    watch->ready |= DILL_IN;

  ahead = (size_t) n > reception.wanted ? (size_t) n - reception.wanted : 0;
  if (cursor != NULL)
    dill_iolist_advance (cursor, (size_t) n - ahead);
  if (G_LIKELY (is_plain && ahead == 0))
    {
      connection->descriptor_error = 0;
      if (buffer != NULL)
        dill_buffer_give (pool, buffer);
      return DILL_ATTEMPT_DONE;
    }

  keep_descriptor (connection, &reception);
  if (buffer != NULL)
    {
      /* With nothing in it, this gives it back, and closes the descriptor of a byte that was taken. */
      buffer->end = (uint32_t) ahead;
      set_buffer (connection, buffer);
      dill_connection_consume (connection, 0);
    }
  else
    drop_descriptor (connection);

  return DILL_ATTEMPT_DONE;
}
