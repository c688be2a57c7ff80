/* digest-protocol.h: what dill-digest and dill-digestd say to each other.
 *
 * Both directions of a connection carry frames, one after the other:
 *
 *     type     1 byte
 *     length   4 bytes, the most significant first: how long the payload is
 *     payload  LENGTH bytes
 *
 *     type          payload              meaning
 *     from the client
 *     'D' data      1 to 65,536 bytes    the next piece of a file
 *     'E' end       none                 the file is complete
 *     'A' abandon   none                 forget what came of the file (it could not be read to its end)
 *     'P' pass      none                 the next byte brings an open descriptor of a file, see dill_ipc_sendfd()
 *     from the daemon
 *     'R' result    32 bytes             the SHA-256 digest of the file
 *     'N' refused   none                 the descriptor is not one of a regular file
 *     'F' failed    4 bytes              the errno with which the file could not be read, as LENGTH is written
 *
 * 'E' and 'P' get one answer each, in order; a failure concerns one file, and the connection goes on.  The client ends
 * the connection between two files, by ending its stream.  Whoever breaks a rule is cut off without an answer.
 *
 * An errno may cross the connection because both ends run on one machine; each puts it into its user's language.  File
 * names do not cross it: the daemon has no use for them, so nobody can harm it with one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DIGEST_PROTOCOL_H
#define DIGEST_PROTOCOL_H

#include <glib.h>

enum
{
  DIGEST_FRAME_DATA = 'D',
  DIGEST_FRAME_END = 'E',
  DIGEST_FRAME_ABANDON = 'A',
  DIGEST_FRAME_PASS = 'P',
  DIGEST_FRAME_RESULT = 'R',
  DIGEST_FRAME_REFUSED = 'N',
  DIGEST_FRAME_FAILED = 'F'
};

/* Large enough that the bytes outweigh the frame, small enough to be digested in well under a millisecond. */
#define DIGEST_DATA_MAX 65536

/* SHA-256. */
#define DIGEST_RESULT_SIZE 32

/* Too large for the stack of a coroutine: allocate it. */
struct digest_frame
{
  guint8 type;
  guint32 length;
  guint8 payload[DIGEST_DATA_MAX];
};

/* Sends one frame.  Returns 0, or -1 with the errno of dill_bsend (). */
int digest_frame_send (int connection, guint8 type, const void *payload, gsize length, gint64 deadline);

/* Sends a 'failed' frame.  Returns as digest_frame_send (). */
int digest_frame_send_error (int connection, int error, gint64 deadline);

/* Receives one frame.  Returns 0, or -1 with the errno of dill_brecv () and
 *  - EPIPE: the stream has ended, between two frames
 *  - EPROTO: this is not a frame, or the stream ended within it
 */
int digest_frame_receive (int connection, struct digest_frame *frame, gint64 deadline);

/* The errno that a 'failed' frame carries. */
int digest_frame_get_error (const struct digest_frame *frame);

#endif
