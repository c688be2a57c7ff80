/* test-handle.c: a number is one object of one thread, once.
 *
 * Dead, foreign and made-up numbers are EBADF everywhere, and never touch anybody's object.  A number does not come
 * again for a long time, not even when threads come and go.  When the numbers run out, that is an error, not the end.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-utils.h"

#include <dillipc/dillipc.h>
#include <string.h>

static const char type_tag, other_tag;

/* An object that counts what is done to it. */
typedef struct
{
  struct dill_hvfs vfs;
  int handle; /* as its owner knows it */
  int n_closed;
  int close_errno; /* of a look at its own handle while it is closed */
  int wait_errno;  /* of a wait there */
} Object;

static void *
object_query (struct dill_hvfs *vfs, const void *type)
{
  if (type == &type_tag)
    return vfs;

  errno = ENOTSUP;
  return NULL;
}

static void
object_close (struct dill_hvfs *vfs)
{
  Object *object = (Object *) vfs;

  object->n_closed++;
  object->close_errno = dill_hclose (object->handle) == 0 ? 0 : errno;
  object->wait_errno = dill_msleep (-1) == 0 ? 0 : errno;
}

static int
object_make (Object *object)
{
  *object = (Object) { .vfs = { object_query, object_close } };
  object->handle = test_assert_ok (dill_hmake (&object->vfs));
  return object->handle;
}

static void
never_run (void *data G_GNUC_UNUSED)
{
  g_assert_not_reached ();
}

static void
assert_dead (int h)
{
  test_assert_errno (dill_hclose (h), EBADF);
  test_assert_errno (dill_hown (h), EBADF);
  test_assert_null_errno (dill_hquery (h, &type_tag), EBADF);
  test_assert_errno (dill_bundle_wait (h, 0), EBADF);
  test_assert_errno (dill_bundle_spawn (h, never_run, NULL), EBADF);
  test_assert_errno (dill_chdone (h), EBADF);
#if DILL_HAS_SOCKETS
  test_assert_errno (dill_bsend (h, "x", 1, 0), EBADF);
  test_assert_errno (dill_ipc_accept (h, 0), EBADF);
#endif
}

static void
test_make (void)
{
  Object object;
  int h = object_make (&object);

  g_assert_cmpint (h, >, 0);
  g_assert_true (dill_hquery (h, &type_tag) == &object);
  g_assert_cmpint (object.n_closed, ==, 0);
  g_assert_no_errno (dill_hclose (h));
  g_assert_cmpint (object.n_closed, ==, 1);
}

static void
test_make_bad_vfs (void)
{
  struct dill_hvfs no_query = { NULL, object_close };
  struct dill_hvfs no_close = { object_query, NULL };

  test_assert_errno (dill_hmake (NULL), EINVAL);
  test_assert_errno (dill_hmake (&no_query), EINVAL);
  test_assert_errno (dill_hmake (&no_close), EINVAL);
}

static void
test_query_unknown (void)
{
  Object object;
  int h = object_make (&object);

  test_assert_null_errno (dill_hquery (h, &other_tag), ENOTSUP);
  test_assert_null_errno (dill_hquery (h, NULL), ENOTSUP);
  test_assert_errno (dill_bundle_wait (h, 0), ENOTSUP);
  test_assert_errno (dill_chdone (h), ENOTSUP);
#if DILL_HAS_SOCKETS
  test_assert_errno (dill_bsend (h, "x", 1, 0), ENOTSUP);
  test_assert_errno (dill_ipc_accept (h, 0), ENOTSUP);
#endif
  g_assert_no_errno (dill_hclose (h));
}

/* Small integers, as descriptors are, and whatever else was never given out. */
static void
test_made_up (void)
{
  Object object;
  int h = object_make (&object);
  const int others[] = { h + 1, h - 1, h ^ (1 << 22), h ^ (1 << 30), -h, G_MAXINT, G_MININT };

  for (int number = -10; number < 1000; number++)
    test_assert_errno (dill_hown (number), EBADF);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    assert_dead (others[i]);

  g_assert_cmpint (object.n_closed, ==, 0);
  g_assert_no_errno (dill_hclose (h));
}

static void
test_dead (void)
{
  Object object;
  int h = object_make (&object);

  g_assert_no_errno (dill_hclose (h));
  assert_dead (h);
  g_assert_cmpint (object.n_closed, ==, 1);
}

/* While an object is closed its number is dead already, and waits fail. */
static void
test_dead_in_close (void)
{
  Object object;

  g_assert_no_errno (dill_hclose (object_make (&object)));
  g_assert_cmpint (object.n_closed, ==, 1);
  g_assert_cmpint (object.close_errno, ==, EBADF);
  g_assert_cmpint (object.wait_errno, ==, ECANCELED);

  /* Only there. */
  g_assert_no_errno (dill_msleep (dill_now () + 1));
}

static void
test_own (void)
{
  Object object;
  int h = object_make (&object);
  int owned = test_assert_ok (dill_hown (h));

  g_assert_cmpint (owned, !=, h);
  assert_dead (h);
  g_assert_true (dill_hquery (owned, &type_tag) == &object);
  g_assert_cmpint (object.n_closed, ==, 0);
  object.handle = owned;
  g_assert_no_errno (dill_hclose (owned));
  g_assert_cmpint (object.n_closed, ==, 1);
  assert_dead (owned);
}

/* Every other thread is told EBADF, whether it has handles of its own or never used the library. */
static gpointer
try_foreign (gpointer data)
{
  int h = GPOINTER_TO_INT (data);
  Object object;

  assert_dead (h);
  g_assert_no_errno (dill_hclose (object_make (&object)));
  assert_dead (h);
  return NULL;
}

static void
test_foreign (void)
{
  Object object;
  int h = object_make (&object);

  test_in_thread (try_foreign, GINT_TO_POINTER (h));
  g_assert_true (dill_hquery (h, &type_tag) == &object);
  g_assert_cmpint (object.n_closed, ==, 0);
  g_assert_no_errno (dill_hclose (h));
}

static void
add_new (GHashTable *seen, int h)
{
  g_assert_true (g_hash_table_add (seen, GINT_TO_POINTER (h)));
}

static void
test_not_reused_soon (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  Object object;

  for (guint i = 0; i < 50000; i++)
    {
      int h = object_make (&object);

      add_new (seen, h);
      object.handle = test_assert_ok (dill_hown (h));
      add_new (seen, object.handle);
      g_assert_no_errno (dill_hclose (object.handle));
    }
}

/* Nor when few are free. */
static void
test_not_reused_soon_when_many_are_open (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  Object open[250], object;

  for (guint i = 0; i < G_N_ELEMENTS (open); i++)
    add_new (seen, object_make (&open[i]));
  for (guint i = 0; i < 50000; i++)
    {
      add_new (seen, object_make (&object));
      g_assert_no_errno (dill_hclose (object.handle));
    }
  for (guint i = 0; i < G_N_ELEMENTS (open); i++)
    g_assert_no_errno (dill_hclose (open[i].handle));
}

static gpointer
make_one (gpointer data G_GNUC_UNUSED)
{
  Object object;
  int h = object_make (&object);

  g_assert_no_errno (dill_hclose (h));
  return GINT_TO_POINTER (h);
}

/* Nor when each comes from a thread of its own: the next thread gets what the one before it has left. */
static void
test_not_reused_soon_by_threads (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < 1500; i++)
    add_new (seen, GPOINTER_TO_INT (g_thread_join (g_thread_new ("short", make_one, NULL))));
}

/* Numbers that were never closed die with their thread. */
static gpointer
leave_one_open (gpointer data)
{
  return GINT_TO_POINTER (object_make (data));
}

static void
test_not_reused_soon_by_leavers (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  Object object;

  for (guint i = 0; i < 1500; i++)
    add_new (seen, GPOINTER_TO_INT (g_thread_join (g_thread_new ("leaver", leave_one_open, &object))));
}

static void
test_dead_with_thread (void)
{
  Object object;

  for (guint i = 0; i < 3; i++)
    {
      int h = GPOINTER_TO_INT (g_thread_join (g_thread_new ("leaver", leave_one_open, &object)));

      assert_dead (h);
      g_thread_join (g_thread_new ("successor", try_foreign, GINT_TO_POINTER (h)));
      g_assert_cmpint (object.n_closed, ==, 0); /* code of the program is not run for it */
    }
}

/* All of four million numbers. */
static int
use_up (gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  static Object first, last; /* there until the context ends, which asks them whether they are at home there */
  int h;
  guint n = 0;

  g_main_context_push_thread_default (context);
  object_make (&first);
  last = first;
  while ((h = dill_hmake (&last.vfs)) > 0)
    n++;

  g_assert_cmpint (errno, ==, ENOMEM);
  g_assert_cmpuint (n, >, 4000000);
  test_assert_errno (dill_hown (first.handle), ENOMEM);
  test_assert_errno (dill_spawn (never_run, NULL), ENOMEM);
  test_assert_errno (dill_bundle (), ENOMEM);
  g_assert_true (dill_hquery (first.handle, &type_tag) == &first);

  g_assert_no_errno (dill_hclose (first.handle));
  g_assert_cmpint (first.n_closed, ==, 1);
  g_assert_cmpint (dill_hmake (&last.vfs), >, 0);
  test_assert_errno (dill_hmake (&last.vfs), ENOMEM);
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_exhaustion (void)
{
  g_assert_cmpint (test_in_child (use_up, NULL), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/handle/make", test_make);
  g_test_add_func ("/handle/make-bad-vfs", test_make_bad_vfs);
  g_test_add_func ("/handle/query-unknown", test_query_unknown);
  g_test_add_func ("/handle/made-up", test_made_up);
  g_test_add_func ("/handle/dead", test_dead);
  g_test_add_func ("/handle/dead-in-close", test_dead_in_close);
  g_test_add_func ("/handle/own", test_own);
  g_test_add_func ("/handle/foreign", test_foreign);
  g_test_add_func ("/handle/not-reused-soon", test_not_reused_soon);
  g_test_add_func ("/handle/not-reused-soon-when-many-are-open", test_not_reused_soon_when_many_are_open);
  g_test_add_func ("/handle/not-reused-soon-by-threads", test_not_reused_soon_by_threads);
  g_test_add_func ("/handle/not-reused-soon-by-leavers", test_not_reused_soon_by_leavers);
  g_test_add_func ("/handle/dead-with-thread", test_dead_with_thread);
  g_test_add_func ("/handle/exhaustion", test_exhaustion);
  return g_test_run ();
}
