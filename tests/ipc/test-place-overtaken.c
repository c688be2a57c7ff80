/* test-place-overtaken.c: what others do to the directory in the middle of a listen, without a look at the lock.
 *
 * Nothing of theirs is lost, nothing is replaced but the very file that was found stale, and a listen that fails leaves
 * nothing behind.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "place-utils.h"

#include <stdio.h>

/* start (), which leaves no descriptor behind if it fails. */
static int
start_tidily (gpointer data)
{
  int lowest;
  int error;

  use_own_context ();
  g_assert_no_errno (dill_msleep (dill_now () + 1)); /* opens descriptors for the main loop */
  lowest = lowest_free_fd ();
  error = listen_and_connect (data);
  if (error != 0)
    g_assert_cmpint (lowest_free_fd (), ==, lowest);
  return error;
}

static int
start_without_renames (gpointer data)
{
  return fail_calls (SYS_renameat2, EINVAL) ? start_tidily (data) : CANNOT;
}

/* A starter FUNC that is stopped where it is about to make the system call NUMBER.  Returns -1, and skips the test,
 * where that is not permitted. */
static pid_t
stop_before (TestChildFunc func, Start *request, long number)
{
  int status = CANNOT;
  pid_t pid;

  if (request->flags & DILL_IPC_LISTEN_REPLACE_STALE)
    wait_until_old (request->path);
  pid = trace_start (func, request);
  if (pid >= 0 && trace_until (pid, number, &status))
    return pid;

  g_assert_cmpint (status, ==, CANNOT);
  g_test_skip ("ptrace or seccomp filters are not permitted here");
  return -1;
}

static pid_t
stop_before_move (Start *request)
{
  return stop_before (start_tidily, request, SYS_renameat2);
}

/* A live socket that is put at a path, in place of what stood there. */
typedef struct
{
  struct dill_socket_file file;
  int fd;
} Live;

static void
live_init (Live *live, const char *path)
{
  g_assert_true (unlink (path) == 0 || errno == ENOENT);
  live->fd = test_assert_ok (dill_address_listen (path, 1, 0, 0, &live->file));
}

/* It still stands at PATH, alone in the directory. */
static void
live_check (Live *live, const char *path)
{
  g_assert_cmpuint (inode_of (path), ==, live->file.inode);
  g_assert_cmpuint (count_siblings (path), ==, 1);
  dill_socket_file_release (&live->file, false);
  g_assert_cmpuint (count_siblings (path), ==, 0);
  close (live->fd);
}

/* Where a starter is overtaken: by which way it comes, and before which system call.  It moves its file by others
 * where the file system can neither exchange names nor refuse to replace one. */
typedef struct
{
  Way way;
  TestChildFunc func;
  long number;
} Moment;

static void
test_live (TestDir *test, gconstpointer data)
{
  const Moment *moment = data;
  g_autofree char *path = make_place (test, moment->way, 0);
  Start request = { path, way_flags[moment->way], 0 };
  pid_t pid = stop_before (moment->func, &request, moment->number);
  Live live;

  if (pid < 0)
    return;

  live_init (&live, path);
  g_assert_cmpint (trace_finish (pid), ==, EADDRINUSE);
  live_check (&live, path);
}

/* Another stale file is another's all the same: it may be about to be bound. */
static void
test_other_stale (TestDir *test, gconstpointer data)
{
  TestChildFunc func = data != NULL ? start_without_renames : start_tidily;
  g_autofree char *path = make_place (test, WAY_EXCHANGE, 0);
  g_autofree char *aside = g_build_filename (test->dir, "aside", NULL);
  Start request = { path, DILL_IPC_LISTEN_REPLACE_STALE, 0 };
  pid_t pid = stop_before (func, &request, SYS_renameat2);
  ino_t inode;

  if (pid < 0)
    return;

  g_assert_no_errno (rename (path, aside)); /* which keeps its inode number from being used again */
  make_stale (path);
  inode = inode_of (path);
  g_assert_cmpint (trace_finish (pid), ==, EADDRINUSE);
  g_assert_cmpuint (inode_of (path), ==, inode);
  g_assert_cmpuint (count_siblings (path), ==, 1);
}

/* Temporary names are nobody else's, but somebody may remove them: for instance the one under which what stood at
 * the path waits to be put back. */
static guint
remove_temporary (const char *path)
{
  g_autofree char *parent = g_path_get_dirname (path);
  DIR *dir = opendir (parent);
  struct dirent *entry;
  guint n = 0;

  g_assert_nonnull (dir);
  while ((entry = readdir (dir)) != NULL)
    if (g_str_has_prefix (entry->d_name, ".dillipc-"))
      {
        g_assert_no_errno (unlinkat (dirfd (dir), entry->d_name, 0));
        n++;
      }
  closedir (dir);
  return n;
}

static void
test_not_undone (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = make_place (test, WAY_EXCHANGE, 0);
  Start request = { path, DILL_IPC_LISTEN_REPLACE_STALE, 0 };
  pid_t pid = stop_before_move (&request);
  int status;
  Live live;

  if (pid < 0)
    return;

  live_init (&live, path);
  g_assert_true (trace_step (pid, &status) && trace_until (pid, SYS_renameat2, &status));
  g_assert_cmpuint (remove_temporary (path), ==, 1);
  g_assert_cmpint (trace_finish (pid), ==, EADDRINUSE);
  g_assert_cmpuint (count_siblings (path), ==, 0); /* it does not leave what does not serve */
  dill_socket_file_release (&live.file, false);
  close (live.fd);
}

/* The stale file goes away at the last moment. */
static void
test_vanished (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = make_place (test, WAY_EXCHANGE, 0);
  Start request = { path, DILL_IPC_LISTEN_REPLACE_STALE, 0 };
  pid_t pid = stop_before_move (&request);

  if (pid < 0)
    return;

  g_assert_no_errno (unlink (path));
  g_assert_cmpint (trace_finish (pid), ==, 0);
  g_assert_cmpuint (count_siblings (path), ==, 1);
}

/* A temporary name is taken for a dead one's, as it can be in the middle of bind (): once it begins again. */
static void
test_robbed (TestDir *test, gconstpointer data)
{
  Way way = GPOINTER_TO_INT (data);
  g_autofree char *path = make_place (test, way, 0);
  Start request = { path, way_flags[way], 0 };
  pid_t pid = stop_before_move (&request);

  if (pid < 0)
    return;

  g_assert_cmpuint (remove_temporary (path), ==, 1);
  g_assert_cmpint (trace_finish (pid), ==, 0);
  g_assert_cmpuint (count_siblings (path), ==, 1);
}

/* But not for ever. */
static void
test_robbed_always (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = make_place (test, WAY_RENAME, 0);
  Start request = { path, 0, 0 };
  pid_t pid = stop_before_move (&request);
  guint n_robberies = 0;
  int status;

  if (pid < 0)
    return;

  do
    {
      g_assert_cmpuint (remove_temporary (path), ==, 1);
      g_assert_cmpuint (++n_robberies, <, 100);
    }
  while (trace_step (pid, &status) && trace_until (pid, SYS_renameat2, &status));
  g_assert_cmpint (status, ==, ENOENT);
  g_assert_cmpuint (count_siblings (path), ==, 0);
}

/* Names of this process's that a process of the same number in another PID namespace has in use. */
static int
in_crowd (gpointer data)
{
  const Start *request = data;
  g_autofree char *parent = g_path_get_dirname (request->path);
  g_autofree char *prefix = g_strdup_printf (".dillipc-%d-", (int) getpid ());
  char name[DILL_TEMPORARY_NAME_SIZE];
  unsigned next;

  g_assert_no_errno (chdir (parent));
  dill_stale_name_temporary (name);
  g_assert_true (g_str_has_prefix (name, prefix));
  next = (unsigned) g_ascii_strtoull (name + strlen (prefix), NULL, 10) + 1;
  for (unsigned i = 0; i < 3; i++)
    {
      g_autofree char *used = g_strdup_printf ("%s%u", prefix, next + i);

      bind_raw (used, SOCK_STREAM);
    }

  g_assert_cmpint (listen_and_connect (request), ==, 0);
  g_assert_cmpuint (count_siblings (request->path), ==, 4);
  return 0;
}

static void
test_names_in_use (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = make_place (test, WAY_RENAME, 0);
  Start request = { path, 0, 0 };

  g_assert_cmpint (test_in_child (in_crowd, &request), ==, 0);
}

int
main (int argc, char **argv)
{
  static const Moment exchange = { WAY_EXCHANGE, start_tidily, SYS_renameat2 };
  static const Moment rename_over = { WAY_EXCHANGE, start_without_renames, SYS_renameat2 };
  static const Moment link_to = { WAY_RENAME, start_without_renames, SYS_linkat };

  g_test_init (&argc, &argv, NULL);

  test_add_data ("/place/overtaken/exchange", &exchange, test_live);
  test_add_data ("/place/overtaken/rename", &rename_over, test_live);
  test_add_data ("/place/overtaken/link", &link_to, test_live);
  test_add_data ("/place/overtaken/other-stale", NULL, test_other_stale);
  test_add_data ("/place/overtaken/other-stale-plain-rename", "plain", test_other_stale);
  test_add ("/place/overtaken/not-undone", test_not_undone);
  test_add ("/place/vanished", test_vanished);
  test_add_data ("/place/robbed/rename", GINT_TO_POINTER (WAY_RENAME), test_robbed);
  test_add_data ("/place/robbed/exchange", GINT_TO_POINTER (WAY_EXCHANGE), test_robbed);
  test_add ("/place/robbed/always", test_robbed_always);
  test_add ("/place/names-in-use", test_names_in_use);

  return g_test_run ();
}
