/* message-utils.h: message sockets to test with: both protocols, on connections and on a byte stream of the program's
 * own.
 *
 * Relies on IPC connections beneath.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"

/* A byte stream on top of another.  It reads nothing ahead, which is the hard case for a protocol that looks for an
 * end. */
typedef struct
{
  struct dill_hvfs handle;
  struct dill_bsock_vfs stream;
  int below;
  bool hands_on; /* queries that it does not know go to the stream beneath */
} PlainStream;

static inline PlainStream *
plain_stream_of (struct dill_bsock_vfs *stream)
{
  return (PlainStream *) (void *) ((char *) stream - offsetof (PlainStream, stream));
}

static inline int
plain_bsendl (struct dill_bsock_vfs *stream, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  return dill_bsendl (plain_stream_of (stream)->below, first, last, deadline);
}

static inline int
plain_brecvl (struct dill_bsock_vfs *stream, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  return dill_brecvl (plain_stream_of (stream)->below, first, last, deadline);
}

static inline void *
plain_query (struct dill_hvfs *handle, const void *type)
{
  PlainStream *plain = (PlainStream *) handle;

  if (type == dill_bsock_type)
    return &plain->stream;
  if (plain->hands_on)
    return dill_hquery (plain->below, type);
  errno = ENOTSUP;
  return NULL;
}

static inline void
plain_close (struct dill_hvfs *handle)
{
  PlainStream *plain = (PlainStream *) handle;

  g_assert_no_errno (dill_hclose (plain->below));
  g_free (plain);
}

static inline int
plain_attach (int s, bool hands_on)
{
  PlainStream *plain = g_new (PlainStream, 1);

  *plain = (PlainStream){ { plain_query, plain_close }, { plain_bsendl, plain_brecvl }, s, hands_on };
  return test_assert_ok (dill_hmake (&plain->handle));
}

/* What a test case is run on: its data. */
typedef struct
{
  const char *name;
  bool is_suffix;
  bool is_plain;
  bool hands_on;
} Kind;

static const Kind kinds[] = {
  { "prefix/connection", false, false, false },
  { "prefix/own-stream", false, true, false },
  { "prefix/own-stream-that-hands-on", false, true, true },
  { "suffix/connection", true, false, false },
  { "suffix/own-stream", true, true, false },
  { "suffix/own-stream-that-hands-on", true, true, true },
};

#define MARK "\r\n"

/* Makes a message socket of the byte stream S. */
static inline int
attach_kind (const Kind *kind, int s)
{
  if (kind->is_plain)
    s = plain_attach (s, kind->hands_on);

  return test_assert_ok (kind->is_suffix ? dill_suffix_attach (s, MARK, strlen (MARK))
                                         : dill_prefix_attach (s, 4, DILL_PREFIX_BIG_ENDIAN));
}

static inline int
detach_kind (const Kind *kind, int s)
{
  return kind->is_suffix ? dill_suffix_detach (s, -1) : dill_prefix_detach (s);
}

static inline void
check_detach_errno (const Kind *kind, int s, int expected)
{
  if (kind->is_suffix)
    test_assert_errno (dill_suffix_detach (s, -1), expected);
  else
    test_assert_errno (dill_prefix_detach (s), expected);
}

static inline void
make_message_pair (const Kind *kind, int s[2])
{
  make_pair (s);
  s[0] = attach_kind (kind, s[0]);
  s[1] = attach_kind (kind, s[1]);
}

/* A message socket whose peer is a plain descriptor. */
static inline void
make_half_message_pair (const Kind *kind, int *s, int *fd)
{
  make_half_pair (s, fd);
  *s = attach_kind (kind, *s);
}

/* A message as it goes over the stream. */
static inline GByteArray *
framed (const Kind *kind, const char *text)
{
  GByteArray *bytes = g_byte_array_new ();
  guint32 length = g_htonl (strlen (text));

  if (!kind->is_suffix)
    g_byte_array_append (bytes, (const guint8 *) &length, sizeof length);
  g_byte_array_append (bytes, (const guint8 *) text, strlen (text));
  if (kind->is_suffix)
    g_byte_array_append (bytes, (const guint8 *) MARK, strlen (MARK));
  return bytes;
}

/* Writes the first bytes of a message, all but LESS, to a plain descriptor. */
static inline void
write_framed (const Kind *kind, int fd, const char *text, guint less)
{
  g_autoptr (GByteArray) bytes = framed (kind, text);

  write_all (fd, bytes->data, bytes->len - less);
}

/* Receives a message and compares it. */
static inline void
check_receive (int s, const char *text)
{
  char buffer[1000];
  gssize length = test_assert_ok (dill_mrecv (s, buffer, sizeof buffer, soon ()));

  g_assert_cmpmem (buffer, length, text, strlen (text));
}

/* Fills in a message of which each byte tells its place, and none is one of MARK's. */
static inline void
fill_message (guint8 *bytes, gsize length, gsize place)
{
  fill_bytes (bytes, length, place);
  for (gsize i = 0; i < length; i++)
    bytes[i] |= 0x40;
}

DEFINE_CALL (mrecv, dill_mrecv (call->s, call->buffer, call->length, call->deadline))
DEFINE_CALL (msend, dill_msend (call->s, call->buffer, call->length, call->deadline))
DEFINE_CALL (msendl, dill_msendl (call->s, call->buffer, call->buffer, call->deadline)) /* of one item */

/* Registers FUNC as a test case for each kind. */
static inline void
add_for_kinds (const char *name, void (*func) (TestDir *test, gconstpointer data))
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autofree char *path = g_strdup_printf ("%s/%s", name, kinds[i].name);

      test_add_data (path, &kinds[i], func);
    }
}
