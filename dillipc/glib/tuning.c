/* tuning.c: what a program may choose for the engine of its context.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/engine.h"
#include "engine/thread.h"
#include <dillipc/dill-glib.h>

/* Longer than that, sleeping costs less than it saves. */
#define SPIN_MAX_US 1000

static struct dill_engine *
current_engine (void)
{
  struct dill_thread *thread = dill_thread_get ();

  return thread == NULL ? NULL : dill_engine_get (thread);
}

void
dill_set_priority (int priority)
{
  struct dill_engine *engine = current_engine ();

  if (engine != NULL && engine->source != NULL)
    g_source_set_priority (engine->source, priority);
}

void
dill_set_spin (unsigned microseconds)
{
  struct dill_engine *engine = current_engine ();

  if (engine != NULL)
    engine->spin_us = MIN (microseconds, SPIN_MAX_US);
}
