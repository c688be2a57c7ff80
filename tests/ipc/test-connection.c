/* test-connection.c: connections and listeners that are made of plain descriptors, and turned back into such: what is
 * refused leaves the descriptor as it was, and what is taken over works.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "descriptor-utils.h"

static int
new_socket (int domain, int type)
{
  return test_assert_ok (socket (domain, type, 0));
}

/* Both functions refuse FD with these, and leave it alone. */
static void
check_refused (int fd, int as_connection, int as_listener)
{
  char mem[DILL_IPC_SIZE], listener_mem[DILL_IPC_LISTENER_SIZE];
  int status_flags = fcntl (fd, F_GETFL), descriptor_flags = fcntl (fd, F_GETFD);
  guint n_fds = test_count_fds ();

  test_assert_errno (dill_ipc_fromfd (fd), as_connection);
  test_assert_errno (dill_ipc_fromfd_mem (fd, mem), as_connection);
  test_assert_errno (dill_ipc_listener_fromfd (fd), as_listener);
  test_assert_errno (dill_ipc_listener_fromfd_mem (fd, listener_mem), as_listener);
  g_assert_cmpint (fcntl (fd, F_GETFL), ==, status_flags);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, descriptor_flags);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
test_refused (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = g_strconcat (test->path, "-listener", NULL);
  int others[2], fd;

  check_refused (-1, EBADF, EBADF);
  check_refused (1000 * 1000, EBADF, EBADF);

  fd = test_assert_ok (open ("/dev/null", O_RDONLY));
  check_refused (fd, ENOTSUP, ENOTSUP);
  close (fd);

  g_assert_no_errno (pipe (others));
  check_refused (others[0], ENOTSUP, ENOTSUP);
  close (others[0]);
  close (others[1]);

  fd = new_socket (AF_UNIX, SOCK_DGRAM);
  check_refused (fd, ENOTSUP, ENOTSUP);
  close (fd);

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_SEQPACKET, 0, others));
  check_refused (others[0], ENOTSUP, ENOTSUP);
  close (others[0]);
  close (others[1]);

  fd = socket (AF_INET, SOCK_STREAM, 0);
  if (fd >= 0)
    check_refused (fd, ENOTSUP, ENOTSUP);
  close (fd);

  fd = new_socket (AF_UNIX, SOCK_STREAM);
  check_refused (fd, ENOTCONN, EINVAL);
  close (fd);

  fd = listen_raw (path, 1);
  test_assert_errno (dill_ipc_fromfd (fd), EINVAL);
  test_assert_errno (dill_ipc_listener_fromfd_mem (fd, NULL), EINVAL);
  close (fd);

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, others));
  test_assert_errno (dill_ipc_listener_fromfd (others[0]), EINVAL);
  test_assert_errno (dill_ipc_fromfd_mem (others[0], NULL), EINVAL);
  g_assert_cmpint (fcntl (others[0], F_GETFD), ==, 0);
  g_assert_cmpint (fcntl (others[0], F_GETFL) & O_NONBLOCK, ==, 0);
  close (others[0]);
  close (others[1]);
}

static void
test_connection_there_and_back (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int fds[2], s, fd;
  char bytes[3];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  write_all (fds[1], "abc", 3); /* what came before stays */
  for (guint round = 0; round < 3; round++)
    {
      s = test_assert_ok (dill_ipc_fromfd (fds[0]));
      g_assert_no_errno (dill_brecv (s, bytes, 3, soon ()));
      g_assert_cmpmem (bytes, 3, "abc", 3);
      test_assert_errno (dill_brecv_some (s, bytes, 3, dill_now () + 1), ETIMEDOUT);
      fd = test_assert_ok (dill_ipc_steal_fd (s));
      g_assert_cmpint (fd, ==, fds[0]);
      g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
      g_assert_true (fcntl (fd, F_GETFL) & O_NONBLOCK);
      test_assert_errno (dill_hclose (s), EBADF);
      test_assert_errno (dill_ipc_steal_fd (s), EBADF);
      write_all (fd, "xyz", 3);
      read_all (fds[1], bytes, 3);
      write_all (fds[1], "abc", 3);
    }
  close (fds[0]);
  close (fds[1]);
}

static void
test_steal_unread (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool with_descriptor = GPOINTER_TO_SIZE (data);
  int s, peer, file = new_file ();
  char byte;

  make_half_pair (&s, &peer);
  g_assert_cmpint (send_with_files (peer, "ab", 2, file, with_descriptor), ==, 2);
  g_assert_no_errno (dill_brecv (s, &byte, 1, soon ()));
  test_assert_errno (dill_ipc_steal_fd (s), EBUSY);
  if (with_descriptor)
    close (test_assert_ok (dill_ipc_recvfd (s, soon ())));
  else
    g_assert_no_errno (dill_brecv (s, &byte, 1, soon ()));
  close (test_assert_ok (dill_ipc_steal_fd (s)));
  close (peer);
  close (file);
}

static void
test_steal_heap_and_own_memory (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char mem[DILL_IPC_PAIR_SIZE];
  int s[2], fds[2];
  guint n_fds = test_count_fds ();

  g_assert_no_errno (dill_ipc_pair_mem (mem, s));
  for (guint i = 0; i < 2; i++)
    fds[i] = test_assert_ok (dill_ipc_steal_fd (s[i]));
  memset (mem, 0xAA, sizeof mem);
  write_all (fds[0], "x", 1);
  read_all (fds[1], mem, 1);
  close (fds[0]);
  close (fds[1]);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static void
test_listener_there_and_back (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int fd = listen_raw (test->path, 5), ls, client, h;
  Call call = { .deadline = -1 };

  for (guint round = 0; round < 3; round++)
    {
      ls = test_assert_ok (dill_ipc_listener_fromfd (fd));
      test_assert_errno (dill_ipc_accept (ls, dill_now () + 1), ETIMEDOUT);
      call = (Call) { .s = ls, .deadline = -1 };
      h = start_call (call_accept, &call);
      test_assert_errno (dill_ipc_steal_fd (ls), EBUSY);
      client = connect_raw (test->path);
      finish_call (h, &call);
      g_assert_no_errno (dill_hclose (test_assert_ok ((int) call.result)));
      close (client);
      g_assert_cmpint (test_assert_ok (dill_ipc_steal_fd (ls)), ==, fd);
      test_assert_errno (dill_ipc_accept (ls, 0), EBADF);
      g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
    }

  /* Its file is not the library's. */
  ls = test_assert_ok (dill_ipc_listener_fromfd (fd));
  g_assert_no_errno (dill_hclose (ls));
  g_assert_no_errno (access (test->path, F_OK));

  /* Nor is that of a listener that was stolen. */
  g_assert_no_errno (unlink (test->path));
  ls = test_assert_ok (dill_ipc_listen (test->path, 5));
  fd = test_assert_ok (dill_ipc_steal_fd (ls));
  close (connect_raw (test->path));
  close (fd);
  g_assert_no_errno (access (test->path, F_OK));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add ("/connection/fromfd/refused", test_refused);
  test_add ("/connection/fromfd/there-and-back", test_connection_there_and_back);
  test_add ("/connection/fromfd/listener-there-and-back", test_listener_there_and_back);
  test_add_data ("/connection/steal/unread-byte", GSIZE_TO_POINTER (false), test_steal_unread);
  test_add_data ("/connection/steal/unread-descriptor", GSIZE_TO_POINTER (true), test_steal_unread);
  test_add ("/connection/steal/pair-in-own-memory", test_steal_heap_and_own_memory);
  return g_test_run ();
}
