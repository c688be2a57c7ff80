/* server-gio.c: GIO's asynchronous calls: GSocketService, and the streams of each GSocketConnection.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench.h"
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>

static struct bench bench;

typedef struct
{
  GSocketConnection *connection;
  GInputStream *input;
  GOutputStream *output;
  char buf[];
} Session;

static void on_read (GObject *object, GAsyncResult *result, gpointer data);

static void
read_more (Session *session)
{
  g_input_stream_read_async (session->input, session->buf, bench.work == BENCH_SINK ? BENCH_SIZE_MAX : bench.size,
                             G_PRIORITY_DEFAULT, NULL, on_read, session);
}

static void
end (Session *session)
{
  g_io_stream_close (G_IO_STREAM (session->connection), NULL, NULL);
  g_object_unref (session->connection);
  g_free (session);
}

static void
on_written (GObject *object, GAsyncResult *result, gpointer data)
{
  Session *session = data;

  if (g_output_stream_write_all_finish (G_OUTPUT_STREAM (object), result, NULL, NULL) && bench.work == BENCH_ECHO)
    read_more (session);
  else
    end (session);
}

static void
on_read (GObject *object, GAsyncResult *result, gpointer data)
{
  Session *session = data;
  gssize n = g_input_stream_read_finish (G_INPUT_STREAM (object), result, NULL);

  if (n > 0 && bench.work == BENCH_SINK)
    read_more (session);
  else if (n > 0 || (n == 0 && bench.work == BENCH_SINK))
    g_output_stream_write_all_async (session->output, n > 0 ? session->buf : "x", (gsize) MAX (n, 1),
                                     G_PRIORITY_DEFAULT, NULL, on_written, session);
  else
    end (session);
}

static gboolean
on_incoming (GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  Session *session = g_malloc (sizeof *session + (bench.work == BENCH_SINK ? BENCH_SIZE_MAX : bench.size));

  (void) service;
  (void) source;
  (void) data;
  session->connection = g_object_ref (connection);
  session->input = g_io_stream_get_input_stream (G_IO_STREAM (connection));
  session->output = g_io_stream_get_output_stream (G_IO_STREAM (connection));
  read_more (session);
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GSocketService) service = g_socket_service_new ();
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GError) error = NULL;

  bench = bench_parse (argc, argv);
  address = g_unix_socket_address_new (bench.path);
  g_socket_listener_set_backlog (G_SOCKET_LISTENER (service), 4096);
  if (!g_socket_listener_add_address (G_SOCKET_LISTENER (service), address, G_SOCKET_TYPE_STREAM,
                                      G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL, &error))
    errx (1, "%s", error->message);
  g_signal_connect (service, "incoming", G_CALLBACK (on_incoming), NULL);
  g_socket_service_start (service);
  bench_ready ();
  g_main_loop_run (g_main_loop_new (NULL, FALSE));
}
