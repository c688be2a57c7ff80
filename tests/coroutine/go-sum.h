/* go-sum.h: the simplest coroutine, which compilers may look into.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "go-runtime.h"

static long sum;

/* Adds VALUE twice: at once, and when it goes on. */
static dill_coroutine void
add (long value)
{
  sum += value;
  flow_pause ();
  sum += value;
}
