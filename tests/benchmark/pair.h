/* pair.h: systems that need themselves on both ends: round trips of messages of one size, one after the other.
 *
 * usage: PROGRAM echo PATH SIZE [SECONDS]: a server without SECONDS, else a client, which prints round trips in a
 * second.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "bench.h"

/* For a client: how long to go on; 0 for a server. */
static inline double
pair_seconds (const struct bench *bench)
{
  return strtod (bench->option, NULL);
}

/* Calls ROUND_TRIP (DATA) for SECONDS and prints how often in a second. */
static inline void
pair_measure (double seconds, void (*round_trip) (void *data), void *data)
{
  double begin, now;
  size_t n = 0;

  round_trip (data);
  begin = bench_now ();
  do
    {
      round_trip (data);
      n++;
      now = bench_now ();
    }
  while (now < begin + seconds);
  printf ("%.1f\n", (double) n / (now - begin));
}
