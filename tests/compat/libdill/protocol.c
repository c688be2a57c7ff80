/* protocol.c: a protocol of one's own on top of a bytestream, which is a bytestream itself: each byte is exchanged for
 * another one on its way.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"
#include <libdill.h>
#include <libdillimpl.h>

struct veil
{
  struct hvfs hvfs;
  struct bsock_vfs bvfs;
  int below;
  unsigned char key;
  int *n_closed;
};

static const int veil_tag;
static const void *const veil_type = &veil_tag;

static void *
veil_query (struct hvfs *hvfs, const void *type)
{
  struct veil *self = (struct veil *) hvfs;

  if (type == bsock_type)
    return &self->bvfs;
  if (type == veil_type)
    return self;
  errno = ENOTSUP;
  return NULL;
}

static void
veil_close (struct hvfs *hvfs)
{
  struct veil *self = (struct veil *) hvfs;

  check_fails (msleep (now () + 1), ECANCELED); /* nobody waits in here */
  if (self->below >= 0)
    check (hclose (self->below) == 0);
  ++*self->n_closed;
  free (self);
}

static struct veil *
veil_of (struct bsock_vfs *bvfs)
{
  return (struct veil *) (void *) ((char *) bvfs - offsetof (struct veil, bvfs));
}

static void
exchange (const struct veil *self, unsigned char *bytes, size_t len)
{
  for (size_t i = 0; i < len; i++)
    bytes[i] ^= self->key;
}

static int
veil_bsendl (struct bsock_vfs *bvfs, struct iolist *first, struct iolist *last, int64_t deadline)
{
  struct veil *self = veil_of (bvfs);

  (void) last;
  for (struct iolist *item = first; item != NULL; item = item->iol_next)
    {
      unsigned char *copy = malloc (item->iol_len + 1);
      int result;

      check (copy != NULL);
      memcpy (copy, item->iol_base, item->iol_len);
      exchange (self, copy, item->iol_len);
      result = bsend (self->below, copy, item->iol_len, deadline);
      free (copy);
      if (result < 0)
        return -1;
    }
  return 0;
}

static int
veil_brecvl (struct bsock_vfs *bvfs, struct iolist *first, struct iolist *last, int64_t deadline)
{
  struct veil *self = veil_of (bvfs);

  if (brecvl (self->below, first, last, deadline) < 0)
    return -1;
  for (struct iolist *item = first; item != NULL; item = item->iol_next)
    if (item->iol_base != NULL)
      exchange (self, item->iol_base, item->iol_len);
  return 0;
}

static int
veil_attach (int s, unsigned char key, int *n_closed)
{
  struct veil *self = malloc (sizeof *self);
  int h;

  check (self != NULL && hquery (s, bsock_type) != NULL);
  *self = (struct veil){ { veil_query, veil_close }, { veil_bsendl, veil_brecvl }, hown (s), key, n_closed };
  check (self->below >= 0);
  h = hmake (&self->hvfs);
  check (h >= 0);
  return h;
}

static int
veil_detach (int h)
{
  struct veil *self = hquery (h, veil_type);
  int below;

  if (self == NULL)
    return -1;
  below = self->below;
  self->below = -1;
  check (hclose (h) == 0);
  return below;
}

static coroutine void
echo (int s)
{
  char text[5];

  while (brecv (s, text, 5, -1) == 0)
    check (bsend (s, text, 5, -1) == 0);
  check (errno == EPIPE);
}

int
main (void)
{
  int pair[2], plain, s, other, n_closed = 0, helper;
  char head[2], tail[3];
  struct iolist last = { tail, 3, NULL, 0 }, first = { head, 2, &last, 0 };

  check (ipc_pair (pair) == 0);
  plain = pair[0];
  s = veil_attach (pair[0], 0x20, &n_closed);
  check_fails (bsend (plain, "x", 1, 0), EBADF); /* it was taken over */

  /* On the other side it is seen as it travels. */
  check (bsend (s, "hello", 5, now () + 5000) == 0);
  check (brecvl (pair[1], &first, &last, now () + 5000) == 0);
  check (memcmp (head, "HE", 2) == 0 && memcmp (tail, "LLO", 3) == 0);

  /* With the same protocol there, and one more above, nobody notices. */
  other = veil_attach (veil_attach (pair[1], 0x01, &n_closed), 0x21, &n_closed);
  helper = go (echo (other));
  check (helper >= 0);
  memcpy (head, "to", 2);
  memcpy (tail, "wer", 3);
  check (bsendl (s, &first, &last, now () + 5000) == 0);
  memset (head, 0, 2);
  memset (tail, 0, 3);
  check (brecvl (s, &first, &last, now () + 5000) == 0);
  check (memcmp (head, "to", 2) == 0 && memcmp (tail, "wer", 3) == 0);

  check (hquery (helper, veil_type) == NULL && errno == ENOTSUP);
  check_fails (veil_detach (helper), ENOTSUP);
  plain = veil_detach (s);
  check (plain >= 0 && n_closed == 1);
  check (bsend (plain, "HELLO", 5, -1) == 0);
  check (brecvl (plain, &first, &last, now () + 5000) == 0 && memcmp (tail, "LLO", 3) == 0);
  check (ipc_done (plain, -1) == 0);
  check (bundle_wait (helper, now () + 5000) == 0);
  check (hclose (helper) == 0 && hclose (other) == 0 && hclose (plain) == 0);
  check (n_closed == 3);
  return 0;
}
