/* choose-utils.h: for tests of choose (): channels, clauses that receive from all of them, and coroutines that choose.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

#define N_CHANNELS 20

/* Some channels, a bundle for those who use them, and clauses that receive from all of them. */
typedef struct
{
  int near[N_CHANNELS];
  int far[N_CHANNELS];
  int b;
  int values[N_CHANNELS];
  struct dill_chclause clauses[N_CHANNELS];
} Fixture;

static inline void
set_up (Fixture *fixture, gconstpointer data)
{
  (void) data;
  fixture->b = test_assert_ok (dill_bundle ());
  for (guint i = 0; i < N_CHANNELS; i++)
    {
      int ends[2];

      g_assert_no_errno (dill_chmake (ends));
      fixture->near[i] = ends[0];
      fixture->far[i] = ends[1];
      fixture->clauses[i] = (struct dill_chclause) { DILL_CHRECV, ends[0], &fixture->values[i], sizeof (int) };
    }
}

static inline void
tear_down (Fixture *fixture, gconstpointer data)
{
  (void) data;
  g_assert_no_errno (dill_hclose (fixture->b));
  for (guint i = 0; i < N_CHANNELS; i++)
    {
      if (fixture->near[i] >= 0)
        g_assert_no_errno (dill_hclose (fixture->near[i]));
      g_assert_no_errno (dill_hclose (fixture->far[i]));
    }
}

/* One coroutine that chooses, and what becomes of that. */
typedef struct
{
  struct dill_chclause *clauses;
  int n_clauses;
  gint64 deadline;
  int result; /* -2: it still waits */
  int error;
} Chooser;

static inline void
choose (void *data)
{
  Chooser *chooser = data;

  chooser->result = -2;
  errno = 0;
  chooser->result = dill_choose (chooser->clauses, chooser->n_clauses, chooser->deadline);
  chooser->error = errno;
}

static inline void
chooser_start (Chooser *chooser, int b, struct dill_chclause *clauses, int n_clauses)
{
  *chooser = (Chooser) { clauses, n_clauses, soon (), 0, 0 };
  g_assert_no_errno (dill_bundle_spawn (b, choose, chooser));
  g_assert_cmpint (chooser->result, ==, -2);
}

static inline void
assert_chooser (const Chooser *chooser, int result, int error)
{
  g_assert_cmpint (chooser->result, ==, result);
  g_assert_cmpstr (test_errno_name (chooser->error), ==, test_errno_name (error));
  if (error != 0)
    test_errnos_note ("dill_choose", error);
}

#define assert_choice(result, error, ...)                                                                              \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    int choice_ = (errno = -1, dill_choose (__VA_ARGS__));                                                             \
    int error_ = errno;                                                                                                \
    g_assert_cmpint (choice_, ==, result);                                                                             \
    g_assert_cmpint (error_, ==, error);                                                                               \
    if (error_ != 0)                                                                                                   \
      test_errnos_note ("dill_choose", error_);                                                                        \
  }                                                                                                                    \
  G_STMT_END

static inline void
finish (Fixture *fixture)
{
  g_assert_no_errno (dill_bundle_wait (fixture->b, soon ()));
}

/* Registers a test case with channels. */
#define add(name, func) g_test_add (name, Fixture, NULL, set_up, func, tear_down)
