/* connection.h: one end of a connection.
 *
 * Bytes that were received before anybody asked for them stand in a buffer, which is there only while it holds some.  A
 * descriptor that came with them belongs to the last byte of the buffer: the kernel ends what one recvmsg(2) returns
 * after the bytes that a descriptor was sent with.  Nothing is received while the buffer holds a byte, so there is at
 * most one descriptor.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/attempts.h"
#include "engine/buffer.h"
#include "engine/thread.h"
#include "engine/watch.h"
#include "ipc/observer.h"
#include "stream/iolist.h"
#include "stream/native.h"
#include <dillipc/dill-handle.h>
#include <dillipc/dill-ipc.h>
#include <dillipc/dill-ipc-fd.h>
#include <dillipc/dill-stream.h>
#include <errno.h>

struct dill_connection
{
  struct dill_hvfs hvfs;
  struct dill_native stream;
  struct dill_watch watch;
  struct dill_list observers;
  struct dill_buffer *buffer;   /* what was read ahead, or NULL */
  int descriptor;               /* received and not taken, or -1 */
  int descriptor_error;         /* why the descriptor of the buffer's last byte is lost, or 0 */
  struct dill_attempts guesses; /* that the peer has answered already */
  uint32_t n_moved;             /* bytes that the kernel took or gave, with which trials are bounded */
  uint8_t n_guessed;            /* right, one after the other */
  bool has_sent;                /* something that may be answered, since the last guess */
  bool in_done;                 /* the stream has ended */
  bool in_broken;               /* a receive failed halfway, or the connection is broken */
  bool out_done;                /* dill_ipc_done () was called */
  bool out_broken;
  bool is_heap;
};

/* The connection behind H, or NULL with errno EBADF or ENOTSUP. */
struct dill_connection *dill_connection_get (int h);

/* Where a connection is built: in MEM at the next good alignment or, if that is NULL, on the heap. NULL with ENOMEM. */
struct dill_connection *dill_connection_place (void *mem);

/* dill_ipc_steal_fd () for connections. */
int dill_connection_steal (int s);

/* Undoes dill_connection_place (). */
void dill_connection_unplace (struct dill_connection *connection, void *mem);

/* Makes a connection of FD, and puts it behind the reserved number H. */
void dill_connection_open (struct dill_connection *connection, int h, struct dill_engine *engine, int fd, bool is_heap);

/* Makes a connection of FD from beginning to end.  Returns its handle, or -1 with errno, FD untouched. */
int dill_connection_new (int fd, void *mem);

/* brecv.c: the byte stream's receiving half. */
int dill_connection_brecv (struct dill_native *stream, void *buf, size_t len, int64_t deadline);
int dill_connection_brecvl (struct dill_native *stream, struct dill_iolist *first, int64_t deadline);

/* read-ahead.c: what was received before somebody asked for it. */
size_t dill_connection_look (struct dill_native *stream, const char **bytes);
void dill_connection_take (struct dill_native *stream, size_t length);
int dill_connection_receive_ahead (struct dill_native *stream, int64_t deadline);

/* brecv.c: dill_connection_pause () between the parts of a message. */
int dill_connection_pause_between (struct dill_native *stream, bool is_sending, int64_t deadline,
                                   struct dill_trial *trial);

/* What became of an attempt to receive. */
enum dill_attempt
{
  DILL_ATTEMPT_DONE,
  DILL_ATTEMPT_AGAIN, /* nothing is there: wait */
  DILL_ATTEMPT_FAILED /* errno is set, and the connection marked: EPIPE, ECONNRESET, … */
};

/* Receives once, into the list at CURSOR and the rest into a buffer, which is empty before.  CURSOR may be NULL: only
 * ahead of demand, which fails with ENOMEM if there is no memory for a buffer.  DEADLINE only says whether waiting
 * is an alternative. */
enum dill_attempt dill_connection_receive (struct dill_connection *connection, struct dill_iolist_cursor *cursor,
                                           int64_t deadline);

/* The same into one place, with nothing in the buffer before; N_TAKEN is how much it got, if anything. */
enum dill_attempt dill_connection_receive_piece (struct dill_connection *connection, void *buf, size_t len,
                                                 int64_t deadline, size_t *n_taken);

/* Takes LENGTH bytes off the buffer.  A descriptor that belongs to the last one is closed. */
void dill_connection_consume (struct dill_connection *connection, size_t length);

/* Waits until it is worth a try to receive or send, which it is once more when DEADLINE has come; it becomes 0 then.
 * Returns 0, or -1 with errno.  With IS_CLOSED set, CONNECTION is gone and must not be touched. */
int dill_connection_wait (struct dill_connection *connection, unsigned direction, const char *what, int64_t *deadline,
                          bool *is_closed);

/* Between two attempts of one operation: lets others go first, if that is due.  If the operation cannot wait, for its
 * DEADLINE or because it was cancelled, says whether to go on, TRIAL being the operation's.  As dill_connection_wait
 * (). */
int dill_connection_pause (struct dill_connection *connection, unsigned direction, const char *what, int64_t deadline,
                           struct dill_trial *trial, bool *is_closed);

/* send.c: the byte stream's sending half. */
int dill_connection_bsend (struct dill_native *stream, const void *buf, size_t len, int64_t deadline);
int dill_connection_bsendl (struct dill_native *stream, struct dill_iolist *first, int64_t deadline);

/* Sends once, as much as the kernel takes; CONTROL may hold a message to go with the first byte.  DEADLINE only says
 * whether waiting is an alternative. */
enum dill_attempt dill_connection_send (struct dill_connection *connection, struct dill_iolist_cursor *cursor,
                                        void *control, size_t control_length, int64_t deadline);

/* Ends the outgoing half of the stream.  Returns 0, or -1 with errno: ECONNRESET, or it has not ended. */
int dill_connection_end_output (struct dill_connection *connection);

/* Checks that a receive, or a send, may begin: 0, or -1 with errno EBUSY, ECONNRESET or EPIPE. */
static inline int
dill_connection_may_receive (const struct dill_connection *connection)
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

static inline int
dill_connection_may_send (const struct dill_connection *connection)
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
