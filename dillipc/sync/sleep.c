/* sleep.c: the clock, and waits for nothing but time or one's turn.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/wait.h"
#include <dillipc/dill-coroutine.h>
#include <dillipc/dill-time.h>
#include <errno.h>
#include <time.h>

int64_t
dill_now (void)
{
  struct timespec now;

  /* Cannot fail: the clock exists and the pointer is good. */
  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int
dill_msleep (int64_t deadline)
{
  struct dill_wait wait;
  enum dill_outcome outcome;

  if (dill_wait_begin (&wait, "msleep", deadline) < 0)
    {
      /* A moment that has passed has been waited for. */
      return errno == ETIMEDOUT ? 0 : -1;
    }

  outcome = dill_wait_block (&wait);
  return outcome == DILL_TIMED_OUT ? 0 : dill_wait_result (outcome);
}

int
dill_yield (void)
{
  return dill_wait_yield ();
}
