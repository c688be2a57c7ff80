/* test-listener-source.c: the source of a listener in callback style.
 *
 * Guarantees: it is ready while connections wait, for every one of them; it works next to coroutines that wait in
 * accept on the same listener; what is no listener of this thread is refused with the documented errno.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "source-utils.h"

/* Accepts what is there, one a call. */
static gboolean
accept_one (int s, GIOCondition ready, gpointer user_data)
{
  GArray *accepted = user_data;
  int connection = dill_ipc_accept (s, 0);

  g_assert_cmpint (ready, ==, G_IO_IN);
  test_assert_ok (connection);
  g_array_append_val (accepted, connection);
  return G_SOURCE_CONTINUE;
}

static GSource *
attach_acceptor (int listener, GArray *accepted)
{
  GSource *source = dill_ipc_listener_source_new (listener);

  g_assert_nonnull (source);
  g_source_set_callback (source, G_SOURCE_FUNC (accept_one), accepted, NULL);
  g_source_attach (source, NULL);
  return source;
}

static void
close_all (GArray *handles)
{
  for (guint i = 0; i < handles->len; i++)
    test_assert_ok (dill_hclose (g_array_index (handles, int, i)));
  g_array_unref (handles);
}

static void
test_every_connection (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  GArray *accepted = g_array_new (FALSE, FALSE, sizeof (int));
  int listener = test_assert_ok (dill_ipc_listen (test->path, 10));
  g_autoptr (GSource) source G_GNUC_UNUSED = attach_acceptor (listener, accepted);
  int clients[7];

  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    clients[i] = test_assert_ok (dill_ipc_connect (test->path, 0));
  test_iterate_until (accepted->len == G_N_ELEMENTS (clients));

  /* In the order in which they came, each to its own peer. */
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      char sent = (char) ('a' + (char) i), received;

      test_assert_ok (dill_bsend (clients[i], &sent, 1, 0));
      test_assert_ok (dill_brecv (g_array_index (accepted, int, i), &received, 1, 0));
      g_assert_cmpint (received, ==, sent);
      test_assert_ok (dill_hclose (clients[i]));
    }

  iterate_some (NULL);
  g_assert_cmpuint (accepted->len, ==, G_N_ELEMENTS (clients));
  close_all (accepted);
  test_assert_ok (dill_hclose (listener));
}

/* With DILL_IPC_ABSTRACT, and in the caller's memory: a listener is a listener. */
static void
test_any_listener (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  GArray *accepted = g_array_new (FALSE, FALSE, sizeof (int));
  struct dill_ipc_listener_storage mem;
  g_autofree char *name = g_strconcat (test->dir, "-abstract", NULL);
  int listener = test_assert_ok (dill_ipc_listen_full (name, 2, DILL_IPC_ABSTRACT, 0, &mem));
  g_autoptr (GSource) source G_GNUC_UNUSED = attach_acceptor (listener, accepted);
  int client = test_assert_ok (dill_ipc_connect_full (name, DILL_IPC_ABSTRACT, NULL, 0));

  test_iterate_until (accepted->len == 1);
  test_assert_ok (dill_hclose (client));
  close_all (accepted);
  test_assert_ok (dill_hclose (listener));

  /* Neither the source nor the context touches the storage any more. */
  memset (&mem, 0xa5, sizeof mem);
  iterate_some (NULL);
}

typedef struct
{
  int listener;
  int connection;
} Acceptor;

static void
accept_in_coroutine (void *data)
{
  Acceptor *acceptor = data;

  acceptor->connection = test_assert_ok (dill_ipc_accept (acceptor->listener, soon ()));
}

/* The coroutine has its connection, whatever the callback does, and the callback the others. */
static void
test_next_to_coroutine (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  GArray *accepted = g_array_new (FALSE, FALSE, sizeof (int));
  Acceptor acceptor = { .connection = -1 };
  g_autoptr (GSource) source = NULL;
  int coroutine, clients[3];

  acceptor.listener = test_assert_ok (dill_ipc_listen (test->path, 10));
  coroutine = test_assert_ok (dill_spawn (accept_in_coroutine, &acceptor));
  clients[0] = test_assert_ok (dill_ipc_connect (test->path, 0));
  test_iterate_until (acceptor.connection >= 0);

  source = attach_acceptor (acceptor.listener, accepted);
  clients[1] = test_assert_ok (dill_ipc_connect (test->path, 0));
  test_iterate_until (accepted->len == 1);
  g_source_destroy (source);

  test_assert_ok (dill_hclose (coroutine));
  test_assert_ok (dill_hclose (acceptor.connection));
  acceptor.connection = -1;
  coroutine = test_assert_ok (dill_spawn (accept_in_coroutine, &acceptor));
  g_assert_cmpint (acceptor.connection, ==, -1);
  clients[2] = test_assert_ok (dill_ipc_connect (test->path, 0));
  test_iterate_until (acceptor.connection >= 0);

  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    test_assert_ok (dill_hclose (clients[i]));
  test_assert_ok (dill_hclose (coroutine));
  test_assert_ok (dill_hclose (acceptor.connection));
  close_all (accepted);
  test_assert_ok (dill_hclose (acceptor.listener));
}

/* The coroutine came first: the connection is its, and the callback, called or not, harms nothing. */
static void
test_coroutine_came_first (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Account account = ACCOUNT_INIT;
  Acceptor acceptor = { .connection = -1 };
  g_autoptr (GSource) source = NULL;
  int coroutine, client;

  acceptor.listener = test_assert_ok (dill_ipc_listen (test->path, 10));
  coroutine = test_assert_ok (dill_spawn (accept_in_coroutine, &acceptor));
  source = account_attach (dill_ipc_listener_source_new (acceptor.listener), &account, NULL);
  client = test_assert_ok (dill_ipc_connect (test->path, 0));
  test_iterate_until (acceptor.connection >= 0);
  account.n_calls = 0;
  iterate_some (NULL);
  g_assert_cmpuint (account.n_calls, ==, 0);
  test_assert_errno (dill_ipc_accept (acceptor.listener, 0), ETIMEDOUT);

  test_assert_ok (dill_hclose (client));
  test_assert_ok (dill_hclose (coroutine));
  test_assert_ok (dill_hclose (acceptor.connection));
  test_assert_ok (dill_hclose (acceptor.listener));
}

/* A wait in the callback iterates the context: other sources go on, and this one is not entered again. */
static gboolean
wait_in_callback (int s, GIOCondition ready G_GNUC_UNUSED, gpointer user_data)
{
  int *depth = user_data;

  g_assert_cmpint (*depth, ==, 0);
  ++*depth;
  test_assert_ok (dill_msleep (dill_now () + 5));
  --*depth;
  test_assert_ok (dill_hclose (test_assert_ok (dill_ipc_accept (s, 0))));
  return G_SOURCE_REMOVE;
}

static void
test_wait_in_callback (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int listener = test_assert_ok (dill_ipc_listen (test->path, 10));
  int client = test_assert_ok (dill_ipc_connect (test->path, 0));
  g_autoptr (GSource) source = dill_ipc_listener_source_new (listener);
  int depth = 0;

  g_source_set_callback (source, G_SOURCE_FUNC (wait_in_callback), &depth, NULL);
  g_source_attach (source, NULL);
  test_iterate_until (g_source_is_destroyed (source));
  test_assert_ok (dill_hclose (client));
  test_assert_ok (dill_hclose (listener));
}

static void
test_without_callback (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int listener = test_assert_ok (dill_ipc_listen (test->path, 10));
  int client = test_assert_ok (dill_ipc_connect (test->path, 0));
  g_autoptr (GSource) source = dill_ipc_listener_source_new (listener);

  g_source_attach (source, NULL);
  test_expect_log (G_LOG_LEVEL_WARNING, "*without a callback*", iterate_some (NULL));
  g_assert_true (g_source_is_destroyed (source));
  test_assert_ok (dill_hclose (client));
  test_assert_ok (dill_hclose (listener));
}

static gpointer
refused_in_thread (gpointer data)
{
  test_assert_null_errno (dill_ipc_listener_source_new (*(int *) data), EBADF);
  return NULL;
}

static void
test_errnos (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int listener = test_assert_ok (dill_ipc_listen (test->path, 10));
  int pair[2], bundle;

  test_assert_ok (dill_ipc_pair (pair));
  bundle = test_assert_ok (dill_bundle ());
  test_assert_null_errno (dill_ipc_listener_source_new (pair[0]), ENOTSUP);
  test_assert_null_errno (dill_ipc_listener_source_new (bundle), ENOTSUP);
  test_assert_null_errno (dill_ipc_listener_source_new (-1), EBADF);
  test_assert_null_errno (dill_ipc_listener_source_new (0), EBADF);
  test_assert_null_errno (dill_ipc_listener_source_new (INT_MAX), EBADF);
  test_in_thread (refused_in_thread, &listener);
  test_assert_ok (dill_hclose (listener));
  test_assert_null_errno (dill_ipc_listener_source_new (listener), EBADF);

  test_assert_ok (dill_hclose (bundle));
  test_assert_ok (dill_hclose (pair[0]));
  test_assert_ok (dill_hclose (pair[1]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/glib/listener-source/every-connection", test_every_connection);
  test_add ("/glib/listener-source/any-listener", test_any_listener);
  test_add ("/glib/listener-source/next-to-coroutine", test_next_to_coroutine);
  test_add ("/glib/listener-source/coroutine-came-first", test_coroutine_came_first);
  test_add ("/glib/listener-source/wait-in-callback", test_wait_in_callback);
  test_add ("/glib/listener-source/without-callback", test_without_callback);
  test_add ("/glib/listener-source/errnos", test_errnos);

  return g_test_run ();
}
