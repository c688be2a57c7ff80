/* server-epoll.c: the yardstick: a plain loop around epoll_wait (2), level-triggered, with read (2) and write (2).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench.h"

#define N_EVENTS 64

static struct bench bench;
static int epoll_fd;
static char buf[BENCH_SIZE_MAX];

static void
accept_one (int listener)
{
  int fd = accept4 (listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

  if (fd >= 0)
    bench_watch (epoll_fd, fd, EPOLLIN);
}

static void
serve (int fd)
{
  ssize_t n = read (fd, buf, bench.work == BENCH_SINK ? sizeof buf : bench.size);

  if (n < 0 && errno == EAGAIN)
    return;

  if (n <= 0)
    {
      if (bench.work == BENCH_SINK && n == 0 && write (fd, "x", 1) < 0)
        warn ("write");
      close (fd);
      return;
    }

  if (bench.work == BENCH_SINK)
    return;

  if (write (fd, buf, (size_t) n) != n)
    err (1, "write");
  if (bench.work == BENCH_ACCEPT)
    close (fd);
}

/* What most programs do: one recv for the header, and one for the body. */
static void
serve_frames (int fd)
{
  uint32_t length;
  ssize_t n;

  while ((n = recv (fd, &length, sizeof length, MSG_WAITALL)) == sizeof length)
    if (length > sizeof buf || recv (fd, buf, length, MSG_WAITALL) != (ssize_t) length)
      err (1, "recv");

  if (n == 0 && write (fd, "x", 1) < 0)
    warn ("write");
  close (fd);
}

int
main (int argc, char **argv)
{
  struct epoll_event events[N_EVENTS];
  int listener;

  bench = bench_parse (argc, argv);
  listener = bench_listen (bench.path);
  epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  bench_watch (epoll_fd, listener, EPOLLIN);
  bench_ready ();

  for (;;)
    {
      int n = epoll_wait (epoll_fd, events, N_EVENTS, -1);

      for (int i = 0; i < n; i++)
        {
          int fd = events[i].data.fd;

          if (fd != listener)
            serve (fd);
          else if (bench.work == BENCH_FRAMES)
            serve_frames (accept4 (listener, NULL, NULL, SOCK_CLOEXEC));
          else
            accept_one (listener);
        }
    }
}
