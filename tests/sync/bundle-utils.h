/* bundle-utils.h: for tests of bundles: members, and coroutines that wait for a bundle.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

#include <string.h>

/* It is not over before its starter waits, however slow the machine is. */
static inline void
sleep_a_little (void *data)
{
  g_assert_no_errno (dill_yield ());
  g_assert_no_errno (dill_msleep (dill_now () + 3));
  if (data != NULL)
    (*(guint *) data)++;
}

static inline void
return_at_once (void *data)
{
  (*(guint *) data)++;
}

/* Memory of a bundle that is overwritten as soon as that is closed, and must stay so. */
static inline void
vanish (void *memory)
{
  memset (memory, 0xAA, sizeof (struct dill_bundle_storage));
}

static inline void
free_vanished (void *memory)
{
  for (guint i = 0; i < sizeof (struct dill_bundle_storage); i++)
    g_assert_cmphex (((guint8 *) memory)[i], ==, 0xAA);
  g_free (memory);
}

/* One who waits for a bundle, and what becomes of him. */
typedef struct
{
  int bundle;
  gint64 deadline;
  gboolean closes;  /* and then writes over its memory */
  gboolean refills; /* when his turn has come */
  void *memory;
  guint *n_ended;
  int result;
  int error;
} Waiter;

static inline void
wait_for_bundle (void *data)
{
  Waiter *waiter = data;

  errno = 0;
  waiter->result = dill_bundle_wait (waiter->bundle, waiter->deadline);
  waiter->error = errno;
  if (waiter->refills)
    g_assert_no_errno (dill_bundle_spawn (waiter->bundle, sleep_for_ever, waiter->n_ended));
  if (waiter->closes)
    {
      g_assert_no_errno (dill_hclose (waiter->bundle));
      vanish (waiter->memory);
    }
}

static inline void
start_waiters (int waiting, Waiter *waiters, guint n_waiters, int bundle)
{
  for (guint i = 0; i < n_waiters; i++)
    {
      waiters[i].bundle = bundle;
      waiters[i].deadline = soon ();
      waiters[i].result = 1;
      g_assert_no_errno (dill_bundle_spawn (waiting, wait_for_bundle, &waiters[i]));
      g_assert_cmpint (waiters[i].result, ==, 1);
    }
}
