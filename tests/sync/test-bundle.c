/* test-bundle.c: groups of coroutines that are waited for as one.
 *
 * Any number may wait for a bundle, it may be filled again at any time, and nobody misses anything.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bundle-utils.h"

#include <string.h>

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
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
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

static void
test_many_waiters (void)
{
  int b = test_assert_ok (dill_bundle ());
  int waiting = test_assert_ok (dill_bundle ());
  Waiter waiters[5] = { { 0 } };

  g_assert_no_errno (dill_bundle_spawn (b, sleep_a_little, NULL));
  start_waiters (waiting, waiters, G_N_ELEMENTS (waiters), b);
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_no_errno (dill_bundle_wait (waiting, soon ()));
  for (guint i = 0; i < G_N_ELEMENTS (waiters); i++)
    g_assert_cmpint (waiters[i].result, ==, 0);
  g_assert_no_errno (dill_hclose (waiting));
  g_assert_no_errno (dill_hclose (b));
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
  g_assert_no_errno (dill_bundle_wait (waiting, soon ()));
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
      g_assert_no_errno (dill_bundle_wait (b, soon ()));
      g_assert_cmpuint (n_ended, ==, 2 * round);
    }
  g_assert_no_errno (dill_hclose (b));
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
      g_assert_no_errno (dill_bundle_wait (b, soon ()));
      g_assert_no_errno (dill_bundle_spawn (b, sleep_for_ever, &n_ended));
      g_assert_no_errno (dill_hclose (b));
      g_assert_cmpuint (n_ended, ==, 2);
      for (guint i = 0; i < sizeof area; i++)
        if (i < offset || i >= offset + size)
          g_assert_cmpuint (area[i], ==, 0xa5);
    }
}

static void
test_bad_input (void)
{
  struct dill_hvfs other = { query_nothing, close_nothing };
  int h = test_assert_ok (dill_hmake (&other));
  int b = test_assert_ok (dill_bundle ());
  guint n_started = 0;

  test_assert_errno (dill_bundle_mem (NULL), EINVAL);
  test_assert_errno (dill_bundle_spawn (b, NULL, NULL), EINVAL);
  test_assert_errno (dill_spawn (NULL, NULL), EINVAL);
  test_assert_errno (dill_bundle_wait (h, 0), ENOTSUP);
  test_assert_errno (dill_bundle_spawn (h, sleep_for_ever, NULL), ENOTSUP);
  test_assert_errno (dill_bundle_go (h, return_at_once (&n_started)), ENOTSUP);
  test_assert_null_errno (dill_hquery (b, &other), ENOTSUP);
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (b));
  test_assert_errno (dill_bundle_spawn (b, sleep_for_ever, NULL), EBADF);
  test_assert_errno (dill_bundle_go (b, return_at_once (&n_started)), EBADF);
  g_assert_cmpuint (n_started, ==, 0);
}

/* The handle of a coroutine is a bundle like any other, with or without the member that it began with. */
static void
test_of_one_grows (void)
{
  for (guint first_ends = 0; first_ends < 2; first_ends++)
    {
      guint n_ended = 0;
      int h = test_assert_ok (dill_spawn (first_ends ? return_at_once : sleep_for_ever, &n_ended));

      g_assert_no_errno (dill_bundle_spawn (h, sleep_a_little, &n_ended));
      g_assert_no_errno (dill_bundle_spawn (h, sleep_for_ever, &n_ended));
      test_iterate_until (n_ended == 1 + first_ends);
      test_assert_errno (dill_bundle_wait (h, dill_now () + 10), ETIMEDOUT);
      g_assert_cmpuint (n_ended, ==, 1 + first_ends);
      g_assert_no_errno (dill_hclose (h));
      g_assert_cmpuint (n_ended, ==, 3);
    }
}

/* Who waits goes on waiting when the bundle changes hands. */
static void
test_hown (void)
{
  guint n_ended = 0;
  int b = test_assert_ok (dill_bundle ());
  Waiter waiter = { 0 };
  int waiting = test_assert_ok (dill_bundle ()), owned;

  g_assert_no_errno (dill_bundle_spawn (b, sleep_a_little, &n_ended));
  start_waiters (waiting, &waiter, 1, b);
  owned = test_assert_ok (dill_hown (b));
  test_assert_errno (dill_bundle_wait (b, 0), EBADF);
  test_assert_errno (dill_bundle_wait (owned, 0), ETIMEDOUT);
  g_assert_no_errno (dill_bundle_wait (waiting, soon ()));
  g_assert_cmpint (waiter.result, ==, 0);
  g_assert_cmpuint (n_ended, ==, 1);
  g_assert_no_errno (dill_hclose (owned));
  g_assert_no_errno (dill_hclose (waiting));
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
  g_test_add_func ("/bundle/first-waiter-refills", test_first_waiter_refills);
  g_test_add_func ("/bundle/refill", test_refill);
  g_test_add_func ("/bundle/memory", test_memory);
  g_test_add_func ("/bundle/bad-input", test_bad_input);
  g_test_add_func ("/bundle/of-one-grows", test_of_one_grows);
  g_test_add_func ("/bundle/hown", test_hown);
  return g_test_run ();
}
