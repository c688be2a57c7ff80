/* test-descriptor.c: descriptors arrive in order and at their place among the bytes, belong to their chunk, and neither
 * leak nor disturb the stream, whatever the peer sends.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "descriptor-utils.h"

static void
test_order (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  guint n_fds = test_count_fds ();
  int files[20], s[2];

  make_pair (s);
  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      files[i] = new_file ();
      g_assert_no_errno (dill_ipc_sendfd (s[0], files[i], soon ()));
    }
  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      expect_file (s[1], files[i]);
      close (files[i]);
    }
  close_pair (s);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

/* What sendfd () sends any program understands: a zero byte with SCM_RIGHTS.  The descriptor stays its sender's. */
static void
test_plain_peer (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  union
  {
    struct cmsghdr header;
    char bytes[CMSG_SPACE (2 * sizeof (int))];
  } control;
  char bytes[8] = "xxxxxxx";
  struct iovec piece = { bytes, sizeof bytes };
  struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control };
  int file = new_file (), duplicate = test_assert_ok (fcntl (file, F_DUPFD_CLOEXEC, 0)), received, s, peer;

  message.msg_controllen = sizeof control;
  make_half_pair (&s, &peer);
  g_assert_no_errno (dill_ipc_sendfd (s, duplicate, 0));
  assert_same_file (duplicate, file);
  close (duplicate);
  g_assert_cmpint (recvmsg (peer, &message, MSG_CMSG_CLOEXEC), ==, 1);
  g_assert_cmpint (bytes[0], ==, 0);
  g_assert_cmpuint (control.header.cmsg_len, ==, CMSG_LEN (sizeof (int)));
  g_assert_cmpint (control.header.cmsg_type, ==, SCM_RIGHTS);
  memcpy (&received, CMSG_DATA (&control.header), sizeof received);
  assert_same_file (received, file);
  close (received);
  close (file);
  close (peer);
  g_assert_no_errno (dill_hclose (s));
}

static void
test_place (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool reads_early = GPOINTER_TO_SIZE (data);
  int file = new_file (), other = new_file ();
  int s[2];

  make_pair (s);
  for (guint i = 0; i < 3; i++)
    {
      g_assert_no_errno (dill_bsend (s[0], "ab", 2, soon ()));
      if (reads_early)
        expect_bytes (s[1], "a"); /* reads ahead up to here */
      g_assert_no_errno (dill_ipc_sendfd (s[0], file, soon ()));
      g_assert_no_errno (dill_bsend (s[0], "cd", 2, soon ()));
      g_assert_no_errno (dill_ipc_sendfd (s[0], other, soon ()));
      g_assert_no_errno (dill_bsend (s[0], "ef", 2, soon ()));

      expect_bytes (s[1], reads_early ? "b" : "ab");
      expect_file (s[1], file);
      expect_bytes (s[1], "cd");
      expect_file (s[1], other);
      expect_bytes (s[1], "ef");
    }
  close (file);
  close (other);
  close_pair (s);
}

static void
test_any_byte_of_chunk (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int file = new_file ();

  for (guint place = 0; place < 5; place++)
    {
      int s, peer;

      make_half_pair (&s, &peer);
      g_assert_cmpint (send_with_files (peer, "abcde", 5, file, 1), ==, 5);
      write_all (peer, "xyz", 3);
      expect_bytes (s, (const char *[]) { "", "a", "ab", "abc", "abcd" }[place]);
      expect_file (s, file);
      expect_bytes (s, (const char *[]) { "bcde", "cde", "de", "e", "" }[place]);
      expect_bytes (s, "xyz");
      close (peer);
      g_assert_no_errno (dill_hclose (s));
    }
  close (file);
}

/* By a brecv () that takes the last byte of its chunk, into a buffer of the right size, a larger one, or none. */
static void
test_untaken_is_closed (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const gsize lengths[] = { 5, 7, 1, 4 };
  int file = new_file ();
  char bytes[8];

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    for (guint skips = 0; skips < 2; skips++)
      {
        guint n_fds;
        int s, peer;

        make_half_pair (&s, &peer);
        n_fds = test_count_fds ();
        g_assert_cmpint (send_with_files (peer, "abcde", 5, file, 1), ==, 5);
        write_all (peer, "xyz", 3);
        g_assert_no_errno (dill_brecv (s, skips ? NULL : bytes, lengths[i], soon ()));
        if (lengths[i] < 5)
          {
            g_assert_cmpuint (test_count_fds (), ==, n_fds + 1);
            g_assert_no_errno (dill_brecv (s, skips ? NULL : bytes + lengths[i], 5 - lengths[i], soon ()));
          }
        g_assert_cmpuint (test_count_fds (), ==, n_fds);
        expect_bytes (s, lengths[i] == 7 ? "z" : "xyz");
        if (!skips)
          g_assert_cmpmem (bytes, 5, "abcde", 5);
        close (peer);
        g_assert_no_errno (dill_hclose (s));
      }
  close (file);
}

static void
test_brecv_some_ends_at_chunk (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int file = new_file ();
  char bytes[8];
  int s, peer;

  make_half_pair (&s, &peer);
  g_assert_cmpint (send_with_files (peer, "abc", 3, file, 1), ==, 3);
  write_all (peer, "xyz", 3);
  g_assert_cmpint (dill_brecv_some (s, bytes, 2, soon ()), ==, 2);
  expect_file (s, file);
  expect_bytes (s, "xyz");
  close (file);
  close (peer);
  g_assert_no_errno (dill_hclose (s));
}

static void
test_byte_without_descriptor (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int file = new_file ();
  int s[2];

  make_pair (s);
  g_assert_no_errno (dill_bsend (s[0], "ab", 2, soon ()));
  test_assert_errno (dill_ipc_recvfd (s[1], soon ()), EPROTO);
  test_assert_errno (dill_ipc_recvfd (s[1], 0), EPROTO);
  g_assert_no_errno (dill_ipc_sendfd (s[0], file, soon ()));
  test_assert_errno (dill_ipc_recvfd (s[1], soon ()), EPROTO);
  expect_bytes (s[1], "ab");
  expect_file (s[1], file);
  close (file);
  close_pair (s);
}

static void
test_several_in_one_message (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  guint n = (guint) GPOINTER_TO_SIZE (data);
  guint n_fds;
  int file, s, peer;

  if (test_skip_under (TEST_UNDER_EMULATOR, TEST_LETS_DESCRIPTORS_IN))
    return;

  file = new_file ();
  make_half_pair (&s, &peer);
  n_fds = test_count_fds ();
  for (guint i = 0; i < 3; i++)
    {
      g_assert_cmpint (send_with_files (peer, "abc", 3, file, n), ==, 3);
      expect_bytes (s, "ab");
      g_assert_cmpuint (test_count_fds (), ==, n_fds + 1);
      expect_file (s, file);
      g_assert_cmpuint (test_count_fds (), ==, n_fds);
      write_all (peer, "x", 1);
      test_assert_errno (dill_ipc_recvfd (s, soon ()), EPROTO);
      expect_bytes (s, "x");
    }
  close (file);
  close (peer);
  g_assert_no_errno (dill_hclose (s));
}

static void
test_no_number_left (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int file = new_file ();
  FdLimit limit;
  int s, peer;

  if (skip_without_fd_limit ())
    return;

  make_half_pair (&s, &peer);
  g_assert_cmpint (send_with_files (peer, "a", 1, file, 1), ==, 1);
  g_assert_cmpint (send_with_files (peer, "b", 1, file, 1), ==, 1);
  g_assert_cmpint (send_with_files (peer, "c", 1, file, 3), ==, 1);
  g_assert_cmpint (send_with_files (peer, "def", 3, file, 1), ==, 3);
  write_all (peer, "g", 1);
  g_assert_cmpint (send_with_files (peer, "h", 1, file, 1), ==, 1);

  fd_limit_begin (&limit, 0);
  test_assert_errno (dill_ipc_recvfd (s, soon ()), EMFILE);
  expect_bytes (s, "b"); /* its descriptor is lost, and was not wanted */
  test_assert_errno (dill_ipc_recvfd (s, soon ()), EMFILE);
  expect_bytes (s, "d");
  test_assert_errno (dill_ipc_recvfd (s, soon ()), EMFILE); /* at any byte of its chunk */
  test_assert_errno (dill_ipc_recvfd (s, soon ()), EPROTO); /* but once */
  fd_limit_end (&limit);

  expect_bytes (s, "fg");
  expect_file (s, file);
  close (file);
  close (peer);
  g_assert_no_errno (dill_hclose (s));
}

/* Nobody holds what was passed once both handles are closed, be it on its way, read ahead, or dropped by a
 * handshake. */
enum
{
  ON_ITS_WAY = 0,
  READ_AHEAD = 1,
  HANDSHAKE = 2
};

static void
test_closed_with_connection (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  guint stage = (guint) GPOINTER_TO_SIZE (data);
  guint n_fds = test_count_fds ();
  int s[2], ends[2];
  char byte;

  make_pair (s);
  g_assert_no_errno (pipe2 (ends, O_CLOEXEC));
  g_assert_no_errno (dill_bsend (s[0], "a", 1, soon ()));
  g_assert_no_errno (dill_ipc_sendfd (s[0], ends[1], soon ()));
  if (stage & READ_AHEAD)
    expect_bytes (s[1], "a");
  g_assert_no_errno (dill_ipc_sendfd (s[0], ends[1], soon ()));
  close (ends[1]);
  g_assert_no_errno (dill_hclose (s[0]));
  if (stage & HANDSHAKE)
    g_assert_no_errno (dill_ipc_close (s[1], soon ()));
  else
    g_assert_no_errno (dill_hclose (s[1]));
  g_assert_cmpint (read (ends[0], &byte, 1), ==, 0);
  close (ends[0]);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

/* What a peer, or who made the socket, has asked the kernel to send along must not take the descriptors' room. */
static void
pass_everything (int fd)
{
  static const int options[] = {
    SO_PASSCRED,
    SO_PASSSEC,
#ifdef SO_PASSPIDFD
    SO_PASSPIDFD,
#else
    76,
#endif
  };

  for (guint i = 0; i < G_N_ELEMENTS (options); i++)
    if (setsockopt (fd, SOL_SOCKET, options[i], &(int) { 1 }, sizeof (int)) < 0)
      g_test_message ("socket option %d: %s", options[i], g_strerror (errno));
}

static void
check_descriptors_pass (int s, int peer)
{
  int file = new_file ();
  guint n_fds = test_count_fds ();

  for (guint i = 0; i < 3; i++)
    {
      g_assert_cmpint (send_with_files (peer, "abc", 3, file, 2), ==, 3);
      write_all (peer, "xyz", 3);
      expect_bytes (s, "ab");
      expect_file (s, file);
      test_assert_errno (dill_ipc_recvfd (s, soon ()), EPROTO);
      expect_bytes (s, "xyz");
    }
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  close (file);
}

static void
test_extras_on_connection (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int fds[2], s;

  if (test_skip_under (TEST_UNDER_EMULATOR, TEST_LETS_DESCRIPTORS_IN))
    return;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  pass_everything (fds[0]);
  pass_everything (fds[1]);
  s = test_assert_ok (dill_ipc_fromfd (fds[0]));
  check_descriptors_pass (s, fds[1]);
  close (fds[1]);
  g_assert_no_errno (dill_hclose (s));
}

/* A connection that was made before the library saw the listener, as systemd's first one is, included. */
static void
test_extras_on_listener (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int clients[2], fd, ls, s;

  if (test_skip_under (TEST_UNDER_EMULATOR, TEST_LETS_DESCRIPTORS_IN))
    return;

  fd = listen_raw (test->path, 5);
  pass_everything (fd);
  clients[0] = connect_raw (test->path);
  ls = test_assert_ok (dill_ipc_listener_fromfd (fd));
  clients[1] = connect_raw (test->path);
  for (guint i = 0; i < 2; i++)
    {
      s = test_assert_ok (dill_ipc_accept (ls, soon ()));
      check_descriptors_pass (s, clients[i]);
      close (clients[i]);
      g_assert_no_errno (dill_hclose (s));
    }
  g_assert_no_errno (dill_hclose (ls));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add ("/descriptor/order", test_order);
  test_add ("/descriptor/plain-peer", test_plain_peer);
  test_add_data ("/descriptor/place", GSIZE_TO_POINTER (false), test_place);
  test_add_data ("/descriptor/place-behind-what-was-read-ahead", GSIZE_TO_POINTER (true), test_place);
  test_add ("/descriptor/chunk/any-byte-takes-it", test_any_byte_of_chunk);
  test_add ("/descriptor/chunk/untaken-is-closed", test_untaken_is_closed);
  test_add ("/descriptor/chunk/brecv-some", test_brecv_some_ends_at_chunk);
  test_add ("/descriptor/byte-without-descriptor", test_byte_without_descriptor);
  test_add_data ("/descriptor/several/2", GSIZE_TO_POINTER (2), test_several_in_one_message);
  test_add_data ("/descriptor/several/253", GSIZE_TO_POINTER (253), test_several_in_one_message);
  test_add ("/descriptor/no-number-left", test_no_number_left);
  test_add_data ("/descriptor/closed-with-connection/on-its-way", GSIZE_TO_POINTER (ON_ITS_WAY),
                 test_closed_with_connection);
  test_add_data ("/descriptor/closed-with-connection/read-ahead", GSIZE_TO_POINTER (READ_AHEAD),
                 test_closed_with_connection);
  test_add_data ("/descriptor/closed-with-connection/handshake", GSIZE_TO_POINTER (HANDSHAKE),
                 test_closed_with_connection);
  test_add_data ("/descriptor/closed-with-connection/handshake-over-read-ahead",
                 GSIZE_TO_POINTER (READ_AHEAD | HANDSHAKE), test_closed_with_connection);
  test_add ("/descriptor/extras/connection", test_extras_on_connection);
  test_add ("/descriptor/extras/listener", test_extras_on_listener);
  return g_test_run ();
}
