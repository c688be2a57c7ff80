/* listener-source.c: the GSource of a listener, for programs in callback style.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "glib/handle-source.h"
#include "ipc/listener.h"

static gboolean
listener_source_check (GSource *base)
{
  return dill_handle_source_query ((struct dill_handle_source *) base) != 0;
}

static gboolean
listener_source_dispatch (GSource *base, GSourceFunc callback, gpointer user_data)
{
  struct dill_handle_source *source = (struct dill_handle_source *) base;

  return dill_handle_source_dispatch (source, dill_handle_source_query (source), callback, user_data);
}

static GSourceFuncs listener_source_funcs = {
  .check = listener_source_check,
  .dispatch = listener_source_dispatch,
};

GSource *
dill_ipc_listener_source_new (int s)
{
  struct dill_listener *listener = dill_listener_get (s);

  if (listener == NULL)
    return NULL;

  /* poll (2) asks the kernel each time, so the engine's memory of readiness plays no part. */
  return dill_handle_source_new (&listener_source_funcs, "[dillipc] listener", s, listener, &listener->observers,
                                 listener->watch.fd, G_IO_IN);
}
