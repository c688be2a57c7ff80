/* fault-world.h: what a scenario of fault injection works on.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"

#define FAULT_BUFFER_SIZE 1000

/* What a scenario works on.  All but the last part is closed, freed and forgotten at its end. */
typedef struct _FaultWorld FaultWorld;

struct _FaultWorld
{
  int handles[4]; /* to be closed, 0: none */
  int fds[4];     /* likewise, -1: none */
  char *path;     /* for a socket; nothing may be left behind in its directory */
  guint8 buffer[FAULT_BUFFER_SIZE];
  char mem[1024]; /* for objects in the caller's memory */
  gint64 value;   /* of use to the scenario */
  gconstpointer data;

  int64_t deadline; /* the call's */
  int injected;     /* errno of the fault, 0: there is none */
  const char *dir;  /* of the test case, where PATH is at first */
  GSource *later;
  gboolean (*later_func) (FaultWorld *world);
};

/* Has FUNC (WORLD) called whenever the main context has nothing else to do, as it has when the call waits, until it
 * returns G_SOURCE_REMOVE.  For the peer's part, in plain system calls. */
void fault_world_later (FaultWorld *world, gboolean (*func) (FaultWorld *world));

/* A call to be tested: closes the world's first handle. */
static inline gint64
try_hclose (FaultWorld *world)
{
  int h = world->handles[0];

  world->handles[0] = 0;
  return dill_hclose (h);
}

/* What follows serves fault-points.c. */

/* Opens a world whose directory is known, and closes all that is open in it. */
void fault_world_open (FaultWorld *world);
void fault_world_close (FaultWorld *world);

/* How many entries the directory has that the world's path is in; afterwards there are none in the second case. */
guint fault_world_count_files (const FaultWorld *world);
guint fault_world_remove_files (const FaultWorld *world);
