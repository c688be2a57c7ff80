/* poller-glib.c: for systems without epoll: a GPollFD in the engine's source for each descriptor that is waited for.
 *
 * poll(2) is level-triggered: a direction is asked for only while somebody waits for it, and a watch of which nothing
 * is asked is not polled at all, so that an end of stream does not fire for ever.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/engine.h"
#include "engine/lock.h"
#include "engine/poller-slots.h"
#include "engine/watch.h"
#include <errno.h>
#include <stdlib.h>

/* What the context polls for one watch after the other. */
struct dill_poll
{
  GPollFD record; /* in the engine's source unless its fd is -1; changed by the engine's thread, but for that */
  bool is_left;
  struct dill_poll *next_left;
};

const bool dill_poller_reports_edges = false;

void
dill_poller_init (struct dill_poller *poller)
{
  *poller = (struct dill_poller){ .epoll = { .fd = -1 } };
}

void
dill_poller_clear (struct dill_poller *poller)
{
  dill_poller_clear_slots (poller);
}

static struct dill_poll *
poll_of (const struct dill_watch *watch)
{
  return watch->engine->poller.slots[watch->slot - 1].poll;
}

/* Whether somebody in this thread has a reference to CONTEXT, so that no other thread can be ending it. */
static bool
is_in_use (GMainContext *context)
{
  GMainContext *current = g_main_context_get_thread_default ();

  return context == (current != NULL ? current : g_main_context_default ()) || g_main_context_is_owner (context);
}

/* HOLDS: dill_lock_take () */
static void
remove_unlocked (GSource *source, struct dill_poll *poll)
{
  g_source_remove_poll (source, &poll->record);
  poll->record.fd = -1;
}

/* HOLDS: dill_lock_take () */
static void
leave_unlocked (struct dill_poller *poller, struct dill_poll *poll)
{
  if (poll->is_left)
    return;

  poll->is_left = true;
  poll->next_left = poller->left;
  __atomic_store_n (&poller->left, poll, __ATOMIC_RELAXED);
}

/* While the lock is held a context that the engine has not lost stays in memory, but it may be ending: then nothing
 * may be removed from it.  HOLDS: dill_lock_take () */
static void
poll_unlocked (struct dill_engine *engine, struct dill_poll *poll, int fd, gushort events)
{
  GPollFD *record = &poll->record;

  record->events = events;
  if (engine->source == NULL || !engine->has_context)
    return; /* what is polled goes with the source */

  if (events == 0 && record->fd >= 0 && !is_in_use (engine->context))
    {
      leave_unlocked (&engine->poller, poll);
      return;
    }

  if (record->fd >= 0 && (events == 0 || record->fd != fd))
    remove_unlocked (engine->source, poll);
  if (record->fd < 0 && events != 0)
    {
      *record = (GPollFD) { .fd = fd, .events = events };
      g_source_add_poll (engine->source, record);
    }
}

static void
poll_for (struct dill_watch *watch, unsigned directions)
{
  gushort events = 0;

  if (directions & DILL_IN)
    events |= G_IO_IN;
  if (directions & DILL_OUT)
    events |= G_IO_OUT;

  watch->armed = (uint8_t) directions;
  dill_lock_take ();
  poll_unlocked (watch->engine, poll_of (watch), watch->fd, events);
  dill_lock_release ();
}

void
dill_poller_remove_left (struct dill_poller *poller, GSource *source)
{
  struct dill_poll *poll;

  if (G_LIKELY (__atomic_load_n (&poller->left, __ATOMIC_RELAXED) == NULL))
    return;

  dill_lock_take ();
  while ((poll = poller->left) != NULL)
    {
      __atomic_store_n (&poller->left, poll->next_left, __ATOMIC_RELAXED);
      poll->is_left = false;
      if (poll->record.fd >= 0 && poll->record.events == 0)
        remove_unlocked (source, poll);
    }
  dill_lock_release ();
}

static int
register_watch (struct dill_watch *watch)
{
  struct dill_poller_slot *slot;

  if (dill_poller_take_slot (&watch->engine->poller, watch) < 0)
    return -1;

  slot = &watch->engine->poller.slots[watch->slot - 1];
  if (slot->poll != NULL)
    return 0;

  slot->poll = calloc (1, sizeof *slot->poll);
  if (slot->poll == NULL)
    {
      dill_poller_free_slot (&watch->engine->poller, watch);
      errno = ENOMEM;
      return -1;
    }

  slot->poll->record.fd = -1;
  return 0;
}

int
dill_poller_arm (struct dill_watch *watch, unsigned directions)
{
  if ((directions & ~watch->armed) == 0)
    return 0;

  if (watch->engine == NULL)
    {
      errno = EBADF;
      return -1;
    }

  if (register_watch (watch) < 0)
    return -1;

  poll_for (watch, directions | watch->armed);
  return 0;
}

void
dill_poller_disarm (struct dill_watch *watch)
{
  if (watch->slot == 0)
    return;

  poll_for (watch, 0);
  dill_poller_free_slot (&watch->engine->poller, watch);
}

void
dill_poller_listen (struct dill_poller *poller, bool listens)
{
  /* The table of what is polled is its own thread's. */
  (void) poller;
  (void) listens;
}

static GIOCondition
found_by_poll (const struct dill_watch *watch)
{
  return watch == NULL || poll_of (watch)->record.events == 0 ? 0 : poll_of (watch)->record.revents;
}

bool
dill_poller_check (struct dill_engine *engine)
{
  struct dill_poller *poller = &engine->poller;

  poller->is_fresh = false;
  for (uint32_t i = 0; i < poller->n_slots && !poller->is_fresh; i++)
    poller->is_fresh = found_by_poll (poller->slots[i].watch) != 0;

  return poller->is_fresh;
}

static void
report (struct dill_watch *watch, GIOCondition found)
{
  unsigned directions = 0;

  if (found & (G_IO_IN | G_IO_HUP | G_IO_ERR | G_IO_NVAL))
    directions |= DILL_IN;
  if (found & (G_IO_OUT | G_IO_HUP | G_IO_ERR | G_IO_NVAL))
    directions |= DILL_OUT;

  poll_for (watch, watch->armed & ~directions);
  if (found & (G_IO_HUP | G_IO_ERR | G_IO_NVAL))
    directions |= DILL_HUP;
  dill_watch_report (watch, directions);

  /* An acceptor whom another one, or another process, was faster than has not been woken: it goes on to wait. */
  if (watch->notify != NULL && dill_watch_is_pending (watch, directions))
    poll_for (watch, watch->armed | (directions & (DILL_IN | DILL_OUT)));
}

bool
dill_poller_holds_events (const struct dill_engine *engine)
{
  (void) engine;
  return false; /* what is ready, the next poll will find again */
}

enum dill_findings
dill_poller_collect (struct dill_engine *engine)
{
  struct dill_poller *poller = &engine->poller;
  enum dill_findings findings = DILL_FOUND_NOTHING;

  /* What the context found when it last polled is told once: after that it is out of date. */
  if (!poller->is_fresh)
    return DILL_FOUND_NOTHING;

  poller->is_fresh = false;
  for (uint32_t i = 0; i < poller->n_slots; i++)
    {
      struct dill_watch *watch = poller->slots[i].watch;
      GIOCondition condition = found_by_poll (watch);

      if (condition == 0)
        continue;
      findings = DILL_FOUND_ALL;
      poll_of (watch)->record.revents = 0;
      report (watch, condition);
    }

  return findings;
}

enum dill_rest
dill_poller_rest (struct dill_engine *engine)
{
  (void) engine;
  return DILL_REST_REFUSED;
}
