/* gio-utils.h: connections to test with, as GIO has them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"

#include <dillipc/dill-glib.h>

static inline GSocketConnection *
steal (int s)
{
  g_autoptr (GError) error = NULL;
  GSocketConnection *connection = dill_ipc_steal_connection (s, &error);

  g_assert_no_error (error);
  g_assert_true (G_IS_SOCKET_CONNECTION (connection));
  return connection;
}
