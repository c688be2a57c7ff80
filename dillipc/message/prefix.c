/* prefix.c: messages behind their length.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/storage.h"
#include "message/transfer.h"
#include <errno.h>
#include <limits.h>

#define HEADER_MAX 8

struct dill_prefix
{
  struct dill_framing framing;
  uint8_t header_length;
  bool is_little_endian;
};

DILL_ASSERT_STORAGE (struct dill_prefix, sizeof (struct dill_prefix_storage));

static struct dill_prefix *
prefix_of (struct dill_msock_vfs *vfs)
{
  return dill_container_of (vfs, struct dill_prefix, framing.msock);
}

static int
fail (int error)
{
  errno = error;
  return -1;
}

/* Where in the header of PREFIX the byte of the value 256 to the power of N stands. */
static int
place_of (const struct dill_prefix *prefix, int n)
{
  return prefix->is_little_endian ? n : prefix->header_length - 1 - n;
}

/* Returns whether LENGTH can be expressed. */
static bool
write_header (const struct dill_prefix *prefix, char *header, uint64_t length)
{
  for (int i = 0; i < prefix->header_length; i++, length >>= 8)
    header[place_of (prefix, i)] = (char) (length & 0xFF);

  return length == 0;
}

static uint64_t
read_header (const struct dill_prefix *prefix, const char *header)
{
  uint64_t length = 0;

  for (int i = prefix->header_length - 1; i >= 0; i--)
    length = length << 8 | (uint8_t) header[place_of (prefix, i)];

  return length;
}

static int
prefix_msendl (struct dill_msock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct dill_prefix *prefix = prefix_of (vfs);
  char header[HEADER_MAX];
  struct dill_iolist item = { header, prefix->header_length, first, 0 };
  struct dill_transfer transfer;
  size_t length = dill_transfer_sum (first);
  int rc;

  if (!write_header (prefix, header, length) || length > SSIZE_MAX - HEADER_MAX)
    return fail (EMSGSIZE);

  if (dill_transfer_begin_send (&transfer, &prefix->framing, deadline) < 0)
    return -1;

  rc = dill_transfer_send (&transfer, &item, last);
  dill_transfer_end (&transfer);
  return rc;
}

/* Skips a message that nobody has room for.  It may be longer than a list can be. */
static int
skip (struct dill_transfer *transfer, uint64_t length)
{
  if (length > INT64_MAX)
    {
      transfer->half->is_broken = true; /* it would take centuries */
      length = 0;
    }

  while (length > 0)
    {
      size_t part = length < SSIZE_MAX ? (size_t) length : SSIZE_MAX;
      struct dill_iolist nowhere = { .iol_base = NULL, .iol_len = part };

      if (dill_transfer_fill (transfer, &nowhere, part) < 0)
        return -1;
      length -= part;
    }

  return fail (EMSGSIZE);
}

static ssize_t
receive (struct dill_transfer *transfer, const struct dill_prefix *prefix, const struct dill_iolist *first)
{
  char header[HEADER_MAX];
  uint64_t length;

  if (dill_transfer_read (transfer, header, prefix->header_length) < 0)
    return -1;

  length = read_header (prefix, header);
  if (length > dill_transfer_sum (first))
    return skip (transfer, length);

  return dill_transfer_fill (transfer, first, (size_t) length) < 0 ? -1 : (ssize_t) length;
}

static ssize_t
prefix_mrecvl (struct dill_msock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  struct dill_prefix *prefix = prefix_of (vfs);
  struct dill_transfer transfer;
  ssize_t length;

  (void) last;
  if (dill_transfer_begin_receive (&transfer, &prefix->framing, deadline) < 0)
    return -1;

  length = receive (&transfer, prefix, first);
  dill_transfer_end (&transfer);
  return length;
}

/* A function of its own: it tells what is a prefix. */
static void *
prefix_query (struct dill_hvfs *hvfs, const void *type)
{
  return dill_framing_query (hvfs, type);
}

static const struct dill_framing_class prefix_class = {
  .size = sizeof (struct dill_prefix),
  .query = prefix_query,
  .msock = { prefix_msendl, prefix_mrecvl },
};

static int
attach (int s, size_t hdrlen, int flags, void *mem)
{
  struct dill_prefix prototype = { .header_length = (uint8_t) hdrlen,
                                   .is_little_endian = flags == DILL_PREFIX_LITTLE_ENDIAN };

  if (hdrlen < 1 || hdrlen > HEADER_MAX || (flags != DILL_PREFIX_BIG_ENDIAN && flags != DILL_PREFIX_LITTLE_ENDIAN))
    return fail (EINVAL);

  return dill_framing_attach (s, &prefix_class, &prototype.framing, mem);
}

int
dill_prefix_attach (int s, size_t hdrlen, int flags)
{
  return attach (s, hdrlen, flags, NULL);
}

int
dill_prefix_attach_mem (int s, size_t hdrlen, int flags, void *mem)
{
  return mem == NULL ? fail (EINVAL) : attach (s, hdrlen, flags, mem);
}

int
dill_prefix_detach (int s)
{
  return dill_framing_detach (s, &prefix_class);
}
