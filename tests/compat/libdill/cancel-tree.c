/* cancel-tree.c: closing one handle ends a whole tree of coroutines, the leaves first, and each cleans up.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"
#include <libdill.h>

#define WIDTH 3
#define DEPTH 3

static int n_running, n_cleaned[DEPTH + 1];

/* Waits in a way of its own at each depth. */
static void
wait_at (int depth, int ch)
{
  int value;

  if (depth == 0)
    check_fails (chrecv (ch, &value, sizeof value, -1), ECANCELED);
  else if (depth == 1)
    check_fails (msleep (now () + 100000), ECANCELED);
  else
    check_fails (msleep (-1), ECANCELED);
}

static coroutine void
node (int depth, int ch)
{
  int children = bundle (), value = 0, more;

  check (children >= 0);
  n_running++;
  for (int i = 0; depth > 0 && i < WIDTH; i++)
    check (bundle_go (children, node (depth - 1, ch)) == 0);

  wait_at (depth, ch);

  /* From now on nothing that waits works. */
  check_fails (yield (), ECANCELED);
  check_fails (msleep (now () + 1), ECANCELED);
  check_fails (chsend (ch, &value, sizeof value, -1), ECANCELED);
  check_fails (bundle_wait (children, -1), ECANCELED);
  more = go (node (0, ch));
  check (more == -1 && errno == ECANCELED);

  if (depth > 0)
    check (n_cleaned[depth - 1] % WIDTH == 0);
  check (hclose (children) == 0);
  if (depth > 0)
    check (n_cleaned[depth - 1] >= WIDTH);
  n_cleaned[depth]++;
  n_running--;
}

int
main (void)
{
  int ends[2], root, expected = 1;

  check (chmake (ends) == 0);
  root = go (node (DEPTH, ends[0]));
  check (root >= 0);
  check (n_running == 1 + WIDTH + WIDTH * WIDTH + WIDTH * WIDTH * WIDTH);
  check (msleep (now () + 10) == 0);
  check (hclose (root) == 0);

  check (n_running == 0);
  for (int depth = DEPTH; depth >= 0; depth--)
    {
      check (n_cleaned[depth] == expected);
      expected *= WIDTH;
    }
  check_fails (hclose (root), EBADF);
  check (hclose (ends[0]) == 0 && hclose (ends[1]) == 0);
  return 0;
}
