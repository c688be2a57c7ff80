/* digest-session.c: one client of dill-digestd, from its first frame to its last.
 *
 * Straight-line code: each call that waits, waits in this coroutine alone, while the main loop serves all others.  What
 * does not wait but takes time (reading a file, digesting) is done in pieces, with dill_yield () in between.
 *
 * A client may be hostile.  It decides what comes and when, so nothing is believed: lengths are checked before memory
 * is touched, every wait has a deadline, and of a descriptor only a regular file is read.  (Such a file may lie on a
 * disk that hangs, and then one piece of it holds up the loop; a program that cannot afford this reads in a thread.)
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "digest-session.h"

#include "digest-program.h"
#include "digest-protocol.h"

#include <dillipc/dillipc.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

struct session
{
  int connection;
  int timeout;
  struct digest_totals *totals;
  GChecksum *checksum;
  guint64 file_bytes; /* how many bytes of the present file are in @checksum */
  struct digest_frame frame;
};

static void
forget_file (struct session *session)
{
  g_checksum_reset (session->checksum);
  session->file_bytes = 0;
}

/* Digests one piece of a file, then lets everybody else have a turn. */
static int
digest_piece (struct session *session, const guint8 *piece, gsize length)
{
  g_checksum_update (session->checksum, piece, (gssize) length);
  session->file_bytes += length;

  return dill_yield ();
}

static int
send_result (struct session *session)
{
  guint8 digest[DIGEST_RESULT_SIZE];
  gsize length = sizeof digest;

  g_checksum_get_digest (session->checksum, digest, &length);
  session->totals->files++;
  session->totals->bytes += session->file_bytes;
  forget_file (session);

  return digest_frame_send (session->connection, DIGEST_FRAME_RESULT, digest, length,
                            digest_program_deadline (session->timeout));
}

static int
send_error (struct session *session, int error)
{
  forget_file (session);

  return digest_frame_send_error (session->connection, error, digest_program_deadline (session->timeout));
}

/* Digests a whole file from its beginning, wherever the client's own reading of @file has got to: the two share the
 * file offset, which pread () neither uses nor moves.  The deadline ends files that never end, such as one of 2^60
 * bytes that are all a hole.
 */
static int
digest_descriptor (struct session *session, int file)
{
  gint64 deadline = digest_program_deadline (session->timeout);
  struct stat status;

  if (fstat (file, &status) < 0)
    return send_error (session, errno);

  /* A pipe, a terminal or a device could keep the whole main loop waiting. */
  if (!S_ISREG (status.st_mode))
    return digest_frame_send (session->connection, DIGEST_FRAME_REFUSED, NULL, 0, deadline);

  for (;;)
    {
      ssize_t n = pread (file, session->frame.payload, DIGEST_DATA_MAX, (off_t) session->file_bytes);

      if (n == 0)
        return send_result (session);

      if (n < 0 && errno == EINTR)
        continue;

      if (n < 0)
        return send_error (session, errno);

      if (digest_piece (session, session->frame.payload, (gsize) n) < 0)
        return -1;

      if (dill_now () >= deadline)
        return send_error (session, ETIMEDOUT);
    }
}

static int
receive_descriptor (struct session *session)
{
  int file = dill_ipc_recvfd (session->connection, digest_program_deadline (session->timeout));
  int result, saved_errno;

  /* The descriptor is lost, but only that: the client may send others. */
  if (file < 0 && errno == EMFILE)
    return send_error (session, errno);

  if (file < 0)
    {
      if (errno == EPIPE) /* the stream may not end here */
        errno = EPROTO;
      return -1;
    }

  result = digest_descriptor (session, file);
  saved_errno = errno;
  close (file);
  errno = saved_errno;
  return result;
}

static int
handle_frame (struct session *session)
{
  const struct digest_frame *frame = &session->frame;

  switch (frame->type)
    {
    case DIGEST_FRAME_DATA:
      return digest_piece (session, frame->payload, frame->length);

    case DIGEST_FRAME_END:
      return send_result (session);

    case DIGEST_FRAME_ABANDON:
      forget_file (session);
      return 0;

    case DIGEST_FRAME_PASS:
      if (session->file_bytes == 0)
        return receive_descriptor (session);
      break;

    default: /* a well-formed frame, but one that only a daemon sends */
      break;
    }

  errno = EPROTO;
  return -1;
}

int
digest_session_run (int connection, int timeout, struct digest_totals *totals)
{
  struct session *session = g_new0 (struct session, 1);
  int error = 0;

  session->connection = connection;
  session->timeout = timeout;
  session->totals = totals;
  session->checksum = g_checksum_new (G_CHECKSUM_SHA256);

  while (error == 0)
    if (digest_frame_receive (connection, &session->frame, digest_program_deadline (timeout)) < 0
        || handle_frame (session) < 0)
      error = errno;

  /* The end of the stream is how a client says that it is done, except in the middle of a file. */
  if (error == EPIPE)
    error = session->file_bytes == 0 ? 0 : EPROTO;

  g_checksum_free (session->checksum);
  g_free (session);

  errno = error;
  return error == 0 ? 0 : -1;
}
