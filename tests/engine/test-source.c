/* test-source.c: the source that drives an engine sleeps neither too long nor too short.
 *
 * What is begun in another source's prepare function is not overslept.  An idle program is not woken at all.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine-utils.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* --- Prepare functions of others --- */

static void
do_nothing (void *data)
{
  *(gboolean *) data = TRUE;
}

static int64_t patience;

static void
sleep_a_little (void *data)
{
  g_assert_no_errno (dill_msleep (dill_now () + patience));
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
  gboolean waits; /* what was started does: it has not ended at once */
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
    {
      meddler->handle = test_assert_ok (dill_spawn (func, &meddler->done));
      meddler->waits = !meddler->done;
      if (meddler->done)
        *timeout = 0;
    }
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

static GSourceFuncs meddler_funcs
    = { .prepare = meddler_prepare, .check = meddler_check, .dispatch = meddler_dispatch };

/* Whether what was started had to wait. */
static gboolean
check_prepare (DillFunc func)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Meddler *meddler;
  gboolean waits;

  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_yield ()); /* the engine's source comes before the other one */
  meddler = (Meddler *) g_source_new (&meddler_funcs, sizeof (Meddler));
  meddler->func = func;
  g_source_attach (&meddler->source, context);
  test_iterate_until (meddler->done);
  waits = meddler->waits;
  g_assert_no_errno (dill_hclose (meddler->handle));
  g_source_destroy (&meddler->source);
  g_source_unref (&meddler->source);
  g_main_context_pop_thread_default (context);
  return waits;
}

static void
test_prepare_starts_wait (void)
{
  for (patience = 3; !check_prepare (sleep_a_little); patience = next_patience (patience))
    continue;
}

static void
test_prepare_wakes (void)
{
  g_assert_true (check_prepare (yield_once));
}

/* --- Idleness --- */

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

#if DILL_HAS_SOCKETS
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
start_server (int b, const char *path)
{
  int ls = test_assert_ok (dill_ipc_listen (path, 10));
  int pair[2];

  g_assert_no_errno (dill_ipc_pair (pair));
  g_assert_no_errno (dill_bundle_spawn (b, accept_for_ever, GINT_TO_POINTER (ls)));
  g_assert_no_errno (dill_bundle_spawn (b, receive_one, GINT_TO_POINTER (pair[0])));
  g_assert_no_errno (dill_bundle_spawn (b, receive_one, GINT_TO_POINTER (pair[1])));
  g_assert_no_errno (dill_bsend (pair[0], "x", 1, soon ()));
}
#else
static void
start_server (int b G_GNUC_UNUSED, const char *path G_GNUC_UNUSED)
{
}
#endif

/* A server with a bit of everything, all of which has been in use. */
static int
be_idle (gpointer data)
{
  Idler *idler = data;
  GMainContext *context = g_main_context_new ();
  GSource *source;
  int b;

  g_main_context_push_thread_default (context);
  b = test_assert_ok (dill_bundle ());
  for (guint i = 0; i < 100; i++)
    g_assert_no_errno (dill_bundle_spawn (b, do_nothing, &(gboolean) { FALSE }));
  g_assert_no_errno (dill_bundle_spawn (b, wait_for_input, GINT_TO_POINTER (idler->idle[0])));
  g_assert_no_errno (dill_bundle_spawn (b, sleep_for_long, NULL));
  start_server (b, idler->path);
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
  g_test_add_func ("/source/prepare-starts-wait", test_prepare_starts_wait);
  g_test_add_func ("/source/prepare-wakes", test_prepare_wakes);
  test_add ("/source/idle", test_idle);
  return g_test_run ();
}
