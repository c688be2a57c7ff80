/* fault-points.h: makes each call of the library fail in turn, in a given scenario, and looks at what comes of it.
 *
 * A point is one run of a scenario with one fault: a thread with a main context of its own sets things up, makes the
 * call that is tested while the fault is in force, makes it once more without if it failed, and ends.  What holds at
 * every point is looked at here; what the call is for, by the scenario's own check.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "fault-plan.h"
#include "fault-world.h"

/* What is to be expected of a scenario. */
typedef enum
{
  FAULT_IS_FINAL = 1 << 0,    /* the call takes the object away in any case, and cannot be made again */
  FAULT_MAY_BREAK = 1 << 1,   /* any failure may have come halfway: then the next call gives ECONNRESET */
  FAULT_MAY_LEAVE = 1 << 2,   /* what lay about before may lie there in the end */
  FAULT_LAST_HANDLE = 1 << 3, /* the thread has one handle left, and asks for more */
} FaultTraits;

typedef struct
{
  const char *function; /* public */
  const char *variant;
  FaultTraits traits;
  Fault given; /* in force throughout */

  /* Before the call; may be NULL. */
  void (*set_up) (FaultWorld *world);

  /* The call: what it returns, and errno; -1 for failure. */
  gint64 (*call) (FaultWorld *world);

  /* After it has succeeded; may be NULL.  Takes over what it made. */
  void (*check) (FaultWorld *world, gint64 result);

  /* Errnos after which the object answers ECONNRESET; 0 ends the list. */
  int breaks[3];

  gconstpointer data; /* the world's */
} FaultScenario;

/* A row of a table of them: what most have, and then what else there is, such as ".traits = FAULT_IS_FINAL". */
#define SCENARIO(function_, variant_, set_up_, call_, check_, ...)                                                     \
  {                                                                                                                    \
    .function = function_, .variant = variant_, .set_up = set_up_, .call = call_, .check = check_, __VA_ARGS__         \
  }

/* For these rows: CALL fails with ERROR each time; and errnos after which the object answers ECONNRESET. */
#define FAULT_GIVEN(call_, error_) .given = { .call = FAULT_##call_, .error = error_, .nth = 1, .persists = true }
#define FAULT_BREAKS(...) .breaks = { __VA_ARGS__ }

/* The rest of main (): runs N scenarios, on the main stack and in a coroutine, each a test case. */
int fault_main (int *argc, char ***argv, const FaultScenario *scenarios, guint n);
