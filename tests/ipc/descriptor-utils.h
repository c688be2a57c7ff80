/* descriptor-utils.h: descriptors to pass, and plain peers that pass them in ways the library does not.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"

#include <sys/mman.h>
#include <sys/stat.h>

/* A file that is told from others by its inode. */
static inline int
new_file (void)
{
  return test_assert_ok (memfd_create ("dillipc-test", MFD_CLOEXEC));
}

static inline void
assert_same_file (int fd, int other)
{
  struct stat a, b;

  g_assert_no_errno (fstat (fd, &a));
  g_assert_no_errno (fstat (other, &b));
  g_assert_cmpuint (a.st_dev, ==, b.st_dev);
  g_assert_cmpuint (a.st_ino, ==, b.st_ino);
}

/* Sends bytes and N descriptors, each FILE, in one message. */
static inline gssize
send_with_files (int s, const void *bytes, gsize length, int file, guint n)
{
  union
  {
    struct cmsghdr header;
    char bytes[CMSG_SPACE (253 * sizeof (int))];
  } control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
  struct iovec piece = { (void *) bytes, length };
  struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control };

  g_assert_cmpuint (n, <=, 253);
  control.header.cmsg_len = CMSG_LEN (n * sizeof (int));
  message.msg_controllen = CMSG_SPACE (n * sizeof (int));
  for (guint i = 0; i < n; i++)
    memcpy (CMSG_DATA (&control.header) + i * sizeof (int), &file, sizeof file);
  return sendmsg (s, &message, MSG_NOSIGNAL);
}

/* The descriptor comes at once, and is FILE. */
static inline void
expect_file (int s, int file)
{
  int fd = test_assert_ok (dill_ipc_recvfd (s, soon ()));

  assert_same_file (fd, file);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
  close (fd);
}

static inline void
expect_bytes (int s, const char *bytes)
{
  char received[16];
  gsize length = strlen (bytes);

  g_assert_no_errno (dill_brecv (s, received, length, soon ()));
  g_assert_cmpmem (received, length, bytes, length);
}
