/* watch.h: a descriptor that is waited for, and what is known of it.
 *
 * Readiness is remembered here, so that an operation that would find nothing waits without asking the kernel again.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/list.h"
#include "engine/wait.h"
#include <stdbool.h>
#include <stdint.h>

/* Directions, and what may be known besides. */
enum
{
  DILL_IN = 1 << 0,
  DILL_OUT = 1 << 1,
  DILL_HUP = 1 << 2 /* the end is near: receiving must go on until it says so itself */
};

struct dill_watch
{
  struct dill_engine *engine; /* home; NULL once that has ended */
  int fd;
  uint32_t slot;     /* 1 + its index in the poller's table; 0: not registered */
  uint8_t armed;     /* directions that the poller knows of */
  uint8_t ready;     /* what is known, of the three above */
  bool is_one_shot;  /* the poller forgets a direction once it was ready: for descriptors that others use too */
  bool is_level;     /* what is ready is reported again and again: for those that are costly to ask */
  struct dill_list in;
  struct dill_list out;                                             /* waits */
  void (*notify) (struct dill_watch *watch, unsigned directions);   /* NULL: wakes all who wait for them */
  struct dill_foreign_watch *foreign;                               /* registrations under other contexts */
};

/* Makes a watch of FD at home in ENGINE, of which nothing is known: everything is worth a try. */
void dill_watch_init (struct dill_watch *watch, struct dill_engine *engine, int fd);

/* Forgets the descriptor everywhere, and wakes who waits for it with DILL_CLOSED. */
void dill_watch_clear (struct dill_watch *watch);

/* The same in a forked child: touches neither the parent's epoll nor its waits. */
void dill_watch_disown (struct dill_watch *watch);

/* Told by the poller: DIRECTIONS are ready. */
void dill_watch_report (struct dill_watch *watch, unsigned directions);

/* Waits for DIRECTION in WATCH's queue.  The caller has found that it is not ready, and tries again when the outcome is
 * DILL_READY.  On failure to begin, the outcome is DILL_PENDING with errno set. */
enum dill_outcome dill_watch_wait (struct dill_watch *watch, unsigned direction, const char *what, int64_t deadline);

/* The same with a wait that was begun already, and carries more of the caller's data with it. */
enum dill_outcome dill_watch_block (struct dill_watch *watch, unsigned direction, struct dill_wait *wait);

/* Whether somebody waits. */
static inline bool
dill_watch_is_busy (const struct dill_watch *watch, unsigned directions)
{
  return ((directions & DILL_IN) && !dill_list_is_empty (&watch->in))
         || ((directions & DILL_OUT) && !dill_list_is_empty (&watch->out));
}

/* Whether somebody waits who has not been woken.  Of a registration under another context: for the watch at home. */
bool dill_watch_is_pending (const struct dill_watch *watch, unsigned directions);
