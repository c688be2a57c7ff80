/* digest-protocol.c: sends and receives the frames of digest-protocol.h.
 *
 * Relies on the library's read-ahead: receiving a frame in three pieces usually takes one system call.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "digest-protocol.h"

#include <dillipc/dillipc.h>
#include <errno.h>
#include <string.h>

static gboolean
length_is_valid (guint8 type, guint32 length)
{
  switch (type)
    {
    case DIGEST_FRAME_DATA:
      return length >= 1 && length <= DIGEST_DATA_MAX;

    case DIGEST_FRAME_RESULT:
      return length == DIGEST_RESULT_SIZE;

    case DIGEST_FRAME_FAILED:
      return length == sizeof (guint32);

    case DIGEST_FRAME_END:
    case DIGEST_FRAME_ABANDON:
    case DIGEST_FRAME_PASS:
    case DIGEST_FRAME_REFUSED:
      return length == 0;

    default:
      return FALSE;
    }
}

int
digest_frame_send (int connection, guint8 type, const void *payload, gsize length, gint64 deadline)
{
  guint8 header[5] = { type, length >> 24, length >> 16, length >> 8, length };
  struct dill_iolist body = { .iol_base = (void *) payload, .iol_len = length };
  struct dill_iolist head = { .iol_base = header, .iol_len = sizeof header, .iol_next = &body };

  g_assert (length_is_valid (type, length));

  return dill_bsendl (connection, &head, &body, deadline);
}

int
digest_frame_send_error (int connection, int error, gint64 deadline)
{
  guint32 payload = GUINT32_TO_BE ((guint32) error);

  return digest_frame_send (connection, DIGEST_FRAME_FAILED, &payload, sizeof payload, deadline);
}

/* Receives what must follow once a frame has begun. */
static int
receive_rest (int connection, void *buffer, gsize length, gint64 deadline)
{
  if (dill_brecv (connection, buffer, length, deadline) == 0)
    return 0;

  if (errno == EPIPE)
    errno = EPROTO;
  return -1;
}

int
digest_frame_receive (int connection, struct digest_frame *frame, gint64 deadline)
{
  guint32 length;

  /* On its own, so that an end of the stream between two frames is told from one within a frame. */
  if (dill_brecv (connection, &frame->type, 1, deadline) < 0)
    return -1;

  if (receive_rest (connection, &length, sizeof length, deadline) < 0)
    return -1;

  /* Checked before a byte of the payload is received: this is what keeps a hostile peer within the buffer. */
  frame->length = GUINT32_FROM_BE (length);
  if (!length_is_valid (frame->type, frame->length))
    {
      errno = EPROTO;
      return -1;
    }

  return receive_rest (connection, frame->payload, frame->length, deadline);
}

int
digest_frame_get_error (const struct digest_frame *frame)
{
  guint32 error;

  g_assert (frame->type == DIGEST_FRAME_FAILED);

  memcpy (&error, frame->payload, sizeof error);
  return (int) GUINT32_FROM_BE (error);
}
