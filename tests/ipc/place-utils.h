/* place-utils.h: processes that start to listen at a path, by each of the ways on which a socket file gets to its
 * place.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "address-utils.h"
#include "syscall-utils.h"

/* A path to listen at, in a directory that holds nothing else. */
typedef struct
{
  const char *path;
  unsigned flags;
  guint mode;
} Start;

/* Listens, and makes sure that it is reached.  Returns errno. */
static inline int
listen_and_connect (const Start *request)
{
  struct dill_socket_file file;
  int client;
  int fd;

  umask (0);
  fd = dill_address_listen (request->path, 1, request->flags, request->mode, &file);
  if (fd < 0)
    return errno;

  client = new_socket ();
  g_assert_no_errno (dill_address_connect (client, request->path, 0));
  close (test_assert_ok (accept (fd, NULL, NULL)));
  return 0;
}

/* The same in a child, with the fewest system calls. */
static inline int
start (gpointer data)
{
  use_own_context ();
  return listen_and_connect (data);
}

/* The three ways to the place, each in a directory of its own: at once, by a rename to a free name, by an exchange
 * with a stale file. */
typedef enum
{
  WAY_DIRECT,
  WAY_RENAME,
  WAY_EXCHANGE,
  N_WAYS
} Way;

static const unsigned way_flags[N_WAYS] = {
  [WAY_DIRECT] = DILL_IPC_LISTEN_REPLACE_STALE,
  [WAY_RENAME] = 0,
  [WAY_EXCHANGE] = DILL_IPC_LISTEN_REPLACE_STALE,
};

static inline char *
make_place (TestDir *test, Way way, int n)
{
  g_autofree char *dir = g_strdup_printf ("%s/%d-%d", test->dir, way, n);
  char *path;

  g_assert_no_errno (mkdir (dir, 0755));
  path = make_path (dir, strlen (dir) + (way == WAY_RENAME ? 201 : 7), way == WAY_RENAME ? 200 : 6);
  if (way == WAY_EXCHANGE)
    make_stale (path);
  return path;
}
