/* source.c: the GSource that drives an engine, one for each GMainContext.
 *
 * It holds the poller's descriptor and the earliest deadline, and runs what is ready.  It may recurse: a coroutine that
 * runs a main loop of its own does not stop the others, and GLib does not take the descriptor out of its poll set and
 * put it back for each dispatch, at three system calls.
 *
 * One dispatch works for a millisecond at most, then the context looks at its other sources.  Those of a lower priority
 * get no turn while this one always is ready: so once in 5 ms it passes for two turns.  The first may go to sources of
 * its own priority that have become ready during the dispatch, as a timer of a millisecond always has; the second comes
 * right after it.  A thread that has not worked much meanwhile has slept, and all had their turns.  That is told by its
 * processor time: where other programs keep the processor busy, a pause need not have been one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/engine.h"
#include "engine/lock.h"
#include "engine/source-name.h"
#include "engine/thread.h"
#include "engine/turn.h"
#include "engine/wait.h"
#include <dillipc/dill-time.h>
#include <limits.h>
#include <time.h>

#define BUSY_MAX_US 5000
#define TURNS_TO_PASS 2

struct dill_source
{
  GSource source;
  struct dill_thread *thread; /* whose engine it is; never looked into */
  struct dill_engine *engine; /* NULL once that has ended; for its own thread, or HOLDS: lock */
  struct dill_engine *record; /* the same, held: what is polled is in there */
};

/* Whether there is work to do without looking at descriptors and timers. */
static bool
has_work (const struct dill_engine *engine)
{
  return !dill_list_is_empty (&engine->ready) || dill_poller_holds_events (engine);
}

/* Milliseconds until the earliest deadline; -1: there is none. */
static int
next_timeout (struct dill_engine *engine)
{
  int64_t left;

  if (engine->timers.root == NULL)
    return -1;

  left = engine->timers.root->deadline - dill_now ();
  return (int) CLAMP (left, 0, INT_MAX);
}

/* Removes the source if its engine has ended.  Only who iterates the context is sure that the context is not ending. */
static void
remove_if_left (GSource *base)
{
  struct dill_source *source = (struct dill_source *) base;
  bool is_left;

  dill_lock_take ();
  is_left = source->engine == NULL;
  if (is_left)
    g_source_set_ready_time (base, -1);
  dill_lock_release ();

  if (is_left)
    g_source_destroy (base);
}

/* An engine runs in its own thread only, which may be freeing it: a context that another thread iterates does not even
 * look at it, nor is woken up by its descriptors. */
static struct dill_engine *
source_engine (GSource *base)
{
  struct dill_source *source = (struct dill_source *) base;
  struct dill_engine *engine = NULL;

  dill_announce_receive (source);
  if (source->thread == dill_thread_self && source->engine != NULL && !dill_engine_is_inherited (source->engine))
    engine = source->engine;
  dill_poller_listen (&source->record->poller, engine != NULL);
  dill_announce_give (source);

  if (G_UNLIKELY (engine == NULL))
    remove_if_left (base);
  return engine;
}

/* How much this thread has worked, in microseconds. */
static int64_t
processor_time (void)
{
  struct timespec time;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * INT64_C (1000000) + time.tv_nsec / 1000;
}

/* Whether this turn of the loop is for others, though there is work to do.  The end of the last turn will do for the
 * time: if that is long ago, others have had theirs. */
static bool
must_pass (struct dill_engine *engine)
{
  /* The others may take longer for their turns than it took until they got them: after these come turns of the
   * engine. */
  if (engine->is_next)
    return false;

  if (engine->n_turns_to_pass == 0 && engine->last_turn - engine->last_look > BUSY_MAX_US)
    {
      int64_t worked = processor_time ();

      engine->last_look = engine->last_turn;
      if (worked - engine->last_passed > BUSY_MAX_US / 2)
        {
          engine->last_passed = worked;
          engine->n_turns_to_pass = TURNS_TO_PASS;
        }
    }

  return engine->n_turns_to_pass > 0;
}

/* From now on the time is counted after which others have their turns. */
static void
begin_turns (struct dill_engine *engine)
{
  engine->is_next = false;
  engine->last_look = g_get_monotonic_time ();
  engine->last_passed = processor_time ();
}

static gboolean
source_prepare (GSource *source, int *timeout)
{
  struct dill_engine *engine = source_engine (source);

  *timeout = -1;
  if (engine == NULL)
    return FALSE;

  engine->is_prepared = true;
  *timeout = has_work (engine) ? 0 : next_timeout (engine);
  return *timeout == 0 && !must_pass (engine);
}

static gboolean
source_check (GSource *source)
{
  struct dill_engine *engine = source_engine (source);

  if (!g_source_is_destroyed (source))
    dill_poller_remove_left (&((struct dill_source *) source)->record->poller, source);

  if (engine == NULL)
    return FALSE;

  engine->is_prepared = false;
  if (!dill_poller_check (engine) && !has_work (engine) && next_timeout (engine) != 0)
    return FALSE;

  if (!must_pass (engine))
    return TRUE;

  engine->n_turns_to_pass--;
  engine->is_next = engine->n_turns_to_pass == 0;
  return FALSE;
}

static gboolean
source_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  struct dill_engine *engine = source_engine (source);

  (void) callback;
  (void) user_data;
  if (engine == NULL)
    {
      g_source_set_ready_time (source, -1);
      return G_SOURCE_CONTINUE;
    }

  /* If there was work before the context polled, GLib has not called the check function: what was found is news. */
  (void) dill_poller_check (engine);
  engine->is_prepared = false;
  if (G_UNLIKELY (g_source_get_ready_time (source) >= 0))
    {
      g_source_set_ready_time (source, -1);
      dill_errand_run_all (engine->thread);
    }
  if (engine->is_next)
    begin_turns (engine);
  dill_turn_take (engine);
  engine->last_dispatch = engine->last_turn;
  return G_SOURCE_CONTINUE;
}

/* Cuts the tie between a source and its engine.  HOLDS: dill_lock_take () */
static void
cut_unlocked (struct dill_engine *engine)
{
  ((struct dill_source *) engine->source)->engine = NULL;
  engine->source = NULL;
}

/* The context ends: what the library has left in it, the callback, is taken away while the context still is whole.  If
 * this is not the engine's thread, which may be ending at the same time, the rest is left to that. */
static void
source_lose (gpointer data)
{
  struct dill_source *source = data;
  struct dill_engine *engine;

  dill_announce_receive (source);
  dill_lock_take ();
  engine = source->engine;
  if (engine != NULL)
    {
      engine->has_context = false;
      if (source->thread != dill_thread_self)
        {
          cut_unlocked (engine);
          g_atomic_int_set (&engine->is_orphaned, 1);
          if (!dill_engine_is_inherited (engine))
            dill_errand_leave_unlocked (engine->thread, &engine->burial);
        }
    }
  dill_lock_release ();
}

/* It has ended in the engine's thread, unless the tie is cut. */
static void
source_finalize (GSource *source)
{
  struct dill_engine *engine;

  dill_lock_take ();
  engine = ((struct dill_source *) source)->engine;
  if (engine != NULL)
    engine->source = NULL;
  dill_lock_release ();

  if (engine != NULL)
    dill_engine_end (engine);
  dill_engine_release (((struct dill_source *) source)->record);
}

/* No source of the library has anything to call: this stands for the end that comes with it. */
static gboolean
never_called (gpointer data)
{
  (void) data;
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
  .prepare = source_prepare,
  .check = source_check,
  .dispatch = source_dispatch,
  .finalize = source_finalize,
};

void
dill_source_attach (struct dill_engine *engine)
{
  GSource *source = g_source_new (&source_funcs, sizeof (struct dill_source));

  ((struct dill_source *) source)->thread = engine->thread;
  ((struct dill_source *) source)->engine = engine;
  ((struct dill_source *) source)->record = engine;
  engine->source = source;
  engine->has_context = true;
  begin_turns (engine);
  dill_source_set_name (source, "[dillipc] engine");
  g_source_set_callback (source, never_called, source, source_lose);
  g_source_set_can_recurse (source, TRUE);
  dill_announce_give (source);
  g_source_attach (source, engine->context);
  g_source_unref (source);
}

void
dill_source_leave_unlocked (struct dill_engine *engine)
{
  GSource *source = engine->source;

  if (source == NULL)
    return;

  /* Not g_source_destroy (): it may find the context, and then wait for its mutex when another thread has freed it.  A
   * context that has not lost the source yet cannot end before the lock is released, and this calls nobody who takes
   * it.  The time never comes, but GLib wakes who sleeps in the context. */
  cut_unlocked (engine);
  engine->is_prepared = false;
  if (engine->has_context)
    g_source_set_ready_time (source, G_MAXINT64);
}

void
dill_source_wake_unlocked (struct dill_engine *engine)
{
  /* Not g_main_context_wakeup (), of which a context that is on the point of ending complains. */
  if (engine->source != NULL && engine->has_context && !dill_engine_is_inherited (engine))
    g_source_set_ready_time (engine->source, 0);
}
