/* test-deadline.c: deadlines of waits hold however near or far they are, and however many there are.
 *
 * None comes early.  Neither 0 nor the past waits, and a negative one never comes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine-utils.h"
#include "engine/thread.h"
#include "engine/wait.h"

#include <unistd.h>

/* Neither 0 nor the past waits, nor lets anybody else run. */
static void
test_no_wait (void)
{
  const gint64 deadlines[] = { 0, 1, dill_now (), dill_now () - 1 };
  guint n_calls = 0;
  GSource *source = add_busy_source (NULL, &n_calls);
  struct dill_wait wait;
  int fds[2];

  g_assert_no_errno (pipe (fds));
  for (guint i = 0; i < G_N_ELEMENTS (deadlines); i++)
    {
      g_assert_no_errno (dill_msleep (deadlines[i]));
      test_assert_errno (dill_fdin (fds[0], deadlines[i]), ETIMEDOUT);
      test_assert_errno (dill_wait_begin (&wait, "test", deadlines[i]), ETIMEDOUT);
    }
  g_assert_cmpuint (n_calls, ==, 0);

  remove_source (source);
  close (fds[0]);
  close (fds[1]);
}

/* Never early: not by the rounding of poll (2) either. */
static void
test_never_early (void)
{
  for (guint i = 0; i < 20; i++)
    {
      gint64 deadline = dill_now () + 1 + i % 4;

      g_assert_no_errno (dill_msleep (deadline));
      g_assert_cmpint (dill_now (), >=, deadline);
    }
}

typedef struct
{
  gint64 deadline;
  gint64 woken_at;
  guint number;
  int result;
  int error;
  GArray *order;
} Sleeper;

static void
sleep_once (void *data)
{
  Sleeper *sleeper = data;

  sleeper->result = dill_msleep (sleeper->deadline);
  sleeper->error = errno;
  sleeper->woken_at = dill_now ();
  if (sleeper->order != NULL)
    g_array_append_val (sleeper->order, sleeper->number);
}

/* What the context would tell poll (2), once there is nothing to do. */
static int
poll_timeout (void)
{
  GMainContext *context = g_main_context_default ();
  GPollFD fds[16];
  int timeout, priority;

  while (g_main_context_iteration (context, FALSE))
    continue;
  g_assert_true (g_main_context_acquire (context));
  g_main_context_prepare (context, &priority);
  g_main_context_query (context, priority, &timeout, fds, G_N_ELEMENTS (fds));
  g_main_context_release (context);
  return timeout;
}

/* More milliseconds than poll (2) can be told of. */
static void
test_far_away (void)
{
  const gint64 days = 24 * 3600 * (gint64) 1000;
  const gint64 deadlines[] = { dill_now () + 30 * days, dill_now () + 10000 * days, G_MAXINT64 };

  for (guint i = 0; i < G_N_ELEMENTS (deadlines); i++)
    {
      Sleeper sleeper = { .deadline = deadlines[i], .result = 1 };
      int h = test_assert_ok (dill_spawn (sleep_once, &sleeper));

      g_assert_cmpint (poll_timeout (), ==, G_MAXINT);
      g_assert_no_errno (dill_msleep (dill_now () + 2));
      g_assert_cmpint (sleeper.result, ==, 1);
      g_assert_no_errno (dill_hclose (h));
      g_assert_cmpint (sleeper.result, ==, -1);
      g_assert_cmpint (sleeper.error, ==, ECANCELED);
    }
}

/* A negative one never comes, so that the context need not wake up for it. */
static void
test_negative (void)
{
  const gint64 deadlines[] = { -1, -2, G_MININT64 };

  for (guint i = 0; i < G_N_ELEMENTS (deadlines); i++)
    {
      Sleeper sleeper = { .deadline = deadlines[i], .result = 1 };
      int h = test_assert_ok (dill_spawn (sleep_once, &sleeper));

      g_assert_cmpint (poll_timeout (), ==, -1);
      g_assert_no_errno (dill_msleep (dill_now () + 2));
      g_assert_cmpint (sleeper.result, ==, 1);
      g_assert_no_errno (dill_hclose (h));
      g_assert_cmpint (sleeper.error, ==, ECANCELED);
    }
}

/* Ten thousand wake up by their deadlines, those with the same one in the order in which they began to wait. */
static void
test_many (void)
{
  const guint n_sleepers = 10000;
  g_autofree Sleeper *sleepers = g_new0 (Sleeper, n_sleepers);
  g_autoptr (GArray) order = g_array_new (FALSE, FALSE, sizeof (guint));
  int b = test_assert_ok (dill_bundle ());
  gint64 start = dill_now () + 50;
  guint n_late;

  for (guint i = 0; i < n_sleepers; i++)
    {
      sleepers[i] = (Sleeper) { .number = i, .order = order, .deadline = start + g_test_rand_int_range (0, 40) };
      g_assert_no_errno (dill_bundle_spawn (b, sleep_once, &sleepers[i]));
    }
  n_late = order->len; /* their deadlines had passed before they began: they did not wait */
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_no_errno (dill_hclose (b));

  g_assert_cmpuint (order->len, ==, n_sleepers);
  for (guint i = 0; i < n_sleepers; i++)
    {
      Sleeper *sleeper = &sleepers[g_array_index (order, guint, i)];

      g_assert_cmpint (sleeper->result, ==, 0);
      g_assert_cmpint (sleeper->woken_at, >=, sleeper->deadline);
      if (i > n_late)
        {
          Sleeper *before = &sleepers[g_array_index (order, guint, i - 1)];

          g_assert_cmpint (before->deadline, <=, sleeper->deadline);
          if (before->deadline == sleeper->deadline)
            g_assert_cmpuint (before->number, <, sleeper->number);
        }
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/deadline/no-wait", test_no_wait);
  g_test_add_func ("/deadline/never-early", test_never_early);
  g_test_add_func ("/deadline/far-away", test_far_away);
  g_test_add_func ("/deadline/negative", test_negative);
  g_test_add_func ("/deadline/many", test_many);
  return g_test_run ();
}
