/* bench.h: what the servers and the clients of the benchmarks have in common.
 *
 * A server is called as SERVER WORK PATH SIZE [OPTION]: it listens at PATH, says "ready" on its standard output, and
 * serves until it is killed.  Works are
 *
 *   echo    messages of SIZE bytes come and are sent back, on any number of connections
 *   accept  each connection sends one byte, which is sent back, and is closed by both
 *   sink    bytes come until the end of the stream, which is answered with one byte
 *   frames  messages of SIZE bytes, each behind a length of four bytes, come until the end of the stream; likewise
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BENCH_SIZE_MAX 65536

enum bench_work
{
  BENCH_ECHO,
  BENCH_ACCEPT,
  BENCH_SINK,
  BENCH_FRAMES
};

struct bench
{
  enum bench_work work;
  const char *path;
  size_t size;
  const char *option; /* "" if there is none */
};

/* What the benchmarks need, if it is allowed. */
#define BENCH_N_DESCRIPTORS 60000

/* As many descriptors as there may be. */
static inline void
bench_raise_limit (void)
{
  struct rlimit limit = { BENCH_N_DESCRIPTORS, BENCH_N_DESCRIPTORS };

  if (setrlimit (RLIMIT_NOFILE, &limit) == 0)
    return;
  if (getrlimit (RLIMIT_NOFILE, &limit) < 0)
    err (1, "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit (RLIMIT_NOFILE, &limit) < 0)
    err (1, "setrlimit");
}

static inline struct bench
bench_parse (int argc, char **argv)
{
  static const char *const works[] = { "echo", "accept", "sink", "frames" };
  struct bench bench = { 0 };
  size_t i = 0;

  if (argc < 4)
    errx (2, "usage: %s echo|accept|sink|frames PATH SIZE [OPTION]", argv[0]);

  while (i < sizeof works / sizeof *works && strcmp (argv[1], works[i]) != 0)
    i++;
  if (i == sizeof works / sizeof *works)
    errx (2, "%s: no such work", argv[1]);

  bench.work = (enum bench_work) i;
  bench.path = argv[2];
  bench.size = strtoul (argv[3], NULL, 10);
  bench.option = argc > 4 ? argv[4] : "";
  if (bench.size < 1 || bench.size > BENCH_SIZE_MAX)
    errx (2, "%s: a size is 1 to %d bytes", argv[3], BENCH_SIZE_MAX);

  bench_raise_limit ();
  return bench;
}

static inline struct sockaddr_un
bench_address (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  if (strlen (path) >= sizeof address.sun_path)
    errx (2, "%s is too long", path);
  strcpy (address.sun_path, path);
  return address;
}

/* A plain listening socket. */
static inline int
bench_listen (const char *path)
{
  struct sockaddr_un address = bench_address (path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  if (fd < 0 || bind (fd, (struct sockaddr *) &address, sizeof address) < 0 || listen (fd, 4096) < 0)
    err (1, "%s", path);
  return fd;
}

static inline int
bench_connect (const char *path)
{
  struct sockaddr_un address = bench_address (path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (fd < 0 || connect (fd, (struct sockaddr *) &address, sizeof address) < 0)
    err (1, "%s", path);
  return fd;
}

static inline void
bench_watch (int epoll_fd, int fd, uint32_t events)
{
  struct epoll_event event = { .events = events, .data.fd = fd };

  if (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
    err (1, "epoll_ctl");
}

static inline int64_t
bench_now_ns (void)
{
  struct timespec time;

  clock_gettime (CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C (1000000000) + time.tv_nsec;
}

/* In seconds. */
static inline double
bench_now (void)
{
  return (double) bench_now_ns () * 1e-9;
}

/* Whoever waits for the server may begin. */
static inline void
bench_ready (void)
{
  puts ("ready");
  fflush (stdout);
}

