/* test-stack-min.c: dill_stack_min () is enough for a coroutine that is interrupted by signals.
 *
 * On so much memory, at any address, it survives a storm of signals whose handler has no stack of its own, wherever in
 * the library they come, though it and the handler use their shares of the reserve.  This program is bound lazily: the
 * dynamic linker works on that stack too.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "stack-area.h"
#include "stack-calls.h"

#include <signal.h>
#include <sys/auxv.h>
#include <time.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/* What the manual allows the coroutine's functions, and the handler, less the frames of those that use it here. */
#define SHARE 3584

/* How often each call is to be interrupted on the coroutine's stack, a signal every 20 microseconds.  A call that
 * mostly waits is there for moments only, so it need not be as often as that within the time. */
#define N_SIGNALS 20
#define INTERVAL_NS 20000
#define STORM_MS 5000

static struct
{
  guint8 *begin, *end;
  volatile guint n_signals; /* while the coroutine ran */
} watched;

/* Returns 1, which it takes all of SHARE to find out. */
static __attribute__ ((always_inline)) inline int
touch (volatile char *share)
{
  for (guint i = 0; i < SHARE; i += 64)
    share[i] = 1;
  return share[SHARE / 2 / 64 * 64];
}

static void
handle_signal (int number G_GNUC_UNUSED)
{
  guint8 *frame = __builtin_frame_address (0);
  volatile char share[SHARE];

  if (frame >= watched.begin && frame < watched.end)
    watched.n_signals += (guint) touch (share);
}

static timer_t
start_storm (struct sigaction *saved)
{
  struct sigaction action = { .sa_handler = handle_signal, .sa_flags = SA_RESTART };
  struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
  struct itimerspec interval = { { 0, INTERVAL_NS }, { 0, INTERVAL_NS } };
  timer_t timer;

  g_assert_no_errno (sigaction (SIGUSR1, &action, saved));
  g_assert_no_errno (timer_create (CLOCK_MONOTONIC, &event, &timer));
  g_assert_no_errno (timer_settime (timer, 0, &interval, NULL));
  return timer;
}

static void
end_storm (timer_t timer, const struct sigaction *saved)
{
  g_assert_no_errno (timer_delete (timer));
  g_assert_no_errno (sigaction (SIGUSR1, saved, NULL));
}

static dill_coroutine void
call_in_storm (const StackCall *call, Things *things, gint64 deadline)
{
  volatile char share[SHARE];

  g_assert_cmpint (touch (share), ==, 1);
  while (watched.n_signals < N_SIGNALS && dill_now () < deadline)
    call->make (things);
  g_assert_cmpint (share[0], ==, 1);
}

static void
test_storm (Things *things, gconstpointer data)
{
  static guint n_cases;
  const gsize offsets[] = { 0, 1, 8, 15, 2047, 4091 };
  const StackCall *call = data;
  struct sigaction saved;
  StackArea area;
  timer_t timer;
  int h;

  if (test_skip_under (TEST_UNDER_VALGRIND, "a signal every 20 us leaves it no time for anything else"))
    return;

  stack_area_init (&area, dill_stack_min (), offsets[n_cases++ % G_N_ELEMENTS (offsets)]);
  watched.begin = area.stack;
  watched.end = area.stack + area.size;
  watched.n_signals = 0;
  timer = start_storm (&saved);
  h = test_assert_ok (dill_go_mem (call_in_storm (call, things, dill_now () + STORM_MS), area.stack, area.size));
  g_assert_no_errno (dill_bundle_wait (h, -1));
  g_assert_no_errno (dill_hclose (h));
  end_storm (timer, &saved);

  g_assert_cmpuint (watched.n_signals, >, 0);
  g_test_message ("%s: %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT " bytes", call->name, stack_area_check (&area),
                  area.size);
  g_assert_cmpuint (stack_area_check (&area), >, 2 * SHARE);
  stack_area_clear (&area);
}

/* It stays the same, and leaves room for what the kernel says that a frame takes, if it says so. */
static void
test_size (void)
{
  gsize frame = getauxval (AT_MINSIGSTKSZ);
  gsize size = dill_stack_min ();

  g_assert_cmpuint (size, >, frame + 8192);
  g_assert_cmpuint (size, <, MAX (frame, 8192) + 65536);
  g_assert_cmpuint (dill_stack_min (), ==, size);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stack-min/size", test_size);
  for (guint i = 0; i < G_N_ELEMENTS (stack_calls); i++)
    {
      g_autofree char *path = g_strconcat ("/stack-min/storm/", stack_calls[i].name, NULL);

      g_test_add (path, Things, &stack_calls[i], things_set_up, test_storm, things_tear_down);
    }
  return g_test_run ();
}
