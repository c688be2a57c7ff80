/* test-address.c: a listener stands at exactly the path it was given, however long, with the backlog it was given; an
 * abstract name is one by its flag alone.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "address-utils.h"

#include <limits.h>
#include <stddef.h>
#include <sys/resource.h>

static const size_t lengths[] = { 100, 106, 107, 108, 109, 127, 128, 255, 256, 1000, 2047, 4094, 4095 };

static void
test_absolute (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autofree char *dir = g_strdup_printf ("%s/%u", test->dir, i);
      g_autofree char *path = NULL;

      g_assert_no_errno (mkdir (dir, 0755));
      path = make_path (dir, lengths[i], 6);
      round_trip (path);
    }
}

static int
in_relative (gpointer data)
{
  g_assert_no_errno (chdir (data));
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autofree char *dir = g_strdup_printf ("%u", i);
      g_autofree char *path = NULL;

      g_assert_no_errno (mkdir (dir, 0755));
      path = make_path (dir, lengths[i], 6);
      round_trip (path);
    }

  g_assert_no_errno (mkdir ("bare", 0755));
  g_assert_no_errno (chdir ("bare"));
  round_trip ("x");
  return 0;
}

static void
test_relative (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (in_relative, test->dir), ==, 0);
}

/* The last component may need another name while it is bound; that must not show. */
static void
test_name_lengths (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  static const size_t name_lengths[] = { 1, 30, 81, 82, 83, 92, 93, 106, 107, 108, 109, 254, 255 };
  g_autofree char *too_long = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (name_lengths); i++)
    for (guint deep = 0; deep < 2; deep++)
      {
        g_autofree char *dir = g_strdup_printf ("%s/%u-%u", test->dir, i, deep);
        g_autofree char *path = NULL;

        g_assert_no_errno (mkdir (dir, 0755));
        path = make_path (dir, strlen (dir) + 1 + name_lengths[i] + deep * 300, name_lengths[i]);
        round_trip (path);
      }

  too_long = make_path (test->dir, strlen (test->dir) + 1 + 256, 256);
  g_assert_cmpint (listen_error (too_long), ==, ENAMETOOLONG);
  g_assert_cmpint (connect_error (too_long), ==, ENAMETOOLONG);
}

static void
test_too_long (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *slashes = g_strnfill (PATH_MAX, '/');
  g_autofree char *longest = make_path (test->dir, PATH_MAX - 1, 6);
  g_autofree char *longer = g_strconcat (longest, "n", NULL);

  g_assert_cmpint (listen_error (longer), ==, ENAMETOOLONG);
  g_assert_cmpint (connect_error (longer), ==, ENAMETOOLONG);
  g_assert_cmpint (listen_error (slashes), ==, ENAMETOOLONG);
  slashes[PATH_MAX - 1] = '\0';
  g_assert_cmpint (listen_error (slashes), ==, EADDRINUSE);
  g_assert_cmpuint (count_siblings (longest), ==, 0);
}

static void
assert_kernel_name (const char *path, const char *prefix)
{
  struct dill_socket_file file;
  struct sockaddr_un address;
  socklen_t length = sizeof address;
  int fd = test_assert_ok (dill_address_listen (path, 1, 0, 0, &file));

  g_assert_no_errno (getsockname (fd, (struct sockaddr *) &address, &length));
  g_assert_true (g_str_has_prefix (address.sun_path, prefix));

  dill_socket_file_release (&file, false);
  close (fd);
}

/* What fits is not sent on a detour. */
static void
test_direct (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *fits = make_path (test->dir, SUN_PATH_MAX, 6);
  g_autofree char *full = make_path (test->dir, SUN_PATH_MAX + 1, 6);

  assert_kernel_name (test->path, test->path);
  assert_kernel_name (fits, fits);
  assert_kernel_name (full, "/proc/self/fd/");
}

static void
test_arguments (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  struct dill_socket_file file;
  int fd = new_socket ();

  test_assert_errno (dill_address_listen (NULL, 1, 0, 0, &file), EINVAL);
  test_assert_errno (dill_address_listen (test->path, 0, 0, 0, &file), EINVAL);
  test_assert_errno (dill_address_listen (test->path, -1, 0, 0, &file), EINVAL);
  test_assert_errno (dill_address_listen (test->path, INT_MIN, 0, 0, &file), EINVAL);
  test_assert_errno (dill_address_listen (NULL, 1, DILL_IPC_ABSTRACT, 0, &file), EINVAL);
  test_assert_errno (dill_address_listen ("x", 1, DILL_IPC_ABSTRACT, 0600, &file), EINVAL);
  test_assert_errno (dill_address_listen ("x", 1, DILL_IPC_ABSTRACT | DILL_IPC_LISTEN_REPLACE_STALE, 0, &file), EINVAL);
  test_assert_errno (dill_address_listen ("x", 1, DILL_IPC_ABSTRACT | DILL_IPC_LISTEN_KEEP_FILE, 0, &file), EINVAL);
  test_assert_errno (dill_address_connect (fd, NULL, 0), EINVAL);
  test_assert_errno (dill_address_connect (fd, NULL, DILL_IPC_ABSTRACT), EINVAL);

  g_assert_cmpuint (count_siblings (test->path), ==, 0);
  close (fd);
}

static void
try_abstract (const char *name)
{
  struct dill_socket_file file;
  struct dill_socket_file other;
  struct sockaddr_un address;
  socklen_t length = sizeof address;
  int listener = test_assert_ok (dill_address_listen (name, 1, DILL_IPC_ABSTRACT, 0, &file));
  int client = new_socket ();
  int lowest;

  g_assert_no_errno (getsockname (listener, (struct sockaddr *) &address, &length));
  g_assert_cmpuint (length, ==, offsetof (struct sockaddr_un, sun_path) + 1 + strlen (name));
  g_assert_cmpint (address.sun_path[0], ==, 0);
  g_assert_cmpint (memcmp (address.sun_path + 1, name, strlen (name)), ==, 0);

  g_assert_cmpstr (file.path, ==, name);
  g_assert_null (file.name);
  g_assert_cmpint (file.dir_fd, ==, -1);

  lowest = lowest_free_fd ();
  test_assert_errno (dill_address_listen (name, 1, DILL_IPC_ABSTRACT, 0, &other), EADDRINUSE);
  g_assert_null (other.path);
  g_assert_cmpint (lowest_free_fd (), ==, lowest);
  g_assert_no_errno (dill_address_connect (client, name, DILL_IPC_ABSTRACT));
  close (test_assert_ok (accept (listener, NULL, NULL)));

  dill_socket_file_release (&file, false);
  g_assert_null (file.path);
  close (client);
  close (listener);
}

static int
in_abstract (gpointer data)
{
  g_autofree char *longest = g_strdup_printf ("dillipc-test-%d-%0*d", (int) getpid (), 200, 0);
  struct dill_socket_file file;
  int fd = new_socket ();

  g_assert_no_errno (chdir (data));

  longest[SUN_PATH_MAX + 1] = '\0';
  test_assert_errno (dill_address_listen (longest, 1, DILL_IPC_ABSTRACT, 0, &file), ENAMETOOLONG);
  test_assert_errno (dill_address_connect (fd, longest, DILL_IPC_ABSTRACT), ENAMETOOLONG);
  longest[SUN_PATH_MAX] = '\0';
  try_abstract (longest);
  longest[30] = '\0';
  try_abstract (longest);
  longest[0] = '@';
  try_abstract (longest);

  test_assert_errno (dill_address_listen ("", 1, DILL_IPC_ABSTRACT, 0, &file), ENOENT);
  test_assert_errno (dill_address_connect (fd, "", DILL_IPC_ABSTRACT), ENOENT);
  test_assert_errno (dill_address_connect (fd, longest, DILL_IPC_ABSTRACT), ECONNREFUSED);

  /* A path that merely looks like what tools print for such names. */
  round_trip (longest);
  close (fd);
  return 0;
}

static void
test_abstract (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (in_abstract, test->dir), ==, 0);
}

/* The page's backlog is what may wait, to the very one. */
static void
test_backlog (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  for (int backlog = 1; backlog <= 9; backlog++)
    {
      struct dill_socket_file file;
      int listener = test_assert_ok (dill_address_listen (test->path, backlog, 0, 0, &file));
      int clients[10];

      for (int i = 0; i <= backlog; i++)
        {
          clients[i] = new_socket ();
          if (i < backlog)
            g_assert_no_errno (dill_address_connect (clients[i], test->path, 0));
        }
      test_assert_errno (dill_address_connect (clients[backlog], test->path, 0), EAGAIN);
      close (test_assert_ok (accept (listener, NULL, NULL)));
      g_assert_no_errno (dill_address_connect (clients[backlog], test->path, 0));

      for (int i = 0; i <= backlog; i++)
        close (clients[i]);
      dill_socket_file_release (&file, false);
      close (listener);
    }
}

/* Lets the process open COUNT more descriptors. */
static void
allow_descriptors (guint count)
{
  struct rlimit limit;
  int fds[16];

  g_assert_cmpuint (count, <, G_N_ELEMENTS (fds));
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  limit.rlim_cur = limit.rlim_max;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));

  /* The limit is one of numbers: the first that is not to be had. */
  for (guint i = 0; i <= count; i++)
    fds[i] = test_assert_ok (fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
  for (guint i = 0; i <= count; i++)
    close (fds[i]);

  limit.rlim_cur = (rlim_t) fds[count];
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
}

/* With too few descriptors listen and connect fail, say so, and leave behind what was there before. */
typedef struct
{
  const char *path;
  unsigned flags;
} Request;

static int
in_descriptors (gpointer data)
{
  const Request *request = data;
  g_autofree char *parent = g_path_get_dirname (request->path);
  g_autofree char *name = g_path_get_basename (request->path);
  int dir_fd = test_assert_ok (open (parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int client = new_socket ();
  bool is_stale = request->flags & DILL_IPC_LISTEN_REPLACE_STALE;
  struct dill_socket_file file;
  struct stat before, after;
  guint needed = 0;
  int lowest;
  int fd;

  if (is_stale)
    {
      /* Listening waits now and then: a file that was exchanged and put back is a new one. */
      use_own_context ();
      g_assert_no_errno (dill_msleep (dill_now () + 1));
      make_stale (request->path);
      wait_until_old (request->path);
      g_assert_no_errno (fstatat (dir_fd, name, &before, AT_SYMLINK_NOFOLLOW));
    }

  lowest = lowest_free_fd ();
  for (;;)
    {
      allow_descriptors (10);
      g_assert_cmpint (lowest_free_fd (), ==, lowest);
      allow_descriptors (needed);
      fd = dill_address_listen (request->path, 1, request->flags, 0666, &file);
      if (fd >= 0)
        break;

      g_assert_cmpint (errno, ==, EMFILE);
      g_assert_null (file.path);
      g_assert_cmpint (file.dir_fd, ==, -1);
      if (is_stale)
        {
          g_assert_no_errno (fstatat (dir_fd, name, &after, AT_SYMLINK_NOFOLLOW));
          g_assert_true (dill_stale_same_file (&before, &after));
        }
      else
        test_assert_errno (fstatat (dir_fd, name, &after, AT_SYMLINK_NOFOLLOW), ENOENT);
      g_assert_cmpuint (++needed, <, 10);
    }

  g_assert_cmpuint (needed, >=, is_stale ? 4 : 2); /* the directory and the socket, and the lock and another look */

  allow_descriptors (0);
  test_assert_errno (dill_address_connect (client, request->path, 0), EMFILE);
  allow_descriptors (1);
  g_assert_no_errno (dill_address_connect (client, request->path, 0));
  allow_descriptors (10);
  g_assert_cmpuint (count_siblings (request->path), ==, 1);
  dill_socket_file_release (&file, false);
  g_assert_cmpuint (count_siblings (request->path), ==, 0);

  close (fd);
  close (client);
  close (dir_fd);
  return 0;
}

static void
test_descriptors (TestDir *test, gconstpointer data)
{
  g_autofree char *deep = make_path (test->dir, 1000, 6);
  g_autofree char *named = make_path (test->dir, 600, 200);
  const char *const paths[] = { deep, named };

  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      Request request = { paths[i], (unsigned) GPOINTER_TO_SIZE (data) };

      g_assert_cmpint (test_in_child (in_descriptors, &request), ==, 0);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/address/path/absolute", test_absolute);
  test_add ("/address/path/relative", test_relative);
  test_add ("/address/path/name-lengths", test_name_lengths);
  test_add ("/address/path/too-long", test_too_long);
  test_add ("/address/path/direct", test_direct);
  test_add ("/address/arguments", test_arguments);
  test_add ("/address/abstract", test_abstract);
  test_add ("/address/backlog", test_backlog);
  test_add_data ("/address/descriptors/free-name", GSIZE_TO_POINTER (0), test_descriptors);
  test_add_data ("/address/descriptors/stale", GSIZE_TO_POINTER (DILL_IPC_LISTEN_REPLACE_STALE), test_descriptors);

  return g_test_run ();
}
