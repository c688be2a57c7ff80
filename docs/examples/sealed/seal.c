/* seal.c: messages that nobody can forge who does not have the key.
 *
 * Relies on getrandom(2), which never fails for so few bytes, and on GHmac.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "seal.h"

#include <dillipc/dillipc.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NONCE_SIZE 16
#define TAG_SIZE 32

struct nonce
{
  guint8 bytes[NONCE_SIZE];
};

/* An object with a handle.  What it can do stands in tables, which are members, so that each leads back to it. */
struct seal
{
  struct dill_hvfs handle;
  struct dill_msock_vfs messages;

  int below;    /* -1: there is none any more */
  guint n_refs; /* of the handle, and of calls that may be waiting when it is closed */
  struct nonce own;
  struct nonce peers;
  guint64 n_sent;
  guint64 n_received;
  gboolean is_sending; /* a call is on its way: also while that lets others go first when all is done beneath */
  gboolean is_receiving;
  gboolean is_broken; /* somebody has forged a message */
  GBytes *key;
  guint8 buffer[TAG_SIZE + SEAL_MESSAGE_MAX]; /* the message that is being received */
};

/* By its address, the answer to "are you a seal?". */
static const int seal_tag;
static const void *const seal_type = &seal_tag;

static struct seal *
seal_of (struct dill_msock_vfs *messages)
{
  char *member = (char *) messages;

  return (struct seal *) (void *) (member - offsetof (struct seal, messages));
}

static void
unref (struct seal *self)
{
  if (--self->n_refs > 0)
    return;

  g_bytes_unref (self->key);
  free (self);
}

static gsize
list_length (const struct dill_iolist *item)
{
  gsize length = 0;

  for (; item != NULL; item = item->iol_next)
    length += item->iol_len;
  return length;
}

static void
compute_tag (const struct seal *self, const struct nonce *sender, const struct nonce *receiver, guint64 number,
             const struct dill_iolist *payload, guint8 tag[TAG_SIZE])
{
  gsize key_length, tag_size = TAG_SIZE;
  const guint8 *key = g_bytes_get_data (self->key, &key_length);
  GHmac *hmac = g_hmac_new (G_CHECKSUM_SHA256, key, key_length);

  number = GUINT64_TO_BE (number);
  g_hmac_update (hmac, sender->bytes, sizeof sender->bytes);
  g_hmac_update (hmac, receiver->bytes, sizeof receiver->bytes);
  g_hmac_update (hmac, (const guchar *) &number, sizeof number);
  for (; payload != NULL; payload = payload->iol_next)
    if (payload->iol_len > 0)
      g_hmac_update (hmac, payload->iol_base, (gssize) payload->iol_len);

  g_hmac_get_digest (hmac, tag, &tag_size);
  g_hmac_unref (hmac);
}

/* Takes as long wherever the difference is, so that nobody can guess a tag byte by byte. */
static gboolean
tags_are_equal (const guint8 *a, const guint8 *b)
{
  guint8 difference = 0;

  for (guint i = 0; i < TAG_SIZE; i++)
    difference |= a[i] ^ b[i];
  return difference == 0;
}

/* --- A message socket --- */

/* The library has checked the list.  It is not touched: the tag is an item of our own in front of it. */
static int
seal_msendl (struct dill_msock_vfs *messages, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct seal *self = seal_of (messages);
  guint8 tag[TAG_SIZE];
  struct dill_iolist head = { tag, sizeof tag, first, 0 };
  int result;

  if (list_length (first) > SEAL_MESSAGE_MAX)
    {
      errno = EMSGSIZE;
      return -1;
    }

  if (self->is_sending) /* the number is his */
    {
      errno = EBUSY;
      return -1;
    }

  compute_tag (self, &self->own, &self->peers, self->n_sent, first, tag);
  self->is_sending = TRUE;
  self->n_refs++;
  result = dill_msendl (self->below, &head, last, deadline);
  if (result == 0)
    self->n_sent++;
  self->is_sending = FALSE;
  unref (self);
  return result;
}

static gboolean
is_genuine (const struct seal *self, gsize length)
{
  struct dill_iolist payload = { (void *) (self->buffer + TAG_SIZE), length - TAG_SIZE, NULL, 0 };
  guint8 tag[TAG_SIZE];

  compute_tag (self, &self->peers, &self->own, self->n_received, &payload, tag);
  return tags_are_equal (tag, self->buffer);
}

/* Distributes LENGTH bytes over a list that has room for them.  An item without memory skips. */
static void
scatter (const guint8 *bytes, gsize length, const struct dill_iolist *item)
{
  for (; length > 0; item = item->iol_next)
    {
      gsize n = MIN (length, item->iol_len);

      if (item->iol_base != NULL && n > 0)
        memcpy (item->iol_base, bytes, n);
      bytes += n;
      length -= n;
    }
}

/* Gives what has been received beneath: LENGTH bytes, or -1 if they were more than is ever sealed. */
static ssize_t
open_message (struct seal *self, ssize_t length, const struct dill_iolist *first)
{
  if (length < TAG_SIZE || !is_genuine (self, (gsize) length))
    {
      self->is_broken = TRUE;
      errno = EBADMSG;
      return -1;
    }

  self->n_received++;
  length -= TAG_SIZE;
  if ((gsize) length > list_length (first))
    {
      errno = EMSGSIZE;
      return -1;
    }

  scatter (self->buffer + TAG_SIZE, (gsize) length, first);
  return length;
}

/* Nothing reaches the caller's memory before it is known to be genuine. */
static ssize_t
seal_mrecvl (struct dill_msock_vfs *messages, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct seal *self = seal_of (messages);
  ssize_t length;

  (void) last;
  if (self->is_broken || self->is_receiving)
    {
      errno = self->is_broken ? ECONNRESET : EBUSY;
      return -1;
    }

  self->is_receiving = TRUE;
  self->n_refs++;
  length = dill_mrecv (self->below, self->buffer, sizeof self->buffer, deadline);
  if (length >= 0 || errno == EMSGSIZE)
    length = open_message (self, length, first);
  self->is_receiving = FALSE;
  unref (self);
  return length;
}

/* --- A handle --- */

static void *
seal_query (struct dill_hvfs *handle, const void *type)
{
  struct seal *self = (struct seal *) handle;

  if (type == dill_msock_type)
    return &self->messages;

  if (type == seal_type)
    return self;

  errno = ENOTSUP;
  return NULL;
}

/* Whoever waits beneath is woken by that, and goes on when this has returned. */
static void
seal_close (struct dill_hvfs *handle)
{
  struct seal *self = (struct seal *) handle;

  if (self->below >= 0)
    dill_hclose (self->below);
  self->below = -1;
  unref (self);
}

/* --- Putting it on, and taking it off --- */

/* Both sides may speak first: so few bytes never wait for the peer to read. */
static int
exchange_nonces (struct seal *self, int s, gint64 deadline)
{
  ssize_t length;

  if (getrandom (&self->own, sizeof self->own, 0) != sizeof self->own
      || dill_msend (s, &self->own, sizeof self->own, deadline) < 0)
    return -1;

  length = dill_mrecv (s, &self->peers, sizeof self->peers, deadline);
  if (length < 0 && errno != EMSGSIZE)
    return -1;

  /* Our own ones would make both directions the same. */
  if (length != sizeof self->peers || memcmp (&self->own, &self->peers, sizeof self->own) == 0)
    {
      errno = EBADMSG;
      return -1;
    }
  return 0;
}

int
seal_attach (int s, const void *key, gsize key_length, gint64 deadline)
{
  struct seal *self;
  int sealed, owned;

  if (key == NULL || key_length == 0)
    {
      errno = EINVAL;
      return -1;
    }

  if (dill_hquery (s, dill_msock_type) == NULL)
    return -1;

  self = calloc (1, sizeof *self);
  if (self == NULL)
    return -1;

  self->handle = (struct dill_hvfs){ seal_query, seal_close };
  self->messages = (struct dill_msock_vfs){ seal_msendl, seal_mrecvl };
  self->below = -1;
  self->n_refs = 1;
  if (exchange_nonces (self, s, deadline) < 0 || (sealed = dill_hmake (&self->handle)) < 0)
    {
      free (self);
      return -1;
    }

  /* Last, since it cannot be undone: the caller's number is dead from here on. */
  self->key = g_bytes_new (key, key_length);
  owned = dill_hown (s);
  if (owned < 0)
    {
      int saved_errno = errno;

      dill_hclose (sealed);
      errno = saved_errno;
      return -1;
    }

  self->below = owned;
  return sealed;
}

int
seal_detach (int sealed)
{
  struct seal *self = dill_hquery (sealed, seal_type);
  int below;

  if (self == NULL)
    return -1;

  if (self->n_refs > 1)
    {
      errno = EBUSY;
      return -1;
    }

  below = self->below;
  self->below = -1;
  dill_hclose (sealed);
  return below;
}
