/* poller.h: learning from the kernel which descriptors are ready.
 *
 * There are two of them, and a build has one: poller-epoll.c holds an epoll descriptor in the engine's source,
 * poller-glib.c holds a GPollFD there for each descriptor that is waited for.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct dill_engine;
struct dill_gathering;
struct dill_poll;
struct dill_watch;

/* A watch's number is its place in this table; the generation tells an event for a watch that is gone. */
struct dill_poller_slot
{
  struct dill_watch *watch; /* NULL: free */
  uint32_t generation;
  uint32_t next_free;     /* 1 + index, or 0 */
  struct dill_poll *poll; /* of poller-glib.c; NULL at first */
};

struct dill_poller
{
  struct dill_poller_slot *slots;
  uint32_t n_slots;
  uint32_t first_free;    /* 1 + index, or 0 */
  GPollFD epoll;          /* in the engine's source; fd -1 until a descriptor is waited for, and in poller-glib.c */
  struct dill_poll *left; /* poller-glib.c: those to be removed from the source; HOLDS: lock */
  bool is_fresh;          /* the context has polled, and its findings have not been collected */
  struct dill_gathering *gathering; /* of poll-function.c, or NULL */
};

/* Whether a direction that stays ready is reported again when something happens, and only then. */
extern const bool dill_poller_reports_edges;

void dill_poller_init (struct dill_poller *poller);

/* Forgets all watches, which are told that they have no engine any more. */
void dill_poller_clear (struct dill_poller *poller);

/* Frees what the engine's source may have polled until now. */
void dill_poller_free (struct dill_poller *poller);

/* Sees to it that WATCH will be told when one of DIRECTIONS, now not ready, becomes so.  Returns 0, or -1 with errno:
 * EEXIST if the descriptor is registered already, EPERM if it always is ready, ENOMEM, ENOSPC, EMFILE, EBADF. */
int dill_poller_arm (struct dill_watch *watch, unsigned directions);

/* Forgets WATCH.  To be called before its descriptor is closed: a duplicate of it elsewhere would go on to fire. */
void dill_poller_disarm (struct dill_watch *watch);

/* Removes from SOURCE, the engine's, what is not waited for any more.  For whoever iterates the context, in any
 * thread: it may be polled for ever by one who can do nothing else about it. */
void dill_poller_remove_left (struct dill_poller *poller, GSource *source);

/* Whether descriptors shall end the sleep of the context.  For whoever iterates it, in any thread. */
void dill_poller_listen (struct dill_poller *poller, bool listens);

/* After the context has polled: whether there is something to collect. */
bool dill_poller_check (struct dill_engine *engine);

/* Whether the kernel has said something that has not been collected, and will not say it again. */
bool dill_poller_holds_events (const struct dill_engine *engine);

enum dill_findings
{
  DILL_FOUND_NOTHING,
  DILL_FOUND_ALL,  /* what the kernel had to say */
  DILL_FOUND_MUCH, /* and there may be more */
};

/* Tells the watches what the kernel has to say now, without waiting. */
enum dill_findings dill_poller_collect (struct dill_engine *engine);

enum dill_rest
{
  DILL_REST_REFUSED, /* nobody has slept: the context is to be iterated */
  DILL_REST_EVENTS,  /* there is something to collect, and nothing else to do */
  DILL_REST_DONE     /* the context has had its turn */
};

/* Sleeps in the place of the context, until its earliest time-out at most, if none of its other sources has anything
 * to do and it would poll nothing but what the poller polls. */
enum dill_rest dill_poller_rest (struct dill_engine *engine);
