/* fuzz-suffix.c: whatever comes in, mrecv () before a suffix gives the messages that a plain search finds, and msend ()
 * refuses what would be found too early.
 *
 * The input: a byte for the length of the mark, the mark, a byte for the room in the receiver's buffer, one for the
 * number of messages after which the protocol is detached (255: never); the rest is what the peer sends.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz-input.h"

/* What is sent back if it may be, in bytes. */
#define ECHO_MAX 256

static const uint8_t *
find_mark (const uint8_t *bytes, size_t length, const uint8_t *mark, size_t mark_length)
{
  return memmem (bytes, length, mark, mark_length);
}

/* A message may be sent if the first place at which the mark is found behind it is its end. */
static void
check_sending (int s, int fd, FuzzInput stream, const uint8_t *mark, size_t mark_length)
{
  uint8_t wire[ECHO_MAX + DILL_SUFFIX_MAX], received[sizeof wire];
  size_t length = MIN (stream.length, ECHO_MAX);
  bool is_good;

  if (length > 0)
    memcpy (wire, stream.bytes, length);
  memcpy (wire + length, mark, mark_length);
  is_good = find_mark (wire, length + mark_length, mark, mark_length) == wire + length;

  errno = 0;
  g_assert_cmpint (dill_msend (s, stream.bytes, length, FUZZ_DEADLINE), ==, is_good ? 0 : -1);
  if (is_good)
    {
      g_assert_cmpint (recv (fd, received, sizeof received, 0), ==, length + mark_length);
      g_assert_true (memcmp (received, wire, length + mark_length) == 0);
    }
  else
    {
      g_assert_cmpint (errno, ==, EINVAL);
      g_assert_cmpint (recv (fd, received, sizeof received, 0), ==, -1);
    }
}

/* Receives at POS of the stream and returns where the next message begins; or 0 when no more can come. */
static size_t
receive (int s, FuzzInput stream, size_t pos, const uint8_t *mark, size_t mark_length, size_t room)
{
  const uint8_t *begin = stream.bytes + pos;
  const uint8_t *end = find_mark (begin, stream.length - pos, mark, mark_length);
  size_t length;

  if (end == NULL)
    {
      fuzz_check_failure (s, room, pos == stream.length ? EPIPE : ECONNRESET);
      return 0;
    }

  length = (size_t) (end - begin);
  if (length > room)
    fuzz_check_failure (s, room, EMSGSIZE);
  else
    fuzz_check_message (s, room, begin, length);
  return pos + length + mark_length;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  FuzzInput input = { data, size };
  uint8_t mark[DILL_SUFFIX_MAX];
  size_t mark_length = 1 + fuzz_take_byte (&input) % DILL_SUFFIX_MAX;
  unsigned n_messages;
  size_t room, pos = 0;
  bool has_ended = false;
  int s, fd, attached;

  for (size_t i = 0; i < mark_length; i++)
    mark[i] = (uint8_t) fuzz_take_byte (&input);
  room = fuzz_take_byte (&input);
  n_messages = fuzz_take_byte (&input);
  if (input.length > FUZZ_STREAM_MAX)
    return 0;

  s = fuzz_open_with (input.bytes, input.length, &fd);
  attached = dill_suffix_attach (s, mark, mark_length);
  g_assert_cmpint (attached, >=, 0);
  check_sending (attached, fd, input, mark, mark_length);

  for (unsigned i = 0; !has_ended && (n_messages == 255 || i < n_messages); i++)
    {
      size_t next = receive (attached, input, pos, mark, mark_length, room);

      has_ended = next == 0;
      pos = has_ended ? pos : next;
    }

  if (!has_ended)
    {
      attached = dill_suffix_detach (attached, FUZZ_DEADLINE);
      g_assert_cmpint (attached, >=, 0);
      fuzz_check_rest (attached, input.bytes + pos, input.length - pos);
    }
  g_assert_cmpint (dill_hclose (attached), ==, 0);
  close (fd);
  return 0;
}
