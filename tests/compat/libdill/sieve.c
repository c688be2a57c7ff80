/* sieve.c: the primes, by a chain of filters that grows as they are found.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"
#include <libdill.h>

#define N_PRIMES 100
#define LAST_PRIME 541

static coroutine void
count_up (int output)
{
  for (int i = 2; chsend (output, &i, sizeof i, -1) == 0; i++)
    ;
  check (errno == EPIPE || errno == ECANCELED);
  check (hclose (output) == 0);
}

/* Passes on what PRIME does not divide. */
static coroutine void
filter (int input, int output, int prime)
{
  int number;

  while (chrecv (input, &number, sizeof number, -1) == 0)
    if (number % prime != 0 && chsend (output, &number, sizeof number, -1) < 0)
      break;
  check (errno == EPIPE || errno == ECANCELED);
  check (hclose (input) == 0 && hclose (output) == 0);
}

static int
is_prime (int number)
{
  for (int i = 2; i * i <= number; i++)
    if (number % i == 0)
      return 0;
  return number > 1;
}

/* Finds primes.  Then all filters are cancelled, or the last end is closed, and they see that one by one. */
static void
find_primes (int by_cancellation)
{
  int ends[2], filters = bundle (), input, prime = 0, last = 1;

  check (filters >= 0 && chmake (ends) == 0);
  check (bundle_go (filters, count_up (ends[0])) == 0);
  input = ends[1];
  for (int i = 0; i < N_PRIMES; i++)
    {
      check (chrecv (input, &prime, sizeof prime, now () + 10000) == 0);
      check (prime > last && is_prime (prime));
      last = prime;
      check (chmake (ends) == 0);
      check (bundle_go (filters, filter (input, ends[0], prime)) == 0);
      input = ends[1];
    }
  check (prime == LAST_PRIME);

  if (by_cancellation)
    check (hclose (filters) == 0 && hclose (input) == 0);
  else
    check (hclose (input) == 0 && bundle_wait (filters, now () + 10000) == 0 && hclose (filters) == 0);
}

int
main (void)
{
  find_primes (0);
  find_primes (1);
  return 0;
}
