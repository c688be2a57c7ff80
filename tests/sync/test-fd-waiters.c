/* test-fd-waiters.c: those who wait for descriptors: one for each direction of a descriptor, many descriptors at once.
 *
 * Each is told of its own descriptor and direction alone, under its own context, and can be cancelled.  Nothing that
 * the library opens for them stays open.  What epoll cannot hold for its nesting is refused.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/poller.h"
#include "fd-utils.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static void
test_one_of_each_kind (void)
{
  Waiter in, out, second;
  int fds[2];
  int h_in, h_out, h;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  fill (fds[0]);
  h_in = start_waiter (&in, fds[0], FALSE);
  h_out = start_waiter (&out, fds[0], TRUE);

  test_assert_errno (dill_fdin (fds[0], soon ()), EEXIST);
  test_assert_errno (dill_fdout (fds[0], soon ()), EEXIST);
  second = (Waiter) { .fd = fds[0], .deadline = soon () };
  h = test_assert_ok (dill_spawn (wait_for_fd, &second));
  finish_waiter (&second, h, -1, EEXIST);
  test_assert_errno (dill_fdclean (fds[0]), EEXIST);
  test_assert_errno (dill_fdin (fds[0], 0), ETIMEDOUT); /* this one does not wait */

  /* Each is told of its own direction alone. */
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  finish_waiter (&in, h_in, 0, 0);
  g_assert_cmpint (out.result, ==, 1);
  drain (fds[1]);
  finish_waiter (&out, h_out, 0, 0);
  clean_and_close (fds[0]);
  clean_and_close (fds[1]);
}

/* epoll descriptors in epoll descriptors, as many as the kernel takes: there is no room for the library's around
 * them. */
static void
test_nested_too_deeply (void)
{
  struct epoll_event event = { .events = EPOLLIN };
  int fds[10];
  guint n = 0;

  do
    {
      g_assert_cmpuint (n, <, G_N_ELEMENTS (fds));
      fds[n++] = test_assert_ok (epoll_create1 (EPOLL_CLOEXEC));
    }
  while (n == 1 || epoll_ctl (fds[n - 1], EPOLL_CTL_ADD, fds[n - 2], &event) == 0);
  g_assert_cmpstr (test_errno_name (errno), ==, "ELOOP");

  if (dill_poller_reports_edges)
    {
      test_assert_errno (dill_fdin (fds[n - 2], soon ()), ELOOP);
      test_assert_errno (dill_fdout (fds[n - 2], soon ()), ELOOP);
    }
  else
    g_test_skip ("GLib's polling takes a descriptor as deep as this");
  test_assert_errno (dill_fdin (fds[n - 2], 0), ETIMEDOUT);
  while (n > 0)
    clean_and_close (fds[--n]);
}

static void
test_cancellation (void)
{
  Waiter waiter;
  int fds[2];

  g_assert_no_errno (pipe (fds));
  for (guint i = 0; i < 3; i++)
    {
      g_assert_no_errno (dill_hclose (start_waiter (&waiter, fds[0], FALSE)));
      g_assert_cmpint (waiter.result, ==, -1);
      g_assert_cmpint (waiter.error, ==, ECANCELED);
    }

  /* It is free again. */
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  g_assert_no_errno (dill_fdin (fds[0], soon ()));
  clean_and_close (fds[0]);
  clean_and_close (fds[1]);
}

static void
read_one (void *data)
{
  Waiter *waiter = data;
  char byte;

  wait_for_fd (waiter);
  g_assert_cmpint (read (waiter->fd, &byte, 1), ==, 1); /* does not block, says EAGAIN if there is nothing */
}

/* Two wait for one byte, by two numbers of the same pipe, and both are woken.  Whoever is first takes it; the other one
 * goes on waiting. */
static void
test_taken_by_another (void)
{
  Waiter waiters[2] = { { 0 } };
  int handles[2], fds[2];

  g_assert_no_errno (pipe (fds));
  g_assert_no_errno (fcntl (fds[0], F_SETFL, O_NONBLOCK));
  waiters[0].fd = fds[0];
  waiters[1].fd = test_assert_ok (dup (fds[0]));
  for (guint i = 0; i < 2; i++)
    {
      waiters[i].deadline = soon ();
      waiters[i].result = 1;
      handles[i] = test_assert_ok (dill_spawn (read_one, &waiters[i]));
    }

  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  test_iterate_until (waiters[0].result == 0 || waiters[1].result == 0);
  g_assert_no_errno (dill_msleep (dill_now () + 3));
  g_assert_cmpint (waiters[0].result + waiters[1].result, ==, 1);

  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  for (guint i = 0; i < 2; i++)
    {
      finish_waiter (&waiters[i], handles[i], 0, 0);
      clean_and_close (waiters[i].fd);
    }
  clean_and_close (fds[1]);
}

static void
read_in_turn (void *data)
{
  Waiter *waiter = data;
  char byte;

  for (guint i = 0; i < 1000; i++)
    {
      g_assert_no_errno (dill_fdin (waiter->fd, soon ()));
      g_assert_cmpint (read (waiter->fd, &byte, 1), ==, 1);
    }
}

static void
test_many_rounds (void)
{
  Waiter waiter;
  int fds[2];
  int h;

  g_assert_no_errno (pipe (fds));
  waiter.fd = fds[0];
  h = test_assert_ok (dill_spawn (read_in_turn, &waiter));
  for (guint i = 0; i < 1000; i++)
    {
      g_assert_no_errno (dill_fdout (fds[1], soon ()));
      g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
      g_assert_no_errno (dill_yield ());
    }
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  clean_and_close (fds[0]);
  clean_and_close (fds[1]);
}

/* --- Many, and elsewhere --- */

static void
test_many (void)
{
  enum
  {
    N = 200
  };
  Waiter waiters[N];
  int fds[N], handles[N];

  for (guint i = 0; i < N; i++)
    {
      fds[i] = test_assert_ok (eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK));
      handles[i] = start_waiter (&waiters[i], fds[i], FALSE);
    }
  for (guint i = 0; i < N; i += 2)
    g_assert_no_errno (eventfd_write (fds[i], 1));
  for (guint i = 0; i < N; i += 2)
    finish_waiter (&waiters[i], handles[i], 0, 0);
  for (guint i = 1; i < N; i += 2)
    {
      g_assert_cmpint (waiters[i].result, ==, 1);
      g_assert_no_errno (dill_hclose (handles[i]));
    }
  for (guint i = 0; i < N; i++)
    clean_and_close (fds[i]);
}

/* Under another context the same descriptor is waited for there. */
static void
test_other_context (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  int fds[2];

  g_assert_no_errno (pipe (fds));
  test_assert_errno (dill_fdin (fds[0], dill_now () + 1), ETIMEDOUT);
  g_main_context_push_thread_default (context);
  test_assert_errno (dill_fdin (fds[0], dill_now () + 1), ETIMEDOUT);
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  g_assert_no_errno (dill_fdin (fds[0], soon ()));
  drain (fds[0]);
  test_assert_errno (dill_fdin (fds[0], dill_now () + 1), ETIMEDOUT);
  g_main_context_pop_thread_default (context);
  test_assert_errno (dill_fdin (fds[0], dill_now () + 1), ETIMEDOUT);
  clean_and_close (fds[0]);
  clean_and_close (fds[1]);
}

/* The library's own descriptors aside, nothing is kept open. */
static void
test_no_leak (void)
{
  guint n_before;

  test_many ();
  n_before = test_count_fds ();
  for (guint i = 0; i < 10; i++)
    test_many ();
  g_assert_cmpuint (test_count_fds (), ==, n_before);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fd-waiters/one-of-each-kind", test_one_of_each_kind);
  g_test_add_func ("/fd-waiters/nested-too-deeply", test_nested_too_deeply);
  g_test_add_func ("/fd-waiters/cancellation", test_cancellation);
  g_test_add_func ("/fd-waiters/taken-by-another", test_taken_by_another);
  g_test_add_func ("/fd-waiters/many-rounds", test_many_rounds);
  g_test_add_func ("/fd-waiters/many", test_many);
  g_test_add_func ("/fd-waiters/other-context", test_other_context);
  g_test_add_func ("/fd-waiters/no-leak", test_no_leak);
  return g_test_run ();
}
