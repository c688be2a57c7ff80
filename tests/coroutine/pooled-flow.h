/* pooled-flow.h: flows of control on stacks from a pool.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine/context.h"
#include "coroutine/stack.h"
#include "test-utils.h"

/* A flow that others switch to by name; whoever starts or resumes it is its back. */
typedef struct
{
  struct dill_context context;
  struct dill_context *back;
  struct dill_stack stack;
  guint number;
  gboolean ended;
  gpointer data;
} Flow;

static inline void
flow_init (Flow *flow, struct dill_stack_pool *pool, void (*func) (void *), gpointer data)
{
  flow->back = NULL;
  flow->ended = FALSE;
  flow->data = data;
  g_assert_no_errno (dill_stack_pool_take (pool, &flow->stack));
  dill_context_init (&flow->context, flow->stack.base, flow->stack.size, func, flow);
}

static inline void
flow_resume (Flow *flow, struct dill_context *self)
{
  flow->back = self;
  dill_context_switch (self, &flow->context);
}

static inline void
flow_pause (Flow *flow)
{
  dill_context_switch (&flow->context, flow->back);
}

G_GNUC_NORETURN static inline void
flow_end (Flow *flow)
{
  flow->ended = TRUE;
  dill_context_leave (&flow->context, flow->back);
}

/* For one that has ended. */
static inline void
flow_clear (Flow *flow, struct dill_stack_pool *pool)
{
  dill_context_clear (&flow->context);
  dill_stack_pool_give (pool, &flow->stack);
}

/* For one that has not, and never will. */
static inline void
flow_abandon (Flow *flow, struct dill_stack_pool *pool)
{
  dill_context_abandon (&flow->context);
  dill_stack_pool_give (pool, &flow->stack);
}
