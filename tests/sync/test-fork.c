/* test-fork.c: what a forked child may do with what it has inherited, and what it has not.
 *
 * Inherited handles can be closed, which the parent does not notice, and are EBADF for anything else.  A child whose
 * thread ends clears away nothing of the parent's, and none waits for a lock that a thread of its parent held.  A
 * program that is executed inherits nothing.  Under which main context a child may wait is in test-fork-context.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fork-utils.h"

#include <fcntl.h>
#include <pthread.h>

/* --- Inherited handles --- */

/* The child has given its descriptors back. */
static int
count_after_closing (gpointer data)
{
  guint n_fds = test_count_fds ();

  close_inherited (data);
  g_assert_cmpuint (test_count_fds (), <=, n_fds - 3);
  return 0;
}

/* The peer of a connection notices its end when parent and child have closed it, not before. */
static void
test_peer (Inheritance *all, gconstpointer data G_GNUC_UNUSED)
{
  char byte;

  g_assert_cmpint (test_in_child (close_inherited, all), ==, 0);
  test_assert_errno (dill_brecv_some (all->pair[0], &byte, 1, dill_now () + 5), ETIMEDOUT);
}

/* --- Ends --- */

/* What its one thread leaves behind is its parent's: there is no word about it, and nothing is cleared away. */
static int
exit_thread (gpointer data G_GNUC_UNUSED)
{
  pthread_exit (NULL);
}

static void
test_thread_exits (Inheritance *all, gconstpointer data G_GNUC_UNUSED)
{
  static const TestChildFunc child = exit_thread;

  if (!test_skip_under (TEST_UNDER_ASAN, "the search for leaks does not look at the stack of a thread that has ended"))
    test_child (all, &child);
}

/* --- Other threads --- */

static int
make_handle (gpointer data G_GNUC_UNUSED)
{
  int b = dill_bundle ();

  return b > 0 && dill_hclose (b) == 0 ? 0 : 1;
}

static gpointer
make_handles (gpointer data)
{
  gint *stop = data;

  while (!g_atomic_int_get (stop))
    g_assert_cmpint (make_handle (NULL), ==, 0);
  return NULL;
}

static gpointer
make_handle_in_thread (gpointer data)
{
  return GINT_TO_POINTER (make_handle (data));
}

/* Each of them takes a block of handles and gives it back. */
static gpointer
start_threads (gpointer data)
{
  gint *stop = data;

  while (!g_atomic_int_get (stop))
    g_assert_null (g_thread_join (g_thread_new ("short", make_handle_in_thread, NULL)));
  return NULL;
}

/* No child ever waits for a lock that a thread of its parent holds. */
static void
test_locks (void)
{
  gint stop = 0;
  GThread *threads[2];

  threads[0] = g_thread_new ("handles", make_handles, &stop);
  threads[1] = g_thread_new ("threads", start_threads, &stop);
  for (guint i = 0; i < 50; i++)
    g_assert_cmpint (test_in_child (make_handle, NULL), ==, 0);
  g_atomic_int_set (&stop, 1);
  for (guint i = 0; i < 2; i++)
    g_thread_join (threads[i]);
}

/* --- exec --- */

static void
test_close_on_exec (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  GHashTable *before = g_hash_table_new (NULL, NULL);
  Inheritance all = { .dir = *test };
  guint n_new = 0;

  for (int fd = 0; fd < 1000; fd++)
    if (fcntl (fd, F_GETFD) >= 0)
      g_hash_table_add (before, GINT_TO_POINTER (fd));

  inheritance_open (&all);
  for (int fd = 0; fd < 1000; fd++)
    {
      int flags = fcntl (fd, F_GETFD);

      if (flags < 0 || g_hash_table_contains (before, GINT_TO_POINTER (fd)))
        continue;
      g_assert_cmpint (flags & FD_CLOEXEC, ==, FD_CLOEXEC);
      n_new++;
    }
  g_assert_cmpuint (n_new, >=, 4);
  inheritance_close (&all);
  g_hash_table_unref (before);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/fork/close-on-exec", test_close_on_exec);
  add_in_child ("/fork/use", use_inherited);
  add_in_child ("/fork/close", close_inherited);
  add_in_child ("/fork/descriptors-are-closed", count_after_closing);
  add_in_parent ("/fork/peer", test_peer);
  add_in_parent ("/fork/thread-exits", test_thread_exits);
  g_test_add_func ("/fork/locks", test_locks);
  return g_test_run ();
}
