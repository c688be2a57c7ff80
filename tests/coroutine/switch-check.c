/* switch-check.c: what compilers may rely on across a context switch, and across dill_go () in particular.
 *
 * Plain C over dillipc/coroutine/ alone, so that it can also be built for a foreign processor and run in an emulator.
 * It is built at every level of optimisation, since that decides where compilers keep variables and arguments.  The
 * flows below are resumed in nested order only: whoever resumes one gets control back when that pauses or ends.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/context.h"

#include <dillipc/dill-coroutine.h>
#include <alloca.h>
#include <errno.h>
#include <fenv.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_FLOWS 64
#define STACK_SIZE (64 << 10)

struct flow
{
  struct dill_context context;
  struct flow *resumer;
  bool in_use;
  bool ended;
  void *stack;
};

static struct flow own = { .in_use = true };
static struct flow flows[N_FLOWS];
static struct flow *current = &own;
static bool refuse_to_start;

static int n_checks;
static int n_failed;

/* One line of TAP. */
static void
check (bool condition, const char *what)
{
  n_checks++;
  n_failed += !condition;
  printf ("%s %d %s\n", condition ? "ok" : "not ok", n_checks, what);
}

static void
skip (const char *what, const char *why)
{
  n_checks++;
  printf ("ok %d %s # SKIP %s\n", n_checks, what, why);
}

/* --- Flows --- */

/* Flows that end cannot be cleared before another one runs. */
static void
reap_flows (void)
{
  for (int i = 0; i < N_FLOWS; i++)
    if (flows[i].ended)
      {
        dill_context_clear (&flows[i].context);
        flows[i].in_use = flows[i].ended = false;
      }
}

static struct flow *
flow_new (void)
{
  reap_flows ();
  for (int i = 0; i < N_FLOWS; i++)
    if (!flows[i].in_use)
      {
        if (flows[i].stack == NULL)
          flows[i].stack = malloc (STACK_SIZE);
        if (flows[i].stack == NULL)
          abort ();
        flows[i].in_use = true;
        return &flows[i];
      }
  abort ();
}

static void
flow_resume (struct flow *flow)
{
  flow->resumer = current;
  current = flow;
  dill_context_switch (&flow->resumer->context, &flow->context);
}

static void
flow_pause (void)
{
  struct flow *flow = current;

  current = flow->resumer;
  dill_context_switch (&flow->context, &current->context);
}

__attribute__ ((noreturn)) static void
flow_end (void)
{
  struct flow *flow = current;

  flow->ended = true;
  current = flow->resumer;
  dill_context_leave (&flow->context, &current->context);
}

static struct flow *
flow_start (void (*func) (void *data), void *data)
{
  struct flow *flow = flow_new ();

  dill_context_init (&flow->context, flow->stack, STACK_SIZE, func, data);
  flow_resume (flow);
  return flow;
}

/* The library's part of dill_go (), in miniature.  The handle is the flow's index. */
void *
dill_go_prepare (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len, void *suspended_sp)
{
  struct flow *flow;
  void *sp;

  if (refuse_to_start || site->line <= 0 || bundle != -1 || mem != NULL || len != 0)
    {
      *handle = -1;
      errno = ENOMEM;
      return NULL;
    }

  flow = flow_new ();
  sp = dill_context_init_bare (&flow->context, flow->stack, STACK_SIZE);
  flow->resumer = current;
  current = flow;
  *handle = (int) (flow - flows);
  dill_context_suspended_at (&flow->resumer->context, suspended_sp, &flow->context);
  return sp;
}

/* The library's is in another file, so that no compiler can know that it never returns: the macro has a loop there for a
 * reason. */
dill_coroutine void
dill_go_end (void)
{
  flow_end ();
}

/* --- Switching --- */

static void
note_data (void *data)
{
  uintptr_t frame = (uintptr_t) __builtin_frame_address (0);

  *(bool *) data = frame % 16 == 0;
  flow_end ();
}

static void
check_entry (void)
{
  bool aligned = false;
  struct flow *flow = flow_start (note_data, &aligned);

  check (aligned, "a flow is entered with its argument and an aligned stack");
  check (flow->ended && current == &own, "and control comes back when it ends");
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

/* --- dill_go () --- */

/* WITH_UCONTEXT says which of the two switches is built in. */
#if defined(WITH_UCONTEXT)

static void
check_go (void)
{
  static const struct dill_go_site site = { "call ()", __FILE__, __LINE__, 0 };
  int handle = 0;

  errno = 0;
  check (dill_go_begin (&handle, &site, -1, NULL, 0) == 0 && handle == -1 && errno == ENOTSUP,
         "dill_go_begin () says that it cannot be done");
}

#else

static void
resume_to_end (int handle)
{
  while (!flows[handle].ended)
    flow_resume (&flows[handle]);
}

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

static long sum;

static dill_coroutine void
add (long value)
{
  sum += value;
  flow_pause ();
  sum += value;
}

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
check_go_arguments (void)
{
  int handle = start_with_many (1, 1.0);

  check (arguments_right, "23 arguments arrive");
  resume_to_end (handle);
}

/* The starter's frame is gone, and overwritten, when the coroutine goes on and ends. */
__attribute__ ((noinline)) static int
start_and_return (long value)
{
  return dill_go (add (value));
}

__attribute__ ((noinline)) static void
overwrite_stack (void)
{
  volatile char space[4096];

  memset ((char *) space, 0xa5, sizeof space);
}

static void
check_go_outlives_starter (void)
{
  int first, second;

  sum = 0;
  first = start_and_return (1);
  second = start_and_return (100);
  overwrite_stack ();
  resume_to_end (first);
  overwrite_stack ();
  resume_to_end (second);
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
    resume_to_end (handles[i]);
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

/* The compiler realigns such a frame, and needs yet another register for it. */
__attribute__ ((noinline)) static bool
start_aligned (int n)
{
  _Alignas (64) volatile int aligned[16];
  int array_length = n;
  volatile char *space = alloca ((size_t) array_length);
  int handle;
  bool kept = true;

  for (int i = 0; i < 16; i++)
    aligned[i] = n + i;
  space[n - 1] = 7;
  sum = 0;
  handle = dill_go (add (aligned[3]));
  for (int i = 0; i < 16; i++)
    kept &= aligned[i] == n + i;
  kept &= (uintptr_t) aligned % 64 == 0 && space[n - 1] == 7 && sum == n + 3;
  resume_to_end (handle);
  return kept && sum == 2 * (n + 3);
}

/* What lives across the start must be what it was, whichever register or slot it was in. */
__attribute__ ((noinline)) static bool
start_amid_values (unsigned seed)
{
  volatile unsigned start = seed;
  unsigned a = start * 3, b = start * 5, c = start * 7, d = start * 11, e = start * 13, f = start * 17, g = start * 19;
  double p = a / 2.0, q = b / 2.0, r = c / 2.0, s = d / 2.0;
  int handle;

  sum = 0;
  handle = dill_go (add (a + b + c));
  a++, b++, c++, d++, e++, f++, g++, p++, q++, r++, s++;
  resume_to_end (handle);

  unsigned x = start;
  return a == x * 3 + 1 && b == x * 5 + 1 && c == x * 7 + 1 && d == x * 11 + 1 && e == x * 13 + 1 && f == x * 17 + 1
         && g == x * 19 + 1 && p == x * 3 / 2.0 + 1 && q == x * 5 / 2.0 + 1 && r == x * 7 / 2.0 + 1
         && s == x * 11 / 2.0 + 1 && sum == (long) x * (3 + 5 + 7) * 2;
}

/* What the coroutine does to its starter's variables by a pointer is seen. */
static dill_coroutine void
write_through (int *where, int value)
{
  *where = value;
  flow_pause ();
  *where = value + 1;
}

__attribute__ ((noinline)) static bool
start_writer (int value)
{
  int local = 0;
  int handle = dill_go (write_through (&local, value));
  bool seen = local == value;

  flow_resume (&flows[handle]);
  return seen && local == value + 1;
}

/* Started from coroutines, which go on to pause and be resumed. */
static dill_coroutine void
start_below (int depth)
{
  int handle = -1;

  sum += depth;
  if (depth > 0)
    handle = dill_go (start_below (depth - 1));
  flow_pause ();
  if (handle >= 0)
    resume_to_end (handle);
  sum += 100 * depth;
}

static void
check_go_nested (void)
{
  int handle;

  sum = 0;
  handle = dill_go (start_below (5));
  check (sum == 15 && current == &own, "coroutines start coroutines");
  resume_to_end (handle);
  check (sum == 1515 && current == &own, "and resume them");
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

static void
check_go_refused (void)
{
  int values[4] = { 1, 2, 3, 4 };
  int handle;

  sum = 0;
  errno = 0;
  refuse_to_start = true;
  handle = dill_go (add (values[2]));
  refuse_to_start = false;
  check (handle == -1 && errno == ENOMEM && sum == 0 && values[0] == 1 && values[3] == 4,
         "a start that fails is like any call that fails");
}

static void
check_go (void)
{
  check_exception_flags ();
  check_go_twice ();
  check_go_arguments ();
  check_go_outlives_starter ();
  check_go_in_loop ();
  check_go_many_times ();
  check (start_aligned (40), "an aligned frame is kept");
  check (start_amid_values (12345), "values alive across a start are kept");
  check (start_writer (77), "a coroutine writes to its starter's variable");
  check_go_nested ();
  check_go_value ();
  check_go_refused ();
}

#endif

int
main (void)
{
  dill_context_init_thread (&own.context);

  check_entry ();
  check_registers ();
  check_rounding ();
  check_go ();
  printf ("1..%d\n", n_checks);

  reap_flows ();
  for (int i = 0; i < N_FLOWS; i++)
    free (flows[i].stack);
  return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
