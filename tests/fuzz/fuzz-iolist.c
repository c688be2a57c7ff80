/* fuzz-iolist.c: bsendl () and brecvl () take a list if and only if it is a good one, and leave a bad one alone.
 *
 * The input: a byte for the direction, one each for the first and last item, and four for each of eight items: buffer,
 * length, successor, and the reserved field.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz-input.h"

#define N_ITEMS 8
#define PIECE 64 /* bytes in an item of usual length, at most */

typedef struct
{
  struct dill_iolist items[N_ITEMS];
  uint8_t bytes[N_ITEMS][PIECE];
  struct dill_iolist *first;
  struct dill_iolist *last;
} List;

/* One of the items, or none. */
static struct dill_iolist *
choose (List *list, unsigned byte)
{
  return byte % (N_ITEMS + 1) == N_ITEMS ? NULL : &list->items[byte % (N_ITEMS + 1)];
}

static size_t
choose_length (unsigned byte)
{
  switch (byte)
    {
    case 255:
      return SIZE_MAX;
    case 254:
      return SSIZE_MAX;
    case 253:
      return SSIZE_MAX - PIECE;
    default:
      return byte % (PIECE + 1);
    }
}

static void
build (List *list, FuzzInput *input)
{
  list->first = choose (list, fuzz_take_byte (input));
  list->last = choose (list, fuzz_take_byte (input));
  for (unsigned i = 0; i < N_ITEMS; i++)
    {
      bool has_buffer = fuzz_take_byte (input) % 8 != 7;
      size_t length = choose_length (fuzz_take_byte (input));

      for (unsigned j = 0; j < PIECE; j++)
        list->bytes[i][j] = (uint8_t) (PIECE * i + j);
      list->items[i] = (struct dill_iolist){
        .iol_base = has_buffer ? list->bytes[i] : NULL,
        .iol_len = length,
        .iol_next = choose (list, fuzz_take_byte (input)),
        .iol_rsvd = fuzz_take_byte (input) == 255,
      };
    }
}

/* The plain way: no more steps than there are items. */
static bool
is_good (const List *list, bool may_skip, size_t *total)
{
  const struct dill_iolist *item = list->first;

  *total = 0;
  for (unsigned steps = 0; item != NULL && list->last != NULL && steps < N_ITEMS; steps++)
    {
      if (item->iol_rsvd != 0 || (item->iol_base == NULL && item->iol_len > 0 && !may_skip)
          || item->iol_len > SSIZE_MAX - *total)
        return false;

      *total += item->iol_len;
      if (item == list->last)
        return item->iol_next == NULL;
      item = item->iol_next;
    }

  return false;
}

/* Whether the list has buffers as long as their items say: one that is too long must not be written from or to. */
static bool
is_usable (const List *list)
{
  for (const struct dill_iolist *item = list->first; item != NULL; item = item->iol_next)
    if (item->iol_len > PIECE)
      return false;
  return true;
}

static void
check_sending (List *list, int s, int fd)
{
  uint8_t wire[N_ITEMS * PIECE + 1];
  size_t total, pos = 0;

  if (!is_good (list, false, &total))
    {
      errno = 0;
      g_assert_cmpint (dill_bsendl (s, list->first, list->last, FUZZ_DEADLINE), ==, -1);
      g_assert_cmpint (errno, ==, EINVAL);
      g_assert_cmpint (recv (fd, wire, sizeof wire, 0), ==, -1);
      g_assert_cmpint (errno, ==, EAGAIN);
      return;
    }

  if (!is_usable (list))
    return;

  g_assert_cmpint (dill_bsendl (s, list->first, list->last, FUZZ_DEADLINE), ==, 0);
  if (total > 0)
    g_assert_cmpint (recv (fd, wire, sizeof wire, 0), ==, total);
  for (const struct dill_iolist *item = list->first; item != NULL; item = item->iol_next)
    {
      g_assert_true (item->iol_len == 0 || memcmp (wire + pos, item->iol_base, item->iol_len) == 0);
      pos += item->iol_len;
    }
  g_assert_cmpuint (pos, ==, total);
}

static void
check_receiving (List *list, int s, int fd)
{
  uint8_t wire[N_ITEMS * PIECE];
  size_t total, pos = 0;

  for (unsigned i = 0; i < sizeof wire; i++)
    wire[i] = (uint8_t) (7 * i);

  g_assert_cmpint (send (fd, wire, sizeof wire, MSG_NOSIGNAL), ==, sizeof wire);
  g_assert_cmpint (shutdown (fd, SHUT_WR), ==, 0);
  if (!is_good (list, true, &total))
    {
      errno = 0;
      g_assert_cmpint (dill_brecvl (s, list->first, list->last, FUZZ_DEADLINE), ==, -1);
      g_assert_cmpint (errno, ==, EINVAL);
    }
  else if (is_usable (list))
    {
      g_assert_cmpint (dill_brecvl (s, list->first, list->last, FUZZ_DEADLINE), ==, 0);
      for (const struct dill_iolist *item = list->first; item != NULL; item = item->iol_next)
        {
          if (item->iol_base != NULL)
            g_assert_true (memcmp (wire + pos, item->iol_base, item->iol_len) == 0);
          pos += item->iol_len;
        }
      g_assert_cmpuint (pos, ==, total);
    }
  else
    return;

  fuzz_check_rest (s, wire + pos, sizeof wire - pos);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  FuzzInput input = { data, size };
  bool is_receiving = fuzz_take_byte (&input) % 2;
  static List list, before;
  int s, fd;

  build (&list, &input);
  before = list;
  s = fuzz_open (&fd);
  if (is_receiving)
    check_receiving (&list, s, fd);
  else
    check_sending (&list, s, fd);

  g_assert_true (memcmp (list.items, before.items, sizeof list.items) == 0);
  g_assert_cmpint (dill_hclose (s), ==, 0);
  close (fd);
  return 0;
}
