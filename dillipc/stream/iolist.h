/* iolist.h: lists of buffers: checking one, and going along it in pieces that a system call takes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <dillipc/dill-stream.h>
#include <glib.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/uio.h>

/* How many pieces go into one system call: few enough to stand on a small stack. */
#define DILL_IOLIST_BATCH 16

/* And how many bytes: more than a socket's buffer takes.  While the peer reads what we write, or the other way
 * round, the kernel goes on for as long as there is something, and nobody else has his turn. */
#define DILL_IOLIST_BATCH_BYTES ((size_t) 256 * 1024)

/* A place in a list. */
struct dill_iolist_cursor
{
  const struct dill_iolist *item; /* NULL: at the end */
  size_t offset;                  /* in ITEM */
};

/* dill_iolist_check () for a list of any length. */
int dill_iolist_check_many (const struct dill_iolist *first, const struct dill_iolist *last, bool may_skip,
                            size_t *total);

/* Whether ITEM can follow others of TOTAL bytes. */
static inline bool
dill_iolist_is_valid (const struct dill_iolist *item, bool may_skip, size_t total)
{
  return item->iol_rsvd == 0 && (item->iol_base != NULL || item->iol_len == 0 || may_skip)
         && item->iol_len <= SSIZE_MAX - total;
}

/* Checks a list as dill_bsendl () and dill_brecvl () describe; with MAY_SKIP an item may have no buffer.  Returns 0 and
 * the sum of the lengths, or -1 with errno EINVAL.  Writes nothing into the list. */
static inline int
dill_iolist_check (const struct dill_iolist *first, const struct dill_iolist *last, bool may_skip, size_t *total)
{
  /* One alone, as most are. */
  if (first == last && first != NULL && first->iol_next == NULL && dill_iolist_is_valid (first, may_skip, 0))
    {
      *total = first->iol_len;
      return 0;
    }

  return dill_iolist_check_many (first, last, may_skip, total);
}

/* dill_iolist_batch () whatever comes next. */
int dill_iolist_batch_of_many (const struct dill_iolist_cursor *cursor, struct iovec *pieces, int n, size_t *length,
                               size_t *skip);

/* Describes what comes next at CURSOR, up to N pieces and DILL_IOLIST_BATCH_BYTES of it, all with buffers: an item
 * without one ends the batch, unless it comes first, in which case SKIP is its length.  Returns the number of pieces
 * and their length in LENGTH. */
static inline int
dill_iolist_batch (const struct dill_iolist_cursor *cursor, struct iovec *pieces, int n, size_t *length, size_t *skip)
{
  const struct dill_iolist *item = cursor->item;

  /* As most are. */
  if (G_LIKELY (item != NULL && item->iol_next == NULL && item->iol_base != NULL
                && item->iol_len - cursor->offset - 1 < DILL_IOLIST_BATCH_BYTES))
    {
      *length = item->iol_len - cursor->offset;
      *skip = 0;
      pieces[0] = (struct iovec){ (char *) item->iol_base + cursor->offset, *length };
      return 1;
    }

  return dill_iolist_batch_of_many (cursor, pieces, n, length, skip);
}

/* Goes forward by LENGTH bytes, and on to an item that has some left. */
static inline void
dill_iolist_advance (struct dill_iolist_cursor *cursor, size_t length)
{
  while (cursor->item != NULL && length >= cursor->item->iol_len - cursor->offset)
    {
      length -= cursor->item->iol_len - cursor->offset;
      cursor->item = cursor->item->iol_next;
      cursor->offset = 0;
    }

  cursor->offset += length;
}

/* Copies up to LENGTH bytes into the list at CURSOR, which goes forward by as many.  Returns how many. */
size_t dill_iolist_fill (struct dill_iolist_cursor *cursor, const void *bytes, size_t length);
