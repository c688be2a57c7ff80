/* test-address-errors.c: errnos are those of bind () and connect () on a short path, however long the path or one of
 * its components is, and be there a /proc or not.
 *
 * What Linux gives for short paths is not written down here but asked for, case by case.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "address-utils.h"
#include "proc-utils.h"

#include <stdio.h>

#define NOBODY 65534

/* As long as the components of twins are: too long to be bound in place by way of /proc, but not to be connected to
 * without it. */
#define TWIN_LENGTH 100

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

/* PATH with long names in place of all but "." and "..". */
static char *
twin_of (const char *path)
{
  g_auto (GStrv) components = g_strsplit (path, "/", -1);

  for (char **component = components; *component != NULL; component++)
    if (**component != '\0' && !g_str_equal (*component, ".") && !g_str_equal (*component, ".."))
      {
        g_autofree char *name = g_steal_pointer (component);
        g_autofree char *padding = g_strnfill (TWIN_LENGTH - strlen (name), '~');

        *component = g_strconcat (name, padding, NULL);
      }

  return g_strjoinv ("/", components);
}

/* PATH blown up beyond sun_path. */
static char *
detour_to (const char *path)
{
  g_autofree char *slashes = g_strnfill (150, '/');
  GString *detour = g_string_new (path[0] == '/' ? slashes : NULL);

  for (int i = 0; i < 60 && path[0] != '/'; i++)
    g_string_append (detour, "./");
  g_string_append (detour, path);
  return g_string_free (detour, FALSE);
}

/* One path of the table, as it is, by a detour, and with long names. */
static void
compare_odd (const char *path)
{
  g_autofree char *detour = detour_to (path);
  g_autofree char *twin = twin_of (path);
  g_autofree char *twin_detour = detour_to (twin);
  const char *const forms[] = { path, detour, twin, twin_detour };
  int bind_result;
  int connect_result;

  bind_result = raw_call (raw_bind, path);
  if (bind_result == 0)
    g_assert_no_errno (unlink (path));
  connect_result = raw_call (raw_connect, path);
  g_test_message ("%s: bind %s, connect %s", path, test_errno_name (bind_result), test_errno_name (connect_result));

  for (guint i = 0; i < G_N_ELEMENTS (forms); i++)
    {
      g_assert_cmpint (listen_error (forms[i]), ==, bind_result);
      g_assert_cmpint (connect_error (forms[i]), ==, connect_result);
      if (!g_str_equal (path, "dead")) /* which is replaced */
        g_assert_cmpint (replace_error (forms[i]), ==, bind_result);
    }
}

/* Leaves at PATH, and at its twin, whatever MAKE makes there, given a short name. */
static void
make_twins (int (*make) (const char *name), const char *path, int results[2])
{
  g_autofree char *twin = twin_of (path);

  results[1] = make (path);
  g_assert_no_errno (rename (path, twin));
  results[0] = make (path);
}

static int
make_stream (const char *name)
{
  return bind_raw (name, SOCK_STREAM);
}

static int
make_listener (const char *name)
{
  int fd = bind_raw (name, SOCK_STREAM);

  g_assert_no_errno (listen (fd, 1000));
  return fd;
}

static int
make_datagram (const char *name)
{
  return bind_raw (name, SOCK_DGRAM);
}

static int
make_file (const char *name)
{
  return test_assert_ok (open (name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static int
make_directory (const char *name)
{
  g_assert_no_errno (mkdir (name, 0755));
  return test_assert_ok (open (name, O_RDONLY | O_CLOEXEC));
}

/* A symbolic link and its twin, which leads to the target's twin. */
static void
link_twins (const char *target, const char *path)
{
  g_autofree char *target_twin = twin_of (target);
  g_autofree char *twin = twin_of (path);

  g_assert_no_errno (symlink (target, path));
  g_assert_no_errno (symlink (target_twin, twin));
}

static void
close_both (int fds[2])
{
  close (fds[0]);
  close (fds[1]);
}

static int
in_odd (gpointer data)
{
  int fds[2], live[2], datagram[2];

  use_own_context ();
  g_assert_no_errno (chdir (data));
  make_twins (make_directory, "dir", fds);
  close_both (fds);
  make_twins (make_file, "file", fds);
  close_both (fds);
  make_twins (make_stream, "dead", fds);
  close_both (fds);
  make_twins (make_datagram, "dgram", datagram);
  make_twins (make_listener, "live", live);
  link_twins ("nowhere", "dangling");
  link_twins ("loop", "loop");
  link_twins ("live", "link-to-live");
  link_twins ("dead", "link-to-dead");
  link_twins ("dir", "link-to-dir");

  for (guint i = 0; i < G_N_ELEMENTS (odd_paths); i++)
    compare_odd (odd_paths[i]);

  /* Not what bind () gives, which takes it for a request to choose an abstract name. */
  g_assert_cmpint (listen_error (""), ==, ENOENT);
  g_assert_cmpint (connect_error (""), ==, ENOENT);

  close_both (live);
  close_both (datagram);
  return 0;
}

static void
test_odd_paths (TestDir *test, gconstpointer data)
{
  proc_is_hidden = GPOINTER_TO_SIZE (data);
  g_assert_cmpint (test_in_child (in_odd, test->dir), ==, 0);
}

static const char *const forbidden_paths[]
    = { "closed/x", "closed/live", "unwritable/x", "unwritable/live", "private" };

static void
set_mode (const char *path, mode_t mode)
{
  g_autofree char *twin = twin_of (path);

  g_assert_no_errno (chmod (path, mode));
  g_assert_no_errno (chmod (twin, mode));
}

/* In the working directory, and linked into others, where a name may be long. */
static int
in_permissions (gpointer data)
{
  static const char *const shut[] = { "closed", "unwritable" };
  int fds[2], private[2];

  use_own_context ();
  if (chmod (data, 0755) < 0 || chdir (data) < 0)
    return 1;
  make_twins (make_listener, "private", private);
  for (guint i = 0; i < G_N_ELEMENTS (shut); i++)
    {
      g_autofree char *live = g_strconcat (shut[i], "/live", NULL);
      g_autofree char *live_twin = twin_of (live);

      make_twins (make_directory, shut[i], fds);
      close_both (fds);
      g_assert_no_errno (link ("private", live));
      g_assert_no_errno (link ("private", live_twin));
    }

  set_mode ("private", 0600);
  set_mode ("closed", geteuid () == 0 ? 0700 : 0);
  set_mode ("unwritable", geteuid () == 0 ? 0755 : 0555);
  if (geteuid () == 0)
    g_assert_no_errno (setresuid (NOBODY, NOBODY, NOBODY));
  else
    set_mode ("private", 0);

  /* The directory is reached by the working directory alone: those above it may be closed to nobody. */
  for (guint i = 0; i < G_N_ELEMENTS (forbidden_paths); i++)
    compare_odd (forbidden_paths[i]);

  g_assert_cmpint (listen_error ("closed/x"), ==, EACCES);
  g_assert_cmpint (listen_error ("unwritable/x"), ==, EACCES);
  g_assert_cmpint (connect_error ("private"), ==, EACCES);
  close_both (private);
  return 0;
}

static void
test_permissions (TestDir *test, gconstpointer data)
{
  proc_is_hidden = GPOINTER_TO_SIZE (data);
  g_assert_cmpint (test_in_child (in_permissions, test->dir), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add_data ("/address/errors/odd-paths", GSIZE_TO_POINTER (false), test_odd_paths);
  test_add_data ("/address/errors/odd-paths-without-proc", GSIZE_TO_POINTER (true), test_odd_paths);
  test_add_data ("/address/errors/permissions", GSIZE_TO_POINTER (false), test_permissions);
  test_add_data ("/address/errors/permissions-without-proc", GSIZE_TO_POINTER (true), test_permissions);

  return g_test_run ();
}
