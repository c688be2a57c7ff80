/* test-source-contexts.c: a source that belongs to another context than its handle, one that another thread runs
 * included.
 *
 * Guarantees: the callback runs where the context is iterated; in another thread the handle is nobody's (EBADF);
 * handle and context may end in any order; the handle's thread may close the handle at any time, and the other
 * finalize the source at the same, without either touching what is gone.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "source-utils.h"

static void
test_other_context (TestDir *test, gconstpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Account account = ACCOUNT_INIT;
  g_autoptr (GSource) source = NULL;
  Subject subject;

  subject_init (&subject, test, data != NULL);
  source = account_attach (subject_source (&subject), &account, context);
  subject_make_ready (&subject);
  iterate_some (NULL);
  g_assert_cmpuint (account.n_calls, ==, 0);
  g_main_context_iteration (context, TRUE);
  g_assert_cmpuint (account.n_calls, ==, 1);

  test_assert_ok (dill_hclose (subject.s));
  g_assert_true (g_source_is_destroyed (source));
  take_number (subject.fd);
  g_assert_false (is_polled (context, subject.fd));
  g_assert_cmpuint (account.n_calls, ==, 1);
  close (subject.fd);
  subject_clear (&subject);
}

/* The context goes before the handle: with it the source, and nothing else. */
static void
test_other_context_ends (TestDir *test, gconstpointer data)
{
  GMainContext *context = g_main_context_new ();
  Account account = ACCOUNT_INIT;
  GSource *source;
  Subject subject;

  subject_init (&subject, test, data != NULL);
  source = account_attach (subject_source (&subject), &account, context);
  g_source_unref (source);
  g_main_context_unref (context);
  g_assert_cmpuint (account.n_destroyed, ==, 1);

  subject_make_ready (&subject);
  test_assert_ok (accept_or_receive (subject.s));
  test_assert_ok (dill_hclose (subject.s));
  subject_clear (&subject);
}

/* A thread that does nothing but run the loop of its context. */
typedef struct
{
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;
} Runner;

static gpointer
run (gpointer data)
{
  Runner *runner = data;

  g_main_context_push_thread_default (runner->context);
  g_main_loop_run (runner->loop);
  g_main_context_pop_thread_default (runner->context);
  return NULL;
}

static void
runner_start (Runner *runner)
{
  runner->context = g_main_context_new ();
  runner->loop = g_main_loop_new (runner->context, FALSE);
  runner->thread = g_thread_new ("runner", run, runner);
}

static gboolean
quit (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

/* By a source, since the loop may not have begun yet. */
static void
runner_stop (Runner *runner)
{
  g_main_context_invoke_full (runner->context, G_PRIORITY_HIGH, quit, g_main_loop_ref (runner->loop),
                              (GDestroyNotify) g_main_loop_unref);
  test_thread_join (runner->thread);
  g_main_loop_unref (runner->loop);
  g_main_context_unref (runner->context);
}

/* What the callback in the other thread tells the thread of the handle, whose loop it wakes. */
typedef struct
{
  GThread *thread;
  int s;
  GIOCondition ready;
  int error; /* of using the handle there */
  gint n_calls;
  gint n_destroyed;
} Note;

static gboolean
note_call (int s, GIOCondition ready, gpointer user_data)
{
  Note *note = user_data;
  char byte;

  note->thread = g_thread_self ();
  note->s = s;
  note->ready = ready;
  note->error = dill_brecv_some (s, &byte, 1, 0) < 0 ? errno : 0;
  g_atomic_int_inc (&note->n_calls);
  g_main_context_wakeup (NULL);
  return G_SOURCE_REMOVE;
}

static void
note_destroyed (gpointer user_data)
{
  g_atomic_int_inc (&((Note *) user_data)->n_destroyed);
  g_main_context_wakeup (NULL);
}

static GSource *
attach (Subject *subject, Note *note, GMainContext *context)
{
  GSource *source = subject_source (subject);

  g_assert_nonnull (source);
  g_source_set_callback (source, G_SOURCE_FUNC (note_call), note, note_destroyed);
  g_source_attach (source, context);
  return source;
}

static void
test_calls_back_there (TestDir *test, gconstpointer data)
{
  Note note = { .n_calls = 0 };
  GSource *source;
  Subject subject;
  Runner runner;

  runner_start (&runner);
  subject_init (&subject, test, data != NULL);
  source = attach (&subject, &note, runner.context);
  subject_make_ready (&subject);
  test_iterate_until (g_atomic_int_get (&note.n_destroyed) == 1);
  g_assert_cmpint (note.n_calls, ==, 1);
  g_assert_true (note.thread == runner.thread);
  g_assert_cmpint (note.s, ==, subject.s);
  g_assert_cmpint (note.ready, ==, G_IO_IN);
  g_assert_cmpint (note.error, ==, EBADF);

  g_source_unref (source);
  test_assert_ok (dill_hclose (subject.s));
  runner_stop (&runner);
  subject_clear (&subject);
}

/* The loop sleeps in poll (2) on the descriptor that is closed here. */
static void
test_closed_here (TestDir *test, gconstpointer data)
{
  Note note = { .n_calls = 0 };
  g_autoptr (GSource) source = NULL;
  Subject subject;
  Runner runner;

  runner_start (&runner);
  subject_init (&subject, test, data != NULL);
  source = attach (&subject, &note, runner.context);
  test_assert_ok (dill_hclose (subject.s));
  g_assert_true (g_source_is_destroyed (source));
  test_iterate_until (g_atomic_int_get (&note.n_destroyed) == 1);
  runner_stop (&runner);
  g_assert_cmpint (note.n_calls, ==, 0);
  subject_clear (&subject);
}

/* Closing here races with the callback, and with the end that it brings about, there. */
static void
test_race_with_callback (TestDir *test, gconstpointer data)
{
  enum
  {
    N_ROUNDS = 300
  };
  Note note = { .n_calls = 0 };
  Runner runner;

  runner_start (&runner);
  for (guint i = 0; i < N_ROUNDS; i++)
    {
      Subject subject;

      subject_init (&subject, test, data != NULL);
      for (guint k = 0; k < 3; k++)
        g_source_unref (attach (&subject, &note, runner.context));
      subject_make_ready (&subject);
      for (guint k = 0; k < i % 8; k++)
        g_thread_yield ();
      test_assert_ok (dill_hclose (subject.s));
      subject_clear (&subject);
      unlink (test->path);
    }
  test_iterate_until (g_atomic_int_get (&note.n_destroyed) == 3 * N_ROUNDS);
  runner_stop (&runner);
}

/* Sources of one handle that a thread is to drop, and how far it has come. */
typedef struct
{
  GSource *sources[64];
  gint n_dropped;
} Heap;

static gpointer
drop_all (gpointer data)
{
  Heap *heap = data;

  for (guint i = 0; i < G_N_ELEMENTS (heap->sources); i++)
    {
      g_source_unref (heap->sources[i]);
      g_atomic_int_inc (&heap->n_dropped);
    }
  return NULL;
}

/* The other thread drops the last references, one after the other, while the handle is closed here, or gets more. */
static void
test_race_with_finalization (TestDir *test, gconstpointer data)
{
  enum
  {
    N_ROUNDS = 500
  };
  Note note = { .n_calls = 0 };

  for (gint i = 0; i < N_ROUNDS; i++)
    {
      Heap heap = { .n_dropped = 0 };
      GThread *thread;
      Subject subject;

      subject_init (&subject, test, data != NULL);
      for (guint k = 0; k < G_N_ELEMENTS (heap.sources); k++)
        {
          heap.sources[k] = subject_source (&subject);
          g_source_set_callback (heap.sources[k], G_SOURCE_FUNC (note_call), &note, note_destroyed);
        }
      thread = g_thread_new ("dropper", drop_all, &heap);
      while (g_atomic_int_get (&heap.n_dropped) < i % 32)
        g_source_unref (subject_source (&subject));
      test_assert_ok (dill_hclose (subject.s));
      test_thread_join (thread);
      g_assert_cmpint (note.n_destroyed, ==, (i + 1) * (gint) G_N_ELEMENTS (heap.sources));
      subject_clear (&subject);
      unlink (test->path);
    }
  g_assert_cmpint (note.n_calls, ==, 0);
}

/* The other thread looks for what was read ahead while this one receives and closes. */
static void
test_race_with_buffer (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  enum
  {
    N_ROUNDS = 500
  };
  Note note = { .n_calls = 0 };
  Runner runner;

  runner_start (&runner);
  for (guint i = 0; i < N_ROUNDS; i++)
    {
      Subject subject;
      char byte;

      subject_init (&subject, test, FALSE);
      g_assert_cmpint (write (subject.peer, "abc", 3), ==, 3);
      test_assert_ok (dill_brecv (subject.s, &byte, 1, 0));
      g_source_unref (attach (&subject, &note, runner.context));
      test_assert_ok (dill_brecv (subject.s, &byte, 1, 0));
      if (i % 2 == 0)
        test_assert_ok (dill_brecv (subject.s, &byte, 1, 0));
      test_assert_ok (dill_hclose (subject.s));
      subject_clear (&subject);
    }
  test_iterate_until (g_atomic_int_get (&note.n_destroyed) == N_ROUNDS);
  runner_stop (&runner);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  add_both ("/glib/source-contexts/other-context", test_other_context);
  add_both ("/glib/source-contexts/context-ends-first", test_other_context_ends);
  add_both ("/glib/source-contexts/calls-back-there", test_calls_back_there);
  add_both ("/glib/source-contexts/closed-here", test_closed_here);
  add_both ("/glib/source-contexts/race/callback", test_race_with_callback);
  add_both ("/glib/source-contexts/race/finalization", test_race_with_finalization);
  test_add ("/glib/source-contexts/race/buffer", test_race_with_buffer);

  return g_test_run ();
}
