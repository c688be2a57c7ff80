/* watch.c: a descriptor that is waited for.
 *
 * A watch is registered in its home engine at the first wait there.  A wait that goes on under another context
 * registers the descriptor there too, once, with a watch that hands its events on to the one at home.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/watch.h"
#include "engine/poller.h"
#include <errno.h>
#include <stdlib.h>

/* How long to pause before another try, in milliseconds, when the kernel has no room for one more registration. */
#define RETRY_MS 20

struct dill_foreign_watch
{
  struct dill_watch watch;
  struct dill_watch *home;
  struct dill_foreign_watch *next;
};

void
dill_watch_init (struct dill_watch *watch, struct dill_engine *engine, int fd)
{
  *watch = (struct dill_watch){ .engine = engine, .fd = fd, .ready = DILL_IN | DILL_OUT };
  dill_list_init (&watch->in);
  dill_list_init (&watch->out);
}

static void
hand_on (struct dill_watch *watch, unsigned directions)
{
  dill_watch_report (((struct dill_foreign_watch *) watch)->home, directions | (watch->ready & DILL_HUP));
}

static void
clear_foreign (struct dill_watch *watch, bool is_inherited)
{
  struct dill_foreign_watch *foreign;

  while ((foreign = watch->foreign) != NULL)
    {
      watch->foreign = foreign->next;
      if (!is_inherited && foreign->watch.engine != NULL)
        dill_poller_disarm (&foreign->watch);
      free (foreign);
    }
}

void
dill_watch_clear (struct dill_watch *watch)
{
  if (watch->engine != NULL)
    dill_poller_disarm (watch);
  clear_foreign (watch, false);
  dill_wait_close_all (&watch->in);
  dill_wait_close_all (&watch->out);
}

void
dill_watch_disown (struct dill_watch *watch)
{
  clear_foreign (watch, true);
}

void
dill_watch_report (struct dill_watch *watch, unsigned directions)
{
  watch->ready |= directions;
  if (watch->notify != NULL)
    {
      watch->notify (watch, directions);
      return;
    }

  if (directions & DILL_IN)
    dill_wait_wake_all (&watch->in, DILL_READY);
  if (directions & DILL_OUT)
    dill_wait_wake_all (&watch->out, DILL_READY);
}

static bool
has_pending (const struct dill_list *queue)
{
  for (struct dill_list *link = queue->next; link != queue; link = link->next)
    if (dill_wait_at (link)->outcome == DILL_PENDING)
      return true;

  return false;
}

bool
dill_watch_is_pending (const struct dill_watch *watch, unsigned directions)
{
  if (watch->notify == hand_on)
    watch = ((const struct dill_foreign_watch *) watch)->home;

  return ((directions & DILL_IN) && has_pending (&watch->in)) || ((directions & DILL_OUT) && has_pending (&watch->out));
}

/* The registration of WATCH's descriptor in ENGINE, or NULL with errno ENOMEM. */
static struct dill_watch *
find_registration (struct dill_watch *watch, struct dill_engine *engine)
{
  struct dill_foreign_watch *foreign;

  if (G_LIKELY (watch->engine == engine))
    return watch;

  for (foreign = watch->foreign; foreign != NULL; foreign = foreign->next)
    if (foreign->watch.engine == engine)
      return &foreign->watch;

  /* One that is not registered, because its engine has ended, can serve again. */
  for (foreign = watch->foreign; foreign != NULL && foreign->watch.slot != 0;)
    foreign = foreign->next;

  if (foreign == NULL)
    {
      foreign = calloc (1, sizeof *foreign);
      if (foreign == NULL)
        {
          errno = ENOMEM;
          return NULL;
        }
      foreign->next = watch->foreign;
      watch->foreign = foreign;
    }

  dill_watch_init (&foreign->watch, engine, watch->fd);
  foreign->watch.is_level = watch->is_level;
  foreign->watch.notify = hand_on;
  foreign->home = watch;
  return &foreign->watch;
}

enum dill_outcome
dill_watch_block (struct dill_watch *watch, unsigned direction, struct dill_wait *wait)
{
  struct dill_watch *registration = find_registration (watch, wait->engine);

  if (registration == NULL || dill_poller_arm (registration, direction) < 0)
    {
      /* A descriptor that is taken from us, or always ready, is for the caller to judge; want of memory will pass, and
       * must not cost what was received so far. */
      if (errno != ENOMEM && errno != ENOSPC && errno != EMFILE && errno != ENFILE)
        {
          dill_wait_abandon (wait);
          return DILL_PENDING;
        }
      watch->ready |= (uint8_t) direction; /* nobody else will tell: the next try must ask the kernel */
      dill_wait_retry_in (wait, RETRY_MS);
    }

  dill_list_append (direction == DILL_IN ? &watch->in : &watch->out, &wait->queue);
  return dill_wait_block (wait);
}

enum dill_outcome
dill_watch_wait (struct dill_watch *watch, unsigned direction, const char *what, int64_t deadline)
{
  struct dill_wait wait;

  if (dill_wait_begin (&wait, what, deadline) < 0)
    return DILL_PENDING;

  return dill_watch_block (watch, direction, &wait);
}
