/* test-source-lifetime.c: the two public sources, and the life of the handle they were made for.
 *
 * Guarantees: however the handle ends, also by the callback of a source of its own, its sources destroy themselves and
 * never poll the number of its descriptor again; they may be finalized earlier, attached or not.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "source-utils.h"

/* The data of some cases: the kind of handle, and how it ends. */
typedef struct
{
  gboolean is_listener;
  HandleFunc func;
  gboolean keeps_fd; /* the descriptor still is open after the end, and the test's */
} End;

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
test_ends_with_handle (TestDir *test, gconstpointer data)
{
  const End *end = data;
  Account account = ACCOUNT_INIT;
  g_autoptr (GSource) source = NULL;
  Subject subject;

  subject_init (&subject, test, end->is_listener);
  source = account_attach (subject_source (&subject), &account, NULL);
  g_assert_true (is_polled (NULL, subject.fd));
  if (end->func == close_with_handshake)
    {
      subject_clear (&subject);
      subject.peer = -1;
    }

  test_assert_ok (end->func (subject.s));
  g_assert_true (g_source_is_destroyed (source));
  g_assert_cmpuint (account.n_destroyed, ==, 1);
  if (end->keeps_fd)
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
  Account account = { .result = G_SOURCE_CONTINUE, .handle = close_at_once };
  g_autoptr (GSource) source = NULL;
  Subject subject;

  subject_init (&subject, test, data != NULL);
  source = subject_call_back (&subject, &account);
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

/* The number is dead from the beginning of a handshake on, and with it the source, though the peer has yet to do its
 * part: nobody is called for the bytes that are dropped. */
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
  Account account = ACCOUNT_INIT;
  Account heir_account = ACCOUNT_INIT;
  g_autoptr (GSource) source = NULL;
  g_autoptr (GSource) heir = NULL;
  Subject subject;

  subject_init (&subject, test, data != NULL);
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
  Account account = ACCOUNT_INIT;
  GSource *source;
  Subject subject;

  subject_init (&subject, test, data != NULL);
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
  Account account = ACCOUNT_INIT;
  GSource *sources[6];
  Subject subject;

  subject_init (&subject, test, data != NULL);
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

/* The callback that comes first closes the handle, under the feet of the other, which was found ready too. */
static void
test_two_sources_closed_by_one (TestDir *test, gconstpointer data)
{
  Account accounts[2] = { { .handle = close_at_once }, { .handle = close_at_once } };
  GSource *sources[2];
  Subject subject;

  subject_init (&subject, test, data != NULL);
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

#define PREFIX "/glib/source/"

int
main (int argc, char **argv)
{
  static const End listener_hclose = { TRUE, close_at_once, FALSE };
  static const End listener_ipc_close = { TRUE, close_with_handshake, FALSE };
  static const End listener_steal = { TRUE, steal, TRUE };
  static const End connection_hclose = { FALSE, close_at_once, FALSE };
  static const End connection_ipc_close = { FALSE, close_with_handshake, FALSE };
  static const End connection_steal = { FALSE, steal, TRUE };

  g_test_init (&argc, &argv, NULL);

  test_add_data (PREFIX "ends-with-hclose/listener", &listener_hclose, test_ends_with_handle);
  test_add_data (PREFIX "ends-with-hclose/connection", &connection_hclose, test_ends_with_handle);
  test_add_data (PREFIX "ends-with-ipc-close/listener", &listener_ipc_close, test_ends_with_handle);
  test_add_data (PREFIX "ends-with-ipc-close/connection", &connection_ipc_close, test_ends_with_handle);
  test_add_data (PREFIX "ends-with-steal-fd/listener", &listener_steal, test_ends_with_handle);
  test_add_data (PREFIX "ends-with-steal-fd/connection", &connection_steal, test_ends_with_handle);
  test_add (PREFIX "ends-with-handshake", test_ends_with_handshake);
  add_both (PREFIX "ends-with-hown", test_ends_with_hown);
  add_both (PREFIX "ended-by-callback", test_ended_by_callback);
  add_both (PREFIX "unattached-when-handle-closes", test_unattached);
  add_both (PREFIX "finalized-before-handle", test_finalized_before_handle);
  add_both (PREFIX "two-on-one-handle-closed-by-one", test_two_sources_closed_by_one);

  return g_test_run ();
}
