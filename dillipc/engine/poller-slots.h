/* poller-slots.h: the table of watches that a poller knows, which both pollers need.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/poller.h"

/* Gives WATCH a place, unless it has one.  Returns 0, or -1 with errno ENOMEM. */
int dill_poller_take_slot (struct dill_poller *poller, struct dill_watch *watch);

/* Frees the place of WATCH. */
void dill_poller_free_slot (struct dill_poller *poller, struct dill_watch *watch);

/* The watch at a place, if it still is the one of that generation, or NULL. */
struct dill_watch *dill_poller_find (struct dill_poller *poller, uint32_t slot, uint32_t generation);

/* Tells all watches that they have no engine any more. */
void dill_poller_clear_slots (struct dill_poller *poller);
