/* proc-utils.h: processes that have no /proc, as in many a chroot: really, or as far as the library can see.
 *
 * To take /proc away for real one must be root, or be allowed user namespaces.  It can be hidden everywhere from a
 * library that is linked in statically, by answering the stat () with which it asks where a link in /proc leads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "test-utils.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

static bool proc_is_hidden;

int
stat (const char *path, struct stat *status)
{
  if (proc_is_hidden && g_str_has_prefix (path, "/proc/"))
    {
      errno = ENOENT;
      return -1;
    }

  return fstatat (AT_FDCWD, path, status, 0);
}

/* Makes ROOT, a directory without /proc, the "/" of this process.  Returns false where that is not permitted. */
static inline bool
leave_proc (const char *root)
{
  if (chroot (root) < 0 && (unshare (CLONE_NEWUSER) < 0 || chroot (root) < 0))
    return false;

  g_assert_no_errno (chdir ("/"));
  return true;
}
