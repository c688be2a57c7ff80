/* test-faults-waiting.c: whatever fails while a program waits for time or descriptors, for operations of GIO, and in
 * the face towards GLib.
 *
 * Pins: errno is one that is documented; a wait ends when what it waits for happens, though the kernel had no room to
 * register it at first; a descriptor that was waited for can be waited for again.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-streams.h"
#include "glib/await-utils.h"
#include <dillipc/dill-glib.h>

/* --- Time --- */

static gint64
try_msleep (FaultWorld *world G_GNUC_UNUSED)
{
  return dill_msleep (dill_now () + 2);
}

/* --- Descriptors of the program's own --- */

static void
use_pipe (FaultWorld *world)
{
  g_assert_no_errno (pipe2 (world->fds, O_NONBLOCK));
}

static gboolean
write_later (FaultWorld *world)
{
  g_assert_cmpint (write (world->fds[1], "x", 1), ==, 1);
  return G_SOURCE_REMOVE;
}

static void
use_ready_pipe (FaultWorld *world)
{
  use_pipe (world);
  write_later (world);
}

static void
use_empty_pipe (FaultWorld *world)
{
  use_pipe (world);
  fault_world_later (world, write_later);
}

static gboolean
read_later (FaultWorld *world)
{
  while (read (world->fds[0], world->buffer, sizeof world->buffer) > 0)
    continue;
  return G_SOURCE_REMOVE;
}

static void
use_full_pipe (FaultWorld *world)
{
  use_pipe (world);
  while (write (world->fds[1], world->buffer, sizeof world->buffer) > 0)
    continue;
  fault_world_later (world, read_later);
}

/* One that epoll refuses. */
static void
use_regular_file (FaultWorld *world)
{
  world->fds[0] = test_assert_ok (open (world->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  g_assert_no_errno (unlink (world->path));
}

static void
use_waited_for (FaultWorld *world)
{
  use_pipe (world);
  test_assert_errno (dill_fdin (world->fds[0], dill_now () + 1), ETIMEDOUT);
}

/* Somebody waits for the writing end of a connection's descriptor too: two directions of one number. */
static void
wait_to_read (void *data)
{
  FaultWorld *world = data;

  world->value = dill_fdin (world->fds[0], -1);
}

static gboolean
read_peer_later (FaultWorld *world)
{
  while (read (world->fds[1], world->buffer, sizeof world->buffer) > 0)
    continue;
  return G_SOURCE_REMOVE;
}

static void
use_both_directions (FaultWorld *world)
{
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, world->fds));
  fill_socket (world->fds[0]);
  world->handles[0] = test_assert_ok (dill_spawn (wait_to_read, world));
  fault_world_later (world, read_peer_later);
}

static gint64
try_fdin (FaultWorld *world)
{
  return dill_fdin (world->fds[0], world->deadline);
}

static gint64
try_fdout (FaultWorld *world)
{
  return dill_fdout (world->fds[1], world->deadline);
}

static gint64
try_fdout_of_both (FaultWorld *world)
{
  return dill_fdout (world->fds[0], world->deadline);
}

static gint64
try_fdclean (FaultWorld *world)
{
  return dill_fdclean (world->fds[0]);
}

static void
check_readable (FaultWorld *world, gint64 result)
{
  char byte;

  g_assert_cmpint (result, ==, 0);
  g_assert_cmpint (read (world->fds[0], &byte, 1), ==, 1);
}

static void
check_writable (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  g_assert_cmpint (write (world->fds[1], "x", 1), ==, 1);
}

/* The other direction is still waited for, and learns what happens. */
static void
check_other_direction (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  g_assert_cmpint (write (world->fds[1], "x", 1), ==, 1);
  g_assert_no_errno (dill_bundle_wait (world->handles[0], soon ()));
  g_assert_cmpint (world->value, ==, 0);
}

/* --- The face towards GLib --- */

/* What is made is let go at once. */
static gint64
try_listener_source (FaultWorld *world)
{
  g_autoptr (GSource) source = dill_ipc_listener_source_new (world->handles[0]);

  return source != NULL ? 0 : -1;
}

static gint64
try_connection_source (FaultWorld *world)
{
  g_autoptr (GSource) source = dill_ipc_connection_source_new (world->handles[0], G_IO_IN);

  return source != NULL ? 0 : -1;
}

static gint64
try_steal_connection (FaultWorld *world)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketConnection) connection = dill_ipc_steal_connection (world->handles[0], &error);

  g_assert_true ((connection == NULL) == (error != NULL));
  if (connection == NULL)
    return -1;

  world->handles[0] = 0;
  return 0;
}

/* One that ends in the next turn of the main loop, whether or not it is still waited for. */
static gint64
try_await (FaultWorld *world)
{
  struct dill_await *await = (struct dill_await *) (void *) world->mem;
  GAsyncResult *result;
  int error;

  *await = (struct dill_await) DILL_AWAIT_INIT;
  finish (begin (await, NULL), 7);
  result = dill_await (await, NULL, world->deadline);
  if (result != NULL)
    return number_of (result);

  error = errno;
  while (n_operations > 0) /* it is left to itself, and GTask holds on to the context until it calls back */
    g_main_context_iteration (g_main_context_get_thread_default (), TRUE);
  errno = error;
  return -1;
}

static void
check_awaited (FaultWorld *world G_GNUC_UNUSED, gint64 result)
{
  g_assert_cmpint (result, ==, 7);
}

static gint64
try_await_ready (FaultWorld *world)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, NULL, NULL);
  struct dill_await *await = (struct dill_await *) (void *) world->mem;

  *await = (struct dill_await) DILL_AWAIT_INIT;
  g_task_return_int (task, 7);
  dill_await_ready (NULL, G_ASYNC_RESULT (task), await);
  return 0;
}

static void
check_called_back (FaultWorld *world, gint64 result G_GNUC_UNUSED)
{
  g_assert_cmpint (number_of (dill_await ((struct dill_await *) (void *) world->mem, NULL, 0)), ==, 7);
  g_main_context_iteration (g_main_context_get_thread_default (), FALSE); /* GTask holds on to the context until then */
}

static const FaultScenario scenarios[] = {
  SCENARIO ("dill_await", "operation", NULL, try_await, check_awaited),
  SCENARIO ("dill_await_ready", "operation", NULL, try_await_ready, check_called_back),
  SCENARIO ("dill_msleep", "first-call", NULL, try_msleep, NULL),
  SCENARIO ("dill_fdin", "ready", use_ready_pipe, try_fdin, check_readable),
  SCENARIO ("dill_fdin", "empty", use_empty_pipe, try_fdin, check_readable),
  SCENARIO ("dill_fdin", "regular-file", use_regular_file, try_fdin, NULL),
  SCENARIO ("dill_fdin", "empty-without-epoll", use_empty_pipe, try_fdin, check_readable,
            FAULT_GIVEN (epoll_create1, EMFILE)),
  SCENARIO ("dill_fdout", "full", use_full_pipe, try_fdout, check_writable),
  SCENARIO ("dill_fdout", "both-directions", use_both_directions, try_fdout_of_both, check_other_direction),
  SCENARIO ("dill_fdclean", "waited-for", use_waited_for, try_fdclean, NULL),
  SCENARIO ("dill_ipc_listener_source_new", "listener", use_listener, try_listener_source, NULL),
  SCENARIO ("dill_ipc_connection_source_new", "connection", use_stream, try_connection_source, NULL),
  SCENARIO ("dill_ipc_steal_connection", "connection", use_stream, try_steal_connection, NULL),
};

int
main (int argc, char **argv)
{
  /* GTask begins with a thread that stays. */
  g_object_unref (g_task_new (NULL, NULL, NULL, NULL));
  g_main_context_wakeup (NULL);

  return fault_main (&argc, &argv, scenarios, G_N_ELEMENTS (scenarios));
}
