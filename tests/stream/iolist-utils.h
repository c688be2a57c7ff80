/* iolist-utils.h: lists of buffers to send and receive: those that are made at random, with a copy that tells whether
 * somebody has written into them, and a short one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"

/* As many as the longest list that is tested has. */
#define N_ITEMS_MAX 5000

/* A list over consecutive bytes, with guards behind them. */
typedef struct
{
  struct dill_iolist *items;
  struct dill_iolist *saved; /* what the items must still be afterwards */
  guint n_items;
  guint8 *bytes;
  gsize length;
} List;

static inline void *
copy_of (const void *memory, gsize size)
{
  return memcpy (g_malloc (size), memory, size);
}

/* Items some of which have no length and, with MAY_SKIP, some no buffer. */
static inline void
list_init (List *list, guint n_items, gsize item_max, bool may_skip)
{
  list->n_items = n_items;
  list->items = g_new0 (struct dill_iolist, n_items);
  list->bytes = g_malloc0 (n_items * item_max + 1);
  list->length = 0;
  for (guint i = 0; i < n_items; i++)
    {
      struct dill_iolist *item = &list->items[i];

      item->iol_len = g_test_rand_bit () ? (gsize) g_test_rand_int_range (0, (gint) item_max + 1) : 0;
      item->iol_base = may_skip && g_test_rand_int_range (0, 4) == 0 ? NULL : list->bytes + list->length;
      if (item->iol_len == 0 && g_test_rand_bit ())
        item->iol_base = NULL;
      item->iol_next = i + 1 < n_items ? item + 1 : NULL;
      list->length += item->iol_len;
    }
  list->saved = copy_of (list->items, n_items * sizeof *list->items);
}

static inline void
list_check_unchanged (const List *list)
{
  g_assert_true (memcmp (list->items, list->saved, list->n_items * sizeof *list->items) == 0);
}

static inline void
list_clear (List *list)
{
  g_free (list->items);
  g_free (list->saved);
  g_free (list->bytes);
}

/* Six items, all of them good: a test of bad lists makes one of them bad. */
typedef struct
{
  struct dill_iolist items[6];
  char bytes[6];
} Short;

static inline void
short_init (Short *list)
{
  memset (list, 0, sizeof *list);
  for (guint i = 0; i < 6; i++)
    {
      list->items[i].iol_base = &list->bytes[i];
      list->items[i].iol_len = 1;
      list->items[i].iol_next = i < 5 ? &list->items[i + 1] : NULL;
    }
}
