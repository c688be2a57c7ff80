/* test-place-steps.c: a process that starts to listen may be killed or stopped at any of its system calls.
 *
 * However it ends, the path is never taken from a live listener, never missing while a stale file is replaced, and open
 * to nobody too early; at most one temporary name is left, which the next to listen there removes; and no descriptor
 * goes on to a program that is executed meanwhile.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "place-utils.h"

#include <stdlib.h>

/* More than a listen has, though Valgrind adds some of its own to each. */
#define STEPS_MAX 400

/* Listens at PATH over what the dead have left there; as they did, unless they got as far as the path itself. */
static void
start_after (const char *path, Way way)
{
  unsigned flags = access (path, F_OK) == 0 ? DILL_IPC_LISTEN_REPLACE_STALE : way_flags[way];
  struct dill_socket_file file;
  int client = new_socket ();
  int fd = test_assert_ok (dill_address_listen (path, 1, flags, 0, &file));

  g_assert_no_errno (dill_address_connect (client, path, 0));
  g_assert_cmpuint (count_siblings (path), ==, 1);
  dill_socket_file_release (&file, false);
  g_assert_cmpuint (count_siblings (path), ==, 0);
  close (client);
  close (fd);
}

static void
test_killed (TestDir *test, gconstpointer data)
{
  Way way = GPOINTER_TO_INT (data);
  char *paths[STEPS_MAX];
  int n_steps;

  for (int i = 0; i < STEPS_MAX; i++)
    paths[i] = make_place (test, way, i);
  wait_until_old (paths[STEPS_MAX - 1]);

  for (n_steps = 0; n_steps < STEPS_MAX; n_steps++)
    {
      Start request = { paths[n_steps], way_flags[way], 0 };
      pid_t pid = trace_start (start, &request);
      struct stat stat_buf;
      int status = -1;
      guint n_files;

      if (pid < 0)
        {
          g_test_skip ("ptrace is not permitted here");
          break;
        }

      for (int i = 0; i <= n_steps && trace_step (pid, &status); i++)
        continue;
      if (status >= 0)
        {
          g_assert_cmpint (status, ==, 0);
          break; /* it has no more steps */
        }
      trace_kill (pid);

      n_files = count_siblings (request.path);
      g_assert_cmpuint (n_files, <=, way == WAY_EXCHANGE ? 2 : 1);
      if (way == WAY_EXCHANGE)
        g_assert_no_errno (lstat (request.path, &stat_buf));
    }
  g_assert_cmpint (n_steps, <, STEPS_MAX);
  g_test_message ("%d steps", n_steps);

  /* After all, so that the new files have grown old meanwhile. */
  for (int i = 0; i < n_steps; i++)
    start_after (paths[i], way);
  for (int i = 0; i < STEPS_MAX; i++)
    g_free (paths[i]);
}

/* What the child PID has opened is closed where it executes another program: a thread of it may do so at any time. */
static void
check_close_on_exec (pid_t pid)
{
  g_autofree char *dir_name = g_strdup_printf ("/proc/%d/fdinfo", (int) pid);
  GDir *dir = g_dir_open (dir_name, 0, NULL);
  const char *number;

  g_assert_nonnull (dir);
  while ((number = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *name = g_build_filename (dir_name, number, NULL);
      g_autofree char *text = NULL;
      const char *flags;

      if (fcntl (atoi (number), F_GETFD) >= 0)
        continue; /* inherited, most likely */

      g_assert_true (g_file_get_contents (name, &text, NULL, NULL));
      flags = strstr (text, "flags:");
      g_assert_nonnull (flags);
      g_assert_true (strtol (flags + strlen ("flags:"), NULL, 8) & O_CLOEXEC);
    }
  g_dir_close (dir);
}

/* What is to be seen at each step of a listen with a MODE that the socket would not have by itself. */
static void
look (const char *path, mode_t mode, const struct stat *stale)
{
  int client = new_socket ();
  struct stat status;
  int result;

  if (lstat (path, &status) < 0)
    {
      g_assert_cmpint (errno, ==, ENOENT);
      g_assert_null (stale); /* it never is missing */
    }
  else if (stale == NULL || !dill_stale_same_file (&status, stale))
    {
      g_assert_true (S_ISSOCK (status.st_mode));
      g_assert_cmpint (status.st_mode & 0777 & ~mode, ==, 0);

      result = dill_address_connect (client, path, 0);
      if (result < 0)
        g_assert_cmpint (errno, ==, ECONNREFUSED);
      if (result == 0 || stale != NULL) /* what replaces a file listens when it gets there */
        {
          g_assert_cmpint (result, ==, 0);
          g_assert_cmpint (status.st_mode & 0777, ==, mode);
        }
    }

  close (client);
}

/* A listener with bits that the umask takes away. */
static int
listen_with_mask (gpointer data)
{
  const Start *request = data;
  struct dill_socket_file file;

  umask (request->mode & 077);
  return dill_address_listen (request->path, 1000, request->flags, request->mode, &file) < 0 ? errno : 0;
}

static void
test_watched (TestDir *test, gconstpointer data)
{
  static const guint modes[] = { 0600, 0606, 0640, 0777 };
  Way way = GPOINTER_TO_INT (data);

  for (guint i = 0; i < G_N_ELEMENTS (modes); i++)
    {
      g_autofree char *path = make_place (test, way, i);
      Start request = { path, way_flags[way], modes[i] };
      struct stat stale;
      int status;
      pid_t pid;

      wait_until_old (path);
      if (way == WAY_EXCHANGE)
        g_assert_no_errno (lstat (path, &stale));

      pid = trace_start (listen_with_mask, &request);
      if (pid < 0)
        {
          g_test_skip ("ptrace is not permitted here");
          return;
        }
      while (trace_step (pid, &status))
        {
          look (path, modes[i], way == WAY_EXCHANGE ? &stale : NULL);
          check_close_on_exec (pid);
        }
      g_assert_cmpint (status, ==, 0);
    }
}

/* While one is stopped on its way, others neither take its place nor its temporary name. */
static void
test_stopped (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  static const long calls[] = { SYS_bind, SYS_listen, SYS_renameat2 };
  char *paths[N_WAYS][G_N_ELEMENTS (calls)];
  Start requests[N_WAYS][G_N_ELEMENTS (calls)];
  pid_t stopped[N_WAYS][G_N_ELEMENTS (calls)];
  pid_t others[N_WAYS][G_N_ELEMENTS (calls)];
  int status;

  /* All at once, since those who meet the lock wait for a second. */
  for (Way way = 0; way < N_WAYS; way++)
    for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
      {
        paths[way][i] = make_place (test, way, i);
        requests[way][i] = (Start) { paths[way][i], way_flags[way], 0 };
        wait_until_old (paths[way][i]);
        stopped[way][i] = trace_start (start, &requests[way][i]);
        if (stopped[way][i] < 0)
          {
            g_test_skip ("ptrace is not permitted here");
            return;
          }

        if (way == WAY_DIRECT && calls[i] == SYS_renameat2) /* has none: after its listen () then */
          g_assert_true (trace_until (stopped[way][i], SYS_listen, &status) && trace_step (stopped[way][i], &status));
        else
          g_assert_true (trace_until (stopped[way][i], calls[i], &status));
        if (way == WAY_EXCHANGE && calls[i] == SYS_bind) /* the first is for the place itself */
          g_assert_true (trace_step (stopped[way][i], &status) && trace_until (stopped[way][i], SYS_bind, &status));
        others[way][i] = test_child_start (start, &requests[way][i]);
      }

  for (Way way = 0; way < N_WAYS; way++)
    for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
      {
        /* Nothing keeps a listener without the flag from a free name. */
        int expected = way == WAY_RENAME ? 0 : EADDRINUSE;

        g_assert_cmpint (test_child_wait (others[way][i]), ==, expected);
        g_assert_cmpint (trace_finish (stopped[way][i]), ==, expected == 0 ? EADDRINUSE : 0);
        g_assert_cmpuint (count_siblings (paths[way][i]), ==, 1);
        g_free (paths[way][i]);
      }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add_data ("/place/killed/direct", GINT_TO_POINTER (WAY_DIRECT), test_killed);
  test_add_data ("/place/killed/rename", GINT_TO_POINTER (WAY_RENAME), test_killed);
  test_add_data ("/place/killed/exchange", GINT_TO_POINTER (WAY_EXCHANGE), test_killed);
  test_add_data ("/place/watched/direct", GINT_TO_POINTER (WAY_DIRECT), test_watched);
  test_add_data ("/place/watched/rename", GINT_TO_POINTER (WAY_RENAME), test_watched);
  test_add_data ("/place/watched/exchange", GINT_TO_POINTER (WAY_EXCHANGE), test_watched);
  test_add ("/place/stopped", test_stopped);

  return g_test_run ();
}
