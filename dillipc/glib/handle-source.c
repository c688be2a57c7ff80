/* handle-source.c: what the two public sources have in common.
 *
 * The object knows its sources by their subscriptions, which are used in the handle's thread alone. When it is closed
 * it destroys the sources, before its descriptor is closed, so that none of them polls a number that means another
 * file by then. A source may belong to a context that another thread runs, and be finalized there while the handle is
 * closed here: so each of the two leaves word of its end under a lock, the one of the library that is held across
 * fork (2).
 *
 * Relies on GLib to let a reference that is taken before a source's dispose function has returned save that source.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "glib/handle-source.h"
#include "coroutine/announce.h"
#include "engine/lock.h"
#include "engine/source-name.h"
#include "engine/thread.h"

struct dill_subscription
{
  struct dill_observer observer;
  struct dill_handle_source *source; /* NULL once that is finalized; HOLDS: lock */
};

void *
dill_handle_source_lock_object (struct dill_handle_source *source)
{
  dill_announce_receive (source);
  dill_lock_take ();
  return source->object;
}

void
dill_handle_source_unlock_object (void)
{
  dill_lock_release ();
}

/* Takes a reference, unless the last one is gone. Another thread then is on its way to the dispose function, and
 * frees the source soon, though one were taken with g_source_ref () (GLib 2.74): hence a look at the counter, which
 * is visible, but has no function for that. */
static bool
ref_if_alive (GSource *source)
{
  guint count = __atomic_load_n (&source->ref_count, __ATOMIC_RELAXED);

  while (count != 0)
    if (__atomic_compare_exchange_n (&source->ref_count, &count, count + 1, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
      return true;

  return false;
}

/* Destroying a source takes its descriptor from the context, unless that is the parent process's.  One without
 * references has been destroyed before. */
static void
handle_closed (struct dill_observer *observer, bool is_inherited)
{
  struct dill_subscription *subscription = dill_container_of (observer, struct dill_subscription, observer);
  struct dill_handle_source *source;
  bool is_alive = false;

  dill_lock_take ();
  source = subscription->source;
  if (source != NULL)
    {
      source->object = NULL;
      is_alive = !is_inherited && ref_if_alive (&source->source);
    }
  dill_lock_release ();

  g_free (subscription);
  if (is_alive)
    {
      g_source_destroy (&source->source);
      g_source_unref (&source->source);
    }
}

static void
handle_source_dispose (GSource *base)
{
  struct dill_handle_source *source = (struct dill_handle_source *) base;

  dill_announce_receive (source);
  dill_lock_take ();
  if (source->object != NULL)
    source->subscription->source = NULL;
  dill_lock_release ();
}

/* Takes off OBSERVERS those whose source is no more: a handle may outlive any number of sources. */
static void
forget_finalized (struct dill_list *observers)
{
  struct dill_list *link, *next;

  dill_lock_take ();
  for (link = observers->next; link != observers; link = next)
    {
      struct dill_subscription *subscription = dill_container_of (link, struct dill_subscription, observer.link);

      next = link->next;
      if (subscription->source == NULL)
        {
          dill_list_remove (link);
          g_free (subscription);
        }
    }
  dill_lock_release ();
}

GSource *
dill_handle_source_new (GSourceFuncs *funcs, const char *name, int s, void *object, struct dill_list *observers,
                        int descriptor, GIOCondition condition)
{
  struct dill_subscription *subscription = g_new0 (struct dill_subscription, 1);
  GSource *base = g_source_new (funcs, sizeof (struct dill_handle_source));
  struct dill_handle_source *source = (struct dill_handle_source *) base;

  dill_source_set_name (base, name);
  g_source_set_dispose_function (base, handle_source_dispose);
  source->subscription = subscription;
  source->object = object;
  source->thread = dill_thread_self;
  source->s = s;
  source->condition = condition;
  source->tag = g_source_add_unix_fd (base, descriptor, condition | G_IO_HUP | G_IO_ERR);

  forget_finalized (observers);
  subscription->source = source;
  subscription->observer.closed = handle_closed;
  dill_list_append (observers, &subscription->observer.link);
  dill_announce_give (source);
  return base;
}

GIOCondition
dill_handle_source_query (struct dill_handle_source *source)
{
  dill_announce_receive (source);
  return g_source_query_unix_fd (&source->source, source->tag) & (source->condition | G_IO_HUP | G_IO_ERR);
}

gboolean
dill_handle_source_dispatch (struct dill_handle_source *source, GIOCondition ready, GSourceFunc callback,
                             gpointer user_data)
{
  /* What was read ahead may have been taken since check (), by another source or a coroutine. */
  if (ready == 0)
    return G_SOURCE_CONTINUE;

  /* After dill_hown () whoever has the old number, and so its sources, can no longer reach the object. */
  if (dill_thread_self == source->thread && dill_handle_get (source->s) == NULL)
    return G_SOURCE_REMOVE;

  if (callback == NULL)
    {
      g_warning ("an IPC source was dispatched without a callback: call g_source_set_callback()");
      return G_SOURCE_REMOVE;
    }

  return ((DillIpcSourceFunc) (void (*) (void)) callback) (source->s, ready, user_data);
}
