/* go-runtime.c: the library's part of dill_go (), in miniature.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "go-runtime.h"

#include <errno.h>
#include <string.h>

bool go_refuses;

/* Starts a flow as a coroutine's, or fails. */
static struct flow *
new_flow (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len)
{
  struct flow *flow;

  if (go_refuses || site->line <= 0 || bundle != -1 || mem != NULL || len != 0)
    {
      *handle = -1;
      errno = ENOMEM;
      return NULL;
    }

  flow = flow_new ();
  *handle = (int) (flow - flows);
  return flow;
}

#if !defined(WITH_UCONTEXT)

static void *way_back;

void *
dill_go_prepare (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len, void *suspended_sp)
{
  struct flow *flow;
  void *sp = way_back;

  way_back = NULL;
  if (sp != NULL)
    return sp;

  flow = new_flow (handle, site, bundle, mem, len);
  if (flow == NULL)
    return NULL;

  sp = dill_context_init_bare (&flow->context, flow->stack, FLOW_STACK_SIZE);
  flow->resumer = flow_current;
  flow_current = flow;
  dill_context_suspended_at (&flow->resumer->context, suspended_sp, &flow->context);
  return sp;
}

void
dill_go_end (void)
{
  if (!DILL_CONTEXT_HAS_WAY_BACK || dill_context_has_listeners () || flow_current->was_resumed)
    flow_end ();

  flow_current->ended = true;
  flow_current = flow_current->resumer;
  way_back = dill_context_way_back (&flow_current->context);
}

#endif

/* What runs a function that is not begun in the middle of another one: that of C++. */
struct call
{
  DillFunc func;
  void *data;
};

static void
run (void *data)
{
  struct call call = *(struct call *) data;

  call.func (call.data);
  flow_end ();
}

int
dill_go_function (const struct dill_go_site *site, int bundle, void *mem, size_t len, DillFunc func, void *data)
{
  struct call call = { func, data };
  int handle;
  struct flow *flow = new_flow (&handle, site, bundle, mem, len);

  if (flow != NULL)
    {
      dill_context_init (&flow->context, flow->stack, FLOW_STACK_SIZE, run, &call);
      flow_resume (flow);
    }
  return handle;
}

void
go_resume_to_end (int handle)
{
  while (!flows[handle].ended)
    flow_resume (&flows[handle]);
}

__attribute__ ((noinline)) void
go_overwrite_stack (void)
{
  volatile char space[32768];

  memset ((char *) space, 0xa5, sizeof space);
}
