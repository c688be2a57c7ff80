/* test-source.c: the source that drives an engine: a fair neighbour in its context, and idle when there is nothing to do.
 *
 * Whatever a coroutine does, timers, descriptors and sources of the same or a higher priority go on within 10 ms, and
 * those of a lower one within some tens.  Nothing is overslept, even what is begun in another source's prepare function.
 * An idle program is not woken at all.
 *
 * Time is measured as this thread's processor time: what other programs take does not count.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-utils.h"

#include <dillipc/dill-glib.h>
#include <dillipc/dillipc.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A deadline that is never reached unless something is wrong. */
#define SOON (dill_now () + 10000)

/* How long neighbours are watched, and how long they may have to wait, in microseconds of processor time. */
#define WATCHED_US 150000
#define EQUAL_MAX_US 10000
#define LOWER_MAX_US 50000

static gint64
processor_time (void)
{
  struct timespec now;

  g_assert_no_errno (clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now));
  return now.tv_sec * (gint64) 1000000 + now.tv_nsec / 1000;
}

/* --- Fairness --- */

/* Somebody who wants a turn now and then, and how long it took at most. */
typedef struct
{
  const char *name;
  gint64 last;
  gint64 longest;
  guint n_turns;
} Neighbour;

static void
neighbour_init (Neighbour *neighbour, const char *name)
{
  *neighbour = (Neighbour) { .name = name, .last = processor_time () };
}

static void
take_turn (Neighbour *neighbour)
{
  gint64 now = processor_time ();

  neighbour->longest = MAX (neighbour->longest, now - neighbour->last);
  neighbour->last = now;
  neighbour->n_turns++;
}

static void
check_neighbour (Neighbour *neighbour, gint64 maximum)
{
  take_turn (neighbour);
  g_test_message ("%s: %u turns, %" G_GINT64_FORMAT " us at most", neighbour->name, neighbour->n_turns,
                  neighbour->longest);
  g_assert_cmpuint (neighbour->n_turns, >, 2);
  g_assert_cmpint (neighbour->longest, <=, maximum);
}

static gboolean
take_turn_in_callback (gpointer data)
{
  take_turn (data);
  return G_SOURCE_CONTINUE;
}

static GSource *
add_neighbour (GSource *source, int priority, Neighbour *neighbour, const char *name)
{
  neighbour_init (neighbour, name);
  g_source_set_priority (source, priority);
  g_source_set_callback (source, take_turn_in_callback, neighbour, NULL);
  g_source_attach (source, NULL);
  return source;
}

static void
sleep_in_turns (void *data)
{
  while (dill_msleep (dill_now () + 1) == 0)
    take_turn (data);
}

typedef struct
{
  int fds[2];
  Neighbour neighbour;
} Reader;

static void
read_in_turns (void *data)
{
  Reader *reader = data;
  char byte;

  while (dill_fdin (reader->fds[0], -1) == 0)
    {
      g_assert_cmpint (read (reader->fds[0], &byte, 1), ==, 1);
      take_turn (&reader->neighbour);
    }
}

/* Its turns are those of the equal-priority timer that writes. */
static gboolean
feed_reader (gpointer data)
{
  Reader *reader = data;

  /* The pipe holds 64 KiB: far more than there are turns. */
  test_assert_ok (write (reader->fds[1], "x", 1));
  return G_SOURCE_CONTINUE;
}

/* All kinds of neighbours, while FUNC hogs the engine in a coroutine. */
static void
check_fairness (DillFunc func, void *data)
{
  Neighbour high, timer, low, sleeper;
  Reader reader;
  GSource *sources[4];
  gint64 end = processor_time () + WATCHED_US;
  int b = test_assert_ok (dill_bundle ());

  neighbour_init (&sleeper, "sleeping coroutine");
  neighbour_init (&reader.neighbour, "reading coroutine");
  g_assert_no_errno (pipe (reader.fds));
  g_assert_no_errno (dill_bundle_spawn (b, sleep_in_turns, &sleeper));
  g_assert_no_errno (dill_bundle_spawn (b, read_in_turns, &reader));

  sources[0] = add_neighbour (g_timeout_source_new (1), G_PRIORITY_HIGH, &high, "higher priority");
  sources[1] = add_neighbour (g_timeout_source_new (2), G_PRIORITY_DEFAULT, &timer, "timer of the same priority");
  sources[2] = add_neighbour (g_idle_source_new (), G_PRIORITY_LOW, &low, "lower priority");
  sources[3] = g_timeout_source_new (1);
  g_source_set_callback (sources[3], feed_reader, &reader, NULL);
  g_source_attach (sources[3], NULL);

  g_assert_no_errno (dill_bundle_spawn (b, func, data));
  while (processor_time () < end)
    g_main_context_iteration (NULL, TRUE);

  check_neighbour (&high, EQUAL_MAX_US);
  check_neighbour (&timer, EQUAL_MAX_US);
  check_neighbour (&sleeper, EQUAL_MAX_US);
  check_neighbour (&reader.neighbour, EQUAL_MAX_US);
  check_neighbour (&low, LOWER_MAX_US);

  g_assert_no_errno (dill_hclose (b));
  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    {
      g_source_destroy (sources[i]);
      g_source_unref (sources[i]);
    }
  for (guint i = 0; i < 2; i++)
    {
      g_assert_no_errno (dill_fdclean (reader.fds[i]));
      close (reader.fds[i]);
    }
}

static void
yield_for_ever (void *data G_GNUC_UNUSED)
{
  while (dill_yield () == 0)
    continue;
}

static void
test_yield_loop (void)
{
  check_fairness (yield_for_ever, NULL);
}

static void
yield_with_many (void *data)
{
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 300; i++)
    g_assert_no_errno (dill_bundle_spawn (b, yield_for_ever, data));
  test_assert_errno (dill_bundle_wait (b, -1), ECANCELED);
  g_assert_no_errno (dill_hclose (b));
}

static void
test_many_yield_loops (void)
{
  check_fairness (yield_with_many, NULL);
}

/* Each is busy for a while before it gives way. */
static void
work_and_yield (void *data G_GNUC_UNUSED)
{
  do
    {
      gint64 end = processor_time () + 300;

      while (processor_time () < end)
        continue;
    }
  while (dill_yield () == 0);
}

static void
test_work (void)
{
  check_fairness (work_and_yield, NULL);
}

static void
start_and_end (void *data G_GNUC_UNUSED)
{
}

static void
spawn_and_yield (void *data)
{
  int h;

  while ((h = dill_spawn (start_and_end, data)) >= 0)
    {
      g_assert_no_errno (dill_hclose (h));
      if (dill_yield () < 0)
        break;
    }
  g_assert_cmpint (errno, ==, ECANCELED);
}

static void
test_spawn_loop (void)
{
  check_fairness (spawn_and_yield, NULL);
}

/* Something that always is ready never has to wait, and pauses all the same. */
static void
ask_for_ever (void *data)
{
  while (dill_fdin (*(int *) data, -1) == 0)
    continue;
  g_assert_cmpint (errno, ==, ECANCELED);
}

static void
test_always_ready_descriptor (void)
{
  int fd = test_assert_ok (open ("/dev/null", O_RDONLY | O_CLOEXEC));

  check_fairness (ask_for_ever, &fd);
  g_assert_no_errno (dill_fdclean (fd));
  close (fd);
}

typedef struct
{
  int pair[2];
  char buffer[65536];
} Flood;

static void
receive_for_ever (void *data)
{
  Flood *flood = data;

  while (dill_brecv_some (flood->pair[0], flood->buffer, sizeof flood->buffer, -1) > 0)
    continue;
  g_assert_cmpint (errno, ==, ECANCELED);
}

static void
flood_peer (void *data)
{
  Flood *flood = data;
  int b = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_spawn (b, receive_for_ever, flood));
  while (dill_bsend (flood->pair[1], flood->buffer, sizeof flood->buffer, -1) == 0)
    continue;
  g_assert_cmpint (errno, ==, ECANCELED);
  g_assert_no_errno (dill_hclose (b));
}

static void
test_flood (void)
{
  Flood *flood = g_new0 (Flood, 1);

  g_assert_no_errno (dill_ipc_pair (flood->pair));
  check_fairness (flood_peer, flood);
  g_assert_no_errno (dill_hclose (flood->pair[0]));
  g_assert_no_errno (dill_hclose (flood->pair[1]));
  g_free (flood);
}

/* A neighbour that always is ready leaves room for the coroutines, and has room. */
static void
test_always_ready_source (void)
{
  Neighbour neighbour, sleeper;
  GSource *source = add_neighbour (g_idle_source_new (), G_PRIORITY_DEFAULT, &neighbour, "same priority");
  gint64 end = processor_time () + WATCHED_US;
  int b = test_assert_ok (dill_bundle ());

  neighbour_init (&sleeper, "sleeping coroutine");
  g_assert_no_errno (dill_bundle_spawn (b, sleep_in_turns, &sleeper));
  g_assert_no_errno (dill_bundle_spawn (b, yield_for_ever, NULL));
  while (processor_time () < end)
    g_main_context_iteration (NULL, TRUE);
  check_neighbour (&neighbour, EQUAL_MAX_US);
  check_neighbour (&sleeper, EQUAL_MAX_US);
  g_assert_no_errno (dill_hclose (b));
  g_source_destroy (source);
  g_source_unref (source);
}

/* --- Prepare functions of others --- */

static void
do_nothing (void *data)
{
  *(gboolean *) data = TRUE;
}

static void
sleep_a_little (void *data)
{
  g_assert_no_errno (dill_msleep (dill_now () + 3));
  *(gboolean *) data = TRUE;
}

static void
yield_once (void *data)
{
  g_assert_no_errno (dill_yield ());
  *(gboolean *) data = TRUE;
}

typedef struct
{
  GSource source;
  DillFunc func; /* what to start; NULL once it was */
  gboolean done;
  int handle;
} Meddler;

/* The engine has told by now how long the context may sleep: for ever. */
static gboolean
meddler_prepare (GSource *source, int *timeout)
{
  Meddler *meddler = (Meddler *) source;
  DillFunc func = meddler->func;

  *timeout = -1;
  meddler->func = NULL;
  if (func != NULL)
    meddler->handle = test_assert_ok (dill_spawn (func, &meddler->done));
  return FALSE;
}

static gboolean
meddler_check (GSource *source G_GNUC_UNUSED)
{
  return FALSE;
}

static gboolean
meddler_dispatch (GSource *source G_GNUC_UNUSED, GSourceFunc callback G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs meddler_funcs = { .prepare = meddler_prepare, .check = meddler_check, .dispatch = meddler_dispatch };

static void
check_prepare (DillFunc func)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Meddler *meddler;

  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_yield ()); /* the engine's source comes before the other one */
  meddler = (Meddler *) g_source_new (&meddler_funcs, sizeof (Meddler));
  meddler->func = func;
  g_source_attach (&meddler->source, context);
  test_iterate_until (meddler->done);
  g_assert_no_errno (dill_hclose (meddler->handle));
  g_source_destroy (&meddler->source);
  g_source_unref (&meddler->source);
  g_main_context_pop_thread_default (context);
}

static void
test_prepare_starts_wait (void)
{
  check_prepare (sleep_a_little);
}

static void
test_prepare_wakes (void)
{
  check_prepare (yield_once);
}

/* --- Idleness --- */

static void
accept_for_ever (void *data)
{
  dill_ipc_accept (GPOINTER_TO_INT (data), -1);
}

static void
receive_one (void *data)
{
  char byte;

  dill_brecv (GPOINTER_TO_INT (data), &byte, 1, -1);
}

static void
sleep_for_long (void *data G_GNUC_UNUSED)
{
  dill_msleep (dill_now () + 3600 * 1000);
}

static void
wait_for_input (void *data)
{
  dill_fdin (GPOINTER_TO_INT (data), -1);
}

typedef struct
{
  const char *path;
  int fds[2];  /* where the child writes when it is about to be idle */
  int idle[2]; /* on which nothing ever happens */
} Idler;

static gboolean
report_readiness (gpointer data)
{
  Idler *idler = data;

  g_assert_cmpint (write (idler->fds[1], "x", 1), ==, 1);
  return G_SOURCE_REMOVE;
}

/* A server with a bit of everything, all of which has been in use. */
static int
be_idle (gpointer data)
{
  Idler *idler = data;
  GMainContext *context = g_main_context_new ();
  int b, ls, pair[2];
  GSource *source;

  g_main_context_push_thread_default (context);
  b = test_assert_ok (dill_bundle ());
  ls = test_assert_ok (dill_ipc_listen (idler->path, 10));
  g_assert_no_errno (dill_ipc_pair (pair));
  for (guint i = 0; i < 100; i++)
    g_assert_no_errno (dill_bundle_spawn (b, do_nothing, &(gboolean) { FALSE }));
  g_assert_no_errno (dill_bundle_spawn (b, accept_for_ever, GINT_TO_POINTER (ls)));
  g_assert_no_errno (dill_bundle_spawn (b, receive_one, GINT_TO_POINTER (pair[0])));
  g_assert_no_errno (dill_bundle_spawn (b, receive_one, GINT_TO_POINTER (pair[1])));
  g_assert_no_errno (dill_bundle_spawn (b, wait_for_input, GINT_TO_POINTER (idler->idle[0])));
  g_assert_no_errno (dill_bundle_spawn (b, sleep_for_long, NULL));
  g_assert_no_errno (dill_bsend (pair[0], "x", 1, SOON));
  g_assert_no_errno (dill_msleep (dill_now () + 10));

  source = g_timeout_source_new (20);
  g_source_set_callback (source, report_readiness, idler, NULL);
  g_source_attach (source, context);
  g_source_unref (source);
  return dill_bundle_wait (b, -1);
}

/* A blocked thread that makes a system call, or merely wakes up, is switched to, and away from again. */
static char *
describe_switches (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/status", (int) pid);
  g_autofree char *status = NULL;
  g_autoptr (GError) error = NULL;
  char *counts;

  g_file_get_contents (path, &status, NULL, &error);
  g_assert_no_error (error);
  counts = strstr (status, "voluntary_ctxt_switches:");
  g_assert_nonnull (counts);
  return g_strdup (counts);
}

static void
wait_until_blocked (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", (int) pid);
  gint64 end = dill_now () + 10000;

  for (;;)
    {
      g_autofree char *stat = NULL;

      g_assert_true (g_file_get_contents (path, &stat, NULL, NULL));
      if (strstr (stat, ") S ") != NULL)
        return;
      g_assert_cmpint (dill_now (), <, end);
      g_thread_yield ();
    }
}

static void
test_idle (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Idler idler = { .path = test->path };
  g_autofree char *before = NULL, *after = NULL;
  char byte;
  pid_t pid;

  g_assert_no_errno (pipe (idler.fds));
  g_assert_no_errno (pipe (idler.idle));
  pid = test_child_start (be_idle, &idler);
  g_assert_cmpint (read (idler.fds[0], &byte, 1), ==, 1);

  /* It is still on its way back to sleep. */
  g_assert_no_errno (dill_msleep (dill_now () + 50));
  wait_until_blocked (pid);
  before = describe_switches (pid);
  g_assert_no_errno (dill_msleep (dill_now () + 1000));
  after = describe_switches (pid);
  g_assert_cmpstr (before, ==, after);

  g_assert_no_errno (kill (pid, SIGKILL));
  g_assert_cmpint (test_child_wait (pid), ==, 128 + SIGKILL);
  for (guint i = 0; i < 2; i++)
    {
      close (idler.fds[i]);
      close (idler.idle[i]);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/source/yield-loop", test_yield_loop);
  g_test_add_func ("/source/many-yield-loops", test_many_yield_loops);
  g_test_add_func ("/source/work", test_work);
  g_test_add_func ("/source/spawn-loop", test_spawn_loop);
  g_test_add_func ("/source/always-ready-descriptor", test_always_ready_descriptor);
  g_test_add_func ("/source/flood", test_flood);
  g_test_add_func ("/source/always-ready-source", test_always_ready_source);
  g_test_add_func ("/source/prepare-starts-wait", test_prepare_starts_wait);
  g_test_add_func ("/source/prepare-wakes", test_prepare_wakes);
  test_add ("/source/idle", test_idle);
  return g_test_run ();
}
