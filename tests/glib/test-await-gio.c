/* test-await-gio.c: real operations of GIO as calls that return: files, streams, processes, threads, D-Bus.
 *
 * Relies on sh(1) and cat(1).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "await-utils.h"

#include <gio/gunixinputstream.h>
#include <string.h>
#include <unistd.h>

/* --- Files --- */

static void
load_file (void *data)
{
  TestDir *test = data;
  g_autofree char *expected = g_malloc (300000), *contents = NULL;
  g_autoptr (GFile) file = g_file_new_for_path (test->path);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  struct dill_await await = DILL_AWAIT_INIT;
  gsize length;

  memset (expected, 'x', 300000);
  g_file_set_contents (test->path, expected, 300000, &error);
  g_assert_no_error (error);

  g_file_load_contents_async (file, NULL, dill_await_ready, &await);
  result = dill_await (&await, NULL, soon ());
  g_assert_true (g_file_load_contents_finish (file, result, &contents, &length, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (contents, length, expected, 300000);
}

static void
load_missing_file (void *data)
{
  TestDir *test = data;
  g_autofree char *contents = NULL;
  g_autoptr (GFile) file = g_file_new_for_path (test->path);
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  struct dill_await await = DILL_AWAIT_INIT;

  g_file_load_contents_async (file, NULL, dill_await_ready, &await);
  result = dill_await (&await, NULL, soon ());
  g_assert_false (g_file_load_contents_finish (file, result, &contents, NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

static void
test_file (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  load_missing_file (test);
  in_coroutine (load_file, test);
  load_file (test);
}

/* --- Streams --- */

/* The time begins when the operation has, which may take longer than that. */
static gssize
read_some (GInputStream *stream, char *buffer, gsize size, gint milliseconds)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  struct dill_await await = DILL_AWAIT_INIT;
  gssize length;

  g_input_stream_read_async (stream, buffer, size, 0, cancellable, dill_await_ready, &await);
  result = dill_await (&await, cancellable, dill_now () + milliseconds);
  if (result == NULL)
    return -1;

  length = g_input_stream_read_finish (stream, result, &error);
  g_assert_no_error (error);
  return length;
}

/* Fails to read something in time.  If the deadline passes before the wait begins nobody waits, not even for the end
 * of what was cancelled; if it ends late, no longer. */
static void
read_in_vain (GInputStream *stream)
{
  char buffer[10];

  for (int64_t patience = 2;; patience = next_patience (patience))
    {
      test_assert_errno (read_some (stream, buffer, sizeof buffer, (gint) patience), ETIMEDOUT);
      if (!g_input_stream_has_pending (stream))
        return;
      while (g_input_stream_has_pending (stream))
        g_assert_no_errno (dill_msleep (dill_now () + 1));
    }
}

/* After a time-out the stream is whole, and has no operation pending, so that the next one may begin at once. */
static void
read_stream (void *data G_GNUC_UNUSED)
{
  g_autoptr (GInputStream) stream = NULL;
  char buffer[10];
  int fds[2];

  g_assert_no_errno (pipe (fds));
  stream = g_unix_input_stream_new (fds[0], TRUE);
  for (guint i = 0; i < 3; i++)
    read_in_vain (stream);
  g_assert_cmpint (write (fds[1], "hello", 5), ==, 5);
  g_assert_cmpint (read_some (stream, buffer, sizeof buffer, 500 * TEST_LIMIT_SECONDS), ==, 5);
  g_assert_cmpmem (buffer, 5, "hello", 5);
  close (fds[1]);
  g_assert_cmpint (read_some (stream, buffer, sizeof buffer, 500 * TEST_LIMIT_SECONDS), ==, 0);
}

static void
test_stream (void)
{
  in_coroutine (read_stream, NULL);
  read_stream (NULL);
}

/* --- Processes --- */

static void
wait_for_process (void *data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocess) process
      = g_subprocess_new (G_SUBPROCESS_FLAGS_NONE, &error, "sh", "-c", "exit 3", NULL);
  g_autoptr (GAsyncResult) result = NULL;
  struct dill_await await = DILL_AWAIT_INIT;

  g_assert_no_error (error);
  g_subprocess_wait_async (process, NULL, dill_await_ready, &await);
  result = dill_await (&await, NULL, soon ());
  g_assert_true (g_subprocess_wait_finish (process, result, &error));
  g_assert_no_error (error);
  g_assert_cmpint (g_subprocess_get_exit_status (process), ==, 3);
}

/* One that does not end by itself, and is ended while somebody waits for its end and another one for its output. */
static void
stop_process (void *data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocess) process
      = g_subprocess_new (G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, "cat", NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  struct dill_await first = DILL_AWAIT_INIT, second = DILL_AWAIT_INIT;

  g_assert_no_error (error);
  g_subprocess_wait_async (process, cancellable, dill_await_ready, &first);
  test_assert_null_errno (dill_await (&first, cancellable, dill_now () + 2), ETIMEDOUT);
  g_subprocess_wait_async (process, NULL, dill_await_ready, &second);
  g_subprocess_force_exit (process);
  result = dill_await (&second, NULL, soon ());
  g_assert_true (g_subprocess_wait_finish (process, result, &error));
  g_assert_true (g_subprocess_get_if_signaled (process));
}

static void
test_process (void)
{
  in_coroutine (wait_for_process, NULL);
  in_coroutine (stop_process, NULL);
  wait_for_process (NULL);
}

/* --- Threads --- */

static void
compute (GTask *task, gpointer source G_GNUC_UNUSED, gpointer data, GCancellable *cancellable G_GNUC_UNUSED)
{
  g_task_return_int (task, GPOINTER_TO_INT (data) * 2);
}

static void
compute_in_thread (void *data)
{
  for (int i = 0; i < 50; i++)
    {
      struct dill_await await = DILL_AWAIT_INIT;
      g_autoptr (GTask) task = g_task_new (NULL, NULL, dill_await_ready, &await);

      g_task_set_task_data (task, GINT_TO_POINTER (i), NULL);
      g_task_run_in_thread (task, compute);
      g_assert_cmpint (number_of (dill_await (&await, NULL, soon ())), ==, 2 * i);
      if (data != NULL)
        ++*(guint *) data;
    }
}

static void
test_thread (void)
{
  guint n = 0;
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 8; i++)
    g_assert_no_errno (dill_bundle_spawn (b, compute_in_thread, &n));
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_no_errno (dill_hclose (b));
  g_assert_cmpuint (n, ==, 8 * 50);
  compute_in_thread (NULL);
}

static void
wait_until_told (GTask *task, gpointer source G_GNUC_UNUSED, gpointer queue, GCancellable *cancellable G_GNUC_UNUSED)
{
  next_step (queue);
  g_task_return_int (task, 1);
}

/* The thread works on; GTask calls back without it. */
static void
test_thread_that_is_left (void)
{
  g_autoptr (GAsyncQueue) queue = g_async_queue_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  struct dill_await await = DILL_AWAIT_INIT;
  GTask *task = begin (&await, cancellable);

  g_task_set_return_on_cancel (task, TRUE);
  g_task_set_task_data (task, queue, count_down);
  g_atomic_int_inc (&n_operations); /* for the data that was replaced */
  g_task_run_in_thread (task, wait_until_told);
  g_object_unref (task);
  test_assert_null_errno (dill_await (&await, cancellable, dill_now () + 2), ETIMEDOUT);
  g_async_queue_push (queue, queue);
  settle ();
}

/* --- D-Bus --- */

static const char interface[] = "<node><interface name='org.example.Test'>"
                                "<method name='Double'><arg type='i' direction='in'/><arg type='i' direction='out'/></method>"
                                "<method name='Ignore'/>"
                                "</interface></node>";

typedef struct
{
  GDBusMethodInvocation *ignored;
  guint n_ignored;
} Server;

static void
on_method_call (GDBusConnection *connection G_GNUC_UNUSED, const char *sender G_GNUC_UNUSED,
                const char *path G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, const char *method,
                GVariant *parameters, GDBusMethodInvocation *invocation, gpointer user_data)
{
  Server *server = user_data;
  int number;

  if (g_str_equal (method, "Ignore"))
    {
      server->n_ignored++;
      g_assert_null (server->ignored);
      server->ignored = invocation;
      return;
    }
  g_variant_get (parameters, "(i)", &number);
  g_dbus_method_invocation_return_value (invocation, g_variant_new ("(i)", 2 * number));
}

typedef struct
{
  GSocketConnection *stream;
  GDBusConnectionFlags flags;
  GDBusConnection *connection;
} Side;

static void
connect_bus (void *data)
{
  Side *side = data;
  g_autofree char *guid = g_dbus_generate_guid ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  struct dill_await await = DILL_AWAIT_INIT;

  g_dbus_connection_new (G_IO_STREAM (side->stream),
                         side->flags & G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER ? guid : NULL, side->flags, NULL,
                         NULL, dill_await_ready, &await);
  result = dill_await (&await, NULL, soon ());
  side->connection = g_dbus_connection_new_finish (result, &error);
  g_assert_no_error (error);
}

/* Returns the answer of METHOD, or NULL with errno. */
static GVariant *
call_method (GDBusConnection *connection, const char *method, GVariant *parameters, int64_t deadline)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  struct dill_await await = DILL_AWAIT_INIT;
  GVariant *answer;

  g_dbus_connection_call (connection, NULL, "/test", "org.example.Test", method, parameters, NULL,
                          G_DBUS_CALL_FLAGS_NONE, -1, cancellable, dill_await_ready, &await);
  result = dill_await (&await, cancellable, deadline);
  if (result == NULL)
    return NULL;

  answer = g_dbus_connection_call_finish (connection, result, &error);
  g_assert_no_error (error);
  return answer;
}

static void
call_repeatedly (void *data)
{
  GDBusConnection *connection = data;

  for (int i = 0; i < 20; i++)
    {
      g_autoptr (GVariant) answer = call_method (connection, "Double", g_variant_new ("(i)", i), soon ());
      int number;

      g_variant_get (answer, "(i)", &number);
      g_assert_cmpint (number, ==, 2 * i);
    }
}

static void
close_bus (Side *side)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  struct dill_await await = DILL_AWAIT_INIT;

  g_dbus_connection_close (side->connection, NULL, dill_await_ready, &await);
  result = dill_await (&await, NULL, soon ());
  g_dbus_connection_close_finish (side->connection, result, &error);
  if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED)) /* by the other side's */
    g_assert_no_error (error);
  g_clear_object (&side->connection);
  g_clear_object (&side->stream);
}

/* Over a connection of the library's, with both ends in this process. */
static void
test_dbus (void)
{
  g_autoptr (GDBusNodeInfo) info = g_dbus_node_info_new_for_xml (interface, NULL);
  const GDBusInterfaceVTable vtable = { .method_call = on_method_call };
  Side sides[] = { { .flags = G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER },
                   { .flags = G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT } };
  g_autoptr (GError) error = NULL;
  Server server = { 0 };
  int b = test_assert_ok (dill_bundle ()), s[2];

  g_assert_no_errno (dill_ipc_pair (s));
  for (guint i = 0; i < 2; i++)
    {
      sides[i].stream = dill_ipc_steal_connection (s[i], &error);
      g_assert_no_error (error);
      g_assert_no_errno (dill_bundle_spawn (b, connect_bus, &sides[i]));
    }
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_cmpuint (g_dbus_connection_register_object (sides[0].connection, "/test", info->interfaces[0], &vtable,
                                                       &server, NULL, &error),
                    >, 0);
  g_assert_no_error (error);

  for (guint i = 0; i < 5; i++)
    g_assert_no_errno (dill_bundle_spawn (b, call_repeatedly, sides[1].connection));
  g_assert_no_errno (dill_bundle_wait (b, soon ()));

  /* One that is not answered, and then is, when nobody expects it any more. */
  for (guint i = 0; i < 3; i++)
    {
      test_assert_null_errno (call_method (sides[1].connection, "Ignore", NULL, dill_now () + 5), ETIMEDOUT);
      test_iterate_until (server.n_ignored == i + 1);
      g_dbus_method_invocation_return_value (g_steal_pointer (&server.ignored), NULL);
      call_repeatedly (sides[1].connection);
    }

  close_bus (&sides[1]);
  close_bus (&sides[0]);
  g_assert_no_errno (dill_hclose (b));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/await-gio/file", test_file);
  g_test_add_func ("/await-gio/stream", test_stream);
  g_test_add_func ("/await-gio/process", test_process);
  g_test_add_func ("/await-gio/thread", test_thread);
  g_test_add_func ("/await-gio/thread-that-is-left", test_thread_that_is_left);
  g_test_add_func ("/await-gio/dbus", test_dbus);
  return g_test_run ();
}
