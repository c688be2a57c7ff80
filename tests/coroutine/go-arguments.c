/* go-arguments.c: dill_go () with arguments of every class that an ABI knows.
 *
 * Each coroutine looks at its arguments after its starter has returned and its frame has been overwritten: an ABI that
 * passes something by address must not leave it in that frame.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "go-runtime.h"

#if !defined(WITH_UCONTEXT)

#include <complex.h>
#include <stdarg.h>
#include <string.h>

#define STARTER __attribute__ ((noinline)) static int

struct small
{
  int a, b;
};

struct mixed
{
  double x;
  long n;
};

struct floats
{
  float x, y, z;
};

struct large
{
  long a, b, c;
};

struct huge
{
  char bytes[8192];
  struct small small;
};

struct aligned
{
  _Alignas(64) int n;
};

union either
{
  double x;
  int n;
};

enum colour
{
  RED = -7,
  BLUE = 1 << 30
};

/* How many coroutines have found all as it should be. */
static int n_right;

/* Integers, more than there are registers. */

static dill_coroutine void
take_integers (signed char a, unsigned char b, short c, unsigned short d, int e, unsigned f, long g, unsigned long h,
               long long i, unsigned long long j, bool k, enum colour l, char m)
{
  flow_pause ();
  n_right += a == -1 && b == 255 && c == -300 && d == 65000 && e == -70000 && f == 4000000000u && g == -5
             && h == (unsigned long) -6 && i == -7 * (1ll << 40) && j == 1ull << 63 && k && l == RED && m == 'm';
}

STARTER
start_integers (int n, double x)
{
  (void) x;
  return dill_go (take_integers ((signed char) -n, (unsigned char) (n + 254), (short) (n - 301),
                                 (unsigned short) (n + 64999), n - 70001, (unsigned) n + 3999999999u, n - 6l,
                                 (unsigned long) (n - 7), (n - 8) * (1ll << 40), (unsigned long long) n << 63, n == 1,
                                 n == 1 ? RED : BLUE, (char) (n + 'l')));
}

/* Real numbers, likewise. */

static dill_coroutine void
take_reals (float a, double b, double c, double d, float e, double f, double g, double h, double i, float j, double k,
            long double l, long double m)
{
  flow_pause ();
  n_right += a == 0.5f && b == 1.5 && c == 2.5 && d == 3.5 && e == 4.5f && f == 5.5 && g == 6.5 && h == 7.5 && i == 8.5
             && j == 9.5f && k == 10.5 && l == 11.25L && m == -12.75L;
}

STARTER
start_reals (int n, double x)
{
  (void) n;
  return dill_go (take_reals ((float) x - 0.5f, x + .5, x + 1.5, x + 2.5, (float) x + 3.5f, x + 4.5, x + 5.5, x + 6.5,
                              x + 7.5, (float) x + 8.5f, x + 9.5, (long double) x + 10.25L, (long double) x - 13.75L));
}

static dill_coroutine void
take_complex (float complex a, double complex b, long double complex c)
{
  flow_pause ();
  n_right
      += crealf (a) == 1 && cimagf (a) == 2 && creal (b) == 3 && cimag (b) == -4 && creall (c) == 5 && cimagl (c) == 6;
}

STARTER
start_complex (int n, double x)
{
  return dill_go (take_complex ((float) n + 2 * I, x + 2 - 4 * I, (long double) x + 4 + 6 * I));
}

/* Pointers, to data that stays and to functions. */

static dill_coroutine void
take_pointers (const char *text, const int *null, int (*compare) (const char *, const char *), void *const *nested)
{
  flow_pause ();
  n_right += null == NULL && compare (text, "text") == 0 && *nested == (void *) &n_right;
}

STARTER
start_pointers (int n, double x)
{
  static void *const nested = (void *) &n_right;

  (void) x;
  return dill_go (take_pointers (&"a text"[2 * n], NULL, n == 1 ? strcmp : NULL, &nested));
}

/* Structures: in registers of either kind, in both, in memory, by address; with more alignment than a stack has. */

static dill_coroutine void
take_structures (struct small a, struct mixed b, struct floats c, union either d, struct large e, struct aligned f,
                 struct small g, struct large h)
{
  flow_pause ();
  n_right += a.a == 1 && a.b == 2 && b.x == 3.5 && b.n == -4 && c.x == 5 && c.y == 6 && c.z == 7 && d.x == 8.5
             && e.a == 9 && e.b == 10 && e.c == 11 && f.n == 12 && g.a == 13 && g.b == 14 && h.a == 15 && h.c == 17
             && (uintptr_t) &f % 64 == 0;
}

STARTER
start_structures (int n, double x)
{
  struct small small = { n, n + 1 };
  struct mixed mixed = { x + 2.5, n - 5 };
  struct floats floats = { (float) x + 4, (float) x + 5, (float) x + 6 };
  union either either = { x + 7.5 };
  struct large large = { n + 8, n + 9, n + 10 };
  struct aligned aligned = { n + 11 };
  int handle = dill_go (take_structures (small, mixed, floats, either, large, aligned,
                                         (struct small) { n + 12, n + 13 }, (struct large) { n + 14, n + 15, n + 16 }));

  /* The coroutine has copies. */
  memset (&large, 0, sizeof large);
  memset (&small, 0, sizeof small);
  __asm__ volatile ("" : : "r"(&large), "r"(&small) : "memory");
  return handle;
}

/* More than a page of arguments. */

static dill_coroutine void
take_huge (struct huge a, int b, struct huge c)
{
  flow_pause ();
  n_right += a.bytes[0] == 1 && a.bytes[8191] == 2 && a.small.b == 3 && b == 4 && c.bytes[0] == 5 && c.bytes[8191] == 6
             && c.small.a == 7;
}

STARTER
start_huge (int n, double x)
{
  struct huge first = { .small = { 0, n + 2 } }, second = { .small = { n + 6, 0 } };

  (void) x;
  first.bytes[0] = (char) n;
  first.bytes[8191] = (char) (n + 1);
  second.bytes[0] = (char) (n + 4);
  second.bytes[8191] = (char) (n + 5);
  return dill_go (take_huge (first, n + 3, second));
}

/* Vectors, more than there are registers. */

typedef int vector __attribute__ ((vector_size (16)));

static dill_coroutine void
take_vectors (vector a, vector b, vector c, vector d, vector e, vector f, vector g, vector h, vector i, vector j)
{
  flow_pause ();
  n_right += a[0] == 1 && b[1] == 2 && c[2] == 3 && d[3] == 4 && e[0] == 5 && f[1] == 6 && g[2] == 7 && h[3] == 8
             && i[0] == 9 && j[3] == 10;
}

STARTER
start_vectors (int n, double x)
{
  vector v = { n, n, n, n };

  (void) x;
  return dill_go (take_vectors (v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7, v + 8, v + 9));
}

/* Variable arguments, one by one and as a list. */

static dill_coroutine void
take_variable (int n, ...)
{
  struct large large;
  double sum = 0;
  va_list list;

  flow_pause ();
  va_start (list, n);
  for (int i = 0; i < n; i++)
    sum += i % 2 == 0 ? va_arg (list, int) : va_arg (list, double);
  large = va_arg (list, struct large);
  sum += (double) va_arg (list, long double);
  va_end (list);
  n_right += sum == 55.0 && large.a == 1 && large.b == 2 && large.c == 3;
}

STARTER
start_variable (int n, double x)
{
  struct large large = { n, n + 1, n + 2 };

  return dill_go (
      take_variable (n + 8, n, x + 1, n + 2, x + 3, n + 4, x + 5, n + 6, x + 7, n + 8, large, (long double) x + 9));
}

static dill_coroutine void
take_list (int n, va_list list)
{
  bool right = va_arg (list, int) == 2 && va_arg (list, double) == 3.0;

  flow_pause ();
  n_right += n == 1 && right;
}

__attribute__ ((noinline)) static int
start_list_of (int n, ...)
{
  va_list list;
  int handle;

  va_start (list, n);
  handle = dill_go (take_list (n, list));
  va_end (list);
  return handle;
}

STARTER
start_list (int n, double x)
{
  return start_list_of (n, n + 1, x + 2);
}

/* Results, which nobody wants: in memory that somebody has to provide, and in registers of all kinds. */

static dill_coroutine struct huge
give_huge (int n)
{
  struct huge huge = { .small = { n, n } };

  flow_pause ();
  n_right += huge.small.a == 1;
  memset (huge.bytes, n, sizeof huge.bytes);
  return huge;
}

STARTER
start_giving_huge (int n, double x)
{
  (void) x;
  return dill_go (give_huge (n));
}

static dill_coroutine struct large
give_large (long double x, struct large large)
{
  flow_pause ();
  n_right += x == 1 && large.c == 4;
  return large;
}

STARTER
start_giving_large (int n, double x)
{
  return dill_go (give_large ((long double) x, (struct large) { 0, 0, n + 3 }));
}

static dill_coroutine long double complex
give_complex (double x)
{
  flow_pause ();
  n_right += x == 2;
  return x + I;
}

STARTER
start_giving_complex (int n, double x)
{
  (void) n;
  return dill_go (give_complex (x + 1));
}

/* Temporary objects among the arguments stay as long as the coroutine. */

static dill_coroutine void
take_temporary (const struct large *large, const int *array)
{
  flow_pause ();
  n_right += large->a == 1 && large->c == 3 && array[0] == 4 && array[2] == 6;
}

STARTER
start_temporary (int n, double x)
{
  (void) x;
  return dill_go (take_temporary (&(struct large) { n, n + 1, n + 2 }, (int[]) { n + 3, n + 4, n + 5 }));
}

/* Not even when the compiler knows that the call does not come back. */

__attribute__ ((noreturn)) static dill_coroutine void
never_return (struct large large, const struct large *temporary)
{
  flow_pause ();
  n_right += temporary->a == 1 && temporary->c == 3 && large.a == 4 && large.b == 5 && large.c == 6;
  flow_end ();
}

STARTER
start_endless (int n, double x)
{
  (void) x;
  return dill_go (never_return ((struct large) { n + 3, n + 4, n + 5 }, &(struct large) { n, n + 1, n + 2 }));
}

static const struct
{
  const char *what;
  int (*start) (int n, double x);
} starters[] = {
  { "integers", start_integers },
  { "real numbers", start_reals },
  { "complex numbers", start_complex },
  { "pointers", start_pointers },
  { "structures", start_structures },
  { "more than a page of arguments", start_huge },
  { "vectors", start_vectors },
  { "variable arguments", start_variable },
  { "a list of arguments", start_list },
  { "a large result", start_giving_huge },
  { "a result of three words", start_giving_large },
  { "a complex result", start_giving_complex },
  { "temporary objects", start_temporary },
  { "what a function gets that never returns", start_endless },
};

void
check_go_arguments (void)
{
  volatile int n = 1;
  volatile double x = 1.0;

  for (size_t i = 0; i < sizeof starters / sizeof starters[0]; i++)
    {
      int handle;

      n_right = 0;
      handle = starters[i].start (n, x);
      go_overwrite_stack ();
      go_resume_to_end (handle);
      check (n_right == 1, starters[i].what);
    }
}

#endif
