/* test-soak.c: 200 processes connect, talk, get killed and come back against one server, for some time.
 *
 * Each answer is checked by its client.  Nothing goes wrong but through being killed, and when all have gone the server
 * has as many descriptors, and as much memory, as when it had warmed up.
 *
 * SOAK_SECONDS says for how long (default: 3), SOAK_CLIENTS how many they are (fewer by default under Valgrind, which
 * takes 50 MiB for each).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"
#include "soak.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define N_CLIENTS (test_tool () == TEST_UNDER_VALGRIND ? 50u : 200u)

/* How often somebody is killed, in microseconds. */
#define KILL_PAUSE_US 4000

/* Room for what allocators keep for later, in bytes. */
#define HEAP_SLACK (64 * 1024)
#define RESIDENT_SLACK (4 * 1024 * 1024)

typedef struct
{
  const char *path;
  int listener;
  SoakClients *clients;
  guint n_clients;
  gint64 duration_us;
} Herd;

typedef struct
{
  guint n_fds;
  gint64 heap;
  gint64 resident;
} Usage;

static guint
number_from_environment (const char *name, guint otherwise)
{
  const char *value = g_getenv (name);

  return value == NULL ? otherwise : (guint) strtoul (value, NULL, 10);
}

static Usage
measure (void)
{
  g_autofree char *statm = NULL;
  struct mallinfo2 info;
  Usage usage;

  malloc_trim (0);
  info = mallinfo2 ();
  g_assert_true (g_file_get_contents ("/proc/self/statm", &statm, NULL, NULL));
  usage.resident = g_ascii_strtoll (strchr (statm, ' '), NULL, 10) * sysconf (_SC_PAGESIZE);
  usage.heap = (gint64) (info.uordblks + info.hblkhd);
  usage.n_fds = test_count_fds ();
  return usage;
}

static pid_t
start_client (const Herd *herd, guint seed)
{
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    soak_client_run (herd->path, herd->clients, seed);
  return pid;
}

/* Starts the clients, kills one after the other at random, starts another in its place, and kills all in the end.  A
 * process of its own, so that none of them inherits anything of the server's. */
static int
drive (gpointer data)
{
  const Herd *herd = data;
  g_autofree pid_t *pids = g_new (pid_t, herd->n_clients);
  gint64 end = g_get_monotonic_time () + herd->duration_us;
  guint seed = (guint) getpid ();
  int n_killed = 0;

  alarm ((guint) (herd->duration_us / G_USEC_PER_SEC) + TEST_LIMIT_SECONDS);
  g_assert_no_errno (dill_hclose (herd->listener));
  for (guint i = 0; i < herd->n_clients; i++)
    pids[i] = start_client (herd, seed++);

  /* One at least, though on a slow machine starting them may have taken all the time there is. */
  do
    {
      guint victim = g_random_int_range (0, (gint32) herd->n_clients);
      gint64 next = g_get_monotonic_time () + KILL_PAUSE_US;

      kill (pids[victim], SIGKILL);
      waitpid (pids[victim], NULL, 0);
      pids[victim] = start_client (herd, seed++);
      n_killed++;
      g_poll (NULL, 0, (int) MAX ((next - g_get_monotonic_time ()) / 1000, 0));
    }
  while (g_get_monotonic_time () < end);

  for (guint i = 0; i < herd->n_clients; i++)
    kill (pids[i], SIGKILL);
  while (waitpid (-1, NULL, 0) > 0)
    continue;
  return n_killed > 0 ? 0 : 1;
}

/* Runs the clients for SECONDS against a server that is going on, until all connections have ended. */
static void
let_talk (Herd *herd, const SoakServer *server, double seconds)
{
  int64_t deadline;
  pid_t pid;
  int last;

  herd->duration_us = (gint64) (seconds * G_USEC_PER_SEC);
  pid = test_child_start (drive, herd);
  deadline = dill_now () + (int64_t) (seconds * 1000);
  while (dill_now () < deadline)
    g_assert_no_errno (dill_msleep (dill_now () + 100));
  g_assert_cmpint (test_child_wait (pid), ==, 0);

  /* Whoever was killed before being accepted is so before the last to come. */
  deadline = dill_now () + SOAK_PATIENCE;
  last = test_assert_ok (dill_ipc_connect (herd->path, deadline));
  g_assert_no_errno (dill_ipc_close (last, deadline));
  while (server->n_open > 0 && dill_now () < deadline)
    g_assert_no_errno (dill_msleep (dill_now () + 10));
  g_assert_cmpuint (server->n_open, ==, 0);
}

static void
test_soak (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  SoakClients *clients
      = mmap (NULL, sizeof *clients, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  guint seconds = number_from_environment ("SOAK_SECONDS", 3);
  int listener = test_assert_ok (dill_ipc_listen (test->path, 128));
  Herd herd = { test->path, listener, clients, number_from_environment ("SOAK_CLIENTS", N_CLIENTS), 0 };
  SoakServer server = { 0 };
  int sessions = soak_server_start (listener, &server);
  Usage begin, end;

  g_assert_true (clients != MAP_FAILED);
  let_talk (&herd, &server, 1); /* to warm up */
  begin = measure ();
  let_talk (&herd, &server, seconds);
  end = measure ();

  g_test_message ("count %u soak requests", server.n_requests);
  g_test_message ("%u connections, %u of them broken", server.n_connections, server.n_broken);
  g_test_message ("descriptors: %u at the beginning, %u in the end; heap: %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT
                  " bytes; resident: %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT " KiB",
                  begin.n_fds, end.n_fds, begin.heap, end.heap, begin.resident / 1024, end.resident / 1024);

  g_assert_cmpint (clients->n_wrong, ==, 0);
  g_assert_cmpint (clients->n_failed, ==, 0);
  g_assert_cmpint (clients->n_requests, >, 0);
  g_assert_cmpuint (server.n_requests, >=, (guint) clients->n_requests);
  g_assert_cmpuint (server.n_broken, >, 0);
  g_assert_cmpuint (end.n_fds, ==, begin.n_fds);
  g_assert_cmpint (end.heap, <=, begin.heap + HEAP_SLACK);
  if (test_tool () == 0) /* which keep what was freed */
    g_assert_cmpint (end.resident, <=, begin.resident + RESIDENT_SLACK);

  g_assert_no_errno (dill_hclose (sessions));
  g_assert_no_errno (dill_hclose (listener));
  munmap (clients, sizeof *clients);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/soak/killed-clients", test_soak);
  return g_test_run ();
}
