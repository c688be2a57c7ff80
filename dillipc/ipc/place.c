/* place.c: putting a listener's file in its place.
 *
 * Most files are made where they belong, by bind () itself.  Two kinds get there by renaming, from a temporary name in
 * the same directory:
 *  - those whose name is too long for bind (), and
 *  - those that take a stale file's place: the path never is missing, and it never is a socket that does not listen
 *    yet.
 *
 * A process that is killed in between leaves its temporary name behind; the next one that needs such a name in that
 * directory, or may replace a stale file there, removes it.  Temporary names are nobody else's, so that a rename moves
 * what was bound or fails with ENOENT.
 *
 * Replacing is done under a lock on the directory, so that of several starters one finds the stale file and the others
 * find the first.  Programs that do not take the lock are seen to as well: the two files are exchanged, and what came
 * out is looked at before it is removed.
 *
 * Relies on: socket-file.c and stale.c; renameat2(2), flock(2).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/place.h"
#include "engine/engine.h"
#include "engine/thread.h"
#include "ipc/path.h"
#include "ipc/stale.h"

#include <dillipc/dill-time.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long a listen waits for the lock, in milliseconds, and between two attempts: any reader of the directory can hold
 * the lock, so it must come to an end. */
#define LOCK_PATIENCE 1000
#define LOCK_PAUSE_MAX 16

/* How often to begin again because something went away at the wrong moment.  A temporary name is taken for a dead one's
 * only in the very instant of bind (), and two in a row are next to impossible; but where a directory has been moved,
 * and its path leads to another, the two will never agree. */
#define ATTEMPTS_MAX 16

/* What is asked for. */
struct request
{
  struct dill_socket_file *file;
  int backlog;
  mode_t mode;
};

/* rename () that leaves alone what stands at NAME. */
static int
move_to_free_name (int dir_fd, const char *temporary, const char *name)
{
  if (renameat2 (dir_fd, temporary, dir_fd, name, RENAME_NOREPLACE) == 0)
    return 0;

  if (errno == EINVAL || errno == ENOSYS) /* not every file system can */
    {
      if (linkat (dir_fd, temporary, dir_fd, name, 0) == 0)
        {
          unlinkat (dir_fd, temporary, 0);
          return 0;
        }
    }

  if (errno == EEXIST)
    errno = EADDRINUSE;
  return -1;
}

/* Whether NAME still is the file STALE, with nobody bound to it.  If not, errno is ENOENT when it has gone, or else
 * says why it must be left alone. */
static bool
is_still_stale (int dir_fd, const char *name, const struct stat *stale)
{
  struct stat status;

  switch (dill_stale_examine (dir_fd, name, &status))
    {
    case DILL_OCCUPANCY_STALE:
    case DILL_OCCUPANCY_FRESH: /* the exchange itself makes it so */
      errno = EADDRINUSE;
      return dill_stale_same_file (&status, stale);

    case DILL_OCCUPANCY_LIVE:
      errno = EADDRINUSE;
      return false;

    case DILL_OCCUPANCY_NONE:
      errno = ENOENT;
      return false;

    default:
      return false;
    }
}

/* Puts TEMPORARY in the place of the file STALE.  The two are exchanged, so that a file which somebody who knows
 * nothing of the lock has put there meanwhile is not lost but put back. */
static int
move_over_stale (int dir_fd, const char *temporary, const char *name, const struct stat *stale)
{
  int error;

  if (renameat2 (dir_fd, temporary, dir_fd, name, RENAME_EXCHANGE) == 0)
    {
      /* Gone: under its new name another listen has removed it, having found that nobody is bound to it. */
      if (is_still_stale (dir_fd, temporary, stale) || errno == ENOENT)
        {
          unlinkat (dir_fd, temporary, 0);
          return 0;
        }

      error = errno;
      renameat2 (dir_fd, temporary, dir_fd, name, RENAME_EXCHANGE);
      errno = error;
      return -1;
    }

  if (errno != EINVAL && errno != ENOSYS) /* not every file system can */
    return -1;

  return is_still_stale (dir_fd, name, stale) ? renameat (dir_fd, temporary, dir_fd, name) : -1;
}

/* Makes a socket that listens under a temporary name, and moves it to its place: that of the file STALE, or a free one
 * (NULL).  Errno ENOENT: the stale file, or each temporary one, went away. */
static int
listen_and_move (const struct request *request, const struct stat *stale)
{
  struct dill_socket_file *file = request->file;
  char temporary[DILL_TEMPORARY_NAME_SIZE];
  int error;
  int fd;

  for (int i = 0; i < ATTEMPTS_MAX; i++)
    {
      do
        {
          dill_stale_name_temporary (temporary);
          fd = dill_socket_file_listen_at (file, temporary, request->backlog, request->mode);
        }
      while (fd < 0 && errno == EADDRINUSE);

      if (fd < 0)
        return -1;

      if ((stale != NULL ? move_over_stale (file->dir_fd, temporary, file->name, stale)
                         : move_to_free_name (file->dir_fd, temporary, file->name))
          == 0)
        return fd;

      error = errno;
      dill_socket_file_unlink (file, temporary);
      dill_socket_file_unlink (file, file->name); /* in case that an exchange could not be undone */
      close (fd);
      errno = error;
      if (stale != NULL || errno != ENOENT)
        return -1;
    }

  return -1;
}

/* Makes a socket that listens at its place, where nothing may stand.  Returns its descriptor, or -1 with errno. */
static int
listen_at_free_name (const struct request *request)
{
  struct dill_socket_file *file = request->file;
  struct stat status;

  if (dill_path_fits (file->path) || strlen (file->name) <= DILL_PATH_NAME_MAX)
    return dill_socket_file_listen_at (file, file->name, request->backlog, request->mode);

  /* What fails anyway need not make a file first. */
  if (fstatat (file->dir_fd, file->name, &status, AT_SYMLINK_NOFOLLOW) == 0)
    errno = EADDRINUSE;
  if (errno != ENOENT)
    return -1;

  dill_stale_sweep (file->dir_fd);
  return listen_and_move (request, NULL);
}

/* The same, where a stale file may stand.  HOLDS: the lock on the directory.  Errno EAGAIN: a file there is so new that
 * nobody can say yet. */
static int
listen_over_stale_locked (const struct request *request)
{
  const struct dill_socket_file *file = request->file;
  struct stat stale;
  int fd;

  dill_stale_sweep (file->dir_fd);

  for (int i = 0; i < ATTEMPTS_MAX; i++)
    {
      fd = listen_at_free_name (request);
      if (fd >= 0 || errno != EADDRINUSE)
        return fd;

      switch (dill_stale_examine (file->dir_fd, file->name, &stale))
        {
        case DILL_OCCUPANCY_NONE:
          continue; /* it went away in between */

        case DILL_OCCUPANCY_STALE:
          fd = listen_and_move (request, &stale);
          if (fd >= 0 || errno != ENOENT)
            return fd;
          continue;

        case DILL_OCCUPANCY_FRESH:
          errno = EAGAIN;
          return -1;

        case DILL_OCCUPANCY_LIVE:
          errno = EADDRINUSE;
          return -1;

        case DILL_OCCUPANCY_UNKNOWN:
          return -1;
        }
    }

  errno = EADDRINUSE;
  return -1;
}

/* Where the directory cannot be locked, for the reason in errno, nothing is replaced: two starters could each replace
 * the other.  A free name needs no lock. */
static int
listen_without_lock (const struct request *request)
{
  const struct dill_socket_file *file = request->file;
  int lock_error = errno;
  int fd = listen_at_free_name (request);
  struct stat status;

  if (fd < 0 && errno == EADDRINUSE)
    {
      if (dill_stale_examine (file->dir_fd, file->name, &status) == DILL_OCCUPANCY_STALE)
        errno = lock_error;
      else
        errno = EADDRINUSE;
    }

  return fd;
}

/* A file whose listen pauses: should the context end meanwhile, and the coroutine with it, this is closed like any
 * object that belongs there. */
struct paused_listen
{
  struct dill_hvfs hvfs;
  struct dill_engine *engine;
  struct dill_socket_file file;
};

static struct paused_listen *
paused_listen_of (struct dill_hvfs *hvfs)
{
  return dill_container_of (hvfs, struct paused_listen, hvfs);
}

static void *
paused_listen_query (struct dill_hvfs *hvfs, const void *type)
{
  if (type == dill_engine_type)
    return &paused_listen_of (hvfs)->engine;

  errno = ENOTSUP;
  return NULL;
}

static void
paused_listen_close (struct dill_hvfs *hvfs)
{
  struct paused_listen *paused = paused_listen_of (hvfs);

  dill_socket_file_release (&paused->file, true);
  free (paused);
}

/* Lets others run until MOMENT.  Returns 0, or -1 with errno. */
static int
pause_listen (const struct dill_socket_file *file, int64_t moment)
{
  struct dill_thread *thread = dill_thread_get ();
  struct dill_engine *engine = thread != NULL ? dill_engine_get (thread) : NULL;
  struct paused_listen *paused;
  int h, result;

  if (engine == NULL)
    return -1;

  paused = malloc (sizeof *paused);
  if (paused == NULL || (h = dill_handle_new (thread, &paused->hvfs)) < 0)
    {
      free (paused);
      errno = ENOMEM;
      return -1;
    }

  *paused = (struct paused_listen) { { paused_listen_query, paused_listen_close }, engine, *file };
  result = dill_msleep (moment);
  dill_handle_take (h);
  free (paused);
  return result;
}

/* Replaces a stale file, or takes a free name, once the lock is to be had.  Others run meanwhile. */
static int
listen_over_stale (const struct request *request)
{
  int64_t deadline = dill_now () + LOCK_PATIENCE;
  int64_t pause = 1;
  int64_t now;
  int lock_fd;
  int fd;

  for (;;)
    {
      lock_fd = dill_stale_lock (request->file->dir_fd);
      if (lock_fd >= 0)
        {
          int error;

          fd = listen_over_stale_locked (request);
          error = errno;
          dill_stale_unlock (lock_fd);
          errno = error;
          if (fd >= 0 || errno != EAGAIN)
            return fd;
        }
      else if (errno == EACCES || errno == ENOLCK)
        return listen_without_lock (request);
      else if (errno != EWOULDBLOCK)
        return -1;

      now = dill_now ();
      if (now >= deadline)
        {
          errno = EADDRINUSE;
          return -1;
        }
      if (pause_listen (request->file, now + pause < deadline ? now + pause : deadline) < 0)
        return -1;
      if (pause < LOCK_PAUSE_MAX)
        pause *= 2;
    }
}

int
dill_place_listen (struct dill_socket_file *file, const char *path, int backlog, mode_t mode, bool replace_stale)
{
  struct request request = { .file = file, .backlog = backlog, .mode = mode };
  int fd = -1;

  if (dill_socket_file_open (file, path) == 0)
    fd = replace_stale ? listen_over_stale (&request) : listen_at_free_name (&request);
  if (fd < 0)
    dill_socket_file_release (file, true);

  return fd;
}
