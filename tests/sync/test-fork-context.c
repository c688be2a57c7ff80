/* test-fork-context.c: under which main context a forked child may wait.
 *
 * A wait under an inherited GMainContext would steal the parent's events: it is ENOTSUP and a g_critical (), also for a
 * child that was forked in a coroutine.  What does not wait works.  Under a context of its own the child starts afresh,
 * also if it was forked by another thread or by a child.  The parent notices none of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fd-utils.h"
#include "fork-utils.h"

#include <unistd.h>

/* --- The parent's context --- */

static int
wait_under_inherited (gpointer data G_GNUC_UNUSED)
{
  static char stack[65536];
  int fds[2], full[2];

  g_assert_no_errno (pipe (fds));
  g_assert_no_errno (pipe (full));
  fill (full[1]);
  test_expect_critical ("*forked child*", test_assert_errno (dill_msleep (soon ()), ENOTSUP));
  test_expect_critical ("*forked child*", test_assert_errno (dill_yield (), ENOTSUP));
  test_expect_critical ("*forked child*", test_assert_errno (dill_fdin (fds[0], soon ()), ENOTSUP));
  test_expect_critical ("*forked child*", test_assert_errno (dill_fdout (full[1], soon ()), ENOTSUP));
  test_expect_critical ("*forked child*", test_assert_errno (dill_spawn (sleep_for_ever, NULL), ENOTSUP));
  test_expect_critical ("*forked child*", test_assert_errno (dill_go (sleep_for_ever (NULL)), ENOTSUP));
  test_expect_critical ("*forked child*",
                        test_assert_errno (dill_go_mem (sleep_for_ever (NULL), stack, sizeof stack), ENOTSUP));

  /* What does not wait still works. */
  g_assert_no_errno (dill_msleep (0));
  test_assert_errno (dill_fdin (fds[0], 0), ETIMEDOUT);
  g_assert_no_errno (dill_fdout (fds[1], soon ()));
  return 0;
}

/* --- A context of its own --- */

static void
accept_one (void *data)
{
  int ls = GPOINTER_TO_INT (data);
  int s = test_assert_ok (dill_ipc_accept (ls, soon ()));

  g_assert_no_errno (dill_bsend (s, "hello", 5, soon ()));
  g_assert_no_errno (dill_ipc_close (s, soon ()));
}

static int
start_afresh (gpointer data)
{
  Inheritance *all = data;
  g_autofree char *path = g_strconcat (all->dir.path, "-child", NULL);
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n_wake_ups = 0;
  char buffer[5];
  int ls, h, s;

  g_main_context_push_thread_default (context);
  h = test_assert_ok (dill_spawn (sleep_and_count, &n_wake_ups));
  for (guint i = 0; i < 2; i++)
    g_assert_cmpint (h, !=, all->pair[i]);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpuint (n_wake_ups, ==, 5);
  g_assert_no_errno (dill_hclose (h));

  ls = test_assert_ok (dill_ipc_listen (path, 10));
  h = test_assert_ok (dill_spawn (accept_one, GINT_TO_POINTER (ls)));
  s = test_assert_ok (dill_ipc_connect (path, soon ()));
  g_assert_no_errno (dill_brecv (s, buffer, 5, soon ()));
  g_assert_cmpmem (buffer, 5, "hello", 5);
  g_assert_no_errno (dill_ipc_close (s, soon ()));
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (ls));
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));

  /* A child's child, too. */
  g_assert_cmpint (test_in_child (use_inherited, all), ==, 0);
  g_main_context_pop_thread_default (context);
  return 0;
}

/* One who has never used the library before has inherited nothing of it. */
static int
start_first (gpointer data)
{
  Inheritance *all = data;

  return start_afresh (all) + test_in_child (start_afresh, all);
}

static gpointer
fork_in_thread (gpointer data)
{
  g_assert_cmpint (test_in_child (start_first, data), ==, 0);
  return NULL;
}

static void
test_from_another_thread (Inheritance *all, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_null (g_thread_join (g_thread_new ("forker", fork_in_thread, all)));
}

/* --- Forking in a coroutine --- */

static void
fork_in_coroutine (void *data)
{
  Inheritance *all = data;

  g_assert_no_errno (dill_yield ());
  g_assert_cmpint (test_in_child (use_inherited, all), ==, 0);
  g_assert_cmpint (test_in_child (close_inherited, all), ==, 0);
  g_assert_cmpint (test_in_child (wait_under_inherited, all), ==, 0);
}

static void
test_in_coroutine (Inheritance *all, gconstpointer data G_GNUC_UNUSED)
{
  int h = test_assert_ok (dill_spawn (fork_in_coroutine, all));

  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_in_child ("/fork-context/inherited", wait_under_inherited);
  add_in_child ("/fork-context/own", start_afresh);
  add_in_parent ("/fork-context/from-another-thread", test_from_another_thread);
  add_in_parent ("/fork-context/in-coroutine", test_in_coroutine);
  return g_test_run ();
}
