/* fork.c: telling a child process from its parent.
 *
 * A handler of pthread_atfork(3) counts in the child.  The one lock of the library is held across the fork, so that no
 * thread that the child lacks can hold it there.  The handlers are installed at first use, not when the library is
 * loaded.  Children of vfork(2) and of a bare clone(2) are not seen; they may do nothing but exec in any case.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/fork.h"
#include "engine/lock.h"
#include <pthread.h>

unsigned dill_fork_generation = 0;

static void
count_in_child (void)
{
  dill_fork_generation++;
  dill_lock_release ();
}

bool
dill_fork_watch_unlocked (void)
{
  static bool is_watched; /* HOLDS: the library's lock */

  if (!is_watched)
    is_watched = pthread_atfork (dill_lock_take, dill_lock_release, count_in_child) == 0;
  return is_watched;
}
