/* test-kernel.c: what Linux does with AF_UNIX stream sockets, and the library rests on.  Plain system calls: a case
 * that fails here says that the kernel, not the library, is not what it was.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "descriptor-utils.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

/* What one recvmsg () with room for CONTROL_LENGTH bytes of control data gives. */
typedef struct
{
  gssize n;
  guint n_files;
  bool is_cut; /* MSG_CTRUNC */
  char bytes[64];
} Chunk;

static void
receive_chunk (int fd, gsize control_length, Chunk *chunk)
{
  union
  {
    struct cmsghdr header;
    char bytes[1024];
  } control;
  struct iovec piece = { chunk->bytes, sizeof chunk->bytes };
  struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control };

  message.msg_controllen = control_length;
  chunk->n = recvmsg (fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  chunk->n_files = 0;
  chunk->is_cut = message.msg_flags & MSG_CTRUNC;
  if (chunk->n < 0)
    return;

  for (struct cmsghdr *header = CMSG_FIRSTHDR (&message); header != NULL; header = CMSG_NXTHDR (&message, header))
    {
      g_assert_cmpint (header->cmsg_type, ==, SCM_RIGHTS);
      for (gsize i = 0; i < (header->cmsg_len - CMSG_LEN (0)) / sizeof (int); i++, chunk->n_files++)
        {
          int file;

          memcpy (&file, CMSG_DATA (header) + i * sizeof file, sizeof file);
          g_assert_cmpint (fcntl (file, F_GETFD), ==, FD_CLOEXEC);
          close (file);
        }
    }
}

static void
make_sockets (int fds[2])
{
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
}

static void
close_both (int fds[2])
{
  close (fds[0]);
  close (fds[1]);
}

/* What recvmsg () returns ends behind bytes that came with descriptors, and may begin with bytes that came without. */
static void
test_descriptors_end_a_chunk (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int fds[2], file = new_file ();
  Chunk chunk;

  make_sockets (fds);
  write_all (fds[0], "ab", 2);
  g_assert_cmpint (send_with_files (fds[0], "cd", 2, file, 1), ==, 2);
  g_assert_cmpint (send_with_files (fds[0], "ef", 2, file, 1), ==, 2);
  write_all (fds[0], "gh", 2);
  receive_chunk (fds[1], CMSG_LEN (sizeof (int)), &chunk);
  g_assert_cmpmem (chunk.bytes, chunk.n, "abcd", 4);
  g_assert_cmpuint (chunk.n_files, ==, 1);
  receive_chunk (fds[1], CMSG_LEN (sizeof (int)), &chunk);
  g_assert_cmpmem (chunk.bytes, chunk.n, "ef", 2);
  g_assert_cmpuint (chunk.n_files, ==, 1);
  receive_chunk (fds[1], CMSG_LEN (sizeof (int)), &chunk);
  g_assert_cmpmem (chunk.bytes, chunk.n, "gh", 2);
  g_assert_cmpuint (chunk.n_files, ==, 0);
  close (file);
  close_both (fds);
}

/* CMSG_LEN has room for one descriptor, CMSG_SPACE for two; the others never get in. */
static void
test_room_for_one_descriptor (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int fds[2], file;
  guint n_fds;
  Chunk chunk;

  if (test_skip_under (TEST_UNDER_EMULATOR, TEST_LETS_DESCRIPTORS_IN))
    return;

  file = new_file ();
  make_sockets (fds);
  n_fds = test_count_fds ();
  for (guint n = 1; n <= 253; n += 84)
    {
      g_assert_cmpint (send_with_files (fds[0], "a", 1, file, n), ==, 1);
      receive_chunk (fds[1], CMSG_LEN (sizeof (int)), &chunk);
      g_assert_cmpuint (chunk.n_files, ==, 1);
      g_assert_true (chunk.is_cut == (n > 1));
      g_assert_cmpuint (test_count_fds (), ==, n_fds);
    }

  g_assert_cmpint (send_with_files (fds[0], "a", 1, file, 3), ==, 1);
  receive_chunk (fds[1], CMSG_SPACE (sizeof (int)), &chunk);
  g_assert_cmpuint (chunk.n_files, ==, sizeof (size_t) == 8 ? 2 : 1);
  close (file);
  close_both (fds);
}

/* Without a free number the bytes come, the descriptor does not, and MSG_CTRUNC tells. */
static void
test_no_number_left (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int fds[2], file = new_file ();
  FdLimit limit;
  Chunk chunk;

  if (skip_without_fd_limit ())
    return;

  make_sockets (fds);
  g_assert_cmpint (send_with_files (fds[0], "a", 1, file, 1), ==, 1);
  fd_limit_begin (&limit, 0);
  receive_chunk (fds[1], CMSG_LEN (sizeof (int)), &chunk);
  fd_limit_end (&limit);
  g_assert_cmpint (chunk.n, ==, 1);
  g_assert_cmpuint (chunk.n_files, ==, 0);
  g_assert_true (chunk.is_cut);
  close (file);
  close_both (fds);
}

/* listen (n) keeps n + 1 connections waiting; the next non-blocking connect () says EAGAIN. */
static void
test_backlog (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  for (int backlog = 0; backlog < 4; backlog++)
    {
      struct sockaddr_un address = { .sun_family = AF_UNIX };
      int ls = listen_raw (test->path, backlog), clients[8], n = 0;

      strcpy (address.sun_path, test->path);
      for (;; n++)
        {
          clients[n] = test_assert_ok (socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
          if (connect (clients[n], (struct sockaddr *) &address, sizeof address) < 0)
            break;
          g_assert_cmpint (n, <, 7);
        }
      g_assert_cmpint (errno, ==, EAGAIN);
      g_assert_cmpint (n, ==, backlog + 1);
      while (n >= 0)
        close (clients[n--]);
      close (ls);
      unlink (test->path);
    }
}

static uint32_t
events_of (int epoll_fd)
{
  struct epoll_event event = { .events = 0 };

  g_assert_no_errno (epoll_wait (epoll_fd, &event, 1, 0));
  return event.events;
}

/* SIOCOUTQ is 0 exactly when the peer has read everything, and that read makes an edge of EPOLLOUT. */
static void
test_reading_is_an_edge (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int fds[2], epoll_fd = test_assert_ok (epoll_create1 (EPOLL_CLOEXEC)), unread;
  struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
  char byte;

  make_sockets (fds);
  write_all (fds[0], "ab", 2);
  g_assert_no_errno (shutdown (fds[0], SHUT_WR));
  g_assert_no_errno (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fds[0], &event));
  g_assert_true (events_of (epoll_fd) & EPOLLOUT);
  g_assert_cmpuint (events_of (epoll_fd), ==, 0);
  g_assert_no_errno (ioctl (fds[0], SIOCOUTQ, &unread));
  g_assert_cmpint (unread, >, 0);
  read_all (fds[1], &byte, 1);
  g_assert_no_errno (ioctl (fds[0], SIOCOUTQ, &unread));
  g_assert_cmpint (unread, >, 0);
  read_all (fds[1], &byte, 1);
  g_assert_true (events_of (epoll_fd) & EPOLLOUT);
  g_assert_no_errno (ioctl (fds[0], SIOCOUTQ, &unread));
  g_assert_cmpint (unread, ==, 0);
  close (epoll_fd);
  close_both (fds);
}

/* A peer that closes without reading leaves an error, also where the end of its stream was read before. */
static void
test_unread_bytes_reset (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  socklen_t length = sizeof (int);
  int fds[2], error = 0, unread;
  char byte;

  make_sockets (fds);
  write_all (fds[0], "a", 1);
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));
  g_assert_cmpint (read (fds[0], &byte, 1), ==, 0);
  close (fds[1]);
  g_assert_no_errno (ioctl (fds[0], SIOCOUTQ, &unread));
  g_assert_cmpint (unread, ==, 0);
  g_assert_no_errno (getsockopt (fds[0], SOL_SOCKET, SO_ERROR, &error, &length));
  g_assert_cmpint (error, ==, ECONNRESET);
  close (fds[0]);
}

/* Bytes and the end of the stream that arrive before a look are one edge, with EPOLLRDHUP in it. */
static void
test_end_is_in_the_edge (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int fds[2], epoll_fd = test_assert_ok (epoll_create1 (EPOLL_CLOEXEC));
  struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
  char byte;

  make_sockets (fds);
  g_assert_no_errno (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fds[0], &event));
  g_assert_cmpuint (events_of (epoll_fd), ==, 0);
  write_all (fds[1], "a", 1);
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));
  g_assert_cmpuint (events_of (epoll_fd) & (EPOLLIN | EPOLLRDHUP), ==, EPOLLIN | EPOLLRDHUP);
  g_assert_cmpuint (events_of (epoll_fd), ==, 0);
  read_all (fds[0], &byte, 1);
  g_assert_cmpuint (events_of (epoll_fd), ==, 0); /* reading is none */
  close (epoll_fd);
  close_both (fds);
}

/* A registration outlives close () while a duplicate is open: it must be deleted first. */
static void
test_duplicate_goes_on_firing (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int fds[2], duplicate, epoll_fd = test_assert_ok (epoll_create1 (EPOLL_CLOEXEC));
  struct epoll_event event = { .events = EPOLLIN | EPOLLET };

  make_sockets (fds);
  g_assert_no_errno (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fds[0], &event));
  duplicate = test_assert_ok (fcntl (fds[0], F_DUPFD_CLOEXEC, 0));
  close (fds[0]);
  write_all (fds[1], "a", 1);
  g_assert_true (events_of (epoll_fd) & EPOLLIN);
  test_assert_errno (epoll_ctl (epoll_fd, EPOLL_CTL_DEL, fds[0], NULL), EBADF);
  close (duplicate);
  close (epoll_fd);
  close (fds[1]);
}

/* A read ends in front of an urgent byte, and the next goes on behind it. */
static void
test_urgent_byte_ends_a_read (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int fds[2];
  Chunk chunk;

  make_sockets (fds);
  write_all (fds[0], "ab", 2);
  if (send (fds[0], "!", 1, MSG_OOB) < 0)
    g_test_skip ("this kernel has no urgent bytes on AF_UNIX sockets");
  else
    {
      write_all (fds[0], "cd", 2);
      receive_chunk (fds[1], CMSG_LEN (sizeof (int)), &chunk);
      g_assert_cmpmem (chunk.bytes, chunk.n, "ab", 2);
      receive_chunk (fds[1], CMSG_LEN (sizeof (int)), &chunk);
      g_assert_cmpmem (chunk.bytes, chunk.n, "cd", 2);
      receive_chunk (fds[1], CMSG_LEN (sizeof (int)), &chunk);
      g_assert_cmpint (chunk.n, ==, -1);
    }
  close_both (fds);
}

/* What the listener passes along, its connections do too: a socket option of each. */
static void
test_options_are_handed_down (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = listen_raw (test->path, 5), yes = 1, value = 0, client, fd;
  socklen_t length = sizeof value;

  g_assert_no_errno (setsockopt (ls, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes));
  client = connect_raw (test->path);
  fd = test_assert_ok (accept (ls, NULL, NULL));
  g_assert_no_errno (getsockopt (fd, SOL_SOCKET, SO_PASSCRED, &value, &length));
  g_assert_cmpint (value, ==, 1);
  close (client);
  close (fd);
  close (ls);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/kernel/descriptors/end-a-chunk", test_descriptors_end_a_chunk);
  test_add ("/kernel/descriptors/room-for-one", test_room_for_one_descriptor);
  test_add ("/kernel/descriptors/no-number-left", test_no_number_left);
  test_add ("/kernel/backlog", test_backlog);
  test_add ("/kernel/reading-is-an-edge", test_reading_is_an_edge);
  test_add ("/kernel/unread-bytes-reset", test_unread_bytes_reset);
  test_add ("/kernel/end-is-in-the-edge", test_end_is_in_the_edge);
  test_add ("/kernel/duplicate-goes-on-firing", test_duplicate_goes_on_firing);
  test_add ("/kernel/urgent-byte-ends-a-read", test_urgent_byte_ends_a_read);
  test_add ("/kernel/options-are-handed-down", test_options_are_handed_down);
  return g_test_run ();
}
