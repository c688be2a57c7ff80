/* test-source-callback.c: when a listener's or connection's source calls back, and with what.
 *
 * Guarantees: a source calls back with (s, ready, user_data), by its priority, for as long as its handle is ready and
 * until the callback says G_SOURCE_REMOVE, after which the handle goes on.  Several sources of one handle do not
 * disturb each other.  Every source has a static name.  What the end of the handle does to it is in
 * test-source-lifetime.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "source-utils.h"

static void
test_calls_back (TestDir *test, gconstpointer data)
{
  Account account = ACCOUNT_INIT;
  g_autoptr (GSource) source = NULL;
  Subject subject;

  subject_init (&subject, test, data != NULL);
  source = account_attach (subject_source (&subject), &account, NULL);
  iterate_some (NULL);
  g_assert_cmpuint (account.n_calls, ==, 0);

  subject_make_ready (&subject);
  test_iterate_until (account.n_calls == 1);
  g_assert_cmpint (account.s, ==, subject.s);
  g_assert_cmpint (account.ready, ==, G_IO_IN);

  /* Again, as long as nobody takes what is there. */
  test_iterate_until (account.n_calls == 3);
  test_assert_ok (accept_or_receive (subject.s));
  iterate_some (NULL);
  g_assert_cmpuint (account.n_calls, ==, 3);

  test_assert_ok (dill_hclose (subject.s));
  subject_clear (&subject);
}

static void
test_has_a_static_name (TestDir *test, gconstpointer data)
{
  g_autoptr (GSource) source = NULL;
  Subject subject;

  subject_init (&subject, test, data != NULL);
  source = subject_source (&subject);
  g_assert_cmpstr (g_source_get_name (source), ==, data != NULL ? "[dillipc] listener" : "[dillipc] connection");
  g_assert_cmpint (g_source_get_priority (source), ==, G_PRIORITY_DEFAULT);
  test_assert_ok (dill_hclose (subject.s));
  subject_clear (&subject);
}

/* What an idle source of the default priority found when it had its turn. */
typedef struct
{
  const Account *account;
  guint n_calls;
  gboolean had_turn;
} Idle;

static gboolean
note_turn (gpointer data)
{
  Idle *idle = data;

  idle->n_calls = idle->account->n_calls;
  idle->had_turn = TRUE;
  return G_SOURCE_REMOVE;
}

/* Dispatched by priority: before, or after, an idle source that was attached earlier. */
static void
test_priority (TestDir *test, gconstpointer data)
{
  static const int priorities[] = { G_PRIORITY_HIGH, G_PRIORITY_DEFAULT - 1, G_PRIORITY_DEFAULT + 1, G_PRIORITY_LOW };

  for (guint i = 0; i < G_N_ELEMENTS (priorities); i++)
    {
      Account account = { .result = G_SOURCE_REMOVE };
      Idle idle = { .account = &account };
      g_autoptr (GSource) source = NULL;
      Subject subject;

      subject_init (&subject, test, data != NULL);
      subject_make_ready (&subject);
      source = subject_source (&subject);
      account_set (source, &account);
      g_source_set_priority (source, priorities[i]);
      g_idle_add_full (G_PRIORITY_DEFAULT, note_turn, &idle, NULL);
      g_source_attach (source, NULL);
      test_iterate_until (account.n_calls == 1 && idle.had_turn);
      g_assert_cmpuint (idle.n_calls, ==, priorities[i] < G_PRIORITY_DEFAULT ? 1 : 0);

      test_assert_ok (dill_hclose (subject.s));
      subject_clear (&subject);
      unlink (test->path);
    }
}

static void
test_removed_by_callback (TestDir *test, gconstpointer data)
{
  Account account = { .result = G_SOURCE_REMOVE };
  g_autoptr (GSource) source = NULL;
  Subject subject;

  subject_init (&subject, test, data != NULL);
  source = subject_call_back (&subject, &account);
  g_assert_true (g_source_is_destroyed (source));
  g_assert_cmpuint (account.n_destroyed, ==, 1);
  g_assert_false (is_polled (NULL, subject.fd));
  g_assert_cmpuint (account.n_calls, ==, 1);

  /* The handle goes on. */
  test_assert_ok (accept_or_receive (subject.s));
  test_assert_ok (dill_hclose (subject.s));
  subject_clear (&subject);
}

static void
test_two_sources (TestDir *test, gconstpointer data)
{
  Account accounts[2] = { ACCOUNT_INIT, ACCOUNT_INIT };
  GSource *sources[2];
  guint n_calls;
  Subject subject;

  subject_init (&subject, test, data != NULL);
  for (guint i = 0; i < 2; i++)
    sources[i] = account_attach (subject_source (&subject), &accounts[i], NULL);
  subject_make_ready (&subject);
  test_iterate_until (accounts[0].n_calls >= 2 && accounts[1].n_calls >= 2);

  /* The end of one is not the other's. */
  g_source_destroy (sources[0]);
  n_calls = accounts[0].n_calls;
  test_iterate_until (accounts[1].n_calls >= 4);
  g_assert_cmpuint (accounts[0].n_calls, ==, n_calls);
  g_assert_false (g_source_is_destroyed (sources[1]));

  test_assert_ok (dill_hclose (subject.s));
  g_assert_true (g_source_is_destroyed (sources[1]));
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpuint (accounts[i].n_destroyed, ==, 1);
      g_source_unref (sources[i]);
    }
  subject_clear (&subject);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  add_both ("/glib/source-callback/calls-back", test_calls_back);
  add_both ("/glib/source-callback/has-a-static-name", test_has_a_static_name);
  add_both ("/glib/source-callback/priority", test_priority);
  add_both ("/glib/source-callback/removed-by-callback", test_removed_by_callback);
  add_both ("/glib/source-callback/two-on-one-handle", test_two_sources);

  return g_test_run ();
}
