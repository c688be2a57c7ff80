/* fan-in.c: choose() collects from several senders until the last has finished; a second use of it lets one of two
 * receivers be the first.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"
#include <libdill.h>

#define N_SENDERS 3

static coroutine void
send_some (int ch, int first, int count, int pause)
{
  for (int i = 0; i < count; i++)
    {
      int value = first + i;

      if (pause > 0)
        check (msleep (now () + pause) == 0);
      check (chsend (ch, &value, sizeof value, -1) == 0);
    }
  check (chdone (ch) == 0);
}

static void
collect (void)
{
  int near[N_SENDERS], far[N_SENDERS], counts[N_SENDERS] = { 0 }, next[N_SENDERS], value;
  struct chclause clauses[N_SENDERS];
  int senders = bundle (), n_open = N_SENDERS;

  for (int i = 0; i < N_SENDERS; i++)
    {
      int ends[2];

      check (chmake (ends) == 0);
      near[i] = ends[0];
      far[i] = ends[1];
      next[i] = 100 * i;
      clauses[i] = (struct chclause){ CHRECV, near[i], &value, sizeof value };
      check (bundle_go (senders, send_some (far[i], 100 * i, 10 * (i + 1), i)) == 0);
    }

  while (n_open > 0)
    {
      int index = choose (clauses, n_open, now () + 5000);
      int sender;

      check (index >= 0 && index < n_open);
      for (sender = 0; near[sender] != clauses[index].ch; sender++)
        ;
      if (errno == 0)
        {
          check (value == next[sender]++);
          counts[sender]++;
          continue;
        }
      check (errno == EPIPE);
      clauses[index] = clauses[--n_open];
    }

  check (bundle_wait (senders, 0) == 0 || bundle_wait (senders, now () + 5000) == 0);
  check (hclose (senders) == 0);
  for (int i = 0; i < N_SENDERS; i++)
    {
      check (counts[i] == 10 * (i + 1));
      check (hclose (near[i]) == 0 && hclose (far[i]) == 0);
    }
}

static coroutine void
receive_one (int ch, int *value)
{
  check (chrecv (ch, value, sizeof *value, -1) == 0);
}

static void
order_of_clauses (void)
{
  int a[2], b[2], got_a = 0, got_b = 0, one = 1, two = 2, receivers = bundle ();

  check (chmake (a) == 0 && chmake (b) == 0);
  struct chclause clauses[] = { { CHSEND, a[0], &one, sizeof one }, { CHSEND, b[0], &two, sizeof two } };

  check (choose (clauses, 2, 0) == -1 && errno == ETIMEDOUT);
  check (choose (clauses, 2, now () + 10) == -1 && errno == ETIMEDOUT);
  check (bundle_go (receivers, receive_one (b[1], &got_b)) == 0);
  check (bundle_go (receivers, receive_one (a[1], &got_a)) == 0);
  check (choose (clauses, 2, 0) == 0 && errno == 0);
  check (choose (clauses, 2, 0) == 1 && errno == 0);
  check (bundle_wait (receivers, -1) == 0);
  check (got_a == 1 && got_b == 2);

  clauses[1].op = 77;
  check (choose (clauses, 2, -1) == 1 && errno == EINVAL);
  clauses[1].ch = -1;
  check (choose (clauses, 2, -1) == 1 && errno == EBADF);
  check (choose (clauses, -1, 0) == -1 && errno == EINVAL);
  check (hclose (receivers) == 0);
  for (int i = 0; i < 2; i++)
    check (hclose (a[i]) == 0 && hclose (b[i]) == 0);
}

int
main (void)
{
  collect ();
  order_of_clauses ();
  return 0;
}
