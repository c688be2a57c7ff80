/* errand.h: what one thread leaves for another to do.
 *
 * An errand is part of some object of the thread that is to do it.  Whoever leaves it wakes all main contexts in which
 * that thread uses the library; the first one to be iterated there runs what is left.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/list.h"

struct dill_thread;

struct dill_errand
{
  struct dill_list link; /* in the thread's list */
  void (*run) (struct dill_errand *errand);
};

void dill_errand_init (struct dill_errand *errand, void (*run) (struct dill_errand *errand));

/* Leaves ERRAND to THREAD, once, unless it is left already.  HOLDS: dill_lock_take () */
void dill_errand_leave_unlocked (struct dill_thread *thread, struct dill_errand *errand);

/* Takes ERRAND back, if it has not been run.  HOLDS: dill_lock_take () */
void dill_errand_withdraw_unlocked (struct dill_errand *errand);

/* Runs what others have left for THREAD, the running one. */
void dill_errand_run_all (struct dill_thread *thread);
