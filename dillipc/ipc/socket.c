/* socket.c: plain sockets that become the library's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/socket.h"
#include "engine/watch.h"
#include <dillipc/dill-time.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

static int
fail (int error)
{
  errno = error;
  return -1;
}

static int
get_option (int fd, int option, int *value)
{
  socklen_t length = sizeof *value;

  if (getsockopt (fd, SOL_SOCKET, option, value, &length) == 0)
    return 0;

  return fail (errno == ENOTSOCK ? ENOTSUP : errno);
}

static int
check_unix_stream (int fd, int *listens)
{
  int domain, type;

  if (get_option (fd, SO_DOMAIN, &domain) < 0 || get_option (fd, SO_TYPE, &type) < 0
      || get_option (fd, SO_ACCEPTCONN, listens) < 0)
    return -1;

  return domain == AF_UNIX && type == SOCK_STREAM ? 0 : fail (ENOTSUP);
}

int
dill_socket_check_connected (int fd)
{
  struct sockaddr_un peer;
  socklen_t length = sizeof peer;
  int listens;

  if (check_unix_stream (fd, &listens) < 0)
    return -1;
  if (listens)
    return fail (EINVAL);

  return getpeername (fd, (struct sockaddr *) &peer, &length);
}

int
dill_socket_check_listening (int fd)
{
  int listens;

  if (check_unix_stream (fd, &listens) < 0)
    return -1;

  return listens ? 0 : fail (EINVAL);
}

int
dill_socket_adopt (int fd, int (*make) (int fd, void *mem), void *mem)
{
  int status_flags = fcntl (fd, F_GETFL);
  int descriptor_flags = fcntl (fd, F_GETFD);
  int no = 0;
  int h, saved_errno;

  if (status_flags < 0 || descriptor_flags < 0 || fcntl (fd, F_SETFL, status_flags | O_NONBLOCK) < 0)
    return -1;

  fcntl (fd, F_SETFD, descriptor_flags | FD_CLOEXEC);
  h = make (fd, mem);
  if (h >= 0)
    {
      /* Credentials with each message would take the room that received descriptors need. */
      setsockopt (fd, SOL_SOCKET, SO_PASSCRED, &no, sizeof no);
      return h;
    }

  saved_errno = errno;
  fcntl (fd, F_SETFL, status_flags);
  fcntl (fd, F_SETFD, descriptor_flags);
  return fail (saved_errno);
}

void
dill_socket_recheck (struct dill_watch *watch, unsigned direction, int64_t deadline)
{
  if (watch->ready & direction)
    return;

  if (deadline == 0 || (deadline > 0 && deadline <= dill_now ()) || dill_wait_allowed () < 0)
    watch->ready |= (uint8_t) direction;
}
