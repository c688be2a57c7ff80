/* fd.c: waiting for descriptors that others read and write.
 *
 * The program uses such a descriptor itself, so nothing can be remembered of it: poll(2) is asked first, and again
 * after each event.  In between the descriptor stands in the engine's poller with a one-shot, level-triggered watch.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/engine.h"
#include "engine/thread.h"
#include "engine/watch.h"
#include <dillipc/dill-time.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

/* Watches come in chunks, so that they stay where they are when the table grows. */
#define CHUNK_SIZE 64

struct dill_fd_table
{
  struct dill_watch **chunks; /* each NULL or an array of CHUNK_SIZE */
  size_t n_chunks;
};

static void
fd_table_free (struct dill_fd_table *table)
{
  for (size_t i = 0; i < table->n_chunks; i++)
    {
      for (size_t j = 0; table->chunks[i] != NULL && j < CHUNK_SIZE; j++)
        dill_watch_clear (&table->chunks[i][j]);
      free (table->chunks[i]);
    }

  free (table->chunks);
  free (table);
}

/* The watch of FD, if there is one. */
static struct dill_watch *
find_watch (struct dill_engine *engine, int fd)
{
  struct dill_fd_table *table = engine->fd_table;
  size_t chunk = (size_t) fd / CHUNK_SIZE;

  if (table == NULL || chunk >= table->n_chunks || table->chunks[chunk] == NULL)
    return NULL;

  return &table->chunks[chunk][fd % CHUNK_SIZE];
}

static struct dill_watch *
new_chunk (struct dill_engine *engine, size_t chunk)
{
  struct dill_watch *watches = calloc (CHUNK_SIZE, sizeof *watches);

  if (watches == NULL)
    return NULL;

  for (size_t i = 0; i < CHUNK_SIZE; i++)
    {
      dill_watch_init (&watches[i], engine, (int) (chunk * CHUNK_SIZE + i));
      watches[i].is_one_shot = true;
    }
  return watches;
}

/* The watch of FD, made if need be, or NULL with errno ENOMEM. */
static struct dill_watch *
get_watch (struct dill_engine *engine, int fd)
{
  struct dill_fd_table *table = engine->fd_table;
  size_t chunk = (size_t) fd / CHUNK_SIZE;

  if (table == NULL)
    {
      table = calloc (1, sizeof *table);
      if (table == NULL)
        return NULL;
      engine->fd_table = table;
      engine->fd_table_free = fd_table_free;
    }

  if (chunk >= table->n_chunks)
    {
      struct dill_watch **chunks = realloc (table->chunks, (chunk + 1) * sizeof *chunks);

      if (chunks == NULL)
        return NULL;
      while (table->n_chunks <= chunk)
        chunks[table->n_chunks++] = NULL;
      table->chunks = chunks;
    }

  if (table->chunks[chunk] == NULL && (table->chunks[chunk] = new_chunk (engine, chunk)) == NULL)
    return NULL;

  return find_watch (engine, fd);
}

/* Asks the kernel: 1 ready, 0 not, -1 with errno EBADF or ENOMEM. */
static int
ask (int fd, unsigned direction)
{
  struct pollfd pollfd = { .fd = fd, .events = direction == DILL_IN ? POLLIN : POLLOUT };
  int rc;

  do
    rc = poll (&pollfd, 1, 0);
  while (rc < 0 && errno == EINTR);

  if (rc > 0 && (pollfd.revents & POLLNVAL))
    {
      errno = EBADF;
      return -1;
    }

  return rc;
}

/* Waits once.  Returns 0 if FD may be ready now, or DEADLINE has come and is 0 now; or -1 with errno. */
static int
wait_for (int fd, unsigned direction, const char *what, int64_t *deadline)
{
  struct dill_wait wait;
  struct dill_watch *watch;
  enum dill_outcome outcome;

  if (dill_wait_begin (&wait, what, *deadline) < 0)
    return dill_wait_result_or_last_try (DILL_PENDING, deadline);

  watch = get_watch (wait.engine, fd);
  if (watch == NULL || dill_watch_is_busy (watch, direction))
    {
      dill_wait_abandon (&wait);
      errno = watch == NULL ? ENOMEM : EEXIST;
      return -1;
    }

  outcome = dill_watch_block (watch, direction, &wait);

  /* The program may close the descriptor without a word, and the number become a connection's: nothing is kept. */
  if (outcome != DILL_CLOSED && !dill_watch_is_busy (watch, DILL_IN | DILL_OUT))
    {
      int saved_errno = errno;

      dill_poller_disarm (watch);
      errno = saved_errno;
    }

  if (outcome == DILL_PENDING && errno == EPERM)
    return 0; /* epoll takes no file that always is ready */

  return dill_wait_result_or_last_try (outcome, deadline);
}

static int
wait_fd (int fd, unsigned direction, const char *what, int64_t deadline)
{
  if (dill_wait_allowed () < 0)
    return -1;

  if (fd < 0)
    {
      errno = EBADF;
      return -1;
    }

  for (;;)
    {
      int rc = ask (fd, direction);

      if (rc != 0)
        return (int) dill_wait_fairly (rc < 0 ? -1 : 0, deadline);

      if (wait_for (fd, direction, what, &deadline) < 0)
        return -1;
    }
}

int
dill_fdin (int fd, int64_t deadline)
{
  return wait_fd (fd, DILL_IN, "fdin", deadline);
}

int
dill_fdout (int fd, int64_t deadline)
{
  return wait_fd (fd, DILL_OUT, "fdout", deadline);
}

int
dill_fdclean (int fd)
{
  struct dill_thread *thread = dill_thread_get ();
  bool is_busy = false;

  if (fd < 0)
    {
      errno = EBADF;
      return -1;
    }

  if (thread == NULL)
    return 0; /* nothing was ever waited for here, and there is no memory to begin with it */

  /* It may have been waited for under any of the thread's contexts. */
  for (int pass = 0; pass < 2 && !is_busy; pass++)
    {
      for (struct dill_list *link = thread->engines.next; link != &thread->engines; link = link->next)
        {
          struct dill_engine *engine = dill_container_of (link, struct dill_engine, link);
          struct dill_watch *watch = dill_engine_is_inherited (engine) ? NULL : find_watch (engine, fd);

          if (watch == NULL)
            continue;
          if (pass == 0)
            is_busy |= dill_watch_is_busy (watch, DILL_IN | DILL_OUT);
          else
            dill_poller_disarm (watch);
        }
    }

  if (is_busy)
    {
      errno = EEXIST;
      return -1;
    }

  return 0;
}
