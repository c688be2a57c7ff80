/* iolist.c: lists of buffers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "stream/iolist.h"
#include <errno.h>
#include <string.h>

static int
invalid (void)
{
  errno = EINVAL;
  return -1;
}

int
dill_iolist_check_many (const struct dill_iolist *first, const struct dill_iolist *last, bool may_skip, size_t *total)
{
  /* Brent's way to notice a circle without marking items: a tortoise that is put to where the hare is after 1, 2, 4, …
   * steps meets it again if and only if there is one. */
  const struct dill_iolist *tortoise = first;
  size_t steps = 0, limit = 1;

  *total = 0;
  if (first == NULL || last == NULL || last->iol_next != NULL)
    return invalid ();

  for (const struct dill_iolist *item = first; item != NULL; item = item->iol_next)
    {
      if (!dill_iolist_is_valid (item, may_skip, *total))
        return invalid ();

      *total += item->iol_len;
      if (item->iol_next == NULL && item != last)
        return invalid ();

      if (item->iol_next == tortoise)
        return invalid ();
      if (++steps == limit)
        {
          tortoise = item;
          limit *= 2;
          steps = 0;
        }
    }

  return 0;
}

int
dill_iolist_batch_of_many (const struct dill_iolist_cursor *cursor, struct iovec *pieces, int n, size_t *length,
                           size_t *skip)
{
  const struct dill_iolist *item = cursor->item;
  size_t offset = cursor->offset;
  int n_pieces = 0;

  *length = 0;
  *skip = 0;
  for (; item != NULL && n_pieces < n && *length < DILL_IOLIST_BATCH_BYTES; item = item->iol_next, offset = 0)
    {
      size_t piece;

      if (item->iol_len == offset)
        continue;

      if (item->iol_base == NULL)
        {
          if (n_pieces == 0)
            *skip = item->iol_len - offset;
          break;
        }

      piece = item->iol_len - offset;
      if (piece > DILL_IOLIST_BATCH_BYTES - *length)
        piece = DILL_IOLIST_BATCH_BYTES - *length;
      pieces[n_pieces++] = (struct iovec){ (char *) item->iol_base + offset, piece };
      *length += piece;
    }

  return n_pieces;
}

size_t
dill_iolist_fill (struct dill_iolist_cursor *cursor, const void *bytes, size_t length)
{
  size_t done = 0;

  while (cursor->item != NULL && done < length)
    {
      size_t room = cursor->item->iol_len - cursor->offset;
      size_t n = room < length - done ? room : length - done;

      if (cursor->item->iol_base != NULL && n > 0)
        memcpy ((char *) cursor->item->iol_base + cursor->offset, (const char *) bytes + done, n);
      dill_iolist_advance (cursor, n);
      done += n;
    }

  return done;
}
