/* errand.c: what one thread leaves for another to do.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/errand.h"
#include "engine/engine.h"
#include "engine/lock.h"
#include "engine/thread.h"

void
dill_errand_init (struct dill_errand *errand, void (*run) (struct dill_errand *errand))
{
  dill_list_init (&errand->link);
  errand->run = run;
}

void
dill_errand_leave_unlocked (struct dill_thread *thread, struct dill_errand *errand)
{
  if (!dill_list_is_empty (&errand->link))
    return;

  dill_list_append (&thread->errands, &errand->link);
  for (struct dill_list *link = thread->engines.next; link != &thread->engines; link = link->next)
    dill_source_wake_unlocked (dill_container_of (link, struct dill_engine, link));
}

void
dill_errand_withdraw_unlocked (struct dill_errand *errand)
{
  dill_list_remove (&errand->link);
}

void
dill_errand_run_all (struct dill_thread *thread)
{
  struct dill_list *link;

  for (;;)
    {
      dill_lock_take ();
      link = dill_list_take_first (&thread->errands);
      dill_lock_release ();
      if (link == NULL)
        return;

      dill_container_of (link, struct dill_errand, link)->run (dill_container_of (link, struct dill_errand, link));
    }
}
