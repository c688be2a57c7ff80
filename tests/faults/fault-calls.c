/* fault-calls.c: the calls that the library makes for memory, descriptors, files and threads, each of which can be made
 * to fail.
 *
 * A call that fails does nothing, as in the kernel, but for close (2), which gives the descriptor up whatever it says.
 *
 * Relies on: fault-calls.h.  The calls for sockets, and those that wait, are in fault-calls-sockets.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-calls.h"
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* One that returns the error. */
#define WRAP_PTHREAD(name, parameters, arguments) WRAP (int, name, parameters, arguments, errno)

/* One that allocates: what it returns counts as the library's. */
#define WRAP_ALLOCATION(name, parameters, arguments)                                                                   \
  void *fault_##name parameters;                                                                                       \
  void *fault_##name parameters                                                                                        \
  {                                                                                                                    \
    void *block = fault_strikes (FAULT_##name) ? NULL : name arguments;                                                \
                                                                                                                       \
    fault_memory_grow (block);                                                                                         \
    return block;                                                                                                      \
  }

/* --- Memory --- */

WRAP_ALLOCATION (malloc, (size_t size), (size))
WRAP_ALLOCATION (strdup, (const char *text), (text))
WRAP (int, mprotect, (void *memory, size_t size, int protection), (memory, size, protection), -1)
WRAP (int, madvise, (void *memory, size_t size, int advice), (memory, size, advice), -1)

void *fault_calloc (size_t n, size_t size);
void fault_free (void *block);
void *fault_realloc (void *block, size_t size);
void *fault_reallocarray (void *block, size_t n, size_t size);
void *fault_mmap (void *address, size_t size, int protection, int flags, int fd, off_t offset);
int fault_munmap (void *memory, size_t size);

void *
fault_calloc (size_t n, size_t size)
{
  return fault_allocate_zeroed (n, size);
}

void
fault_free (void *block)
{
  fault_memory_shrink (block);
  free (block);
}

static void *
resize (enum fault_call call, void *block, size_t n, size_t size)
{
  gsize old_size = block != NULL ? malloc_usable_size (block) : 0;
  void *resized = fault_strikes (call) ? NULL : reallocarray (block, n, size);

  if (resized != NULL && block != NULL)
    fault_memory_subtract (old_size);
  fault_memory_grow (resized);
  return resized;
}

void *
fault_realloc (void *block, size_t size)
{
  return resize (FAULT_realloc, block, 1, size);
}

void *
fault_reallocarray (void *block, size_t n, size_t size)
{
  return resize (FAULT_reallocarray, block, n, size);
}

void *
fault_mmap (void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
  void *memory = fault_strikes (FAULT_mmap) ? MAP_FAILED : mmap (address, size, protection, flags, fd, offset);

  if (memory != MAP_FAILED)
    fault_memory_map ((gssize) size);
  return memory;
}

int
fault_munmap (void *memory, size_t size)
{
  int rc = fault_strikes (FAULT_munmap) ? -1 : munmap (memory, size);

  if (rc == 0)
    fault_memory_map (-(gssize) size);
  return rc;
}

/* --- Descriptors --- */

int fault_fcntl (int fd, int command, ...);
int fault_close (int fd);

static enum fault_call
kind_of_fcntl (int command)
{
  switch (command)
    {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
      return FAULT_fcntl_dup;

    case F_SETFD:
    case F_SETFL:
      return FAULT_fcntl_set;

    default:
      return FAULT_fcntl;
    }
}

int
fault_fcntl (int fd, int command, ...)
{
  va_list arguments;
  long argument;

  va_start (arguments, command);
  argument = va_arg (arguments, long);
  va_end (arguments);
  return fault_strikes (kind_of_fcntl (command)) ? -1 : fcntl (fd, command, argument);
}

int
fault_close (int fd)
{
  fault_forget_registrations (fd);
  if (!fault_strikes (FAULT_close))
    return close (fd);

  int error = errno;
  close (fd);
  errno = error;
  return -1;
}

/* --- Files --- */

WRAP (int, stat, (const char *path, struct stat *status), (path, status), -1)
WRAP (int, fstat, (int fd, struct stat *status), (fd, status), -1)
WRAP (int, fstatat, (int dir, const char *path, struct stat *status, int flags), (dir, path, status, flags), -1)
WRAP (int, chmod, (const char *path, mode_t mode), (path, mode), -1)
WRAP (int, fchmod, (int fd, mode_t mode), (fd, mode), -1)
WRAP (int, fchmodat, (int dir, const char *path, mode_t mode, int flags), (dir, path, mode, flags), -1)
WRAP (int, renameat, (int dir, const char *path, int new_dir, const char *new_path), (dir, path, new_dir, new_path), -1)
WRAP (int, linkat, (int dir, const char *path, int new_dir, const char *new_path, int flags),
      (dir, path, new_dir, new_path, flags), -1)
WRAP (int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags), -1)
WRAP (int, flock, (int fd, int operation), (fd, operation), -1)
WRAP (int, fchdir, (int fd), (fd), -1)
WRAP (int, unshare, (int flags), (flags), -1)
WRAP (struct dirent *, readdir, (DIR * directory), (directory), NULL)

int fault_renameat2 (int dir, const char *path, int new_dir, const char *new_path, unsigned flags);
int fault_open (const char *path, int flags, ...);
int fault_openat (int dir, const char *path, int flags, ...);
DIR *fault_fdopendir (int fd);
int fault_closedir (DIR *directory);

int
fault_renameat2 (int dir, const char *path, int new_dir, const char *new_path, unsigned flags)
{
  bool strikes = fault_strikes (flags & RENAME_EXCHANGE ? FAULT_renameat2_exchange : FAULT_renameat2);

  return strikes ? -1 : renameat2 (dir, path, new_dir, new_path, flags);
}

/* The library makes no files but sockets: there is no mode. */
int
fault_open (const char *path, int flags, ...)
{
  return fault_strikes (FAULT_open) ? -1 : open (path, flags, 0);
}

int
fault_openat (int dir, const char *path, int flags, ...)
{
  return fault_strikes (FAULT_openat) ? -1 : openat (dir, path, flags, 0);
}

/* Of what libc allocates for a directory stream, the size is not known. */
DIR *
fault_fdopendir (int fd)
{
  DIR *directory = fault_strikes (FAULT_fdopendir) ? NULL : fdopendir (fd);

  if (directory != NULL)
    fault_memory_add (1);
  return directory;
}

int
fault_closedir (DIR *directory)
{
  fault_memory_subtract (1);
  return closedir (directory);
}

/* --- Threads, and what is done once in a process --- */

WRAP_PTHREAD (pthread_create,
              (pthread_t * thread, const pthread_attr_t *attributes, void *(*func) (void *), void *data),
              (thread, attributes, func, data))
WRAP_PTHREAD (pthread_key_create, (pthread_key_t * key, void (*destroy) (void *)), (key, destroy))
WRAP_PTHREAD (pthread_setspecific, (pthread_key_t key, const void *value), (key, value))
WRAP_PTHREAD (pthread_atfork, (void (*prepare) (void), void (*parent) (void), void (*child) (void)),
              (prepare, parent, child))

/* How far ahead the clock is by which files have their age: so every file is an old one. */
#define AGE_SECONDS 10

int fault_clock_gettime (clockid_t clock, struct timespec *time);

int
fault_clock_gettime (clockid_t clock, struct timespec *time)
{
  int rc = clock_gettime (clock, time);

  if (clock == CLOCK_REALTIME)
    time->tv_sec += AGE_SECONDS;
  return rc;
}
