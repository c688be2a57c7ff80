/* test-threads.c: threads, each with contexts, coroutines and handles of its own, and what they leave behind.
 *
 * Threads do not disturb one another.  When a thread or a GMainContext ends, its stacks, descriptors and socket files
 * go, its coroutines never run again, and there is one warning if there was anything to be cleared away.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-utils.h"

#include <dillipc/dillipc.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A deadline that is never reached unless something is wrong. */
#define SOON (dill_now () + 10000)

/* --- Work --- */

static void
sleep_and_count (void *data)
{
  for (guint i = 0; i < 5; i++)
    {
      if (dill_msleep (dill_now () + 1) < 0)
        return;
      (*(guint *) data)++;
    }
}

static void
echo (void *data)
{
  int s = GPOINTER_TO_INT (data);
  char buffer[16];

  while (dill_brecv (s, buffer, sizeof buffer, SOON) == 0)
    g_assert_no_errno (dill_bsend (s, buffer, sizeof buffer, SOON));
  g_assert_cmpint (errno, ==, EPIPE);
}

/* A little of everything. */
static gpointer
work (gpointer data G_GNUC_UNUSED)
{
  for (guint round = 0; round < 20; round++)
    {
      guint n_wake_ups = 0;
      char buffer[16] = "0123456789abcde", copy[16];
      int b = test_assert_ok (dill_bundle ());
      int pair[2], fds[2];

      g_assert_no_errno (dill_ipc_pair (pair));
      g_assert_no_errno (pipe (fds));
      for (guint i = 0; i < 5; i++)
        g_assert_no_errno (dill_bundle_spawn (b, sleep_and_count, &n_wake_ups));
      g_assert_no_errno (dill_bundle_spawn (b, echo, GINT_TO_POINTER (pair[1])));

      for (guint i = 0; i < 20; i++)
        {
          g_assert_no_errno (dill_bsend (pair[0], buffer, sizeof buffer, SOON));
          g_assert_no_errno (dill_brecv (pair[0], copy, sizeof copy, SOON));
          g_assert_cmpmem (buffer, sizeof buffer, copy, sizeof copy);
        }
      test_assert_errno (dill_fdin (fds[0], dill_now () + 1), ETIMEDOUT);

      g_assert_no_errno (dill_ipc_done (pair[0], SOON));
      g_assert_no_errno (dill_bundle_wait (b, SOON));
      g_assert_cmpuint (n_wake_ups, ==, 25);
      g_assert_no_errno (dill_hclose (b));
      g_assert_no_errno (dill_hclose (pair[0]));
      g_assert_no_errno (dill_hclose (pair[1]));
      g_assert_no_errno (dill_fdclean (fds[0]));
      close (fds[0]);
      close (fds[1]);
    }
  return NULL;
}

static void
test_four_threads (void)
{
  GThread *threads[4];
  guint n_fds;

  work (NULL);
  n_fds = test_count_fds ();
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = test_thread_start (work, NULL);
  work (NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    test_thread_join (threads[i]);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

/* --- Threads without a context --- */

typedef struct
{
  GMainLoop *loop;
  GThread *home; /* whose thread runs the default context */
  guint n_calls;
} DefaultLoop;

static gboolean
count_at_home (gpointer data)
{
  DefaultLoop *loop = data;

  g_assert_true (g_thread_self () == loop->home);
  loop->n_calls++;
  return G_SOURCE_CONTINUE;
}

static gpointer
work_and_quit (gpointer data)
{
  DefaultLoop *loop = data;

  work (NULL);
  g_main_loop_quit (loop->loop);
  return NULL;
}

/* While the main thread runs the default context, a worker that never heard of contexts gets along. */
static void
test_no_context (void)
{
  DefaultLoop loop = { .loop = g_main_loop_new (NULL, FALSE), .home = g_thread_self () };
  guint id = g_timeout_add (1, count_at_home, &loop);
  GThread *thread = g_thread_new ("plain", work_and_quit, &loop);

  test_loop_run (loop.loop);
  g_thread_join (thread);
  g_assert_cmpuint (loop.n_calls, >, 0);
  g_source_remove (id);
  g_main_loop_unref (loop.loop);
}

/* Nor does it take over the main thread's sources while that does something else. */
static void
test_no_context_and_default_is_idle (void)
{
  DefaultLoop loop = { .home = g_thread_self () };
  guint id = g_idle_add (count_at_home, &loop);

  g_thread_join (g_thread_new ("plain", work, NULL));
  g_assert_cmpuint (loop.n_calls, ==, 0);
  g_source_remove (id);
}

/* --- What is left behind --- */

typedef struct
{
  const char *path; /* of a socket */
  int fd;           /* of a pipe: the program's, so that it stays open */
  gboolean ran;     /* a coroutine went on after the end */
  void *stack;      /* an address on its stack */
  gboolean stack_stays;
  guint n_exits;
} Remains;

static void
never_go_on (void *data)
{
  Remains *remains = data;

  remains->stack = __builtin_frame_address (0);
  dill_msleep (-1);
  remains->ran = TRUE;
}

static void
never_accept (void *data)
{
  Remains *remains = data;
  int ls = test_assert_ok (dill_ipc_listen (remains->path, 10));

  g_assert_true (g_file_test (remains->path, G_FILE_TEST_EXISTS));
  dill_ipc_accept (ls, -1);
  remains->ran = TRUE;
}

static void
never_receive (void *data)
{
  Remains *remains = data;
  int pair[2];
  char byte;

  g_assert_no_errno (dill_ipc_pair (pair));
  dill_brecv (pair[0], &byte, 1, -1);
  remains->ran = TRUE;
}

static void
never_read (void *data)
{
  Remains *remains = data;

  dill_fdin (remains->fd, -1);
  remains->ran = TRUE;
}

static void
leave_behind (Remains *remains)
{
  DillFunc funcs[] = { never_go_on, never_accept, never_receive, never_read };
  int b = test_assert_ok (dill_bundle ());
  int fds[2];

  g_assert_no_errno (pipe (fds));
  remains->fd = fds[0];
  for (guint i = 0; i < G_N_ELEMENTS (funcs); i++)
    g_assert_no_errno (dill_bundle_spawn (b, funcs[i], remains));
  test_assert_ok (dill_spawn (never_go_on, remains));
  test_assert_ok (dill_spawn (never_receive, remains));
  g_assert_no_errno (dill_msleep (dill_now () + 2));
  close (fds[0]);
  close (fds[1]);
}

static void
check_remains (Remains *remains, guint n_fds)
{
  guintptr page = (guintptr) remains->stack & ~(guintptr) (sysconf (_SC_PAGESIZE) - 1);
  unsigned char resident;

  g_assert_false (remains->ran);
  g_assert_false (g_file_test (remains->path, G_FILE_TEST_EXISTS));
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  if (!remains->stack_stays)
    test_assert_errno (mincore ((void *) page, 1, &resident), ENOMEM); /* nothing is mapped there */
}

static gpointer
leave_behind_and_end (gpointer data)
{
  leave_behind (data);
  return NULL;
}

static void
test_thread_ends (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Remains remains = { .path = test->path };
  guint n_fds = test_count_fds ();

  test_expect_log (G_LOG_LEVEL_WARNING, "*thread has ended*",
                   g_thread_join (g_thread_new ("plain", leave_behind_and_end, &remains)));
  check_remains (&remains, n_fds);
}

/* Its context, which somebody else still holds, has nothing of it any more. */
static gpointer
leave_behind_in_context (gpointer data)
{
  GMainContext *context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  leave_behind (data);
  g_main_context_pop_thread_default (context);
  return context;
}

static void
test_thread_ends_before_context (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Remains remains = { .path = test->path };
  GMainContext *context = g_main_context_new (); /* so that GLib's own descriptors are there */
  guint n_fds;

  n_fds = test_count_fds ();
  g_main_context_unref (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "*thread has ended*",
                   context = g_thread_join (g_thread_new ("leaver", leave_behind_in_context, &remains)));
  check_remains (&remains, n_fds);
  g_main_context_iteration (context, FALSE);
  g_main_context_unref (context);
}

/* A thread that has closed what it had ends without a word. */
static gpointer
work_in_several_contexts (gpointer data G_GNUC_UNUSED)
{
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (GMainContext) context = g_main_context_new ();

      g_main_context_push_thread_default (context);
      g_assert_no_errno (dill_yield ());
      g_assert_no_errno (dill_msleep (dill_now () + 1));
      g_main_context_pop_thread_default (context);
    }
  return NULL;
}

static void
test_thread_ends_clean (void)
{
  g_thread_join (g_thread_new ("clean", work_in_several_contexts, NULL));
  g_thread_join (g_thread_new ("clean", work, NULL));
}

static void
test_context_ends (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Remains remains = { .path = test->path, .stack_stays = TRUE }; /* in the thread's pool */
  guint n_fds = test_count_fds ();
  GMainContext *context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  leave_behind (&remains);
  g_main_context_pop_thread_default (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "*GMainContext has ended*", g_main_context_unref (context));
  check_remains (&remains, n_fds);

  /* The thread works on. */
  work (NULL);
}

/* One of a bundle's two members is gone; the bundle, at home nowhere, lives on with the other. */
static void
test_context_ends_with_member (void)
{
  Remains remains = { .ran = FALSE };
  GMainContext *context = g_main_context_new ();
  guint n_wake_ups = 0;
  int b = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_spawn (b, sleep_and_count, &n_wake_ups));
  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_bundle_spawn (b, never_go_on, &remains));
  g_main_context_pop_thread_default (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "*GMainContext has ended*", g_main_context_unref (context));

  g_assert_no_errno (dill_bundle_wait (b, SOON));
  g_assert_cmpuint (n_wake_ups, ==, 5);
  g_assert_false (remains.ran);
  g_assert_no_errno (dill_hclose (b));
}

/* Somebody waits, under a context that lives, for a coroutine whose context ends. */
static void
test_context_ends_while_waited_for (void)
{
  Remains remains = { .ran = FALSE };
  GMainContext *context = g_main_context_new ();
  int b = test_assert_ok (dill_bundle ());

  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_bundle_spawn (b, never_go_on, &remains));
  g_main_context_pop_thread_default (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "*GMainContext has ended*", g_main_context_unref (context));
  g_assert_no_errno (dill_bundle_wait (b, SOON));
  g_assert_no_errno (dill_hclose (b));
}

/* --- A context that ends in another thread --- */

typedef struct
{
  GMainContext *context;
  GMutex mutex;
  GCond cond;
  int step;
  Remains remains;
} Relay;

static void
set_step (Relay *relay, int step)
{
  g_mutex_lock (&relay->mutex);
  relay->step = step;
  g_cond_broadcast (&relay->cond);
  g_mutex_unlock (&relay->mutex);
}

static void
wait_for_step (Relay *relay, int step)
{
  g_mutex_lock (&relay->mutex);
  while (relay->step < step)
    g_cond_wait (&relay->cond, &relay->mutex);
  g_mutex_unlock (&relay->mutex);
}

static gpointer
lose_context (gpointer data)
{
  Relay *relay = data;

  g_main_context_push_thread_default (relay->context);
  if (relay->remains.path != NULL)
    leave_behind (&relay->remains);
  else
    g_assert_no_errno (dill_yield ());
  g_main_context_pop_thread_default (relay->context);
  set_step (relay, 1);
  wait_for_step (relay, 2);

  g_assert_no_errno (dill_yield ()); /* sees that the context is gone */
  set_step (relay, 3);
  work (NULL);
  return NULL;
}

static void
end_context_elsewhere (const char *path)
{
  Relay relay = { .context = g_main_context_new (), .remains = { .path = path } };
  GThread *thread = g_thread_new ("loser", lose_context, &relay);

  wait_for_step (&relay, 1);
  g_main_context_unref (relay.context);
  set_step (&relay, 2);
  wait_for_step (&relay, 3);
  if (path != NULL)
    {
      g_assert_false (relay.remains.ran);
      g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    }
  g_thread_join (thread);
}

/* The descriptors go when the context's thread next comes by, since they are that thread's. */
static void
test_context_ends_elsewhere (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  guint n_fds;

  end_context_elsewhere (NULL);
  n_fds = test_count_fds ();
  g_test_expect_message ("dillipc", G_LOG_LEVEL_WARNING, "*GMainContext has ended*");
  g_test_expect_message ("dillipc", G_LOG_LEVEL_WARNING, "*thread has ended*"); /* the bundle, at home nowhere */
  end_context_elsewhere (test->path);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

/* --- pthread_exit () --- */

static void
exit_thread (void *data)
{
  Remains *remains = data;

  g_assert_no_errno (dill_yield ());
  remains->n_exits++;
  pthread_exit (NULL);
}

static void *
exit_in_coroutine (void *data)
{
  Remains *remains = data;

  test_assert_ok (dill_spawn (never_go_on, remains));
  test_assert_ok (dill_spawn (exit_thread, remains));
  dill_msleep (-1);
  remains->ran = TRUE;
  return NULL;
}

static int
exit_and_check (gpointer data)
{
  Remains remains = { .path = data };
  guint n_fds = test_count_fds ();
  pthread_t thread;

  g_test_expect_message ("dillipc", G_LOG_LEVEL_WARNING, "*thread has ended*");
  g_assert_cmpint (pthread_create (&thread, NULL, exit_in_coroutine, &remains), ==, 0);
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (remains.n_exits, ==, 1);
  check_remains (&remains, n_fds);
  return 0;
}

/* In a child, which does not look for leaks at its end: g_main_context_iteration () never returns, and what it holds of
 * the source that it has dispatched stays. */
static void
test_exit_in_coroutine (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (exit_and_check, test->path), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  work (NULL); /* opens what the main thread keeps open: from here on descriptors can be counted */
  g_test_add_func ("/threads/four-threads", test_four_threads);
  g_test_add_func ("/threads/no-context", test_no_context);
  g_test_add_func ("/threads/no-context-and-default-is-idle", test_no_context_and_default_is_idle);
  test_add ("/threads/thread-ends", test_thread_ends);
  test_add ("/threads/thread-ends-before-context", test_thread_ends_before_context);
  g_test_add_func ("/threads/thread-ends-clean", test_thread_ends_clean);
  test_add ("/threads/context-ends", test_context_ends);
  g_test_add_func ("/threads/context-ends-with-member", test_context_ends_with_member);
  g_test_add_func ("/threads/context-ends-while-waited-for", test_context_ends_while_waited_for);
  test_add ("/threads/context-ends-elsewhere", test_context_ends_elsewhere);
  test_add ("/threads/exit-in-coroutine", test_exit_in_coroutine);
  return g_test_run ();
}
