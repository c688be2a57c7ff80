/* test-stack-overflow.c: a coroutine that overflows its stack ends the process by a clean SIGSEGV.
 *
 * The first address that faults is on that stack's own guard page, be it the first, a middle or the last one of 100,000
 * that are suspended, and however it was started.  Where guard pages are mappings, by mprotect (), there is room for
 * fewer coroutines (half of vm.max_map_count): the next one is ENOMEM, and all that there are have their guards.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine-utils.h"
#include "guard-utils.h"

#define STACK_SIZE ((gsize) 256 << 10)

/* Tools know each stack, and some of them live with a limit on how many there can be, as 32 bits do. */
#define N_WANTED (test_tool () == 0 && sizeof (void *) >= 8 ? 100000 : 5000 / test_slowdown ())

/* Many that sleep until they are cancelled. */
typedef struct
{
  guint n_canceled;
  gboolean is_overflowing; /* who is cancelled overflows its stack, in two children, as each has but one fault */
  int handled;             /* how the one ended that has a handler for it, and the one that has not */
  int unhandled;
} Crowd;

static int
overflow_with_handler (gpointer guard)
{
  expect_overflow (guard);
  overflow ();
  return 0;
}

static int
overflow_without (gpointer data G_GNUC_UNUSED)
{
  expect_signal ();
  overflow ();
  return 0;
}

/* The library's record of a coroutine, and this frame below it, are on the uppermost page of the stack. */
static dill_coroutine void
sleep_and_overflow (void *data)
{
  guintptr top = ((guintptr) __builtin_frame_address (0) | (page_size () - 1)) + 1;
  Crowd *crowd = data;

  sleep_for_ever (&crowd->n_canceled);
  if (crowd->is_overflowing)
    {
      crowd->handled = test_in_child (overflow_with_handler, (gpointer) (top - STACK_SIZE - page_size ()));
      crowd->unhandled = test_in_child (overflow_without, NULL);
    }
}

/* Of two neighbours one is started by either function. */
static int
start (Crowd *crowd, guint number)
{
  return number % 2 == 0 ? dill_spawn (sleep_and_overflow, crowd) : dill_go (sleep_and_overflow (crowd));
}

/* The coroutine with the handle *H, which is replaced by another one then. */
static void
check_overflow (Crowd *crowd, int *h)
{
  crowd->is_overflowing = TRUE;
  crowd->handled = crowd->unhandled = 0;
  g_assert_no_errno (dill_hclose (*h));
  g_assert_cmpint (crowd->handled, ==, GUARD_HIT);
  g_assert_cmpint (crowd->unhandled, ==, 128 + SIGSEGV);
  crowd->is_overflowing = FALSE;
  *h = test_assert_ok (dill_spawn (sleep_and_overflow, crowd));
}

/* Starts up to N_WANTED coroutines, as many as there is room for, lets some overflow, and returns how many there
 * were. */
static guint
overflow_in_crowd (guint n_wanted)
{
  g_autofree int *handles = g_new (int, n_wanted);
  Crowd crowd = { 0 };
  guint n = 0;

  g_assert_no_errno (dill_set_stack_size (STACK_SIZE));
  while (n < n_wanted && (handles[n] = start (&crowd, n)) >= 0)
    n++;
  g_assert_true (n == n_wanted || errno == ENOMEM);
  g_test_message ("%u coroutines", n);

  check_overflow (&crowd, &handles[0]);
  check_overflow (&crowd, &handles[1]);
  check_overflow (&crowd, &handles[n / 2]);
  check_overflow (&crowd, &handles[n - 2]);
  check_overflow (&crowd, &handles[n - 1]);
  for (guint i = 0; i < n; i++)
    g_assert_no_errno (dill_hclose (handles[i]));
  g_assert_cmpuint (crowd.n_canceled, ==, n + 5);
  return n;
}

/* Both in children: a pool that has grown before would have its guards already. */
static int
overflow_anywhere (gpointer data G_GNUC_UNUSED)
{
  g_assert_cmpuint (overflow_in_crowd (N_WANTED), ==, N_WANTED);
  return 0;
}

/* Each stack and each guard is a mapping, and the program has a few of its own. */
static int
overflow_in_full_house (gpointer data G_GNUC_UNUSED)
{
  g_autofree char *text = NULL;
  guint n_max, n;

  if (!refuse_guard_install ())
    return NO_FILTERS;

  g_assert_true (g_file_get_contents ("/proc/sys/vm/max_map_count", &text, NULL, NULL));
  n_max = MIN ((guint) g_ascii_strtoull (text, NULL, 10) / 2, N_WANTED);
  n = overflow_in_crowd (N_WANTED);
  g_assert_cmpuint (n, <=, n_max);
  g_assert_cmpuint (n, >=, n_max - MIN (n_max / 10, 1000));
  return 0;
}

static void
test_crowd (void)
{
  if (can_have_many_stacks ())
    g_assert_cmpint (test_in_child (overflow_anywhere, NULL), ==, 0);
}

static void
test_full_house (void)
{
  run_filtered (overflow_in_full_house, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stack-overflow/crowd", test_crowd);
  g_test_add_func ("/stack-overflow/full-house", test_full_house);
  return g_test_run ();
}
