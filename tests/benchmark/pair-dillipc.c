/* pair-dillipc.c: dillipc on both ends, with messages behind prefixes; both on the main stack.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "pair.h"
#include <dillipc/dillipc.h>

static struct bench bench;
static char buf[BENCH_SIZE_MAX];

static void
round_trip (void *data)
{
  int s = *(int *) data;

  if (dill_msend (s, buf, bench.size, -1) < 0 || dill_mrecv (s, buf, sizeof buf, -1) < 0)
    err (1, "round trip");
}

static void
serve (int s)
{
  ssize_t n;

  while ((n = dill_mrecv (s, buf, sizeof buf, -1)) >= 0)
    if (dill_msend (s, buf, (size_t) n, -1) < 0)
      break;
  dill_hclose (s);
}

int
main (int argc, char **argv)
{
  int listener, s;

  bench = bench_parse (argc, argv);
  if (pair_seconds (&bench) > 0)
    {
      s = dill_prefix_attach (dill_ipc_connect (bench.path, -1), 4, 0);
      pair_measure (pair_seconds (&bench), round_trip, &s);
      return 0;
    }

  listener = dill_ipc_listen (bench.path, 16);
  bench_ready ();
  for (;;)
    serve (dill_prefix_attach (dill_ipc_accept (listener, -1), 4, 0));
}
