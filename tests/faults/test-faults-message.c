/* test-faults-message.c: whatever fails while messages are sent or received, or protocols attached and detached.
 *
 * Pins: errno is one that is documented; a message arrives whole or the direction is broken, for ever; an attach or
 * detach that fails leaves what it was called on as it was.  Over connections, which read ahead, and over streams of a
 * program's own, which do not.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-streams.h"
#include "message/message-utils.h"

/* A message and its frame: of either protocol the longer one's. */
#define FRAME_MAX 4

/* Of the message that is too long for its receiver. */
#define ROOM (SHORT_LENGTH / 2)

/* The message of LENGTH bytes, framed as the world's kind has it. */
static GByteArray *
make_frame (const FaultWorld *world, gsize length)
{
  const Kind *kind = world->data;
  GByteArray *frame = g_byte_array_sized_new ((guint) (length + FRAME_MAX));
  guint32 header = g_htonl (length);

  if (!kind->is_suffix)
    g_byte_array_append (frame, (guint8 *) &header, sizeof header);
  fill_message (long_buffer, length, 0);
  g_byte_array_append (frame, long_buffer, (guint) length);
  if (kind->is_suffix)
    g_byte_array_append (frame, (const guint8 *) MARK, strlen (MARK));
  return frame;
}

static void
use_messages (FaultWorld *world)
{
  use_stream (world);
  world->handles[0] = attach_kind (world->data, world->handles[0]);
}

/* --- Sending --- */

static void
use_reader (FaultWorld *world)
{
  use_messages (world);
  fault_world_later (world, peer_reads);
}

static void
use_full_messages (FaultWorld *world)
{
  use_full_stream (world);
  world->handles[0] = attach_kind (world->data, world->handles[0]);
}

static gint64
try_msend (FaultWorld *world)
{
  fill_message (long_buffer, SHORT_LENGTH, 0);
  return dill_msend (world->handles[0], long_buffer, SHORT_LENGTH, world->deadline);
}

static gint64
try_msend_long (FaultWorld *world)
{
  fill_message (long_buffer, LONG_LENGTH, 0);
  return dill_msend (world->handles[0], long_buffer, LONG_LENGTH, world->deadline);
}

static gint64
try_msendl (FaultWorld *world)
{
  struct dill_iolist last = { long_buffer + 200, SHORT_LENGTH - 200, NULL, 0 };
  struct dill_iolist first = { long_buffer, 200, &last, 0 };

  fill_message (long_buffer, SHORT_LENGTH, 0);
  return dill_msendl (world->handles[0], &first, &last, world->deadline);
}

static void
check_sent (FaultWorld *world, gint64 result)
{
  g_autoptr (GByteArray) frame = make_frame (world, SHORT_LENGTH);

  g_assert_cmpint (result, ==, 0);
  check_peer_received (world, frame->data, frame->len);
}

static void
check_sent_long (FaultWorld *world, gint64 result)
{
  g_autoptr (GByteArray) frame = make_frame (world, LONG_LENGTH);

  g_assert_cmpint (result, ==, 0);
  check_peer_received (world, frame->data, frame->len);
}

/* --- Receiving --- */

static gboolean
let_peer_write (FaultWorld *world)
{
  g_autoptr (GByteArray) frame = make_frame (world, SHORT_LENGTH);

  return peer_writes (world, frame->data, frame->len);
}

static gboolean
let_peer_write_long (FaultWorld *world)
{
  g_autoptr (GByteArray) frame = make_frame (world, LONG_LENGTH);

  return peer_writes (world, frame->data, frame->len);
}

static void
use_message (FaultWorld *world)
{
  use_messages (world);
  let_peer_write (world);
}

static void
use_writer (FaultWorld *world)
{
  use_messages (world);
  fault_world_later (world, let_peer_write);
}

static void
use_long_writer (FaultWorld *world)
{
  use_messages (world);
  fault_world_later (world, let_peer_write_long);
}

/* A message that is too long for the next receiver, and one that is not. */
static void
use_two_messages (FaultWorld *world)
{
  g_autoptr (GByteArray) next = NULL;

  use_message (world);
  next = make_frame (world, ROOM);
  write_all (world->fds[PEER], next->data, next->len);
}

static gint64
try_mrecv (FaultWorld *world)
{
  return dill_mrecv (world->handles[0], world->buffer, sizeof world->buffer, world->deadline);
}

static gint64
try_mrecv_long (FaultWorld *world)
{
  static guint8 received[LONG_LENGTH];
  gssize length;

  length = dill_mrecv (world->handles[0], received, sizeof received, world->deadline);
  if (length == LONG_LENGTH)
    memcpy (long_buffer, received, sizeof received);
  return length;
}

static gint64
try_mrecvl (FaultWorld *world)
{
  struct dill_iolist last = { world->buffer + 200, sizeof world->buffer - 200, NULL, 0 };
  struct dill_iolist first = { world->buffer, 200, &last, 0 };

  return dill_mrecvl (world->handles[0], &first, &last, world->deadline);
}

/* The first message is skipped whole, or nothing of it. */
static gint64
try_mrecv_next (FaultWorld *world)
{
  gssize length = dill_mrecv (world->handles[0], world->buffer, ROOM, world->deadline);

  if (length == -1 && errno == EMSGSIZE)
    length = dill_mrecv (world->handles[0], world->buffer, ROOM, world->deadline);
  return length;
}

static void
check_message (FaultWorld *world, gint64 result)
{
  fill_message (long_buffer, SHORT_LENGTH, 0);
  g_assert_cmpmem (world->buffer, result, long_buffer, SHORT_LENGTH);
}

static void
check_message_long (FaultWorld *world G_GNUC_UNUSED, gint64 result)
{
  static guint8 expected[LONG_LENGTH];

  fill_message (expected, LONG_LENGTH, 0);
  g_assert_cmpmem (long_buffer, result, expected, LONG_LENGTH);
}

static void
check_next_message (FaultWorld *world, gint64 result)
{
  fill_message (long_buffer, ROOM, 0);
  g_assert_cmpmem (world->buffer, result, long_buffer, ROOM);
}

/* --- Attaching and detaching --- */

static gint64
try_prefix_attach (FaultWorld *world)
{
  return dill_prefix_attach (world->handles[0], 4, DILL_PREFIX_BIG_ENDIAN);
}

static gint64
try_prefix_attach_mem (FaultWorld *world)
{
  return dill_prefix_attach_mem (world->handles[0], 4, DILL_PREFIX_BIG_ENDIAN, world->mem + 1);
}

static gint64
try_suffix_attach (FaultWorld *world)
{
  return dill_suffix_attach (world->handles[0], MARK, strlen (MARK));
}

static gint64
try_suffix_attach_mem (FaultWorld *world)
{
  return dill_suffix_attach_mem (world->handles[0], MARK, strlen (MARK), world->mem + 1);
}

static gint64
try_detach (FaultWorld *world)
{
  return detach_kind (world->data, world->handles[0]);
}

static void
check_attached (FaultWorld *world, gint64 result)
{
  world->handles[0] = (int) result;
  g_assert_no_errno (dill_msend (world->handles[0], "", 0, soon ()));
}

static void
check_detached (FaultWorld *world, gint64 result)
{
  world->handles[0] = (int) result;
  g_assert_no_errno (dill_bsend (world->handles[0], "x", 1, soon ()));
}

static const Kind prefix = { "prefix", false, false, false };
static const Kind suffix = { "suffix", true, false, false };
static const Kind prefix_on_own = { "prefix on a stream of one's own", false, true, false };
static const Kind suffix_on_own = { "suffix on a stream of one's own", true, true, false };

#define MESSAGE(function_, variant_, kind_, set_up_, call_, check_)                                                    \
  SCENARIO (function_, variant_, set_up_, call_, check_, FAULT_BREAKS (ECONNRESET, ETIMEDOUT), .data = &kind_,         \
            .traits = FAULT_MAY_BREAK)

#define SHORT_MESSAGES(variant, kind)                                                                                  \
  MESSAGE ("dill_msend", variant "-short", kind, use_messages, try_msend, check_sent),                                 \
      MESSAGE ("dill_msend", variant "-full", kind, use_full_messages, try_msend, check_sent),                         \
      MESSAGE ("dill_msendl", variant "-short", kind, use_messages, try_msendl, check_sent),                           \
      MESSAGE ("dill_mrecv", variant "-short", kind, use_message, try_mrecv, check_message),                           \
      MESSAGE ("dill_mrecv", variant "-empty", kind, use_writer, try_mrecv, check_message),                            \
      MESSAGE ("dill_mrecv", variant "-too-long", kind, use_two_messages, try_mrecv_next, check_next_message),         \
      MESSAGE ("dill_mrecvl", variant "-short", kind, use_message, try_mrecvl, check_message)

#define LONG_MESSAGES(variant, kind)                                                                                   \
  MESSAGE ("dill_msend", variant "-long", kind, use_reader, try_msend_long, check_sent_long),                          \
      MESSAGE ("dill_mrecv", variant "-long", kind, use_long_writer, try_mrecv_long, check_message_long)

static const FaultScenario scenarios[] = {
  SHORT_MESSAGES ("prefix", prefix),
  SHORT_MESSAGES ("suffix", suffix),
  SHORT_MESSAGES ("prefix-on-own-stream", prefix_on_own),
  SHORT_MESSAGES ("suffix-on-own-stream", suffix_on_own),
  LONG_MESSAGES ("prefix", prefix),
  LONG_MESSAGES ("suffix", suffix),
  SCENARIO ("dill_prefix_attach", "connection", use_stream, try_prefix_attach, check_attached),
  SCENARIO ("dill_prefix_attach", "last-handle", use_stream, try_prefix_attach, check_attached,
            .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_suffix_attach", "connection", use_stream, try_suffix_attach, check_attached),
  SCENARIO ("dill_suffix_attach", "last-handle", use_stream, try_suffix_attach, check_attached,
            .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_prefix_attach_mem", "connection", use_stream, try_prefix_attach_mem, check_attached),
  SCENARIO ("dill_prefix_attach_mem", "last-handle", use_stream, try_prefix_attach_mem, check_attached,
            .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_suffix_attach_mem", "connection", use_stream, try_suffix_attach_mem, check_attached),
  SCENARIO ("dill_suffix_attach_mem", "last-handle", use_stream, try_suffix_attach_mem, check_attached,
            .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_prefix_detach", "connection", use_messages, try_detach, check_detached, .data = &prefix),
  SCENARIO ("dill_suffix_detach", "connection", use_messages, try_detach, check_detached, .data = &suffix),
};

int
main (int argc, char **argv)
{
  return fault_main (&argc, &argv, scenarios, G_N_ELEMENTS (scenarios));
}
