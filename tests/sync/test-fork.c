/* test-fork.c: what a forked child may do with what it has inherited.
 *
 * Inherited handles can be closed, which the parent does not notice, and are EBADF for anything else.  A wait under an
 * inherited GMainContext would steal the parent's events: it is refused.  Under a context of its own the child starts
 * afresh.  A program that is executed inherits nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fd-utils.h"

#include <pthread.h>

/* What a parent may have, all of it in use: each has been waited for. */
typedef struct
{
  TestDir dir;
  int listener;
  int pair[2];
  int coroutine;
  int bundle;
} Inheritance;

static void
inheritance_open (Inheritance *all)
{
  char byte;

  all->listener = test_assert_ok (dill_ipc_listen (all->dir.path, 10));
  g_assert_no_errno (dill_ipc_pair (all->pair));
  all->coroutine = test_assert_ok (dill_spawn (sleep_for_ever, NULL));
  all->bundle = test_assert_ok (dill_bundle ());
  g_assert_no_errno (dill_bundle_spawn (all->bundle, sleep_for_ever, NULL));

  test_assert_errno (dill_ipc_accept (all->listener, dill_now () + 1), ETIMEDOUT);
  for (guint i = 0; i < 2; i++)
    test_assert_errno (dill_brecv_some (all->pair[i], &byte, 1, dill_now () + 1), ETIMEDOUT);
  test_assert_errno (dill_bundle_wait (all->bundle, dill_now () + 1), ETIMEDOUT);
}

/* The parent's events still come, and its coroutines have not been touched. */
static void
inheritance_check (Inheritance *all)
{
  char byte = 'x';
  int client, server;

  g_assert_true (g_file_test (all->dir.path, G_FILE_TEST_EXISTS));
  for (guint i = 0; i < 2; i++)
    {
      test_assert_errno (dill_brecv_some (all->pair[i], &byte, 1, dill_now () + 1), ETIMEDOUT);
      g_assert_no_errno (dill_bsend (all->pair[1 - i], "x", 1, soon ()));
      g_assert_no_errno (dill_brecv (all->pair[i], &byte, 1, soon ()));
    }
  client = test_assert_ok (dill_ipc_connect (all->dir.path, soon ()));
  server = test_assert_ok (dill_ipc_accept (all->listener, soon ()));
  g_assert_no_errno (dill_hclose (client));
  g_assert_no_errno (dill_hclose (server));
  test_assert_errno (dill_bundle_wait (all->bundle, 0), ETIMEDOUT);
  test_assert_errno (dill_bundle_wait (all->coroutine, dill_now () + 1), ETIMEDOUT);
}

static void
inheritance_close (Inheritance *all)
{
  g_assert_no_errno (dill_hclose (all->listener));
  g_assert_no_errno (dill_hclose (all->pair[0]));
  g_assert_no_errno (dill_hclose (all->pair[1]));
  g_assert_no_errno (dill_hclose (all->coroutine));
  g_assert_no_errno (dill_hclose (all->bundle));
}

static void
set_up (Inheritance *all, gconstpointer data)
{
  test_dir_set_up (&all->dir, data);
  inheritance_open (all);
}

/* Whatever a child has done, the parent has not noticed. */
static void
tear_down (Inheritance *all, gconstpointer data)
{
  inheritance_check (all);
  inheritance_close (all);
  g_assert_false (g_file_test (all->dir.path, G_FILE_TEST_EXISTS));
  test_dir_tear_down (&all->dir, data);
}

/* What DATA is the address of, done by a child. */
static void
test_child (Inheritance *all, gconstpointer data)
{
  const TestChildFunc *func = data;

  g_assert_cmpint (test_in_child (*func, all), ==, 0);
}

#define add(name, func, data) g_test_add (name, Inheritance, data, set_up, func, tear_down)
#define add_child(name, func)                                                                                          \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    static const TestChildFunc child = func;                                                                           \
    add (name, test_child, &child);                                                                                    \
  }                                                                                                                    \
  G_STMT_END

/* --- Inherited handles --- */

static void
check_dead (int h)
{
  char byte;

  test_assert_errno (dill_hown (h), EBADF);
  test_assert_null_errno (dill_hquery (h, dill_bsock_type), EBADF);
  test_assert_errno (dill_bsend (h, "x", 1, 0), EBADF);
  test_assert_errno (dill_brecv (h, &byte, 1, 0), EBADF);
  test_assert_errno (dill_ipc_accept (h, 0), EBADF);
  test_assert_errno (dill_ipc_done (h, 0), EBADF);
  test_assert_errno (dill_ipc_steal_fd (h), EBADF);
  test_assert_errno (dill_bundle_wait (h, 0), EBADF);
  test_assert_errno (dill_bundle_spawn (h, sleep_for_ever, NULL), EBADF);
}

static int
use_inherited (gpointer data)
{
  Inheritance *all = data;
  const int handles[] = { all->listener, all->pair[0], all->pair[1], all->coroutine, all->bundle };

  for (guint i = 0; i < G_N_ELEMENTS (handles); i++)
    check_dead (handles[i]);
  return 0;
}

/* epoll descriptors are shared: what a child takes out of one is gone from the parent's, too. */
static int
close_inherited (gpointer data)
{
  Inheritance *all = data;
  const int handles[] = { all->listener, all->pair[0], all->pair[1], all->coroutine, all->bundle };

  for (guint i = 0; i < G_N_ELEMENTS (handles); i++)
    {
      g_assert_no_errno (dill_hclose (handles[i]));
      test_assert_errno (dill_hclose (handles[i]), EBADF);
      check_dead (handles[i]);
    }
  return 0;
}

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

/* --- Contexts --- */

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
  add_child ("/fork/use", use_inherited);
  add_child ("/fork/close", close_inherited);
  add_child ("/fork/descriptors-are-closed", count_after_closing);
  add ("/fork/peer", test_peer, NULL);
  add_child ("/fork/inherited-context", wait_under_inherited);
  add_child ("/fork/own-context", start_afresh);
  add ("/fork/from-another-thread", test_from_another_thread, NULL);
  add ("/fork/in-coroutine", test_in_coroutine, NULL);
  add ("/fork/thread-exits", test_thread_exits, NULL);
  g_test_add_func ("/fork/locks", test_locks);
  return g_test_run ();
}
