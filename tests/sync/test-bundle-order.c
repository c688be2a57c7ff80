/* test-bundle-order.c: what happens to bundles in which order, when many have to do with them at once.
 *
 *  - Any number may wait for a bundle, on the main stack, in its callbacks and in coroutines; each learns of its end
 *    once, and those who are cancelled meanwhile take nothing from the others.
 *  - One who has been woken has what he waited for, though the bundle is filled again and closed before he runs.
 *  - Members are cancelled in the order in which they joined, each to its end; what they own ends before they do.
 *  - Whoever is being cancelled can close other bundles, but not the one he is in, which is gone, nor one that is
 *    beneath him, which is then left as it was.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bundle-utils.h"

/* --- Waiting --- */

typedef struct
{
  int bundle;
  guint n_done;
} Callback;

static gboolean
wait_in_callback (gpointer data)
{
  Callback *callback = data;

  g_assert_no_errno (dill_bundle_wait (callback->bundle, soon ()));
  callback->n_done++;
  return G_SOURCE_REMOVE;
}

static void
test_waiters_everywhere (void)
{
  enum
  {
    N_WAITERS = 1000,
    N_LOST = 300,
    N_CALLBACKS = 3
  };
  g_autofree Waiter *waiters = g_new0 (Waiter, N_WAITERS);
  g_autofree Waiter *lost = g_new0 (Waiter, N_LOST);
  Callback callback = { .bundle = test_assert_ok (dill_bundle ()) };
  int waiting = test_assert_ok (dill_bundle ()), leaving = test_assert_ok (dill_bundle ());
  GSource *sources[N_CALLBACKS];

  g_assert_no_errno (dill_bundle_spawn (callback.bundle, sleep_a_little, NULL));
  start_waiters (waiting, waiters, N_WAITERS / 2, callback.bundle);
  start_waiters (leaving, lost, N_LOST, callback.bundle);
  start_waiters (waiting, waiters + N_WAITERS / 2, N_WAITERS / 2, callback.bundle);
  for (guint i = 0; i < N_CALLBACKS; i++)
    sources[i] = add_source (NULL, g_idle_source_new (), wait_in_callback, &callback);
  g_assert_no_errno (dill_hclose (leaving));

  g_assert_no_errno (dill_bundle_wait (callback.bundle, soon ()));
  g_assert_no_errno (dill_bundle_wait (waiting, soon ()));
  g_assert_cmpuint (callback.n_done, ==, N_CALLBACKS);
  for (guint i = 0; i < N_WAITERS; i++)
    g_assert_cmpint (waiters[i].result, ==, 0);
  for (guint i = 0; i < N_LOST; i++)
    {
      g_assert_cmpint (lost[i].result, ==, -1);
      g_assert_cmpint (lost[i].error, ==, ECANCELED);
    }
  for (guint i = 0; i < N_CALLBACKS; i++)
    remove_source (sources[i]);
  g_assert_no_errno (dill_hclose (waiting));
  g_assert_no_errno (dill_hclose (callback.bundle));
}

/* One who has his turn between a member's end and that of those who wait for it. */
typedef struct
{
  int bundle;
  void *memory;
  gboolean closes;
  const Waiter *waiter;
  guint n_canceled;
  gboolean was_early;
} Intruder;

static void
yield_once (void *data G_GNUC_UNUSED)
{
  g_assert_no_errno (dill_yield ());
}

static void
intrude (void *data)
{
  Intruder *intruder = data;

  g_assert_no_errno (dill_yield ());
  g_assert_no_errno (dill_bundle_wait (intruder->bundle, 0)); /* the member has ended */
  intruder->was_early = intruder->waiter->result == 1;
  g_assert_no_errno (dill_bundle_spawn (intruder->bundle, sleep_for_ever, &intruder->n_canceled));
  test_assert_errno (dill_bundle_wait (intruder->bundle, 0), ETIMEDOUT);
  if (!intruder->closes)
    return;

  g_assert_no_errno (dill_hclose (intruder->bundle));
  vanish (intruder->memory);
}

static void
test_woken_but_not_run (gconstpointer closes)
{
  void *memory = g_malloc (sizeof (struct dill_bundle_storage));
  Waiter waiter = { 0 };
  Intruder intruder = { .memory = memory, .closes = GPOINTER_TO_INT (closes), .waiter = &waiter };
  int others = test_assert_ok (dill_bundle ());

  intruder.bundle = test_assert_ok (dill_bundle_mem (memory));
  g_assert_no_errno (dill_bundle_spawn (intruder.bundle, yield_once, NULL));
  g_assert_no_errno (dill_bundle_spawn (others, intrude, &intruder));
  start_waiters (others, &waiter, 1, intruder.bundle);
  g_assert_no_errno (dill_bundle_wait (others, soon ()));
  g_assert_true (intruder.was_early);
  g_assert_cmpint (waiter.result, ==, 0);

  g_assert_cmpuint (intruder.n_canceled, ==, intruder.closes ? 1 : 0);
  if (intruder.closes)
    free_vanished (memory);
  else
    {
      g_assert_no_errno (dill_hclose (intruder.bundle));
      g_assert_cmpuint (intruder.n_canceled, ==, 1);
      g_free (memory);
    }
  g_assert_no_errno (dill_hclose (others));
}

/* --- Cancelling --- */

/* Somebody who writes when he ends, after closing the handle that he owns, if there is one. */
typedef struct
{
  GString *log;
  char letter;
  int child; /* 0, or a handle */
  int more;  /* the same */
} Owner;

static void
own (void *data)
{
  Owner *owner = data;

  test_assert_errno (dill_msleep (-1), ECANCELED);
  g_string_append_c (owner->log, '(');
  if (owner->child > 0)
    g_assert_no_errno (dill_hclose (owner->child));
  if (owner->more > 0)
    g_assert_no_errno (dill_hclose (owner->more));
  test_assert_errno (dill_yield (), ECANCELED);
  g_string_append_printf (owner->log, "%c)", owner->letter);
}

/* A tree of bundles.  Its leaves are at home in two contexts, neither of which is iterated. */
static void
test_nested_in_order (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GString) log = g_string_new (NULL);
  Owner leaves[4], branches[2], root = { .log = log, .letter = 'r' };
  guint n_calls = 0;
  GSource *busy = add_busy_source (NULL, &n_calls);
  int b;

  for (guint i = 0; i < G_N_ELEMENTS (branches); i++)
    {
      branches[i] = (Owner) { .log = log, .letter = (char) ('A' + i), .child = test_assert_ok (dill_bundle ()) };
      for (guint k = 0; k < 2; k++)
        {
          Owner *leaf = &leaves[2 * i + k];

          *leaf = (Owner) { .log = log, .letter = (char) ('a' + 2 * i + k) };
          if (k == 1)
            g_main_context_push_thread_default (context);
          g_assert_no_errno (dill_bundle_spawn (branches[i].child, own, leaf));
          if (k == 1)
            g_main_context_pop_thread_default (context);
        }
    }
  root.child = test_assert_ok (dill_spawn (own, &branches[0]));
  root.more = test_assert_ok (dill_spawn (own, &branches[1]));
  b = test_assert_ok (dill_bundle ());
  g_assert_no_errno (dill_bundle_spawn (b, own, &root));

  g_assert_no_errno (dill_hclose (b));
  g_assert_cmpstr (log->str, ==, "(((a)(b)A)((c)(d)B)r)");
  g_assert_cmpuint (n_calls, ==, 0);
  remove_source (busy);
}

static void
test_order_of_joining (void)
{
  g_autoptr (GString) log = g_string_new (NULL);
  Owner owners[26];
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < G_N_ELEMENTS (owners); i++)
    {
      owners[i] = (Owner) { .log = log, .letter = (char) ('a' + i) };
      g_assert_no_errno (dill_bundle_spawn (b, own, &owners[i]));
    }
  g_assert_no_errno (dill_hclose (b));
  g_assert_cmpstr (log->str, ==, "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)(l)(m)(n)(o)(p)(q)(r)(s)(t)(u)(v)(w)(x)(y)(z)");
}

/* --- Cancelling those who are being cancelled --- */

typedef struct
{
  int own;   /* the bundle that he is in */
  int other; /* one that he closes when he is cancelled */
  int expected;
  guint n_ended;
  guint *n_untouched;
} Crosser;

static void
close_other (void *data)
{
  Crosser *crosser = data;

  test_assert_errno (dill_msleep (-1), ECANCELED);
  test_assert_errno (dill_hclose (crosser->own), EBADF); /* that is what is being closed */
  test_assert_errno (dill_bundle_spawn (crosser->own, sleep_for_ever, NULL), ECANCELED);
  if (crosser->expected == 0)
    g_assert_no_errno (dill_hclose (crosser->other));
  else
    test_assert_errno (dill_hclose (crosser->other), crosser->expected);
  crosser->n_ended++;
}

/* Each closes the other's bundle: the second finds the first's gone. */
static void
test_close_each_other (void)
{
  int first = test_assert_ok (dill_bundle ()), second = test_assert_ok (dill_bundle ());
  Crosser crossers[2] = { { .own = first, .other = second }, { .own = second, .other = first, .expected = EBADF } };

  g_assert_no_errno (dill_bundle_spawn (first, close_other, &crossers[0]));
  g_assert_no_errno (dill_bundle_spawn (second, close_other, &crossers[1]));
  g_assert_no_errno (dill_hclose (first));
  g_assert_cmpuint (crossers[0].n_ended, ==, 1);
  g_assert_cmpuint (crossers[1].n_ended, ==, 1);
  test_assert_errno (dill_hclose (second), EBADF);
}

static void
close_and_go_on (void *data)
{
  Crosser *crosser = data;

  g_assert_no_errno (dill_yield ());
  g_assert_no_errno (dill_hclose (crosser->own));
  g_assert_cmpuint (crosser->n_ended, ==, 1);
  g_assert_cmpuint (*crosser->n_untouched, ==, 0);
  g_assert_no_errno (dill_yield ()); /* nobody has cancelled him either */
  crosser->n_ended++;
}

/* He who is cancelled tries to close the bundle of the one who cancels him, and of others, who are left alone. */
static void
test_close_canceler (void)
{
  guint n_untouched = 0;
  int callers = test_assert_ok (dill_bundle ()), b = test_assert_ok (dill_bundle ());
  Crosser crosser = { .own = b, .other = callers, .expected = EDEADLK, .n_untouched = &n_untouched };

  g_assert_no_errno (dill_bundle_spawn (b, close_other, &crosser));
  g_assert_no_errno (dill_bundle_spawn (callers, sleep_for_ever, &n_untouched));
  g_assert_no_errno (dill_bundle_spawn (callers, close_and_go_on, &crosser));
  test_iterate_until (crosser.n_ended == 2);
  test_assert_errno (dill_bundle_wait (callers, dill_now () + 10), ETIMEDOUT);
  g_assert_cmpuint (n_untouched, ==, 0);
  g_assert_no_errno (dill_hclose (callers));
  g_assert_cmpuint (n_untouched, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/bundle-order/waiters-everywhere", test_waiters_everywhere);
  g_test_add_data_func ("/bundle-order/woken-then-refilled", GINT_TO_POINTER (FALSE), test_woken_but_not_run);
  g_test_add_data_func ("/bundle-order/woken-then-closed", GINT_TO_POINTER (TRUE), test_woken_but_not_run);
  g_test_add_func ("/bundle-order/nested", test_nested_in_order);
  g_test_add_func ("/bundle-order/joining", test_order_of_joining);
  g_test_add_func ("/bundle-order/close-each-other", test_close_each_other);
  g_test_add_func ("/bundle-order/close-canceler", test_close_canceler);
  return g_test_run ();
}
