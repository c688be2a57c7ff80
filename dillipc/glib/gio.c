/* gio.c: to and from GSocketConnection, so that GDBus, GDataInputStream and the like speak over a connection.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/connection.h"
#include <dillipc/dill-glib.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Reports errno, which stays as it is. */
static void
report_errno (GError **error, const char *message)
{
  int saved_errno = errno;

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno), "%s: %s", message, g_strerror (saved_errno));
  errno = saved_errno;
}

GSocketConnection *
dill_ipc_steal_connection (int s, GError **error)
{
  GSocketConnection *stream;
  GSocket *socket;
  int fd;

  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  fd = dill_connection_steal (s);
  if (fd < 0)
    {
      report_errno (error, "Cannot take the socket of an IPC connection");
      return NULL;
    }

  socket = g_socket_new_from_fd (fd, error);
  if (socket == NULL)
    {
      /* Not for a connected socket, but if so: the descriptor still is ours. */
      close (fd);
      errno = ENOTSUP;
      return NULL;
    }

  stream = g_socket_connection_factory_create_connection (socket);
  g_object_unref (socket);
  return stream;
}

int
dill_ipc_from_connection (GSocketConnection *connection, GError **error)
{
  int fd, h;

  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  if (!G_IS_SOCKET_CONNECTION (connection))
    {
      errno = EINVAL;
      report_errno (error, "Not a socket connection");
      return -1;
    }

  fd = fcntl (g_socket_get_fd (g_socket_connection_get_socket (connection)), F_DUPFD_CLOEXEC, 0);
  h = fd < 0 ? -1 : dill_ipc_fromfd (fd);
  if (h < 0)
    {
      report_errno (error, "Cannot make an IPC connection of this socket");
      if (fd >= 0)
        {
          int saved_errno = errno;

          close (fd);
          errno = saved_errno;
        }
    }

  return h;
}
