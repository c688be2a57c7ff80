/* test-echo-both-styles.c: one echo server written twice, with callbacks and with coroutines, in one main loop.
 *
 * Guarantees: the two styles serve the same clients with the same result, side by side, while the loop goes on with its
 * other sources; a program may move a server from one style to the other.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "source-utils.h"

#define N_CLIENTS 8

/* A message of a client: short ones, and ones that take many turns of both sides. */
static const gsize lengths[] = { 1, 5, 100, 4096, 70000, 300000 };

/* A server, in either style. */
typedef struct
{
  char *path;
  int listener;
  int bundle;      /* of coroutines */
  GSource *source; /* of callbacks */
  guint n_served;  /* connections that have come to their end */
} Server;

/* In callback style each connection has its state, and a buffer for what could not be sent yet. */
typedef struct
{
  Server *server;
  GByteArray *unsent;
} Session;

static gboolean on_bytes (int s, GIOCondition ready, gpointer user_data);

static void
session_free (gpointer data)
{
  Session *session = data;

  session->server->n_served++;
  g_byte_array_unref (session->unsent);
  g_free (session);
}

static void
session_watch (Session *session, int s, GIOCondition condition)
{
  GSource *source = dill_ipc_connection_source_new (s, condition);

  g_assert_nonnull (source);
  g_source_set_callback (source, G_SOURCE_FUNC (on_bytes), session, NULL);
  g_source_attach (source, NULL);
  g_source_unref (source);
}

/* A socket that is ready for writing has room for a piece of this size: it is ready at three quarters full. */
static gboolean
send_some (Session *session, int s)
{
  gsize length = MIN (session->unsent->len, 1024);

  if (dill_bsend (s, session->unsent->data, length, 0) < 0)
    return FALSE;

  g_byte_array_remove_range (session->unsent, 0, (guint) length);
  return TRUE;
}

static gboolean
on_bytes (int s, GIOCondition ready, gpointer user_data)
{
  Session *session = user_data;
  guint8 bytes[1024];
  ssize_t length;

  /* Receive only once all is sent: then the source of before is done with, and one for the other direction comes. */
  if (ready & G_IO_OUT && session->unsent->len > 0)
    {
      if (!send_some (session, s))
        {
          test_assert_ok (dill_hclose (s));
          session_free (session);
          return G_SOURCE_REMOVE;
        }
      if (session->unsent->len > 0)
        return G_SOURCE_CONTINUE;
      session_watch (session, s, G_IO_IN);
      return G_SOURCE_REMOVE;
    }

  length = dill_brecv_some (s, bytes, sizeof bytes, 0);
  if (length < 0 && errno == ETIMEDOUT)
    return G_SOURCE_CONTINUE;
  if (length < 0)
    {
      g_assert_cmpint (errno, ==, EPIPE);
      test_assert_ok (dill_hclose (s));
      session_free (session);
      return G_SOURCE_REMOVE;
    }

  g_byte_array_append (session->unsent, bytes, (guint) length);
  session_watch (session, s, G_IO_OUT);
  return G_SOURCE_REMOVE;
}

static gboolean
on_connection (int listener, GIOCondition ready, gpointer user_data)
{
  int s = dill_ipc_accept (listener, 0);
  Session *session;

  g_assert_cmpint (ready, ==, G_IO_IN);
  if (s < 0)
    {
      g_assert_cmpint (errno, ==, ETIMEDOUT);
      return G_SOURCE_CONTINUE;
    }

  session = g_new0 (Session, 1);
  session->server = user_data;
  session->unsent = g_byte_array_new ();
  session_watch (session, s, G_IO_IN);
  return G_SOURCE_CONTINUE;
}

static void
callbacks_start (Server *server)
{
  server->source = dill_ipc_listener_source_new (server->listener);
  g_assert_nonnull (server->source);
  g_source_set_callback (server->source, G_SOURCE_FUNC (on_connection), server, NULL);
  g_source_attach (server->source, NULL);
}

static void
callbacks_stop (Server *server)
{
  g_source_destroy (server->source);
  g_clear_pointer (&server->source, g_source_unref);
}

/* The same in coroutine style. */
static dill_coroutine void
echo (Server *server, int s)
{
  char bytes[1024];
  ssize_t length;

  while ((length = dill_brecv_some (s, bytes, sizeof bytes, soon ())) > 0)
    if (dill_bsend (s, bytes, (size_t) length, soon ()) < 0)
      break;
  g_assert_cmpint (errno, ==, EPIPE);
  test_assert_ok (dill_hclose (s));
  server->n_served++;
}

static dill_coroutine void
serve (Server *server)
{
  int s;

  while ((s = dill_ipc_accept (server->listener, -1)) >= 0)
    test_assert_ok (dill_bundle_go (server->bundle, echo (server, s)));
  g_assert_cmpint (errno, ==, ECANCELED);
}

static void
coroutines_start (Server *server)
{
  server->bundle = test_assert_ok (dill_bundle ());
  test_assert_ok (dill_bundle_go (server->bundle, serve (server)));
}

static void
coroutines_stop (Server *server)
{
  test_assert_ok (dill_hclose (server->bundle));
}

static void
server_init (Server *server, const TestDir *test, const char *name)
{
  *server = (Server) { .path = g_build_filename (test->dir, name, NULL) };
  server->listener = test_assert_ok (dill_ipc_listen (server->path, N_CLIENTS));
}

static void
server_clear (Server *server)
{
  test_assert_ok (dill_hclose (server->listener));
  g_free (server->path);
}

/* A client knows nothing of how its server is written. */
static dill_coroutine void
call (const char *path, guint number, guint *n_done)
{
  int s = test_assert_ok (dill_ipc_connect (path, soon ()));

  for (gsize i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      gsize length = lengths[i];
      g_autofree char *sent = g_malloc (length);
      g_autofree char *received = g_malloc0 (length);

      for (gsize k = 0; k < length; k++)
        sent[k] = (char) (number + 7 * k + (k >> 8));
      for (gsize k = 0, n; k < length; k += n)
        {
          n = MIN (length - k, 20000);
          test_assert_ok (dill_bsend (s, sent + k, n, soon ()));
          test_assert_ok (dill_brecv (s, received + k, n, soon ()));
        }
      g_assert_cmpmem (sent, length, received, length);
    }

  test_assert_ok (dill_ipc_done (s, -1));
  test_assert_errno (dill_brecv (s, NULL, 1, soon ()), EPIPE);
  test_assert_ok (dill_hclose (s));
  ++*n_done;
}

static gboolean
tick (gpointer data)
{
  ++*(guint *) data;
  return G_SOURCE_CONTINUE;
}

static void
test_side_by_side (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Server callbacks, coroutines;
  guint n_done = 0, n_ticks = 0, n_fds = count_settled_fds ();
  guint ticker = g_timeout_add (1, tick, &n_ticks);
  int clients = test_assert_ok (dill_bundle ());

  server_init (&callbacks, test, "callbacks");
  server_init (&coroutines, test, "coroutines");
  callbacks_start (&callbacks);
  coroutines_start (&coroutines);
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      test_assert_ok (dill_bundle_go (clients, call (callbacks.path, i, &n_done)));
      test_assert_ok (dill_bundle_go (clients, call (coroutines.path, i, &n_done)));
    }

  test_iterate_until (n_done == 2 * N_CLIENTS && callbacks.n_served == N_CLIENTS && coroutines.n_served == N_CLIENTS
                      && n_ticks > 0);
  test_assert_ok (dill_bundle_wait (clients, 0));

  test_assert_ok (dill_hclose (clients));
  callbacks_stop (&callbacks);
  coroutines_stop (&coroutines);
  server_clear (&callbacks);
  server_clear (&coroutines);
  g_source_remove (ticker);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

/* One listener, served by callbacks, then by coroutines, then by callbacks again. */
static void
test_handed_over (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Server server;
  guint n_done = 0;
  int client;

  server_init (&server, test, "both");
  for (guint turn = 1; turn <= 3; turn++)
    {
      if (turn == 2)
        coroutines_start (&server);
      else
        callbacks_start (&server);
      client = test_assert_ok (dill_go (call (server.path, turn, &n_done)));
      test_iterate_until (n_done == turn && server.n_served == turn);
      test_assert_ok (dill_hclose (client));
      if (turn == 2)
        coroutines_stop (&server);
      else
        callbacks_stop (&server);
    }
  server_clear (&server);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/glib/echo/side-by-side", test_side_by_side);
  test_add ("/glib/echo/handed-over", test_handed_over);

  return g_test_run ();
}
