/* pause-utils.h: transfers that pause in the middle, if others have waited for long.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"

/* A list for which the kernel has room, and which it takes in a hundred system calls. */
enum
{
  N_ITEMS = 2000
};

static inline struct dill_iolist *
make_items (void)
{
  struct dill_iolist *items = g_new0 (struct dill_iolist, N_ITEMS);

  repeat_item (items, N_ITEMS, (char *) "x", 1);
  return items;
}

static inline void
send_many (void *data)
{
  g_autofree struct dill_iolist *items = make_items ();
  Call *call = data;

  call_done (call, dill_bsendl (call->s, &items[0], &items[N_ITEMS - 1], -1));
}
