/* arguments.c: go () with arguments of all classes, in callers of all kinds; written as a program for libdill.
 *
 * Exits with 0 if each coroutine got what it was given, and each caller found its own variables as it had left them
 * or as the coroutines had made them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#undef NDEBUG
#include <alloca.h>
#include <assert.h>
#include <complex.h>
#include <libdill.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct small
{
  int a, b;
};

struct mixed
{
  double x;
  long n;
};

struct large
{
  char bytes[200];
  struct small small;
};

/* What coroutines find out. */
static int n_right;

static coroutine void
integers (signed char a, unsigned char b, short c, unsigned d, long e, unsigned long long f, int g, long h, short i,
          char j)
{
  n_right += a == -1 && b == 255 && c == -300 && d == 4000000000u && e == -5 && f == 1ull << 63;
  assert (yield () == 0);
  n_right += g == 7 && h == 1l << 40 && i == 9 && j == 'j';
}

static coroutine void
doubles (float a, double b, double c, double d, double e, double f, double g, double h, double i, float j)
{
  n_right += a == 0.5f && b == 1.5 && c == 2.5 && d == 3.5 && e == 4.5;
  assert (yield () == 0);
  n_right += f == 5.5 && g == 6.5 && h == 7.5 && i == 8.5 && j == 9.5f;
}

static coroutine void
others (long double a, double complex b, long double c, void *d, __int128 e)
{
  assert (yield () == 0);
  n_right
      += a == 1.25L && creal (b) == 2 && cimag (b) == -3 && c == -4.75L && d == &n_right && e == (__int128) 1 << 100;
}

static coroutine void
structures (struct small a, struct mixed b, struct large c, struct small d, struct large e)
{
  assert (yield () == 0);
  n_right
      += a.a == 1 && a.b == 2 && b.x == 3.5 && b.n == -4 && c.bytes[0] == 'c' && c.bytes[199] == 'C' && c.small.b == 6;
  n_right += d.a == 7 && d.b == 8 && e.bytes[0] == 'e' && e.bytes[199] == 'E' && e.small.a == 9;
}

static coroutine void
variadic (int n, ...)
{
  va_list arguments;
  double sum = 0;

  va_start (arguments, n);
  for (int i = 0; i < n; i++)
    sum += i % 2 == 0 ? va_arg (arguments, int) : va_arg (arguments, double);
  va_end (arguments);
  n_right += sum == 15.0;
}

static void
check_classes (void)
{
  struct small small = { 1, 2 };
  struct mixed mixed = { 3.5, -4 };
  struct large large = { .small = { 5, 6 } };
  struct large last = { .small = { 9, 10 } };
  int handles[6];

  large.bytes[0] = 'c';
  large.bytes[199] = 'C';
  last.bytes[0] = 'e';
  last.bytes[199] = 'E';
  n_right = 0;
  handles[0] = go (integers (-1, 255, -300, 4000000000u, -5, 1ull << 63, 7, 1l << 40, 9, 'j'));
  handles[1] = go (doubles (0.5f, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5f));
  handles[2] = go (others (1.25L, 2 - 3 * I, -4.75L, &n_right, (__int128) 1 << 100));
  handles[3] = go (structures (small, mixed, large, (struct small) { 7, 8 }, last));
  handles[4] = go (variadic (6, 0, 1.0, 2, 3.0, 4, 5.0));
  small = (struct small) { 0, 0 };
  memset (&large, 0, sizeof large);
  assert (yield () == 0 && yield () == 0);
  for (int i = 0; i < 5; i++)
    assert (hclose (handles[i]) == 0);
  assert (n_right == 8);
}

/* Writes into the caller's variables, at once and later. */
static coroutine void
write_later (int *number, double *real, char *text, struct small *structure)
{
  *number = 1;
  assert (yield () == 0);
  *number += 10;
  *real *= 2;
  strcpy (text, "later");
  structure->a = structure->b;
}

static void
check_pointers_to_locals (void)
{
  int number = 0;
  double real = 1.25;
  char text[8] = "before";
  struct small structure = { 3, 4 };
  int handle = go (write_later (&number, &real, text, &structure));

  assert (number == 1 && real == 1.25 && strcmp (text, "before") == 0 && structure.a == 3);
  number = 100;
  assert (yield () == 0);
  assert (number == 110 && real == 2.5 && strcmp (text, "later") == 0 && structure.a == 4 && structure.b == 4);
  assert (hclose (handle) == 0);
}

static coroutine void
add (long *sum, long value, double factor)
{
  assert (yield () == 0);
  *sum += (long) ((double) value * factor);
}

/* More than there are registers, of either kind, are alive across go (). */
static void
check_live_locals (int seed)
{
  long a = seed, b = a * 3, c = b ^ 5, d = c + a, e = d * b, f = e - c, g = f | 1, h = g * 7;
  double p = seed * 0.5, q = p + 1, r = q * p, s = r - q, t = s + 0.25, u = t * 3, v = u - 1, w = v * 0.5;
  long sum = 0, sums = 0;
  double reals;
  int handle;

  for (int i = 0; i < 10; i++)
    {
      handle = go (add (&sum, a + i, p + q - p));
      sums += (long) ((double) (a + i) * q);
      b += i;
      assert (yield () == 0);
      assert (hclose (handle) == 0);
    }
  reals = p + q + r + s + t + u + v + w;
  assert (sum == sums);
  assert (a == seed && b == a * 3 + 45 && c == ((a * 3) ^ 5) && d == c + a && e == d * (a * 3) && f == e - c);
  assert (g == (f | 1) && h == g * 7);
  p = seed * 0.5;
  assert (q == p + 1 && r == q * p && s == r - q && t == s + 0.25 && u == t * 3 && v == u - 1 && w == v * 0.5);
  assert (reals == p + q + r + s + t + u + v + w);
}

/* Callers whose own frame is out of the ordinary. */
static void
check_frames (int n)
{
  int array[n];
  char *block = alloca ((size_t) n * 16);
  _Alignas(64) char aligned[64];
  long sum = 0;
  int handles[8];

  memset (block, 'b', (size_t) n * 16);
  memset (aligned, 'a', sizeof aligned);
  for (int i = 0; i < n; i++)
    array[i] = i;
  for (int i = 0; i < 8; i++)
    handles[i] = go (add (&sum, array[i % n] + aligned[i] + block[i], 1.0));
  assert (((uintptr_t) aligned & 63) == 0);
  assert (yield () == 0);
  assert (sum == 8 * ('a' + 'b') + 28);
  for (int i = 0; i < n; i++)
    assert (array[i] == i && block[i] == 'b');
  for (int i = 0; i < 8; i++)
    assert (hclose (handles[i]) == 0 && aligned[i] == 'a');
}

static int n_evaluated;

static int
evaluate (int value)
{
  n_evaluated++;
  return value;
}

struct object
{
  void (*run) (struct object *self, int value);
  int value;
};

static coroutine void
object_run (struct object *self, int value)
{
  assert (yield () == 0);
  self->value += value;
}

static inline int
start_inline (struct object *object, int value)
{
  return go (object->run (object, value));
}

static int
pass_on (int a, int b)
{
  assert (b == 5);
  return a;
}

/* The call and its arguments may be any expressions, evaluated once; go () may stand where an int may. */
static void
check_expressions (void)
{
  struct object object = { object_run, 0 };
  struct object *p = &object;
  long sum = 0;
  int handles[5];

  n_evaluated = 0;
  handles[0] = go (p->run (p, evaluate (1)));
  handles[1] = start_inline (p, evaluate (10) + evaluate (10));
  handles[2] = pass_on (go ((*object.run) (&object, 300)), 5);
  handles[3] = n_evaluated == 3 ? go (add (&sum, evaluate (4), 2.0)) : -1;
  if ((handles[4] = go (add (&sum, 1, evaluate (5)))) < 0)
    assert (0);
  assert (n_evaluated == 5 && object.value == 0);
  assert (yield () == 0);
  assert (object.value == 321 && sum == 13);
  for (int i = 0; i < 5; i++)
    assert (hclose (handles[i]) == 0);
}

/* Coroutines that start coroutines, on whose stacks those find their arguments. */
static coroutine void
spread (int depth, int *n_leaves, struct large load)
{
  int here = depth;

  assert (load.bytes[depth] == (char) depth);
  if (depth == 0)
    {
      assert (yield () == 0);
      ++*n_leaves;
      return;
    }

  load.bytes[depth - 1] = (char) (depth - 1);
  int left = go (spread (depth - 1, n_leaves, load));
  int right = go (spread (here - 1, n_leaves, load));
  assert (bundle_wait (left, -1) == 0 && bundle_wait (right, -1) == 0);
  assert (here == depth && hclose (left) == 0 && hclose (right) == 0);
}

static void
check_nested (void)
{
  struct large load = { .small = { 0, 0 } };
  int n_leaves = 0;
  int handle;

  load.bytes[5] = 5;
  handle = go (spread (5, &n_leaves, load));
  assert (bundle_wait (handle, -1) == 0);
  assert (n_leaves == 32);
  assert (hclose (handle) == 0);
}

/* In a bundle, and on stacks of one's own. */
static void
check_bundles (void)
{
  static char stacks[3][32768];
  long sum = 0;
  int b = bundle ();
  int handle;

  for (int i = 0; i < 20; i++)
    assert (bundle_go (b, add (&sum, i, 1.0)) == 0);
  assert (bundle_go_mem (b, add (&sum, 1000, 1.0), stacks[0], sizeof stacks[0]) == 0);
  assert (bundle_go_mem (b, add (&sum, 2000, 1.0), stacks[1] + 1, sizeof stacks[1] - 1) == 0);
  handle = go_mem (add (&sum, 4000, 1.0), stacks[2], sizeof stacks[2]);
  assert (handle >= 0 && sum == 0);
  assert (bundle_wait (b, -1) == 0 && bundle_wait (handle, -1) == 0);
  assert (sum == 7190);
  assert (hclose (b) == 0 && hclose (handle) == 0);
}

int
main (void)
{
  for (int i = 0; i < 3; i++)
    {
      check_classes ();
      check_pointers_to_locals ();
      check_live_locals (3 + i);
      check_frames (8);
      check_expressions ();
      check_nested ();
      check_bundles ();
    }
  puts ("all arguments arrived");
  return 0;
}
