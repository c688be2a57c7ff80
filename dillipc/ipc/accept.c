/* accept.c: accepting connections.
 *
 * Who waits is served in order: when the listener becomes ready, the connections are accepted at once on behalf of the
 * waiters, into their memory.  So either nobody waits or nothing is there, and no newcomer can be faster.
 *
 * Handle and memory are set aside before accept4(2), so that no connection is accepted only to be dropped.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/accept.h"
#include "ipc/connection.h"
#include "ipc/listener.h"
#include "ipc/socket.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

struct acceptor
{
  struct dill_wait wait;
  void *mem;
  bool is_served;
  int h; /* the result, -1 with ERROR */
  int error;
};

/* Whether a process that has the socket too has shut it down: then no connection comes, and it is ready for good. */
static bool
is_shut_down (int fd)
{
  struct pollfd poll_fd = { .fd = fd, .events = POLLRDHUP };

  return poll (&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLRDHUP);
}

static int
call_accept (struct dill_watch *watch)
{
  int fd;

  /* ECONNABORTED, EPROTO: the peer has given up meanwhile; the next in the backlog may not have. */
  do
    fd = accept4 (watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  while (fd < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EPROTO));

  /* A blocking accept (2) says the same. */
  if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    errno = is_shut_down (watch->fd) ? EINVAL : EAGAIN;

  /* Whether there are more the poller will say again, which costs less than asking: accept4 (2) makes a socket and a
   * file before it looks.  On want of descriptors readiness is kept: the connection goes on to wait. */
  if (fd >= 0 || errno == EAGAIN)
    watch->ready &= (uint8_t) ~DILL_IN;
  return fd;
}

/* Accepts a connection into MEM, at home in ENGINE.  Returns its handle, or -1 with errno; EAGAIN: nothing is there. */
static int
accept_into (struct dill_watch *watch, struct dill_engine *engine, void *mem)
{
  struct dill_connection *connection = dill_connection_place (mem);
  int fd, h, saved_errno;

  if (connection == NULL)
    return -1;

  h = dill_handle_reserve (engine->thread);
  fd = h < 0 ? -1 : call_accept (watch);
  if (fd < 0)
    {
      saved_errno = errno;
      if (h >= 0)
        dill_handle_take (h);
      dill_connection_unplace (connection, mem);
      errno = saved_errno;
      return -1;
    }

  if (dill_container_of (watch, struct dill_listener, watch)->has_passed_extras)
    dill_socket_drop_extras (fd);
  dill_connection_open (connection, h, engine, fd, mem == NULL);
  return h;
}

static void
serve (struct acceptor *acceptor, int h, int error)
{
  acceptor->is_served = true;
  acceptor->h = h;
  acceptor->error = error;
  dill_list_remove (&acceptor->wait.queue); /* closing the listener does not concern it any more */
  dill_wait_wake (&acceptor->wait, DILL_READY);
}

void
dill_accept_notify (struct dill_watch *watch, unsigned directions)
{
  struct dill_list *link, *next;
  int error = 0;

  (void) directions;
  for (link = watch->in.next; link != &watch->in; link = next)
    {
      struct acceptor *acceptor = dill_container_of (dill_wait_at (link), struct acceptor, wait);
      int h = -1;

      next = link->next;
      if (acceptor->wait.outcome != DILL_PENDING)
        continue; /* timed out or cancelled, and about to leave */

      if (error == 0)
        {
          h = accept_into (watch, acceptor->wait.engine, acceptor->mem);
          if (h < 0 && errno == EAGAIN)
            return;
          if (h < 0)
            error = errno;
        }

      /* What one was refused, for want of descriptors, the others would be too. */
      serve (acceptor, h, error);
    }
}

static int
result (const struct acceptor *acceptor)
{
  if (acceptor->h < 0)
    errno = acceptor->error;
  return acceptor->h;
}

static int
accept_connection (int s, void *mem, int64_t deadline)
{
  struct acceptor acceptor = { .mem = mem };
  struct dill_thread *thread = dill_wait_get_thread ();
  enum dill_outcome outcome;

  if (thread == NULL)
    return -1;

  for (;;)
    {
      struct dill_listener *listener = dill_listener_get (s);

      if (listener == NULL)
        return -1;

      if (((listener->watch.ready & DILL_IN) || !dill_wait_is_possible (deadline))
          && !dill_watch_is_pending (&listener->watch, DILL_IN))
        {
          struct dill_engine *engine = dill_engine_get (thread);
          int h = engine == NULL ? -1 : accept_into (&listener->watch, engine, mem);

          if (h >= 0 || errno != EAGAIN)
            return (int) dill_wait_fairly (h, deadline);
        }

      outcome = DILL_PENDING;
      if (dill_wait_begin (&acceptor.wait, "accept", deadline) == 0)
        outcome = dill_watch_block (&listener->watch, DILL_IN, &acceptor.wait);
      if (acceptor.is_served)
        return result (&acceptor);
      if (dill_wait_result_or_last_try (outcome, &deadline) < 0)
        return -1;
    }
}

int
dill_ipc_accept (int s, int64_t deadline)
{
  return accept_connection (s, NULL, deadline);
}

int
dill_ipc_accept_mem (int s, void *mem, int64_t deadline)
{
  if (mem == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  return accept_connection (s, mem, deadline);
}
