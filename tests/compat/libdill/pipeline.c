/* pipeline.c: stages that are joined by channels, each of which ends when the one before it does.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"
#include <libdill.h>

#define COUNT 1000

static coroutine void
generate (int output)
{
  for (int i = 1; i <= COUNT; i++)
    check (chsend (output, &i, sizeof i, -1) == 0);
  check (chdone (output) == 0);
}

static coroutine void
square (int input, int output)
{
  int number;

  while (chrecv (input, &number, sizeof number, -1) == 0)
    {
      int64_t squared = (int64_t) number * number;

      check (chsend (output, &squared, sizeof squared, -1) == 0);
    }
  check (errno == EPIPE && chdone (output) == 0);
}

static coroutine void
keep_even (int input, int output)
{
  int64_t number;

  while (chrecv (input, &number, sizeof number, -1) == 0)
    if (number % 2 == 0)
      check (chsend (output, &number, sizeof number, -1) == 0);
  check (errno == EPIPE && chdone (output) == 0);
}

int
main (void)
{
  int a[2], b[2], c[2], stages;
  int64_t number, last = 0, sum = 0, expected = 0;
  struct chstorage memory;

  check (chmake (a) == 0 && chmake_mem (&memory, b) == 0 && chmake (c) == 0);
  stages = bundle ();
  check (stages >= 0);
  check (bundle_go (stages, generate (a[0])) == 0);
  check (bundle_go (stages, square (a[1], b[0])) == 0);
  check (bundle_go (stages, keep_even (b[1], c[0])) == 0);

  while (chrecv (c[1], &number, sizeof number, -1) == 0)
    {
      check (number > last); /* in order */
      last = number;
      sum += number;
    }
  check (errno == EPIPE);
  for (int64_t i = 2; i <= COUNT; i += 2)
    expected += i * i;
  check (sum == expected);

  check (bundle_wait (stages, -1) == 0 && hclose (stages) == 0);
  for (int i = 0; i < 2; i++)
    check (hclose (a[i]) == 0 && hclose (b[i]) == 0 && hclose (c[i]) == 0);
  return 0;
}
