/* test-rough-clock.c: the clock that is looked at between two exact ones may be as rough as kernels make it.
 *
 * A coroutine that has had many short turns and suddenly works for a millisecond in each leaves its neighbours in the
 * main context their turns within 10 ms, however late CLOCK_MONOTONIC_COARSE tells the time.
 *
 * The program stands between the library and that clock.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "turn-utils.h"

#include <sys/syscall.h>
#include <unistd.h>

#define N_SHORT_TURNS 5000
#define N_LONG_TURNS 30
#define LONG_TURN_US 900
#define N_CHANGES (guint) MAX (16 / test_slowdown (), 2)

/* By how much the coarse clock is late, always: one of a kernel is so just before its next step. */
static long step_ns;
static guint n_looks;

int
clock_getres (clockid_t clock, struct timespec *step)
{
  if (clock != CLOCK_MONOTONIC_COARSE)
    return (int) syscall (SYS_clock_getres, clock, step);

  *step = (struct timespec) { .tv_nsec = step_ns };
  return 0;
}

int
clock_gettime (clockid_t clock, struct timespec *time)
{
  if (clock != CLOCK_MONOTONIC_COARSE)
    return (int) syscall (SYS_clock_gettime, clock, time);

  n_looks++;
  if (syscall (SYS_clock_gettime, CLOCK_MONOTONIC, time) != 0)
    return -1;

  time->tv_nsec -= step_ns;
  if (time->tv_nsec < 0)
    {
      time->tv_nsec += 1000000000;
      time->tv_sec--;
    }
  return 0;
}

/* The changes come at different places of the rounds. */
static void
change_again_and_again (void *data)
{
  guint *n_changes = data;

  for (*n_changes = 0;; ++*n_changes)
    {
      for (guint i = 0; i < N_SHORT_TURNS + *n_changes; i++)
        if (dill_yield () < 0)
          return;

      for (guint i = 0; i < N_LONG_TURNS; i++)
        {
          gint64 end = processor_time () + LONG_TURN_US;

          while (processor_time () < end)
            continue;
          if (dill_yield () < 0)
            return;
        }
    }
}

/* The engine asks how rough the clock is when a context is new to it. */
static void
check_turns (long step)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  GSource *source = g_idle_source_new ();
  Neighbour neighbour;
  guint n_changes = 0;
  int h;

  step_ns = step;
  n_looks = 0;
  g_main_context_push_thread_default (context);
  h = test_assert_ok (dill_spawn (change_again_and_again, &n_changes));
  neighbour_init (&neighbour, "same priority");
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, take_turn_in_callback, &neighbour, NULL);
  g_source_attach (source, context);
  while (n_changes < N_CHANGES)
    g_main_context_iteration (context, TRUE);
  check_neighbour (&neighbour, EQUAL_MAX_US);
  g_assert_no_errno (dill_hclose (h));
  remove_source (source);
  g_main_context_pop_thread_default (context);
}

static void
test_rough (void)
{
  check_turns (4000000);
  g_assert_cmpuint (n_looks, >, 0);
}

static void
test_too_rough (void)
{
  check_turns (10000000);
  g_assert_cmpuint (n_looks, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/rough-clock/rough", test_rough);
  g_test_add_func ("/rough-clock/too-rough", test_too_rough);
  return g_test_run ();
}
