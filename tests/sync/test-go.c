/* test-go.c: starting coroutines, and the stacks they run on.
 *
 * A new coroutine runs at once, and its starter goes on when it first waits or ends: nobody else runs in between.
 * Want of stacks is ENOMEM.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine-utils.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static dill_coroutine void
write_letters (GString *log, char first, char second)
{
  g_string_append_c (log, first);
  if (second == '\0')
    return;

  if (dill_yield () == 0)
    g_string_append_c (log, second);
}

/* --- Order --- */

static void
test_runs_at_once (void)
{
  g_autoptr (GString) log = g_string_new (NULL);
  int first, second;

  first = test_assert_ok (dill_go (write_letters (log, 'a', 'A')));
  g_string_append_c (log, '1');
  second = test_assert_ok (dill_go (write_letters (log, 'b', '\0')));
  g_string_append_c (log, '2');
  g_assert_cmpstr (log->str, ==, "a1b2");
  g_assert_no_errno (dill_bundle_wait (first, soon ()));
  g_assert_cmpstr (log->str, ==, "a1b2A");
  g_assert_no_errno (dill_hclose (first));
  g_assert_no_errno (dill_hclose (second));
}

/* In a coroutine with others ready, too: they have to wait until the parent waits. */
static dill_coroutine void
start_children (GString *log, int b)
{
  g_assert_no_errno (dill_yield ());
  g_string_append_c (log, '(');
  g_assert_no_errno (dill_bundle_go (b, write_letters (log, 'a', 'A')));
  g_assert_no_errno (dill_bundle_go (b, write_letters (log, 'b', '\0')));
  g_assert_no_errno (dill_bundle_go (b, write_letters (log, 'c', 'C')));
  g_string_append_c (log, ')');
}

static void
test_nobody_in_between (void)
{
  g_autoptr (GString) log = g_string_new (NULL);
  int b = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_go (b, start_children (log, b)));
  g_assert_no_errno (dill_bundle_go (b, write_letters (log, 'x', 'X')));
  g_assert_cmpstr (log->str, ==, "x");
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_cmpstr (log->str, ==, "x(abc)XAC");
  g_assert_no_errno (dill_hclose (b));
}

/* Each runs within its parent. */
static dill_coroutine void
descend (GString *log, guint depth)
{
  int h;

  if (depth == 0)
    return;

  g_string_append_c (log, '(');
  h = test_assert_ok (dill_go (descend (log, depth - 1)));
  g_string_append_c (log, ')');
  g_assert_no_errno (dill_hclose (h));
}

static void
test_nested (void)
{
  g_autoptr (GString) log = g_string_new (NULL);
  int h = test_assert_ok (dill_go (descend (log, 5)));

  g_assert_cmpstr (log->str, ==, "((((()))))");
  g_assert_no_errno (dill_hclose (h));
}

/* --- Arguments --- */

typedef struct
{
  int values[20];
} Large;

static guint n_evaluated;

static int
evaluate (int value)
{
  n_evaluated++;
  return value;
}

static dill_coroutine void
take_many (double *sum, int a, double b, gint64 c, float d, int e, int f, int g, int h, Large large, short i, double j)
{
  g_assert_no_errno (dill_yield ());
  *sum = a + b + (double) c + (double) d + e + f + g + h + i + j;
  for (guint k = 0; k < G_N_ELEMENTS (large.values); k++)
    *sum += large.values[k];
}

/* By value and at once, whatever becomes of the variables. */
static void
test_arguments (void)
{
  double sums[3] = { 0 };
  Large large;
  int handles[3];

  for (int i = 0; i < 20; i++)
    large.values[i] = i;
  n_evaluated = 0;
  for (int i = 0; i < 3; i++)
    handles[i] = test_assert_ok (
        dill_go (take_many (&sums[i], evaluate (i), 0.5, (gint64) 1 << 40, 0.25f, 1, 2, 3, 4, large, 5, 0.125)));
  g_assert_cmpuint (n_evaluated, ==, 3);
  memset (&large, 0x7f, sizeof large);

  for (int i = 0; i < 3; i++)
    {
      g_assert_no_errno (dill_bundle_wait (handles[i], soon ()));
      g_assert_cmpfloat (sums[i], ==, i + 0.5 + (double) ((gint64) 1 << 40) + 0.25 + 15 + 0.125 + 190);
      g_assert_no_errno (dill_hclose (handles[i]));
    }
  g_assert_cmpuint (n_evaluated, ==, 3);
}

static dill_coroutine void
add_one (void *data)
{
  g_assert_no_errno (dill_yield ());
  (*(guint *) data)++;
}

static void
test_spawn (void)
{
  guint n_calls = 0;
  int h = test_assert_ok (dill_spawn (add_one, &n_calls));

  g_assert_cmpuint (n_calls, ==, 0);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpuint (n_calls, ==, 1);
  g_assert_no_errno (dill_hclose (h));
}

/* --- Many --- */

static dill_coroutine void
wait_for (int h, guint *n_ended)
{
  g_assert_no_errno (dill_bundle_wait (h, -1));
  (*n_ended)++;
}

static dill_coroutine void
sleep_until (gint64 deadline, guint *n_ended)
{
  g_assert_no_errno (dill_msleep (deadline));
  (*n_ended)++;
}

static dill_coroutine void
sleep_until_canceled (guint *n_ended)
{
  test_assert_errno (dill_msleep (-1), ECANCELED);
  (*n_ended)++;
}

/* All of them alive at the same time, and woken or cancelled at once.  Their stacks have to find address space. */
static void
test_many (void)
{
  const guint n_coroutines = sizeof (void *) < 8 ? 3000 : 10000;
  guint n_ended = 0, n_canceled = 0;
  int gate, lucky, unlucky;

  if (test_skip_under (TEST_UNDER_TSAN, "it has room for 8,000 flows of control"))
    return;

  gate = test_assert_ok (dill_go (sleep_until (dill_now () + 300, &n_ended)));
  lucky = test_assert_ok (dill_bundle ());
  unlucky = test_assert_ok (dill_bundle ());
  for (guint i = 0; i < n_coroutines; i++)
    {
      test_assert_ok (dill_bundle_go (lucky, wait_for (gate, &n_ended)));
      test_assert_ok (dill_bundle_go (unlucky, sleep_until_canceled (&n_canceled)));
    }
  g_assert_no_errno (dill_hclose (unlucky));
  g_assert_cmpuint (n_canceled, ==, n_coroutines);
  g_assert_no_errno (dill_bundle_wait (lucky, soon ()));
  g_assert_cmpuint (n_ended, ==, n_coroutines + 1);
  g_assert_no_errno (dill_hclose (lucky));
  g_assert_no_errno (dill_hclose (gate));
}

/* --- No memory --- */

static int
run_out_of_address_space (gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  struct rlimit limit = { .rlim_cur = 300 << 20, .rlim_max = 300 << 20 };
  guint n_canceled = 0, n_started = 0, n_ended = 0;
  int b, h;

  g_main_context_push_thread_default (context);
  b = test_assert_ok (dill_bundle ());
  g_assert_no_errno (dill_set_stack_size (1 << 20));
  g_assert_no_errno (dill_yield ());
  g_assert_no_errno (setrlimit (RLIMIT_AS, &limit));
  while (dill_bundle_go (b, sleep_until_canceled (&n_canceled)) == 0)
    n_started++;
  g_assert_cmpint (errno, ==, ENOMEM);
  g_assert_cmpuint (n_started, >, 50);
  g_assert_cmpuint (n_started, <, 300);
  test_assert_errno (dill_go (sleep_until_canceled (&n_canceled)), ENOMEM);
  test_assert_errno (dill_spawn (add_one, &n_ended), ENOMEM);
  g_assert_cmpuint (n_ended, ==, 0);

  /* The others are not harmed, and room comes back with their end. */
  g_assert_no_errno (dill_hclose (b));
  g_assert_cmpuint (n_canceled, ==, n_started);
  h = test_assert_ok (dill_spawn (add_one, &n_ended));
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpuint (n_ended, ==, 1);
  g_assert_no_errno (dill_hclose (h));
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_no_memory (void)
{
  if (test_skip_under (TEST_UNDER_ANY, "it needs more address space itself than can be left"))
    return;

  g_assert_cmpint (test_in_child (run_out_of_address_space, NULL), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/go/runs-at-once", test_runs_at_once);
  g_test_add_func ("/go/nobody-in-between", test_nobody_in_between);
  g_test_add_func ("/go/nested", test_nested);
  g_test_add_func ("/go/arguments", test_arguments);
  g_test_add_func ("/go/spawn", test_spawn);
  g_test_add_func ("/go/many", test_many);
  g_test_add_func ("/go/no-memory", test_no_memory);
  return g_test_run ();
}
