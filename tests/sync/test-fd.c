/* test-fd.c: waiting for descriptors that others read and write.
 *
 * Nothing is remembered of them: what is said is true now, of any kind of descriptor, closed and reused ones included.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-utils.h"

#include <dillipc/dillipc.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* A deadline that is never reached unless something is wrong. */
#define SOON (dill_now () + 10000)

/* One who waits for a descriptor. */
typedef struct
{
  int fd;
  gboolean out;
  gint64 deadline;
  int result;
  int error;
} Waiter;

static void
wait_for_fd (void *data)
{
  Waiter *waiter = data;

  errno = 0;
  waiter->result = waiter->out ? dill_fdout (waiter->fd, waiter->deadline) : dill_fdin (waiter->fd, waiter->deadline);
  waiter->error = errno;
}

static int
start_waiter (Waiter *waiter, int fd, gboolean out)
{
  int h;

  *waiter = (Waiter) { .fd = fd, .out = out, .deadline = SOON, .result = 1 };
  h = test_assert_ok (dill_spawn (wait_for_fd, waiter));
  g_assert_cmpint (waiter->result, ==, 1);
  return h;
}

static void
finish_waiter (Waiter *waiter, int h, int result, int error)
{
  g_assert_no_errno (dill_bundle_wait (h, SOON));
  g_assert_cmpint (waiter->result, ==, result);
  if (result < 0)
    g_assert_cmpint (waiter->error, ==, error);
  g_assert_no_errno (dill_hclose (h));
}

static void
clean_and_close (int fd)
{
  g_assert_no_errno (dill_fdclean (fd));
  g_assert_no_errno (close (fd));
}

static void
fill (int fd)
{
  static const char zeros[4096];

  g_assert_no_errno (fcntl (fd, F_SETFL, O_NONBLOCK));
  while (write (fd, zeros, sizeof zeros) > 0)
    continue;
  g_assert_cmpint (errno, ==, EAGAIN);
}

static void
drain (int fd)
{
  char buffer[4096];

  g_assert_no_errno (fcntl (fd, F_SETFL, O_NONBLOCK));
  while (read (fd, buffer, sizeof buffer) > 0)
    continue;
  g_assert_cmpint (errno, ==, EAGAIN);
}

/* --- Kinds of descriptors --- */

/* Both directions of FDS, which are two ends of something: 0 is read, 1 is written. */
static void
check_ends (const int *fds)
{
  Waiter waiter;
  int h;

  g_assert_no_errno (dill_fdout (fds[1], 0));
  test_assert_errno (dill_fdin (fds[0], 0), ETIMEDOUT);
  test_assert_errno (dill_fdin (fds[0], dill_now () + 2), ETIMEDOUT);

  for (guint i = 0; i < 3; i++)
    {
      h = start_waiter (&waiter, fds[0], FALSE);
      g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
      finish_waiter (&waiter, h, 0, 0);

      /* Nobody has read it: it still is there. */
      g_assert_no_errno (dill_fdin (fds[0], 0));
      g_assert_no_errno (dill_fdin (fds[0], -1));
      drain (fds[0]);
      test_assert_errno (dill_fdin (fds[0], 0), ETIMEDOUT);

      fill (fds[1]);
      test_assert_errno (dill_fdout (fds[1], 0), ETIMEDOUT);
      test_assert_errno (dill_fdout (fds[1], dill_now () + 2), ETIMEDOUT);
      h = start_waiter (&waiter, fds[1], TRUE);
      drain (fds[0]);
      finish_waiter (&waiter, h, 0, 0);
    }

  /* The end of the stream is something to read. */
  h = start_waiter (&waiter, fds[0], FALSE);
  clean_and_close (fds[1]);
  finish_waiter (&waiter, h, 0, 0);
  clean_and_close (fds[0]);
}

static void
test_pipe (void)
{
  int fds[2];

  g_assert_no_errno (pipe (fds));
  check_ends (fds);
}

static void
test_socket (void)
{
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  check_ends (fds);
}

static void
test_main_stack (void)
{
  Waiter waiter;
  int fds[2];
  int h;

  g_assert_no_errno (pipe (fds));
  fill (fds[1]);
  h = start_waiter (&waiter, fds[1], TRUE);
  g_assert_no_errno (dill_fdin (fds[0], SOON));
  drain (fds[0]);
  g_assert_no_errno (dill_fdout (fds[1], SOON));
  finish_waiter (&waiter, h, 0, 0);
  clean_and_close (fds[0]);
  clean_and_close (fds[1]);
}

/* What epoll refuses always is ready, as poll (2) says. */
static void
test_always_ready (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = g_build_filename (test->dir, "file", NULL);
  int fds[] = { open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), open ("/dev/null", O_RDWR | O_CLOEXEC),
                open (test->dir, O_RDONLY | O_CLOEXEC) };
  const gint64 deadlines[] = { 0, -1, SOON };

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      g_assert_no_errno (fds[i]);
      for (guint j = 0; j < G_N_ELEMENTS (deadlines); j++)
        {
          g_assert_no_errno (dill_fdin (fds[i], deadlines[j]));
          g_assert_no_errno (dill_fdout (fds[i], deadlines[j]));
        }
      clean_and_close (fds[i]);
    }
}

static void
test_bad_fd (void)
{
  int fd = test_assert_ok (open ("/dev/null", O_RDWR | O_CLOEXEC));

  close (fd);
  test_assert_errno (dill_fdin (fd, -1), EBADF);
  test_assert_errno (dill_fdout (fd, 0), EBADF);
  test_assert_errno (dill_fdin (-1, -1), EBADF);
  test_assert_errno (dill_fdout (G_MININT, -1), EBADF);
  test_assert_errno (dill_fdin (G_MAXINT, -1), EBADF);
  test_assert_errno (dill_fdclean (-1), EBADF);
  g_assert_no_errno (dill_fdclean (fd));
  g_assert_no_errno (dill_fdclean (G_MAXINT));
}

/* --- Waiters --- */

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

  test_assert_errno (dill_fdin (fds[0], SOON), EEXIST);
  test_assert_errno (dill_fdout (fds[0], SOON), EEXIST);
  second = (Waiter) { .fd = fds[0], .deadline = SOON };
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
  g_assert_no_errno (dill_fdin (fds[0], SOON));
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
      waiters[i].deadline = SOON;
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
      g_assert_no_errno (dill_fdin (waiter->fd, SOON));
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
      g_assert_no_errno (dill_fdout (fds[1], SOON));
      g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
      g_assert_no_errno (dill_yield ());
    }
  g_assert_no_errno (dill_bundle_wait (h, SOON));
  g_assert_no_errno (dill_hclose (h));
  clean_and_close (fds[0]);
  clean_and_close (fds[1]);
}

/* --- Numbers that are closed and reused --- */

/* Without dill_fdclean (), which is a mistake of the program's, the new descriptor works all the same. */
static void
test_reused_number (void)
{
  for (guint i = 0; i < 3; i++)
    {
      Waiter waiter;
      int fds[2], others[2];
      int h;

      g_assert_no_errno (pipe (fds));
      test_assert_errno (dill_fdin (fds[0], dill_now () + 1), ETIMEDOUT);
      g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
      g_assert_no_errno (dill_fdin (fds[0], SOON));
      close (fds[0]);
      close (fds[1]);

      g_assert_no_errno (pipe (others));
      g_assert_cmpint (others[0], ==, fds[0]);
      test_assert_errno (dill_fdin (others[0], dill_now () + 1), ETIMEDOUT);
      h = start_waiter (&waiter, others[0], FALSE);
      g_assert_cmpint (write (others[1], "x", 1), ==, 1);
      finish_waiter (&waiter, h, 0, 0);
      close (others[0]);
      close (others[1]);
    }
}

/* The old one lives on elsewhere, and fires: that is not taken for the new one's. */
static void
test_reused_number_of_duplicated_file (void)
{
  Waiter waiter;
  int fds[2], others[2];
  int duplicate, h;

  g_assert_no_errno (pipe (fds));
  duplicate = test_assert_ok (dup (fds[0]));
  test_assert_errno (dill_fdin (fds[0], dill_now () + 1), ETIMEDOUT);
  g_assert_no_errno (dill_fdclean (fds[0]));
  close (fds[0]);
  g_assert_no_errno (pipe (others));
  g_assert_cmpint (others[0], ==, fds[0]);

  h = start_waiter (&waiter, others[0], FALSE);
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  g_assert_no_errno (dill_msleep (dill_now () + 3));
  g_assert_cmpint (waiter.result, ==, 1);
  g_assert_cmpint (write (others[1], "x", 1), ==, 1);
  finish_waiter (&waiter, h, 0, 0);

  clean_and_close (others[0]);
  clean_and_close (others[1]);
  close (duplicate);
  close (fds[1]);
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
  g_assert_no_errno (dill_fdin (fds[0], SOON));
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
  g_test_add_func ("/fd/pipe", test_pipe);
  g_test_add_func ("/fd/socket", test_socket);
  g_test_add_func ("/fd/main-stack", test_main_stack);
  test_add ("/fd/always-ready", test_always_ready);
  g_test_add_func ("/fd/bad-fd", test_bad_fd);
  g_test_add_func ("/fd/one-of-each-kind", test_one_of_each_kind);
  g_test_add_func ("/fd/cancellation", test_cancellation);
  g_test_add_func ("/fd/taken-by-another", test_taken_by_another);
  g_test_add_func ("/fd/many-rounds", test_many_rounds);
  g_test_add_func ("/fd/reused-number", test_reused_number);
  g_test_add_func ("/fd/reused-number-of-duplicated-file", test_reused_number_of_duplicated_file);
  g_test_add_func ("/fd/many", test_many);
  g_test_add_func ("/fd/other-context", test_other_context);
  g_test_add_func ("/fd/no-leak", test_no_leak);
  return g_test_run ();
}
