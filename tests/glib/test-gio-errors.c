/* test-gio-errors.c: connections that do not go to or come from GIO.
 *
 * Guarantees: nothing that was received gets lost on the way, nor is a waiter (EBUSY); every failure has its GError
 * and its errno, and leaves handle and descriptor as they were.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "gio-utils.h"

/* Asserts that S cannot be stolen, for that reason. */
static void
assert_not_stolen (int s, int expected, GIOErrorEnum code)
{
  g_autoptr (GError) error = NULL;

  test_assert_null_errno (dill_ipc_steal_connection (s, &error), expected);
  g_assert_error (error, G_IO_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, g_strerror (expected)));
  test_assert_null_errno (dill_ipc_steal_connection (s, NULL), expected);
}

static void
test_unread_is_busy (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char byte;
  int pair[2];

  test_assert_ok (dill_ipc_pair (pair));
  test_assert_ok (dill_bsend (pair[1], "abc", 3, 0));
  test_assert_ok (dill_brecv (pair[0], &byte, 1, 0));
  assert_not_stolen (pair[0], EBUSY, G_IO_ERROR_BUSY);
  test_assert_ok (dill_brecv (pair[0], &byte, 1, 0));
  g_assert_cmpint (byte, ==, 'b');
  assert_not_stolen (pair[0], EBUSY, G_IO_ERROR_BUSY);
  test_assert_ok (dill_brecv (pair[0], &byte, 1, 0));
  g_assert_cmpint (byte, ==, 'c');
  g_object_unref (steal (pair[0]));
  test_assert_ok (dill_hclose (pair[1]));
}

static void
receive_byte (void *data)
{
  dill_brecv (*(int *) data, NULL, 1, soon ());
  *(int *) data = -1;
}

static void
test_waited_for_is_busy (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int pair[2], coroutine, s;

  test_assert_ok (dill_ipc_pair (pair));
  s = pair[0];
  coroutine = test_assert_ok (dill_spawn (receive_byte, &s));
  assert_not_stolen (pair[0], EBUSY, G_IO_ERROR_BUSY);
  test_assert_ok (dill_bsend (pair[1], "x", 1, 0));
  test_iterate_until (s == -1);
  g_object_unref (steal (pair[0]));
  test_assert_ok (dill_hclose (coroutine));
  test_assert_ok (dill_hclose (pair[1]));
}

static gpointer
not_stolen_in_thread (gpointer data)
{
  assert_not_stolen (*(int *) data, EBADF, G_IO_ERROR_FAILED);
  return NULL;
}

static void
test_steal_errors (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int listener = test_assert_ok (dill_ipc_listen (test->path, 1));
  int pair[2];

  test_assert_ok (dill_ipc_pair (pair));
  assert_not_stolen (listener, ENOTSUP, G_IO_ERROR_NOT_SUPPORTED);
  assert_not_stolen (-1, EBADF, g_io_error_from_errno (EBADF));
  assert_not_stolen (0, EBADF, g_io_error_from_errno (EBADF));
  test_in_thread (not_stolen_in_thread, &pair[0]);
  test_assert_ok (dill_hclose (pair[0]));
  assert_not_stolen (pair[0], EBADF, g_io_error_from_errno (EBADF));
  test_assert_ok (dill_hclose (pair[1]));
  test_assert_ok (dill_hclose (listener));
}

static GSocketConnection *
connection_of (int fd)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new_from_fd (fd, &error);
  GSocketConnection *connection;

  g_assert_no_error (error);
  connection = g_socket_connection_factory_create_connection (socket);
  g_object_unref (socket);
  return connection;
}

/* Asserts that no handle can be made of CONNECTION, for that reason, and that no descriptor stays behind. */
static void
assert_refused (GSocketConnection *connection, int expected)
{
  guint n_fds = test_count_fds ();
  g_autoptr (GError) error = NULL;

  test_assert_errno (dill_ipc_from_connection (connection, &error), expected);
  g_assert_error (error, G_IO_ERROR, (int) g_io_error_from_errno (expected));
  g_assert_nonnull (strstr (error->message, g_strerror (expected)));
  test_assert_errno (dill_ipc_from_connection (connection, NULL), expected);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
test_refused_kinds (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const struct
  {
    int family, type, error;
  } kinds[] = {
    { AF_INET, SOCK_STREAM, ENOTSUP },
    { AF_UNIX, SOCK_SEQPACKET, ENOTSUP },
    { AF_UNIX, SOCK_DGRAM, ENOTSUP },
    { AF_UNIX, SOCK_STREAM, ENOTCONN },
  };

  assert_refused (NULL, EINVAL);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      int fd = test_assert_ok (socket (kinds[i].family, kinds[i].type | SOCK_CLOEXEC, 0));
      g_autoptr (GSocketConnection) connection = connection_of (fd);

      assert_refused (connection, kinds[i].error);
    }
}

static void
test_refused_closed (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GSocketConnection) connection = NULL;
  int fds[2];

  test_assert_ok (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  connection = connection_of (fds[0]);
  close (fds[1]);
  g_assert_true (g_io_stream_close (G_IO_STREAM (connection), NULL, NULL));
  assert_refused (connection, EBADF);
}

static void
test_refused_without_descriptors (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GSocketConnection) connection = NULL;
  g_autoptr (GError) error = NULL;
  FdLimit limit;
  int pair[2];

  make_pair (pair);
  connection = steal (pair[0]);
  fd_limit_begin (&limit, 0);
  test_assert_errno (dill_ipc_from_connection (connection, &error), EMFILE);
  fd_limit_end (&limit);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);

  /* It is as it was. */
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_ipc_from_connection (connection, NULL))));
  g_assert_no_errno (dill_hclose (pair[1]));
}

static void
refused_when_canceled (void *data)
{
  GSocketConnection *connection = data;

  test_assert_errno (dill_msleep (-1), ECANCELED);
  assert_refused (connection, ECANCELED);
}

static void
test_refused_when_canceled (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GSocketConnection) connection = NULL;
  int pair[2];

  test_assert_ok (dill_ipc_pair (pair));
  connection = steal (pair[0]);
  test_assert_ok (dill_hclose (test_assert_ok (dill_spawn (refused_when_canceled, connection))));
  test_assert_ok (dill_hclose (pair[1]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/glib/gio-errors/unread-is-busy", test_unread_is_busy);
  test_add ("/glib/gio-errors/waited-for-is-busy", test_waited_for_is_busy);
  test_add ("/glib/gio-errors/steal-errors", test_steal_errors);
  test_add ("/glib/gio-errors/refused-kinds", test_refused_kinds);
  test_add ("/glib/gio-errors/refused-closed", test_refused_closed);
  test_add ("/glib/gio-errors/refused-without-descriptors", test_refused_without_descriptors);
  test_add ("/glib/gio-errors/refused-when-canceled", test_refused_when_canceled);

  return g_test_run ();
}
