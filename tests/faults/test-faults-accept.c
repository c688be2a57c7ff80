/* test-faults-accept.c: whatever fails while a connection is accepted or asked for.
 *
 * Pins: errno is one that is documented; no descriptor and no memory is lost, and no connection that waits to be
 * accepted; the next attempt succeeds, and what comes of it is a connection.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-streams.h"
#include "ipc/address-utils.h"

#define BACKLOG 1
#define ABSTRACT "dillipc-test-faults-%d"

/* --- Accepting --- */

static void
use_client (FaultWorld *world)
{
  use_listener (world);
  world->fds[0] = connect_raw (world->path);
}

static gboolean
connect_later (FaultWorld *world)
{
  world->fds[0] = connect_raw (world->path);
  return G_SOURCE_REMOVE;
}

static void
expect_client (FaultWorld *world)
{
  use_listener (world);
  fault_world_later (world, connect_later);
}

/* The listener was passed to us with an option that its connections inherit, and must not have. */
static void
use_option (FaultWorld *world)
{
  int fd = listen_raw (world->path, BACKLOG);
  int yes = 1;

  g_assert_no_errno (setsockopt (fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes));
  world->handles[0] = test_assert_ok (dill_ipc_listener_fromfd (fd));
  world->fds[0] = connect_raw (world->path);
  g_assert_no_errno (unlink (world->path));
}

static gint64
try_accept_it (FaultWorld *world)
{
  return dill_ipc_accept (world->handles[0], world->deadline);
}

static gint64
try_accept_mem (FaultWorld *world)
{
  return dill_ipc_accept_mem (world->handles[0], world->mem + 1, world->deadline);
}

/* Without waiting, as it need not; but a socket that says that it is not ready is believed. */
static gint64
try_accept_at_once (FaultWorld *world)
{
  int h = dill_ipc_accept (world->handles[0], 0);

  return h < 0 && errno == ETIMEDOUT && world->injected == EAGAIN ? dill_ipc_accept (world->handles[0], 0) : h;
}

static void
check_accepted (FaultWorld *world, gint64 result)
{
  world->handles[1] = (int) result;
  check_talk (world->handles[1], world->fds[0]);
}

/* --- Connecting --- */

static void
use_raw_listener (FaultWorld *world)
{
  world->fds[0] = listen_raw (world->path, BACKLOG);
}

static void
use_long_path (FaultWorld *world)
{
  char *path = make_path (world->dir, 300, 60);

  g_free (world->path);
  world->path = path;
  use_listener (world);
}

static void
use_abstract_listener (FaultWorld *world)
{
  g_snprintf ((char *) world->buffer, sizeof world->buffer, ABSTRACT, (int) getpid ());
  world->handles[0]
      = test_assert_ok (dill_ipc_listen_full ((char *) world->buffer, BACKLOG, DILL_IPC_ABSTRACT, 0, NULL));
}

static gboolean
make_room (FaultWorld *world)
{
  world->fds[3] = test_assert_ok (accept (world->fds[0], NULL, NULL));
  return G_SOURCE_REMOVE;
}

/* One more can wait to be accepted than Linux is told. */
static void
fill_backlog (FaultWorld *world)
{
  world->fds[0] = listen_raw (world->path, 0);
  world->fds[1] = connect_raw (world->path);
  fault_world_later (world, make_room);
}

static gint64
try_connect (FaultWorld *world)
{
  return dill_ipc_connect (world->path, world->deadline);
}

static gint64
try_connect_mem (FaultWorld *world)
{
  return dill_ipc_connect_mem (world->path, world->mem + 1, world->deadline);
}

static gint64
try_connect_abstract (FaultWorld *world)
{
  return dill_ipc_connect_full ((char *) world->buffer, DILL_IPC_ABSTRACT, NULL, world->deadline);
}

static void
check_connected (FaultWorld *world, gint64 result)
{
  world->handles[1] = (int) result;
  world->fds[2] = test_assert_ok (accept (world->fds[0], NULL, NULL));
  check_talk (world->handles[1], world->fds[2]);
  g_assert_no_errno (unlink (world->path));
}

static void
check_connected_to_own (FaultWorld *world, gint64 result)
{
  char byte = 0;

  world->handles[1] = (int) result;
  world->handles[2] = test_assert_ok (dill_ipc_accept (world->handles[0], soon ()));
  g_assert_no_errno (dill_bsend (world->handles[1], "x", 1, soon ()));
  g_assert_no_errno (dill_brecv (world->handles[2], &byte, 1, soon ()));
  g_assert_cmpint (byte, ==, 'x');
}

static const FaultScenario scenarios[] = {
  SCENARIO ("dill_ipc_accept", "waiting-client", use_client, try_accept_it, check_accepted),
  SCENARIO ("dill_ipc_accept", "at-once", use_client, try_accept_at_once, check_accepted),
  SCENARIO ("dill_ipc_accept", "later-client", expect_client, try_accept_it, check_accepted),
  SCENARIO ("dill_ipc_accept", "last-handle", use_client, try_accept_it, check_accepted, .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_ipc_accept", "last-handle-later", expect_client, try_accept_it, check_accepted,
            .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_ipc_accept", "with-option", use_option, try_accept_it, check_accepted),
  SCENARIO ("dill_ipc_accept", "later-client-without-room-in-epoll", expect_client, try_accept_it, check_accepted,
            FAULT_GIVEN (epoll_ctl_add, ENOMEM)),
  SCENARIO ("dill_ipc_accept_mem", "waiting-client", use_client, try_accept_mem, check_accepted),
  SCENARIO ("dill_ipc_accept_mem", "later-client", expect_client, try_accept_mem, check_accepted),
  SCENARIO ("dill_ipc_connect", "first-call", use_raw_listener, try_connect, check_connected),
  SCENARIO ("dill_ipc_connect", "full-backlog", fill_backlog, try_connect, check_connected),
  SCENARIO ("dill_ipc_connect", "last-handle", use_raw_listener, try_connect, check_connected,
            .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_ipc_connect", "long-path", use_long_path, try_connect, check_connected_to_own),
  SCENARIO ("dill_ipc_connect", "long-path-without-proc", use_long_path, try_connect, check_connected_to_own,
            FAULT_GIVEN (stat, ENOENT)),
  SCENARIO ("dill_ipc_connect_mem", "first-call", use_raw_listener, try_connect_mem, check_connected),
  SCENARIO ("dill_ipc_connect_full", "abstract", use_abstract_listener, try_connect_abstract, check_connected_to_own),
};

int
main (int argc, char **argv)
{
  return fault_main (&argc, &argv, scenarios, G_N_ELEMENTS (scenarios));
}
