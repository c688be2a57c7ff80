/* test-place-lock.c: DILL_IPC_LISTEN_REPLACE_STALE locks the directory: whoever holds the lock is waited for, but not
 * for long, and where there is no lock nothing is replaced.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "address-utils.h"
#include "syscall-utils.h"

#include <dillipc/dill-coroutine.h>
#include <dillipc/dill-handle.h>
#include <stdio.h>
#include <sys/file.h>

#define NOBODY 65534

static gboolean
on_tick (gpointer data)
{
  (*(guint *) data)++;
  return G_SOURCE_CONTINUE;
}

/* Others may hold the lock, for a second at most; the main loop turns meanwhile. */
static void
test_lock_held (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int dir_fd = test_assert_ok (open (test->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  guint n_ticks = 0;
  guint source = g_timeout_add (10, on_tick, &n_ticks);
  int64_t start = dill_now ();
  ino_t inode;

  make_stale (test->path);
  inode = inode_of (test->path);
  g_assert_no_errno (flock (dir_fd, LOCK_SH));
  g_assert_cmpint (replace_error (test->path), ==, EADDRINUSE);

  g_assert_cmpint (dill_now () - start, >=, 1000);
  g_assert_cmpint (dill_now () - start, <, 500 * TEST_LIMIT_SECONDS);
  g_assert_cmpuint (n_ticks, >, 0);
  g_assert_cmpuint (inode_of (test->path), ==, inode);

  g_assert_no_errno (flock (dir_fd, LOCK_UN));
  g_assert_cmpint (replace_error (test->path), ==, 0);
  g_source_remove (source);
  close (dir_fd);
}

static gboolean
on_unlock (gpointer data)
{
  g_assert_no_errno (flock (GPOINTER_TO_INT (data), LOCK_UN));
  return G_SOURCE_REMOVE;
}

static void
test_lock_given_up (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int dir_fd = test_assert_ok (open (test->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

  make_stale (test->path);
  g_assert_no_errno (flock (dir_fd, LOCK_EX));
  g_timeout_add (50, on_unlock, GINT_TO_POINTER (dir_fd));
  g_assert_cmpint (replace_error (test->path), ==, 0);
  close (dir_fd);
}

/* A directory that is moved, with a live socket in the one that takes its name, and the lock that was held on it. */
typedef struct
{
  const char *path;
  int dir_fd;
  int live_fd;
} Move;

static gboolean
on_move (gpointer data)
{
  Move *move = data;
  g_autofree char *parent = g_path_get_dirname (move->path);
  g_autofree char *moved = g_strconcat (parent, "-moved", NULL);

  g_assert_no_errno (rename (parent, moved));
  g_assert_no_errno (mkdir (parent, 0755));
  move->live_fd = bind_raw (move->path, SOCK_STREAM);
  g_assert_no_errno (flock (move->dir_fd, LOCK_UN));
  return G_SOURCE_REMOVE;
}

static void
test_lock_moved (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *dir = g_build_filename (test->dir, "dir", NULL);
  g_autofree char *path = g_build_filename (dir, "socket", NULL);
  Move move = { .path = path };
  ino_t inode;

  g_assert_no_errno (mkdir (dir, 0755));
  move.dir_fd = test_assert_ok (open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  g_assert_no_errno (flock (move.dir_fd, LOCK_EX));
  g_timeout_add (50, on_move, &move);
  test_assert_errno (dill_ipc_listen_full (path, 1, DILL_IPC_LISTEN_REPLACE_STALE, 0, NULL), EADDRINUSE);

  inode = inode_of (path);
  g_assert_cmpint (replace_error (path), ==, EADDRINUSE);
  g_assert_cmpuint (inode_of (path), ==, inode);
  close (move.live_fd);
  close (move.dir_fd);
}

/* What a coroutine's listen came to. */
typedef struct
{
  const char *path;
  int result;
  int error;
} Attempt;

static void
attempt_listen (void *data)
{
  Attempt *attempt = data;
  struct dill_socket_file file;

  attempt->result = dill_address_listen (attempt->path, 1, DILL_IPC_LISTEN_REPLACE_STALE, 0, &file);
  attempt->error = errno;
}

static void
test_lock_cancelled (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int dir_fd = test_assert_ok (open (test->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Attempt attempt = { .path = test->path };
  guint n_fds;
  int h;

  make_stale (test->path);
  g_assert_no_errno (flock (dir_fd, LOCK_EX));
  g_assert_no_errno (dill_msleep (dill_now () + 1)); /* opens descriptors for the main loop */
  n_fds = test_count_fds ();

  h = test_assert_ok (dill_spawn (attempt_listen, &attempt));
  g_assert_cmpint (attempt.result, ==, 0); /* it waits */
  g_assert_no_errno (dill_hclose (h));
  g_assert_cmpint (attempt.result, ==, -1);
  g_assert_cmpint (attempt.error, ==, ECANCELED);

  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  g_assert_cmpuint (count_siblings (test->path), ==, 1);
  close (dir_fd);
}

static void
listen_for_ever (void *data)
{
  dill_ipc_listen_full (data, 1, DILL_IPC_LISTEN_REPLACE_STALE, 0, NULL);
  g_assert_not_reached ();
}

/* The coroutine never goes on; what its listen held is given back all the same. */
static void
test_context_ends (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int dir_fd = test_assert_ok (open (test->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  GMainContext *context;
  guint n_fds;
  ino_t inode;
  int h;

  make_stale (test->path);
  inode = inode_of (test->path);
  g_assert_no_errno (flock (dir_fd, LOCK_EX));
  g_assert_no_errno (dill_msleep (dill_now () + 1)); /* the default context has descriptors too */
  n_fds = test_count_fds ();

  context = g_main_context_new ();
  g_main_context_push_thread_default (context);
  h = test_assert_ok (dill_spawn (listen_for_ever, test->path));
  g_main_context_pop_thread_default (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "*GMainContext has ended*", g_main_context_unref (context));

  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  g_assert_cmpuint (inode_of (test->path), ==, inode);
  g_assert_cmpint (dill_hclose (h), ==, -1);
  close (dir_fd);
}

/* Without permission to read the directory there is no lock: what is stale stays, and the errno says why. */
static int
in_unreadable (gpointer data)
{
  TestDir *test = data;
  int live;

  use_own_context ();
  g_assert_no_errno (chdir (test->dir));
  if (geteuid () == 0)
    {
      g_assert_no_errno (chown (".", NOBODY, NOBODY));
      g_assert_no_errno (setresuid (NOBODY, NOBODY, NOBODY));
    }
  g_assert_no_errno (chmod (".", 0300));

  make_stale ("stale");
  live = bind_raw ("live", SOCK_STREAM);

  g_assert_cmpint (replace_error ("free"), ==, 0);
  wait_until_old ("stale");
  g_assert_cmpint (replace_error ("stale"), ==, EACCES);
  g_assert_cmpint (replace_error ("live"), ==, EADDRINUSE);

  close (live);
  return 0;
}

static void
test_unreadable (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (in_unreadable, test), ==, 0);
}

static int
in_without_locks (gpointer data)
{
  use_own_context ();
  if (!fail_calls (SYS_flock, EBADF))
    return CANNOT;

  g_assert_cmpint (replace_error (data), ==, ENOLCK);
  g_assert_no_errno (unlink (data));
  g_assert_cmpint (replace_error (data), ==, 0);
  return 0;
}

static void
test_without_locks (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  make_stale (test->path);
  wait_until_old (test->path);
  check_child (test_in_child (in_without_locks, test->path), NO_SECCOMP);
}

/* Another thread forks a child while this one has the lock; the library, linked in statically, finds this flock (). */
static bool forks_at_lock;
static pid_t forked;

int
flock (int fd, int operation)
{
  int result = (int) syscall (SYS_flock, fd, operation);

  if (forks_at_lock && operation & LOCK_EX && result == 0)
    {
      forks_at_lock = false;
      forked = test_assert_ok (fork ());
      while (forked == 0)
        pause ();
    }
  return result;
}

static void
test_lock_inherited (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int dir_fd = test_assert_ok (open (test->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

  forks_at_lock = true;
  g_assert_cmpint (replace_error (test->path), ==, 0);
  g_assert_cmpint (forked, >, 0);
  g_assert_no_errno (flock (dir_fd, LOCK_EX | LOCK_NB)); /* it is not the child's now */
  g_assert_no_errno (kill (forked, SIGKILL));
  g_assert_cmpint (test_child_wait (forked), ==, 128 + SIGKILL);
  close (dir_fd);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/place/lock/held", test_lock_held);
  test_add ("/place/lock/given-up", test_lock_given_up);
  test_add ("/place/lock/moved", test_lock_moved);
  test_add ("/place/lock/cancelled", test_lock_cancelled);
  test_add ("/place/lock/context-ends", test_context_ends);
  test_add ("/place/lock/unreadable", test_unreadable);
  test_add ("/place/lock/unsupported", test_without_locks);
  test_add ("/place/lock/inherited", test_lock_inherited);

  return g_test_run ();
}
