/* flow.h: flows of control and lines of TAP for the programs here, in plain C.
 *
 * Flows are resumed in nested order only: whoever starts or resumes one gets control back when that pauses or ends.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine/context.h"
#include <stdbool.h>

#define N_FLOWS 64
#define FLOW_STACK_SIZE (64 << 10)

struct flow
{
  struct dill_context context;
  struct flow *resumer;
  bool in_use;
  bool ended;
  bool was_resumed;
  char *stack;
};

extern struct flow flow_own; /* the thread's own stack */
extern struct flow flows[N_FLOWS];
extern struct flow *flow_current;

void flow_begin (void);
bool flow_finish (void); /* whether nothing was written beyond the ends of the stacks */

struct flow *flow_new (void);
struct flow *flow_start (void (*func) (void *data), void *data);
void flow_resume (struct flow *flow);
void flow_pause (void);
void flow_end (void) __attribute__ ((noreturn));

/* Prints a line of TAP. */
void check (bool condition, const char *what);
void skip (const char *what, const char *why);

/* Prints the plan, and returns what main () is to return. */
int check_result (void);

/* In go-check.c. */
void check_go (void);
