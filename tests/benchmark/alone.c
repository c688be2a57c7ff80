/* alone.c: a server and its client in one thread, so that no scheduler has a say in what they take.
 *
 * usage: alone echo|accept PATH SIZE epoll|dillipc OPERATIONS
 *
 * The client begins an operation with plain calls, the server takes as many turns of its loop as it needs to answer,
 * and the client reads the answer.  Prints the nanoseconds of one operation: the server's and the client's together.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench.h"
#include <dillipc/dillipc.h>

#define N_EVENTS 64

static struct bench bench;
static char buf[BENCH_SIZE_MAX];
static size_t n_answered;
static int client_fd = -1;

/* --- the client --- */

static void
begin_operation (void)
{
  if (client_fd < 0)
    client_fd = bench_connect (bench.path);
  if (write (client_fd, buf, bench.size) != (ssize_t) bench.size)
    err (1, "write");
}

static void
end_operation (void)
{
  if (read (client_fd, buf, bench.size) != (ssize_t) bench.size)
    err (1, "read");
  if (bench.work == BENCH_ECHO)
    return;

  close (client_fd);
  client_fd = -1;
}

/* --- a server by epoll, as server-epoll.c --- */

static int epoll_fd, listener_fd;

static void
begin_epoll (void)
{
  listener_fd = bench_listen (bench.path);
  epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  bench_watch (epoll_fd, listener_fd, EPOLLIN);
}

static void
answer (int fd)
{
  static char bytes[BENCH_SIZE_MAX];
  ssize_t n = read (fd, bytes, bench.size);

  if (n > 0 && write (fd, bytes, (size_t) n) != n)
    err (1, "write");
  n_answered++;
  if (bench.work == BENCH_ACCEPT)
    close (fd);
}

static void
turn_epoll (void)
{
  struct epoll_event events[N_EVENTS];
  int n = epoll_wait (epoll_fd, events, N_EVENTS, -1);

  for (int i = 0; i < n; i++)
    if (events[i].data.fd == listener_fd)
      bench_watch (epoll_fd, accept4 (listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), EPOLLIN);
    else
      answer (events[i].data.fd);
}

/* --- a server by dillipc, as server-dillipc.c --- */

static dill_coroutine void
serve (int s)
{
  static char bytes[BENCH_SIZE_MAX];

  while (dill_brecv (s, bytes, bench.size, -1) == 0 && dill_bsend (s, bytes, bench.size, -1) == 0)
    {
      n_answered++;
      if (bench.work == BENCH_ACCEPT)
        break;
    }
  dill_hclose (s);
}

static dill_coroutine void
serve_all (int listener, int sessions)
{
  static char mem[2][DILL_IPC_SIZE]; /* the last session may not have ended */

  for (unsigned n = 0;; n++)
    {
      int s = dill_ipc_accept_mem (listener, mem[n % 2], -1);

      if (s < 0 || dill_bundle_go (sessions, serve (s)) < 0)
        err (1, "accept");
    }
}

static void
begin_dillipc (void)
{
  int listener = dill_ipc_listen (bench.path, 4096), sessions = dill_bundle ();

  if (listener < 0 || dill_bundle_go (sessions, serve_all (listener, sessions)) < 0)
    err (1, "%s", bench.path);
}

static void
turn_dillipc (void)
{
  g_main_context_iteration (NULL, TRUE);
}

int
main (int argc, char **argv)
{
  void (*turn) (void) = turn_epoll;
  int64_t begin;
  size_t n;

  bench = bench_parse (argc, argv);
  if (argc != 6)
    errx (2, "usage: %s echo|accept PATH SIZE epoll|dillipc OPERATIONS", argv[0]);

  n = strtoul (argv[5], NULL, 10);
  if (strcmp (bench.option, "dillipc") == 0)
    {
      begin_dillipc ();
      turn = turn_dillipc;
    }
  else
    begin_epoll ();

  begin = bench_now_ns ();
  for (size_t i = 0; i < n; i++)
    {
      begin_operation ();
      while (n_answered == i)
        turn ();
      end_operation ();
    }
  printf ("%.1f\n", (double) (bench_now_ns () - begin) / (double) n);
  unlink (bench.path);
}
