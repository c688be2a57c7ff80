/* test-engine-threads.c: a context that two threads have to do with.
 *
 * One that another thread is running cannot be waited under.  A thread that iterates the context of another runs none
 * of its coroutines, and is neither kept awake by its descriptors nor left with them.  A context and its thread can end
 * at the same time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/poller.h"
#include "coroutine-utils.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* --- Contexts of other threads --- */

typedef struct
{
  GMainContext *context;
  TestStep step;
} Owner;

static gpointer
own_context (gpointer data)
{
  Owner *owner = data;

  g_assert_true (g_main_context_acquire (owner->context));
  test_step_reach (&owner->step, 1);
  test_step_await (&owner->step, 2);
  g_main_context_release (owner->context);
  test_step_reach (&owner->step, 3);
  return NULL;
}

/* GLib pushes a context only for its owner, so the wait has to run under the global default one. */
static void
test_owned_by_another (void)
{
  Owner owner = { .context = g_main_context_default (), .step = TEST_STEP_INIT };
  GThread *thread = g_thread_new ("owner", own_context, &owner);

  test_step_await (&owner.step, 1);
  test_expect_critical ("*another one is running*", test_assert_errno (dill_msleep (soon ()), ENOTSUP));
  test_expect_critical ("*another one is running*", test_assert_errno (dill_yield (), ENOTSUP));
  test_step_reach (&owner.step, 2);
  test_step_await (&owner.step, 3);
  g_thread_join (thread);
  g_assert_no_errno (dill_msleep (dill_now () + 1));
}

static void
sleep_and_note (void *data)
{
  g_assert_no_errno (dill_msleep (dill_now () + 1));
  *(GThread **) data = g_thread_self ();
}

/* Another thread that iterates the context does not run this thread's coroutines. */
static gpointer
iterate (gpointer data)
{
  for (guint i = 0; i < 20; i++)
    g_main_context_iteration (data, FALSE);
  return NULL;
}

static void
test_iterated_by_another (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  GThread *ran_in = NULL;
  int h;

  g_main_context_push_thread_default (context);
  h = test_assert_ok (dill_spawn (sleep_and_note, &ran_in));
  while (ran_in != NULL) /* the time was over before it could wait */
    {
      g_assert_no_errno (dill_hclose (h));
      ran_in = NULL;
      h = test_assert_ok (dill_spawn (sleep_and_note, &ran_in));
    }
  g_main_context_pop_thread_default (context);
  g_assert_no_errno (dill_msleep (dill_now () + 3));

  g_thread_join (g_thread_new ("iterator", iterate, context));
  g_assert_null (ran_in);
  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_main_context_pop_thread_default (context);
  g_assert_true (ran_in == g_thread_self ());
  g_assert_no_errno (dill_hclose (h));
}

/* --- What is ready for this thread does not keep another from sleeping --- */

#define SLEEP_MS 100
#define N_ITERATIONS_MAX 20

static dill_coroutine void
wait_for_byte (int fd)
{
  char byte;

  g_assert_no_errno (dill_fdin (fd, soon ()));
  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
}

static gboolean
note_time (gpointer is_over)
{
  *(gboolean *) is_over = TRUE;
  return G_SOURCE_REMOVE;
}

/* Iterates CONTEXT for a while; returns how often. */
static gpointer
count_iterations (gpointer context)
{
  GSource *timer = g_timeout_source_new (SLEEP_MS);
  gboolean is_over = FALSE;
  gsize n = 0;

  g_source_set_callback (timer, note_time, &is_over, NULL);
  g_source_attach (timer, context);
  g_source_unref (timer);
  while (!is_over)
    {
      g_main_context_iteration (context, TRUE);
      n++;
    }
  return GSIZE_TO_POINTER (n);
}

static int
iterate_in_child (gpointer context)
{
  return GPOINTER_TO_SIZE (count_iterations (context)) <= N_ITERATIONS_MAX ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
test_sleeps_nevertheless (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  int fds[2], h;

  if (!dill_poller_reports_edges)
    {
      g_test_skip ("-Dpoller=glib: the other thread goes on polling");
      return;
    }

  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  g_main_context_push_thread_default (context);
  h = test_assert_ok (dill_go (wait_for_byte (fds[0])));
  g_assert_no_errno (dill_yield ()); /* the descriptor is polled from now on */
  g_main_context_pop_thread_default (context);
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);

  g_assert_cmpuint (GPOINTER_TO_SIZE (g_thread_join (g_thread_new ("iterator", count_iterations, context))), <=,
                    N_ITERATIONS_MAX);
  g_assert_cmpint (test_child_wait (test_child_start (iterate_in_child, context)), ==, EXIT_SUCCESS);

  /* It still keeps this thread from sleeping. */
  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  g_main_context_pop_thread_default (context);
  close (fds[0]);
  close (fds[1]);
}

static int waited_for;
static gboolean is_polled;

static gint
note_and_poll (GPollFD *fds, guint n_fds, gint timeout)
{
  is_polled = FALSE;
  for (guint i = 0; i < n_fds; i++)
    is_polled |= fds[i].fd == waited_for;
  return g_poll (fds, n_fds, timeout);
}

/* Nor is it left with a descriptor that nobody waits for, which may keep it busy for ever. */
static void
test_left_to_another (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  int fds[2], h;

  g_assert_no_errno (pipe (fds));
  waited_for = fds[0];
  g_main_context_set_poll_func (context, note_and_poll);
  g_main_context_push_thread_default (context);
  h = test_assert_ok (dill_spawn (poll_for_ever, &fds[0]));
  g_main_context_iteration (context, FALSE);
  g_assert_true (is_polled == !dill_poller_reports_edges);
  g_main_context_pop_thread_default (context);

  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_fdclean (fds[0]));
  close (fds[0]);
  close (fds[1]);
  g_thread_join (g_thread_new ("iterator", iterate, context));
  g_assert_false (is_polled);
}

/* --- A race for the end --- */

typedef struct
{
  GMainContext *context;
  int is_ending; /* atomic */
} Racer;

static gpointer
use_and_end (gpointer data)
{
  Racer *racer = data;

  use_context (racer->context);
  g_main_context_unref (racer->context);
  g_atomic_int_set (&racer->is_ending, 1);
  return NULL;
}

/* The thread and its context end at the same time; whichever is first.  Neither may touch what the other has freed, nor
 * wait for it. */
static void
test_thread_and_context_end (void)
{
  for (guint i = 0; i < 600; i++)
    {
      GMainContext *context = g_main_context_new ();
      Racer racer = { .context = g_main_context_ref (context) };
      GThread *thread = g_thread_new ("racer", use_and_end, &racer);

      while (!g_atomic_int_get (&racer.is_ending))
        g_thread_yield ();
      for (guint j = 0; j < i % 100 * 10; j++)
        g_atomic_int_get (&racer.is_ending);
      g_main_context_unref (context);
      test_thread_join (thread);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/engine-threads/owned-by-another", test_owned_by_another);
  g_test_add_func ("/engine-threads/iterated-by-another", test_iterated_by_another);
  g_test_add_func ("/engine-threads/sleeps-nevertheless", test_sleeps_nevertheless);
  g_test_add_func ("/engine-threads/left-to-another", test_left_to_another);
  g_test_add_func ("/engine-threads/thread-and-context-end", test_thread_and_context_end);
  return g_test_run ();
}
