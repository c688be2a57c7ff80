/* server-bare.c: the system calls that dillipc makes, as few as they are, and nothing else: no coroutines, no main
 * loop, and no other objects than descriptors.  What this takes longer than the yardstick, no library with dillipc's
 * promises can make up for: it has to receive with room for a descriptor and for what comes behind, and not to look at
 * epoll again for one connection as long as another may be ready.
 *
 * The option is for how many nanoseconds it works in each answer, to tell what that costs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench.h"

#define N_EVENTS 64

static struct bench bench;
static int epoll_fd;
static int64_t work_ns;
static char buf[BENCH_SIZE_MAX], ahead[16384 - 32];

static ssize_t
receive (int fd)
{
  struct iovec pieces[] = { { buf, bench.size }, { ahead, sizeof ahead } };
  union
  {
    struct cmsghdr header;
    char bytes[CMSG_SPACE (sizeof (int))];
  } control;
  struct msghdr message = {
    .msg_iov = pieces,
    .msg_iovlen = 2,
    .msg_control = &control,
    .msg_controllen = CMSG_LEN (sizeof (int)),
  };

  return recvmsg (fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}

static void
work (void)
{
  int64_t end;

  if (work_ns == 0)
    return;

  end = bench_now_ns () + work_ns;
  while (bench_now_ns () < end)
    continue;
}

/* As receive (), and sends what came back. */
static ssize_t
answer (int fd)
{
  ssize_t n = receive (fd);

  if (n > 0)
    work ();
  if (n > 0 && send (fd, buf, (size_t) n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
    err (1, "send");
  return n;
}

/* Of the last one that is ready, the peer may have answered meanwhile. */
static void
serve (int fd, bool is_last)
{
  ssize_t n;

  do
    n = answer (fd);
  while (n > 0 && is_last && bench.work == BENCH_ECHO);

  if (n == 0 || (n > 0 && bench.work == BENCH_ACCEPT))
    {
      epoll_ctl (epoll_fd, EPOLL_CTL_DEL, fd, NULL);
      close (fd);
    }
}

/* What the peer has sent already is answered before the connection is registered. */
static void
accept_one (int listener)
{
  int fd = accept4 (listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : answer (fd);

  if (n == 0 || (n > 0 && bench.work == BENCH_ACCEPT))
    close (fd);
  else if (fd >= 0)
    bench_watch (epoll_fd, fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

int
main (int argc, char **argv)
{
  struct epoll_event events[N_EVENTS];
  int listener;

  bench = bench_parse (argc, argv);
  if (bench.work != BENCH_ECHO && bench.work != BENCH_ACCEPT)
    errx (2, "only echo and accept");
  work_ns = strtol (bench.option, NULL, 10);

  listener = bench_listen (bench.path);
  epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  bench_watch (epoll_fd, listener, EPOLLIN);
  bench_ready ();

  for (;;)
    {
      int n = epoll_wait (epoll_fd, events, N_EVENTS, -1);

      for (int i = 0; i < n; i++)
        if (events[i].data.fd == listener)
          accept_one (listener);
        else
          serve (events[i].data.fd, i == n - 1);
    }
}
