/* test-bundle.c: groups of coroutines that are waited for and cancelled as one.
 *
 * Any number may wait for a bundle, it may be filled again and closed at any time, and nobody misses anything or
 * touches what is gone.  Closing one returns when all of its members have ended.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-utils.h"

#include <dillipc/dillipc.h>
#include <string.h>

/* A deadline that is never reached unless something is wrong. */
#define SOON (dill_now () + 10000)

static void
sleep_a_little (void *data)
{
  g_assert_no_errno (dill_msleep (dill_now () + 3));
  if (data != NULL)
    (*(guint *) data)++;
}

static void
sleep_for_ever (void *data)
{
  test_assert_errno (dill_msleep (-1), ECANCELED);
  if (data != NULL)
    (*(guint *) data)++;
}

static void
return_at_once (void *data)
{
  (*(guint *) data)++;
}

/* --- Waiting --- */

static void
test_empty (void)
{
  int b = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_wait (b, 0));
  g_assert_no_errno (dill_bundle_wait (b, -1));
  g_assert_no_errno (dill_hclose (b));
}

static void
test_wait (void)
{
  guint n_ended = 0;
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 3; i++)
    g_assert_no_errno (dill_bundle_spawn (b, sleep_a_little, &n_ended));
  test_assert_errno (dill_bundle_wait (b, 0), ETIMEDOUT);
  test_assert_errno (dill_bundle_wait (b, dill_now () - 1), ETIMEDOUT);
  test_assert_errno (dill_bundle_wait (b, dill_now () + 1), ETIMEDOUT);
  g_assert_no_errno (dill_bundle_wait (b, -1));
  g_assert_cmpuint (n_ended, ==, 3);
  g_assert_no_errno (dill_hclose (b));
}

static void
test_wait_for_one (void)
{
  guint n_ended = 0;
  int h = test_assert_ok (dill_spawn (sleep_a_little, &n_ended));

  test_assert_errno (dill_bundle_wait (h, 0), ETIMEDOUT);
  g_assert_no_errno (dill_bundle_wait (h, SOON));
  g_assert_cmpuint (n_ended, ==, 1);
  g_assert_no_errno (dill_bundle_wait (h, 0));
  g_assert_no_errno (dill_hclose (h));
}

static void
test_ended_at_once (void)
{
  guint n_ended = 0;
  int b = test_assert_ok (dill_bundle ());
  int h = test_assert_ok (dill_spawn (return_at_once, &n_ended));

  g_assert_no_errno (dill_bundle_spawn (b, return_at_once, &n_ended));
  g_assert_cmpuint (n_ended, ==, 2);
  g_assert_no_errno (dill_bundle_wait (b, 0));
  g_assert_no_errno (dill_bundle_wait (h, 0));
  g_assert_no_errno (dill_hclose (b));
  g_assert_no_errno (dill_hclose (h));
}

/* One who waits for a bundle, and what becomes of him. */
typedef struct
{
  int bundle;
  gint64 deadline;
  gboolean closes;  /* and then frees its memory */
  gboolean refills; /* when his turn has come */
  void *memory;
  guint *n_ended;
  int result;
  int error;
} Waiter;

static void
wait_for_bundle (void *data)
{
  Waiter *waiter = data;

  errno = 0;
  waiter->result = dill_bundle_wait (waiter->bundle, waiter->deadline);
  waiter->error = errno;
  if (waiter->refills)
    g_assert_no_errno (dill_bundle_spawn (waiter->bundle, sleep_for_ever, waiter->n_ended));
  if (waiter->closes)
    {
      g_assert_no_errno (dill_hclose (waiter->bundle));
      g_free (waiter->memory);
    }
}

static void
start_waiters (int waiting, Waiter *waiters, guint n_waiters, int bundle)
{
  for (guint i = 0; i < n_waiters; i++)
    {
      waiters[i].bundle = bundle;
      waiters[i].deadline = SOON;
      waiters[i].result = 1;
      g_assert_no_errno (dill_bundle_spawn (waiting, wait_for_bundle, &waiters[i]));
      g_assert_cmpint (waiters[i].result, ==, 1);
    }
}

static void
test_many_waiters (void)
{
  int b = test_assert_ok (dill_bundle ());
  int waiting = test_assert_ok (dill_bundle ());
  Waiter waiters[5] = { { 0 } };

  g_assert_no_errno (dill_bundle_spawn (b, sleep_a_little, NULL));
  start_waiters (waiting, waiters, G_N_ELEMENTS (waiters), b);
  g_assert_no_errno (dill_bundle_wait (b, SOON));
  g_assert_no_errno (dill_bundle_wait (waiting, SOON));
  for (guint i = 0; i < G_N_ELEMENTS (waiters); i++)
    g_assert_cmpint (waiters[i].result, ==, 0);
  g_assert_no_errno (dill_hclose (waiting));
  g_assert_no_errno (dill_hclose (b));
}

/* The first one to run closes the bundle and frees its memory: the others were told before, and do not look at it. */
static void
test_first_waiter_closes (void)
{
  void *memory = g_malloc (sizeof (struct dill_bundle_storage));
  int b = test_assert_ok (dill_bundle_mem (memory));
  int waiting = test_assert_ok (dill_bundle ());
  Waiter waiters[3] = { { .closes = TRUE, .memory = memory } };

  g_assert_no_errno (dill_bundle_spawn (b, sleep_a_little, NULL));
  start_waiters (waiting, waiters, G_N_ELEMENTS (waiters), b);
  g_assert_no_errno (dill_bundle_wait (waiting, SOON));
  for (guint i = 0; i < G_N_ELEMENTS (waiters); i++)
    g_assert_cmpint (waiters[i].result, ==, 0);
  test_assert_errno (dill_hclose (b), EBADF);
  g_assert_no_errno (dill_hclose (waiting));
}

/* It was empty for a moment: all who waited then have what they waited for. */
static void
test_first_waiter_refills (void)
{
  guint n_ended = 0;
  int b = test_assert_ok (dill_bundle ());
  int waiting = test_assert_ok (dill_bundle ());
  Waiter waiters[3] = { { .refills = TRUE, .n_ended = &n_ended } };

  g_assert_no_errno (dill_bundle_spawn (b, sleep_a_little, NULL));
  start_waiters (waiting, waiters, G_N_ELEMENTS (waiters), b);
  g_assert_no_errno (dill_bundle_wait (waiting, SOON));
  for (guint i = 0; i < G_N_ELEMENTS (waiters); i++)
    g_assert_cmpint (waiters[i].result, ==, 0);

  g_assert_cmpuint (n_ended, ==, 0);
  test_assert_errno (dill_bundle_wait (b, 0), ETIMEDOUT);
  g_assert_no_errno (dill_hclose (b));
  g_assert_cmpuint (n_ended, ==, 1);
  g_assert_no_errno (dill_hclose (waiting));
}

static void
test_refill (void)
{
  guint n_ended = 0;
  int b = test_assert_ok (dill_bundle ());

  for (guint round = 1; round <= 5; round++)
    {
      g_assert_no_errno (dill_bundle_spawn (b, sleep_a_little, &n_ended));
      g_assert_no_errno (dill_bundle_spawn (b, return_at_once, &n_ended));
      g_assert_no_errno (dill_bundle_wait (b, SOON));
      g_assert_cmpuint (n_ended, ==, 2 * round);
    }
  g_assert_no_errno (dill_hclose (b));
}

/* --- Closing --- */

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
  g_free (memory);
  g_assert_cmpuint (n_ended, ==, 1);
  g_assert_no_errno (dill_bundle_wait (waiting, SOON));
  for (guint i = 0; i < G_N_ELEMENTS (waiters); i++)
    {
      g_assert_cmpint (waiters[i].result, ==, -1);
      g_assert_cmpint (waiters[i].error, ==, ECANCELED);
    }
  g_assert_no_errno (dill_hclose (waiting));
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
  test_assert_errno (dill_bundle_wait (closer.bundle, SOON), ECANCELED);
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
  g_assert_no_errno (dill_msleep (dill_now () + 2));
  g_assert_true (suicide.done);
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

/* --- Caller's memory, and bad input --- */

static void
test_memory (void)
{
  const gsize size = sizeof (struct dill_bundle_storage);
  guint8 area[sizeof (struct dill_bundle_storage) + 64];

  for (guint offset = 16; offset < 32; offset++)
    {
      guint n_ended = 0;
      int b;

      memset (area, 0xa5, sizeof area);
      b = test_assert_ok (dill_bundle_mem (area + offset));
      g_assert_no_errno (dill_bundle_spawn (b, sleep_a_little, &n_ended));
      g_assert_no_errno (dill_bundle_wait (b, SOON));
      g_assert_no_errno (dill_bundle_spawn (b, sleep_for_ever, &n_ended));
      g_assert_no_errno (dill_hclose (b));
      g_assert_cmpuint (n_ended, ==, 2);
      for (guint i = 0; i < sizeof area; i++)
        if (i < offset || i >= offset + size)
          g_assert_cmpuint (area[i], ==, 0xa5);
    }
}

static void *
query_nothing (struct dill_hvfs *vfs G_GNUC_UNUSED, const void *type G_GNUC_UNUSED)
{
  errno = ENOTSUP;
  return NULL;
}

static void
close_nothing (struct dill_hvfs *vfs G_GNUC_UNUSED)
{
}

static void
test_bad_input (void)
{
  struct dill_hvfs other = { query_nothing, close_nothing };
  int h = test_assert_ok (dill_hmake (&other));
  int b = test_assert_ok (dill_bundle ());

  test_assert_errno (dill_bundle_mem (NULL), EINVAL);
  test_assert_errno (dill_bundle_spawn (b, NULL, NULL), EINVAL);
  test_assert_errno (dill_spawn (NULL, NULL), EINVAL);
  test_assert_errno (dill_bundle_wait (h, 0), ENOTSUP);
  test_assert_errno (dill_bundle_spawn (h, sleep_for_ever, NULL), ENOTSUP);
  test_assert_null_errno (dill_hquery (b, &other), ENOTSUP);
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (b));
  test_assert_errno (dill_bundle_spawn (b, sleep_for_ever, NULL), EBADF);
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
  g_assert_no_errno (dill_bundle_wait (h, SOON));
  g_assert_no_errno (dill_hclose (h));
  for (guint i = 0; i < 2; i++)
    for (guint j = 0; j < 4; j++)
      g_assert_cmpint (closers[i].errors[j], ==, ECANCELED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/bundle/empty", test_empty);
  g_test_add_func ("/bundle/wait", test_wait);
  g_test_add_func ("/bundle/wait-for-one", test_wait_for_one);
  g_test_add_func ("/bundle/ended-at-once", test_ended_at_once);
  g_test_add_func ("/bundle/many-waiters", test_many_waiters);
  g_test_add_func ("/bundle/first-waiter-closes", test_first_waiter_closes);
  g_test_add_func ("/bundle/first-waiter-refills", test_first_waiter_refills);
  g_test_add_func ("/bundle/refill", test_refill);
  g_test_add_func ("/bundle/close-cancels", test_close_cancels);
  g_test_add_func ("/bundle/close-while-waited-for", test_close_while_waited_for);
  g_test_add_func ("/bundle/close-while-main-stack-waits", test_close_while_main_stack_waits);
  g_test_add_func ("/bundle/close-nested", test_close_nested);
  g_test_add_func ("/bundle/close-reluctant", test_close_reluctant);
  g_test_add_func ("/bundle/close-own", test_close_own);
  g_test_add_func ("/bundle/close-parent", test_close_parent);
  g_test_add_func ("/bundle/memory", test_memory);
  g_test_add_func ("/bundle/bad-input", test_bad_input);
  g_test_add_func ("/bundle/waits-in-close", test_waits_in_close);
  return g_test_run ();
}
