/* socket-file.h: the file that a listener stands at.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Owned by the listener.  All zero with dir_fd -1: none. */
struct dill_socket_file
{
  char *path;       /* as the user gave it, malloc'd: the kernel may know another name; NULL: not known */
  const char *name; /* its last component, inside path; NULL: no file to unlink */
  int dir_fd;       /* the directory that holds it (O_PATH), or -1 */
  dev_t device;
  ino_t inode; /* 0: somebody took it away at once */
  pid_t owner; /* the process that bound it: a forked child must not unlink it */
};

#define DILL_SOCKET_FILE_INIT                                                                                          \
  {                                                                                                                    \
    .dir_fd = -1                                                                                                       \
  }

/* Fills in what can be known of a file at PATH before it is made; FILE is to be released in any case.  Returns 0, or -1
 * with the errno of bind (). */
int dill_socket_file_open (struct dill_socket_file *file, const char *path);

/* Makes a socket that listens at NAME in the directory of FILE, which is FILE's own name or one of at most
 * DILL_PATH_NAME_MAX bytes.  The permission bits MODE (0: as the umask leaves them) are in force before anybody can
 * connect.  Returns the descriptor and remembers the inode, or returns -1 with errno and leaves nothing behind. */
int dill_socket_file_listen_at (struct dill_socket_file *file, const char *name, int backlog, mode_t mode);

/* Unlinks NAME if it is the inode that was made.  Keeps errno. */
void dill_socket_file_unlink (const struct dill_socket_file *file, const char *name);

/* Unlinks the file if it still is the one that was bound, by the process that bound it, unless KEEP; releases FILE and
 * leaves it empty.  To be called before the socket is closed.  Never waits, and keeps errno. */
void dill_socket_file_release (struct dill_socket_file *file, bool keep);

/* A new stream socket (non-blocking, close-on-exec), or -1 with errno. */
int dill_socket_new (void);

/* listen () with BACKLOG connections that wait unaccepted. */
int dill_socket_listen (int fd, int backlog);
