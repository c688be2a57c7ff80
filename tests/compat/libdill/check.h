/* check.h: what the programs of this folder have besides libdill's API: a way to fail.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with status 1 unless CONDITION is true. */
#define check(condition)                                                                                               \
  do                                                                                                                   \
    {                                                                                                                  \
      if (!(condition))                                                                                                \
        check_failed (__FILE__, __LINE__, #condition);                                                                 \
    }                                                                                                                  \
  while (0)

/* The same unless CALL gives -1 with errno EXPECTED. */
#define check_fails(call, expected) check ((errno = 0, (call) == -1) && errno == (expected))

static inline void
check_failed (const char *file, int line, const char *condition)
{
  fprintf (stderr, "%s:%d: %s does not hold (errno: %s)\n", file, line, condition, strerror (errno));
  exit (1);
}
