/* fork.h: telling a child process from its parent.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>

/* Counts the forks between the process that first used the library and this one.  Whatever was made under another count
 * was inherited, and still belongs to the parent. */
extern unsigned dill_fork_generation;

/* Starts counting; called before anything is made that a child could inherit.  Returns false if there is no memory.
 * HOLDS: the library's lock */
bool dill_fork_watch_unlocked (void);
