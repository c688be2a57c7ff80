/* test-engine.c: one engine for each thread and GMainContext, and which one a wait belongs to.
 *
 * An engine is made at the first wait, found again at the next one, and gone with its context.  It adds one source
 * there, whose priority is the program's to choose.  What other threads do with a context is in test-engine-threads.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/engine.h"
#include "engine/thread.h"
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
      g_assert_no_errno (dill_bundle_spawn (b, poll_for_ever, &pipes[i][0]));
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
  g_test_add_func ("/engine/priority", test_priority);
  return g_test_run ();
}
