/* test-wait.c: what every wait has in common: outcomes, the order of waking, cancellation, and the object that goes
 * away.
 *
 * The first outcome counts, and one that was delivered wins over a later cancellation.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/wait.h"
#include "coroutine-utils.h"
#include "engine/thread.h"

/* --- Outcomes --- */

/* One wait in a queue, as an object has it. */
typedef struct
{
  struct dill_list queue;
  struct dill_wait *wait;
  gint64 deadline; /* 0: one that comes soon */
  enum dill_outcome outcome;
  gboolean left_queue;
  gboolean ended;
  GString *log; /* NULL, or where to write the letter when it has ended */
  char letter;
} Object;

/* Begins a wait whose deadline, which is returned, comes soon, but has not yet. */
static gint64
begin_short_wait (struct dill_wait *wait)
{
  for (int64_t patience = 2;; patience = next_patience (patience))
    {
      gint64 deadline = dill_now () + patience;

      if (dill_wait_begin (wait, "test", deadline) == 0)
        return deadline;
      g_assert_cmpint (errno, ==, ETIMEDOUT);
    }
}

static void
wait_for_object (void *data)
{
  Object *object = data;
  struct dill_wait wait;

  if (object->deadline == 0)
    object->deadline = begin_short_wait (&wait);
  else
    g_assert_no_errno (dill_wait_begin (&wait, "test", object->deadline));
  dill_list_append (&object->queue, &wait.queue);
  object->wait = &wait;
  object->outcome = dill_wait_block (&wait);
  object->left_queue = dill_list_is_empty (&wait.queue);
  object->ended = TRUE;
  if (object->log != NULL)
    g_string_append_c (object->log, object->letter);
}

static int
object_init (Object *object, gint64 deadline)
{
  *object = (Object) { .deadline = deadline };
  dill_list_init (&object->queue);
  return test_assert_ok (dill_spawn (wait_for_object, object));
}

/* Waking only queues, and the first outcome counts. */
static void
test_first_outcome (void)
{
  Object object;
  int h = object_init (&object, soon ());

  dill_wait_wake (object.wait, DILL_READY);
  dill_wait_wake (object.wait, DILL_TIMED_OUT);
  dill_wait_wake (object.wait, DILL_CANCELED);
  g_assert_false (object.ended);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (object.outcome, ==, DILL_READY);
  g_assert_true (object.left_queue);
  g_assert_true (dill_list_is_empty (&object.queue));
  g_assert_no_errno (dill_hclose (h));
}

static void
test_time_out (void)
{
  Object object;
  int h = object_init (&object, 0);

  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (object.outcome, ==, DILL_TIMED_OUT);
  g_assert_cmpint (dill_now (), >=, object.deadline);
  g_assert_true (dill_list_is_empty (&object.queue));
  g_assert_no_errno (dill_hclose (h));
}

/* A waiter that was told READY, and has not run when the object goes, must not touch it. */
static void
test_close_after_wake (void)
{
  Object object;
  int h = object_init (&object, -1);

  dill_wait_wake (object.wait, DILL_READY);
  dill_wait_close_all (&object.queue);
  g_assert_true (dill_list_is_empty (&object.queue));
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (object.outcome, ==, DILL_CLOSED);
  g_assert_no_errno (dill_hclose (h));
}

/* Somebody who was dismissed keeps what he was told. */
static void
test_dismiss (void)
{
  Object object;
  int h = object_init (&object, -1);

  dill_wait_dismiss_all (&object.queue, DILL_READY);
  g_assert_true (dill_list_is_empty (&object.queue));
  dill_wait_close_all (&object.queue);
  g_assert_no_errno (dill_hclose (h));
  g_assert_cmpint (object.outcome, ==, DILL_READY);
}

static void
test_delivered_wins_over_cancellation (void)
{
  Object object;
  int h = object_init (&object, soon ());

  dill_wait_wake (object.wait, DILL_READY);
  g_assert_no_errno (dill_hclose (h));
  g_assert_true (object.ended);
  g_assert_cmpint (object.outcome, ==, DILL_READY);
  g_assert_true (object.left_queue);
}

static void
test_cancellation (void)
{
  Object object;
  int h = object_init (&object, soon ());

  g_assert_no_errno (dill_hclose (h));
  g_assert_true (object.ended);
  g_assert_cmpint (object.outcome, ==, DILL_CANCELED);
  g_assert_true (dill_list_is_empty (&object.queue));
}

/* A wait that is begun but not blocked in leaves no trace. */
static void
test_abandon (void)
{
  struct dill_wait wait;
  int64_t deadline = begin_short_wait (&wait);

  dill_wait_abandon (&wait);
  g_assert_no_errno (dill_msleep (deadline + 2));
  g_assert_cmpint (wait.outcome, ==, DILL_PENDING);
  g_assert_null (wait.engine->timers.root);
}

/* A pause before another try is not a time-out, unless the deadline comes first. */
static void
test_retry (void)
{
  struct dill_wait wait;
  gint64 start = dill_now ();

  g_assert_no_errno (dill_wait_begin (&wait, "test", soon ()));
  dill_wait_retry_in (&wait, 3);
  g_assert_cmpint (dill_wait_block (&wait), ==, DILL_READY);
  g_assert_cmpint (dill_now (), >=, start + 3);

  begin_short_wait (&wait);
  dill_wait_retry_in (&wait, 100000);
  g_assert_cmpint (dill_wait_block (&wait), ==, DILL_TIMED_OUT);

  g_assert_no_errno (dill_wait_begin (&wait, "test", -1));
  dill_wait_retry_in (&wait, 1);
  g_assert_cmpint (dill_wait_block (&wait), ==, DILL_READY);
}

static void
test_result (void)
{
  g_assert_cmpint (dill_wait_result (DILL_READY), ==, 0);
  test_assert_errno (dill_wait_result (DILL_TIMED_OUT), ETIMEDOUT);
  test_assert_errno (dill_wait_result (DILL_CANCELED), ECANCELED);
  test_assert_errno (dill_wait_result (DILL_CLOSED), ECANCELED);
}

/* --- Ready queue --- */

typedef struct
{
  GString *log;
  char letter;
} Writer;

static void
write_twice (void *data)
{
  Writer *writer = data;

  for (guint i = 0; i < 2; i++)
    {
      g_string_append_c (writer->log, writer->letter);
      g_assert_no_errno (dill_yield ());
    }
  g_string_append_c (writer->log, writer->letter);
}

static void
test_first_in_first_out (void)
{
  g_autoptr (GString) log = g_string_new (NULL);
  Writer writers[] = { { log, 'a' }, { log, 'b' }, { log, 'c' } };
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < G_N_ELEMENTS (writers); i++)
    g_assert_no_errno (dill_bundle_spawn (b, write_twice, &writers[i]));
  g_assert_cmpstr (log->str, ==, "abc");
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_cmpstr (log->str, ==, "abcabcabc");
  g_assert_no_errno (dill_hclose (b));
}

/* The order of waking, not that of beginning to wait. */
static void
test_order_of_waking (void)
{
  g_autoptr (GString) log = g_string_new (NULL);
  Object objects[3];
  int handles[3];

  for (guint i = 0; i < 3; i++)
    {
      handles[i] = object_init (&objects[i], -1);
      objects[i].log = log;
      objects[i].letter = (char) ('a' + i);
    }
  dill_wait_wake (objects[2].wait, DILL_READY);
  dill_wait_wake (objects[0].wait, DILL_READY);
  dill_wait_wake (objects[1].wait, DILL_READY);

  for (guint i = 0; i < 3; i++)
    g_assert_no_errno (dill_bundle_wait (handles[i], soon ()));
  g_assert_cmpstr (log->str, ==, "cab");
  for (guint i = 0; i < 3; i++)
    g_assert_no_errno (dill_hclose (handles[i]));
}

/* --- Cancellation --- */

typedef struct
{
  int yields[2];
  int errors[2];
  gboolean ended;
} Canceled;

static void
use_after_cancellation (void *data)
{
  Canceled *canceled = data;
  struct dill_wait wait;
  int ends[2] = { -1, -1 };

  for (guint i = 0; i < 2; i++)
    {
      errno = 0;
      canceled->yields[i] = dill_yield ();
      canceled->errors[i] = errno;
    }

  /* Waits that would not have to wait, and with a deadline that has passed, too. */
  test_assert_errno (dill_msleep (0), ECANCELED);
  test_assert_errno (dill_msleep (dill_now () + 1), ECANCELED);
  test_assert_errno (dill_fdin (0, 0), ECANCELED);
  test_assert_errno (dill_fdout (1, -1), ECANCELED);
  test_assert_errno (dill_wait_begin (&wait, "test", -1), ECANCELED);
  test_assert_errno (dill_wait_allowed (), ECANCELED);
  test_assert_errno (dill_spawn (use_after_cancellation, NULL), ECANCELED);
  test_assert_errno (dill_bundle (), ECANCELED);
  test_assert_errno (dill_chmake (ends), ECANCELED);
#if DILL_HAS_SOCKETS
  test_assert_errno (dill_ipc_pair (ends), ECANCELED);
#endif
  canceled->ended = TRUE;
}

/* The yield's outcome had been delivered already; from then on everything fails at entry. */
static void
test_canceled_at_entry (void)
{
  Canceled canceled = { .ended = FALSE };
  int h = test_assert_ok (dill_spawn (use_after_cancellation, &canceled));

  g_assert_no_errno (dill_hclose (h));
  g_assert_true (canceled.ended);
  g_assert_cmpint (canceled.yields[0], ==, 0);
  g_assert_cmpint (canceled.yields[1], ==, -1);
  g_assert_cmpint (canceled.errors[1], ==, ECANCELED);

  /* Nobody else is. */
  g_assert_no_errno (dill_yield ());
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wait/first-outcome", test_first_outcome);
  g_test_add_func ("/wait/time-out", test_time_out);
  g_test_add_func ("/wait/close-after-wake", test_close_after_wake);
  g_test_add_func ("/wait/dismiss", test_dismiss);
  g_test_add_func ("/wait/delivered-wins-over-cancellation", test_delivered_wins_over_cancellation);
  g_test_add_func ("/wait/cancellation", test_cancellation);
  g_test_add_func ("/wait/abandon", test_abandon);
  g_test_add_func ("/wait/retry", test_retry);
  g_test_add_func ("/wait/result", test_result);
  g_test_add_func ("/wait/first-in-first-out", test_first_in_first_out);
  g_test_add_func ("/wait/order-of-waking", test_order_of_waking);
  g_test_add_func ("/wait/canceled-at-entry", test_canceled_at_entry);
  return g_test_run ();
}
