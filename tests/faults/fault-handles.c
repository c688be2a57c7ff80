/* fault-handles.c: see fault-handles.h.
 *
 * Relies on the library's records for what cannot be seen from outside: numbers, stacks and watches that are set aside.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-handles.h"
#include "coroutine-utils.h"
#include "engine/engine.h"
#include "engine/thread.h"
#include "fault-plan.h"

/* Of handles.  The first has one less: the main thread's. */
#define BLOCK_SIZE 256

static struct dill_hvfs nothing = { query_nothing, close_nothing };

void
fault_handles_keep_all (void)
{
  guint n_blocks = fault_n_handle_blocks ();

  while (fault_n_handle_blocks () == n_blocks)
    test_assert_ok (dill_hmake (&nothing));
}

void
fault_handles_keep_first (void)
{
  test_assert_errno (dill_hclose (-1), EBADF);
  fault_expect_handles ();
  test_assert_ok (dill_hmake (&nothing));
}

void
fault_handles_use_up (GArray *handles)
{
  const Fault no_more = { FAULT_calloc_handles, ENOMEM, 1, true };

  do
    {
      int h = test_assert_ok (dill_hmake (&nothing));

      g_array_append_val (handles, h);
      fault_arm (&no_more, NULL);
    }
  while (dill_thread_self->handles.n_free != 1);
  fault_disarm ();
}

void
fault_handles_give_back (GArray *handles)
{
  for (guint i = 0; i < handles->len; i++)
    g_assert_no_errno (dill_hclose (g_array_index (handles, int, i)));
}

void
fault_handles_check_thread (void)
{
  struct dill_thread *thread = dill_thread_self;

  if (thread == NULL)
    return;

  dill_thread_reap (thread);
  if (thread->handles.n_free % BLOCK_SIZE != 0)
    g_error ("a handle is lost");
  if (thread->stacks.n_free != thread->stacks.n_stacks)
    g_error ("a stack is lost");
  for (struct dill_list *link = thread->engines.next; link != &thread->engines; link = link->next)
    {
      struct dill_poller *poller = &dill_container_of (link, struct dill_engine, link)->poller;

      for (guint i = 0; i < poller->n_slots; i++)
        if (poller->slots[i].watch != NULL)
          g_error ("a watch is left in the poller");
    }
}
