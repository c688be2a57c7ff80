/* test-fd.c: waiting for descriptors that others read and write.
 *
 * Nothing is remembered of them: what is said is true now, of any kind of descriptor, closed and reused ones included.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fd-utils.h"

#include <sys/socket.h>

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
  g_assert_no_errno (dill_fdin (fds[0], soon ()));
  drain (fds[0]);
  g_assert_no_errno (dill_fdout (fds[1], soon ()));
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
  const gint64 deadlines[] = { 0, -1, soon () };

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
      g_assert_no_errno (dill_fdin (fds[0], soon ()));
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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fd/pipe", test_pipe);
  g_test_add_func ("/fd/socket", test_socket);
  g_test_add_func ("/fd/main-stack", test_main_stack);
  test_add ("/fd/always-ready", test_always_ready);
  g_test_add_func ("/fd/bad-fd", test_bad_fd);
  g_test_add_func ("/fd/reused-number", test_reused_number);
  g_test_add_func ("/fd/reused-number-of-duplicated-file", test_reused_number_of_duplicated_file);
  return g_test_run ();
}
