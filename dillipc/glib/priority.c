/* priority.c: when coroutines go on, among the other sources of their context.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/engine.h"
#include "engine/thread.h"
#include <dillipc/dill-glib.h>

void
dill_set_priority (int priority)
{
  struct dill_thread *thread = dill_thread_get ();
  struct dill_engine *engine = thread == NULL ? NULL : dill_engine_get (thread);

  if (engine != NULL && engine->source != NULL)
    g_source_set_priority (engine->source, priority);
}
