/* pair-gdbus.c: a method call by GDBus, peer to peer, with an array of bytes there and back.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "pair.h"
#include <gio/gio.h>

static const char interface_xml[] = "<node><interface name='org.dillipc.Bench'><method name='Echo'>"
                                    "<arg type='ay' direction='in'/><arg type='ay' direction='out'/>"
                                    "</method></interface></node>";

static struct bench bench;
static char buf[BENCH_SIZE_MAX];

static void
check (GError *error)
{
  if (error != NULL)
    errx (1, "%s", error->message);
}

static void
on_call (GDBusConnection *connection, const char *sender, const char *path, const char *interface, const char *method,
         GVariant *parameters, GDBusMethodInvocation *invocation, gpointer data)
{
  (void) connection;
  (void) sender;
  (void) path;
  (void) interface;
  (void) method;
  (void) data;
  g_dbus_method_invocation_return_value (invocation, parameters);
}

static gboolean
on_connection (GDBusServer *server, GDBusConnection *connection, gpointer node)
{
  static const GDBusInterfaceVTable table = { .method_call = on_call };
  g_autoptr (GError) error = NULL;

  (void) server;
  g_dbus_connection_register_object (g_object_ref (connection), "/", ((GDBusNodeInfo *) node)->interfaces[0], &table,
                                     NULL, NULL, &error);
  check (error);
  return TRUE;
}

static void
round_trip (void *connection)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer = NULL;
  GVariant *bytes = g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, buf, bench.size, 1);

  answer = g_dbus_connection_call_sync (connection, NULL, "/", "org.dillipc.Bench", "Echo",
                                        g_variant_new_tuple (&bytes, 1), NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
  check (error);
}

static void
serve (const char *address)
{
  g_autofree char *guid = g_dbus_generate_guid ();
  g_autoptr (GError) error = NULL;
  GDBusNodeInfo *node = g_dbus_node_info_new_for_xml (interface_xml, NULL);
  GDBusServer *server = g_dbus_server_new_sync (address, G_DBUS_SERVER_FLAGS_NONE, guid, NULL, NULL, &error);

  check (error);
  g_signal_connect (server, "new-connection", G_CALLBACK (on_connection), node);
  g_dbus_server_start (server);
  bench_ready ();
  g_main_loop_run (g_main_loop_new (NULL, FALSE));
}

int
main (int argc, char **argv)
{
  g_autofree char *address = NULL;
  g_autoptr (GError) error = NULL;
  GDBusConnection *connection;

  bench = bench_parse (argc, argv);
  address = g_strdup_printf ("unix:path=%s", bench.path);
  if (pair_seconds (&bench) == 0)
    serve (address);

  connection = g_dbus_connection_new_for_address_sync (address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL,
                                                       &error);
  check (error);
  pair_measure (pair_seconds (&bench), round_trip, connection);
  return 0;
}
