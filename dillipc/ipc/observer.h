/* observer.h: telling the GSources that a program has made for a handle that the handle is closed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/list.h"

struct dill_observer
{
  struct dill_list link; /* in the object's list */
  void (*closed) (struct dill_observer *observer, bool is_inherited);
};

/* Tells and forgets all observers in LIST, while the descriptor still is open.  IS_INHERITED: this is a forked
 * child, and the contexts that their sources are attached to may be the parent's. */
static inline void
dill_observers_close (struct dill_list *list, bool is_inherited)
{
  struct dill_list *link;

  while ((link = dill_list_take_first (list)) != NULL)
    {
      struct dill_observer *observer = dill_container_of (link, struct dill_observer, link);

      observer->closed (observer, is_inherited);
    }
}
