/* stale.h: telling socket files that nobody is bound to from live ones, and keeping others away meanwhile.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

enum dill_occupancy
{
  DILL_OCCUPANCY_UNKNOWN, /* could not be found out: errno */
  DILL_OCCUPANCY_NONE,    /* there is no such file */
  DILL_OCCUPANCY_STALE,   /* a socket file, and nobody is bound to it */
  DILL_OCCUPANCY_FRESH,   /* the same, but so new that its maker may be about to be bound: ask again soon */
  DILL_OCCUPANCY_LIVE     /* somebody is bound to it, or that cannot be ruled out, or it is no socket */
};

/* Tells what NAME in DIR_FD is, without a trace at whoever listens there.  STATUS is filled in for STALE and FRESH. */
enum dill_occupancy dill_stale_examine (int dir_fd, const char *name, struct stat *status);

/* Whether two results of stat () are about one file. */
bool dill_stale_same_file (const struct stat *one, const struct stat *other);

/* Locks the directory DIR_FD against other users of this library.  Never waits.  Returns a descriptor for
 * dill_stale_unlock (), or -1 with errno
 *  - EWOULDBLOCK: somebody else has locked it
 *  - EACCES: no permission to read the directory
 *  - ENOLCK: its file system has no locks
 *  - others of open() */
int dill_stale_lock (int dir_fd);
void dill_stale_unlock (int lock_fd);

#define DILL_TEMPORARY_NAME_SIZE sizeof ".dillipc-2147483647-4294967295"

/* Writes a name for a socket file on its way to its place, which this process has not used before. */
void dill_stale_name_temporary (char name[DILL_TEMPORARY_NAME_SIZE]);

/* Unlinks the temporary names that killed processes left in DIR_FD, as far as that is possible. */
void dill_stale_sweep (int dir_fd);
