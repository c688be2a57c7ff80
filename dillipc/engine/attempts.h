/* attempts.h: something that saves time if it succeeds and costs some if not: whether to try it again.
 *
 * A success earns credit and a failure costs one unit of it, so that what succeeds once in so many times as a success
 * earns is tried each time.  Without credit it is tried now and then.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DILL_ATTEMPTS_CREDIT_MAX 16

struct dill_attempts
{
  uint8_t credit;
  uint16_t n_left; /* occasions to let pass while there is no credit */
};

/* Asked on each occasion. */
static inline bool
dill_attempts_is_due (struct dill_attempts *attempts)
{
  if (attempts->credit > 0 || attempts->n_left == 0)
    return true;

  attempts->n_left--;
  return false;
}

/* How it went: a success earns GAIN; after a failure without credit, PAUSE occasions pass. */
static inline void
dill_attempts_learn (struct dill_attempts *attempts, bool has_paid, unsigned gain, unsigned pause)
{
  if (has_paid)
    {
      unsigned credit = attempts->credit + gain;

      attempts->credit = (uint8_t) (credit < DILL_ATTEMPTS_CREDIT_MAX ? credit : DILL_ATTEMPTS_CREDIT_MAX);
    }
  else if (attempts->credit > 0)
    attempts->credit--;

  attempts->n_left = (uint16_t) pause;
}
