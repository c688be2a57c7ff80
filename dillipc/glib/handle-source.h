/* handle-source.h: what the two public sources have in common: a handle, its descriptor, and the end of both.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "ipc/observer.h"
#include <dillipc/dill-glib.h>

struct dill_subscription;
struct dill_thread;

struct dill_handle_source
{
  GSource source;
  struct dill_subscription *subscription; /* of the source to its object; gone with it */
  void *object;                           /* the listener or connection; NULL once the handle is closed; HOLDS: lock */
  struct dill_thread *thread;             /* of the handle */
  int s;
  GIOCondition condition;
  gpointer tag; /* of the descriptor in the source */
};

/* Makes a source with FUNCS for OBJECT with its DESCRIPTOR. */
GSource *dill_handle_source_new (GSourceFuncs *funcs, const char *name, int s, void *object,
                                 struct dill_list *observers, int descriptor, GIOCondition condition);

/* Calls the program's function, if there still is something READY. */
gboolean dill_handle_source_dispatch (struct dill_handle_source *source, GIOCondition ready, GSourceFunc callback,
                                      gpointer user_data);

/* What the descriptor is ready for, of what was asked and what always is reported. */
GIOCondition dill_handle_source_query (struct dill_handle_source *source);

/* The object cannot go away between these two, though it belong to another thread. */
void *dill_handle_source_lock_object (struct dill_handle_source *source);
void dill_handle_source_unlock_object (void);
