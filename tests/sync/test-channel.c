/* test-channel.c: values go from one coroutine to another, one at a time, and first come, first served.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "channel-utils.h"

#include <string.h>

/* --- Passing values --- */

/* From either end, whoever comes first; and the one who comes second does not wait. */
static void
test_both_directions (Fixture *fixture, gconstpointer data)
{
  Party first;
  int value;

  (void) data;
  for (guint i = 0; i < 2; i++)
    {
      party_start (&first, fixture->b, DILL_CHSEND, fixture->ends[i], 10 + (int) i);
      g_assert_cmpint (first.result, ==, 1);
      g_assert_no_errno (dill_chrecv (fixture->ends[!i], &value, sizeof value, 0));
      g_assert_cmpint (value, ==, 10 + (int) i);
      g_assert_cmpint (first.result, ==, 1); /* woken, but not run */
      finish (fixture);
      assert_party (&first, 0, 0);

      party_start (&first, fixture->b, DILL_CHRECV, fixture->ends[i], 0);
      value = 20 + (int) i;
      g_assert_no_errno (dill_chsend (fixture->ends[!i], &value, sizeof value, 0));
      finish (fixture);
      assert_party (&first, 0, 0);
      g_assert_cmpint (first.value, ==, 20 + (int) i);
    }
}

/* It holds nothing: with nobody at the other end, or only somebody who wants the same, there is nothing to do. */
static void
test_unbuffered (Fixture *fixture, gconstpointer data)
{
  Party sender, receiver;
  int value = 1;

  (void) data;
  test_assert_errno (dill_chsend (fixture->ends[0], &value, sizeof value, 0), ETIMEDOUT);
  test_assert_errno (dill_chrecv (fixture->ends[1], &value, sizeof value, 0), ETIMEDOUT);
  test_assert_errno (dill_chrecv (fixture->ends[0], &value, sizeof value, dill_now () + 2), ETIMEDOUT);

  party_start (&sender, fixture->b, DILL_CHSEND, fixture->ends[0], 1);
  party_start (&receiver, fixture->b, DILL_CHRECV, fixture->ends[0], 0);
  test_assert_errno (dill_chrecv (fixture->ends[0], &value, sizeof value, 0), ETIMEDOUT);
  test_assert_errno (dill_chsend (fixture->ends[0], &value, sizeof value, 0), ETIMEDOUT);
  g_assert_cmpint (sender.result, ==, 1);
  g_assert_cmpint (receiver.result, ==, 1);
  cancel (fixture);
}

static void
test_sizes (Fixture *fixture, gconstpointer data)
{
  g_autofree char *sent = g_malloc (1 << 20);
  g_autofree char *received = g_malloc (1 << 20);
  Party party;

  (void) data;
  memset (sent, 'x', 1 << 20);
  party = (Party) { .ch = fixture->ends[0], .op = DILL_CHRECV, .len = 0, .deadline = -1 };
  g_assert_no_errno (dill_bundle_spawn (fixture->b, party_act, &party));
  g_assert_no_errno (dill_chsend (fixture->ends[1], NULL, 0, 0));
  finish (fixture);
  assert_party (&party, 0, 0);

  for (size_t len = 1; len <= 1 << 20; len *= 32)
    {
      struct dill_chclause clause = { DILL_CHRECV, fixture->ends[1], received, len };
      int h = test_assert_ok (dill_go (dill_chsend (fixture->ends[0], sent, len, -1)));

      g_assert_cmpint (dill_choose (&clause, 1, 0), ==, 0);
      g_assert_cmpint (errno, ==, 0);
      g_assert_cmpmem (sent, len, received, len);
      g_assert_no_errno (dill_hclose (h));
    }
}

/* Both learn of it, whoever came first, and the channel goes on. */
static void
test_size_mismatch (Fixture *fixture, gconstpointer data)
{
  const int ops[] = { DILL_CHSEND, DILL_CHRECV };
  short small = 77;

  (void) data;
  for (guint i = 0; i < G_N_ELEMENTS (ops); i++)
    {
      Party party;

      party_start (&party, fixture->b, ops[i], fixture->ends[0], 5);
      if (ops[i] == DILL_CHSEND)
        test_assert_errno (dill_chrecv (fixture->ends[1], &small, sizeof small, -1), EMSGSIZE);
      else
        test_assert_errno (dill_chsend (fixture->ends[1], &small, sizeof small, -1), EMSGSIZE);
      g_assert_cmpint (small, ==, 77);
      finish (fixture);
      assert_party (&party, -1, EMSGSIZE);
      g_assert_cmpint (party.value, ==, 5);
    }
  test_both_directions (fixture, NULL);
}

static void
test_first_come_first_served (Fixture *fixture, gconstpointer data)
{
  const int ops[] = { DILL_CHSEND, DILL_CHRECV };

  (void) data;
  for (guint i = 0; i < G_N_ELEMENTS (ops); i++)
    {
      g_autoptr (GString) order = g_string_new (NULL);
      Party parties[5];

      for (int j = 0; j < 5; j++)
        {
          party_start (&parties[j], fixture->b, ops[i], fixture->ends[0], j);
          parties[j].order = order;
          parties[j].letter = (char) ('a' + j);
        }
      for (int j = 0; j < 5; j++)
        {
          int value = 10 + j;

          if (ops[i] == DILL_CHSEND)
            g_assert_no_errno (dill_chrecv (fixture->ends[1], &value, sizeof value, 0));
          else
            g_assert_no_errno (dill_chsend (fixture->ends[1], &value, sizeof value, 0));
          g_assert_cmpint (value, ==, ops[i] == DILL_CHSEND ? j : 10 + j);
        }
      finish (fixture);
      g_assert_cmpstr (order->str, ==, "abcde");
      for (int j = 0; j < 5; j++)
        g_assert_cmpint (parties[j].value, ==, ops[i] == DILL_CHSEND ? j : 10 + j);
    }
}

/* The bytes may go to where they are. */
static void
test_shared_memory (Fixture *fixture, gconstpointer data)
{
  char buffer[64] = "0123456789";
  int h = test_assert_ok (dill_go (dill_chsend (fixture->ends[0], buffer, 32, -1)));

  (void) data;
  g_assert_no_errno (dill_chrecv (fixture->ends[1], buffer + 3, 32, 0));
  g_assert_cmpstr (buffer, ==, "0120123456789");
  g_assert_no_errno (dill_hclose (h));
}

/* --- Bad input --- */

static void
test_bad_input (Fixture *fixture, gconstpointer data)
{
  char memory[sizeof (struct dill_chstorage)];
  int value = 0, ends[2], dead = fixture->ends[1];

  (void) data;
  test_assert_errno (dill_chmake (NULL), EINVAL);
  test_assert_errno (dill_chmake_mem (NULL, ends), EINVAL);
  test_assert_errno (dill_chmake_mem (memory, NULL), EINVAL);
  test_assert_errno (dill_chsend (fixture->ends[0], NULL, 1, 0), EINVAL);
  test_assert_errno (dill_chrecv (fixture->ends[0], NULL, 1, 0), EINVAL);
  test_assert_errno (dill_chsend (fixture->b, &value, sizeof value, 0), ENOTSUP);
  test_assert_errno (dill_chrecv (fixture->b, &value, sizeof value, 0), ENOTSUP);
  test_assert_errno (dill_chdone (fixture->b), ENOTSUP);
#if DILL_HAS_SOCKETS
  test_assert_errno (dill_bsend (fixture->ends[0], &value, sizeof value, 0), ENOTSUP);
#endif
  test_assert_errno (dill_bundle_wait (fixture->ends[0], 0), ENOTSUP);
  close_end (fixture, 1);
  test_assert_errno (dill_chsend (dead, &value, sizeof value, 0), EBADF);
  test_assert_errno (dill_chrecv (-1, &value, sizeof value, 0), EBADF);
  test_assert_errno (dill_chdone (dead), EBADF);
}

static gpointer
use_foreign (gpointer data)
{
  Fixture *fixture = data;
  int value = 1;

  test_assert_errno (dill_chsend (fixture->ends[0], &value, sizeof value, -1), EBADF);
  test_assert_errno (dill_chrecv (fixture->ends[0], &value, sizeof value, 0), EBADF);
  test_assert_errno (dill_chdone (fixture->ends[0]), EBADF);
  test_assert_errno (dill_hclose (fixture->ends[0]), EBADF);
  return NULL;
}

static void
test_other_thread (Fixture *fixture, gconstpointer data)
{
  Party party;

  (void) data;
  party_start (&party, fixture->b, DILL_CHRECV, fixture->ends[1], 1);
  test_in_thread (use_foreign, fixture);
  g_assert_cmpint (party.result, ==, 1);
  cancel (fixture);
}

/* A child can close what it has inherited, and nothing else; the parent does not notice. */
static int
use_inherited (gpointer data)
{
  Fixture *fixture = data;
  int value = 1;

  test_assert_errno (dill_chsend (fixture->ends[0], &value, sizeof value, 0), EBADF);
  g_assert_no_errno (dill_hclose (fixture->ends[0]));
  g_assert_no_errno (dill_hclose (fixture->ends[1]));
  return 0;
}

static void
test_fork (Fixture *fixture, gconstpointer data)
{
  Party party;
  int value = 6;

  (void) data;
  party_start (&party, fixture->b, DILL_CHRECV, fixture->ends[1], 1);
  g_assert_cmpint (test_in_child (use_inherited, fixture), ==, 0);
  g_assert_no_errno (dill_chsend (fixture->ends[0], &value, sizeof value, 0));
  finish (fixture);
  assert_party (&party, 0, 0);
  g_assert_cmpint (party.value, ==, 6);
}

static void
test_hown (Fixture *fixture, gconstpointer data)
{
  int old = fixture->ends[1], value = 3;
  Party party;

  (void) data;
  party_start (&party, fixture->b, DILL_CHRECV, old, 0);
  fixture->ends[1] = test_assert_ok (dill_hown (old));
  test_assert_errno (dill_chrecv (old, &value, sizeof value, 0), EBADF);
  g_assert_no_errno (dill_chsend (fixture->ends[0], &value, sizeof value, 0));
  finish (fixture);
  assert_party (&party, 0, 0);
  g_assert_cmpint (party.value, ==, 3);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/channel/both-directions", test_both_directions);
  add ("/channel/unbuffered", test_unbuffered);
  add ("/channel/sizes", test_sizes);
  add ("/channel/size-mismatch", test_size_mismatch);
  add ("/channel/first-come-first-served", test_first_come_first_served);
  add ("/channel/shared-memory", test_shared_memory);
  add ("/channel/bad-input", test_bad_input);
  add ("/channel/other-thread", test_other_thread);
  add ("/channel/fork", test_fork);
  add ("/channel/hown", test_hown);
  return g_test_run ();
}
