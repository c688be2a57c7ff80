/* fault-calls-sockets.c: the calls that the library makes for sockets, and to wait for them, each of which can be made
 * to fail.
 *
 * A call that fails does nothing, as in the kernel, with these exceptions: EPOLL_CTL_DEL takes the descriptor out, and
 * EPOLL_CTL_MOD says ENOENT only of one that is not there.
 *
 * EAGAIN from a socket that is ready, and a transfer that is cut, are the kernel's to report again when they are worth
 * another try: fault_report_again () does.
 *
 * Relies on: fault-calls.h.  The other calls are in fault-calls.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-calls.h"
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* --- Sockets --- */

WRAP (int, socket, (int domain, int type, int protocol), (domain, type, protocol), -1)
WRAP (int, socketpair, (int domain, int type, int protocol, int fds[2]), (domain, type, protocol, fds), -1)
WRAP (int, bind, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length), -1)
WRAP (int, listen, (int fd, int backlog), (fd, backlog), -1)
WRAP (int, shutdown, (int fd, int how), (fd, how), -1)
WRAP (int, getpeername, (int fd, struct sockaddr *address, socklen_t *length), (fd, address, length), -1)
WRAP (int, getsockopt, (int fd, int level, int option, void *value, socklen_t *length),
      (fd, level, option, value, length), -1)
WRAP (int, setsockopt, (int fd, int level, int option, const void *value, socklen_t length),
      (fd, level, option, value, length), -1)

int fault_connect (int fd, const struct sockaddr *address, socklen_t length);
int fault_accept4 (int fd, struct sockaddr *address, socklen_t *length, int flags);
ssize_t fault_send (int fd, const void *bytes, size_t length, int flags);
ssize_t fault_sendmsg (int fd, const struct msghdr *message, int flags);
ssize_t fault_recvmsg (int fd, struct msghdr *message, int flags);
int fault_ioctl (int fd, unsigned long request, ...);

/* fault_strikes () for calls that are made again when the kernel says so. */
static bool
strikes_on (enum fault_call call, int fd)
{
  if (!fault_strikes (call))
    return false;

  if (errno == EAGAIN)
    fault_report_again (fd);
  return true;
}

/* A datagram socket asks whether somebody is bound, and never has to wait. */
int
fault_connect (int fd, const struct sockaddr *address, socklen_t length)
{
  int type = SOCK_STREAM;
  socklen_t size = sizeof type;

  (void) getsockopt (fd, SOL_SOCKET, SO_TYPE, &type, &size);
  if (fault_strikes (type == SOCK_DGRAM ? FAULT_connect_datagram : FAULT_connect))
    return -1;
  return connect (fd, address, length);
}

int
fault_accept4 (int fd, struct sockaddr *address, socklen_t *length, int flags)
{
  return strikes_on (FAULT_accept4, fd) ? -1 : accept4 (fd, address, length, flags);
}

ssize_t
fault_send (int fd, const void *bytes, size_t length, int flags)
{
  struct iovec piece = { (void *) bytes, length };

  if (strikes_on (FAULT_send, fd))
    return -1;

  fault_cut_pieces (&piece, 1, &piece);
  return send (fd, bytes, piece.iov_len, flags);
}

ssize_t
fault_sendmsg (int fd, const struct msghdr *message, int flags)
{
  enum fault_call call = message->msg_controllen > 0 ? FAULT_sendmsg_rights : FAULT_sendmsg;
  struct msghdr copy = *message;
  struct iovec *cut = g_newa (struct iovec, message->msg_iovlen);
  size_t n_cut;

  if (strikes_on (call, fd))
    return -1;

  n_cut = fault_cut_pieces (message->msg_iov, message->msg_iovlen, cut);
  if (n_cut > 0)
    {
      copy.msg_iov = cut;
      copy.msg_iovlen = n_cut;
    }
  return sendmsg (fd, &copy, flags);
}

ssize_t
fault_recvmsg (int fd, struct msghdr *message, int flags)
{
  struct iovec *pieces = message->msg_iov;
  size_t n_pieces = message->msg_iovlen;
  struct iovec *cut = g_newa (struct iovec, n_pieces);
  size_t n_cut;
  ssize_t n;

  if (strikes_on (FAULT_recvmsg, fd))
    return -1;

  n_cut = fault_cut_pieces (pieces, n_pieces, cut);
  if (n_cut > 0)
    {
      message->msg_iov = cut;
      message->msg_iovlen = n_cut;
    }
  n = recvmsg (fd, message, flags);
  message->msg_iov = pieces;
  message->msg_iovlen = n_pieces;
  if (n_cut > 0)
    fault_report_again (fd);
  return n;
}

int
fault_ioctl (int fd, unsigned long request, ...)
{
  va_list arguments;
  void *argument;

  va_start (arguments, request);
  argument = va_arg (arguments, void *);
  va_end (arguments);
  return fault_strikes (FAULT_ioctl) ? -1 : ioctl (fd, request, argument);
}

/* --- Waiting --- */

WRAP (int, epoll_create1, (int flags), (flags), -1)
WRAP (int, epoll_wait, (int epoll, struct epoll_event *events, int n, int timeout), (epoll, events, n, timeout), -1)
WRAP (int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout), -1)

int fault_epoll_ctl (int epoll, int operation, int fd, struct epoll_event *event);

/* Which of the kinds of calls.txt an EPOLL_CTL_... is. */
static enum fault_call
kind_of_control (int operation, const struct epoll_event *event)
{
  bool once = event != NULL && (event->events & EPOLLONESHOT);

  if (operation == EPOLL_CTL_DEL)
    return FAULT_epoll_ctl_del;
  if (operation == EPOLL_CTL_ADD)
    return once ? FAULT_epoll_ctl_add_once : FAULT_epoll_ctl_add;
  return once ? FAULT_epoll_ctl_mod_once : FAULT_epoll_ctl_mod;
}

int
fault_epoll_ctl (int epoll, int operation, int fd, struct epoll_event *event)
{
  bool strikes = fault_strikes (kind_of_control (operation, event));
  int rc = 0;

  if (strikes && (operation == EPOLL_CTL_DEL || errno == ENOENT))
    {
      int error = errno;

      fault_note_registration (epoll, fd, NULL);
      epoll_ctl (epoll, EPOLL_CTL_DEL, fd, NULL);
      errno = error;
    }
  if (strikes)
    return -1;

  rc = epoll_ctl (epoll, operation, fd, event);
  if (rc == 0)
    fault_note_registration (epoll, fd, operation == EPOLL_CTL_DEL ? NULL : event);
  return rc;
}
