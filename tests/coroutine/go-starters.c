/* go-starters.c: dill_go () in functions of every kind: what they keep across it, what they see of what coroutines
 * write, and where in an expression it may stand.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "go-runtime.h"

#if !defined(WITH_UCONTEXT)

#include "go-sum.h"

#include <alloca.h>
#include <string.h>

/* dill_go () has one, too, and silences the warning for that itself. */
#pragma GCC diagnostic ignored "-Wvla"

#define NOINLINE __attribute__ ((noinline))

/* --- Frames out of the ordinary --- */

/* The compiler realigns such a frame, and needs yet another register for it. */
static NOINLINE bool
start_aligned (int n)
{
  _Alignas(64) volatile int aligned[16];
  volatile char *space = alloca ((size_t) n);
  volatile int array[n];
  int handle;
  bool kept = true;

  for (int i = 0; i < 16; i++)
    aligned[i] = n + i;
  space[n - 1] = 7;
  array[n - 1] = 8;
  sum = 0;
  handle = dill_go (add (aligned[3] + array[n - 1]));
  for (int i = 0; i < 16; i++)
    kept &= aligned[i] == n + i;
  kept &= (uintptr_t) aligned % 64 == 0 && space[n - 1] == 7 && array[n - 1] == 8 && sum == n + 11;
  go_resume_to_end (handle);
  return kept && sum == 2 * (n + 11);
}

/* What lives across the start must be what it was, whichever register or slot it was in. */
static NOINLINE bool
start_amid_values (unsigned seed)
{
  volatile unsigned start = seed;
  unsigned a = start * 3, b = start * 5, c = start * 7, d = start * 11, e = start * 13, f = start * 17, g = start * 19;
  double p = a / 2.0, q = b / 2.0, r = c / 2.0, s = d / 2.0;
  int handle;

  sum = 0;
  handle = dill_go (add (a + b + c));
  a++, b++, c++, d++, e++, f++, g++, p++, q++, r++, s++;
  go_resume_to_end (handle);

  unsigned x = start;
  return a == x * 3 + 1 && b == x * 5 + 1 && c == x * 7 + 1 && d == x * 11 + 1 && e == x * 13 + 1 && f == x * 17 + 1
         && g == x * 19 + 1 && p == x * 3 / 2.0 + 1 && q == x * 5 / 2.0 + 1 && r == x * 7 / 2.0 + 1
         && s == x * 11 / 2.0 + 1 && sum == (long) x * (3 + 5 + 7) * 2;
}

/* Several starts in one function that is inlined, repeated and unrolled. */
static inline int
start_three (long a, long b)
{
  long local = a * b;
  int first = dill_go (add (local));

  local++;
  dill_go (add (local));
  local++;
  if (a > 1)
    return dill_go (add (local + first - first));
  return first;
}

static NOINLINE bool
start_inlined (int n)
{
  int last[3];
  long expected = 0;

  sum = 0;
  for (int i = 0; i < 3; i++)
    {
      last[i] = start_three (n + i, 5);
      expected += 5l * (n + i) * (n + i > 1 ? 3 : 2) + (n + i > 1 ? 3 : 1);
    }
  for (int i = 0; i < N_FLOWS; i++)
    if (flows[i].in_use)
      go_resume_to_end (i);
  return sum == 2 * expected && last[0] != last[1] && last[1] != last[2];
}

static NOINLINE int
start_recursively (int depth, long value)
{
  int handle = dill_go (add (value));

  if (depth > 0)
    {
      int inner = start_recursively (depth - 1, value * 2);

      go_resume_to_end (inner);
    }
  return handle;
}

/* --- Variables that coroutines write --- */

struct record
{
  int number;
  double real;
  char text[8];
};

static dill_coroutine void
write_variables (int *number, double *real, char *text, struct record *record)
{
  *number = 1;
  flow_pause ();
  *number += 10;
  *real *= 2;
  strcpy (text, "later");
  record->number = (int) record->real;
  flow_pause ();
  *number *= 2;
  record->text[0] = text[0];
}

static NOINLINE bool
start_writer (int parameter)
{
  double real = 1.25;
  char text[8] = "before";
  struct record record = { 3, 4, "" };
  int handle = dill_go (write_variables (&parameter, &real, text, &record));
  bool right = parameter == 1 && real == 1.25 && strcmp (text, "before") == 0 && record.number == 3;

  parameter = 100;
  flow_resume (&flows[handle]);
  right &= parameter == 110 && real == 2.5 && strcmp (text, "later") == 0 && record.number == 4;
  flow_resume (&flows[handle]);
  return right && parameter == 220 && record.text[0] == 'l' && flows[handle].ended;
}

static dill_coroutine void
write_through (int *where, int value)
{
  *where = value;
  flow_pause ();
  *where = value + 1;
}

/* Pointers into an array, in a loop that may be unrolled. */
static NOINLINE bool
start_writers_in_loop (void)
{
  int values[8] = { 0 }, handles[8];
  bool right = true;

  for (int i = 0; i < 8; i++)
    handles[i] = dill_go (write_through (&values[i], 10 * i));
  for (int i = 0; i < 8; i++)
    right &= values[i] == 10 * i;
  for (int i = 0; i < 8; i++)
    go_resume_to_end (handles[i]);
  for (int i = 0; i < 8; i++)
    right &= values[i] == 10 * i + 1;
  return right;
}

/* --- Places in an expression --- */

static int n_evaluated;

static NOINLINE int
evaluate (int value)
{
  n_evaluated++;
  return value;
}

static dill_coroutine void
add_twice (long value)
{
  add (value);
  add (value);
}

static NOINLINE bool
start_in_expressions (int n)
{
  void (*function) (long) = n > 0 ? add : add_twice;
  bool once = true;

  sum = n_evaluated = 0;
  for (int handle = dill_go (function (evaluate (1))); once; once = false)
    go_resume_to_end (handle);
  while (dill_go (add (evaluate (n > 5 ? evaluate (2) : evaluate (3)))) < 0)
    return false;
  go_resume_to_end (evaluate (dill_go (n > 0 ? add (evaluate (10)) : add_twice (evaluate (20)))));
  switch (n)
    {
    case 1:
      dill_go ((evaluate (0), add) (evaluate (100)));
      break;
    default:
      return false;
    }
  return n_evaluated == 7 && sum == 2 * 1 + 3 + 2 * 10 + 100;
}

static dill_coroutine void
resume_other (int other, long value)
{
  go_resume_to_end (other);
  sum += value;
}

/* Among the arguments of another start. */
static NOINLINE bool
start_in_start (long value)
{
  int handle;

  sum = 0;
  handle = dill_go (resume_other (dill_go (add (value)), value * 10));
  return flows[handle].ended && sum == 2 * value + 10 * value;
}

/* --- Starters that are coroutines --- */

static dill_coroutine void
start_below (int depth)
{
  int handle = -1;

  sum += depth;
  if (depth > 0)
    handle = dill_go (start_below (depth - 1));
  flow_pause ();
  if (handle >= 0)
    go_resume_to_end (handle);
  sum += 100 * depth;
}

static dill_coroutine void
take_record (struct record record, int *n_right)
{
  flow_pause ();
  *n_right += record.number == 1 && record.real == 2 && strcmp (record.text, "three") == 0;
}

static dill_coroutine void
start_and_end (int *child, int *n_right)
{
  struct record record = { 1, 2, "three" };

  *child = dill_go (take_record (record, n_right));
}

static dill_coroutine void
fill_stack (void)
{
  go_overwrite_stack ();
}

/* The starter has ended, and others have run on its stack, when the coroutine goes on. */
static bool
outlive_coroutine (void)
{
  int child = -1, n_right = 0, handle, other;

  handle = dill_go (start_and_end (&child, &n_right));
  other = dill_go (fill_stack ());
  go_resume_to_end (child);
  return other == handle && n_right == 1;
}

void
check_go_starters (void)
{
  int handle;

  check (start_aligned (40), "an aligned frame of any length is kept");
  check (start_amid_values (12345), "values alive across a start are kept");
  check (start_inlined (1), "several starts in one function, inlined into a loop");
  sum = 0;
  handle = start_recursively (6, 3);
  go_resume_to_end (handle);
  check (sum == 2 * 3 * 127, "a starter calls itself");
  check (start_writer (77), "a coroutine writes to its starter's variables, at once and later");
  check (start_writers_in_loop (), "and in a loop");
  check (start_in_expressions (1), "a start stands where an int may, and evaluates once what it is given");
  check (start_in_start (7), "also among the arguments of another one");

  sum = 0;
  handle = dill_go (start_below (5));
  check (sum == 15 && flow_current == &flow_own, "coroutines start coroutines");
  go_resume_to_end (handle);
  check (sum == 1515 && flow_current == &flow_own, "and resume them");
  check (outlive_coroutine (), "and are outlived by them");
}

#endif
