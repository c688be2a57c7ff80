/* connection-source.c: the GSource of a connection, for programs in callback style.
 *
 * What was read ahead, poll (2) does not know of: such bytes make the source ready by themselves.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "glib/handle-source.h"
#include "ipc/connection.h"
#include <errno.h>

/* What can be received without asking the kernel. */
static GIOCondition
buffered (struct dill_handle_source *source)
{
  struct dill_connection *connection = dill_handle_source_lock_object (source);
  bool is_buffered = connection != NULL && __atomic_load_n (&connection->buffer, __ATOMIC_RELAXED) != NULL;

  dill_handle_source_unlock_object ();
  return is_buffered ? source->condition & G_IO_IN : 0;
}

static gboolean
connection_source_prepare (GSource *base, int *timeout)
{
  *timeout = -1;
  return buffered ((struct dill_handle_source *) base) != 0;
}

static GIOCondition
query (GSource *base)
{
  struct dill_handle_source *source = (struct dill_handle_source *) base;

  return buffered (source) | dill_handle_source_query (source);
}

static gboolean
connection_source_check (GSource *base)
{
  return query (base) != 0;
}

static gboolean
connection_source_dispatch (GSource *base, GSourceFunc callback, gpointer user_data)
{
  return dill_handle_source_dispatch ((struct dill_handle_source *) base, query (base), callback, user_data);
}

static GSourceFuncs connection_source_funcs = {
  .prepare = connection_source_prepare,
  .check = connection_source_check,
  .dispatch = connection_source_dispatch,
};

GSource *
dill_ipc_connection_source_new (int s, GIOCondition condition)
{
  struct dill_connection *connection;

  if (condition == 0 || (condition & ~(G_IO_IN | G_IO_OUT | G_IO_HUP | G_IO_ERR)) != 0)
    {
      errno = EINVAL;
      return NULL;
    }

  connection = dill_connection_get (s);
  if (connection == NULL)
    return NULL;

  return dill_handle_source_new (&connection_source_funcs, "[dillipc] connection", s, connection,
                                 &connection->observers, connection->watch.fd, condition);
}
