/* test-bundle-close.c: groups of coroutines that are cancelled as one.
 *
 * Closing a bundle returns when all of its members have ended, or does nothing at all.  It may be closed at any time:
 * nobody who waits for it misses that, or touches what is gone.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bundle-utils.h"

static void
test_close_cancels (void)
{
  guint n_ended = 0;
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 10; i++)
    g_assert_no_errno (dill_bundle_spawn (b, sleep_for_ever, &n_ended));
  g_assert_no_errno (dill_hclose (b));
  g_assert_cmpuint (n_ended, ==, 10);
  test_assert_errno (dill_bundle_wait (b, 0), EBADF);
}

/* The first one to run closes the bundle, whose memory then is the program's again: the others were told before, and do
 * not look at it. */
static void
test_first_waiter_closes (void)
{
  void *memory = g_malloc (sizeof (struct dill_bundle_storage));
  int b = test_assert_ok (dill_bundle_mem (memory));
  int waiting = test_assert_ok (dill_bundle ());
  Waiter waiters[3] = { { .closes = TRUE, .memory = memory } };

  g_assert_no_errno (dill_bundle_spawn (b, sleep_a_little, NULL));
  start_waiters (waiting, waiters, G_N_ELEMENTS (waiters), b);
  g_assert_no_errno (dill_bundle_wait (waiting, soon ()));
  for (guint i = 0; i < G_N_ELEMENTS (waiters); i++)
    g_assert_cmpint (waiters[i].result, ==, 0);
  test_assert_errno (dill_hclose (b), EBADF);
  g_assert_no_errno (dill_hclose (waiting));
  free_vanished (memory);
}

static void
test_close_while_waited_for (void)
{
  guint n_ended = 0;
  void *memory = g_malloc (sizeof (struct dill_bundle_storage));
  int b = test_assert_ok (dill_bundle_mem (memory));
  int waiting = test_assert_ok (dill_bundle ());
  Waiter waiters[3] = { { 0 } };

  g_assert_no_errno (dill_bundle_spawn (b, sleep_for_ever, &n_ended));
  start_waiters (waiting, waiters, G_N_ELEMENTS (waiters), b);
  g_assert_no_errno (dill_hclose (b));
  vanish (memory);
  g_assert_cmpuint (n_ended, ==, 1);
  g_assert_no_errno (dill_bundle_wait (waiting, soon ()));
  for (guint i = 0; i < G_N_ELEMENTS (waiters); i++)
    {
      g_assert_cmpint (waiters[i].result, ==, -1);
      g_assert_cmpint (waiters[i].error, ==, ECANCELED);
    }
  g_assert_no_errno (dill_hclose (waiting));
  free_vanished (memory);
}

static void
close_it (void *data)
{
  Waiter *waiter = data;

  g_assert_no_errno (dill_yield ());
  g_assert_no_errno (dill_hclose (waiter->bundle));
}

/* The same with the waiter on the main stack. */
static void
test_close_while_main_stack_waits (void)
{
  guint n_ended = 0;
  Waiter closer = { .bundle = test_assert_ok (dill_bundle ()) };
  int h;

  g_assert_no_errno (dill_bundle_spawn (closer.bundle, sleep_for_ever, &n_ended));
  h = test_assert_ok (dill_spawn (close_it, &closer));
  test_assert_errno (dill_bundle_wait (closer.bundle, soon ()), ECANCELED);
  g_assert_cmpuint (n_ended, ==, 1);
  g_assert_no_errno (dill_hclose (h));
}

/* Members that wait for one another, own handles, and close them when they are cancelled. */
static void
own_a_child (void *data)
{
  int child = test_assert_ok (dill_spawn (sleep_for_ever, data));

  test_assert_errno (dill_bundle_wait (child, -1), ECANCELED);
  g_assert_no_errno (dill_hclose (child));
  (*(guint *) data)++;
}

static void
test_close_nested (void)
{
  guint n_ended = 0;
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 3; i++)
    g_assert_no_errno (dill_bundle_spawn (b, own_a_child, &n_ended));
  g_assert_no_errno (dill_hclose (b));
  g_assert_cmpuint (n_ended, ==, 6);
}

/* A member that was woken in vain goes on until it ends, whatever it tries. */
static void
end_reluctantly (void *data)
{
  guint n_tries = 0;

  while (n_tries < 100)
    if (dill_yield () < 0)
      n_tries++;
  (*(guint *) data)++;
}

static void
test_close_reluctant (void)
{
  guint n_ended = 0;
  int h = test_assert_ok (dill_spawn (end_reluctantly, &n_ended));

  g_assert_no_errno (dill_hclose (h));
  g_assert_cmpuint (n_ended, ==, 1);
}

/* --- EDEADLK --- */

typedef struct
{
  int bundle;
  guint n_canceled;
  gboolean done;
} Suicide;

static void
close_own (void *data)
{
  Suicide *suicide = data;

  test_assert_errno (dill_hclose (suicide->bundle), EDEADLK);
  g_assert_no_errno (dill_yield ());
  test_assert_errno (dill_hclose (suicide->bundle), EDEADLK);
  suicide->done = TRUE;
}

static void
test_close_own (void)
{
  Suicide suicide = { .bundle = test_assert_ok (dill_bundle ()) };

  g_assert_no_errno (dill_bundle_spawn (suicide.bundle, sleep_for_ever, &suicide.n_canceled));
  g_assert_no_errno (dill_bundle_spawn (suicide.bundle, close_own, &suicide));
  test_iterate_until (suicide.done);
  g_assert_cmpuint (suicide.n_canceled, ==, 0);
  g_assert_no_errno (dill_hclose (suicide.bundle));
  g_assert_cmpuint (suicide.n_canceled, ==, 1);
}

/* A child that has not waited yet stands on its parent's stack. */
static void
close_parent (void *data)
{
  Suicide *suicide = data;

  test_assert_errno (dill_hclose (suicide->bundle), EDEADLK);
  suicide->done = TRUE;
}

static void
start_closer (void *data)
{
  int h = test_assert_ok (dill_spawn (close_parent, data));

  g_assert_no_errno (dill_hclose (h));
}

static void
test_close_parent (void)
{
  Suicide suicide = { .bundle = test_assert_ok (dill_bundle ()) };

  g_assert_no_errno (dill_bundle_spawn (suicide.bundle, start_closer, &suicide));
  g_assert_true (suicide.done);
  g_assert_no_errno (dill_hclose (suicide.bundle));
}

/* --- hvfs.close: a place where waits fail --- */

typedef struct
{
  struct dill_hvfs vfs;
  int errors[4];
} Closer;

static void
try_to_wait (struct dill_hvfs *vfs)
{
  Closer *closer = (Closer *) vfs;
  int h;

  closer->errors[0] = dill_msleep (-1) < 0 ? errno : 0;
  closer->errors[1] = dill_yield () < 0 ? errno : 0;
  closer->errors[2] = dill_fdin (0, -1) < 0 ? errno : 0;
  h = dill_spawn (sleep_a_little, NULL);
  closer->errors[3] = h < 0 ? errno : 0;
}

static void
close_object (void *data)
{
  Closer *closer = data;

  g_assert_no_errno (dill_hclose (test_assert_ok (dill_hmake (&closer->vfs))));
  g_assert_no_errno (dill_yield ()); /* the coroutine itself was not cancelled */
}

static void
test_waits_in_close (void)
{
  Closer closers[2] = { { .vfs = { query_nothing, try_to_wait } }, { .vfs = { query_nothing, try_to_wait } } };
  int h;

  close_object (&closers[0]);
  h = test_assert_ok (dill_spawn (close_object, &closers[1]));
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  for (guint i = 0; i < 2; i++)
    for (guint j = 0; j < 4; j++)
      g_assert_cmpint (closers[i].errors[j], ==, ECANCELED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/bundle-close/cancels", test_close_cancels);
  g_test_add_func ("/bundle-close/first-waiter-closes", test_first_waiter_closes);
  g_test_add_func ("/bundle-close/while-waited-for", test_close_while_waited_for);
  g_test_add_func ("/bundle-close/while-main-stack-waits", test_close_while_main_stack_waits);
  g_test_add_func ("/bundle-close/nested", test_close_nested);
  g_test_add_func ("/bundle-close/reluctant", test_close_reluctant);
  g_test_add_func ("/bundle-close/own", test_close_own);
  g_test_add_func ("/bundle-close/parent", test_close_parent);
  g_test_add_func ("/bundle-close/waits-in-close", test_waits_in_close);
  return g_test_run ();
}
