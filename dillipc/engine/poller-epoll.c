/* poller-epoll.c: one epoll descriptor for an engine, which its source polls.
 *
 * A watch is registered once, edge-triggered, for reading; writing is added while somebody waits for it, because the
 * kernel reports it each time the peer reads.  It is taken off again only when it fires in vain: who sends much waits
 * often.  A new edge is reported for whatever arrives after the last look, so nothing is lost by remembering.
 *
 * One-shot watches, for descriptors that others read and write too, are level-triggered and forget after one event.
 * Others that are level-triggered, listeners, stay registered until they fire though nobody waits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/engine.h"
#include "engine/poll-function.h"
#include "engine/poller-slots.h"
#include "engine/watch.h"
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

const bool dill_poller_reports_edges = true;

void
dill_poller_init (struct dill_poller *poller)
{
  *poller = (struct dill_poller){ .epoll = { .fd = -1, .events = G_IO_IN } };
}

void
dill_poller_clear (struct dill_poller *poller)
{
  if (poller->epoll.fd >= 0)
    close (poller->epoll.fd); /* its number stays: the source may still be polled, and GLib sorts by that */
  dill_poll_function_clear (poller);
  dill_poller_clear_slots (poller);
}

static int
open_epoll (struct dill_engine *engine)
{
  struct dill_poller *poller = &engine->poller;

  if (poller->epoll.fd >= 0)
    return 0;

  poller->epoll.fd = epoll_create1 (EPOLL_CLOEXEC);
  if (poller->epoll.fd < 0)
    return -1;

  /* Not g_source_add_unix_fd (): a source with a ready descriptor of that kind is dispatched whatever its check
   * function says, so that it could never step back for others. */
  g_source_add_poll (engine->source, &poller->epoll);
  dill_poll_function_install (engine);
  return 0;
}

static int
control (struct dill_watch *watch, int operation, unsigned directions)
{
  struct dill_poller *poller = &watch->engine->poller;
  struct epoll_event event = { .events = watch->is_one_shot ? EPOLLONESHOT : watch->is_level ? 0 : EPOLLET };

  if (directions & DILL_IN)
    event.events |= EPOLLIN | EPOLLRDHUP;
  if (directions & DILL_OUT)
    event.events |= EPOLLOUT;
  event.data.u64 = (uint64_t) poller->slots[watch->slot - 1].generation << 32 | watch->slot;
  return epoll_ctl (poller->epoll.fd, operation, watch->fd, &event);
}

static int
register_watch (struct dill_watch *watch, unsigned directions)
{
  int rc;

  if (dill_poller_take_slot (&watch->engine->poller, watch) < 0)
    return -1;

  rc = control (watch, EPOLL_CTL_ADD, directions);
  if (rc < 0)
    dill_poller_free_slot (&watch->engine->poller, watch);
  return rc;
}

int
dill_poller_arm (struct dill_watch *watch, unsigned directions)
{
  if (G_LIKELY ((directions & ~watch->armed) == 0))
    return 0;

  if (watch->engine == NULL)
    {
      errno = EBADF;
      return -1;
    }

  if (open_epoll (watch->engine) < 0)
    return -1;

  directions |= watch->armed;
  if (watch->slot == 0)
    {
      if (register_watch (watch, watch->is_one_shot ? directions : directions | DILL_IN) < 0)
        return -1;
    }
  else if (control (watch, EPOLL_CTL_MOD, directions) < 0)
    {
      /* A one-shot watch whose descriptor was closed behind our back, and is another file now. */
      if (errno != ENOENT || control (watch, EPOLL_CTL_ADD, directions) < 0)
        return -1;
    }

  watch->armed = (uint8_t) (watch->is_one_shot ? directions : directions | DILL_IN);
  return 0;
}

void
dill_poller_disarm (struct dill_watch *watch)
{
  if (watch->slot == 0)
    return;

  epoll_ctl (watch->engine->poller.epoll.fd, EPOLL_CTL_DEL, watch->fd, NULL);
  dill_poller_free_slot (&watch->engine->poller, watch);
  watch->armed = 0;
}

void
dill_poller_remove_left (struct dill_poller *poller, GSource *source)
{
  /* Nothing of a watch is in the source. */
  (void) poller;
  (void) source;
}

void
dill_poller_listen (struct dill_poller *poller, bool listens)
{
  poller->epoll.events = listens ? G_IO_IN : 0;
}

bool
dill_poller_check (struct dill_engine *engine)
{
  return engine->poller.epoll.revents != 0;
}

bool
dill_poller_holds_events (const struct dill_engine *engine)
{
  return engine->poller.gathering != NULL && engine->poller.gathering->n_events > 0;
}

static unsigned
directions_of (uint32_t events)
{
  unsigned directions = 0;

  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
    directions |= DILL_IN;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
    directions |= DILL_OUT;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
    directions |= DILL_HUP;
  return directions;
}

/* A one-shot watch has forgotten both directions, though only one was ready: asks again for the OTHERS that are waited
 * for.  If that fails they are the caller's to look at: returns them. */
static unsigned
rearm (struct dill_watch *watch, unsigned others)
{
  watch->armed = 0;
  if (!dill_watch_is_busy (watch, others) || dill_poller_arm (watch, others) == 0)
    return 0;

  return others;
}

static void
report (struct dill_watch *watch, uint32_t events)
{
  unsigned directions = directions_of (events);

  if (watch->is_one_shot)
    directions |= rearm (watch, watch->armed & ~directions);
  else if (watch->is_level)
    {
      if (!dill_watch_is_pending (watch, directions))
        dill_poller_disarm (watch); /* or it would not stop */
    }
  else if ((events & EPOLLOUT) && !dill_watch_is_busy (watch, DILL_OUT) && watch->notify == NULL)
    {
      /* Nobody waits to send any more. */
      if (control (watch, EPOLL_CTL_MOD, DILL_IN) == 0)
        watch->armed = DILL_IN;
    }

  dill_watch_report (watch, directions);
}

/* No code of the program runs in here, so a watch can only vanish before: then its generation has changed. */
static void
report_all (struct dill_poller *poller, const struct epoll_event *events, int n_events)
{
  for (int i = 0; i < n_events; i++)
    {
      struct dill_watch *watch
          = dill_poller_find (poller, (uint32_t) events[i].data.u64, (uint32_t) (events[i].data.u64 >> 32));

      if (watch != NULL)
        report (watch, events[i].events);
    }
}

enum dill_findings
dill_poller_collect (struct dill_engine *engine)
{
  struct dill_poller *poller = &engine->poller;
  struct dill_gathering *gathering = poller->gathering;
  struct epoll_event events[DILL_N_EVENTS];
  int n_events;

  if (poller->epoll.fd < 0)
    return DILL_FOUND_NOTHING;

  poller->epoll.revents = 0; /* as old as the last poll (2) */
  if (gathering != NULL && gathering->n_events > 0)
    {
      n_events = gathering->n_events;
      gathering->n_events = 0;
      report_all (poller, gathering->events, n_events);
    }
  else
    {
      n_events = epoll_wait (poller->epoll.fd, events, DILL_N_EVENTS, 0);
      report_all (poller, events, n_events);
    }

  if (n_events <= 0)
    return DILL_FOUND_NOTHING;
  return n_events < DILL_N_EVENTS ? DILL_FOUND_ALL : DILL_FOUND_MUCH;
}

enum dill_rest
dill_poller_rest (struct dill_engine *engine)
{
  return engine->poller.gathering != NULL ? dill_poll_function_rest (engine) : DILL_REST_REFUSED;
}
