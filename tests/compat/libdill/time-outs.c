/* time-outs.c: deadlines are points in time, and mean the same in every call.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"
#include <libdill.h>
#include <unistd.h>

static coroutine void
write_later (int fd, int delay)
{
  check (msleep (now () + delay) == 0);
  check (write (fd, "x", 1) == 1);
}

/* 0 tries once; what is there is had. */
static void
try_once (int fd, const int ends[2], int s)
{
  int64_t start = now ();
  char byte;

  check_fails (fdin (fd, 0), ETIMEDOUT);
  check_fails (chrecv (ends[0], &byte, 1, 0), ETIMEDOUT);
  check_fails (chsend (ends[1], &byte, 1, 0), ETIMEDOUT);
  check_fails (ipc_accept (s, 0), ETIMEDOUT);
  check (now () - start < 10000);
}

/* One deadline for several calls: together they take no longer. */
static void
share_deadline (int fd, const int ends[2], int s)
{
  int64_t deadline = now () + 40;
  char byte;

  check_fails (chrecv (ends[0], &byte, 1, deadline), ETIMEDOUT);
  check (now () >= deadline);
  check_fails (fdin (fd, deadline), ETIMEDOUT);
  check_fails (ipc_accept (s, deadline), ETIMEDOUT);
  check (msleep (deadline) == 0);
  check (now () < deadline + 10000);
}

/* Those with the nearer deadline wake first. */
static coroutine void
sleep_until (int64_t deadline, int number, int *order, int *n)
{
  check (msleep (deadline) == 0);
  check (now () >= deadline);
  order[(*n)++] = number;
}

/* Returns whether all slept before the first one was to wake, the unit of time being so long. */
static int
sleep_sort (int unit)
{
  static const int delays[] = { 3, 1, 5, 2, 4 };
  int order[5], n = 0, all_sleep, sleepers = bundle ();
  int64_t start = now ();

  for (int i = 0; i < 5; i++)
    check (bundle_go (sleepers, sleep_until (start + delays[i] * unit, delays[i], order, &n)) == 0);
  all_sleep = now () < start + unit;
  if (all_sleep)
    check_fails (bundle_wait (sleepers, start + unit / 2), ETIMEDOUT);
  check (bundle_wait (sleepers, -1) == 0);
  check (n == 5);
  for (int i = 0; all_sleep && i < 5; i++)
    check (order[i] == i + 1);
  check (hclose (sleepers) == 0);
  return all_sleep;
}

/* A transfer that fails halfway leaves that direction of the stream broken. */
static void
break_stream (void)
{
  int s[2];
  char buffer[4];

  check (ipc_pair (s) == 0);
  check (bsend (s[0], "ab", 2, -1) == 0);
  check_fails (brecv (s[1], buffer, 4, now () + 20), ETIMEDOUT);
  check_fails (brecv (s[1], buffer, 1, -1), ECONNRESET);
  check (bsend (s[1], "ok", 2, -1) == 0);
  check (brecv (s[0], buffer, 2, now () + 1000) == 0 && memcmp (buffer, "ok", 2) == 0);
  check (hclose (s[0]) == 0 && hclose (s[1]) == 0);
}

int
main (void)
{
  int fds[2], ends[2], writer, s = ipc_listen ("time-outs.sock", 10);

  check (s >= 0 && pipe (fds) == 0 && chmake (ends) == 0);
  try_once (fds[0], ends, s);
  share_deadline (fds[0], ends, s);
  for (int unit = 10; !sleep_sort (unit); unit *= 4)
    check (unit < 1000);
  break_stream ();

  writer = go (write_later (fds[1], 20));
  check (fdin (fds[0], now () + 5000) == 0);
  check (fdout (fds[1], 0) == 0);
  check (fdclean (fds[0]) == 0 && fdclean (fds[1]) == 0);
  check (hclose (writer) == 0 && hclose (s) == 0);
  check (hclose (ends[0]) == 0 && hclose (ends[1]) == 0);
  check (close (fds[0]) == 0 && close (fds[1]) == 0);
  return 0;
}
