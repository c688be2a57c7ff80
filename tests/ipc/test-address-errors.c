/* test-address-errors.c: errnos are those of bind () and connect () on a short path, however long the path is.
 *
 * What Linux gives for short paths is not written down here but asked for, case by case.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "address-utils.h"

#include <sched.h>
#include <sys/mount.h>

#define NOBODY 65534

/* What a child returns when the machine does not let it do what it is for. */
#define CANNOT 77

/* bind () or connect () by hand.  Returns 0 or errno. */
static int
raw_call (int (*call) (int, const struct sockaddr *, socklen_t), const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = new_socket ();
  int error;

  g_assert_cmpuint (strlen (path), <=, SUN_PATH_MAX);
  strcpy (address.sun_path, path);
  error = call (fd, (struct sockaddr *) &address, sizeof address) < 0 ? errno : 0;
  close (fd);

  return error;
}

static int
raw_bind (int fd, const struct sockaddr *address, socklen_t length)
{
  return bind (fd, address, length);
}

static int
raw_connect (int fd, const struct sockaddr *address, socklen_t length)
{
  return connect (fd, address, length);
}

static const char *const odd_paths[] = {
  ".",
  "..",
  "/",
  "//",
  "dir",
  "dir/",
  "dir//",
  "dir/.",
  "dir/..",
  "dir/./",
  "file",
  "file/",
  "file/.",
  "file/new",
  "missing/",
  "missing//",
  "missing/.",
  "missing/x",
  "missing/x/",
  "dangling",
  "dangling/",
  "dangling/x",
  "loop",
  "loop/",
  "loop/x",
  "dead",
  "dead/",
  "dead/x",
  "live",
  "live/",
  "link-to-live",
  "link-to-dead",
  "link-to-dir",
  "link-to-dir/",
  "link-to-dir/live-inside",
  "dgram",
  "@name",
  "@name/",
  "dir/../new",
};

/* One path of the table, as it is and blown up beyond sun_path. */
static void
compare_odd (const char *path)
{
  g_autofree char *slashes = g_strnfill (150, '/');
  GString *detour = g_string_new (NULL);
  int bind_result = raw_call (raw_bind, path);
  int connect_result;

  if (bind_result == 0)
    g_assert_no_errno (unlink (path));
  connect_result = raw_call (raw_connect, path);

  if (path[0] == '/')
    g_string_append (detour, slashes);
  else
    for (int i = 0; i < 60; i++)
      g_string_append (detour, "./");
  g_string_append (detour, path);

  g_test_message ("%s: bind %s, connect %s", path, test_errno_name (bind_result), test_errno_name (connect_result));
  g_assert_cmpint (listen_error (path), ==, bind_result);
  g_assert_cmpint (listen_error (detour->str), ==, bind_result);
  g_assert_cmpint (connect_error (path), ==, connect_result);
  g_assert_cmpint (connect_error (detour->str), ==, connect_result);

  g_string_free (detour, TRUE);
}

static int
in_odd (gpointer data)
{
  int live;
  int dgram;

  g_assert_no_errno (chdir (data));
  g_assert_no_errno (mkdir ("dir", 0755));
  close (test_assert_ok (open ("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
  g_assert_no_errno (symlink ("nowhere", "dangling"));
  g_assert_no_errno (symlink ("loop", "loop"));
  g_assert_no_errno (symlink ("live", "link-to-live"));
  g_assert_no_errno (symlink ("dead", "link-to-dead"));
  g_assert_no_errno (symlink ("dir", "link-to-dir"));
  close (bind_raw ("dead", SOCK_STREAM));
  dgram = bind_raw ("dgram", SOCK_DGRAM);
  live = bind_raw ("live", SOCK_STREAM);
  g_assert_no_errno (listen (live, 1000));

  for (guint i = 0; i < G_N_ELEMENTS (odd_paths); i++)
    compare_odd (odd_paths[i]);

  /* Not what bind () gives, which takes it for a request to choose an abstract name. */
  g_assert_cmpint (listen_error (""), ==, ENOENT);
  g_assert_cmpint (connect_error (""), ==, ENOENT);

  close (live);
  close (dgram);
  return 0;
}

static void
test_odd_paths (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (in_odd, test->dir), ==, 0);
}

static const char *const forbidden_paths[]
    = { "closed/x", "closed/live", "unwritable/x", "unwritable/live", "private" };

static int
in_permissions (gpointer data)
{
  int inside;
  int private;

  if (chmod (data, 0755) < 0 || chdir (data) < 0)
    return 1;
  g_assert_no_errno (mkdir ("closed", 0700));
  g_assert_no_errno (mkdir ("unwritable", 0755));
  inside = bind_raw ("closed/live", SOCK_STREAM);
  g_assert_no_errno (listen (inside, 10));
  private = bind_raw ("private", SOCK_STREAM);
  g_assert_no_errno (listen (private, 10));
  g_assert_no_errno (link ("private", "unwritable/live"));

  if (geteuid () == 0)
    g_assert_no_errno (setresuid (NOBODY, NOBODY, NOBODY));
  else
    {
      g_assert_no_errno (chmod ("closed", 0));
      g_assert_no_errno (chmod ("unwritable", 0555));
      g_assert_no_errno (chmod ("private", 0));
    }
  /* The directory is reached by the working directory alone: those above it may be closed to nobody. */
  for (guint i = 0; i < G_N_ELEMENTS (forbidden_paths); i++)
    compare_odd (forbidden_paths[i]);

  g_assert_cmpint (listen_error ("closed/x"), ==, EACCES);
  g_assert_cmpint (listen_error ("unwritable/x"), ==, EACCES);
  g_assert_cmpint (connect_error ("private"), ==, EACCES);
  return 0;
}

static void
test_permissions (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (in_permissions, test->dir), ==, 0);
}

/* An empty file system over /proc, for this process alone. */
static bool
hide_proc (void)
{
  if (unshare (CLONE_NEWNS) < 0 && unshare (CLONE_NEWUSER | CLONE_NEWNS) < 0)
    return false;

  return mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount ("none", "/proc", "tmpfs", 0, NULL) == 0
         && access ("/proc/self", F_OK) < 0;
}

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

static int
in_without_proc (gpointer data)
{
  TestDir *test = data;
  g_autofree char *shallow = make_path (test->dir, SUN_PATH_MAX, 6);
  g_autofree char *deep = make_path (test->dir, 1000, 80);
  g_autofree char *named = make_path (test->dir, 600, 200);
  g_autofree char *between = make_path (test->dir, 600, 100);
  g_autofree char *missing = g_strconcat (deep, "/x", NULL);
  g_autofree char *working_dir = g_get_current_dir ();
  g_autofree char *working_dir_after = NULL;
  struct dill_socket_file file;
  int fd;

  if (!hide_proc ())
    return CANNOT;

  umask (077);
  round_trip_without_proc (shallow, 0660);
  round_trip_without_proc (deep, 0660);
  round_trip_without_proc (named, 0600);
  round_trip_without_proc (between, 0777);

  /* The caller, unlike the thread, has not moved. */
  working_dir_after = g_get_current_dir ();
  g_assert_cmpstr (working_dir, ==, working_dir_after);

  fd = test_assert_ok (dill_address_listen (deep, 1, 0, 0, &file));
  test_assert_errno (dill_address_listen (deep, 1, 0, 0, &file), EADDRINUSE);
  test_assert_errno (dill_address_listen (missing, 1, 0, 0, &file), ENOTDIR);
  test_assert_errno (dill_address_listen (deep, 1, DILL_IPC_LISTEN_REPLACE_STALE, 0, &file), EADDRINUSE);
  close (fd);
  fd = test_assert_ok (dill_address_listen (deep, 1, DILL_IPC_LISTEN_REPLACE_STALE, 0, &file));
  dill_socket_file_release (&file, false);
  close (fd);
  return 0;
}

static void
test_without_proc (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int result = test_in_child (in_without_proc, test);

  if (result == CANNOT)
    g_test_skip ("mounting over /proc in a namespace of its own is not permitted here");
  else
    g_assert_cmpint (result, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/address/errors/odd-paths", test_odd_paths);
  test_add ("/address/errors/permissions", test_permissions);
  test_add ("/address/without-proc", test_without_proc);

  return g_test_run ();
}
