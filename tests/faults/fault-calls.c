/* fault-calls.c: the calls that the library makes, each of which can be made to fail.
 *
 * A call that fails does nothing, as in the kernel, with these exceptions: close (2) gives the descriptor up whatever it
 * says, EPOLL_CTL_DEL takes it out, and EPOLL_CTL_MOD says ENOENT only of one that is not there.
 *
 * EAGAIN from a socket that is ready, and a transfer that is cut, are the kernel's to report again when they are worth
 * another try: fault_report_again () does.
 *
 * Relies on: generate.py for the names, calls.txt for what can be made to fail.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-plan.h"
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* One that returns FAILURE, with errno, when it fails. */
#define WRAP(type, name, parameters, arguments, failure)                                                               \
  type fault_##name parameters;                                                                                        \
  type fault_##name parameters                                                                                         \
  {                                                                                                                    \
    return fault_strikes (FAULT_##name) ? failure : name arguments;                                                    \
  }

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
