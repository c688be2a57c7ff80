/* attempts.h: something that saves time if it succeeds and costs some if not: whether to try it again.
 *
 * What has just succeeded is tried each time; each failure in a row doubles the number of occasions that are let pass.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>

struct dill_attempts
{
  unsigned pause;  /* occasions to let pass after a failure: 2^n - 1 for n failures in a row */
  unsigned n_left; /* of these */
};

/* Asked on each occasion. */
static inline bool
dill_attempts_is_due (struct dill_attempts *attempts)
{
  if (attempts->n_left == 0)
    return true;

  attempts->n_left--;
  return false;
}

/* How it went; PAUSE_MAX, which is 2^n - 1, bounds the pause. */
static inline void
dill_attempts_learn (struct dill_attempts *attempts, bool has_paid, unsigned pause_max)
{
  if (has_paid)
    attempts->pause = 0;
  else if (attempts->pause < pause_max)
    attempts->pause = 2 * attempts->pause + 1;
  attempts->n_left = attempts->pause;
}
