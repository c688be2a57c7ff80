/* switch-check.c: what compilers may rely on across a context switch.
 *
 * With go-check.c, which is about dill_go (), it is one program, in plain C over dillipc/coroutine/ alone, so that it
 * can also be built for a foreign processor and run in an emulator.  It is built at every level of optimisation, since
 * that decides where compilers keep variables and arguments.  WITH_UCONTEXT says which of the two switches is built in.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "flow.h"
#include "stack-alignment.h"

#include <fenv.h>

static void
note_data (void *data)
{
  *(bool *) data = stack_is_aligned ();
  flow_end ();
}

static void
check_entry (void)
{
  bool aligned = false;
  struct flow *flow = flow_start (note_data, &aligned);

  check (aligned, "a flow is entered with its argument and an aligned stack");
  check (flow->ended && flow_current == &flow_own, "and control comes back when it ends");
}

/* More values than there are registers to keep them in, alive across many switches. */
__attribute__ ((noinline)) static bool
keep_values (unsigned seed, int n_rounds)
{
  volatile unsigned start = seed;
  unsigned a = start * 3, b = start * 5, c = start * 7, d = start * 11, e = start * 13, f = start * 17;
  unsigned g = start * 19, h = start * 23, i = start * 29, j = start * 31, k = start * 37, l = start * 41;
  double p = a / 2.0, q = b / 2.0, r = c / 2.0, s = d / 2.0, t = e / 2.0, u = f / 2.0, v = g / 2.0, w = h / 2.0;

  for (int round = 0; round < n_rounds; round++)
    {
      flow_pause ();
      a++, b++, c++, d++, e++, f++, g++, h++, i++, j++, k++, l++;
      p++, q++, r++, s++, t++, u++, v++, w++;
    }

  unsigned n = (unsigned) n_rounds;
  unsigned x = start;
  return a == x * 3 + n && b == x * 5 + n && c == x * 7 + n && d == x * 11 + n && e == x * 13 + n && f == x * 17 + n
         && g == x * 19 + n && h == x * 23 + n && i == x * 29 + n && j == x * 31 + n && k == x * 37 + n
         && l == x * 41 + n && p == x * 3 / 2.0 + n && q == x * 5 / 2.0 + n && r == x * 7 / 2.0 + n
         && s == x * 11 / 2.0 + n && t == x * 13 / 2.0 + n && u == x * 17 / 2.0 + n && v == x * 19 / 2.0 + n
         && w == x * 23 / 2.0 + n;
}

struct values
{
  unsigned seed;
  bool kept;
};

static void
keep_values_in_flow (void *data)
{
  struct values *values = data;

  values->kept = keep_values (values->seed, 10);
  flow_end ();
}

static void
check_registers (void)
{
  struct values values[20];
  struct flow *started[20];
  bool kept = true;

  for (unsigned i = 0; i < 20; i++)
    {
      values[i] = (struct values) { .seed = 1000 + i };
      started[i] = flow_start (keep_values_in_flow, &values[i]);
    }
  for (int round = 0; round < 10; round++)
    for (int i = 0; i < 20; i++)
      flow_resume (started[i]);
  for (int i = 0; i < 20; i++)
    kept &= started[i]->ended && values[i].kept;

  check (kept, "20 flows that take turns keep their values");
}

/* 1 + 2^-60 is rounded up only upwards; long double is another unit on x86. */
static bool
rounds_upwards (void)
{
  volatile double one = 1.0, little = 0x1p-60;
  volatile long double long_one = 1.0L, long_little = 0x1p-120L;
  volatile double sum = one + little;
  volatile long double long_sum = long_one + long_little;

  return sum > 1.0 && long_sum > 1.0L;
}

static bool
rounds_to_nearest (void)
{
  volatile double one = 1.0, little = 0x1p-60;
  volatile long double long_one = 1.0L, long_little = 0x1p-120L;
  volatile double sum = one + little;
  volatile long double long_sum = long_one + long_little;

  return sum == 1.0 && long_sum == 1.0L;
}

struct rounding
{
  bool inherited;
  bool kept;
};

static void
round_in_flow (void *data)
{
  struct rounding *rounding = data;

  rounding->inherited = rounds_to_nearest ();
  fesetround (FE_UPWARD);
  flow_pause ();
  rounding->kept = rounds_upwards ();
  flow_end ();
}

static void
check_rounding (void)
{
  struct rounding rounding = { .kept = false };
  struct flow *flow;
  bool has_modes;

  fesetround (FE_UPWARD);
  has_modes = rounds_upwards ();
  fesetround (FE_TONEAREST);
  if (!has_modes)
    {
      skip ("a flow's rounding mode is its own", "this machine, emulated perhaps, does not obey rounding modes");
      return;
    }

  flow = flow_start (round_in_flow, &rounding);
  check (rounding.inherited && rounds_to_nearest (), "a flow's rounding mode does not reach the others");
  flow_resume (flow);
  check (rounding.kept && rounds_to_nearest (), "and is kept for it");
}

#if !defined(WITH_UCONTEXT)

/* The C library's switch keeps the flags apart. */
static void
raise_flag (void *data)
{
  (void) data;
  feraiseexcept (FE_DIVBYZERO);
  flow_end ();
}

static void
check_exception_flags (void)
{
  feclearexcept (FE_ALL_EXCEPT);
  feraiseexcept (FE_DIVBYZERO);
  if (fetestexcept (FE_DIVBYZERO) == 0)
    {
      skip ("exception flags are everybody's", "this machine, emulated perhaps, has none");
      return;
    }

  feclearexcept (FE_ALL_EXCEPT);
  flow_start (raise_flag, NULL);
  check (fetestexcept (FE_DIVBYZERO) == FE_DIVBYZERO, "exception flags are everybody's, as across any call");
  feclearexcept (FE_ALL_EXCEPT);
}

#endif

int
main (void)
{
  flow_begin ();
  check_entry ();
  check_registers ();
  check_rounding ();
#if !defined(WITH_UCONTEXT)
  check_exception_flags ();
#endif
  check_go ();
  check (flow_finish (), "nothing was written beyond the ends of the stacks");
  return check_result ();
}
