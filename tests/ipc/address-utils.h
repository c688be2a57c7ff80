/* address-utils.h: paths of any length to test with, and what should hold for a listener at one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "test-utils.h"

#include "ipc/address.h"
#include "ipc/stale.h"

#include <dillipc/dill-ipc.h>
#include <dillipc/dill-time.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SUN_PATH_MAX (sizeof ((struct sockaddr_un *) 0)->sun_path - 1)

static inline int
new_socket (void)
{
  return test_assert_ok (socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/* The lowest free descriptor number: the same before and after where nothing leaks.  To ask takes neither /proc nor
 * fstat (). */
static inline int
lowest_free_fd (void)
{
  int fd = test_assert_ok (fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 0));

  close (fd);
  return fd;
}

/* What a listen at PATH gives, 0 or errno; nothing is left behind. */
static inline int
listen_error (const char *path)
{
  struct dill_socket_file file;
  guint n_fds = test_count_fds ();
  int fd = dill_address_listen (path, 1, 0, 0, &file);
  int error = errno;

  if (fd >= 0)
    {
      dill_socket_file_release (&file, false);
      close (fd);
    }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);

  return fd < 0 ? error : 0;
}

static inline int
connect_error (const char *path)
{
  int fd = new_socket ();
  guint n_fds = test_count_fds ();
  int error = dill_address_connect (fd, path, 0) < 0 ? errno : 0;

  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  close (fd);

  return error;
}

/* Replaces what is stale at PATH.  Returns 0 or errno; nothing is left behind. */
static inline int
replace_error (const char *path)
{
  struct dill_socket_file file;
  guint n_fds;
  int client;
  int error;
  int fd;

  g_assert_no_errno (dill_msleep (dill_now () + 1)); /* the first wait opens descriptors for the main loop */
  n_fds = test_count_fds ();
  fd = dill_address_listen (path, 1, DILL_IPC_LISTEN_REPLACE_STALE, 0, &file);
  error = errno;
  if (fd >= 0)
    {
      client = new_socket ();
      g_assert_no_errno (dill_address_connect (client, path, 0));
      close (test_assert_ok (accept (fd, NULL, NULL)));
      close (client);

      dill_socket_file_release (&file, false);
      close (fd);
    }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);

  return fd < 0 ? error : 0;
}

/* A path of LENGTH bytes in DIR whose last component has NAME_LENGTH; all of its directories are made. */
static inline char *
make_path (const char *dir, size_t length, size_t name_length)
{
  GString *path = g_string_new (dir);

  g_assert_cmpuint (length, >=, path->len + 1 + name_length);
  while (path->len + 1 + name_length < length)
    {
      size_t rest = length - path->len - 1 - name_length;
      size_t step = MIN (rest, 201);

      if (rest - step == 1) /* a slash alone would be left */
        step--;
      g_string_append_c (path, '/');
      for (size_t i = 1; i < step; i++)
        g_string_append_c (path, 'd');
      g_assert_true (mkdir (path->str, 0755) == 0 || errno == EEXIST);
    }

  g_string_append_c (path, '/');
  for (size_t i = 0; i < name_length; i++)
    g_string_append_c (path, 'n');
  g_assert_cmpuint (path->len, ==, length);

  return g_string_free (path, FALSE);
}

/* How many files the directory of PATH holds. */
static inline guint
count_siblings (const char *path)
{
  g_autofree char *parent = g_path_get_dirname (path);
  DIR *dir = opendir (parent);
  guint n = 0;

  g_assert_nonnull (dir);
  while (readdir (dir) != NULL)
    n++;
  closedir (dir);

  return n - 2;
}

/* Listens at PATH, in an empty directory, and talks to a client there. */
static inline void
round_trip (const char *path)
{
  struct dill_socket_file file;
  guint n_fds = test_count_fds ();
  int listener = test_assert_ok (dill_address_listen (path, 1, 0, 0, &file));
  int client = new_socket ();
  int connection;
  struct stat status;
  char byte = 0;

  g_assert_no_errno (lstat (path, &status));
  g_assert_true (S_ISSOCK (status.st_mode));
  g_assert_cmpuint (count_siblings (path), ==, 1);
  g_assert_cmpstr (file.path, ==, path);
  g_assert_true (g_str_has_suffix (path, file.name));
  g_assert_cmpuint (file.inode, ==, status.st_ino);
  g_assert_cmpint (fcntl (listener, F_GETFD), ==, FD_CLOEXEC);
  g_assert_cmpint (fcntl (listener, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);

  g_assert_no_errno (dill_address_connect (client, path, 0));
  connection = test_assert_ok (accept (listener, NULL, NULL));
  g_assert_cmpint (write (client, "x", 1), ==, 1);
  g_assert_cmpint (read (connection, &byte, 1), ==, 1);
  g_assert_cmpint (byte, ==, 'x');

  dill_socket_file_release (&file, false);
  g_assert_cmpuint (count_siblings (path), ==, 0);
  close (connection);
  close (client);
  close (listener);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

/* Leaves a socket file at PATH, as a process does that was killed. */
static inline void
make_stale (const char *path)
{
  struct dill_socket_file file;
  int fd = test_assert_ok (dill_address_listen (path, 1, 0, 0, &file));

  dill_socket_file_release (&file, true);
  close (fd);
}

static inline int
bind_raw (const char *path, int type)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = test_assert_ok (socket (AF_UNIX, type | SOCK_CLOEXEC, 0));

  strcpy (address.sun_path, path);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  return fd;
}

static inline ino_t
inode_of (const char *path)
{
  struct stat status;

  g_assert_no_errno (lstat (path, &status));
  return status.st_ino;
}

/* A file that is so new that its maker may be in the middle of bind () is waited for.  Waits for that here. */
static inline void
wait_until_old (const char *path)
{
  struct stat status;

  while (dill_stale_examine (AT_FDCWD, path, &status) == DILL_OCCUPANCY_FRESH)
    g_usleep (1000);
}

/* For a forked child that will wait: the library refuses to do so in a main context that its parent uses. */
static inline void
use_own_context (void)
{
  g_main_context_push_thread_default (g_main_context_new ());
}
