/* test-sleep.c: the clock, sleeping, and yielding.
 *
 * A sleep is as long as was asked for, whatever signals come meanwhile.  One who yields lets everybody else go first.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine-utils.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* --- The clock --- */

static void
test_clock (void)
{
  struct timespec before, after;
  gint64 now;

  g_assert_no_errno (clock_gettime (CLOCK_MONOTONIC, &before));
  now = dill_now ();
  g_assert_no_errno (clock_gettime (CLOCK_MONOTONIC, &after));
  g_assert_cmpint (now, >=, before.tv_sec * (gint64) 1000 + before.tv_nsec / 1000000);
  g_assert_cmpint (now, <=, after.tv_sec * (gint64) 1000 + after.tv_nsec / 1000000);
}

/* --- Sleeping --- */

typedef struct
{
  gint64 deadline;
  gint64 woken_at;
  int result;
} Sleeper;

static void
sleep_once (void *data)
{
  Sleeper *sleeper = data;

  sleeper->result = dill_msleep (sleeper->deadline);
  sleeper->woken_at = dill_now ();
}

static void
test_coroutine (void)
{
  Sleeper sleeper = { .deadline = dill_now () + 10, .result = 1 };
  int h = test_assert_ok (dill_spawn (sleep_once, &sleeper));

  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (sleeper.result, ==, 0);
  g_assert_cmpint (sleeper.woken_at, >=, sleeper.deadline);
  g_assert_no_errno (dill_hclose (h));
}

static void
test_main_stack (void)
{
  gint64 deadline = dill_now () + 10;

  g_assert_no_errno (dill_msleep (deadline));
  g_assert_cmpint (dill_now (), >=, deadline);
}

/* A moment that has passed has been waited for: that is no failure. */
static void
test_past (void)
{
  Sleeper sleeper = { .deadline = dill_now () - 1000, .result = 1 };
  int h = test_assert_ok (dill_spawn (sleep_once, &sleeper));

  g_assert_cmpint (sleeper.result, ==, 0);
  g_assert_no_errno (dill_hclose (h));
}

/* The later sleeper has the earlier deadline: the context, which sleeps for the first one, must learn of it. */
static void
test_earlier_deadline_later (void)
{
  Sleeper sleepers[] = { { .deadline = dill_now () + 60000 }, { .deadline = dill_now () + 5 } };
  int handles[2];

  for (guint i = 0; i < 2; i++)
    handles[i] = test_assert_ok (dill_spawn (sleep_once, &sleepers[i]));
  g_assert_no_errno (dill_bundle_wait (handles[1], soon ()));
  g_assert_cmpint (sleepers[0].woken_at, ==, 0);
  for (guint i = 0; i < 2; i++)
    g_assert_no_errno (dill_hclose (handles[i]));
}

/* --- Signals --- */

static volatile sig_atomic_t n_signals;
static sem_t handled; /* SIGUSR1 was */

static void
count_signal (int number)
{
  n_signals++;
  if (number == SIGUSR1)
    sem_post (&handled);
}

/* Without SA_RESTART: whatever can say EINTR does. */
static void
start_storm (void)
{
  struct sigaction action = { .sa_handler = count_signal };
  struct itimerval interval = { .it_interval.tv_usec = 200, .it_value.tv_usec = 200 };

  n_signals = 0;
  g_assert_no_errno (sem_init (&handled, 0, 0));
  g_assert_no_errno (sigaction (SIGPROF, &action, NULL));
  g_assert_no_errno (sigaction (SIGUSR1, &action, NULL));
  g_assert_no_errno (setitimer (ITIMER_PROF, &interval, NULL));
}

static void
stop_storm (void)
{
  struct itimerval never = { 0 };

  g_assert_no_errno (setitimer (ITIMER_PROF, &never, NULL));
}

/* The next one as soon as the last was handled, since a profiling timer stands still while the program sleeps. */
static gpointer
send_signals (gpointer data)
{
  gint *stop = data;

  while (!g_atomic_int_get (stop))
    {
      kill (getpid (), SIGUSR1);
      TEMP_FAILURE_RETRY (sem_wait (&handled));
    }
  return NULL;
}

typedef struct
{
  int fd;
  guint n_received;
} Reader;

static void
read_all (void *data)
{
  Reader *reader = data;
  char byte;

  while (dill_fdin (reader->fd, soon ()) == 0 && read (reader->fd, &byte, 1) == 1)
    reader->n_received++;
}

#define N_SIGNALS 100 /* at least */

/* Sleeps of all lengths, descriptors, and coroutines that begin and end, under thousands of signals on any stack. */
static void
test_signals (void)
{
  gint stop = 0;
  gint64 end = dill_now () + 200;
  int fds[2];
  Reader reader;
  GThread *thread;
  TestLimit limit;
  sigset_t set;
  int h;

  if (test_skip_under (TEST_UNDER_TSAN, "it handles signals late: not before whoever waits for the sender has returned"))
    return;

  /* The other thread takes none, so that they all come here. */
  g_assert_no_errno (pipe (fds));
  start_storm ();
  sigemptyset (&set);
  sigaddset (&set, SIGUSR1);
  sigaddset (&set, SIGPROF);
  g_assert_cmpint (pthread_sigmask (SIG_BLOCK, &set, NULL), ==, 0);
  thread = g_thread_new ("storm", send_signals, &stop);
  g_assert_cmpint (pthread_sigmask (SIG_UNBLOCK, &set, NULL), ==, 0);

  reader = (Reader) { .fd = fds[0] };
  h = test_assert_ok (dill_spawn (read_all, &reader));
  test_limit_begin (&limit, NULL, "enough signals");
  for (guint i = 1; dill_now () < end || n_signals <= N_SIGNALS; i++)
    {
      Sleeper sleepers[3];
      int b = test_assert_ok (dill_bundle ());

      for (guint j = 0; j < 3; j++)
        {
          sleepers[j] = (Sleeper) { .deadline = dill_now () + j, .result = 1 };
          g_assert_no_errno (dill_bundle_spawn (b, sleep_once, &sleepers[j]));
        }
      g_assert_cmpint (TEMP_FAILURE_RETRY (write (fds[1], "x", 1)), ==, 1);
      g_assert_no_errno (dill_bundle_wait (b, soon ()));
      for (guint j = 0; j < 3; j++)
        {
          g_assert_cmpint (sleepers[j].result, ==, 0);
          g_assert_cmpint (sleepers[j].woken_at, >=, sleepers[j].deadline);
        }
      g_assert_no_errno (dill_hclose (b));
      while (reader.n_received < i)
        g_assert_no_errno (dill_yield ());
    }
  test_limit_end (&limit);

  g_atomic_int_set (&stop, 1);
  g_thread_join (thread);
  stop_storm ();
  g_assert_cmpint (n_signals, >, N_SIGNALS);
  close (fds[1]);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_fdclean (fds[0]));
  close (fds[0]);
}

/* --- Yielding --- */

static void
append_and_yield (void *data)
{
  GString *log = data;

  for (char letter = 'a'; letter < 'd'; letter++)
    {
      g_string_append_c (log, letter);
      g_assert_no_errno (dill_yield ());
    }
}

/* The main stack stands in the same queue as everybody else. */
static void
test_yield (void)
{
  g_autoptr (GString) log = g_string_new (NULL);
  int h = test_assert_ok (dill_spawn (append_and_yield, log));

  for (char letter = '1'; letter < '4'; letter++)
    {
      g_string_append_c (log, letter);
      g_assert_no_errno (dill_yield ());
    }
  g_assert_cmpstr (log->str, ==, "a1b2c3");
  g_assert_no_errno (dill_hclose (h));
}

static void
test_yield_alone (void)
{
  for (guint i = 0; i < 1000; i++)
    g_assert_no_errno (dill_yield ());
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sleep/clock", test_clock);
  g_test_add_func ("/sleep/coroutine", test_coroutine);
  g_test_add_func ("/sleep/main-stack", test_main_stack);
  g_test_add_func ("/sleep/past", test_past);
  g_test_add_func ("/sleep/earlier-deadline-later", test_earlier_deadline_later);
  g_test_add_func ("/sleep/signals", test_signals);
  g_test_add_func ("/sleep/yield", test_yield);
  g_test_add_func ("/sleep/yield-alone", test_yield_alone);
  return g_test_run ();
}
