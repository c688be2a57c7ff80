/* fuzz-input.h: what a fuzz target reads its parameters from, and streams to feed.
 *
 * A target is one function of bytes, which asserts that the library does with them what a plain model of it says.
 * libFuzzer calls it with bytes of its invention, replay.c with those of the corpus.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <dillipc/dillipc.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Each target defines it. */
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Bytes that go into a socket's buffer at once on any system. */
#define FUZZ_STREAM_MAX 16384

/* Nothing here has to wait: what is to be received has been sent. */
#define FUZZ_DEADLINE (dill_now () + 5000)

typedef struct
{
  const uint8_t *bytes;
  size_t length;
} FuzzInput;

/* 0 when there is nothing left. */
static inline unsigned
fuzz_take_byte (FuzzInput *input)
{
  if (input->length == 0)
    return 0;

  input->length--;
  return *input->bytes++;
}

/* A handle whose peer, FD, is a plain descriptor. */
static inline int
fuzz_open (int *fd)
{
  int fds[2];
  int s;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  s = dill_ipc_fromfd (fds[0]);
  g_assert_cmpint (s, >=, 0);
  *fd = fds[1];
  return s;
}

/* A handle from which BYTES will come, and then the end of the stream. */
static inline int
fuzz_open_with (const uint8_t *bytes, size_t length, int *fd)
{
  int s = fuzz_open (fd);

  if (length > 0)
    g_assert_cmpint (send (*fd, bytes, length, MSG_NOSIGNAL), ==, length);
  g_assert_cmpint (shutdown (*fd, SHUT_WR), ==, 0);
  return s;
}

/* What is left of the byte stream S is LENGTH BYTES. */
static inline void
fuzz_check_rest (int s, const uint8_t *bytes, size_t length)
{
  static uint8_t buf[FUZZ_STREAM_MAX];

  g_assert_cmpuint (length, <=, sizeof buf);
  if (length > 0)
    {
      g_assert_cmpint (dill_brecv (s, buf, length, FUZZ_DEADLINE), ==, 0);
      g_assert_true (memcmp (buf, bytes, length) == 0);
    }
  g_assert_cmpint (dill_brecv (s, buf, 1, FUZZ_DEADLINE), ==, -1);
  g_assert_cmpint (errno, ==, EPIPE);
}

/* Receives one message with room for ROOM bytes, which is LENGTH BYTES. */
static inline void
fuzz_check_message (int s, size_t room, const uint8_t *bytes, size_t length)
{
  static uint8_t buf[FUZZ_STREAM_MAX];

  g_assert_cmpuint (room, <=, sizeof buf);
  g_assert_cmpint (dill_mrecv (s, buf, room, FUZZ_DEADLINE), ==, length);
  g_assert_true (memcmp (buf, bytes, length) == 0);
}

/* Receiving with room for ROOM bytes fails with ERROR. */
static inline void
fuzz_check_failure (int s, size_t room, int error)
{
  static uint8_t buf[FUZZ_STREAM_MAX];

  g_assert_cmpuint (room, <=, sizeof buf);
  errno = 0;
  g_assert_cmpint (dill_mrecv (s, buf, room, FUZZ_DEADLINE), ==, -1);
  g_assert_cmpint (errno, ==, error);
}
