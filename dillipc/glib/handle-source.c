/* handle-source.c: what the two public sources have in common.
 *
 * The object knows its sources.  When it is closed it destroys them, before its descriptor is closed, so that none of
 * them polls a number that means another file by then.  A source that is finalized first takes itself off the object's
 * list; that happens in the handle's thread, or after the handle was closed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "glib/handle-source.h"
#include "engine/source-name.h"

static void
handle_closed (struct dill_observer *observer)
{
  struct dill_handle_source *source = dill_container_of (observer, struct dill_handle_source, observer);

  source->object = NULL;
  g_source_remove_unix_fd (&source->source, source->tag);
  source->tag = NULL;
  g_source_destroy (&source->source);
}

GSource *
dill_handle_source_new (GSourceFuncs *funcs, const char *name, int s, void *object, struct dill_list *observers,
                        int descriptor, GIOCondition condition)
{
  GSource *base = g_source_new (funcs, sizeof (struct dill_handle_source));
  struct dill_handle_source *source = (struct dill_handle_source *) base;

  dill_source_set_name (base, name);
  source->object = object;
  source->s = s;
  source->condition = condition;
  source->observer.closed = handle_closed;
  dill_list_append (observers, &source->observer.link);
  source->tag = g_source_add_unix_fd (base, descriptor, condition | G_IO_HUP | G_IO_ERR);
  return base;
}

GIOCondition
dill_handle_source_query (struct dill_handle_source *source)
{
  GIOCondition ready;

  if (source->tag == NULL)
    return 0;

  ready = g_source_query_unix_fd (&source->source, source->tag);
  return ready & (source->condition | G_IO_HUP | G_IO_ERR);
}

gboolean
dill_handle_source_dispatch (struct dill_handle_source *source, GIOCondition ready, GSourceFunc callback,
                             gpointer user_data)
{
  if (callback == NULL)
    {
      g_warning ("an IPC source was dispatched without a callback: call g_source_set_callback()");
      return G_SOURCE_REMOVE;
    }

  return ((DillIpcSourceFunc) (void (*) (void)) callback) (source->s, ready, user_data);
}

void
dill_handle_source_finalize (GSource *base)
{
  struct dill_handle_source *source = (struct dill_handle_source *) base;

  if (source->object != NULL)
    dill_list_remove (&source->observer.link);
}
