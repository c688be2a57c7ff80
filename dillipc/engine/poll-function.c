/* poll-function.c: the poll function of a context with an engine.
 *
 * GLib calls poll (2), learns that the epoll descriptor is ready, and dispatches the engine's source, which asks
 * epoll_wait (2) what it is: two system calls for each turn, and a wake-up that goes through two wait queues.  Where
 * the context polls nothing but its own wake-up descriptor and the engine's, this function does both at once: the
 * wake-up descriptor is registered in the epoll descriptor too, and what epoll_wait () reports is kept until the source
 * is dispatched.  Whatever else is polled makes it call g_poll () as ever.
 *
 * The wake-up descriptor may be registered for good, since it lives as long as the context.  GLib does not say which
 * one it is; but it is the one that g_main_context_wakeup () makes readable.
 *
 * Where a wait drives the context, the whole turn can be done here: GLib is asked what it would do, and if that is to
 * wait for nothing but the two descriptors, there is no need to go through its loop.
 *
 * Relies on: epoll(7); g_main_context_set_poll_func ().
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/poll-function.h"
#include "engine/engine.h"
#include "engine/thread.h"
#include <stdlib.h>

/* On a single processor a spin never pays: then it must be rare. */
#define SPINS_PAUSE 1023

static bool
is_readable (int fd)
{
  GPollFD poll = { .fd = fd, .events = G_IO_IN };

  return g_poll (&poll, 1, 0) > 0 && (poll.revents & G_IO_IN);
}

/* Whether FD, which ENGINE's context polls, is the context's wake-up descriptor.  A further turn of the loop is the
 * price of the proof. */
static bool
is_wakeup (struct dill_engine *engine, int fd)
{
  if (is_readable (fd))
    return false; /* nothing can be proven now */

  g_main_context_wakeup (engine->context);
  return is_readable (fd);
}

static bool
register_wakeup (struct dill_engine *engine, const GPollFD *poll)
{
  struct dill_gathering *gathering = engine->poller.gathering;
  /* No watch has slot 0. */
  struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0 };

  if (gathering->wakeup_fd >= 0 || poll->events != G_IO_IN || !is_wakeup (engine, poll->fd)
      || epoll_ctl (engine->poller.epoll.fd, EPOLL_CTL_ADD, poll->fd, &event) < 0)
    return false;

  gathering->wakeup_fd = poll->fd;
  return true;
}

/* The engine of this thread whose epoll descriptor is one of the two; its place goes to INDEX.  NULL: there is none. */
static struct dill_engine *
find_engine (const GPollFD *fds, int *index)
{
  struct dill_thread *thread = dill_thread_self;

  if (thread == NULL || thread->fork_generation != dill_fork_generation)
    return NULL;

  for (struct dill_list *link = thread->engines.next; link != &thread->engines; link = link->next)
    {
      struct dill_engine *engine = dill_container_of (link, struct dill_engine, link);
      int fd = engine->poller.epoll.fd;

      if (fd >= 0 && (fds[0].fd == fd || fds[1].fd == fd))
        {
          *index = fds[1].fd == fd;
          return dill_engine_is_inherited (engine) || engine->poller.gathering == NULL ? NULL : engine;
        }
    }

  return NULL;
}

/* Waits like epoll_wait (), but does not sleep while that has lately been longer than waiting for the next event:
 * waking up takes longer than the answer of a peer on another processor. */
static int
spin_and_wait (struct dill_engine *engine, struct epoll_event *events, int timeout)
{
  int fd = engine->poller.epoll.fd;

  if (timeout != 0 && engine->spin_us > 0 && dill_attempts_is_due (&engine->spins))
    {
      int64_t end = g_get_monotonic_time () + engine->spin_us;
      int n_events;

      do
        n_events = epoll_wait (fd, events, DILL_N_EVENTS, 0);
      while (n_events == 0 && g_get_monotonic_time () < end);

      dill_attempts_learn (&engine->spins, n_events > 0, 1, SPINS_PAUSE);
      if (n_events != 0)
        return n_events;
    }

  return epoll_wait (fd, events, DILL_N_EVENTS, timeout);
}

static int
wait_in_epoll (struct dill_engine *engine, GPollFD *own, GPollFD *wakeup, int timeout)
{
  struct dill_gathering *gathering = engine->poller.gathering;
  int n_events = spin_and_wait (engine, gathering->events, timeout);

  own->revents = wakeup->revents = 0;
  if (n_events < 0)
    return -1;

  for (int i = 0; i < n_events; i++)
    if (gathering->events[i].data.u64 == 0)
      {
        wakeup->revents = G_IO_IN;
        gathering->events[i] = gathering->events[--n_events];
        break;
      }

  gathering->n_events = n_events;
  if (n_events > 0)
    own->revents = G_IO_IN;
  return (n_events > 0) + (wakeup->revents != 0);
}

static int
poll_function (GPollFD *fds, guint n_fds, int timeout)
{
  struct dill_engine *engine;
  struct dill_gathering *gathering;
  int own;

  if (n_fds != 2 || (engine = find_engine (fds, &own)) == NULL)
    return g_poll (fds, n_fds, timeout);

  /* What was found and not collected, since others had their turn, stands there until it is. */
  gathering = engine->poller.gathering;
  if (gathering->n_events > 0
      || (gathering->wakeup_fd != fds[!own].fd && !register_wakeup (engine, &fds[!own])))
    return g_poll (fds, n_fds, timeout);

  return wait_in_epoll (engine, &fds[own], &fds[!own], timeout);
}

enum dill_rest
dill_poll_function_rest (struct dill_engine *engine)
{
  struct dill_gathering *gathering = engine->poller.gathering;
  GMainContext *context = engine->context;
  GPollFD fds[2];
  int priority, timeout, own;

  if (gathering->n_events > 0 || gathering->wakeup_fd < 0 || g_main_context_get_poll_func (context) != poll_function
      || g_main_context_prepare (context, &priority)
      || g_main_context_query (context, priority, &timeout, fds, G_N_ELEMENTS (fds)) != G_N_ELEMENTS (fds))
    return DILL_REST_REFUSED;

  own = fds[1].fd == engine->poller.epoll.fd;
  if (fds[own].fd != engine->poller.epoll.fd || fds[!own].fd != gathering->wakeup_fd)
    return DILL_REST_REFUSED;

  /* Nobody else has anything to check, and the context is going to ask again. */
  if (wait_in_epoll (engine, &fds[own], &fds[!own], timeout) > 0 && fds[!own].revents == 0)
    {
      engine->is_prepared = false;
      return DILL_REST_EVENTS;
    }

  /* The time-out may be that of a source that wants to be asked now, and would ask for as much time again. */
  if (g_main_context_check (context, priority, fds, G_N_ELEMENTS (fds)))
    g_main_context_dispatch (context);
  return DILL_REST_DONE;
}

void
dill_poll_function_install (struct dill_engine *engine)
{
  struct dill_gathering *gathering;

  if (g_main_context_get_poll_func (engine->context) != g_poll
      && g_main_context_get_poll_func (engine->context) != poll_function)
    return;

  gathering = malloc (sizeof *gathering);
  if (gathering == NULL)
    return;

  gathering->wakeup_fd = -1;
  gathering->n_events = 0;
  engine->poller.gathering = gathering;
  /* It stays when the engine ends: without one it is g_poll (). */
  g_main_context_set_poll_func (engine->context, poll_function);
}

void
dill_poll_function_clear (struct dill_poller *poller)
{
  free (poller->gathering);
  poller->gathering = NULL;
}
