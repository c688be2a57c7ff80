/* test-socket-file.c: the permission bits of a listener's file, and who unlinks it when.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "address-utils.h"
#include "syscall-utils.h"

#include <dillipc/dill-handle.h>

#include <endian.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/xattr.h>

/* One listener. */
typedef struct
{
  int fd;
  struct dill_socket_file file;
} Listener;

static void
open_listener (Listener *listener, const char *path, guint mode)
{
  listener->fd = test_assert_ok (dill_address_listen (path, 1, 0, mode, &listener->file));
}

static void
close_listener (Listener *listener)
{
  dill_socket_file_release (&listener->file, false);
  close (listener->fd);
}

static mode_t
mode_of (const char *path)
{
  struct stat status;

  g_assert_no_errno (lstat (path, &status));
  return status.st_mode & 07777;
}

/* The three ways by which a file comes to its place. */
static void
make_paths (TestDir *test, char *paths[3])
{
  paths[0] = g_strdup (test->path);
  paths[1] = make_path (test->dir, 400, 6);
  paths[2] = make_path (test->dir, 401, 200);
}

static void
free_paths (char *paths[3])
{
  for (int i = 0; i < 3; i++)
    g_free (paths[i]);
}

static void
test_modes (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  static const mode_t masks[] = { 0, 022, 077, 0777 };
  static const guint modes[] = { 0777, 0666, 0660, 0600, 0200, 0007, 0001 };
  mode_t old_mask = umask (0);
  char *paths[3];

  make_paths (test, paths);
  for (guint i = 0; i < G_N_ELEMENTS (masks); i++)
    {
      umask (masks[i]);
      for (int p = 0; p < 3; p++)
        {
          Listener listener;

          for (guint m = 0; m < G_N_ELEMENTS (modes); m++)
            {
              open_listener (&listener, paths[p], modes[m]);
              g_assert_cmpint (mode_of (paths[p]), ==, modes[m]);
              close_listener (&listener);
            }

          open_listener (&listener, paths[p], 0);
          g_assert_cmpint (mode_of (paths[p]), ==, 0777 & ~masks[i]);
          close_listener (&listener);
        }
    }
  umask (old_mask);
  free_paths (paths);
}

/* A default ACL of the directory (u::rwx,g::r-x,o::---) takes bits away in the umask's stead. */
static void
test_mode_acl (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  struct
  {
    guint32 version;
    struct
    {
      guint16 tag, permissions;
      guint32 id;
    } entries[3];
  } acl = {
    htole32 (2),
    {
        { htole16 (0x01), htole16 (7), htole32 (UINT32_MAX) },
        { htole16 (0x04), htole16 (5), htole32 (UINT32_MAX) },
        { htole16 (0x20), htole16 (0), htole32 (UINT32_MAX) },
    },
  };
  Listener listener;

  if (setxattr (test->dir, "system.posix_acl_default", &acl, sizeof acl, 0) < 0)
    {
      g_test_skip ("the file system of the temporary directory has no ACLs");
      return;
    }

  open_listener (&listener, test->path, 0);
  g_assert_cmpint (mode_of (test->path), ==, 0750);
  close_listener (&listener);

  open_listener (&listener, test->path, 0666);
  g_assert_cmpint (mode_of (test->path), ==, 0666);
  close_listener (&listener);
}

static void
test_release (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Listener listener;

  open_listener (&listener, test->path, 0);
  errno = EXDEV;
  dill_socket_file_release (&listener.file, false);
  g_assert_cmpint (errno, ==, EXDEV);
  g_assert_cmpuint (count_siblings (test->path), ==, 0);
  g_assert_null (listener.file.path);
  g_assert_null (listener.file.name);
  g_assert_cmpint (listener.file.dir_fd, ==, -1);

  dill_socket_file_release (&listener.file, false); /* empty: nothing to do */
  close (listener.fd);

  open_listener (&listener, test->path, 0);
  dill_socket_file_release (&listener.file, true);
  close (listener.fd);
  g_assert_cmpuint (count_siblings (test->path), ==, 1);
}

/* Whatever stands there by now, if it is not what we made it stays. */
static void
test_release_replaced (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *aside = g_strconcat (test->path, "-aside", NULL);
  Listener first;
  Listener second;
  int client = new_socket ();

  open_listener (&first, test->path, 0);
  g_assert_no_errno (unlink (test->path));
  open_listener (&second, test->path, 0);
  close_listener (&first);
  g_assert_no_errno (dill_address_connect (client, test->path, 0));

  g_assert_no_errno (rename (test->path, aside));
  g_assert_no_errno (symlink (aside, test->path));
  close_listener (&second);
  g_assert_cmpuint (count_siblings (test->path), ==, 2);
  close (client);
}

static int
in_other_process (gpointer data)
{
  close_listener (data);
  return 0;
}

static void
test_release_in_child (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Listener listener;
  int client = new_socket ();

  open_listener (&listener, test->path, 0);
  g_assert_cmpint (test_in_child (in_other_process, &listener), ==, 0);
  g_assert_no_errno (dill_address_connect (client, test->path, 0));

  close (client);
  close_listener (&listener);
  g_assert_cmpuint (count_siblings (test->path), ==, 0);
}

/* Relative paths, while the process and the directory move. */
static int
in_moving (gpointer data)
{
  Listener listener;

  g_assert_no_errno (chdir (data));
  g_assert_no_errno (mkdir ("before", 0755));
  open_listener (&listener, "before/socket", 0);

  g_assert_no_errno (rename ("before", "after"));
  g_assert_no_errno (chdir ("/"));
  close_listener (&listener);

  g_assert_no_errno (chdir (data));
  g_assert_cmpuint (count_siblings ("after/socket"), ==, 0);
  g_assert_no_errno (rmdir ("after"));
  return 0;
}

static void
test_release_moved (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (in_moving, test->dir), ==, 0);
}

/* Whoever can read the directory can hold its lock: that must not keep a listener from closing. */
static void
test_release_locked (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int dir_fd = test_assert_ok (open (test->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Listener listener;

  open_listener (&listener, test->path, 0);
  g_assert_no_errno (flock (dir_fd, LOCK_EX));
  errno = EXDEV;
  dill_socket_file_release (&listener.file, false);
  g_assert_cmpint (errno, ==, EXDEV);
  close (listener.fd);
  g_assert_cmpuint (count_siblings (test->path), ==, 0);

  open_listener (&listener, test->path, 0); /* without the flag nothing waits for the lock either */
  close_listener (&listener);
  close (dir_fd);
}

static int
listen_and_close (gpointer data)
{
  int s;

  use_own_context ();
  umask (077);
  s = test_assert_ok (dill_ipc_listen_full (data, 1, 0, 0606, NULL));
  return dill_hclose (s) < 0 ? errno : 0;
}

/* A child that is stopped on its way through listen_and_close (), before the system call NUMBER, which comes after
 * FIRST.  Returns -1, and skips the test, where that is not permitted. */
static pid_t
stop_before (const char *path, long first, long number)
{
  pid_t pid = trace_start (listen_and_close, (gpointer) path);
  int status;

  if (pid < 0)
    g_test_skip ("ptrace is not permitted here");
  else
    g_assert_true (trace_until (pid, first, &status) && trace_until (pid, number, &status));
  return pid;
}

/* The file goes while the socket still listens, so that nobody can take it for a stale one, and under the lock. */
static void
test_release_order (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int dir_fd = test_assert_ok (open (test->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  pid_t pid = stop_before (test->path, SYS_listen, SYS_unlinkat);
  int client = new_socket ();

  if (pid >= 0)
    {
      g_assert_no_errno (dill_address_connect (client, test->path, 0));
      test_assert_errno (flock (dir_fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
      g_assert_cmpint (trace_finish (pid), ==, 0);
      g_assert_cmpuint (count_siblings (test->path), ==, 0);
    }
  close (client);
  close (dir_fd);
}

/* Whoever may write to the directory puts another file in the socket's place at once: it keeps its bits, and stays. */
static void
test_file_swapped (TestDir *test, gconstpointer data)
{
  static const char *const links[] = { NULL, "other", "socket-aside" };
  const long calls[] = { SYS_FSTATAT, SYS_openat };
  g_autofree char *other = g_build_filename (test->dir, "other", NULL);
  g_autofree char *aside = g_strconcat (test->path, "-aside", NULL);
  const char *link = links[GPOINTER_TO_SIZE (data)];

  g_assert_true (g_file_set_contents (other, "", 0, NULL));
  g_assert_no_errno (chmod (other, 0640));
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      pid_t pid = stop_before (test->path, SYS_bind, calls[i]);

      if (pid < 0)
        return;

      g_assert_no_errno (rename (test->path, aside));
      g_assert_no_errno (link != NULL ? symlink (link, test->path) : rename (other, test->path));
      g_assert_cmpint (trace_finish (pid), ==, 0);
      g_assert_no_errno (access (link != NULL ? aside : test->path, F_OK));
      g_assert_no_errno (link != NULL ? unlink (test->path) : rename (test->path, other));
      g_assert_cmpint (mode_of (other), ==, 0640);
      g_assert_cmpint (mode_of (aside), ==, 0600); /* as the umask left it */
      g_assert_no_errno (unlink (aside));
    }
}

/* A call of listen () in a child where the system call NUMBER fails. */
typedef struct
{
  const char *path;
  long number;
  int error;
} Fault;

static int
in_fault (gpointer data)
{
  const Fault *fault = data;
  struct dill_socket_file file;
  int lowest = lowest_free_fd ();

  umask (077); /* so that there is something to mend */
  if (!fail_calls (fault->number, fault->error))
    return CANNOT;

  test_assert_errno (dill_address_listen (fault->path, 1, 0, 0666, &file), fault->error);
  g_assert_cmpint (lowest_free_fd (), ==, lowest);
  return 0;
}

static void
test_failures (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Fault faults[] = {
    { NULL, SYS_socket, ENFILE },  { NULL, SYS_fchmod, EPERM }, { NULL, SYS_bind, EROFS },
    { NULL, SYS_listen, ENOBUFS }, { NULL, SYS_FSTATAT, EIO },
#ifdef SYS_chmod
    { NULL, SYS_chmod, EPERM },
#endif
    { NULL, SYS_renameat2, EIO },
  };
  char *paths[3];

  make_paths (test, paths);
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    for (int p = 0; p < 3; p++)
      {
        if (faults[i].number == SYS_renameat2 && p < 2)
          continue; /* nothing is renamed */

        faults[i].path = paths[p];
        if (!check_child (test_in_child (in_fault, &faults[i]), NO_SECCOMP))
          goto out;
        test_assert_errno (access (paths[p], F_OK), ENOENT);
        if (p > 0)
          g_assert_cmpuint (count_siblings (paths[p]), ==, 0);
      }

out:
  free_paths (paths);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/socket-file/mode/umask", test_modes);
  test_add ("/socket-file/mode/acl", test_mode_acl);
  test_add ("/socket-file/release/once", test_release);
  test_add ("/socket-file/release/replaced", test_release_replaced);
  test_add ("/socket-file/release/child", test_release_in_child);
  test_add ("/socket-file/release/moved", test_release_moved);
  test_add ("/socket-file/release/locked", test_release_locked);
  test_add ("/socket-file/release/order", test_release_order);
  test_add_data ("/socket-file/swapped/file", GSIZE_TO_POINTER (0), test_file_swapped);
  test_add_data ("/socket-file/swapped/link", GSIZE_TO_POINTER (1), test_file_swapped);
  test_add_data ("/socket-file/swapped/link-to-socket", GSIZE_TO_POINTER (2), test_file_swapped);
  test_add ("/socket-file/failures", test_failures);

  return g_test_run ();
}
