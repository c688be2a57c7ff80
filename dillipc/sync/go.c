/* go.c: starting coroutines, and how they end.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/wait.h"
#include "sync/bundle.h"
#include <errno.h>
#include <string.h>

/* The outermost function of a coroutine that was not started by the macro. */
static void
run (void *data)
{
  struct dill_member *member = data;

  member->func (member->data);
  dill_member_exit (dill_thread_self);
}

int
dill_go_function (const struct dill_go_site *site, int bundle, void *mem, size_t len, DillFunc func, void *data)
{
  struct dill_thread *thread;
  struct dill_member *member;
  int handle;

  if (func == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  thread = dill_wait_get_thread ();
  if (thread == NULL || (member = dill_member_new (thread, site, bundle, mem, len, &handle)) == NULL)
    return -1;

  member->func = func;
  member->data = data;
  dill_context_init (&member->coroutine.context, member->stack.base, member->coroutine.stack_size, run, member);
  dill_scheduler_resume (thread, &member->coroutine);
  return handle;
}

int
dill_spawn (DillFunc func, void *data)
{
  static const struct dill_go_site site = { "dill_spawn ()", NULL, 0, DILL_GO_OWN_BUNDLE | DILL_GO_OWN_STACK };

  return dill_go_function (&site, -1, NULL, 0, func, data);
}

int
dill_bundle_spawn (int bundle, DillFunc func, void *data)
{
  static const struct dill_go_site site = { "dill_bundle_spawn ()", NULL, 0, DILL_GO_OWN_STACK };

  return dill_go_function (&site, bundle, NULL, 0, func, data);
}

/* Makes a coroutine.  Apart, so that going back need not save registers for it. */
__attribute__ ((noinline)) static void *
begin (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len, void *suspended_sp)
{
  struct dill_thread *thread = dill_wait_get_thread ();
  struct dill_member *member;

  if (thread == NULL || (member = dill_member_new (thread, site, bundle, mem, len, handle)) == NULL)
    {
      *handle = -1;
      return NULL;
    }

  return dill_scheduler_begin (thread, &member->coroutine, suspended_sp, member->stack.base,
                               member->coroutine.stack_size);
}

/* Called by dill_go_begin (), which is assembly. */
void *
dill_go_prepare (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len, void *suspended_sp)
{
  struct dill_thread *thread = dill_thread_self;
  void *way_back;

  if (!DILL_CONTEXT_HAS_WAY_BACK || thread == NULL || thread->way_back == NULL)
    return begin (handle, site, bundle, mem, len, suspended_sp);

  /* A coroutine that has just ended goes back to its starter. */
  way_back = thread->way_back;
  thread->way_back = NULL;
  return way_back;
}

void
dill_go_end (void)
{
  struct dill_thread *thread = dill_thread_self;

  if (!dill_scheduler_has_way_back (thread))
    dill_member_exit (thread);

  dill_member_go_back (thread);
}

void
dill_set_name (const char *name)
{
  struct dill_thread *thread = dill_thread_self;
  char *target;

  if (thread == NULL || thread->current == &thread->own)
    return;

  target = thread->current->name;
  memset (target, 0, sizeof thread->current->name);
  if (name != NULL)
    strncpy (target, name, sizeof thread->current->name - 1);
}
