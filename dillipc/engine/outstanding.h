/* outstanding.h: addresses that somebody will call back with, though nobody waits there any more.
 *
 * An operation that was given up, because its deadline was reached or its coroutine was cancelled, still knows the
 * address of the record that its caller had on a stack.  The record may be gone when the callback comes, and another
 * one may stand in its place.  So the callback is owed at the address, which is noted here; whatever is at the address
 * is not looked at.
 *
 * While callbacks are owed at an address, one that comes cannot be told from that of a newer record there.  Records are
 * numbered in the order in which they were made, which shows whether one was there already when a callback was taken
 * for an older one's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The number of the next record. */
size_t dill_outstanding_number (void);

/* One more callback is owed at ADDRESS.  HOLDS: dill_lock_take () */
void dill_outstanding_add_unlocked (const void *address);

/* A callback has come for ADDRESS.  Returns whether it was one of those that are owed there: then it is not any more.
 * HOLDS: dill_lock_take () */
bool dill_outstanding_settle_unlocked (const void *address);

/* Whether callbacks for the record at ADDRESS that has NUMBER are sure to be its own.  If not, one may have been
 * taken for another one's, or may be.  HOLDS: dill_lock_take () */
bool dill_outstanding_is_clear_unlocked (const void *address, size_t number);

/* Whether a callback is owed at any of the SIZE bytes from BASE. */
bool dill_outstanding_is_within (const void *base, size_t size);
