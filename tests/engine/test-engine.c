/* test-engine.c: one engine for each thread and GMainContext, and which one a wait belongs to.
 *
 * An engine is made at the first wait, found again at the next one, and gone with its context.  A context that another
 * thread runs is not iterated; its priority is the program's to choose.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/engine.h"
#include "engine/thread.h"
#include "engine/wait.h"
#include "coroutine-utils.h"

#include <dillipc/dill-glib.h>
#include <unistd.h>

static struct dill_engine *
current_engine (void)
{
  struct dill_engine *engine = dill_engine_get (dill_thread_get ());

  g_assert_nonnull (engine);
  return engine;
}

static guint
count_engines (void)
{
  struct dill_thread *thread = dill_thread_get ();
  guint n_engines = 0;

  for (struct dill_list *link = thread->engines.next; link != &thread->engines; link = link->next)
    n_engines++;
  return n_engines;
}

/* --- Which one --- */

static void
test_of_context (void)
{
  GMainContext *contexts[2] = { g_main_context_new (), g_main_context_new () };
  struct dill_engine *of_default = current_engine ();
  struct dill_engine *engines[2];

  g_assert_true (of_default->context == g_main_context_default ());
  for (guint i = 0; i < 2; i++)
    {
      g_main_context_push_thread_default (contexts[i]);
      engines[i] = current_engine ();
      g_assert_true (engines[i]->context == contexts[i]);
      g_assert_true (current_engine () == engines[i]);
      g_main_context_pop_thread_default (contexts[i]);
    }
  g_assert_true (engines[0] != engines[1]);
  g_assert_true (current_engine () == of_default);

  g_main_context_push_thread_default (contexts[0]);
  g_assert_true (current_engine () == engines[0]);
  g_main_context_pop_thread_default (contexts[0]);
  for (guint i = 0; i < 2; i++)
    g_main_context_unref (contexts[i]);
}

typedef struct
{
  GMainContext *context;
  struct dill_engine *first;
  struct dill_engine *second;
} Homes;

static void
look_twice (void *data)
{
  Homes *homes = data;

  homes->first = current_engine ();
  g_main_context_push_thread_default (homes->context);
  homes->second = current_engine ();
  g_main_context_pop_thread_default (homes->context);
}

/* A coroutine's is the one it was started in. */
static void
test_of_coroutine (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Homes homes = { .context = context };
  int h = test_assert_ok (dill_spawn (look_twice, &homes));

  g_assert_no_errno (dill_hclose (h));
  g_assert_true (homes.first == current_engine ());
  g_assert_true (homes.second == homes.first);
}

/* --- What it puts into its context --- */

static void
test_source (void)
{
  GSource *source = current_engine ()->source;

  g_assert_true (g_str_has_prefix (g_source_get_name (source), "[dillipc] "));
  g_assert_true (g_source_get_can_recurse (source));
  g_assert_cmpint (g_source_get_priority (source), ==, G_PRIORITY_DEFAULT);
  g_assert_true (g_source_get_context (source) == g_main_context_default ());
}

static void
wait_for_fd (void *data)
{
  test_assert_errno (dill_fdin (*(int *) data, -1), ECANCELED);
}

static gint
count_polled (GMainContext *context)
{
  GPollFD fds[100];
  int timeout, priority;
  gint n;

  g_assert_true (g_main_context_acquire (context));
  g_main_context_prepare (context, &priority);
  n = g_main_context_query (context, priority, &timeout, fds, G_N_ELEMENTS (fds));
  g_main_context_release (context);
  return n;
}

/* With epoll the context polls one descriptor more, however many are waited for. */
static void
test_polled_descriptors (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  int pipes[20][2];
  gint n_before;
  int b;

  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_yield ());
  n_before = count_polled (context);
  b = test_assert_ok (dill_bundle ());
  for (guint i = 0; i < G_N_ELEMENTS (pipes); i++)
    {
      g_assert_no_errno (pipe (pipes[i]));
      g_assert_no_errno (dill_bundle_spawn (b, wait_for_fd, &pipes[i][0]));
    }
  g_assert_cmpint (count_polled (context), ==,
                   n_before + (dill_poller_reports_edges ? 1 : (gint) G_N_ELEMENTS (pipes)));
  g_assert_no_errno (dill_hclose (b));
  for (guint i = 0; i < G_N_ELEMENTS (pipes); i++)
    for (guint j = 0; j < 2; j++)
      {
        g_assert_no_errno (dill_fdclean (pipes[i][j]));
        close (pipes[i][j]);
      }
  g_assert_cmpint (count_polled (context), <=, n_before + 1);
  g_main_context_pop_thread_default (context);
}

/* --- Beginning and end --- */

/* Thousands of contexts come and go without a trace. */
static void
test_many_contexts (void)
{
  guint n_engines, n_fds;

  g_assert_no_errno (dill_yield ());
  n_engines = count_engines ();
  n_fds = test_count_fds ();
  for (guint i = 0; i < 1000; i++)
    {
      GMainContext *context = g_main_context_new ();
      int fds[2];

      g_main_context_push_thread_default (context);
      g_assert_no_errno (pipe (fds));
      test_assert_errno (dill_fdin (fds[0], dill_now () + (i % 100 == 0)), ETIMEDOUT);
      g_assert_no_errno (dill_yield ());
      g_assert_cmpuint (count_engines (), ==, n_engines + 1);
      close (fds[0]);
      close (fds[1]);
      g_main_context_pop_thread_default (context);
      g_main_context_unref (context);
      g_assert_cmpuint (count_engines (), ==, n_engines);
    }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

/* A new context at the address of an old one is another one. */
static void
test_same_address (void)
{
  for (guint i = 0; i < 10; i++)
    {
      GMainContext *context = g_main_context_new ();

      g_main_context_push_thread_default (context);
      g_assert_no_errno (dill_msleep (dill_now () + 1));
      g_assert_nonnull (current_engine ()->source);
      g_main_context_pop_thread_default (context);
      g_main_context_unref (context);
    }
}

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

static void
wait_for_reading (void *data)
{
  test_assert_errno (dill_fdin (*(int *) data, -1), ECANCELED);
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
  h = test_assert_ok (dill_spawn (wait_for_reading, &fds[0]));
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

/* --- Priority --- */

static gboolean
write_letter (gpointer data)
{
  GString *log = data;

  g_string_append_c (log, 's');
  return g_str_has_suffix (log->str, "sssss") ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void
yield_and_write (void *data)
{
  g_assert_no_errno (dill_yield ());
  g_string_append_c (data, 'c');
}

/* In whose favour a coroutine and a source of the default priority, both ready, are decided. */
static void
check_priority (int priority, const char *expected)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GString) log = g_string_new (NULL);
  GSource *source = g_idle_source_new ();
  int h;

  g_main_context_push_thread_default (context);
  dill_set_priority (priority);
  g_assert_cmpint (g_source_get_priority (current_engine ()->source), ==, priority);
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, write_letter, log, NULL);
  g_source_attach (source, context);
  g_source_unref (source);

  h = test_assert_ok (dill_spawn (yield_and_write, log));
  while (log->len < 6)
    g_main_context_iteration (context, TRUE);
  g_assert_cmpstr (log->str, ==, expected);
  g_assert_no_errno (dill_hclose (h));
  g_main_context_pop_thread_default (context);
}

static void
test_priority (void)
{
  check_priority (G_PRIORITY_DEFAULT_IDLE, "sssssc");
  check_priority (G_PRIORITY_HIGH, "csssss");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/engine/of-context", test_of_context);
  g_test_add_func ("/engine/of-coroutine", test_of_coroutine);
  g_test_add_func ("/engine/source", test_source);
  g_test_add_func ("/engine/polled-descriptors", test_polled_descriptors);
  g_test_add_func ("/engine/many-contexts", test_many_contexts);
  g_test_add_func ("/engine/same-address", test_same_address);
  g_test_add_func ("/engine/owned-by-another", test_owned_by_another);
  g_test_add_func ("/engine/iterated-by-another", test_iterated_by_another);
  g_test_add_func ("/engine/left-to-another", test_left_to_another);
  g_test_add_func ("/engine/thread-and-context-end", test_thread_and_context_end);
  g_test_add_func ("/engine/priority", test_priority);
  return g_test_run ();
}
