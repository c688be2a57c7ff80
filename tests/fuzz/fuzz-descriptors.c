/* fuzz-descriptors.c: however bytes and descriptors are sent and received, bytes come whole and in order, and of the
 * descriptors each that is taken was sent, in order, and none stays open that nobody took.
 *
 * The input is a list of steps, a byte for the kind and one for a length each.  The sender's steps are done first.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz-input.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define N_STEPS_MAX 48
#define N_FDS_MAX 253 /* that the kernel lets through with one message */

/* Files to tell descriptors by: the n-th message carries the n-th of them, in turn. */
#define N_FILES 16

static int files[N_FILES];
static ino_t inodes[N_FILES];

/* And whatever the main context needs, so that descriptors can be counted. */
static void
open_files (void)
{
  struct stat status;
  char byte;
  int s, fd;

  if (files[0] != 0)
    return;

  s = fuzz_open (&fd);
  g_assert_cmpint (dill_brecv_some (s, &byte, 1, dill_now () + 100), ==, -1);
  g_assert_cmpint (dill_hclose (s), ==, 0);
  close (fd);
  for (unsigned i = 0; i < N_FILES; i++)
    {
      files[i] = memfd_create ("fuzz", MFD_CLOEXEC);
      g_assert_cmpint (files[i], >=, 0);
      g_assert_cmpint (fstat (files[i], &status), ==, 0);
      inodes[i] = status.st_ino;
    }
}

static unsigned
count_descriptors (void)
{
  DIR *directory = opendir ("/proc/self/fd");
  unsigned n = 0;

  g_assert_nonnull (directory);
  while (readdir (directory) != NULL)
    n++;
  closedir (directory);
  return n;
}

/* Bytes of the stream are told by their place. */
static uint8_t
byte_at (size_t pos)
{
  return (uint8_t) (pos % 251);
}

typedef struct
{
  size_t n_sent;
  size_t n_received;
  unsigned n_groups; /* of descriptors that were sent */
  unsigned next;     /* the first group that may still come */
} Stream;

static void
send_step (Stream *stream, int fd, size_t length, unsigned n_fds)
{
  uint8_t bytes[256];
  char control[CMSG_SPACE (N_FDS_MAX * sizeof (int))] = { 0 };
  struct iovec piece = { bytes, length };
  struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
  ssize_t n;

  for (size_t i = 0; i < length; i++)
    bytes[i] = byte_at (stream->n_sent + i);

  if (n_fds > 0)
    {
      struct cmsghdr *header;

      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE (n_fds * sizeof (int));
      header = CMSG_FIRSTHDR (&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN (n_fds * sizeof (int));
      for (unsigned i = 0; i < n_fds; i++)
        memcpy (CMSG_DATA (header) + i * sizeof (int), &files[i == 0 ? stream->n_groups % N_FILES : 0], sizeof (int));
    }

  n = sendmsg (fd, &message, MSG_NOSIGNAL);
  if (n < 0)
    return; /* too many in flight, or no room */
  stream->n_sent += (size_t) n;
  stream->n_groups += n_fds > 0;
}

static void
receive_bytes (Stream *stream, int s, size_t length, bool is_some)
{
  uint8_t bytes[256];
  size_t left = stream->n_sent - stream->n_received;
  ssize_t n;

  errno = 0;
  if (is_some)
    n = dill_brecv_some (s, bytes, length, FUZZ_DEADLINE);
  else
    n = dill_brecv (s, bytes, MIN (length, MAX (left, 1)), FUZZ_DEADLINE) == 0 ? (ssize_t) MIN (length, left) : -1;

  if (n < 0)
    {
      g_assert_cmpuint (left, ==, 0);
      g_assert_cmpint (errno, ==, EPIPE);
      return;
    }

  g_assert_cmpint (n, >, 0);
  g_assert_cmpuint ((size_t) n, <=, left);
  for (ssize_t i = 0; i < n; i++)
    g_assert_cmpuint (bytes[i], ==, byte_at (stream->n_received + (size_t) i));
  stream->n_received += (size_t) n;
}

/* Goes on to the group that the file of INODE stands for. */
static void
check_group (Stream *stream, ino_t inode)
{
  while (stream->next < stream->n_groups && inodes[stream->next % N_FILES] != inode)
    stream->next++;
  g_assert_cmpuint (stream->next, <, stream->n_groups);
  stream->next++;
}

static void
receive_descriptor (Stream *stream, int s)
{
  struct stat status;
  int fd;

  errno = 0;
  fd = dill_ipc_recvfd (s, FUZZ_DEADLINE);
  if (fd < 0)
    {
      g_assert_cmpint (errno, ==, stream->n_received < stream->n_sent ? EPROTO : EPIPE);
      return;
    }

  g_assert_true (fcntl (fd, F_GETFD) & FD_CLOEXEC);
  g_assert_cmpint (fstat (fd, &status), ==, 0);
  check_group (stream, status.st_ino);
  stream->n_received++;
  g_assert_cmpuint (stream->n_received, <=, stream->n_sent);
  close (fd);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  FuzzInput input = { data, size };
  unsigned n_steps = fuzz_take_byte (&input) % N_STEPS_MAX;
  Stream stream = { 0 };
  unsigned n_descriptors;
  int s, fd;

  open_files ();
  n_descriptors = count_descriptors ();
  s = fuzz_open (&fd);

  for (unsigned i = 0; i < n_steps; i++)
    {
      unsigned kind = fuzz_take_byte (&input);

      send_step (&stream, fd, 1 + fuzz_take_byte (&input),
                 kind < 100 ? 0 : kind < 200 ? 1 : kind < 252 ? kind - 199 : N_FDS_MAX);
    }
  g_assert_cmpint (shutdown (fd, SHUT_WR), ==, 0);

  while (input.length > 0)
    {
      unsigned kind = fuzz_take_byte (&input);

      if (kind < 100)
        receive_descriptor (&stream, s);
      else
        receive_bytes (&stream, s, 1 + fuzz_take_byte (&input), kind < 180);
    }

  g_assert_cmpint (dill_hclose (s), ==, 0);
  close (fd);
  g_assert_cmpuint (count_descriptors (), ==, n_descriptors);
  return 0;
}
