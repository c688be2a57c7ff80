/* socket-file.c: making the file that a listener stands at, and taking it away.
 *
 * A file is known by its directory, which is kept open, its name there, and its inode: so it is found again wherever
 * the process, or the directory, has moved, and never mistaken for one that somebody else put in its place.
 *
 * Relies on: bind(2) and listen(2), unix(7), fchmod(2) on a socket that is not bound yet; path.c for long paths.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/socket-file.h"
#include "ipc/path.h"
#include "ipc/stale.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PERMISSION_BITS 07777

static void
close_keeping_errno (int fd)
{
  int error = errno;

  close (fd);
  errno = error;
}

int
dill_socket_new (void)
{
  return socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int
dill_socket_listen (int fd, int backlog)
{
  return listen (fd, backlog - 1); /* Linux lets one more wait than it was told */
}

static void
unlink_keeping_errno (int dir_fd, const char *name)
{
  int error = errno;

  unlinkat (dir_fd, name, 0);
  errno = error;
}

static bool
is_own (const struct dill_socket_file *file, const struct stat *status)
{
  return file->inode != 0 && status->st_dev == file->device && status->st_ino == file->inode;
}

void
dill_socket_file_unlink (const struct dill_socket_file *file, const char *name)
{
  int error = errno;
  struct stat status;

  if (fstatat (file->dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && is_own (file, &status))
    unlinkat (file->dir_fd, name, 0);
  errno = error;
}

/* Gives NAME the permission bits that the umask, or the directory's default ACL, took from those of the socket.
 * Only if it is the inode that was made, which is held meanwhile: whoever may write to the directory could put a
 * link to another file there. */
static int
mend_mode (const struct dill_socket_file *file, const char *name, mode_t mode)
{
  int fd = TEMP_FAILURE_RETRY (openat (file->dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  int result;

  if (fd < 0)
    return errno == ENOENT ? 0 : -1;

  result = fstat (fd, &status);
  if (result == 0 && is_own (file, &status))
    result = dill_path_chmod_file (fd, file->dir_fd, name, mode);

  close_keeping_errno (fd);
  return result;
}

/* Takes down which file NAME is, that was just bound, and mends its permission bits.  If it is gone, or not a socket
 * any more, that is somebody else's doing, as it could be a moment later: there is nothing to mend, and nothing to
 * unlink one day. */
static int
adopt (struct dill_socket_file *file, const char *name, mode_t mode)
{
  struct stat status;

  file->device = 0;
  file->inode = 0;

  if (fstatat (file->dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
    {
      if (errno == ENOENT)
        return 0;

      unlink_keeping_errno (file->dir_fd, name); /* without a look at the inode there will be no better time */
      return -1;
    }

  if (!S_ISSOCK (status.st_mode))
    return 0;

  file->device = status.st_dev;
  file->inode = status.st_ino;

  return mode != 0 && (status.st_mode & PERMISSION_BITS) != mode ? mend_mode (file, name, mode) : 0;
}

static int
bind_to_name (const struct dill_socket_file *file, int fd, const char *name)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  if (name != file->name || !dill_path_fits (file->path))
    return dill_path_bind_at (fd, file->dir_fd, name);

  strcpy (address.sun_path, file->path);
  return TEMP_FAILURE_RETRY (bind (fd, (struct sockaddr *) &address, sizeof address));
}

int
dill_socket_file_listen_at (struct dill_socket_file *file, const char *name, int backlog, mode_t mode)
{
  int fd = dill_socket_new ();

  if (fd < 0)
    return -1;

  /* The bits of the unbound socket become those of the file: nobody can connect who may not, from the first instant. */
  if ((mode != 0 && fchmod (fd, mode) < 0) || bind_to_name (file, fd, name) < 0)
    {
      close_keeping_errno (fd);
      return -1;
    }

  if (adopt (file, name, mode) < 0 || dill_socket_listen (fd, backlog) < 0)
    {
      dill_socket_file_unlink (file, name);
      close_keeping_errno (fd);
      return -1;
    }

  return fd;
}

int
dill_socket_file_open (struct dill_socket_file *file, const char *path)
{
  *file = (struct dill_socket_file) DILL_SOCKET_FILE_INIT;
  file->owner = getpid ();

  file->path = strdup (path);
  if (file->path == NULL)
    return -1;

  file->dir_fd = dill_path_open_parent (file->path, &file->name);
  if (file->dir_fd < 0)
    return -1;

  return dill_path_check_new (file->dir_fd, file->name);
}

void
dill_socket_file_release (struct dill_socket_file *file, bool keep)
{
  int error = errno;
  int lock_fd;

  if (file->name != NULL && file->inode != 0 && !keep && file->owner == getpid ())
    {
      /* The lock is only for good order.  Looking and unlinking are two steps, but no user of this library can have put
       * another file there in between: our socket is still bound, which makes the file a live one to all of them. */
      lock_fd = dill_stale_lock (file->dir_fd);
      dill_socket_file_unlink (file, file->name);
      if (lock_fd >= 0)
        dill_stale_unlock (lock_fd);
    }

  if (file->dir_fd >= 0)
    close (file->dir_fd);
  free (file->path);
  *file = (struct dill_socket_file) DILL_SOCKET_FILE_INIT;

  errno = error;
}
