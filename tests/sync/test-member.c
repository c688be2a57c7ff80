/* test-member.c: what a coroutine leaves behind, which is nothing, and what debuggers can see of it.
 *
 * Its stack is used again by the next one, however it ended, and after a burst of them memory goes back to the system.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/thread.h"
#include "coroutine-utils.h"

#include <string.h>

static void
yield_once (void *data)
{
  dill_yield ();
  ++*(guint *) data;
}

static void
return_at_once (void *data)
{
  ++*(guint *) data;
}

/* --- Stacks --- */

/* How many stacks are in use, once those are seen to that have just ended. */
static size_t
count_stacks (void)
{
  struct dill_thread *thread = dill_thread_get ();

  dill_thread_reap (thread);
  return thread->stacks.n_stacks - thread->stacks.n_free;
}

static void
spawn_and_close (DillFunc func, guint *n_ended)
{
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (func, n_ended))));
}

static void
spawn_and_wait (DillFunc func, guint *n_ended)
{
  int h = test_assert_ok (dill_spawn (func, n_ended));

  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
}

static void
bundle_and_close (DillFunc func, guint *n_ended)
{
  int b = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_spawn (b, func, n_ended));
  g_assert_no_errno (dill_hclose (b));
}

static void
bundle_and_wait (DillFunc func, guint *n_ended)
{
  int b = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_spawn (b, func, n_ended));
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_no_errno (dill_hclose (b));
}

static void
test_stacks_come_back (void)
{
  static const struct
  {
    void (*end) (DillFunc func, guint *n_ended);
    DillFunc func;
  } ways[] = {
    { spawn_and_close, sleep_for_ever },  { spawn_and_close, return_at_once }, { spawn_and_wait, yield_once },
    { spawn_and_wait, return_at_once },   { bundle_and_close, sleep_for_ever }, { bundle_and_close, return_at_once },
    { bundle_and_wait, yield_once },      { bundle_and_wait, return_at_once },
  };
  size_t n_before = count_stacks ();

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      guint n_ended = 0;

      for (guint n = 1; n <= 20; n++)
        {
          ways[i].end (ways[i].func, &n_ended);
          g_assert_cmpuint (n_ended, ==, n);
          g_assert_cmpuint (count_stacks (), ==, n_before);
        }
    }
}

static dill_coroutine void
end_at_once (guint *n_ended)
{
  ++*n_ended;
}

/* Ends before anybody has seen to what the children have left behind. */
static dill_coroutine void
end_after_children (int b, guint *n_ended)
{
  for (guint i = 0; i < 3; i++)
    g_assert_no_errno (dill_bundle_go (b, end_at_once (n_ended)));
  ++*n_ended;
}

static void
test_stacks_of_children (void)
{
  size_t n_before = count_stacks ();
  guint n_ended = 0;
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 20; i++)
    g_assert_no_errno (dill_bundle_go (b, end_after_children (b, &n_ended)));
  g_assert_cmpuint (n_ended, ==, 80);
  g_assert_cmpuint (count_stacks (), ==, n_before);
  g_assert_no_errno (dill_hclose (b));
}

/* Those of a context's coroutines come back when it ends. */
static void
test_stacks_of_context (void)
{
  GMainContext *context = g_main_context_new ();
  size_t n_before = count_stacks ();
  guint n_ended = 0;
  int b = test_assert_ok (dill_bundle ());

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < 5; i++)
    {
      test_assert_ok (dill_spawn (sleep_for_ever, &n_ended));
      g_assert_no_errno (dill_bundle_spawn (b, sleep_for_ever, &n_ended));
    }
  g_main_context_pop_thread_default (context);
  g_assert_cmpuint (count_stacks (), ==, n_before + 10);
  test_expect_log (G_LOG_LEVEL_WARNING, "*GMainContext has ended*", g_main_context_unref (context));
  g_assert_cmpuint (count_stacks (), ==, n_before);
  g_assert_cmpuint (n_ended, ==, 0);
  g_assert_no_errno (dill_hclose (b));
}

/* All but the pages of a few dozen, after a turn of the main loop, or without one. */
static void
test_memory_goes_back (void)
{
  struct dill_thread *thread = dill_thread_get ();

  for (guint by_closing = 0; by_closing < 2; by_closing++)
    {
      guint n_ended = 0;
      int b = test_assert_ok (dill_bundle ());

      for (guint i = 0; i < 3000; i++)
        g_assert_no_errno (dill_bundle_spawn (b, by_closing ? sleep_for_ever : yield_once, &n_ended));
      g_assert_cmpuint (count_stacks (), >=, 3000);
      if (!by_closing)
        {
          g_assert_no_errno (dill_bundle_wait (b, soon ()));
          g_assert_no_errno (dill_msleep (dill_now () + 10));
        }
      g_assert_no_errno (dill_hclose (b));
      g_assert_cmpuint (n_ended, ==, 3000);
      g_assert_cmpuint (thread->stacks.n_dirty, <=, 64);
    }
}

/* --- Names --- */

static const char *
current_name (void)
{
  return dill_thread_get ()->current->name;
}

static dill_coroutine void
use_names (const char *name)
{
  char copy[] = "a copy";

  g_assert_cmpstr (current_name (), ==, "");
  dill_set_name (copy);
  memset (copy, 'x', sizeof copy - 1);
  g_assert_cmpstr (current_name (), ==, "a copy");
  dill_set_name ("a name of more than thirty-one bytes, which is cut");
  g_assert_cmpstr (current_name (), ==, "a name of more than thirty-one ");
  dill_set_name ("short");
  g_assert_cmpstr (current_name (), ==, "short");
  for (guint i = strlen ("short"); i < sizeof ((struct dill_flow *) NULL)->name; i++)
    g_assert_cmpint (current_name ()[i], ==, '\0');
  dill_set_name (NULL);
  g_assert_cmpstr (current_name (), ==, "");

  /* It is this coroutine's alone. */
  dill_set_name (name);
  g_assert_no_errno (dill_yield ());
  g_assert_cmpstr (current_name (), ==, name);
}

static gpointer
set_name_first (gpointer data)
{
  dill_set_name ("a thread that does not use the library");
  g_assert_null (dill_thread_self);
  return data;
}

static void
test_names (void)
{
  int b = test_assert_ok (dill_bundle ());

  /* The second time on the same stacks. */
  for (guint i = 0; i < 2; i++)
    {
      g_assert_no_errno (dill_bundle_go (b, use_names ("one")));
      g_assert_no_errno (dill_bundle_go (b, use_names ("other")));
      g_assert_no_errno (dill_bundle_wait (b, soon ()));
    }
  dill_set_name ("not a coroutine");
  g_assert_cmpstr (current_name (), ==, "");
  g_assert_no_errno (dill_hclose (b));
  g_thread_join (g_thread_new ("first", set_name_first, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/member/stacks-come-back", test_stacks_come_back);
  g_test_add_func ("/member/stacks-of-children", test_stacks_of_children);
  g_test_add_func ("/member/stacks-of-context", test_stacks_of_context);
  g_test_add_func ("/member/memory-goes-back", test_memory_goes_back);
  g_test_add_func ("/member/names", test_names);
  return g_test_run ();
}
