/* poller-slots.c: the table of watches that a poller knows.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/poller-slots.h"
#include "engine/watch.h"
#include <errno.h>
#include <stdlib.h>

#define N_SLOTS_AT_FIRST 16

static int
grow (struct dill_poller *poller)
{
  uint32_t n_slots = poller->n_slots == 0 ? N_SLOTS_AT_FIRST : 2 * poller->n_slots;
  struct dill_poller_slot *slots = realloc (poller->slots, n_slots * sizeof *slots);

  if (slots == NULL)
    {
      errno = ENOMEM;
      return -1;
    }

  for (uint32_t i = n_slots; i-- > poller->n_slots;)
    {
      slots[i] = (struct dill_poller_slot){ .next_free = poller->first_free };
      poller->first_free = i + 1;
    }
  poller->slots = slots;
  poller->n_slots = n_slots;
  return 0;
}

int
dill_poller_take_slot (struct dill_poller *poller, struct dill_watch *watch)
{
  struct dill_poller_slot *slot;

  if (watch->slot != 0)
    return 0;

  if (poller->first_free == 0 && grow (poller) < 0)
    return -1;

  watch->slot = poller->first_free;
  slot = &poller->slots[watch->slot - 1];
  poller->first_free = slot->next_free;
  slot->watch = watch;
  return 0;
}

void
dill_poller_free_slot (struct dill_poller *poller, struct dill_watch *watch)
{
  struct dill_poller_slot *slot;

  if (watch->slot == 0)
    return;

  slot = &poller->slots[watch->slot - 1];
  slot->watch = NULL;
  slot->generation++;
  slot->next_free = poller->first_free;
  poller->first_free = watch->slot;
  watch->slot = 0;
}

struct dill_watch *
dill_poller_find (struct dill_poller *poller, uint32_t slot, uint32_t generation)
{
  if (slot == 0 || slot > poller->n_slots || poller->slots[slot - 1].generation != generation)
    return NULL;

  return poller->slots[slot - 1].watch;
}

void
dill_poller_clear_slots (struct dill_poller *poller)
{
  for (uint32_t i = 0; i < poller->n_slots; i++)
    {
      struct dill_watch *watch = poller->slots[i].watch;

      if (watch == NULL)
        continue;
      watch->engine = NULL;
      watch->slot = 0;
      watch->armed = 0;
    }
}

void
dill_poller_free (struct dill_poller *poller)
{
  for (uint32_t i = 0; i < poller->n_slots; i++)
    free (poller->slots[i].poll);
  free (poller->slots);
}
