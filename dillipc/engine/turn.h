/* turn.h: what an engine does when it is its turn.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>

struct dill_engine;

/* Tells watches and waits what has happened, and runs who can go on, for a millisecond at most. */
void dill_turn_take (struct dill_engine *engine);

/* For a wait that would iterate the main context of ENGINE: sleeps until there is something to do, and takes a turn, if
 * nothing but the engine has anything to do in that context; if others have by then, the context does what it would.
 * Returns whether this was a turn; if not, the context is to be iterated. */
bool dill_turn_take_alone (struct dill_engine *engine);
