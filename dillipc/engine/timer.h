/* timer.h: points in time, the earliest first.
 *
 * A binary heap that is linked through its elements: adding a timer cannot fail, and costs no more than the logarithm
 * of their number.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dill_timer
{
  int64_t deadline;  /* milliseconds of dill_now () */
  uint64_t sequence; /* among equal deadlines the timer added first comes first */
  struct dill_timer *parent;
  struct dill_timer *left;
  struct dill_timer *right;
  bool pending;
};

struct dill_timer_heap
{
  struct dill_timer *root; /* the earliest, or NULL */
  size_t n_timers;
  uint64_t sequence; /* of the next timer */
};

/* Adds TIMER, whose deadline is set, and which is in no heap. */
void dill_timer_add (struct dill_timer_heap *heap, struct dill_timer *timer);

/* Takes TIMER, which is pending, out. */
void dill_timer_take_out (struct dill_timer_heap *heap, struct dill_timer *timer);

/* The same; does nothing if it is not pending. */
static inline void
dill_timer_remove (struct dill_timer_heap *heap, struct dill_timer *timer)
{
  if (timer->pending)
    dill_timer_take_out (heap, timer);
}
