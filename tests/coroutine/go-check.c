/* go-check.c: what programs may rely on across dill_go ().
 *
 * Its second half belongs to another part of the library, which go-runtime.c stands for.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "go-runtime.h"
#include "stack-alignment.h"

#include <errno.h>
#include <fenv.h>
#include <string.h>

#if defined(WITH_UCONTEXT)

void
check_go (void)
{
  static const struct dill_go_site site = { "call ()", __FILE__, __LINE__, 0 };
  int handle = 0;

  errno = 0;
  check (dill_go_begin (&handle, &site, -1, NULL, 0) == 0 && handle == -1 && errno == ENOTSUP,
         "dill_go_begin () says that it cannot be done");
}

#else

#include "go-sum.h"

static void
check_go_twice (void)
{
  int before = 0x5eed;
  int handle;

  sum = 0;
  handle = dill_go (add (before + 2));
  check (sum == 0x5eed + 2 && before == 0x5eed && handle >= 0, "a call runs up to its first wait, with its arguments");
  flow_resume (&flows[handle]);
  check (sum == 2 * (0x5eed + 2) && flows[handle].ended, "and goes on later");
}

struct pair
{
  long first;
  long second;
};

struct large
{
  long values[20];
};

static bool arguments_right;

static dill_coroutine void
take_many (int a, long b, double c, int d, const char *e, float f, long g, double h, int i, long j, double k, int l,
           struct pair m, double n, double o, double p, double q, double r, double s, double t, int u, const int *v,
           struct large w)
{
  arguments_right = a == 1 && b == 2 && c == 3.0 && d == 4 && strcmp (e, "five") == 0 && f == 6.0f && g == 7 && h == 8.0
                    && i == 9 && j == 10 && k == 11.0 && l == 12 && m.first == 13 && m.second == 14 && n == 15.0
                    && o == 16.0 && p == 17.0 && q == 18.0 && r == 19.0 && s == 20.0 && t == 21.0 && u == 22 && *v == 23
                    && w.values[0] == 24 && w.values[19] == 43;
  arguments_right &= stack_is_aligned ();
  flow_pause ();
}

/* Arguments of every kind, in registers and on the stack, from variables that the compiler knows nothing about. */
__attribute__ ((noinline)) static int
start_with_many (int n, double x)
{
  int local = n + 22;
  struct pair pair = { n + 12, n + 13 };
  struct large large;

  for (int i = 0; i < 20; i++)
    large.values[i] = n + 23 + i;

  return dill_go (take_many (n, n + 1, x + 2, n + 3, "five", (float) x + 5, n + 6, x + 7, n + 8, n + 9, x + 10, n + 11,
                             pair, x + 14, x + 15, x + 16, x + 17, x + 18, x + 19, x + 20, n + 21, &local, large));
}

static void
check_go_mixed_arguments (void)
{
  int handle = start_with_many (1, 1.0);

  check (arguments_right, "23 arguments arrive on an aligned stack");
  go_resume_to_end (handle);
}

/* The starter's frame is gone, and overwritten, when the coroutine goes on and ends. */
__attribute__ ((noinline)) static int
start_and_return (long value)
{
  return dill_go (add (value));
}

static void
check_go_outlives_starter (void)
{
  int first, second;

  sum = 0;
  first = start_and_return (1);
  second = start_and_return (100);
  go_overwrite_stack ();
  go_resume_to_end (first);
  go_overwrite_stack ();
  go_resume_to_end (second);
  check (sum == 202, "a coroutine outlives the function that started it");
}

static void
check_go_in_loop (void)
{
  int handles[40];
  long expected = 0;

  sum = 0;
  for (int i = 0; i < 40; i++)
    {
      handles[i] = dill_go (add (i));
      expected += 2 * i;
    }
  for (int i = 0; i < 40; i++)
    go_resume_to_end (handles[i]);
  check (sum == expected, "a loop starts 40 of them");
}

/* Many starts in one frame must not eat it up. */
static dill_coroutine void
count (void)
{
  sum++;
}

/* As far down as the caller's stack pointer, whatever that is. */
static dill_coroutine uintptr_t
stack_depth (void)
{
  return (uintptr_t) __builtin_frame_address (0);
}

static void
check_go_many_times (void)
{
  uintptr_t before = stack_depth ();
  bool level = true;

  sum = 0;
  for (int i = 0; i < 1000; i++)
    {
      dill_go (count ());
      level &= stack_depth () == before;
    }
  check (sum == 1000 && level, "each start takes its stack space back");
}

/* A function that returns something, and one that never waits. */
static dill_coroutine double
give_double (double value)
{
  sum = (long) value;
  return value * 2;
}

static void
check_go_value (void)
{
  double x = 21;
  int handle = dill_go (give_double (x));

  check (sum == 21 && handle >= 0, "what the call returns is dropped");
}

/* One that ends at once, with the processor in another mode, started among variables in registers. */
static dill_coroutine void
round_upwards (long value)
{
  fesetround (FE_UPWARD);
  sum += value;
}

static bool
rounds_to_nearest (double one, double little)
{
  return one + little == one && fegetround () == FE_TONEAREST;
}

__attribute__ ((noinline)) static long
start_and_compute (long a, long b, long c, long d, long e, long f)
{
  for (int i = 0; i < 3; i++)
    {
      dill_go (round_upwards (a + b));
      a += b, b += c, c += d, d += e, e += f;
    }
  return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f;
}

static void
check_go_leaves_all_as_it_was (void)
{
  sum = 0;
  check (start_and_compute (1, 20, 300, 4000, 50000, 600000) == 23083701 && sum == 5323,
         "one that ends at once harms no register");
  check (rounds_to_nearest (1.0, 0x1p-120), "and leaves the processor's mode as it was");
}

static dill_coroutine void
start_another (int depth)
{
  sum++;
  if (depth > 0)
    dill_go (start_another (depth - 1));
  sum++;
}

static void
check_go_nested (void)
{
  sum = 0;
  dill_go (start_another (20));
  check (sum == 42, "one that ends at once may have started others");
}

static void
check_go_refused (void)
{
  int values[4] = { 1, 2, 3, 4 };
  int handle;

  sum = 0;
  errno = 0;
  go_refuses = true;
  handle = dill_go (add (values[2]));
  go_refuses = false;
  check (handle == -1 && errno == ENOMEM && sum == 0 && values[0] == 1 && values[3] == 4,
         "a start that fails is like any call that fails");
}

void
check_go (void)
{
  check_go_twice ();
  check_go_mixed_arguments ();
  check_go_arguments ();
  check_go_outlives_starter ();
  check_go_in_loop ();
  check_go_many_times ();
  check_go_starters ();
  check_go_value ();
  check_go_leaves_all_as_it_was ();
  check_go_nested ();
  check_go_refused ();
}

#endif
