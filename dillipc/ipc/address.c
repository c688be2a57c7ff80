/* address.c: from the address that a program gives to a bound or connected socket.
 *
 * An address is a path, or with DILL_IPC_ABSTRACT a name in Linux's abstract namespace.  It is the flag that tells the
 * two apart and never the address: "@name" is a file of that name.
 *
 * Relies on: unix(7) for abstract names; place.c and path.c for paths.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/address.h"
#include "ipc/path.h"
#include "ipc/place.h"

#include <dillipc/dill-ipc.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FILE_FLAGS (DILL_IPC_LISTEN_REPLACE_STALE | DILL_IPC_LISTEN_KEEP_FILE)

/* What holds for every address.  Returns 0, or -1 with errno. */
static int
check (const char *addr, unsigned flags)
{
  /* An abstract name has a byte less than sun_path, for the NUL that it begins with. */
  size_t size = flags & DILL_IPC_ABSTRACT ? sizeof ((struct sockaddr_un *) 0)->sun_path : PATH_MAX;

  if (addr == NULL)
    errno = EINVAL;
  else if (*addr == '\0')
    errno = ENOENT; /* the kernel would choose an abstract name */
  else if (strnlen (addr, size) == size)
    errno = ENAMETOOLONG;
  else
    return 0;

  return -1;
}

/* Fills ADDRESS in for an abstract name that was checked, and returns the length to tell the kernel: all of it counts,
 * and there is no NUL at its end. */
static socklen_t
set_abstract (struct sockaddr_un *address, const char *name)
{
  size_t length = strlen (name);

  *address = (struct sockaddr_un) { .sun_family = AF_UNIX };
  memcpy (address->sun_path + 1, name, length);

  return offsetof (struct sockaddr_un, sun_path) + 1 + length;
}

static int
listen_abstract (const char *name, int backlog, struct dill_socket_file *file)
{
  struct sockaddr_un address;
  socklen_t length = set_abstract (&address, name);
  int fd = dill_socket_new ();
  int error;

  if (fd < 0)
    return -1;

  *file = (struct dill_socket_file) DILL_SOCKET_FILE_INIT;
  file->path = strdup (name);

  if (file->path == NULL || TEMP_FAILURE_RETRY (bind (fd, (struct sockaddr *) &address, length)) < 0
      || dill_socket_listen (fd, backlog) < 0)
    {
      error = errno;
      dill_socket_file_release (file, true);
      close (fd);
      errno = error;
      fd = -1;
    }

  return fd;
}

int
dill_address_listen (const char *addr, int backlog, unsigned flags, unsigned mode, struct dill_socket_file *file)
{
  if (backlog < 1 || ((flags & DILL_IPC_ABSTRACT) && (mode != 0 || (flags & FILE_FLAGS))))
    {
      errno = EINVAL;
      return -1;
    }

  if (check (addr, flags) < 0)
    return -1;

  if (flags & DILL_IPC_ABSTRACT)
    return listen_abstract (addr, backlog, file);

  return dill_place_listen (file, addr, backlog, mode, flags & DILL_IPC_LISTEN_REPLACE_STALE);
}

int
dill_address_connect (int fd, const char *addr, unsigned flags)
{
  struct sockaddr_un address;
  socklen_t length;

  if (check (addr, flags) < 0)
    return -1;

  if (!(flags & DILL_IPC_ABSTRACT))
    return dill_path_connect (fd, addr);

  length = set_abstract (&address, addr);
  return TEMP_FAILURE_RETRY (connect (fd, (struct sockaddr *) &address, length));
}
