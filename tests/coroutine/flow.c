/* flow.c: flows of control and lines of TAP for the programs here, in plain C.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANARY_SIZE 4096 /* beyond the end of each stack, where nothing is to be written */
#define CANARY 0x7e

struct flow flow_own = { .in_use = true };
struct flow flows[N_FLOWS];
struct flow *flow_current = &flow_own;

static int n_checks;
static int n_failed;

void
check (bool condition, const char *what)
{
  n_checks++;
  n_failed += !condition;
  printf ("%s %d %s\n", condition ? "ok" : "not ok", n_checks, what);
}

void
skip (const char *what, const char *why)
{
  n_checks++;
  printf ("ok %d %s # SKIP %s\n", n_checks, what, why);
}

int
check_result (void)
{
  printf ("1..%d\n", n_checks);
  return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Flows that end cannot be cleared before another one runs. */
static void
reap_flows (void)
{
  for (int i = 0; i < N_FLOWS; i++)
    if (flows[i].ended)
      {
        dill_context_clear (&flows[i].context);
        flows[i].in_use = flows[i].ended = false;
      }
}

struct flow *
flow_new (void)
{
  reap_flows ();
  for (int i = 0; i < N_FLOWS; i++)
    if (!flows[i].in_use)
      {
        if (flows[i].stack == NULL)
          {
            flows[i].stack = malloc (FLOW_STACK_SIZE + CANARY_SIZE);
            if (flows[i].stack == NULL)
              abort ();
            memset (flows[i].stack + FLOW_STACK_SIZE, CANARY, CANARY_SIZE);
          }
        flows[i].in_use = true;
        flows[i].was_resumed = false;
        return &flows[i];
      }
  abort ();
}

void
flow_resume (struct flow *flow)
{
  flow->resumer = flow_current;
  flow->was_resumed = true;
  flow_current = flow;
  dill_context_switch (&flow->resumer->context, &flow->context);
}

void
flow_pause (void)
{
  struct flow *flow = flow_current;

  flow_current = flow->resumer;
  dill_context_switch (&flow->context, &flow_current->context);
}

void
flow_end (void)
{
  struct flow *flow = flow_current;

  flow->ended = true;
  flow_current = flow->resumer;
  dill_context_leave (&flow->context, &flow_current->context);
}

struct flow *
flow_start (void (*func) (void *data), void *data)
{
  struct flow *flow = flow_new ();

  dill_context_init (&flow->context, flow->stack, FLOW_STACK_SIZE, func, data);
  flow_resume (flow);
  return flow;
}

void
flow_begin (void)
{
  dill_context_init_thread (&flow_own.context);
}

bool
flow_finish (void)
{
  bool unharmed = true;

  reap_flows ();
  for (int i = 0; i < N_FLOWS; i++)
    {
      for (int j = 0; flows[i].stack != NULL && j < CANARY_SIZE; j++)
        unharmed &= flows[i].stack[FLOW_STACK_SIZE + j] == CANARY;
      free (flows[i].stack);
    }
  return unharmed;
}
