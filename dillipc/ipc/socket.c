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

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76 /* Linux 6.5; elsewhere an option that does not exist */
#endif

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

  return fail (errno == ENOTSOCK || errno == ENOPROTOOPT ? ENOTSUP : errno);
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
  int h, saved_errno;

  if (status_flags < 0 || descriptor_flags < 0)
    return -1;

  if (fcntl (fd, F_SETFL, status_flags | O_NONBLOCK) == 0 && fcntl (fd, F_SETFD, descriptor_flags | FD_CLOEXEC) == 0
      && (h = make (fd, mem)) >= 0)
    return h;

  saved_errno = errno;
  fcntl (fd, F_SETFL, status_flags);
  fcntl (fd, F_SETFD, descriptor_flags);
  return fail (saved_errno);
}

bool
dill_socket_drop_extras (int fd)
{
  static const int options[] = { SO_PASSCRED, SO_PASSSEC, SO_PASSPIDFD };
  bool found = false;
  int no = 0;

  for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
    {
      int value = 0;

      if (get_option (fd, options[i], &value) < 0 || value == 0)
        continue;
      found = true;
      setsockopt (fd, SOL_SOCKET, options[i], &no, sizeof no);
    }

  return found;
}
