/* test-faults-connection.c: whatever fails while connections are made without an address, looked at, or closed.
 *
 * Pins: errno is one that is documented; no descriptor and no memory is lost; the next attempt succeeds, and what comes
 * of it is a connection; a handle that is closed is gone, whatever its peer learns.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-streams.h"
#include <gio/gio.h>

/* More than the kernel can keep to itself without ipc_close () noticing. */
#define UNREAD_LENGTH 4000

/* --- Pairs, and descriptors from elsewhere --- */

static gint64
try_pair (FaultWorld *world)
{
  return dill_ipc_pair (world->handles);
}

static gint64
try_pair_mem (FaultWorld *world)
{
  return dill_ipc_pair_mem (world->mem + 1, world->handles);
}

static void
check_pair (FaultWorld *world, gint64 result)
{
  char byte = 0;

  g_assert_cmpint (result, ==, 0);
  g_assert_no_errno (dill_bsend (world->handles[0], "x", 1, soon ()));
  g_assert_no_errno (dill_brecv (world->handles[1], &byte, 1, soon ()));
  g_assert_cmpint (byte, ==, 'x');
}

static void
use_descriptors (FaultWorld *world)
{
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, world->fds));
}

/* If it fails, the descriptor is as it was. */
static gint64
check_untouched (FaultWorld *world, int h)
{
  int saved_errno = errno;

  if (h < 0)
    {
      g_assert_cmpint (fcntl (world->fds[0], F_GETFL) & O_NONBLOCK, ==, 0);
      g_assert_cmpint (fcntl (world->fds[0], F_GETFD), ==, 0);
    }
  errno = saved_errno;
  return h;
}

static gint64
try_fromfd (FaultWorld *world)
{
  return check_untouched (world, dill_ipc_fromfd (world->fds[0]));
}

static gint64
try_fromfd_mem (FaultWorld *world)
{
  return check_untouched (world, dill_ipc_fromfd_mem (world->fds[0], world->mem + 1));
}

static void
check_adopted (FaultWorld *world, gint64 result)
{
  int fd = world->fds[0];

  world->handles[0] = (int) result;
  world->fds[0] = -1;
  check_talk (world->handles[0], world->fds[1]);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
}

static gint64
try_from_connection (FaultWorld *world)
{
  g_autoptr (GSocket) socket = g_socket_new_from_fd (test_assert_ok (dup (world->fds[0])), NULL);
  g_autoptr (GSocketConnection) connection = g_socket_connection_factory_create_connection (socket);
  g_autoptr (GError) error = NULL;
  int h = dill_ipc_from_connection (connection, &error);
  int saved_errno = errno;

  g_assert_true ((h < 0) == (error != NULL));
  errno = saved_errno;
  return h;
}

static void
check_shared (FaultWorld *world, gint64 result)
{
  world->handles[0] = (int) result;
  check_talk (world->handles[0], world->fds[1]);
}

/* --- What is done with a connection besides --- */

/* One that is registered for waiting. */
static void
use_waited_for (FaultWorld *world)
{
  char byte;

  use_stream (world);
  test_assert_errno (dill_brecv_some (world->handles[0], &byte, 1, dill_now () + 1), ETIMEDOUT);
}

static gint64
try_peer (FaultWorld *world)
{
  struct dill_ipc_peer peer = { .pid = 0 };
  int rc = dill_ipc_peer (world->handles[0], &peer);

  world->value = peer.pid;
  return rc;
}

static void
check_peer (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  g_assert_cmpint (world->value, ==, getpid ());
}

static gint64
try_done (FaultWorld *world)
{
  return dill_ipc_done (world->handles[0], world->deadline);
}

static void
check_done (FaultWorld *world, gint64 result)
{
  char byte;

  g_assert_cmpint (result, ==, 0);
  g_assert_cmpint (read (world->fds[0], &byte, 1), ==, 0);
}

static gint64
try_steal_fd (FaultWorld *world)
{
  return dill_ipc_steal_fd (world->handles[0]);
}

static void
check_stolen (FaultWorld *world, gint64 result)
{
  world->handles[0] = 0;
  world->fds[1] = (int) result;
  write_all (world->fds[1], "x", 1);
}

static void
check_stolen_listener (FaultWorld *world, gint64 result)
{
  world->handles[0] = 0;
  world->fds[1] = (int) result;
  world->fds[2] = connect_raw (world->path);
  g_assert_no_errno (unlink (world->path));
}

/* --- Closing --- */

static gint64
try_close_it (FaultWorld *world)
{
  int h = world->handles[0];

  world->handles[0] = 0;
  return dill_ipc_close (h, world->deadline);
}

static void
use_ended (FaultWorld *world)
{
  use_stream (world);
  g_assert_no_errno (shutdown (world->fds[0], SHUT_WR));
}

/* The peer reads to the end, and then ends its stream too. */
static gboolean
read_to_end (FaultWorld *world)
{
  char bytes[UNREAD_LENGTH];
  gssize n = recv (world->fds[0], bytes, sizeof bytes, MSG_DONTWAIT);

  if (n != 0)
    return G_SOURCE_CONTINUE;

  g_assert_no_errno (shutdown (world->fds[0], SHUT_WR));
  return G_SOURCE_REMOVE;
}

static void
use_slow_peer (FaultWorld *world)
{
  static const char zeros[UNREAD_LENGTH];

  use_stream (world);
  g_assert_no_errno (dill_bsend (world->handles[0], zeros, sizeof zeros, soon ()));
  fault_world_later (world, read_to_end);
}

/* The stream has ended the other way, but not all was read: the kernel says when. */
static gboolean
read_rest (FaultWorld *world)
{
  char bytes[UNREAD_LENGTH];

  return recv (world->fds[0], bytes, sizeof bytes, MSG_DONTWAIT) == 0 ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void
use_slow_reader (FaultWorld *world)
{
  use_slow_peer (world);
  world->later_func = read_rest;
  g_assert_no_errno (shutdown (world->fds[0], SHUT_WR));
}

static const FaultScenario scenarios[] = {
  SCENARIO ("dill_ipc_pair", "first-call", NULL, try_pair, check_pair),
  SCENARIO ("dill_ipc_pair", "last-handle", NULL, try_pair, check_pair, .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_ipc_pair_mem", "first-call", NULL, try_pair_mem, check_pair),
  SCENARIO ("dill_ipc_fromfd", "first-call", use_descriptors, try_fromfd, check_adopted),
  SCENARIO ("dill_ipc_fromfd", "last-handle", use_descriptors, try_fromfd, check_adopted, .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_ipc_fromfd_mem", "first-call", use_descriptors, try_fromfd_mem, check_adopted),
  SCENARIO ("dill_ipc_from_connection", "first-call", use_descriptors, try_from_connection, check_shared),
  SCENARIO ("dill_ipc_peer", "pair", use_stream, try_peer, check_peer),
  SCENARIO ("dill_ipc_done", "pair", use_stream, try_done, check_done, FAULT_BREAKS (ECONNRESET)),
  SCENARIO ("dill_ipc_steal_fd", "connection", use_waited_for, try_steal_fd, check_stolen),
  SCENARIO ("dill_ipc_steal_fd", "listener", use_listener, try_steal_fd, check_stolen_listener),
  SCENARIO ("dill_ipc_close", "ended-by-peer", use_ended, try_close_it, NULL, .traits = FAULT_IS_FINAL),
  SCENARIO ("dill_ipc_close", "last-handle", use_ended, try_close_it, NULL,
            .traits = FAULT_IS_FINAL | FAULT_LAST_HANDLE),
  SCENARIO ("dill_ipc_close", "slow-peer", use_slow_peer, try_close_it, NULL, .traits = FAULT_IS_FINAL),
  SCENARIO ("dill_ipc_close", "slow-reader", use_slow_reader, try_close_it, NULL, .traits = FAULT_IS_FINAL),
  SCENARIO ("dill_ipc_close", "listener", use_listener, try_close_it, NULL, .traits = FAULT_IS_FINAL),
  SCENARIO ("dill_hclose", "connection", use_waited_for, try_hclose, NULL, .traits = FAULT_IS_FINAL),
  SCENARIO ("dill_hclose", "listener", use_listener, try_hclose, NULL, .traits = FAULT_IS_FINAL),
};

int
main (int argc, char **argv)
{
  return fault_main (&argc, &argv, scenarios, G_N_ELEMENTS (scenarios));
}
