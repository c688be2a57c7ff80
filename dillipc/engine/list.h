/* list.h: doubly linked lists whose links are members of the elements, so that nothing is ever allocated for them.
 *
 * A list is a ring through its head.  A link that is in no list points to itself: removing it again does nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct dill_list
{
  struct dill_list *next;
  struct dill_list *prev;
};

/* The structure of TYPE whose MEMBER is at POINTER. */
#define dill_container_of(pointer, type, member) ((type *) (void *) ((char *) (pointer) - offsetof (type, member)))

static inline void
dill_list_init (struct dill_list *list)
{
  list->next = list;
  list->prev = list;
}

static inline bool
dill_list_is_empty (const struct dill_list *list)
{
  return list->next == list;
}

static inline void
dill_list_append (struct dill_list *list, struct dill_list *link)
{
  link->next = list;
  link->prev = list->prev;
  list->prev->next = link;
  list->prev = link;
}

static inline void
dill_list_remove (struct dill_list *link)
{
  link->prev->next = link->next;
  link->next->prev = link->prev;
  dill_list_init (link);
}

/* Takes the first link off, or returns NULL. */
static inline struct dill_list *
dill_list_take_first (struct dill_list *list)
{
  struct dill_list *first = list->next;

  if (first == list)
    return NULL;

  dill_list_remove (first);
  return first;
}
