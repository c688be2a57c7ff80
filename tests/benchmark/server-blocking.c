/* server-blocking.c: plain blocking calls, a thread for each connection: what a program does that has no main loop.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench.h"
#include <pthread.h>

static struct bench bench;

static void *
serve (void *data)
{
  int fd = (int) (intptr_t) data;
  size_t size = bench.work == BENCH_SINK ? BENCH_SIZE_MAX : bench.size;
  char *buf = malloc (size);
  ssize_t n;

  while ((n = read (fd, buf, size)) > 0)
    {
      if (bench.work == BENCH_SINK)
        continue;
      if (write (fd, buf, (size_t) n) != n || bench.work == BENCH_ACCEPT)
        break;
    }

  if (bench.work == BENCH_SINK && write (fd, "x", 1) < 0)
    warn ("write");
  free (buf);
  close (fd);
  return NULL;
}

int
main (int argc, char **argv)
{
  int listener;

  bench = bench_parse (argc, argv);
  listener = bench_listen (bench.path);
  fcntl (listener, F_SETFL, 0);
  bench_ready ();

  for (;;)
    {
      int fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
      pthread_t thread;

      if (fd < 0 || pthread_create (&thread, NULL, serve, (void *) (intptr_t) fd) != 0)
        err (1, "accept");
      pthread_detach (thread);
    }
}
