/* test-gio.c: connections to and from GIO.
 *
 * Guarantees: a stolen connection is a plain GSocketConnection, over which a GDataInputStream reads and GDBus speaks;
 * what GIO made becomes a handle; what the kernel has received goes along.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gio-utils.h"

#include <gio/gunixconnection.h>

static int
descriptor_of (GSocketConnection *connection)
{
  return g_socket_get_fd (g_socket_connection_get_socket (connection));
}

static void
test_steal (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  guint n_fds = count_settled_fds ();
  g_autoptr (GError) error = NULL;
  GSocketConnection *connection;
  char bytes[5];
  int pair[2], fd;

  test_assert_ok (dill_ipc_pair (pair));
  connection = steal (pair[0]);
  g_assert_true (G_IS_UNIX_CONNECTION (connection));
  g_assert_true (g_socket_connection_is_connected (connection));
  fd = descriptor_of (connection);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  g_assert_cmpint (fcntl (fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
  test_assert_errno (dill_hclose (pair[0]), EBADF);

  g_assert_true (g_output_stream_write_all (g_io_stream_get_output_stream (G_IO_STREAM (connection)), "hello", 5, NULL,
                                            NULL, &error));
  g_assert_no_error (error);
  test_assert_ok (dill_brecv (pair[1], bytes, 5, 0));
  g_assert_cmpmem (bytes, 5, "hello", 5);

  /* The last reference closes the descriptor: nobody else has it. */
  g_object_unref (connection);
  test_assert_errno (dill_brecv (pair[1], bytes, 1, soon ()), EPIPE);
  test_assert_ok (dill_hclose (pair[1]));
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
test_round_trip (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  guint n_fds = count_settled_fds ();
  g_autoptr (GError) error = NULL;
  char bytes[3];
  int pair[2];

  test_assert_ok (dill_ipc_pair (pair));
  for (guint i = 0; i < 100; i++)
    {
      GSocketConnection *connection = steal (pair[0]);
      int old = pair[0], fd = descriptor_of (connection);

      pair[0] = dill_ipc_from_connection (connection, &error);
      g_assert_no_error (error);
      g_assert_cmpint (pair[0], >, 0);
      g_assert_cmpint (pair[0], !=, old);

      /* It stays the caller's, and its end is not the handle's. */
      g_assert_cmpint (fcntl (fd, F_GETFD), >=, 0);
      if (i % 2 == 0)
        g_assert_true (g_io_stream_close (G_IO_STREAM (connection), NULL, &error));
      g_object_unref (connection);

      test_assert_ok (dill_bsend (pair[0], "abc", 3, 0));
      test_assert_ok (dill_brecv (pair[1], bytes, 3, 0));
      test_assert_ok (dill_bsend (pair[1], bytes, 3, 0));
      test_assert_ok (dill_brecv (pair[0], bytes, 3, 0));
      g_assert_cmpmem (bytes, 3, "abc", 3);
    }
  test_assert_ok (dill_hclose (pair[0]));
  test_assert_ok (dill_hclose (pair[1]));
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

/* Bytes and descriptors that nobody has received yet go along. */
static void
test_kernel_keeps_bytes (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  GSocketConnection *connection;
  char bytes[3];
  int pair[2], fd;

  test_assert_ok (dill_ipc_pair (pair));
  test_assert_ok (dill_bsend (pair[1], "abc", 3, 0));
  test_assert_ok (dill_ipc_sendfd (pair[1], STDERR_FILENO, 0));
  connection = steal (pair[0]);
  g_assert_cmpint (
      g_input_stream_read (g_io_stream_get_input_stream (G_IO_STREAM (connection)), bytes, 3, NULL, &error), ==, 3);
  g_assert_no_error (error);
  g_assert_cmpmem (bytes, 3, "abc", 3);
  fd = g_unix_connection_receive_fd (G_UNIX_CONNECTION (connection), NULL, &error);
  g_assert_no_error (error);
  close (test_assert_ok (fd));
  g_object_unref (connection);
  test_assert_ok (dill_hclose (pair[1]));
}

static dill_coroutine void
send_lines (int s, const char *const *lines)
{
  for (guint i = 0; lines[i] != NULL; i++)
    {
      test_assert_ok (dill_bsend (s, lines[i], strlen (lines[i]), soon ()));
      test_assert_ok (dill_yield ());
    }
  test_assert_ok (dill_ipc_done (s, -1));
}

static void
note_line (GObject *object, GAsyncResult *result, gpointer user_data)
{
  GString *text = user_data;
  g_autoptr (GError) error = NULL;
  g_autofree char *line = g_data_input_stream_read_line_finish (G_DATA_INPUT_STREAM (object), result, NULL, &error);

  g_assert_no_error (error);
  g_string_append (text, line != NULL ? line : "END");
  g_string_append_c (text, '|');
  if (line != NULL)
    g_data_input_stream_read_line_async (G_DATA_INPUT_STREAM (object), 0, NULL, note_line, text);
}

/* A coroutine sends what the stream reads, in one main loop. */
static void
test_data_input_stream (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const char *const pieces[] = { "one\ntw", "o\n", "three", "\n", NULL };
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GSocketConnection) connection = NULL;
  g_autoptr (GDataInputStream) stream = NULL;
  int pair[2], sender;

  test_assert_ok (dill_ipc_pair (pair));
  connection = steal (pair[0]);
  stream = g_data_input_stream_new (g_io_stream_get_input_stream (G_IO_STREAM (connection)));
  g_data_input_stream_read_line_async (stream, 0, NULL, note_line, text);
  sender = test_assert_ok (dill_go (send_lines (pair[1], pieces)));
  test_iterate_until (g_str_has_suffix (text->str, "END|"));
  g_assert_cmpstr (text->str, ==, "one|two|three|END|");
  test_assert_ok (dill_hclose (sender));
  test_assert_ok (dill_hclose (pair[1]));
}

static void
note_dbus_connection (GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  *(GDBusConnection **) user_data = g_dbus_connection_new_finish (result, &error);
  g_assert_no_error (error);
}

static void
answer_call (GDBusConnection *connection G_GNUC_UNUSED, const gchar *sender G_GNUC_UNUSED,
             const gchar *path G_GNUC_UNUSED, const gchar *interface G_GNUC_UNUSED, const gchar *method,
             GVariant *parameters, GDBusMethodInvocation *invocation, gpointer user_data)
{
  const char *name;

  g_assert_cmpstr (method, ==, "Echo");
  g_variant_get (parameters, "(&s)", &name);
  ++*(guint *) user_data;
  g_dbus_method_invocation_return_value (invocation, g_variant_new ("(s)", name));
}

static void
note_reply (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  *(GVariant **) user_data = g_dbus_connection_call_finish (G_DBUS_CONNECTION (object), result, &error);
  g_assert_no_error (error);
}

static void
export_echo (GDBusConnection *connection, guint *n_calls)
{
  static const char xml[] = "<node><interface name='org.example.Echo'><method name='Echo'>"
                            "<arg type='s' direction='in'/><arg type='s' direction='out'/>"
                            "</method></interface></node>";
  static const GDBusInterfaceVTable table = { .method_call = answer_call };
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusNodeInfo) node = g_dbus_node_info_new_for_xml (xml, &error);

  g_assert_no_error (error);
  g_dbus_connection_register_object (connection, "/echo", node->interfaces[0], &table, n_calls, NULL, &error);
  g_assert_no_error (error);
}

/* The end that is closed second may have seen the other's end already. */
static void
close_dbus (GDBusConnection *connection)
{
  g_autoptr (GError) error = NULL;

  if (!g_dbus_connection_close_sync (connection, NULL, &error))
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_object_unref (connection);
}

/* A connection that dillipc listened for, and made, with GDBus at both ends. */
static void
test_dbus (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int listener = test_assert_ok (dill_ipc_listen (test->path, 1));
  g_autoptr (GSocketConnection) client_stream = steal (test_assert_ok (dill_ipc_connect (test->path, 0)));
  g_autoptr (GSocketConnection) server_stream = steal (test_assert_ok (dill_ipc_accept (listener, 0)));
  GDBusConnection *client = NULL, *server = NULL;
  g_autofree char *guid = g_dbus_generate_guid ();
  const char *answer;
  GVariant *reply = NULL;
  guint n_calls = 0;

  g_dbus_connection_new (G_IO_STREAM (server_stream), guid, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER, NULL, NULL,
                         note_dbus_connection, &server);
  g_dbus_connection_new (G_IO_STREAM (client_stream), NULL, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL,
                         note_dbus_connection, &client);
  test_iterate_until (client != NULL && server != NULL);
  g_assert_cmpstr (g_dbus_connection_get_guid (client), ==, guid);

  export_echo (server, &n_calls);
  g_dbus_connection_call (client, NULL, "/echo", "org.example.Echo", "Echo", g_variant_new ("(s)", "hello"),
                          G_VARIANT_TYPE ("(s)"), G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL, note_reply, &reply);
  test_iterate_until (reply != NULL);
  g_variant_get (reply, "(&s)", &answer);
  g_assert_cmpstr (answer, ==, "hello");
  g_assert_cmpuint (n_calls, ==, 1);

  g_variant_unref (reply);
  close_dbus (client);
  close_dbus (server);
  test_assert_ok (dill_hclose (listener));
}

/* A connection of GSocketClient's, which knows nothing of the library. */
static void
test_from_socket_client (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int listener = test_assert_ok (dill_ipc_listen (test->path, 1));
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (test->path);
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GError) error = NULL;
  GSocketConnection *connection;
  char bytes[2];
  int s, peer;

  connection = g_socket_client_connect (client, G_SOCKET_CONNECTABLE (address), NULL, &error);
  g_assert_no_error (error);
  s = dill_ipc_from_connection (connection, &error);
  g_assert_no_error (error);
  g_object_unref (connection);
  peer = test_assert_ok (dill_ipc_accept (listener, 0));
  test_assert_ok (dill_bsend (s, "ab", 2, 0));
  test_assert_ok (dill_brecv (peer, bytes, 2, 0));
  g_assert_cmpmem (bytes, 2, "ab", 2);
  test_assert_errno (dill_brecv_some (s, bytes, 1, dill_now () + 5), ETIMEDOUT);

  test_assert_ok (dill_hclose (s));
  test_assert_ok (dill_hclose (peer));
  test_assert_ok (dill_hclose (listener));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/glib/gio/steal", test_steal);
  test_add ("/glib/gio/round-trip", test_round_trip);
  test_add ("/glib/gio/kernel-keeps-bytes", test_kernel_keeps_bytes);
  test_add ("/glib/gio/data-input-stream", test_data_input_stream);
  test_add ("/glib/gio/dbus", test_dbus);
  test_add ("/glib/gio/from-socket-client", test_from_socket_client);

  return g_test_run ();
}
