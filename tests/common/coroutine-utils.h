/* coroutine-utils.h: coroutines and sources to test with, which sleep and count.
 *
 * Relies on the library under test, unlike test-utils.h, but on nothing of it that needs sockets.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "test-utils.h"

#include <dillipc/dillipc.h>

/* A deadline that is never reached, unless what is tested is broken. */
static inline int64_t
soon (void)
{
  return dill_now () + 1000 * TEST_LIMIT_SECONDS * 2 / 3;
}

/* What has to have begun by its deadline may be late for that: the machine can stand still at any moment.  Whoever sees
 * that tries again with the next longer time, a few times.
 *
 *   for (int64_t patience = 2; !try_with (dill_now () + patience); patience = next_patience (patience))
 */
static inline int64_t
next_patience (int64_t milliseconds)
{
  g_assert_cmpint (milliseconds, <, 1000 * test_slowdown ());
  return 4 * milliseconds;
}

/* Sleeps, and lets all the others go first even if the time is over before it has begun. */
static inline void
sleep_for (int64_t milliseconds)
{
  g_assert_no_errno (dill_yield ());
  g_assert_no_errno (dill_msleep (dill_now () + milliseconds));
}

/* Waits under CONTEXT, so that the library has an engine there. */
static inline void
use_context (GMainContext *context)
{
  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_yield ());
  g_main_context_pop_thread_default (context);
}

/* Runs FUNC (DATA) in a coroutine, and waits until it is done. */
static inline void
in_coroutine (DillFunc func, void *data)
{
  int h = test_assert_ok (dill_spawn (func, data));

  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
}

/* A coroutine that waits five times, and counts in the guint DATA how often it has woken up. */
static inline void
sleep_and_count (void *data)
{
  for (guint i = 0; i < 5; i++)
    {
      sleep_for (1);
      (*(guint *) data)++;
    }
}

/* One that ends when it is cancelled, which it counts in the guint DATA unless that is NULL. */
static inline void
sleep_for_ever (void *data)
{
  test_assert_errno (dill_msleep (-1), ECANCELED);
  if (data != NULL)
    (*(guint *) data)++;
}

/* One that waits until it is cancelled for something to read from the descriptor that DATA points to. */
static inline void
poll_for_ever (void *data)
{
  test_assert_errno (dill_fdin (*(int *) data, -1), ECANCELED);
}

/* The functions of an object of the program's own that is of no use. */
static inline void *
query_nothing (struct dill_hvfs *vfs G_GNUC_UNUSED, const void *type G_GNUC_UNUSED)
{
  errno = ENOTSUP;
  return NULL;
}

static inline void
close_nothing (struct dill_hvfs *vfs G_GNUC_UNUSED)
{
}

/* The callback of a source that counts its turns in the guint DATA. */
static inline gboolean
count_calls (gpointer data)
{
  (*(guint *) data)++;
  return G_SOURCE_CONTINUE;
}

/* Attaches SOURCE to CONTEXT (NULL: the default one), with the priority that the library's have. */
static inline GSource *
add_source (GMainContext *context, GSource *source, GSourceFunc func, gpointer data)
{
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, func, data, NULL);
  g_source_attach (source, context);
  return source;
}

/* A source that always is ready. */
static inline GSource *
add_busy_source (GMainContext *context, guint *n_calls)
{
  return add_source (context, g_idle_source_new (), count_calls, n_calls);
}

/* Calls FUNC once the thread-default context is iterated and has nothing else to do: somebody waits under it. */
static inline void
call_when_waiting (GSourceFunc func, gpointer data)
{
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_LOW);
  g_source_set_callback (source, func, data, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  g_source_unref (source);
}

static inline void
remove_source (GSource *source)
{
  g_source_destroy (source);
  g_source_unref (source);
}
