/* go-check.c: what compilers may rely on across dill_go ().
 *
 * Its second half belongs to another part of the library, which dill_go_prepare () and dill_go_end () below stand for.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "flow.h"
#include "stack-alignment.h"

#include <dillipc/dill-coroutine.h>
#include <alloca.h>
#include <errno.h>
#include <stdint.h>
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

#elif defined(DILL_GO_MISSING_)

void
check_go (void)
{
  skip ("dill_go ()", "it does not exist in C from this compiler for this processor");
}

/* context.c refers to it. */
void *
dill_go_prepare (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len, void *suspended_sp)
{
  (void) site;
  (void) bundle;
  (void) mem;
  (void) len;
  (void) suspended_sp;

  *handle = -1;
  return NULL;
}

#else

static bool refuse_to_start;

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
  sp = dill_context_init_bare (&flow->context, flow->stack, FLOW_STACK_SIZE);
  flow->resumer = flow_current;
  flow_current = flow;
  *handle = (int) (flow - flows);
  dill_context_suspended_at (&flow->resumer->context, suspended_sp, &flow->context);
  return sp;
}

void
dill_go_end (void)
{
  flow_end ();
}

static void
resume_to_end (int handle)
{
  while (!flows[handle].ended)
    flow_resume (&flows[handle]);
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
check_go_arguments (void)
{
  int handle = start_with_many (1, 1.0);

  check (arguments_right, "23 arguments arrive on an aligned stack");
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
  _Alignas(64) volatile int aligned[16];
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
  check (sum == 15 && flow_current == &flow_own, "coroutines start coroutines");
  resume_to_end (handle);
  check (sum == 1515 && flow_current == &flow_own, "and resume them");
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

void
check_go (void)
{
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
