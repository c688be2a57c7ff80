/* test-errnos.c: see test-errnos.h.
 *
 * Whoever notes something may be in any thread, in a child that does not return, out of memory, or on a stack that has
 * no room for formatting: each line goes out by a system call of its own.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-errnos.h"
#include "test-utils.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* As far as CALL begins with the name of a function of the library, else 0. */
static size_t
length_of_name (const char *call)
{
  return strncmp (call, "dill_", strlen ("dill_")) == 0 ? strspn (call, "abcdefghijklmnopqrstuvwxyz_") : 0;
}

static struct iovec
part (const char *text, size_t length)
{
  return (struct iovec) { .iov_base = (char *) text, .iov_len = length };
}

void
test_errnos_note (const char *call, int error)
{
  const char *name = call + (*call == '(' ? 1 : 0); /* around a name that must not be taken for a macro */
  const char *error_name = test_errno_name (error);
  struct iovec parts[] = {
    part ("# errno ", 8), part (name, length_of_name (name)), part (" ", 1), part (error_name, strlen (error_name)),
    part ("\n", 1),
  };
  int saved_errno = errno;

  if (length_of_name (name) > 0 && getenv ("TEST_ERRNOS") != NULL
      && writev (STDOUT_FILENO, parts, G_N_ELEMENTS (parts)) < 0)
    g_error ("standard output takes nothing: %s", g_strerror (errno));
  errno = saved_errno;
}

void
test_errnos_note_injection (void)
{
  static const char line[] = "# errno injection\n";

  if (getenv ("TEST_ERRNOS") != NULL && write (STDOUT_FILENO, line, strlen (line)) < 0)
    g_error ("standard output takes nothing: %s", g_strerror (errno));
}
