/* client.c: what all servers of byte streams are measured with: plain blocking calls.
 *
 * usage: client WORK PATH SIZE ACTIVE IDLE SECONDS
 *
 * Opens IDLE connections that send nothing and ACTIVE ones that do, works for SECONDS, and prints how many operations
 * were done in a second: round trips, connections, bytes, or messages.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench.h"

static struct bench bench;
static int *active;
static size_t n_active;
static char *buf;

static void
send_all (int fd, const char *bytes, size_t length)
{
  while (length > 0)
    {
      ssize_t n = write (fd, bytes, length);

      if (n < 0)
        err (1, "write");
      bytes += n;
      length -= (size_t) n;
    }
}

static void
receive_all (int fd, size_t length)
{
  while (length > 0)
    {
      ssize_t n = read (fd, buf, length);

      if (n <= 0)
        err (1, "read");
      length -= (size_t) n;
    }
}

/* Each returns how many operations it has done. */

static size_t
echo (void)
{
  for (size_t i = 0; i < n_active; i++)
    send_all (active[i], buf, bench.size);
  for (size_t i = 0; i < n_active; i++)
    receive_all (active[i], bench.size);
  return n_active;
}

static size_t
accept_and_close (void)
{
  int fd = bench_connect (bench.path);

  send_all (fd, buf, 1);
  receive_all (fd, 1);
  close (fd);
  return 1;
}

/* Bytes, in pieces of the size that is asked for. */
static size_t
sink (void)
{
  for (unsigned i = 0; i < 64; i++)
    send_all (active[0], buf, bench.size);
  return 64 * bench.size;
}

/* As many messages as fit into one write of 16 KiB. */
static size_t
frames (void)
{
  size_t length = 4 + bench.size, n = 16384 / length;
  uint32_t header = (uint32_t) bench.size;

  for (size_t i = 0; i < n; i++)
    memcpy (buf + i * length, &header, sizeof header);
  send_all (active[0], buf, n * length);
  return n;
}

/* Until the server has had everything. */
static void
finish_stream (void)
{
  if (shutdown (active[0], SHUT_WR) < 0)
    err (1, "shutdown");
  receive_all (active[0], 1);
}

int
main (int argc, char **argv)
{
  static size_t (*const works[]) (void) = { echo, accept_and_close, sink, frames };
  size_t n_idle, n_done = 0;
  double begin, end;

  bench = bench_parse (argc, argv);
  if (argc != 7)
    errx (2, "usage: %s WORK PATH SIZE ACTIVE IDLE SECONDS", argv[0]);

  n_active = strtoul (argv[4], NULL, 10);
  n_idle = strtoul (argv[5], NULL, 10);
  if (bench.work == BENCH_ACCEPT)
    n_active = 0;
  active = calloc (n_active, sizeof *active);
  buf = calloc (1, 2 * BENCH_SIZE_MAX);
  for (size_t i = 0; i < n_idle; i++)
    bench_connect (bench.path);
  for (size_t i = 0; i < n_active; i++)
    active[i] = bench_connect (bench.path);
  if (bench.work == BENCH_ECHO)
    echo (); /* now all are accepted */

  begin = bench_now ();
  end = begin + strtod (argv[6], NULL);
  while (bench_now () < end)
    n_done += works[bench.work] ();
  if (bench.work == BENCH_SINK || bench.work == BENCH_FRAMES)
    finish_stream ();
  printf ("%.1f\n", (double) n_done / (bench_now () - begin));
}
