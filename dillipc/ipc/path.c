/* path.c: binding and connecting to paths of any length, though sun_path holds 107 bytes.
 *
 * A path that fits is given to the kernel as it is.  For any other this file opens what it can (the directory for bind,
 * the socket file itself for connect) with O_PATH and names the descriptor by its link in /proc/self/fd.  The kernel
 * follows such a link to the very file, whatever path once led there, and fails as it would have on the direct way.
 *
 * Where /proc is missing, as in many a chroot, a thread makes the call: one with a working directory of its own
 * (CLONE_FS), so that nobody else notices that it goes to the directory and uses the plain name.
 *
 * Relies on: path_resolution(7), unix(7), O_PATH in open(2), proc(5), unshare(2).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6 */
#endif

#define FD_LINK_SIZE sizeof "/proc/self/fd/2147483647"

enum call
{
  CALL_BIND,
  CALL_CONNECT
};

bool
dill_path_fits (const char *path)
{
  return strnlen (path, sizeof ((struct sockaddr_un *) 0)->sun_path) < sizeof ((struct sockaddr_un *) 0)->sun_path;
}

/* bind () and connect () with a path that fits. */
static int
call_directly (enum call call, int fd, const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  size_t length = strlen (path);

  if (length >= sizeof address.sun_path)
    {
      errno = ENAMETOOLONG;
      return -1;
    }

  memcpy (address.sun_path, path, length + 1);
  length += offsetof (struct sockaddr_un, sun_path) + 1;

  if (call == CALL_BIND)
    return TEMP_FAILURE_RETRY (bind (fd, (struct sockaddr *) &address, length));
  return TEMP_FAILURE_RETRY (connect (fd, (struct sockaddr *) &address, length));
}

/* Writes the name under which /proc shows FD.  Returns false if that does not lead to the same file: /proc may be
 * missing, be closed to us, or belong to a thread whose descriptors are not ours. */
static bool
link_to_fd (int fd, char link[FD_LINK_SIZE])
{
  struct stat file;
  struct stat target;

  snprintf (link, FD_LINK_SIZE, "/proc/self/fd/%d", fd);

  return fstat (fd, &file) == 0 && stat (link, &target) == 0 && file.st_dev == target.st_dev
         && file.st_ino == target.st_ino;
}

/* A call that a thread makes from another working directory. */
struct errand
{
  enum call call;
  int fd;
  int dir_fd;
  const char *name;
  int error;
};

static void *
errand_run (void *data)
{
  struct errand *errand = data;

  if (unshare (CLONE_FS) < 0 || fchdir (errand->dir_fd) < 0
      || call_directly (errand->call, errand->fd, errand->name) < 0)
    errand->error = errno;

  return NULL;
}

static int
call_in_directory (enum call call, int fd, int dir_fd, const char *name)
{
  struct errand errand = { .call = call, .fd = fd, .dir_fd = dir_fd, .name = name };
  sigset_t all_signals;
  sigset_t old_signals;
  pthread_t thread;
  int error;

  /* The program's signal handlers are not to run in a thread, and a directory, that they know nothing of. */
  sigfillset (&all_signals);
  pthread_sigmask (SIG_SETMASK, &all_signals, &old_signals);
  error = pthread_create (&thread, NULL, errand_run, &errand);
  pthread_sigmask (SIG_SETMASK, &old_signals, NULL);

  if (error == 0)
    {
      pthread_join (thread, NULL);
      error = errand.error;
    }
  else if (error == EAGAIN)
    error = ENOMEM; /* EAGAIN would say that the backlog is full */

  errno = error;
  return error == 0 ? 0 : -1;
}

static int
open_directory (const char *path)
{
  return TEMP_FAILURE_RETRY (open (path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

int
dill_path_open_parent (char *path, const char **name)
{
  size_t start;
  size_t end = strlen (path);
  char first;
  int fd;

  while (end > 0 && path[end - 1] == '/')
    end--;
  for (start = end; start > 0 && path[start - 1] != '/'; start--)
    continue;

  if (end == 0)
    {
      *name = ".";
      return open_directory ("/");
    }

  *name = path + start;
  if (start == 0)
    return open_directory (".");

  first = path[start];
  path[start] = '\0';
  fd = open_directory (path);
  path[start] = first;

  return fd;
}

int
dill_path_check_new (int dir_fd, const char *name)
{
  size_t length = strcspn (name, "/");
  char component[NAME_MAX + 1];
  struct stat status;

  if (name[length] == '\0' && strcmp (name, ".") != 0 && strcmp (name, "..") != 0)
    return 0;

  if (length > NAME_MAX)
    {
      errno = ENAMETOOLONG;
      return -1;
    }

  memcpy (component, name, length);
  component[length] = '\0';
  if (fstatat (dir_fd, component, &status, AT_SYMLINK_NOFOLLOW) == 0)
    errno = EADDRINUSE;
  return -1;
}

int
dill_path_bind_at (int fd, int dir_fd, const char *name)
{
  char link[FD_LINK_SIZE];
  char path[FD_LINK_SIZE + 1 + DILL_PATH_NAME_MAX];

  if (strlen (name) > DILL_PATH_NAME_MAX)
    {
      errno = ENAMETOOLONG;
      return -1;
    }

  if (!link_to_fd (dir_fd, link))
    return call_in_directory (CALL_BIND, fd, dir_fd, name);

  snprintf (path, sizeof path, "%s/%s", link, name); /* DILL_PATH_NAME_MAX makes it fit */
  return call_directly (CALL_BIND, fd, path);
}

int
dill_path_connect_file (int fd, int file_fd, int dir_fd, const char *name)
{
  char link[FD_LINK_SIZE];

  if (!link_to_fd (file_fd, link))
    return call_in_directory (CALL_CONNECT, fd, dir_fd, name);

  return call_directly (CALL_CONNECT, fd, link);
}

int
dill_path_chmod_file (int file_fd, int dir_fd, const char *name, mode_t mode)
{
  char link[FD_LINK_SIZE];

  if (link_to_fd (file_fd, link))
    return chmod (link, mode);

  /* Not fchmodat () with AT_SYMLINK_NOFOLLOW, for which the C library may follow the link in /proc that was found
   * wanting.  On an older kernel the name must do: the caller has just seen that it is no symbolic link. */
  if (syscall (SYS_fchmodat2, file_fd, "", mode, AT_EMPTY_PATH) == 0)
    return 0;
  return fchmodat (dir_fd, name, mode, 0);
}

/* dill_path_connect () for a path that does not fit, without /proc. */
static int
connect_in_parent (int fd, const char *path)
{
  const char *name;
  char *copy = strdup (path);
  int dir_fd;
  int result;
  int error;

  if (copy == NULL)
    return -1;

  dir_fd = dill_path_open_parent (copy, &name);
  if (dir_fd < 0)
    {
      free (copy);
      return -1;
    }

  result = call_in_directory (CALL_CONNECT, fd, dir_fd, name);
  error = errno;

  close (dir_fd);
  free (copy);
  errno = error;
  return result;
}

int
dill_path_connect (int fd, const char *path)
{
  char link[FD_LINK_SIZE];
  int file_fd;
  int result;
  int error;

  if (dill_path_fits (path))
    return call_directly (CALL_CONNECT, fd, path);

  file_fd = TEMP_FAILURE_RETRY (open (path, O_PATH | O_CLOEXEC));
  if (file_fd < 0)
    return -1;

  if (link_to_fd (file_fd, link))
    result = call_directly (CALL_CONNECT, fd, link);
  else
    result = connect_in_parent (fd, path);
  error = errno;

  close (file_fd);
  errno = error;
  return result;
}
