/* fault-streams.h: what is sent and received in scenarios of byte streams and messages, and the peer's part in it.
 *
 * The peer is a plain descriptor, served while the call waits.  All of its bytes tell their places, from 0 on, in
 * either direction.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "fault-points.h"

/* Which of a world's descriptors the peer is. */
#define PEER 0

#define SHORT_LENGTH 600

/* More than a socket takes at once. */
#define LONG_LENGTH 400000

/* What the peer has received, or has yet to send; one world is at work at a time. */
static GByteArray *peer_received;
static gsize peer_sent;
G_GNUC_UNUSED static guint8 long_buffer[LONG_LENGTH];

static inline void
use_listener (FaultWorld *world)
{
  world->handles[0] = test_assert_ok (dill_ipc_listen (world->path, 1));
}

/* A connection whose peer is a plain descriptor that does not block.  If IS_FULL, no more can be sent to it before
 * it has read: the number of bytes that fill it is the world's value. */
static inline void
make_stream (FaultWorld *world, bool is_full)
{
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  world->fds[PEER] = fds[1];
  world->value = is_full ? (gint64) fill_socket (fds[0]) : 0;
  world->handles[0] = test_assert_ok (dill_ipc_fromfd (fds[0]));
  peer_sent = 0;
  peer_received = peer_received == NULL ? g_byte_array_new () : g_byte_array_set_size (peer_received, 0);
}

static inline void
use_stream (FaultWorld *world)
{
  make_stream (world, false);
}

/* Bytes go both ways between the connection H and a plain peer. */
static inline void
check_talk (int h, int peer)
{
  char byte = 0;

  g_assert_no_errno (dill_bsend (h, "a", 1, soon ()));
  read_all (peer, &byte, 1);
  g_assert_cmpint (byte, ==, 'a');
  write_all (peer, "b", 1);
  g_assert_no_errno (dill_brecv (h, &byte, 1, soon ()));
  g_assert_cmpint (byte, ==, 'b');
}

/* Reads what is there. */
static inline gboolean
peer_reads (FaultWorld *world)
{
  guint8 bytes[30000];
  gssize n = read (world->fds[PEER], bytes, sizeof bytes);

  if (n > 0)
    g_byte_array_append (peer_received, bytes, (guint) n);
  else
    g_assert_true (n == 0 || errno == EAGAIN || errno == ECONNRESET);
  return G_SOURCE_CONTINUE;
}

/* Writes BYTES from the place on to which it has come, up to LENGTH. */
static inline gboolean
peer_writes (FaultWorld *world, const void *bytes, gsize length)
{
  gssize n = send (world->fds[PEER], (const guint8 *) bytes + peer_sent, length - peer_sent, MSG_NOSIGNAL);

  if (n < 0)
    {
      g_assert_true (errno == EAGAIN || errno == EPIPE);
      return errno == EAGAIN;
    }
  peer_sent += (gsize) n;
  return peer_sent < length;
}

/* A full one, whose peer reads while the call waits. */
static inline void
use_full_stream (FaultWorld *world)
{
  make_stream (world, true);
  fault_world_later (world, peer_reads);
}

/* The peer has received BYTES, and that is all. */
static inline void
check_peer_received (FaultWorld *world, const void *bytes, gsize length)
{
  gsize filled = (gsize) world->value;

  while (peer_received->len < filled + length)
    {
      struct pollfd poll_fd = { .fd = world->fds[PEER], .events = POLLIN };

      g_assert_cmpint (poll (&poll_fd, 1, 1000 * TEST_LIMIT_SECONDS), ==, 1);
      peer_reads (world);
    }
  g_assert_cmpmem (peer_received->data + filled, peer_received->len - filled, bytes, length);
  g_assert_true (recv (world->fds[PEER], world->buffer, 1, MSG_PEEK) < 0 && errno == EAGAIN);
}
