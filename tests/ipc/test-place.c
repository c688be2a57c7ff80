/* test-place.c: DILL_IPC_LISTEN_REPLACE_STALE takes over a socket file that nobody is bound to, and nothing else.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "address-utils.h"
#include "syscall-utils.h"

#include <time.h>

/* Short, deep, and with a name that is too long for bind (). */
static char *
make_nth_path (TestDir *test, int n)
{
  switch (n)
    {
    case 0:
      return g_strdup (test->path);
    case 1:
      return make_path (test->dir, 400, 6);
    default:
      return make_path (test->dir, 1001, 200);
    }
}

static void
test_stale (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  for (int n = 0; n < 3; n++)
    {
      g_autofree char *path = make_nth_path (test, n);
      guint n_siblings = count_siblings (path);

      g_assert_cmpint (replace_error (path), ==, 0);
      make_stale (path);
      g_assert_cmpint (listen_error (path), ==, EADDRINUSE);
      g_assert_cmpint (replace_error (path), ==, 0);
      g_assert_cmpuint (count_siblings (path), ==, n_siblings);
    }
}

/* In the middle of bind () there is a file already and nobody bound to it yet.  That instant cannot be held still, so a
 * new file must get the benefit of the doubt. */
static void
test_fresh (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  gint64 start = g_get_monotonic_time ();

  make_stale (test->path);
  g_assert_cmpint (replace_error (test->path), ==, 0);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 90 * G_TIME_SPAN_MILLISECOND);
}

/* The library, linked in statically, asks this clock. */
static time_t clock_offset;

int
clock_gettime (clockid_t clock, struct timespec *time)
{
  int result = (int) syscall (SYS_clock_gettime, clock, time);

  if (clock == CLOCK_REALTIME)
    time->tv_sec += clock_offset;
  return result;
}

/* A file from the future, since the clock was set back, says nothing about its age, and is not waited for. */
static void
test_future (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  gint64 shortest = G_MAXINT64;

  /* The machine may stand still for as long. */
  for (guint i = 0; i < 5 && shortest >= 900 * G_TIME_SPAN_MILLISECOND; i++)
    {
      gint64 start;

      make_stale (test->path);
      clock_offset = -3600;
      start = g_get_monotonic_time ();
      g_assert_cmpint (replace_error (test->path), ==, 0);
      shortest = MIN (shortest, g_get_monotonic_time () - start);
      clock_offset = 0;
    }
  g_assert_cmpint (shortest, <, 900 * G_TIME_SPAN_MILLISECOND);
}

/* Bound is alive: listening or not, and whatever its type. */
static void
test_live (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      int fd = bind_raw (test->path, types[i]);
      ino_t inode = inode_of (test->path);

      g_assert_cmpint (replace_error (test->path), ==, EADDRINUSE);
      if (types[i] != SOCK_DGRAM)
        {
          g_assert_no_errno (listen (fd, 0));
          g_assert_cmpint (replace_error (test->path), ==, EADDRINUSE);
          g_assert_cmpint (fcntl (fd, F_SETFL, O_NONBLOCK), ==, 0);
          test_assert_errno (accept (fd, NULL, NULL), EAGAIN); /* nobody was there to ask */
        }
      g_assert_cmpuint (inode_of (test->path), ==, inode);

      close (fd);
      g_assert_cmpint (replace_error (test->path), ==, 0);
    }
}

static void
test_live_long (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  for (int n = 1; n < 3; n++)
    {
      g_autofree char *path = make_nth_path (test, n);
      guint n_siblings = count_siblings (path);
      struct dill_socket_file file;
      int fd = test_assert_ok (dill_address_listen (path, 1, DILL_IPC_LISTEN_REPLACE_STALE, 0, &file));

      g_assert_cmpint (replace_error (path), ==, EADDRINUSE);
      g_assert_cmpint (listen_error (path), ==, EADDRINUSE);
      g_assert_cmpuint (inode_of (path), ==, file.inode);
      dill_socket_file_release (&file, false);
      close (fd);
      g_assert_cmpuint (count_siblings (path), ==, n_siblings);
    }
}

static void
test_other_files (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *stale = g_strconcat (test->path, "-stale", NULL);
  g_autofree char *missing_dir = g_build_filename (test->path, "x", NULL);
  ino_t inode;

  g_assert_cmpint (replace_error (missing_dir), ==, ENOENT);

  close (test_assert_ok (open (test->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
  inode = inode_of (test->path);
  g_assert_cmpint (replace_error (test->path), ==, EADDRINUSE);
  g_assert_cmpint (replace_error (missing_dir), ==, ENOTDIR);
  g_assert_cmpuint (inode_of (test->path), ==, inode);
  g_assert_no_errno (unlink (test->path));

  g_assert_no_errno (mkdir (test->path, 0700));
  g_assert_cmpint (replace_error (test->path), ==, EADDRINUSE);
  g_assert_no_errno (rmdir (test->path));

  g_assert_no_errno (mkfifo (test->path, 0600));
  g_assert_cmpint (replace_error (test->path), ==, EADDRINUSE);
  g_assert_no_errno (unlink (test->path));

  make_stale (stale);
  g_assert_no_errno (symlink (stale, test->path));
  g_assert_cmpint (replace_error (test->path), ==, EADDRINUSE);
  g_assert_no_errno (unlink (stale));
  g_assert_cmpint (replace_error (test->path), ==, EADDRINUSE);
}

/* Names that look like the library's own and are not, or that are in use, stay. */
static void
test_temporary_names (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  static const char *const others[]
      = { ".dillipc-", ".dillipc-1", ".dillipc-1-", ".dillipc-01-1", ".dillipc-1-1-", "dillipc-1-1" };
  g_autofree char *dead = g_build_filename (test->dir, ".dillipc-4711-0", NULL);
  g_autofree char *newer = g_build_filename (test->dir, ".dillipc-2147483647-4294967295", NULL);
  g_autofree char *live = g_build_filename (test->dir, ".dillipc-1-1", NULL);
  g_autofree char *file = g_build_filename (test->dir, ".dillipc-1-2", NULL);
  g_autofree char *long_name = make_path (test->dir, strlen (test->dir) + 201, 200);
  struct dill_socket_file file_at_long_name;
  int fd;

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autofree char *other = g_build_filename (test->dir, others[i], NULL);
      make_stale (other);
    }
  make_stale (dead);
  make_stale (newer);
  close (test_assert_ok (open (file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
  fd = bind_raw (live, SOCK_STREAM);

  g_assert_cmpint (replace_error (test->path), ==, 0);
  g_assert_cmpuint (count_siblings (test->path), ==, G_N_ELEMENTS (others) + 2);
  test_assert_errno (access (dead, F_OK), ENOENT);
  test_assert_errno (access (newer, F_OK), ENOENT);

  /* A listen that needs such a name itself looks for leftovers too. */
  make_stale (dead);
  close (test_assert_ok (dill_address_listen (long_name, 1, 0, 0, &file_at_long_name)));
  dill_socket_file_release (&file_at_long_name, false);
  test_assert_errno (access (dead, F_OK), ENOENT);
  close (fd);
}

/* As on a file system that can neither exchange names nor refuse to replace one. */
static int
in_plain_renames (gpointer data)
{
  use_own_context ();
  if (!fail_calls (SYS_renameat2, EINVAL))
    return CANNOT;

  round_trip (data);
  g_assert_cmpint (replace_error (data), ==, 0);
  make_stale (data);
  g_assert_cmpint (listen_error (data), ==, EADDRINUSE);
  g_assert_cmpint (replace_error (data), ==, 0);
  g_assert_cmpuint (count_siblings (data), ==, 0);
  return 0;
}

static void
test_plain_renames (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  for (int n = 0; n < 3; n++)
    {
      g_autofree char *path = make_nth_path (test, n);

      check_child (test_in_child (in_plain_renames, path), NO_SECCOMP);
    }
}

/* What is in use is seen before any file is made. */
static int
in_bindless (gpointer data)
{
  struct dill_socket_file file;

  if (!fail_calls (SYS_bind, EIO))
    return CANNOT;

  test_assert_errno (dill_address_listen (data, 1, 0, 0, &file), EADDRINUSE);
  return 0;
}

static void
test_no_file_in_vain (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = make_nth_path (test, 2);

  make_stale (path);
  check_child (test_in_child (in_bindless, path), NO_SECCOMP);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/place/replace/stale", test_stale);
  test_add ("/place/replace/fresh", test_fresh);
  test_add ("/place/replace/future", test_future);
  test_add ("/place/replace/live", test_live);
  test_add ("/place/replace/live-long", test_live_long);
  test_add ("/place/replace/other-files", test_other_files);
  test_add ("/place/replace/plain-renames", test_plain_renames);
  test_add ("/place/no-file-in-vain", test_no_file_in_vain);
  test_add ("/place/temporary-names", test_temporary_names);

  return g_test_run ();
}
