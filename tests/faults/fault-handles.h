/* fault-handles.h: want of handles, and threads that have lost some.
 *
 * Handles come in blocks, which the library keeps for ever: a thread that ends leaves its own to others.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

/* The main thread takes the first block.  That tells how to know such a block from other memory. */
void fault_handles_keep_first (void);

/* It takes all blocks that there are, so that other threads must ask for memory. */
void fault_handles_keep_all (void);

/* Uses up all handles of this thread's first block but one; the array is of int. */
void fault_handles_use_up (GArray *handles);
void fault_handles_give_back (GArray *handles);

/* Now that all is closed, nothing is set aside in this thread that nobody will ever give back. */
void fault_handles_check_thread (void);
