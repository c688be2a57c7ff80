/* test-address-without-proc.c: where there is no /proc, paths of any length can be bound all the same, and connected to
 * unless their last component is too long for sun_path.
 *
 * A /proc that lies is not believed, and nobody notices the thread that makes the call from another working directory.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "address-utils.h"
#include "proc-utils.h"
#include "syscall-utils.h"

#include <stdio.h>

#define NO_CHROOT "chroot (), and user namespaces, are not permitted here"

/* round_trip () without what needs /proc to count descriptors. */
static void
round_trip_without_proc (const char *path, mode_t mode)
{
  struct dill_socket_file file;
  int listener = test_assert_ok (dill_address_listen (path, 1, 0, mode, &file));
  int client = new_socket ();
  struct stat status;

  g_assert_no_errno (lstat (path, &status));
  g_assert_true (S_ISSOCK (status.st_mode));
  g_assert_cmpint (status.st_mode & 0777, ==, mode);
  g_assert_cmpuint (count_siblings (path), ==, 1);

  if (strlen (file.name) <= SUN_PATH_MAX)
    {
      g_assert_no_errno (dill_address_connect (client, path, 0));
      close (test_assert_ok (accept (listener, NULL, NULL)));
      test_assert_errno (dill_address_connect (client, path, 0), EISCONN);
    }
  else /* the one thing for which there is no way */
    test_assert_errno (dill_address_connect (client, path, 0), ENAMETOOLONG);

  dill_socket_file_release (&file, false);
  test_assert_errno (dill_address_connect (client, path, 0), ENOENT);
  g_assert_cmpuint (count_siblings (path), ==, 0);
  close (client);
  close (listener);
}

/* A path that fits, one whose directory is too deep, and two whose name is too long to be bound at once. */
static void
round_trips (const char *dir)
{
  g_autofree char *shallow = make_path (dir, SUN_PATH_MAX, 6);
  g_autofree char *deep = make_path (dir, 1000, 80);
  g_autofree char *named = make_path (dir, 600, 200);
  g_autofree char *between = make_path (dir, 599, 100);
  g_autofree char *working_dir = g_get_current_dir ();
  g_autofree char *working_dir_after = NULL;
  mode_t old_mask = umask (077);
  sigset_t mask_before, mask_after;
  int lowest = lowest_free_fd ();

  g_assert_no_errno (sigprocmask (SIG_BLOCK, NULL, &mask_before));
  round_trip_without_proc (shallow, 0660);
  round_trip_without_proc (deep, 0660);
  round_trip_without_proc (named, 0600);
  round_trip_without_proc (between, 0777);
  umask (old_mask);

  /* The caller, unlike the thread, has not moved, and can be interrupted as before. */
  working_dir_after = g_get_current_dir ();
  g_assert_cmpstr (working_dir, ==, working_dir_after);
  g_assert_no_errno (sigprocmask (SIG_BLOCK, NULL, &mask_after));
  for (int signal_number = 1; signal_number < SIGRTMAX; signal_number++)
    g_assert_cmpint (sigismember (&mask_after, signal_number), ==, sigismember (&mask_before, signal_number));
  g_assert_cmpint (lowest_free_fd (), ==, lowest);
}

static void
replace (const char *dir)
{
  g_autofree char *deep = make_path (dir, 1001, 80);
  g_autofree char *missing = g_strconcat (deep, "/x", NULL);
  struct dill_socket_file file;
  int fd = test_assert_ok (dill_address_listen (deep, 1, 0, 0, &file));

  use_own_context ();
  test_assert_errno (dill_address_listen (deep, 1, 0, 0, &file), EADDRINUSE);
  test_assert_errno (dill_address_listen (missing, 1, 0, 0, &file), ENOTDIR);
  test_assert_errno (dill_address_listen (deep, 1, DILL_IPC_LISTEN_REPLACE_STALE, 0, &file), EADDRINUSE);
  close (fd);
  fd = test_assert_ok (dill_address_listen (deep, 1, DILL_IPC_LISTEN_REPLACE_STALE, 0, &file));
  dill_socket_file_release (&file, false);
  close (fd);
}

static int
in_hidden (gpointer data)
{
  proc_is_hidden = true;
  round_trips (data);
  replace (data);
  return 0;
}

/* Before Linux 6.6. */
static int
in_old_kernel (gpointer data)
{
  return fail_calls (SYS_FCHMODAT2, ENOSYS) ? in_hidden (data) : CANNOT;
}

static int
in_root_without_proc (gpointer data)
{
  if (!leave_proc (data))
    return CANNOT;

  test_assert_errno (access ("/proc/self", F_OK), ENOENT);
  round_trips ("");
  replace ("");
  return 0;
}

/* What stands at /proc/self/fd is not what the descriptors are: say, because it is another thread's. */
static int
in_root_with_false_proc (gpointer data)
{
  enum
  {
    N = 64
  };

  if (!leave_proc (data))
    return CANNOT;

  g_assert_no_errno (mkdir ("/proc", 0755));
  g_assert_no_errno (mkdir ("/proc/self", 0755));
  g_assert_no_errno (mkdir ("/proc/self/fd", 0755));
  for (int i = 0; i < N; i++)
    {
      g_autofree char *false_link = g_strdup_printf ("/proc/self/fd/%d", i);

      g_assert_no_errno (mkdir (false_link, 0755));
    }

  round_trips ("");
  for (int i = 0; i < N; i++)
    {
      g_autofree char *inside = g_strdup_printf ("/proc/self/fd/%d/x", i);
      g_autofree char *false_link = g_path_get_dirname (inside);
      struct stat status;

      g_assert_cmpuint (count_siblings (inside), ==, 0);
      g_assert_no_errno (lstat (false_link, &status));
      g_assert_cmpint (status.st_mode & 07777, ==, 0755);
    }
  g_assert_cmpint (lowest_free_fd (), <, N - 10); /* all that were used had a directory */
  return 0;
}

/* EAGAIN from listen or connect would have another meaning. */
static int
in_without_threads (gpointer data)
{
  g_autofree char *path = make_path (data, 400, 6);
  struct dill_socket_file file;
  int fd = new_socket ();

  make_stale (path);
  proc_is_hidden = true;
#ifdef SYS_clone3
  if (!fail_calls (SYS_clone3, EAGAIN))
    return CANNOT;
#endif
  if (!fail_calls (SYS_clone, EAGAIN))
    return CANNOT;

  test_assert_errno (dill_address_connect (fd, path, 0), ENOMEM);
  g_assert_no_errno (unlink (path));
  test_assert_errno (dill_address_listen (path, 1, 0, 0, &file), ENOMEM);
  g_assert_cmpuint (count_siblings (path), ==, 0);
  return 0;
}

/* A case of its own process, and what the machine may not permit. */
typedef struct
{
  TestChildFunc func;
  const char *why_not;
} Child;

static void
test_child (TestDir *test, gconstpointer data)
{
  const Child *child = data;

  check_child (test_in_child (child->func, test->dir), child->why_not);
}

/* A signal that comes for the thread on its way; the library, linked in statically, finds this fchdir (). */
static bool thread_gets_signal;
static volatile sig_atomic_t n_signals;

int
fchdir (int fd)
{
  if (thread_gets_signal)
    raise (SIGUSR1);
  return (int) syscall (SYS_fchdir, fd);
}

static void
on_signal (int signal_number G_GNUC_UNUSED)
{
  n_signals++;
}

static void
test_signal (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = make_path (test->dir, 400, 6);
  struct dill_socket_file file;
  int fd;

  signal (SIGUSR1, on_signal);
  proc_is_hidden = thread_gets_signal = true;
  fd = test_assert_ok (dill_address_listen (path, 1, 0, 0, &file));
  proc_is_hidden = thread_gets_signal = false;
  g_assert_cmpint (n_signals, ==, 0);
  raise (SIGUSR1);
  g_assert_cmpint (n_signals, ==, 1);
  signal (SIGUSR1, SIG_DFL);

  dill_socket_file_release (&file, false);
  close (fd);
}

int
main (int argc, char **argv)
{
  static const Child hidden = { in_hidden, NULL };
  static const Child old_kernel = { in_old_kernel, NO_SECCOMP };
  static const Child root = { in_root_without_proc, NO_CHROOT };
  static const Child false_proc = { in_root_with_false_proc, NO_CHROOT };
  static const Child no_thread = { in_without_threads, NO_SECCOMP };

  g_test_init (&argc, &argv, NULL);

  test_add_data ("/address/without-proc/hidden", &hidden, test_child);
  test_add_data ("/address/without-proc/old-kernel", &old_kernel, test_child);
  test_add_data ("/address/without-proc/chroot", &root, test_child);
  test_add_data ("/address/without-proc/false-proc", &false_proc, test_child);
  test_add_data ("/address/without-proc/no-thread", &no_thread, test_child);
  test_add ("/address/without-proc/signal", test_signal);

  return g_test_run ();
}
