/* test-choose.c: exactly one of several things is done, the first that can be.
 *
 * The order of the array decides between clauses that are ready, the order of coming between those who wait.  Whatever
 * ends the wait takes all of its clauses away, the end of the stack that they are on included.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-utils.h"

#include <dillipc/dillipc.h>
#include <string.h>

/* A deadline that is never reached unless something is wrong. */
#define SOON (dill_now () + 10000)
#define N_CHANNELS 20

/* Some channels, a bundle for those who use them, and clauses that receive from all of them. */
typedef struct
{
  int near[N_CHANNELS];
  int far[N_CHANNELS];
  int b;
  int values[N_CHANNELS];
  struct dill_chclause clauses[N_CHANNELS];
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  (void) data;
  fixture->b = test_assert_ok (dill_bundle ());
  for (guint i = 0; i < N_CHANNELS; i++)
    {
      int ends[2];

      g_assert_no_errno (dill_chmake (ends));
      fixture->near[i] = ends[0];
      fixture->far[i] = ends[1];
      fixture->clauses[i] = (struct dill_chclause){ DILL_CHRECV, ends[0], &fixture->values[i], sizeof (int) };
    }
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  (void) data;
  g_assert_no_errno (dill_hclose (fixture->b));
  for (guint i = 0; i < N_CHANNELS; i++)
    {
      if (fixture->near[i] >= 0)
        g_assert_no_errno (dill_hclose (fixture->near[i]));
      g_assert_no_errno (dill_hclose (fixture->far[i]));
    }
}

/* One coroutine that chooses, and what becomes of that. */
typedef struct
{
  struct dill_chclause *clauses;
  int n_clauses;
  gint64 deadline;
  int result; /* -2: it still waits */
  int error;
} Chooser;

static void
choose (void *data)
{
  Chooser *chooser = data;

  chooser->result = -2;
  errno = 0;
  chooser->result = dill_choose (chooser->clauses, chooser->n_clauses, chooser->deadline);
  chooser->error = errno;
}

static void
chooser_start (Chooser *chooser, int b, struct dill_chclause *clauses, int n_clauses)
{
  *chooser = (Chooser) { clauses, n_clauses, SOON, 0, 0 };
  g_assert_no_errno (dill_bundle_spawn (b, choose, chooser));
  g_assert_cmpint (chooser->result, ==, -2);
}

static void
assert_chooser (const Chooser *chooser, int result, int error)
{
  g_assert_cmpint (chooser->result, ==, result);
  g_assert_cmpstr (test_errno_name (chooser->error), ==, test_errno_name (error));
}

#define assert_choice(result, error, ...)                                                                              \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    int choice_ = (errno = -1, dill_choose (__VA_ARGS__));                                                             \
    int error_ = errno;                                                                                                \
    g_assert_cmpint (choice_, ==, result);                                                                             \
    g_assert_cmpint (error_, ==, error);                                                                               \
  }                                                                                                                    \
  G_STMT_END

static dill_coroutine void
send (int ch, int value)
{
  dill_chsend (ch, &value, sizeof value, -1);
}

static void
start_sender (Fixture *fixture, guint i, int value)
{
  g_assert_no_errno (dill_bundle_go (fixture->b, send (fixture->far[i], value)));
}

static void
finish (Fixture *fixture)
{
  g_assert_no_errno (dill_bundle_wait (fixture->b, SOON));
}

/* --- Which one --- */

static void
test_first_in_array (Fixture *fixture, gconstpointer data)
{
  (void) data;
  start_sender (fixture, 7, 70);
  start_sender (fixture, 3, 30);
  start_sender (fixture, 15, 150);
  assert_choice (3, 0, fixture->clauses, N_CHANNELS, -1);
  assert_choice (7, 0, fixture->clauses, N_CHANNELS, 0);
  assert_choice (15, 0, fixture->clauses, N_CHANNELS, SOON);
  assert_choice (-1, ETIMEDOUT, fixture->clauses, N_CHANNELS, 0);
  g_assert_cmpint (fixture->values[3], ==, 30);
  g_assert_cmpint (fixture->values[7], ==, 70);
  g_assert_cmpint (fixture->values[15], ==, 150);
}

/* With as many clauses as stand on the stack, and with more. */
static void
test_whichever_comes_first (Fixture *fixture, gconstpointer data)
{
  (void) data;
  for (int n = 1; n <= N_CHANNELS; n++)
    {
      Chooser chooser;
      int value = 100 + n;

      chooser_start (&chooser, fixture->b, fixture->clauses, n);
      g_assert_no_errno (dill_chsend (fixture->far[n - 1], &value, sizeof value, 0));
      for (int i = 0; i < n; i++) /* the others are not open any more, though he has not run */
        test_assert_errno (dill_chsend (fixture->far[i], &value, sizeof value, 0), ETIMEDOUT);
      finish (fixture);
      assert_chooser (&chooser, n - 1, 0);
      g_assert_cmpint (fixture->values[n - 1], ==, 100 + n);
    }
}

static void
test_first_come_first_served (Fixture *fixture, gconstpointer data)
{
  Chooser choosers[6];
  int values[6] = { 0 };
  struct dill_chclause clauses[6][2];

  (void) data;
  for (int i = 0; i < 6; i++)
    {
      /* Each for both channels, in either order: that decides nothing between those who wait. */
      clauses[i][0] = (struct dill_chclause){ DILL_CHRECV, fixture->near[i & 1], &values[i], sizeof (int) };
      clauses[i][1] = (struct dill_chclause){ DILL_CHRECV, fixture->near[!(i & 1)], &values[i], sizeof (int) };
      chooser_start (&choosers[i], fixture->b, clauses[i], 2);
    }
  for (int i = 0; i < 6; i++)
    g_assert_no_errno (dill_chsend (fixture->far[i / 2 & 1], &i, sizeof i, 0));
  finish (fixture);
  for (int i = 0; i < 6; i++)
    {
      g_assert_cmpint (values[i], ==, i);
      assert_chooser (&choosers[i], (i & 1) != (i / 2 & 1), 0);
    }
}

static void
test_same_channel_twice (Fixture *fixture, gconstpointer data)
{
  int first = 0, second = 0;
  struct dill_chclause clauses[] = {
    { DILL_CHRECV, fixture->near[0], &first, sizeof first },
    { DILL_CHRECV, fixture->near[0], &second, sizeof second },
  };
  Chooser chooser;

  (void) data;
  start_sender (fixture, 0, 1);
  assert_choice (0, 0, clauses, 2, 0);
  finish (fixture);
  chooser_start (&chooser, fixture->b, clauses, 2);
  start_sender (fixture, 0, 2);
  finish (fixture);
  assert_chooser (&chooser, 0, 0);
  g_assert_cmpint (first, ==, 2);
  g_assert_cmpint (second, ==, 0);

  chooser_start (&chooser, fixture->b, clauses, 2);
  g_assert_no_errno (dill_hclose (fixture->near[0]));
  fixture->near[0] = -1;
  finish (fixture);
  assert_chooser (&chooser, 0, ECANCELED);
}

/* Sending and receiving on the two ends of one channel: it takes somebody else, and two such ones meet. */
static void
test_never_meets_itself (Fixture *fixture, gconstpointer data)
{
  int sent[2] = { 1, 2 }, received[2] = { 0, 0 };
  struct dill_chclause clauses[2][2];
  Chooser choosers[2];

  (void) data;
  for (guint i = 0; i < 2; i++)
    {
      clauses[i][0] = (struct dill_chclause){ DILL_CHSEND, fixture->near[0], &sent[i], sizeof (int) };
      clauses[i][1] = (struct dill_chclause){ DILL_CHRECV, fixture->far[0], &received[i], sizeof (int) };
    }
  assert_choice (-1, ETIMEDOUT, clauses[0], 2, 0);
  assert_choice (-1, ETIMEDOUT, clauses[0], 2, dill_now () + 2);

  chooser_start (&choosers[0], fixture->b, clauses[0], 2);
  choosers[1] = (Chooser) { clauses[1], 2, SOON, 0, 0 };
  g_assert_no_errno (dill_bundle_spawn (fixture->b, choose, &choosers[1]));
  finish (fixture);
  assert_chooser (&choosers[1], 0, 0);
  assert_chooser (&choosers[0], 1, 0);
  g_assert_cmpint (received[0], ==, 2);
}

/* Neither lets others run nor waits. */
static void
test_no_wait (Fixture *fixture, gconstpointer data)
{
  const gint64 deadlines[] = { 0, 1, dill_now () };
  int value = 1;
  struct dill_chclause clause = { DILL_CHRECV, fixture->near[0], &value, sizeof value };
  Chooser woken;
  gint64 end;

  (void) data;
  chooser_start (&woken, fixture->b, fixture->clauses + 1, 1);
  g_assert_no_errno (dill_chsend (fixture->far[1], &value, sizeof value, 0));
  for (guint i = 0; i < G_N_ELEMENTS (deadlines); i++)
    for (end = dill_now () + 4; dill_now () < end;)
      assert_choice (-1, ETIMEDOUT, &clause, 1, deadlines[i]);
  g_assert_cmpint (woken.result, ==, -2);
  assert_choice (-1, ETIMEDOUT, NULL, 0, 0);
  assert_choice (-1, ETIMEDOUT, NULL, 0, dill_now () + 3);
  g_assert_cmpint (woken.result, ==, 0);
}

/* --- Faults --- */

static void
test_faulty_clause (Fixture *fixture, gconstpointer data)
{
  const struct
  {
    struct dill_chclause clause;
    int error;
  } faults[] = {
    { { DILL_CHRECV, -1, &fixture->values[1], sizeof (int) }, EBADF },
    { { DILL_CHRECV, fixture->b, &fixture->values[1], sizeof (int) }, ENOTSUP },
    { { 0, fixture->near[1], &fixture->values[1], sizeof (int) }, EINVAL },
    { { 3, fixture->near[1], &fixture->values[1], sizeof (int) }, EINVAL },
    { { DILL_CHSEND, fixture->near[1], NULL, 1 }, EINVAL },
  };

  (void) data;
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      fixture->clauses[12] = faults[i].clause;
      assert_choice (12, faults[i].error, fixture->clauses, N_CHANNELS, -1);
      assert_choice (12, faults[i].error, fixture->clauses, N_CHANNELS, 0);

      /* What comes before it in the array comes first, what comes after it does not. */
      start_sender (fixture, 11, (int) i);
      start_sender (fixture, 13, (int) i);
      assert_choice (11, 0, fixture->clauses, N_CHANNELS, -1);
      g_assert_cmpint (fixture->values[11], ==, (int) i);
      assert_choice (12, faults[i].error, fixture->clauses, N_CHANNELS, -1);
      assert_choice (0, 0, &fixture->clauses[13], 1, 0);
      finish (fixture);
    }
  test_assert_errno (dill_choose (fixture->clauses, -1, 0), EINVAL);
  test_assert_errno (dill_choose (NULL, 1, 0), EINVAL);
}

static void
test_size_mismatch (Fixture *fixture, gconstpointer data)
{
  Chooser chooser;
  char small = 'x';

  (void) data;
  chooser_start (&chooser, fixture->b, fixture->clauses, N_CHANNELS);
  test_assert_errno (dill_chsend (fixture->far[9], &small, sizeof small, 0), EMSGSIZE);
  finish (fixture);
  assert_chooser (&chooser, 9, EMSGSIZE);
  g_assert_no_errno (dill_bundle_go (fixture->b, send (fixture->far[9], 1)));
  fixture->clauses[9].len = 1;
  assert_choice (9, EMSGSIZE, fixture->clauses, N_CHANNELS, -1);
}

/* --- Ends of the wait --- */

static void
test_close (Fixture *fixture, gconstpointer data)
{
  Chooser choosers[2];
  int value = 1;

  (void) data;
  chooser_start (&choosers[0], fixture->b, fixture->clauses, 5);
  chooser_start (&choosers[1], fixture->b, fixture->clauses, N_CHANNELS);
  g_assert_no_errno (dill_hclose (fixture->near[4]));
  fixture->near[4] = -1;
  test_assert_errno (dill_chsend (fixture->far[1], &value, sizeof value, 0), ETIMEDOUT);
  finish (fixture);
  assert_chooser (&choosers[0], 4, ECANCELED);
  assert_chooser (&choosers[1], 4, ECANCELED);
  assert_choice (0, EBADF, &fixture->clauses[4], 1, -1);

  chooser_start (&choosers[0], fixture->b, fixture->clauses, 4);
  g_assert_no_errno (dill_hclose (fixture->far[2]));
  g_assert_no_errno (dill_hclose (fixture->near[2]));
  g_assert_no_errno (dill_chdone (fixture->far[1])); /* too late to matter */
  finish (fixture);
  assert_chooser (&choosers[0], 2, EPIPE);
  assert_choice (1, EPIPE, fixture->clauses, 4, -1);
  fixture->near[2] = -1;
  fixture->far[2] = test_assert_ok (dill_bundle ());
}

static void
test_time_out_and_cancellation (Fixture *fixture, gconstpointer data)
{
  Chooser chooser;
  int value = 1;

  (void) data;
  assert_choice (-1, ETIMEDOUT, fixture->clauses, N_CHANNELS, dill_now () + 2);
  chooser_start (&chooser, fixture->b, fixture->clauses, N_CHANNELS);
  g_assert_no_errno (dill_hclose (fixture->b));
  assert_chooser (&chooser, -1, ECANCELED);
  for (guint i = 0; i < N_CHANNELS; i++)
    test_assert_errno (dill_chsend (fixture->far[i], &value, sizeof value, 0), ETIMEDOUT);

  fixture->b = test_assert_ok (dill_bundle ());
  chooser_start (&chooser, fixture->b, fixture->clauses, N_CHANNELS);
  g_assert_no_errno (dill_chsend (fixture->far[19], &value, sizeof value, 0));
  g_assert_no_errno (dill_hclose (fixture->b));
  assert_chooser (&chooser, 19, 0); /* it had been delivered */
  fixture->b = test_assert_ok (dill_bundle ());
}

static void
test_thousands_of_clauses (Fixture *fixture, gconstpointer data)
{
  enum { N = 5000 };
  g_autofree struct dill_chclause *clauses = g_new (struct dill_chclause, N);
  Chooser choosers[3];
  int value = 5;

  (void) data;
  for (guint i = 0; i < N; i++)
    clauses[i] = fixture->clauses[i == N - 1 ? 1 : 0];
  for (guint i = 0; i < G_N_ELEMENTS (choosers); i++)
    chooser_start (&choosers[i], fixture->b, clauses, N);
  g_assert_no_errno (dill_chsend (fixture->far[1], &value, sizeof value, 0));
  g_assert_no_errno (dill_chsend (fixture->far[0], &value, sizeof value, 0));
  g_assert_no_errno (dill_chdone (fixture->far[1]));
  finish (fixture);
  assert_chooser (&choosers[0], N - 1, 0);
  assert_chooser (&choosers[1], 0, 0);
  assert_chooser (&choosers[2], N - 1, EPIPE);
}

/* --- Coroutines that never run again --- */

/* Writes over a stack that was given back. */
static void
use_stack (void *data)
{
  volatile char bytes[16384];

  (void) data;
  memset ((char *) bytes, 0x77, sizeof bytes);
}

static void
use_old_stacks (void)
{
  for (guint i = 0; i < 8; i++)
    g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (use_stack, NULL))));
}

/* Their context ends while they wait, some with few clauses, some with many, and one has been woken already; the
 * channels go on, and serve those who came before and after. */
static void
test_context_ends (Fixture *fixture, gconstpointer data)
{
  GMainContext *context = g_main_context_new ();
  Chooser before, after, lost[4];
  int handles[4], value = 1;

  (void) data;
  chooser_start (&before, fixture->b, fixture->clauses, 1);
  g_main_context_push_thread_default (context);
  for (int i = 0; i < 4; i++)
    {
      lost[i] = (Chooser) { fixture->clauses + 1, i < 2 ? 1 + i : N_CHANNELS - 1, i & 1 ? SOON : -1, 0, 0 };
      handles[i] = test_assert_ok (dill_spawn (choose, &lost[i]));
      g_assert_cmpint (lost[i].result, ==, -2);
    }
  g_main_context_pop_thread_default (context);
  chooser_start (&after, fixture->b, fixture->clauses + 1, 2);
  g_assert_no_errno (dill_chsend (fixture->far[1], &value, sizeof value, 0));

  test_expect_log (G_LOG_LEVEL_WARNING, "a GMainContext has ended with*", g_main_context_unref (context));
  use_old_stacks ();
  for (guint i = 3; i < N_CHANNELS; i++)
    test_assert_errno (dill_chsend (fixture->far[i], &value, sizeof value, 0), ETIMEDOUT);
  g_assert_no_errno (dill_chsend (fixture->far[0], &value, sizeof value, 0));
  g_assert_no_errno (dill_chsend (fixture->far[2], &value, sizeof value, 0));
  finish (fixture);
  assert_chooser (&before, 0, 0);
  assert_chooser (&after, 1, 0);
  for (guint i = 0; i < 4; i++)
    {
      g_assert_cmpint (lost[i].result, ==, -2);
      test_assert_errno (dill_hclose (handles[i]), EBADF);
    }
}

/* The same in memory of the caller's, for a member of a bundle that stays. */
static void
test_context_ends_own_stack (Fixture *fixture, gconstpointer data)
{
  GMainContext *context = g_main_context_new ();
  size_t len = 64 * 1024;
  void *stack = g_malloc (len);
  int value = 1;

  (void) data;
  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_bundle_go_mem (fixture->b, dill_choose (fixture->clauses, 3, -1), stack, len));
  g_main_context_pop_thread_default (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "a GMainContext has ended with*", g_main_context_unref (context));
  memset (stack, 0x77, len);
  g_free (stack);
  test_assert_errno (dill_chsend (fixture->far[2], &value, sizeof value, 0), ETIMEDOUT);
  g_assert_no_errno (dill_hclose (fixture->far[1]));
  fixture->far[1] = test_assert_ok (dill_bundle ());
}

static gpointer
leave_choosers (gpointer data)
{
  static struct dill_chclause clauses[N_CHANNELS];
  static Chooser choosers[2];

  (void) data;
  for (guint i = 0; i < N_CHANNELS; i++)
    {
      int ends[2];

      g_assert_no_errno (dill_chmake (ends));
      clauses[i] = (struct dill_chclause){ i & 1 ? DILL_CHSEND : DILL_CHRECV, ends[0], NULL, 0 };
    }
  choosers[0] = (Chooser) { clauses, N_CHANNELS, SOON, 0, 0 };
  choosers[1] = (Chooser) { clauses, 3, -1, 0, 0 };
  test_assert_ok (dill_spawn (choose, &choosers[0]));
  test_assert_ok (dill_spawn (choose, &choosers[1]));
  return choosers;
}

/* With a context of the library's own, and with one that ends first. */
static void
test_thread_ends (void)
{
  Chooser *choosers;

  test_expect_log (G_LOG_LEVEL_WARNING, "a thread has ended with*",
                   choosers = test_thread_join (g_thread_new ("test", leave_choosers, NULL)));
  g_assert_cmpint (choosers[0].result, ==, -2);
  g_assert_cmpint (choosers[1].result, ==, -2);

  /* Its context ends before it, with the coroutines; what is left for the end of the thread is the channels. */
  g_test_expect_message ("dillipc", G_LOG_LEVEL_WARNING, "a GMainContext has ended with*");
  test_expect_log (G_LOG_LEVEL_WARNING, "a thread has ended with*", choosers = test_in_thread (leave_choosers, NULL));
  g_assert_cmpint (choosers[0].result, ==, -2);
  g_assert_cmpint (choosers[1].result, ==, -2);
}

#define add(name, func) g_test_add (name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/choose/first-in-array", test_first_in_array);
  add ("/choose/whichever-comes-first", test_whichever_comes_first);
  add ("/choose/first-come-first-served", test_first_come_first_served);
  add ("/choose/same-channel-twice", test_same_channel_twice);
  add ("/choose/never-meets-itself", test_never_meets_itself);
  add ("/choose/no-wait", test_no_wait);
  add ("/choose/faulty-clause", test_faulty_clause);
  add ("/choose/size-mismatch", test_size_mismatch);
  add ("/choose/close", test_close);
  add ("/choose/time-out-and-cancellation", test_time_out_and_cancellation);
  add ("/choose/thousands-of-clauses", test_thousands_of_clauses);
  add ("/choose/context-ends", test_context_ends);
  add ("/choose/context-ends-own-stack", test_context_ends_own_stack);
  g_test_add_func ("/choose/thread-ends", test_thread_ends);
  return g_test_run ();
}
