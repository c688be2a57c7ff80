/* lock.h: the one lock of the library, for what threads share.
 *
 * It guards the blocks of handles that no thread has, the tie between an engine and its source, which may be cut from
 * two threads, the lists of a thread that others look at, and what is handed from one thread to another.  Never held
 * while code of the program runs, and held across fork (2), so that no thread that a child lacks can hold it there.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

void dill_lock_take (void);
void dill_lock_release (void);
