/* test-faults-stream.c: whatever fails while bytes or descriptors are sent or received.
 *
 * Pins: errno is one that is documented; what was sent or received before the next attempt is not lost, or the stream
 * says that it is broken, for ever; neither a byte nor a descriptor comes twice, or in another place.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-streams.h"
#include "ipc/descriptor-utils.h"

/* --- Sending --- */

static void
use_reader (FaultWorld *world)
{
  use_stream (world);
  fault_world_later (world, peer_reads);
}

static gint64
try_bsend (FaultWorld *world)
{
  fill_bytes (long_buffer, SHORT_LENGTH, 0);
  return dill_bsend (world->handles[0], long_buffer, SHORT_LENGTH, world->deadline);
}

static gint64
try_bsend_long (FaultWorld *world)
{
  fill_bytes (long_buffer, LONG_LENGTH, 0);
  return dill_bsend (world->handles[0], long_buffer, LONG_LENGTH, world->deadline);
}

static gint64
try_bsendl (FaultWorld *world)
{
  struct dill_iolist last = { long_buffer + 200, SHORT_LENGTH - 200, NULL, 0 };
  struct dill_iolist first = { long_buffer, 200, &last, 0 };

  fill_bytes (long_buffer, SHORT_LENGTH, 0);
  return dill_bsendl (world->handles[0], &first, &last, world->deadline);
}

static void
check_sent (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  check_peer_received (world, long_buffer, SHORT_LENGTH);
}

static void
check_sent_long (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  check_peer_received (world, long_buffer, LONG_LENGTH);
}

/* --- Receiving --- */

static gboolean
let_peer_write (FaultWorld *world)
{
  guint8 bytes[SHORT_LENGTH];

  fill_bytes (bytes, sizeof bytes, 0);
  return peer_writes (world, bytes, sizeof bytes);
}

static gboolean
let_peer_write_long (FaultWorld *world)
{
  static guint8 bytes[LONG_LENGTH];

  fill_bytes (bytes, sizeof bytes, 0);
  return peer_writes (world, bytes, sizeof bytes);
}

static void
use_bytes (FaultWorld *world)
{
  use_stream (world);
  let_peer_write (world);
}

static void
use_writer (FaultWorld *world)
{
  use_stream (world);
  fault_world_later (world, let_peer_write);
}

static void
use_long_writer (FaultWorld *world)
{
  use_stream (world);
  fault_world_later (world, let_peer_write_long);
}

static gint64
try_brecv (FaultWorld *world)
{
  return dill_brecv (world->handles[0], world->buffer, SHORT_LENGTH, world->deadline);
}

static gint64
try_brecv_long (FaultWorld *world)
{
  return dill_brecv (world->handles[0], long_buffer, LONG_LENGTH, world->deadline);
}

/* Of what comes, the middle is dropped. */
static gint64
try_brecvl (FaultWorld *world)
{
  struct dill_iolist last = { world->buffer + 400, SHORT_LENGTH - 400, NULL, 0 };
  struct dill_iolist middle = { NULL, 200, &last, 0 };
  struct dill_iolist first = { world->buffer, 200, &middle, 0 };

  return dill_brecvl (world->handles[0], &first, &last, world->deadline);
}

static gint64
try_brecv_some (FaultWorld *world)
{
  return dill_brecv_some (world->handles[0], world->buffer, SHORT_LENGTH, world->deadline);
}

static void
check_received (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  check_bytes (world->buffer, SHORT_LENGTH, 0);
}

static void
check_received_long (FaultWorld *world G_GNUC_UNUSED, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  check_bytes (long_buffer, LONG_LENGTH, 0);
}

static void
check_received_parts (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  check_bytes (world->buffer, 200, 0);
  check_bytes (world->buffer + 400, SHORT_LENGTH - 400, 400);
}

static void
check_received_some (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, SHORT_LENGTH);
  check_bytes (world->buffer, SHORT_LENGTH, 0);
}

/* --- Descriptors --- */

static void
use_file (FaultWorld *world)
{
  use_stream (world);
  world->fds[1] = new_file ();
}

static void
use_file_and_full_stream (FaultWorld *world)
{
  use_full_stream (world);
  world->fds[1] = new_file ();
}

static gboolean
let_peer_send_file (FaultWorld *world)
{
  g_assert_cmpint (send_with_files (world->fds[PEER], "x", 1, world->fds[1], 1), ==, 1);
  return G_SOURCE_REMOVE;
}

static void
use_sent_file (FaultWorld *world)
{
  use_file (world);
  let_peer_send_file (world);
}

static void
use_file_to_come (FaultWorld *world)
{
  use_file (world);
  fault_world_later (world, let_peer_send_file);
}

static gint64
try_sendfd (FaultWorld *world)
{
  return dill_ipc_sendfd (world->handles[0], world->fds[1], world->deadline);
}

static gint64
try_recvfd (FaultWorld *world)
{
  return dill_ipc_recvfd (world->handles[0], world->deadline);
}

/* One byte came, and one descriptor with it. */
static void
check_file_sent (FaultWorld *world, gint64 result)
{
  int h;

  g_assert_cmpint (result, ==, 0);
  g_assert_cmpuint (peer_received->len, ==, 0);
  h = test_assert_ok (dill_ipc_fromfd (world->fds[PEER]));
  world->fds[PEER] = -1;
  world->handles[1] = h;
  world->fds[2] = test_assert_ok (dill_ipc_recvfd (h, 0));
  assert_same_file (world->fds[2], world->fds[1]);
  test_assert_errno (dill_brecv_some (h, world->buffer, 1, 0), ETIMEDOUT);
}

/* The peer has read on the way, and what it does not take is closed by the kernel. */
static void
check_file_sent_later (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  check_peer_received (world, "", 1);
}

static void
check_file_received (FaultWorld *world, gint64 result)
{
  world->fds[2] = (int) result;
  assert_same_file (world->fds[2], world->fds[1]);
  g_assert_cmpint (fcntl (world->fds[2], F_GETFD), ==, FD_CLOEXEC);
}

static const FaultScenario scenarios[] = {
  SCENARIO ("dill_bsend", "short", use_stream, try_bsend, check_sent, FAULT_BREAKS (ECONNRESET, ETIMEDOUT)),
  SCENARIO ("dill_bsend", "full", use_full_stream, try_bsend, check_sent, FAULT_BREAKS (ECONNRESET, ETIMEDOUT)),
  SCENARIO ("dill_bsend", "long", use_reader, try_bsend_long, check_sent_long, .traits = FAULT_MAY_BREAK,
            FAULT_BREAKS (ECONNRESET, ETIMEDOUT)),
  SCENARIO ("dill_bsendl", "short", use_stream, try_bsendl, check_sent, FAULT_BREAKS (ECONNRESET, ETIMEDOUT)),
  SCENARIO ("dill_bsendl", "full", use_full_stream, try_bsendl, check_sent, FAULT_BREAKS (ECONNRESET, ETIMEDOUT)),
  SCENARIO ("dill_brecv", "short", use_bytes, try_brecv, check_received, FAULT_BREAKS (ECONNRESET, ETIMEDOUT)),
  SCENARIO ("dill_brecv", "empty", use_writer, try_brecv, check_received, FAULT_BREAKS (ECONNRESET, ETIMEDOUT)),
  SCENARIO ("dill_bsend", "full-without-room-in-epoll", use_full_stream, try_bsend, check_sent,
            FAULT_BREAKS (ECONNRESET, ETIMEDOUT), FAULT_GIVEN (epoll_ctl_mod, ENOMEM)),
  SCENARIO ("dill_brecv", "empty-without-room-in-epoll", use_writer, try_brecv, check_received,
            FAULT_BREAKS (ECONNRESET, ETIMEDOUT), FAULT_GIVEN (epoll_ctl_add, ENOSPC)),
  SCENARIO ("dill_brecv", "long", use_long_writer, try_brecv_long, check_received_long, .traits = FAULT_MAY_BREAK,
            FAULT_BREAKS (ECONNRESET, ETIMEDOUT)),
  SCENARIO ("dill_brecvl", "short", use_bytes, try_brecvl, check_received_parts, FAULT_BREAKS (ECONNRESET, ETIMEDOUT)),
  SCENARIO ("dill_brecvl", "empty", use_writer, try_brecvl, check_received_parts, FAULT_BREAKS (ECONNRESET, ETIMEDOUT)),
  SCENARIO ("dill_brecv_some", "short", use_bytes, try_brecv_some, check_received_some, FAULT_BREAKS (ECONNRESET)),
  SCENARIO ("dill_brecv_some", "empty", use_writer, try_brecv_some, check_received_some, FAULT_BREAKS (ECONNRESET)),
  SCENARIO ("dill_ipc_sendfd", "short", use_file, try_sendfd, check_file_sent, FAULT_BREAKS (ECONNRESET)),
  SCENARIO ("dill_ipc_sendfd", "full", use_file_and_full_stream, try_sendfd, check_file_sent_later,
            FAULT_BREAKS (ECONNRESET)),
  SCENARIO ("dill_ipc_recvfd", "short", use_sent_file, try_recvfd, check_file_received, FAULT_BREAKS (ECONNRESET)),
  SCENARIO ("dill_ipc_recvfd", "empty", use_file_to_come, try_recvfd, check_file_received, FAULT_BREAKS (ECONNRESET)),
};

int
main (int argc, char **argv)
{
  return fault_main (&argc, &argv, scenarios, G_N_ELEMENTS (scenarios));
}
