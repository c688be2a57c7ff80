/* transfer.c: the bytes of one message, to and from the stream.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "message/transfer.h"
#include "engine/handle.h"
#include "engine/wait.h"
#include <errno.h>
#include <string.h>

/* With no time from the beginning on: a stream of the program's is asked for single bytes, as many as a socket holds,
 * and it may have several of those. */
#define N_PARTS_TRIED (1 << 20)

/* So many take a stream as long as a call for a few. */
#define BYTES_PER_CALL 1024

static int
fail (int error)
{
  errno = error;
  return -1;
}

static int
begin (struct dill_transfer *transfer, struct dill_framing *framing, struct dill_framing_half *half, int64_t deadline)
{
  if (half->is_busy)
    return fail (EBUSY);
  if (half->is_broken)
    return fail (ECONNRESET);
  if (half->is_done)
    return fail (EPIPE);

  *transfer = (struct dill_transfer){ .half = half, .below = framing->below, .deadline = deadline };
  transfer->object = dill_handle_get (framing->below);
  if (transfer->object == NULL)
    return -1;

  transfer->stream = transfer->object->query (transfer->object, dill_bsock_type);
  if (transfer->stream == NULL)
    return -1;

  half->is_busy = true;
  return 0;
}

int
dill_transfer_begin_send (struct dill_transfer *transfer, struct dill_framing *framing, int64_t deadline)
{
  if (begin (transfer, framing, &framing->out, deadline) < 0)
    return -1;

  transfer->native = dill_native_to (transfer->stream);
  transfer->is_sending = true;
  return 0;
}

int
dill_transfer_begin_receive (struct dill_transfer *transfer, struct dill_framing *framing, int64_t deadline)
{
  if (dill_wait_allowed () < 0 || begin (transfer, framing, &framing->in, deadline) < 0)
    return -1;

  transfer->native = dill_native_from (transfer->stream);
  return 0;
}

void
dill_transfer_end (struct dill_transfer *transfer)
{
  if (transfer->half != NULL)
    transfer->half->is_busy = false;
}

/* What failing with ERROR makes of a direction.  As long as nothing has gone over, want of memory and the refusal of a
 * security module change nothing. */
static int
break_off (struct dill_transfer *transfer, int error)
{
  if (transfer->has_begun)
    {
      transfer->half->is_broken = true;
      return fail (error == EPIPE ? ECONNRESET : error);
    }

  if (error != EPIPE && error != EBUSY && error != ENOMEM && error != ENOBUFS && error != EACCES)
    transfer->half->is_broken = true;
  return fail (error);
}

/* After each call of the stream, which may have waited, and has returned RC. */
static int
finish_call (struct dill_transfer *transfer, int rc)
{
  int error = errno;

  if (dill_handle_get (transfer->below) != transfer->object)
    {
      transfer->half = NULL;
      return fail (ECANCELED);
    }

  if (rc < 0)
    return break_off (transfer, error);

  transfer->has_begun = true;
  return 0;
}

/* Counts a part, on a stream that does not do so itself. */
static void
count (struct dill_transfer *transfer, const struct dill_iolist *first)
{
  uint32_t n;

  if (transfer->native != NULL)
    return;

  n = (uint32_t) MIN (dill_transfer_sum (first), DILL_TRIAL_LATE_MAX + 1);
  transfer->n_moved += transfer->deadline > 0 ? n : 1;
  transfer->work += 1 + n / BYTES_PER_CALL;
}

static int
receive_list (struct dill_transfer *transfer, struct dill_iolist *first, struct dill_iolist *last)
{
  int rc;

  count (transfer, first);
  rc = finish_call (transfer, transfer->stream->brecvl (transfer->stream, first, last, transfer->deadline));
  if (rc < 0 && errno == EPIPE && transfer->half != NULL)
    transfer->half->is_done = true;
  return rc;
}

static int
receive_ahead (struct dill_transfer *transfer)
{
  bool has_begun = transfer->has_begun;
  int rc = finish_call (transfer, transfer->native->vfs->receive (transfer->native, transfer->deadline));

  if (rc == 0)
    transfer->has_begun = has_begun; /* they are there, but nobody has taken one */
  return rc;
}

/* Whether there is no waiting for a stream of the program's any more.  Parts may be single bytes: the clock is looked
 * at now and then. */
static bool
is_over (struct dill_transfer *transfer)
{
  if (transfer->deadline <= 0 || transfer->work < DILL_CALLS_PER_LOOK)
    return transfer->deadline == 0 || dill_wait_allowed () < 0;

  transfer->work = 0;
  return !dill_wait_is_possible (transfer->deadline);
}

/* dill_connection_pause () for a stream of the program's. */
static int
pause_between_parts (struct dill_transfer *transfer)
{
  struct dill_trial *trial = &transfer->trial;
  struct dill_list queue;

  if (!trial->is_on && is_over (transfer))
    {
      trial->is_on = true;
      trial->end = transfer->n_moved + (transfer->deadline > 0 ? DILL_TRIAL_LATE_MAX : N_PARTS_TRIED);
    }
  if (trial->is_on)
    return dill_trial_is_over (trial, transfer->n_moved) ? dill_wait_give_up () : 0;
  if (!dill_wait_is_due ())
    return 0;

  dill_list_init (&queue);
  return dill_wait_result (dill_wait_pause (&queue, transfer->is_sending ? "msend" : "mrecv"));
}

/* In the middle of a message, before the stream is asked for more bytes, which it may have without end, or is given
 * more: lets others go first, if that is due. */
static int
go_on (struct dill_transfer *transfer)
{
  struct dill_native *native = transfer->native;

  if (!transfer->is_settled)
    {
      transfer->deadline = dill_wait_settle (transfer->deadline);
      transfer->is_settled = true;
    }
  if (!transfer->has_begun)
    return 0;

  return finish_call (transfer, native != NULL ? native->vfs->pause (native, transfer->is_sending, transfer->deadline,
                                                                     &transfer->trial)
                                               : pause_between_parts (transfer));
}

int
dill_transfer_send (struct dill_transfer *transfer, struct dill_iolist *first, struct dill_iolist *last)
{
  if (go_on (transfer) < 0)
    return -1;

  count (transfer, first);
  return finish_call (transfer, transfer->stream->bsendl (transfer->stream, first, last, transfer->deadline));
}

ssize_t
dill_transfer_look (struct dill_transfer *transfer, const char **bytes, char *scratch, size_t max)
{
  struct dill_native *native = transfer->native;
  size_t length;

  if (native != NULL && (length = native->vfs->look (native, bytes)) > 0)
    return (ssize_t) length;

  if (go_on (transfer) < 0)
    return -1;

  if (native == NULL)
    {
      /* The first byte alone: if it is missing, the stream has ended between two messages. */
      struct dill_iolist item = { .iol_base = scratch, .iol_len = transfer->has_begun ? max : 1 };

      *bytes = scratch;
      return receive_list (transfer, &item, &item) < 0 ? -1 : (ssize_t) item.iol_len;
    }

  if (receive_ahead (transfer) < 0)
    return -1;

  return (ssize_t) native->vfs->look (native, bytes);
}

void
dill_transfer_take (struct dill_transfer *transfer, size_t length)
{
  transfer->has_begun = true;
  if (transfer->native != NULL)
    transfer->native->vfs->take (transfer->native, length);
}

int
dill_transfer_read (struct dill_transfer *transfer, char *bytes, size_t length)
{
  while (length > 0)
    {
      const char *source = NULL;
      ssize_t there = dill_transfer_look (transfer, &source, bytes, length);
      size_t n;

      if (there < 0)
        return -1;

      n = (size_t) there < length ? (size_t) there : length;
      memmove (bytes, source, n);
      dill_transfer_take (transfer, n);
      bytes += n;
      length -= n;
    }

  return 0;
}

int
dill_transfer_part (struct dill_iolist_cursor *cursor, struct dill_iolist *items, int n, size_t *length)
{
  size_t left = *length;
  int n_items = 0;

  while (cursor->item != NULL && n_items < n && left > 0)
    {
      const struct dill_iolist *item = cursor->item;
      size_t there = item->iol_len - cursor->offset;
      char *base = item->iol_base;

      if (there > left)
        there = left;
      if (there > 0)
        {
          items[n_items] = (struct dill_iolist){ base != NULL ? base + cursor->offset : NULL, there, NULL, 0 };
          if (n_items > 0)
            items[n_items - 1].iol_next = &items[n_items];
          n_items++;
        }
      left -= there;
      dill_iolist_advance (cursor, there);
    }

  *length -= left;
  return n_items;
}

int
dill_transfer_fill (struct dill_transfer *transfer, const struct dill_iolist *first, size_t length)
{
  struct dill_iolist_cursor cursor = { first, 0 };
  const char *bytes;
  size_t there;

  /* Without asking whether waiting is allowed: what has come is the receiver's, though it was cancelled since. */
  if (length > 0 && transfer->native != NULL
      && (there = transfer->native->vfs->look (transfer->native, &bytes)) > 0)
    {
      if (there > length)
        there = length;
      dill_iolist_fill (&cursor, bytes, there);
      dill_transfer_take (transfer, there);
      length -= there;
    }

  while (length > 0)
    {
      struct dill_iolist items[DILL_IOLIST_BATCH];
      size_t n = length;
      int n_items = dill_transfer_part (&cursor, items, DILL_IOLIST_BATCH, &n);

      if (go_on (transfer) < 0 || receive_list (transfer, items, &items[n_items - 1]) < 0)
        return -1;
      length -= n;
    }

  return 0;
}

size_t
dill_transfer_sum (const struct dill_iolist *first)
{
  size_t sum = 0;

  for (; first != NULL; first = first->iol_next)
    sum += first->iol_len;
  return sum;
}
