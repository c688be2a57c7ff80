/* test-place-starters.c: of many processes that start to listen at one path at once, exactly one serves, though others
 * are stopped or killed between bind () and listen ().
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "address-utils.h"
#include "syscall-utils.h"

#include <poll.h>

/* Not as many where each holds the lock for so long that none of the others gets it within the second that they try. */
#define N_STARTERS (test_tool () == TEST_UNDER_VALGRIND ? 10u : N_STARTERS_MAX)
#define N_STARTERS_MAX 50u
#define N_ROUNDS 4

/* For how long each of them tries to get the lock, in milliseconds. */
#define PATIENCE_MS 1000

/* How a starter fares. */
typedef enum
{
  SERVES,
  REFUSED, /* EADDRINUSE */
  STOPPED, /* before listen (), and will report once more */
  KILLED,  /* there */
  FAILED,
  HELPLESS, /* the machine does not let it be stopped, or killed */
  N_OUTCOMES
} Outcome;

typedef struct
{
  Outcome outcome;
  pid_t pid;
} Report;

/* Who is stopped, and who is killed: of each ten starters these many. */
typedef struct
{
  guint n_stopped;
  guint n_killed;
  bool is_stale;      /* a stale file is to be replaced; else all go for a free name */
  size_t name_length; /* of the path's last component */
} Mix;

/* What starters have in common.  Each pipe is a signal for them: it is given by a byte that nobody reads. */
typedef struct
{
  const char *path;
  unsigned flags;
  int report_fd;
  int start[2];
  int resume[2];
  int end[2];
} Race;

static void
report (const Race *race, Outcome outcome)
{
  Report message = { outcome, getpid () };

  g_assert_cmpint (write (race->report_fd, &message, sizeof message), ==, sizeof message);
}

static void
wait_for (const int signal_pipe[2])
{
  struct pollfd poll_fd = { .fd = signal_pipe[0], .events = POLLIN };

  g_assert_cmpint (TEMP_FAILURE_RETRY (poll (&poll_fd, 1, -1)), ==, 1);
}

static void
give (const int signal_pipe[2])
{
  g_assert_cmpint (write (signal_pipe[1], "", 1), ==, 1);
}

static int
run_starter (gpointer data)
{
  const Race *race = data;
  struct dill_socket_file file;

  use_own_context ();
  wait_for (race->start);
  if (dill_address_listen (race->path, 5, race->flags, 0, &file) >= 0)
    {
      report (race, SERVES);
      wait_for (race->end);
    }
  else
    report (race, errno == EADDRINUSE ? REFUSED : FAILED);

  return 0;
}

static int
run_until_listen (gpointer data)
{
  const Race *race = data;

  if (kill_at_call (SYS_listen))
    return run_starter (data);

  report (race, HELPLESS);
  return 0;
}

/* Beside a starter that is killed, which can report no more. */
static int
run_killed (gpointer data)
{
  const Race *race = data;
  int status = test_in_child (run_until_listen, data);

  if (status != 128 + SIGSYS)
    return status;

  report (race, KILLED);
  return 0;
}

/* Beside a starter that is stopped. */
static int
run_stopped (gpointer data)
{
  const Race *race = data;
  pid_t pid = trace_start (run_starter, data);
  int status;

  if (pid < 0)
    {
      report (race, HELPLESS);
      return 0;
    }

  if (!trace_until (pid, SYS_listen, &status))
    return status;

  report (race, STOPPED);
  wait_for (race->resume);
  return trace_finish (pid);
}

static void
count_reports (int fd, guint n, guint counts[N_OUTCOMES], pid_t *server)
{
  Report message;

  memset (counts, 0, N_OUTCOMES * sizeof counts[0]);
  while (n-- > 0)
    {
      g_assert_cmpint (TEMP_FAILURE_RETRY (read (fd, &message, sizeof message)), ==, sizeof message);
      counts[message.outcome]++;
      if (message.outcome == SERVES)
        *server = message.pid;
    }
}

/* Who listens at PATH. */
static pid_t
server_of (const char *path)
{
  int fd = new_socket ();
  struct ucred peer;
  socklen_t length = sizeof peer;

  g_assert_no_errno (dill_address_connect (fd, path, 0));
  g_assert_no_errno (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &length));
  close (fd);

  return peer.pid;
}

/* The starters are off, and are all to be heard of.  Returns false if that took so long that each of them may have lost
 * patience with the lock, which others had, and if none of them serves. */
static bool
judge (const Race *race, int report_fd, const Mix *mix)
{
  guint counts[N_OUTCOMES];
  guint later_counts[N_OUTCOMES];
  int64_t start = dill_now ();
  pid_t server = 0;

  count_reports (report_fd, N_STARTERS, counts, &server);
  if (counts[HELPLESS] > 0)
    g_test_skip ("ptrace or seccomp filters are not permitted here");
  if (counts[HELPLESS] == N_STARTERS)
    return true;

  g_test_message ("%u serve, %u refused, %u stopped, %u killed", counts[SERVES], counts[REFUSED], counts[STOPPED],
                  counts[KILLED]);
  g_assert_cmpuint (counts[FAILED], ==, 0);
  g_assert_cmpuint (counts[SERVES], <=, 1);
  if (mix->is_stale && counts[SERVES] + counts[STOPPED] == 0 && dill_now () - start >= PATIENCE_MS)
    return false;
  if (counts[SERVES] == 1)
    g_assert_cmpint (server_of (race->path), ==, server);
  else if (mix->is_stale)
    g_assert_cmpuint (counts[STOPPED], ==, 1); /* the one that has the lock */

  give (race->resume);
  count_reports (report_fd, counts[STOPPED], later_counts, &server);
  g_assert_cmpuint (counts[SERVES] + later_counts[SERVES], ==, 1);
  g_assert_cmpuint (later_counts[SERVES] + later_counts[REFUSED], ==, counts[STOPPED]);
  g_assert_cmpint (server_of (race->path), ==, server);

  /* Under the lock whoever comes removes what the dead left; without it they may leave it a moment later. */
  if (mix->is_stale)
    g_assert_cmpuint (count_siblings (race->path), ==, 1);
  else
    g_assert_cmpuint (count_siblings (race->path), <=, 1 + counts[KILLED]);
  return true;
}

/* Whether somebody has won. */
static bool
run_race (const char *path, const Mix *mix)
{
  Race race = { .path = path, .flags = mix->is_stale ? DILL_IPC_LISTEN_REPLACE_STALE : 0 };
  pid_t pids[N_STARTERS_MAX];
  TestLimit limit;
  int reports[2];
  bool is_won;

  g_assert_no_errno (pipe (reports));
  g_assert_no_errno (pipe (race.start));
  g_assert_no_errno (pipe (race.resume));
  g_assert_no_errno (pipe (race.end));
  race.report_fd = reports[1];

  for (guint i = 0; i < N_STARTERS; i++)
    {
      TestChildFunc run = i % 10 < mix->n_stopped                   ? run_stopped
                          : i % 10 < mix->n_stopped + mix->n_killed ? run_killed
                                                                    : run_starter;
      pids[i] = test_child_start (run, &race);
    }

  test_limit_begin (&limit, NULL, "the starters");
  give (race.start);
  is_won = judge (&race, reports[0], mix);
  give (race.end);
  for (guint i = 0; i < N_STARTERS; i++)
    g_assert_cmpint (test_child_wait (pids[i]), ==, 0);
  test_limit_end (&limit);

  for (int i = 0; i < 2; i++)
    {
      close (reports[i]);
      close (race.start[i]);
      close (race.resume[i]);
      close (race.end[i]);
    }
  return is_won;
}

static void
test_starters (TestDir *test, gconstpointer data)
{
  const Mix *mix = data;

  for (int i = 0; i < N_ROUNDS; i++)
    {
      g_autofree char *dir = g_strdup_printf ("%s/%d", test->dir, i);
      g_autofree char *path = NULL;
      struct dill_socket_file file;
      int fd;

      g_assert_no_errno (mkdir (dir, 0755));
      path = make_path (dir, strlen (dir) + 1 + mix->name_length, mix->name_length);
      if (mix->is_stale)
        make_stale (path);

      for (guint n_tries = 1; !run_race (path, mix); n_tries++)
        g_assert_cmpuint (n_tries, <, 5);

      /* The server is gone without a word. */
      wait_until_old (path);
      fd = test_assert_ok (dill_address_listen (path, 1, DILL_IPC_LISTEN_REPLACE_STALE, 0, &file));
      g_assert_cmpuint (count_siblings (path), ==, 1);
      dill_socket_file_release (&file, false);
      close (fd);
    }
}

int
main (int argc, char **argv)
{
  static const Mix healthy = { 0, 0, true, 6 };
  static const Mix killed = { 0, 9, true, 6 };
  static const Mix stopped = { 10, 0, true, 6 };
  static const Mix mixed = { 4, 4, true, 200 };
  static const Mix free_names = { 4, 4, false, 200 };

  g_test_init (&argc, &argv, NULL);

  test_add_data ("/place/starters/healthy", &healthy, test_starters);
  test_add_data ("/place/starters/killed", &killed, test_starters);
  test_add_data ("/place/starters/stopped", &stopped, test_starters);
  test_add_data ("/place/starters/mixed", &mixed, test_starters);
  test_add_data ("/place/starters/free-name", &free_names, test_starters);

  return g_test_run ();
}
