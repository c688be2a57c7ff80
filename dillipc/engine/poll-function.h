/* poll-function.h: how a context with an engine waits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <sys/epoll.h>

struct dill_engine;
struct dill_poller;

/* Events asked for at a time: what does not fit comes with the next round. */
#define DILL_N_EVENTS 64

/* What has been found by a context that polls for us. */
struct dill_gathering
{
  int wakeup_fd; /* the context's own, registered with ours; -1: not known */
  int n_events;  /* that have not been collected */
  struct epoll_event events[DILL_N_EVENTS];
};

/* Makes the context of ENGINE, which has opened its epoll descriptor, wait in that, if the context polls as GLib
 * does by default and there is memory. */
void dill_poll_function_install (struct dill_engine *engine);

/* Forgets what was gathered. */
void dill_poll_function_clear (struct dill_poller *poller);

/* dill_poller_rest () for an engine with a gathering. */
enum dill_rest dill_poll_function_rest (struct dill_engine *engine);
