/* test-choose.c: exactly one of several things is done, the first that can be.
 *
 * The order of the array decides between clauses that are ready, the order of coming between those who wait.  A faulty
 * clause is answered by its index.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "choose-utils.h"

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
  assert_choice (15, 0, fixture->clauses, N_CHANNELS, soon ());
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
      clauses[i][0] = (struct dill_chclause) { DILL_CHRECV, fixture->near[i & 1], &values[i], sizeof (int) };
      clauses[i][1] = (struct dill_chclause) { DILL_CHRECV, fixture->near[!(i & 1)], &values[i], sizeof (int) };
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
      clauses[i][0] = (struct dill_chclause) { DILL_CHSEND, fixture->near[0], &sent[i], sizeof (int) };
      clauses[i][1] = (struct dill_chclause) { DILL_CHRECV, fixture->far[0], &received[i], sizeof (int) };
    }
  assert_choice (-1, ETIMEDOUT, clauses[0], 2, 0);
  assert_choice (-1, ETIMEDOUT, clauses[0], 2, dill_now () + 2);

  chooser_start (&choosers[0], fixture->b, clauses[0], 2);
  choosers[1] = (Chooser) { clauses[1], 2, soon (), 0, 0 };
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
  for (int64_t patience = 3; woken.result == -2; patience = next_patience (patience))
    assert_choice (-1, ETIMEDOUT, NULL, 0, dill_now () + patience);
  g_assert_cmpint (woken.result, ==, 0);
}

static void
test_thousands_of_clauses (Fixture *fixture, gconstpointer data)
{
  enum
  {
    N = 5000
  };
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
  add ("/choose/thousands-of-clauses", test_thousands_of_clauses);
  add ("/choose/faulty-clause", test_faulty_clause);
  add ("/choose/size-mismatch", test_size_mismatch);
  return g_test_run ();
}
