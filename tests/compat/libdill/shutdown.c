/* shutdown.c: members of a bundle get some time to finish; those that do not are cancelled.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"
#include <libdill.h>

static int n_finished, n_canceled;

static coroutine void
work (int64_t duration)
{
  check (yield () == 0); /* it is not over when the starter goes on */
  if (msleep (duration < 0 ? -1 : now () + duration) == 0)
    {
      n_finished++;
      return;
    }
  check (errno == ECANCELED);
  n_canceled++;
}

static coroutine void
supervise (int b, int *n_left)
{
  check (bundle_wait (b, -1) == 0);
  --*n_left;
}

/* Nobody is left at the deadline. */
static void
finish_in_time (void)
{
  struct bundle_storage memory;
  int b = bundle_mem (&memory);

  check (b >= 0);
  n_finished = n_canceled = 0;
  check (bundle_wait (b, -1) == 0);
  for (int i = 0; i < 10; i++)
    check (bundle_go (b, work (i)) == 0);
  check (bundle_wait (b, now () + 5000) == 0);
  check (n_finished == 10);

  /* It may be filled again. */
  check (bundle_go (b, work (1)) == 0);
  check_fails (bundle_wait (b, 0), ETIMEDOUT);
  check (bundle_wait (b, -1) == 0);
  check (n_finished == 11);
  check (hclose (b) == 0 && n_canceled == 0);
}

static void
cancel_the_rest (void)
{
  int b = bundle ();
  static char stack[65536];

  n_finished = n_canceled = 0;
  for (int i = 0; i < 5; i++)
    {
      check (bundle_go (b, work (5)) == 0);
      check (bundle_go (b, work (-1)) == 0);
    }
  check (bundle_go_mem (b, work (100000), stack, sizeof stack) == 0);
  while (n_finished < 5)
    check (yield () == 0);
  check_fails (bundle_wait (b, now () + 50), ETIMEDOUT);
  check (n_finished == 5 && n_canceled == 0);
  check (hclose (b) == 0);
  check (n_finished == 5 && n_canceled == 6);
}

static void
wait_in_another (void)
{
  int b = bundle (), n_left = 1, supervisor;

  check (bundle_go (b, work (20)) == 0);
  supervisor = go (supervise (b, &n_left));
  check (supervisor >= 0);
  check (n_left == 1);
  check (bundle_wait (supervisor, now () + 5000) == 0);
  check (n_left == 0);
  check (hclose (supervisor) == 0 && hclose (b) == 0);
}

int
main (void)
{
  finish_in_time ();
  cancel_the_rest ();
  wait_in_another ();
  return 0;
}
