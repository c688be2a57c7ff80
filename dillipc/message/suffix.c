/* suffix.c: messages before an end mark.
 *
 * The receiver takes what it has seen off the stream, the beginning of a mark too, of which it cannot know yet whether
 * it is one.  If it is none, the bytes are known all the same: they are the mark's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/storage.h"
#include "message/matcher.h"
#include "message/transfer.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

struct dill_suffix
{
  struct dill_framing framing;
  struct dill_matcher matcher;
};

DILL_ASSERT_STORAGE (struct dill_suffix, sizeof (struct dill_suffix_storage));

static struct dill_suffix *
suffix_of (struct dill_msock_vfs *vfs)
{
  return dill_container_of (vfs, struct dill_suffix, framing.msock);
}

static int
fail (int error)
{
  errno = error;
  return -1;
}

/* Whether a receiver of the message FIRST and the mark finds the mark at its place, and not before. */
static bool
can_carry (const struct dill_matcher *matcher, const struct dill_iolist *first)
{
  unsigned state = 0;

  for (; first != NULL && state < matcher->length; first = first->iol_next)
    if (first->iol_len > 0)
      dill_matcher_scan (matcher, &state, first->iol_base, first->iol_len);

  return state < matcher->length
         && dill_matcher_scan (matcher, &state, matcher->mark, matcher->length) == matcher->length;
}

/* Sends the message FIRST, LENGTH bytes, and the mark, with as few calls of the stream as system calls are needed. */
static int
send_message (struct dill_transfer *transfer, const struct dill_matcher *matcher, const struct dill_iolist *first,
              size_t length)
{
  struct dill_iolist_cursor cursor = { first, 0 };
  struct dill_iolist items[DILL_IOLIST_BATCH];
  char mark[DILL_SUFFIX_MAX]; /* a copy: the object may be closed while its stream still has the list */

  memcpy (mark, matcher->mark, matcher->length);
  for (;;)
    {
      size_t n = length;
      int n_items = dill_transfer_part (&cursor, items, DILL_IOLIST_BATCH - 1, &n);

      length -= n;
      if (length == 0)
        {
          items[n_items] = (struct dill_iolist){ mark, matcher->length, NULL, 0 };
          if (n_items > 0)
            items[n_items - 1].iol_next = &items[n_items];
          return dill_transfer_send (transfer, items, &items[n_items]);
        }

      if (dill_transfer_send (transfer, items, &items[n_items - 1]) < 0)
        return -1;
    }
}

static int
suffix_msendl (struct dill_msock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct dill_suffix *suffix = suffix_of (vfs);
  struct dill_transfer transfer;
  size_t length = dill_transfer_sum (first);
  int rc;

  (void) last;
  if (length > SSIZE_MAX - DILL_SUFFIX_MAX || !can_carry (&suffix->matcher, first))
    return fail (EINVAL);

  if (dill_transfer_begin_send (&transfer, &suffix->framing, deadline) < 0)
    return -1;

  rc = send_message (&transfer, &suffix->matcher, first, length);
  dill_transfer_end (&transfer);
  return rc;
}

/* Receives a message and its mark.  Returns the message's length, of which the list FIRST gets what it has room for. */
static int
receive (struct dill_transfer *transfer, const struct dill_matcher *matcher, const struct dill_iolist *first,
         uint64_t *length)
{
  struct dill_iolist_cursor cursor = { first, 0 };
  unsigned state = 0;

  *length = 0;
  while (state < matcher->length)
    {
      char scratch[DILL_SUFFIX_MAX];
      const char *bytes = NULL;
      unsigned held = state; /* bytes that were taken and might be the mark's */
      ssize_t there = dill_transfer_look (transfer, &bytes, scratch, matcher->length - state);
      size_t taken, known, known_held;

      if (there < 0)
        return -1;

      taken = dill_matcher_scan (matcher, &state, bytes, (size_t) there);

      /* All but what might be the mark's now is the message's. */
      known = held + taken - state;
      known_held = known < held ? known : held;
      dill_iolist_fill (&cursor, matcher->mark, known_held);
      dill_iolist_fill (&cursor, bytes, known - known_held);
      dill_transfer_take (transfer, taken);
      *length += known;
    }

  return 0;
}

static ssize_t
suffix_mrecvl (struct dill_msock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct dill_suffix *suffix = suffix_of (vfs);
  size_t room = dill_transfer_sum (first);
  struct dill_transfer transfer;
  uint64_t length;
  int rc;

  (void) last;
  if (dill_transfer_begin_receive (&transfer, &suffix->framing, deadline) < 0)
    return -1;

  rc = receive (&transfer, &suffix->matcher, first, &length);
  dill_transfer_end (&transfer);
  if (rc < 0)
    return -1;

  return length > room ? fail (EMSGSIZE) : (ssize_t) length;
}

/* A function of its own: it tells what is a suffix. */
static void *
suffix_query (struct dill_hvfs *hvfs, const void *type)
{
  return dill_framing_query (hvfs, type);
}

static const struct dill_framing_class suffix_class = {
  .size = sizeof (struct dill_suffix),
  .query = suffix_query,
  .msock = { suffix_msendl, suffix_mrecvl },
};

static int
attach (int s, const void *mark, size_t length, void *mem)
{
  struct dill_suffix prototype = { .matcher = { .length = 0 } };

  if (mark == NULL || length < 1 || length > DILL_SUFFIX_MAX)
    return fail (EINVAL);

  dill_matcher_init (&prototype.matcher, mark, length);
  return dill_framing_attach (s, &suffix_class, &prototype.framing, mem);
}

int
dill_suffix_attach (int s, const void *suffix, size_t suffixlen)
{
  return attach (s, suffix, suffixlen, NULL);
}

int
dill_suffix_attach_mem (int s, const void *suffix, size_t suffixlen, void *mem)
{
  return mem == NULL ? fail (EINVAL) : attach (s, suffix, suffixlen, mem);
}

int
dill_suffix_detach (int s, int64_t deadline)
{
  (void) deadline;
  return dill_framing_detach (s, &suffix_class);
}
