/* worker-pool.c: jobs are handed to whichever worker is free, and the results are collected.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"
#include <libdill.h>

#define N_WORKERS 4
#define N_JOBS 200

struct job
{
  int number;
  int64_t argument;
};

struct result
{
  int worker;
  int number;
  int64_t value;
};

static coroutine void
worker (int id, int jobs, int results)
{
  struct job job;

  while (chrecv (jobs, &job, sizeof job, -1) == 0)
    {
      struct result result = { id, job.number, job.argument * job.argument };

      check (msleep (now () + job.number % 3) == 0);
      check (chsend (results, &result, sizeof result, -1) == 0);
    }
  check (errno == EPIPE);
}

static coroutine void
dispatcher (int jobs)
{
  for (int i = 0; i < N_JOBS; i++)
    {
      struct job job = { i, i + 1 };

      check (chsend (jobs, &job, sizeof job, -1) == 0);
    }
  check (chdone (jobs) == 0);
}

int
main (void)
{
  int jobs[2], results[2], pool = bundle (), boss;
  int n_done[N_WORKERS] = { 0 }, seen[N_JOBS] = { 0 };
  int64_t sum = 0;

  check (pool >= 0 && chmake (jobs) == 0 && chmake (results) == 0);
  for (int i = 0; i < N_WORKERS; i++)
    check (bundle_go (pool, worker (i, jobs[1], results[0])) == 0);
  boss = go (dispatcher (jobs[0]));
  check (boss >= 0);

  for (int i = 0; i < N_JOBS; i++)
    {
      struct result result;

      check (chrecv (results[1], &result, sizeof result, now () + 5000) == 0);
      check (result.number >= 0 && result.number < N_JOBS && !seen[result.number]);
      seen[result.number] = 1;
      n_done[result.worker]++;
      sum += result.value;
    }
  check (sum == (int64_t) N_JOBS * (N_JOBS + 1) * (2 * N_JOBS + 1) / 6);
  for (int i = 0; i < N_WORKERS; i++)
    check (n_done[i] > 0);

  check (bundle_wait (pool, now () + 5000) == 0);
  check (hclose (pool) == 0 && hclose (boss) == 0);
  for (int i = 0; i < 2; i++)
    check (hclose (jobs[i]) == 0 && hclose (results[i]) == 0);
  return 0;
}
