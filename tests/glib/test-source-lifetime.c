/* test-source-lifetime.c: the two public sources, and the life of the handle they were made for.
 *
 * Guarantees: a source calls back with (s, ready, user_data), by its priority, until the callback says G_SOURCE_REMOVE;
 * however the handle ends, the source destroys itself and never polls the number of its descriptor again; it may be
 * finalized earlier.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "source-utils.h"

/* The data of a case: the kind of handle, and how it ends. */
typedef struct
{
  gboolean is_listener;
  HandleFunc end;
  gboolean keeps_fd; /* the descriptor still is open after the end, and the test's */
} Case;

static int
close_at_once (int s)
{
  return dill_hclose (s);
}

/* For a connection the peer of which has closed too, so that nothing is to be waited for. */
static int
close_with_handshake (int s)
{
  return dill_ipc_close (s, soon ());
}

static int
steal (int s)
{
  return dill_ipc_steal_fd (s);
}

static void
test_calls_back (TestDir *test, gconstpointer data)
{
  const Case *c = data;
  Account account = ACCOUNT_INIT;
  g_autoptr (GSource) source = NULL;
  Subject subject;

  subject_init (&subject, test, c->is_listener);
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
  const Case *c = data;
  g_autoptr (GSource) source = NULL;
  Subject subject;

  subject_init (&subject, test, c->is_listener);
  source = subject_source (&subject);
  g_assert_cmpstr (g_source_get_name (source), ==, c->is_listener ? "[dillipc] listener" : "[dillipc] connection");
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
  const Case *c = data;

  for (guint i = 0; i < G_N_ELEMENTS (priorities); i++)
    {
      Account account = { .result = G_SOURCE_REMOVE };
      Idle idle = { .account = &account };
      g_autoptr (GSource) source = NULL;
      Subject subject;

      subject_init (&subject, test, c->is_listener);
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
  const Case *c = data;
  Account account = { .result = G_SOURCE_REMOVE };
  g_autoptr (GSource) source = NULL;
  Subject subject;

  subject_init (&subject, test, c->is_listener);
  source = account_attach (subject_source (&subject), &account, NULL);
  subject_make_ready (&subject);
  test_iterate_until (account.n_calls == 1);
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
test_ends_with_handle (TestDir *test, gconstpointer data)
{
  const Case *c = data;
  Account account = ACCOUNT_INIT;
  g_autoptr (GSource) source = NULL;
  Subject subject;

  subject_init (&subject, test, c->is_listener);
  source = account_attach (subject_source (&subject), &account, NULL);
  g_assert_true (is_polled (NULL, subject.fd));
  if (c->end == close_with_handshake)
    {
      subject_clear (&subject);
      subject.peer = -1;
    }

  test_assert_ok (c->end (subject.s));
  g_assert_true (g_source_is_destroyed (source));
  g_assert_cmpuint (account.n_destroyed, ==, 1);
  if (c->keeps_fd)
    subject_make_ready (&subject);
  else
    take_number (subject.fd);
  g_assert_false (is_polled (NULL, subject.fd));
  g_assert_cmpuint (account.n_calls, ==, 0);

  close (subject.fd);
  subject_clear (&subject);
}

static void
test_ended_by_callback (TestDir *test, gconstpointer data)
{
  const Case *c = data;
  Account account = { .result = G_SOURCE_CONTINUE, .handle = close_at_once };
  g_autoptr (GSource) source = NULL;
  Subject subject;

  subject_init (&subject, test, c->is_listener);
  source = account_attach (subject_source (&subject), &account, NULL);
  subject_make_ready (&subject);
  test_iterate_until (account.n_calls == 1);
  g_assert_true (g_source_is_destroyed (source));
  take_number (subject.fd);
  g_assert_false (is_polled (NULL, subject.fd));
  g_assert_cmpuint (account.n_calls, ==, 1);
  g_assert_cmpuint (account.n_destroyed, ==, 1);

  close (subject.fd);
  subject_clear (&subject);
}

static void
close_patiently (void *data)
{
  g_assert_no_errno (dill_ipc_close (*(int *) data, soon ()));
}

/* The number is dead from the beginning of a handshake on, and with it the source, though the peer has yet to do its part:
 * nobody is called for the bytes that are dropped. */
static void
test_ends_with_handshake (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Account account = ACCOUNT_INIT;
  g_autoptr (GSource) source = NULL;
  Subject subject;
  int h;

  subject_init (&subject, test, FALSE);
  source = account_attach (subject_source (&subject), &account, NULL);
  h = test_assert_ok (dill_spawn (close_patiently, &subject.s));
  g_assert_true (g_source_is_destroyed (source));
  subject_make_ready (&subject);
  iterate_some (NULL);
  g_assert_cmpuint (account.n_calls, ==, 0);

  g_assert_no_errno (shutdown (subject.peer, SHUT_WR));
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  subject_clear (&subject);
}

/* Who has the old number, and so its source, can no longer reach the object. */
static void
test_ends_with_hown (TestDir *test, gconstpointer data)
{
  const Case *c = data;
  Account account = ACCOUNT_INIT;
  Account heir_account = ACCOUNT_INIT;
  g_autoptr (GSource) source = NULL;
  g_autoptr (GSource) heir = NULL;
  Subject subject;

  subject_init (&subject, test, c->is_listener);
  source = account_attach (subject_source (&subject), &account, NULL);
  subject.s = test_assert_ok (dill_hown (subject.s));
  heir = account_attach (subject_source (&subject), &heir_account, NULL);
  subject_make_ready (&subject);
  test_iterate_until (heir_account.n_calls == 2);
  g_assert_cmpint (heir_account.s, ==, subject.s);
  g_assert_cmpuint (account.n_calls, ==, 0);
  g_assert_true (g_source_is_destroyed (source));

  test_assert_ok (dill_hclose (subject.s));
  g_assert_true (g_source_is_destroyed (heir));
  subject_clear (&subject);
}

static void
test_unattached (TestDir *test, gconstpointer data)
{
  const Case *c = data;
  Account account = ACCOUNT_INIT;
  GSource *source;
  Subject subject;

  subject_init (&subject, test, c->is_listener);
  source = subject_source (&subject);
  account_set (source, &account);
  test_assert_ok (dill_hclose (subject.s));
  g_assert_true (g_source_is_destroyed (source));
  g_source_unref (source);
  g_assert_cmpuint (account.n_destroyed, ==, 1);
  subject_clear (&subject);
}

/* Attached or not, and several in any order. */
static void
test_finalized_before_handle (TestDir *test, gconstpointer data)
{
  const Case *c = data;
  Account account = ACCOUNT_INIT;
  GSource *sources[6];
  Subject subject;

  subject_init (&subject, test, c->is_listener);
  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    {
      sources[i] = subject_source (&subject);
      account_set (sources[i], &account);
      if (i % 2 == 0)
        g_source_attach (sources[i], NULL);
    }

  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    {
      GSource *source = sources[(i * 5 + 2) % G_N_ELEMENTS (sources)];

      g_source_destroy (source);
      g_source_unref (source);
      g_assert_cmpuint (account.n_destroyed, ==, i + 1);
    }

  subject_make_ready (&subject);
  g_assert_false (is_polled (NULL, subject.fd));
  test_assert_ok (dill_hclose (subject.s));
  g_assert_cmpuint (account.n_calls, ==, 0);
  subject_clear (&subject);
}

static void
test_two_sources (TestDir *test, gconstpointer data)
{
  const Case *c = data;
  Account accounts[2] = { ACCOUNT_INIT, ACCOUNT_INIT };
  GSource *sources[2];
  guint n_calls;
  Subject subject;

  subject_init (&subject, test, c->is_listener);
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

/* The callback that comes first closes the handle, under the feet of the other, which was found ready too. */
static void
test_two_sources_closed_by_one (TestDir *test, gconstpointer data)
{
  const Case *c = data;
  Account accounts[2] = { { .handle = close_at_once }, { .handle = close_at_once } };
  GSource *sources[2];
  Subject subject;

  subject_init (&subject, test, c->is_listener);
  for (guint i = 0; i < 2; i++)
    sources[i] = account_attach (subject_source (&subject), &accounts[i], NULL);
  subject_make_ready (&subject);
  test_iterate_until (accounts[0].n_calls + accounts[1].n_calls > 0);
  iterate_some (NULL);
  g_assert_cmpuint (accounts[0].n_calls + accounts[1].n_calls, ==, 1);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_true (g_source_is_destroyed (sources[i]));
      g_source_unref (sources[i]);
    }
  subject_clear (&subject);
}

#define add(name, func, data) test_add_data ("/glib/source/" name, data, func)

#define add_both(name, func)                                                                                           \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    add (name "/listener", func, &listener);                                                                           \
    add (name "/connection", func, &connection);                                                                       \
  }                                                                                                                    \
  G_STMT_END

int
main (int argc, char **argv)
{
  static const Case listener = { TRUE, close_at_once, FALSE };
  static const Case listener_ipc_close = { TRUE, close_with_handshake, FALSE };
  static const Case listener_steal = { TRUE, steal, TRUE };
  static const Case connection = { FALSE, close_at_once, FALSE };
  static const Case connection_ipc_close = { FALSE, close_with_handshake, FALSE };
  static const Case connection_steal = { FALSE, steal, TRUE };

  g_test_init (&argc, &argv, NULL);

  add_both ("calls-back", test_calls_back);
  add_both ("has-a-static-name", test_has_a_static_name);
  add_both ("priority", test_priority);
  add_both ("removed-by-callback", test_removed_by_callback);
  add_both ("ends-with-hclose", test_ends_with_handle);
  add ("ends-with-ipc-close/listener", test_ends_with_handle, &listener_ipc_close);
  add ("ends-with-ipc-close/connection", test_ends_with_handle, &connection_ipc_close);
  add ("ends-with-steal-fd/listener", test_ends_with_handle, &listener_steal);
  add ("ends-with-steal-fd/connection", test_ends_with_handle, &connection_steal);
  test_add ("/glib/source/ends-with-handshake", test_ends_with_handshake);
  add_both ("ends-with-hown", test_ends_with_hown);
  add_both ("ended-by-callback", test_ended_by_callback);
  add_both ("unattached-when-handle-closes", test_unattached);
  add_both ("finalized-before-handle", test_finalized_before_handle);
  add_both ("two-on-one-handle", test_two_sources);
  add_both ("two-on-one-handle-closed-by-one", test_two_sources_closed_by_one);

  return g_test_run ();
}
