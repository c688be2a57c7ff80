/* packet-stream.c: a byte stream on top of any message socket.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "packet-stream.h"

#include <dillipc/dillipc.h>
#include <errno.h>
#include <glib.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PACKET_MAX 16384

struct direction
{
  int error;        /* that every further call gives, or 0 */
  gboolean is_used; /* a call is on its way */
  gsize begin, end; /* of what is in the buffer */
  guint8 buffer[PACKET_MAX];
};

struct packet_stream
{
  struct dill_hvfs handle;
  struct dill_bsock_vfs stream;
  int below;    /* -1: there is none any more */
  guint n_refs; /* of the handle, and of calls that may be waiting when it is closed */
  struct direction in;
  struct direction out;
};

static const int packet_stream_tag;
static const void *const packet_stream_type = &packet_stream_tag;

static struct packet_stream *
packet_stream_of (struct dill_bsock_vfs *stream)
{
  char *member = (char *) stream;

  return (struct packet_stream *) (void *) (member - offsetof (struct packet_stream, stream));
}

static void
unref (struct packet_stream *self)
{
  if (--self->n_refs == 0)
    free (self);
}

/* --- One call at a time --- */

static int
begin (struct packet_stream *self, struct direction *direction)
{
  errno = direction->is_used ? EBUSY : direction->error;
  if (errno != 0)
    return -1;

  direction->is_used = TRUE;
  self->n_refs++;
  return 0;
}

/* Nobody can know how much of what a call was to transfer has been transferred when it fails. */
static int
end (struct packet_stream *self, struct direction *direction, int result)
{
  direction->is_used = FALSE;
  if (result < 0)
    direction->error = errno == EPIPE ? EPIPE : ECONNRESET;
  unref (self);
  return result;
}

/* --- A byte stream --- */

static int
flush (struct packet_stream *self, int64_t deadline)
{
  gsize length = self->out.end;

  self->out.end = 0;
  return length > 0 ? dill_msend (self->below, self->out.buffer, length, deadline) : 0;
}

static int
pack (struct packet_stream *self, const guint8 *bytes, gsize length, int64_t deadline)
{
  while (length > 0)
    {
      gsize n = MIN (length, PACKET_MAX - self->out.end);

      memcpy (self->out.buffer + self->out.end, bytes, n);
      self->out.end += n;
      bytes += n;
      length -= n;
      if (self->out.end == PACKET_MAX && flush (self, deadline) < 0)
        return -1;
    }
  return 0;
}

static int
packet_stream_bsendl (struct dill_bsock_vfs *stream, struct dill_iolist *first, struct dill_iolist *last,
                      int64_t deadline)
{
  struct packet_stream *self = packet_stream_of (stream);
  int result = 0;

  (void) last;
  if (begin (self, &self->out) < 0)
    return -1;

  for (struct dill_iolist *item = first; item != NULL && result == 0; item = item->iol_next)
    result = pack (self, item->iol_base, item->iol_len, deadline);
  if (result == 0)
    result = flush (self, deadline);
  return end (self, &self->out, result);
}

/* Receives a message that is not empty, unless there is something left of the last one. */
static int
fill (struct packet_stream *self, int64_t deadline)
{
  while (self->in.begin == self->in.end)
    {
      ssize_t length = dill_mrecv (self->below, self->in.buffer, sizeof self->in.buffer, deadline);

      if (length < 0)
        return -1;

      self->in.begin = 0;
      self->in.end = (gsize) length;
    }
  return 0;
}

/* Where BYTES is NULL they are skipped. */
static int
unpack (struct packet_stream *self, guint8 *bytes, gsize length, int64_t deadline)
{
  while (length > 0)
    {
      gsize n;

      if (fill (self, deadline) < 0)
        return -1;

      n = MIN (length, self->in.end - self->in.begin);
      if (bytes != NULL)
        {
          memcpy (bytes, self->in.buffer + self->in.begin, n);
          bytes += n;
        }
      self->in.begin += n;
      length -= n;
    }
  return 0;
}

static int
packet_stream_brecvl (struct dill_bsock_vfs *stream, struct dill_iolist *first, struct dill_iolist *last,
                      int64_t deadline)
{
  struct packet_stream *self = packet_stream_of (stream);
  int result = 0;

  (void) last;
  if (begin (self, &self->in) < 0)
    return -1;

  for (struct dill_iolist *item = first; item != NULL && result == 0; item = item->iol_next)
    result = unpack (self, item->iol_base, item->iol_len, deadline);
  return end (self, &self->in, result);
}

/* --- A handle --- */

static void *
packet_stream_query (struct dill_hvfs *handle, const void *type)
{
  struct packet_stream *self = (struct packet_stream *) handle;

  if (type == dill_bsock_type)
    return &self->stream;

  if (type == packet_stream_type)
    return self;

  errno = ENOTSUP;
  return NULL;
}

/* Whoever waits beneath is woken by that, and goes on when this has returned. */
static void
packet_stream_close (struct dill_hvfs *handle)
{
  struct packet_stream *self = (struct packet_stream *) handle;

  if (self->below >= 0)
    dill_hclose (self->below);
  self->below = -1;
  unref (self);
}

int
packet_stream_attach (int s)
{
  struct packet_stream *self;
  int stream;

  if (dill_hquery (s, dill_msock_type) == NULL)
    return -1;

  self = calloc (1, sizeof *self);
  if (self == NULL)
    return -1;

  self->handle = (struct dill_hvfs){ packet_stream_query, packet_stream_close };
  self->stream = (struct dill_bsock_vfs){ packet_stream_bsendl, packet_stream_brecvl };
  self->below = -1;
  self->n_refs = 1;
  stream = dill_hmake (&self->handle);
  if (stream < 0)
    {
      free (self);
      return -1;
    }

  s = dill_hown (s);
  if (s < 0)
    {
      int saved_errno = errno;

      dill_hclose (stream);
      errno = saved_errno;
      return -1;
    }

  self->below = s;
  return stream;
}

int
packet_stream_detach (int stream)
{
  struct packet_stream *self = dill_hquery (stream, packet_stream_type);
  int below;

  if (self == NULL)
    return -1;

  if (self->in.begin < self->in.end || self->in.is_used || self->out.is_used)
    {
      errno = EBUSY;
      return -1;
    }

  below = self->below;
  self->below = -1;
  dill_hclose (stream);
  return below;
}
