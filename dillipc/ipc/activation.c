/* activation.c: the listening sockets that systemd passes to a service.
 *
 * The protocol is three environment variables: LISTEN_PID names the process they are meant for, LISTEN_FDS how many
 * descriptors there are, from 3 on, and LISTEN_FDNAMES their names, separated by colons.  The environment is left as it
 * is, so that others in the process can go on using what they know; which descriptors were given out is remembered
 * here, for the whole process.
 *
 * A forked child has another process id and finds nothing.  It finds that out before it touches the lock, which another
 * thread of its parent may have held at the fork.
 *
 * Relies on: sd_listen_fds(3), whose rules these are.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/address.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_FD 3

/* What sd_listen_fds_with_names () calls a descriptor when no names were passed. */
#define UNKNOWN_NAME "unknown"

/* A descriptor that was given out. */
struct taken
{
  struct taken *next;
  int fd;
};

static pthread_mutex_t taken_lock = PTHREAD_MUTEX_INITIALIZER;
static struct taken *taken_list;

/* A decimal number from 1 to MAX in the environment, or 0. */
static long
number_from_environment (const char *variable, long max)
{
  const char *text = getenv (variable);
  char *end;
  long number;

  if (text == NULL || *text < '0' || *text > '9')
    return 0;

  errno = 0;
  number = strtol (text, &end, 10);
  return errno == 0 && *end == '\0' && number <= max ? number : 0;
}

/* How many descriptors were passed to this process. */
static int
count_passed (void)
{
  if (number_from_environment ("LISTEN_PID", INT_MAX) != getpid ())
    return 0;

  return number_from_environment ("LISTEN_FDS", INT_MAX - FIRST_FD);
}

static size_t
count_names (const char *names)
{
  size_t count = 1;

  for (; (names = strchr (names, ':')) != NULL; names++)
    count++;
  return count;
}

/* Whether the name at the beginning of NAMES, up to a colon or the end, is NAME, which holds no colon. */
static bool
is_named (const char *names, const char *name)
{
  size_t length = strlen (name);

  return strncmp (names, name, length) == 0 && (names[length] == ':' || names[length] == '\0');
}

static struct taken **
find_taken_unlocked (int fd)
{
  struct taken **taken = &taken_list;

  while (*taken != NULL && (*taken)->fd != fd)
    taken = &(*taken)->next;
  return taken;
}

/* HOLDS: taken_lock.  Returns FD, or -1 with errno ENOENT: it is taken or was closed; ENOMEM. */
static int
take_unlocked (int fd)
{
  struct taken *taken;

  if (*find_taken_unlocked (fd) != NULL || fcntl (fd, F_SETFD, FD_CLOEXEC) < 0)
    {
      errno = ENOENT;
      return -1;
    }

  taken = malloc (sizeof *taken);
  if (taken == NULL)
    return -1;

  taken->fd = fd;
  taken->next = taken_list;
  taken_list = taken;
  return fd;
}

/* HOLDS: taken_lock.  The first of COUNT descriptors that is called NAME and not taken. */
static int
take_by_name_unlocked (const char *name, int count)
{
  const char *names = getenv ("LISTEN_FDNAMES");
  int fd;

  if (strchr (name, ':') != NULL)
    count = 0; /* no descriptor can have such a name */
  else if (names != NULL && count_names (names) != (size_t) count)
    {
      errno = EINVAL; /* which name is whose? */
      return -1;
    }

  for (int i = 0; i < count; i++)
    {
      if (is_named (names != NULL ? names : UNKNOWN_NAME, name))
        {
          fd = take_unlocked (FIRST_FD + i);
          if (fd >= 0 || errno != ENOENT)
            return fd;
        }

      if (names != NULL)
        names += strcspn (names, ":") + 1;
    }

  errno = ENOENT;
  return -1;
}

int
dill_activation_take (const char *name)
{
  int count = count_passed ();
  int fd = -1;

  if (count == 0)
    errno = ENOENT;
  else if (name == NULL && count > 1)
    errno = EINVAL;
  else
    {
      pthread_mutex_lock (&taken_lock);
      fd = name == NULL ? take_unlocked (FIRST_FD) : take_by_name_unlocked (name, count);
      pthread_mutex_unlock (&taken_lock);
    }

  return fd;
}

void
dill_activation_give_back (int fd)
{
  int error = errno;
  struct taken **link;
  struct taken *taken;

  pthread_mutex_lock (&taken_lock);
  link = find_taken_unlocked (fd);
  taken = *link;
  if (taken != NULL)
    *link = taken->next;
  pthread_mutex_unlock (&taken_lock);

  free (taken);
  errno = error;
}
