/* random-utils.h: a crowd of coroutines that do anything to each other at random: start, wait for, cancel and hand
 * over, and whatever else a test lets them do.
 *
 * Whatever that is, each call gives one of its documented results, everybody ends when the whole is closed, and nothing
 * is left behind.  Built with sanitizers this finds what is touched after its end.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/thread.h"
#include "coroutine-utils.h"

#define N_SLOTS 24
#define N_COROUTINES_MAX 200

/* Objects that anybody may use and close at any time: numbers of closed ones stay there. */
typedef struct World World;

struct World
{
  GRand *rand;
  void (*act) (World *world); /* what else there is to do */
  int bundles[N_SLOTS];
  int singles[N_SLOTS]; /* coroutines */
  int others[N_SLOTS];  /* the test's own: closed at the end */
  GArray *beneath;      /* bundles that could not be closed, as a member was beneath the closer */
  guint n_running;
  guint n_started;
  guint64 n_steps;
  GMainLoop *loop;
};

static inline int
random_below (World *world, int n)
{
  return g_rand_int_range (world->rand, 0, n);
}

static inline int
pick (World *world, const int *slots)
{
  return slots[random_below (world, N_SLOTS)];
}

static inline gint64
pick_deadline (World *world)
{
  const gint64 deadlines[] = { -1, 0, dill_now (), dill_now () + 1, dill_now () + 3, dill_now () + 20 };

  return deadlines[random_below (world, G_N_ELEMENTS (deadlines))];
}

/* RESULT of a call may be 0 or more, or -1 with ECANCELED or one of the errnos that are listed. */
#define check_result(result, ...)                                                                                      \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    const int allowed_[] = { __VA_ARGS__, ECANCELED };                                                                 \
    gboolean is_allowed_ = (result) >= 0;                                                                              \
    int error_ = errno;                                                                                                \
    for (guint i_ = 0; i_ < G_N_ELEMENTS (allowed_); i_++)                                                             \
      is_allowed_ |= error_ == allowed_[i_];                                                                           \
    if (!is_allowed_)                                                                                                  \
      g_error ("%s: %s", #result, test_errno_name (error_));                                                           \
    errno = error_;                                                                                                    \
  }                                                                                                                    \
  G_STMT_END

static inline void live (void *data);

/* H, a bundle or -1, takes the place of another one, which is closed. */
static inline void
replace_bundle (World *world, int *slot, int h)
{
  int old = *slot;

  if (h < 0)
    {
      check_result (-1, ECANCELED);
      return;
    }

  *slot = h;
  if (dill_hclose (old) == 0)
    return;

  check_result (-1, EBADF, EDEADLK);
  if (errno == EDEADLK)
    g_array_append_val (world->beneath, old);
}

static inline void
start_another (World *world)
{
  int h;

  if (world->n_running >= N_COROUTINES_MAX)
    return;

  if (g_rand_boolean (world->rand))
    {
      check_result (dill_bundle_spawn (pick (world, world->bundles), live, world), EBADF);
      return;
    }

  h = dill_spawn (live, world);
  replace_bundle (world, &world->singles[random_below (world, N_SLOTS)], h);
}

static inline void
hand_over (World *world, int *slots)
{
  int i = random_below (world, N_SLOTS);
  int h = dill_hown (slots[i]);

  check_result (h, EBADF);
  if (h >= 0)
    slots[i] = h;
}

static inline void
take_step (World *world)
{
  const gboolean is_single = g_rand_boolean (world->rand);
  int h;

  world->n_steps++;
  switch (random_below (world, 14))
    {
    case 0:
      check_result (dill_yield (), ECANCELED);
      break;
    case 1:
      check_result (dill_msleep (random_below (world, 3) == 0 ? -1 : dill_now () + 2), ECANCELED);
      break;
    case 2:
      check_result (dill_bundle_wait (pick (world, is_single ? world->singles : world->bundles), pick_deadline (world)),
                    EBADF, ETIMEDOUT);
      break;
    case 3:
      h = dill_bundle ();
      replace_bundle (world, &world->bundles[random_below (world, N_SLOTS)], h);
      break;
    case 4:
      hand_over (world, is_single ? world->others : world->bundles);
      break;
    case 5:
      start_another (world);
      break;
    default:
      world->act (world);
      break;
    }
}

/* Goes on for some steps after it was cancelled, too. */
static inline void
live (void *data)
{
  World *world = data;
  int n_steps = 1 + random_below (world, 60);

  world->n_running++;
  world->n_started++;
  for (int i = 0; i < n_steps; i++)
    take_step (world);
  world->n_running--;
}

static inline gboolean
repopulate (gpointer data)
{
  World *world = data;

  for (guint i = 0; i < 5 && world->n_running < N_COROUTINES_MAX / 2; i++)
    start_another (world);
  return G_SOURCE_CONTINUE;
}

/* How many coroutines it takes for much to happen between them. */
#define ENOUGH_STARTED 100

static inline gboolean
quit (gpointer data)
{
  World *world = data;

  /* Most of the time may have been taken by others. */
  if (world->n_started <= ENOUGH_STARTED)
    return G_SOURCE_CONTINUE;
  g_main_loop_quit (world->loop);
  return G_SOURCE_REMOVE;
}

static inline size_t
count_stacks (void)
{
  struct dill_thread *thread = dill_thread_get ();

  dill_thread_reap (thread);
  return thread->stacks.n_stacks - thread->stacks.n_free;
}

/* After this the test fills in the others. */
static inline void
world_init (World *world, void (*act) (World *world))
{
  *world = (World) { .rand = g_rand_new_with_seed (g_test_rand_int ()), .act = act };
  world->beneath = g_array_new (FALSE, FALSE, sizeof (int));
  world->loop = g_main_loop_new (NULL, FALSE);
  for (guint i = 0; i < N_SLOTS; i++)
    {
      world->bundles[i] = test_assert_ok (dill_bundle ());
      world->singles[i] = world->others[i] = -1;
    }
}

/* Lets the world go on for at least so long, and ends it. */
static inline void
world_run (World *world, guint milliseconds)
{
  size_t n_stacks = count_stacks ();
  guint id = g_timeout_add (1, repopulate, world);

  g_timeout_add (milliseconds, quit, world);
  test_loop_run (world->loop);
  g_source_remove (id);

  /* Who is cancelled can neither make nor start anything. */
  for (guint i = 0; i < N_SLOTS; i++)
    {
      check_result (dill_hclose (world->bundles[i]), EBADF);
      check_result (dill_hclose (world->singles[i]), EBADF);
    }
  for (guint i = 0; i < world->beneath->len; i++)
    g_assert_no_errno (dill_hclose (g_array_index (world->beneath, int, i)));
  for (guint i = 0; i < N_SLOTS; i++)
    check_result (dill_hclose (world->others[i]), EBADF);

  g_test_message ("%u coroutines, %" G_GUINT64_FORMAT " steps", world->n_started, world->n_steps);
  g_assert_cmpuint (world->n_running, ==, 0);
  g_assert_cmpuint (world->n_started, >, ENOUGH_STARTED);
  g_assert_cmpuint (count_stacks (), ==, n_stacks);
  g_array_unref (world->beneath);
  g_main_loop_unref (world->loop);
  g_rand_free (world->rand);
}
