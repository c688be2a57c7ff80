/* receive.c: one system call that receives bytes; brecv.c makes as many as it takes.
 *
 * One recvmsg(2) fills what was asked for, and a buffer behind it with what else is there: a message with a header
 * costs one system call, not two.  The kernel is given room for one descriptor and no more (CMSG_LEN; CMSG_SPACE would
 * let two in), so a peer cannot fill our table.
 *
 * That nothing is left is known from EAGAIN, and from a short read, except when the read may have been cut for another
 * reason: by a descriptor, or by the end of the stream, which must be read to be learned.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/connection.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes that are to be dropped go here when there is no memory for a buffer. */
#define SCRATCH_SIZE 512

/* Of guesses that the peer has answered: how many may be right before the others are looked at, and how many
 * occasions pass at most after wrong ones. */
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
  struct iovec *pieces;
  size_t n_pieces;
  size_t wanted; /* of the caller's */
  size_t room;   /* in all */
  struct dill_buffer *buffer; /* for what comes behind, or NULL */
  struct msghdr message;
  union control control;
};

/* A GSource of the connection may belong to a context of another thread's, which only looks whether there is a
 * buffer. */
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

/* Makes room for what comes behind what is wanted.  Not where that much is wanted that a system call saved would not
 * outweigh that the bytes behind it are copied twice; and not for want of memory. */
static inline void
add_buffer (struct reception *reception)
{
  struct dill_buffer *buffer = NULL;

  reception->room = reception->wanted;
  if (reception->wanted < DILL_BUFFER_SIZE)
    buffer = dill_buffer_take (&dill_thread_self->buffers);
  if (buffer != NULL)
    {
      reception->pieces[reception->n_pieces].iov_base = buffer->bytes;
      reception->pieces[reception->n_pieces].iov_len = sizeof buffer->bytes;
      reception->n_pieces++;
      reception->room += sizeof buffer->bytes;
    }
  reception->buffer = buffer;
}

/* Lays out where the bytes go: pieces of the list, and behind them a buffer, or else SCRATCH if some are to be
 * dropped. */
static void
lay_out (struct reception *reception, const struct dill_iolist_cursor *cursor, char *scratch)
{
  size_t skip = 0;

  reception->n_pieces = 0;
  reception->wanted = 0;
  if (cursor != NULL)
    reception->n_pieces
        = (size_t) dill_iolist_batch (cursor, reception->pieces, DILL_IOLIST_BATCH, &reception->wanted, &skip);

  add_buffer (reception);
  if (reception->buffer == NULL && skip > 0)
    {
      size_t length = skip < SCRATCH_SIZE ? skip : SCRATCH_SIZE;

      reception->pieces[reception->n_pieces++] = (struct iovec){ scratch, length };
      reception->wanted += length;
      reception->room += length;
    }
}

static inline ssize_t
call_recvmsg (int fd, struct reception *reception)
{
  ssize_t n;

  do
    {
      reception->message.msg_name = NULL;
      reception->message.msg_namelen = 0;
      reception->message.msg_iov = reception->pieces;
      reception->message.msg_iovlen = reception->n_pieces;
      reception->message.msg_control = &reception->control;
      reception->message.msg_controllen = CMSG_LEN (sizeof (int));
      reception->message.msg_flags = 0;
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

/* Whether to ask the kernel though nothing is known to be there.  The peer may have answered already: on the same
 * processor the kernel likes to run at once whom a send has woken.  That saves looking at all descriptors, and going
 * through the scheduler.  A guess comes only when nobody else could go on, and neither too many times in a row nor
 * long after the last look at them, since others may have become ready meanwhile: a program may work for long
 * between two messages. */
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

/* Whether to ask the kernel.  A message costs one system call at most: no GUESSES for what is to be read ahead. */
static inline bool
is_worth_a_try (struct dill_connection *connection, bool guesses, int64_t deadline, bool *is_guess)
{
  *is_guess = false;
  if ((connection->watch.ready & DILL_IN) || !dill_wait_is_possible (deadline))
    return true;

  return *is_guess = guesses && may_guess (connection);
}

/* Makes the call, and sorts out what it says.  N_TAKEN is how many of the bytes that were wanted are there. */
static inline enum dill_attempt
receive (struct dill_connection *connection, struct reception *reception, bool is_guess, size_t *n_taken)
{
  struct dill_watch *watch = &connection->watch;
  struct dill_buffer *buffer = reception->buffer;
  size_t ahead;
  bool is_plain;
  ssize_t n = call_recvmsg (watch->fd, reception);

  if (is_guess)
    learn (connection, n >= 0);
  if (G_UNLIKELY (n <= 0))
    {
      if (buffer != NULL)
        dill_buffer_give (&dill_thread_self->buffers, buffer);
      return n == 0 ? ended (connection) : failed (connection);
    }

  connection->n_moved += (uint32_t) n;
  is_plain = reception->message.msg_controllen == 0 && !(reception->message.msg_flags & MSG_CTRUNC);
  if (is_plain && (size_t) n < reception->room && !(watch->ready & DILL_HUP))
    watch->ready &= (uint8_t) ~DILL_IN;
  else
    watch->ready |= DILL_IN;

  ahead = (size_t) n > reception->wanted ? (size_t) n - reception->wanted : 0;
  *n_taken = (size_t) n - ahead;
  if (G_LIKELY (is_plain && ahead == 0))
    {
      connection->descriptor_error = 0;
      if (buffer != NULL)
        dill_buffer_give (&dill_thread_self->buffers, buffer);
      return DILL_ATTEMPT_DONE;
    }

  keep_descriptor (connection, reception);
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

/* Apart, since its frame is large. */
__attribute__ ((noinline)) static enum dill_attempt
receive_list (struct dill_connection *connection, struct dill_iolist_cursor *cursor, int64_t deadline)
{
  struct iovec pieces[DILL_IOLIST_BATCH + 1];
  char scratch[SCRATCH_SIZE];
  struct reception reception;
  enum dill_attempt attempt;
  size_t n_taken;
  bool is_guess;

  if (!is_worth_a_try (connection, cursor != NULL, deadline, &is_guess))
    return DILL_ATTEMPT_AGAIN;

  reception.pieces = pieces;
  lay_out (&reception, cursor, scratch);
  if (reception.buffer == NULL && cursor == NULL)
    {
      errno = ENOMEM;
      return DILL_ATTEMPT_FAILED;
    }

  attempt = receive (connection, &reception, is_guess, &n_taken);
  if (attempt == DILL_ATTEMPT_DONE && cursor != NULL)
    dill_iolist_advance (cursor, n_taken);
  return attempt;
}

enum dill_attempt
dill_connection_receive_piece (struct dill_connection *connection, void *buf, size_t len, int64_t deadline,
                               size_t *n_taken)
{
  struct iovec pieces[2];
  struct reception reception;
  bool is_guess;

  if (!is_worth_a_try (connection, true, deadline, &is_guess))
    return DILL_ATTEMPT_AGAIN;

  pieces[0].iov_base = buf;
  pieces[0].iov_len = len;
  reception.pieces = pieces;
  reception.n_pieces = 1;
  reception.wanted = len;
  add_buffer (&reception);
  return receive (connection, &reception, is_guess, n_taken);
}

/* Whether what is left at CURSOR is one buffer behind which something may be read ahead, as most are. */
static inline bool
is_piece (const struct dill_iolist_cursor *cursor)
{
  const struct dill_iolist *item = cursor->item;

  return item->iol_next == NULL && item->iol_base != NULL && item->iol_len - cursor->offset < DILL_BUFFER_SIZE;
}

enum dill_attempt
dill_connection_receive (struct dill_connection *connection, struct dill_iolist_cursor *cursor, int64_t deadline)
{
  enum dill_attempt attempt;
  size_t n_taken;

  if (cursor == NULL || cursor->item == NULL || !is_piece (cursor))
    return receive_list (connection, cursor, deadline);

  attempt = dill_connection_receive_piece (connection, (char *) cursor->item->iol_base + cursor->offset,
                                           cursor->item->iol_len - cursor->offset, deadline, &n_taken);
  if (attempt == DILL_ATTEMPT_DONE)
    dill_iolist_advance (cursor, n_taken);
  return attempt;
}
