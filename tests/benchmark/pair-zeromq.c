/* pair-zeromq.c: ZeroMQ's REQ and REP sockets over ipc://.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "pair.h"
#include <zmq.h>

static struct bench bench;
static char buf[BENCH_SIZE_MAX];

static void
round_trip (void *socket)
{
  if (zmq_send (socket, buf, bench.size, 0) < 0 || zmq_recv (socket, buf, sizeof buf, 0) < 0)
    err (1, "round trip");
}

int
main (int argc, char **argv)
{
  char address[256];
  void *context, *socket;
  int n;

  bench = bench_parse (argc, argv);
  snprintf (address, sizeof address, "ipc://%s", bench.path);
  context = zmq_ctx_new ();
  socket = zmq_socket (context, pair_seconds (&bench) > 0 ? ZMQ_REQ : ZMQ_REP);
  if (pair_seconds (&bench) > 0)
    {
      if (zmq_connect (socket, address) < 0)
        err (1, "%s", address);
      pair_measure (pair_seconds (&bench), round_trip, socket);
      return 0;
    }

  if (zmq_bind (socket, address) < 0)
    err (1, "%s", address);
  bench_ready ();
  while ((n = zmq_recv (socket, buf, sizeof buf, 0)) >= 0)
    zmq_send (socket, buf, (size_t) n, 0);
  return 1;
}
