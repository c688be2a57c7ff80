/* pair-nng.c: nng's req0 and rep0 sockets over ipc://.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "pair.h"
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

static struct bench bench;
static char buf[BENCH_SIZE_MAX];

static void
check (int error)
{
  if (error != 0)
    errx (1, "%s", nng_strerror (error));
}

static void
round_trip (void *data)
{
  size_t n = sizeof buf;

  check (nng_send (*(nng_socket *) data, buf, bench.size, 0));
  check (nng_recv (*(nng_socket *) data, buf, &n, 0));
}

int
main (int argc, char **argv)
{
  char address[256];
  nng_socket socket;

  bench = bench_parse (argc, argv);
  snprintf (address, sizeof address, "ipc://%s", bench.path);
  if (pair_seconds (&bench) > 0)
    {
      check (nng_req0_open (&socket));
      check (nng_dial (socket, address, NULL, 0));
      pair_measure (pair_seconds (&bench), round_trip, &socket);
      return 0;
    }

  check (nng_rep0_open (&socket));
  check (nng_listen (socket, address, NULL, 0));
  bench_ready ();
  for (;;)
    {
      size_t n = sizeof buf;

      check (nng_recv (socket, buf, &n, 0));
      check (nng_send (socket, buf, n, 0));
    }
}
