/* lock.c: the one lock of the library.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/lock.h"
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void
dill_lock_take (void)
{
  pthread_mutex_lock (&lock);
}

void
dill_lock_release (void)
{
  pthread_mutex_unlock (&lock);
}
