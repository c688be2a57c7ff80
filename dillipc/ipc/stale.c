/* stale.c: telling socket files that nobody is bound to from live ones, and keeping others away meanwhile.
 *
 * A socket file outlives the socket.  Whether one is still bound to it is asked with connect () on a datagram socket:
 * a stream socket answers EPROTOTYPE, before listen () as well, and never learns of it; ECONNREFUSED means that there
 * is none.  The question is put to the very inode that was looked at, through an O_PATH descriptor.
 *
 * In the middle of bind () itself there is an instant at which the kernel has made the file but not yet bound it.
 * A file that is younger than any scheduler's whim is therefore called fresh rather than stale.
 *
 * Relies on: unix(7), flock(2); net/unix/af_unix.c for the order of these steps in unix_find_bsd () and
 * unix_bind_bsd ().
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/stale.h"
#include "ipc/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TEMPORARY_PREFIX ".dillipc-"

#define FRESH_NSEC INT64_C (100000000)

#define NSEC_PER_SEC INT64_C (1000000000)

/* By the change time, since that is what link () and rename () renew as well.  One in the future is that of a clock
 * that was set back, or of another machine: it says nothing, and must not keep a file fresh for hours. */
static bool
is_fresh (const struct stat *status)
{
  struct timespec now;
  int64_t age;

  clock_gettime (CLOCK_REALTIME, &now);
  age = ((int64_t) now.tv_sec - status->st_ctim.tv_sec) * NSEC_PER_SEC + now.tv_nsec - status->st_ctim.tv_nsec;

  return age >= 0 && age < FRESH_NSEC;
}

/* Returns 0 if nobody is bound to FILE_FD, which is NAME in DIR_FD; or an errno. */
static int
probe (int file_fd, int dir_fd, const char *name)
{
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int error;

  if (fd < 0)
    return errno;

  error = dill_path_connect_file (fd, file_fd, dir_fd, name) < 0 ? errno : EISCONN;
  close (fd);

  return error == ECONNREFUSED ? 0 : error;
}

enum dill_occupancy
dill_stale_examine (int dir_fd, const char *name, struct stat *status)
{
  int fd = TEMP_FAILURE_RETRY (openat (dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  int error;

  if (fd < 0)
    return errno == ENOENT ? DILL_OCCUPANCY_NONE : DILL_OCCUPANCY_UNKNOWN;

  if (fstat (fd, status) < 0)
    error = errno;
  else if (!S_ISSOCK (status->st_mode))
    error = ENOTSOCK;
  else
    error = probe (fd, dir_fd, name);
  close (fd);

  switch (error)
    {
    case 0:
      return is_fresh (status) ? DILL_OCCUPANCY_FRESH : DILL_OCCUPANCY_STALE;

    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      errno = error;
      return DILL_OCCUPANCY_UNKNOWN;

    default:
      return DILL_OCCUPANCY_LIVE;
    }
}

bool
dill_stale_same_file (const struct stat *one, const struct stat *other)
{
  return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

static int
open_directory (int dir_fd)
{
  return TEMP_FAILURE_RETRY (openat (dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

int
dill_stale_lock (int dir_fd)
{
  int lock_fd = open_directory (dir_fd);

  if (lock_fd >= 0 && TEMP_FAILURE_RETRY (flock (lock_fd, LOCK_EX | LOCK_NB)) < 0)
    {
      /* Everything else (NFS has EBADF for a descriptor that is not open for writing) comes to this. */
      int error = errno == EWOULDBLOCK ? EWOULDBLOCK : ENOLCK;

      close (lock_fd);
      errno = error;
      lock_fd = -1;
    }

  return lock_fd;
}

void
dill_stale_unlock (int lock_fd)
{
  /* Closing alone would leave the lock to a child that another thread has just forked. */
  flock (lock_fd, LOCK_UN);
  close (lock_fd);
}

void
dill_stale_name_temporary (char name[DILL_TEMPORARY_NAME_SIZE])
{
  static atomic_uint counter;

  snprintf (name, DILL_TEMPORARY_NAME_SIZE, TEMPORARY_PREFIX "%d-%u", (int) getpid (),
            atomic_fetch_add_explicit (&counter, 1, memory_order_relaxed));
}

static bool
is_temporary (const char *name)
{
  int pid;
  unsigned counter;
  char canonical[DILL_TEMPORARY_NAME_SIZE];

  if (sscanf (name, TEMPORARY_PREFIX "%d-%u", &pid, &counter) != 2)
    return false;

  snprintf (canonical, sizeof canonical, TEMPORARY_PREFIX "%d-%u", pid, counter);
  return strcmp (name, canonical) == 0;
}

/* Fresh ones go too: whoever is robbed in the middle of bind () finds his name missing and begins again. */
void
dill_stale_sweep (int dir_fd)
{
  int fd = open_directory (dir_fd);
  DIR *directory;
  const struct dirent *entry;
  enum dill_occupancy occupancy;
  struct stat status;

  if (fd < 0)
    return;

  directory = fdopendir (fd);
  if (directory == NULL)
    {
      close (fd);
      return;
    }

  while ((entry = readdir (directory)) != NULL)
    {
      if (!is_temporary (entry->d_name))
        continue;

      occupancy = dill_stale_examine (dir_fd, entry->d_name, &status);
      if (occupancy == DILL_OCCUPANCY_STALE || occupancy == DILL_OCCUPANCY_FRESH)
        unlinkat (dir_fd, entry->d_name, 0);
    }

  closedir (directory);
}
