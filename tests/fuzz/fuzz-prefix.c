/* fuzz-prefix.c: whatever comes in, mrecv () behind a prefix gives the messages that a plain decoder finds.
 *
 * The input: a byte for the header's length and order, one for the room in the receiver's buffer, one for the number of
 * messages after which the protocol is detached (255: never); the rest is what the peer sends.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz-input.h"

static uint64_t
decode (const uint8_t *header, size_t length, bool is_little_endian)
{
  uint64_t value = 0;

  for (size_t i = 0; i < length; i++)
    value = value << 8 | header[is_little_endian ? length - 1 - i : i];
  return value;
}

/* Receives at POS of the stream and returns where the next message begins; or 0 when no more can come. */
static size_t
receive (int s, FuzzInput stream, size_t pos, size_t header_length, bool is_little_endian, size_t room)
{
  size_t left = stream.length - pos;
  const uint8_t *body = stream.bytes + pos + header_length;
  uint64_t length;

  if (left < header_length)
    {
      fuzz_check_failure (s, room, left == 0 ? EPIPE : ECONNRESET);
      return 0;
    }

  left -= header_length;
  length = decode (stream.bytes + pos, header_length, is_little_endian);
  if (length > SSIZE_MAX)
    {
      fuzz_check_failure (s, room, EMSGSIZE);
      fuzz_check_failure (s, room, ECONNRESET);
      return 0;
    }

  if (length > left)
    {
      fuzz_check_failure (s, room, ECONNRESET);
      fuzz_check_failure (s, room, ECONNRESET);
      return 0;
    }

  if (length > room)
    fuzz_check_failure (s, room, EMSGSIZE);
  else
    fuzz_check_message (s, room, body, length);
  return pos + header_length + length;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  FuzzInput input = { data, size };
  unsigned mode = fuzz_take_byte (&input);
  size_t header_length = 1 + mode % 8;
  bool is_little_endian = mode & 8;
  size_t room = fuzz_take_byte (&input);
  unsigned n_messages = fuzz_take_byte (&input);
  size_t pos = 0;
  bool has_ended = false;
  int s, fd, attached;

  if (input.length > FUZZ_STREAM_MAX)
    return 0;

  s = fuzz_open_with (input.bytes, input.length, &fd);
  attached = dill_prefix_attach (s, header_length,
                                 is_little_endian ? DILL_PREFIX_LITTLE_ENDIAN : DILL_PREFIX_BIG_ENDIAN);
  g_assert_cmpint (attached, >=, 0);

  for (unsigned i = 0; !has_ended && (n_messages == 255 || i < n_messages); i++)
    {
      size_t next = receive (attached, input, pos, header_length, is_little_endian, room);

      has_ended = next == 0;
      pos = has_ended ? pos : next;
    }

  if (!has_ended)
    {
      attached = dill_prefix_detach (attached);
      g_assert_cmpint (attached, >=, 0);
      fuzz_check_rest (attached, input.bytes + pos, input.length - pos);
    }
  g_assert_cmpint (dill_hclose (attached), ==, 0);
  close (fd);
  return 0;
}
