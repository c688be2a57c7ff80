/* test-epoll.c: what the epoll poller takes for granted of the kernel (epoll(7)), without the library.
 *
 * If one of these fails on some kernel, so will the library there, and this says why.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-utils.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define NUMBER 42

static int
control (int epoll_fd, int operation, int fd, guint32 events)
{
  struct epoll_event event = { .events = events, .data.u64 = NUMBER };

  return epoll_ctl (epoll_fd, operation, fd, &event);
}

/* What there is to report now; 0: nothing. */
static guint32
collect (int epoll_fd)
{
  struct epoll_event events[4];
  int n_events = test_assert_ok (epoll_wait (epoll_fd, events, G_N_ELEMENTS (events), 0));

  g_assert_cmpint (n_events, <=, 1);
  if (n_events == 0)
    return 0;
  g_assert_cmpuint (events[0].data.u64, ==, NUMBER);
  return events[0].events;
}

static int
new_epoll (void)
{
  return test_assert_ok (epoll_create1 (EPOLL_CLOEXEC));
}

static void
put_byte (int fd)
{
  g_assert_cmpint (write (fd, "x", 1), ==, 1);
}

static void
take_byte (int fd)
{
  char byte;

  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
}

static void
fill (int fd)
{
  static const char zeros[4096];

  while (send (fd, zeros, sizeof zeros, MSG_DONTWAIT) > 0)
    continue;
  g_assert_cmpint (errno, ==, EAGAIN);
}

static void
drain (int fd)
{
  char buffer[4096];

  while (recv (fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0)
    continue;
  g_assert_cmpint (errno, ==, EAGAIN);
}

static void
close_all (int epoll_fd, const int *fds)
{
  close (epoll_fd);
  close (fds[0]);
  close (fds[1]);
}

/* --- Edge-triggered, for connections --- */

/* Each arrival is an edge, though what came before has not been read; without one nothing is said twice. */
static void
test_edge_for_each_arrival (void)
{
  int epoll_fd = new_epoll ();
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLRDHUP | EPOLLET));
  g_assert_cmpuint (collect (epoll_fd), ==, 0);
  for (guint i = 0; i < 3; i++)
    {
      put_byte (fds[1]);
      g_assert_cmpuint (collect (epoll_fd), ==, EPOLLIN);
      g_assert_cmpuint (collect (epoll_fd), ==, 0);
    }
  close_all (epoll_fd, fds);
}

/* What is there already when a descriptor is added, or asked for, is reported. */
static void
test_edge_at_start (void)
{
  int epoll_fd = new_epoll ();
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  put_byte (fds[1]);
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLET));
  g_assert_cmpuint (collect (epoll_fd), ==, EPOLLIN);
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_MOD, fds[0], EPOLLIN | EPOLLOUT | EPOLLET));
  g_assert_cmpuint (collect (epoll_fd), ==, EPOLLIN | EPOLLOUT);
  close_all (epoll_fd, fds);
}

static void
test_edge_at_end_of_stream (void)
{
  int epoll_fd = new_epoll ();
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLRDHUP | EPOLLET));
  put_byte (fds[1]);
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));
  g_assert_cmpuint (collect (epoll_fd), ==, EPOLLIN | EPOLLRDHUP); /* one edge, not two */
  g_assert_cmpuint (collect (epoll_fd), ==, 0);
  close_all (epoll_fd, fds);
}

/* Somebody who waits for room is told when the peer reads, even if there was room for a moment in between. */
static void
test_edge_for_room (void)
{
  int epoll_fd = new_epoll ();
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  fill (fds[0]);
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLOUT | EPOLLET));
  g_assert_cmpuint (collect (epoll_fd), ==, 0);
  for (guint i = 0; i < 3; i++)
    {
      drain (fds[1]);
      g_assert_cmpuint (collect (epoll_fd), ==, EPOLLOUT);
      fill (fds[0]);
      g_assert_cmpuint (collect (epoll_fd), ==, 0);
    }
  close_all (epoll_fd, fds);
}

/* --- One-shot, for descriptors of others --- */

/* It forgets all directions, not only the one that was ready. */
static void
test_one_shot_forgets_all (void)
{
  int epoll_fd = new_epoll ();
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  fill (fds[0]);
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLOUT | EPOLLONESHOT));
  put_byte (fds[1]);
  g_assert_cmpuint (collect (epoll_fd), ==, EPOLLIN);
  take_byte (fds[0]);
  drain (fds[1]);
  g_assert_cmpuint (collect (epoll_fd), ==, 0);
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_MOD, fds[0], EPOLLOUT | EPOLLONESHOT));
  g_assert_cmpuint (collect (epoll_fd), ==, EPOLLOUT);
  close_all (epoll_fd, fds);
}

/* What has been taken since is not reported: it is level-triggered. */
static void
test_one_shot_is_level_triggered (void)
{
  int epoll_fd = new_epoll ();
  int fds[2];

  g_assert_no_errno (pipe (fds));
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLONESHOT));
  put_byte (fds[1]);
  take_byte (fds[0]);
  g_assert_cmpuint (collect (epoll_fd), ==, 0);
  put_byte (fds[1]);
  g_assert_cmpuint (collect (epoll_fd), ==, EPOLLIN);
  close_all (epoll_fd, fds);
}

/* --- Descriptors that are closed, duplicated, inherited --- */

static void
test_closed_is_forgotten (void)
{
  int epoll_fd = new_epoll ();
  int fds[2], others[2];

  g_assert_no_errno (pipe (fds));
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLONESHOT));
  close (fds[0]);
  close (fds[1]);
  g_assert_no_errno (pipe (others));
  g_assert_cmpint (others[0], ==, fds[0]);
  test_assert_errno (control (epoll_fd, EPOLL_CTL_MOD, others[0], EPOLLIN | EPOLLONESHOT), ENOENT);
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_ADD, others[0], EPOLLIN | EPOLLONESHOT));
  close_all (epoll_fd, others);
}

/* So it has to be removed before it is closed. */
static void
test_duplicate_keeps_firing (void)
{
  int epoll_fd = new_epoll ();
  int fds[2];
  int duplicate;

  g_assert_no_errno (pipe (fds));
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLET));
  duplicate = test_assert_ok (dup (fds[0]));
  close (fds[0]);
  put_byte (fds[1]);
  g_assert_cmpuint (collect (epoll_fd), ==, EPOLLIN);
  test_assert_errno (control (epoll_fd, EPOLL_CTL_DEL, fds[0], 0), EBADF); /* too late */
  close (duplicate);
  close (fds[1]);
  close (epoll_fd);
}

static int
remove_from_epoll (gpointer data)
{
  const int *numbers = data;

  return control (numbers[0], EPOLL_CTL_DEL, numbers[1], 0) == 0 ? 0 : 1;
}

/* Why a forked child must not touch what it has inherited. */
static void
test_child_removes_from_parent (void)
{
  int epoll_fd = new_epoll ();
  int fds[2];

  g_assert_no_errno (pipe (fds));
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLET));
  g_assert_cmpint (test_in_child (remove_from_epoll, (int[]) { epoll_fd, fds[0] }), ==, 0);
  put_byte (fds[1]);
  g_assert_cmpuint (collect (epoll_fd), ==, 0);
  close_all (epoll_fd, fds);
}

static int
close_both (gpointer data)
{
  const int *numbers = data;

  return close (numbers[1]) == 0 && close (numbers[0]) == 0 ? 0 : 1;
}

/* Merely closing does no harm. */
static void
test_child_closes (void)
{
  int epoll_fd = new_epoll ();
  int fds[2];

  g_assert_no_errno (pipe (fds));
  g_assert_no_errno (control (epoll_fd, EPOLL_CTL_ADD, fds[0], EPOLLIN | EPOLLET));
  g_assert_cmpint (test_in_child (close_both, (int[]) { epoll_fd, fds[0] }), ==, 0);
  put_byte (fds[1]);
  g_assert_cmpuint (collect (epoll_fd), ==, EPOLLIN);
  close_all (epoll_fd, fds);
}

/* --- What it refuses --- */

static void
test_refuses_files (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = g_build_filename (test->dir, "file", NULL);
  int epoll_fd = new_epoll ();
  int fds[] = { test_assert_ok (open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)),
                test_assert_ok (open (test->dir, O_RDONLY | O_CLOEXEC)) };

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    test_assert_errno (control (epoll_fd, EPOLL_CTL_ADD, fds[i], EPOLLIN), EPERM);
  close_all (epoll_fd, fds);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/epoll/edge-for-each-arrival", test_edge_for_each_arrival);
  g_test_add_func ("/epoll/edge-at-start", test_edge_at_start);
  g_test_add_func ("/epoll/edge-at-end-of-stream", test_edge_at_end_of_stream);
  g_test_add_func ("/epoll/edge-for-room", test_edge_for_room);
  g_test_add_func ("/epoll/one-shot-forgets-all", test_one_shot_forgets_all);
  g_test_add_func ("/epoll/one-shot-is-level-triggered", test_one_shot_is_level_triggered);
  g_test_add_func ("/epoll/closed-is-forgotten", test_closed_is_forgotten);
  g_test_add_func ("/epoll/duplicate-keeps-firing", test_duplicate_keeps_firing);
  g_test_add_func ("/epoll/child-removes-from-parent", test_child_removes_from_parent);
  g_test_add_func ("/epoll/child-closes", test_child_closes);
  test_add ("/epoll/refuses-files", test_refuses_files);
  return g_test_run ();
}
