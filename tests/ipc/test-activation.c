/* test-activation.c: sockets passed by systemd: who gets which, and that each is given out once.
 *
 * Most cases set the environment up as systemd does, in a child.  The last one is run by systemd's own tool for that,
 * which executes this program as the service.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "address-utils.h"

#include <dillipc/dill-handle.h>
#include <dillipc/dill-stream.h>
#include <stdlib.h>

#define FIRST_FD 3

/* The first argument of this program when it is the service. */
#define SERVICE "--as-service"

/* What a service finds, besides COUNT sockets from FIRST_FD on; NULL: no such variable. */
static void
set_up (const char *pid, const char *count, const char *names, int n_sockets)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  /* The lowest numbers may belong to the test framework, of which a child has no more need. */
  for (int i = 0; i < n_sockets; i++)
    {
      int fd = test_assert_ok (socket (AF_UNIX, SOCK_STREAM, 0));

      g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address.sun_family)); /* some abstract name */
      g_assert_no_errno (listen (fd, 1));
      if (fd != FIRST_FD + i)
        {
          g_assert_no_errno (dup2 (fd, FIRST_FD + i));
          close (fd);
        }
    }

  if (pid != NULL)
    g_setenv ("LISTEN_PID", pid, TRUE);
  if (count != NULL)
    g_setenv ("LISTEN_FDS", count, TRUE);
  if (names != NULL)
    g_setenv ("LISTEN_FDNAMES", names, TRUE);
}

static void
set_up_self (const char *count, const char *names, int n_sockets)
{
  g_autofree char *pid = g_strdup_printf ("%d", (int) getpid ());

  set_up (pid, count, names, n_sockets);
}

static int
in_nothing (gpointer data G_GNUC_UNUSED)
{
  static const char *const bad_counts[]
      = { "", "0", "-1", "x", "1x", " 1", "+1", "0x1", "2147483648", "99999999999999999999" };
  g_autofree char *other = g_strdup_printf ("%d", (int) getppid ());

  test_assert_errno (dill_ipc_listen_activated (NULL), ENOENT);
  test_assert_errno (dill_activation_take (NULL), ENOENT);
  test_assert_errno (dill_activation_take ("unknown"), ENOENT);

  set_up (NULL, "1", NULL, 1);
  test_assert_errno (dill_activation_take (NULL), ENOENT);
  set_up (other, "1", NULL, 0);
  test_assert_errno (dill_activation_take (NULL), ENOENT);
  set_up ("", "1", NULL, 0);
  test_assert_errno (dill_activation_take (NULL), ENOENT);

  for (guint i = 0; i < G_N_ELEMENTS (bad_counts); i++)
    {
      set_up_self (bad_counts[i], NULL, 0);
      test_assert_errno (dill_activation_take (NULL), ENOENT);
      test_assert_errno (dill_activation_take ("unknown"), ENOENT);
    }

  return 0;
}

static int
in_single (gpointer data G_GNUC_UNUSED)
{
  set_up_self ("1", NULL, 1);
  g_assert_cmpint (fcntl (FIRST_FD, F_GETFD), ==, 0);

  g_assert_cmpint (dill_activation_take (NULL), ==, FIRST_FD);
  g_assert_cmpint (fcntl (FIRST_FD, F_GETFD), ==, FD_CLOEXEC);
  test_assert_errno (dill_activation_take (NULL), ENOENT);
  test_assert_errno (dill_activation_take ("unknown"), ENOENT);

  /* The number is another's by now. */
  g_assert_no_errno (dup2 (STDERR_FILENO, FIRST_FD));
  test_assert_errno (dill_activation_take (NULL), ENOENT);

  errno = EXDEV;
  dill_activation_give_back (FIRST_FD);
  g_assert_cmpint (errno, ==, EXDEV);
  g_assert_cmpint (dill_activation_take ("unknown"), ==, FIRST_FD);
  dill_activation_give_back (FIRST_FD + 1); /* was never taken */

  g_assert_cmpstr (g_getenv ("LISTEN_FDS"), ==, "1"); /* for others in the process */
  return 0;
}

static int
in_names (gpointer data G_GNUC_UNUSED)
{
  set_up_self ("6", "web:admin:web::web-2:admin", 6);

  test_assert_errno (dill_activation_take (NULL), EINVAL);
  test_assert_errno (dill_activation_take ("we"), ENOENT);
  test_assert_errno (dill_activation_take ("webs"), ENOENT);
  test_assert_errno (dill_activation_take ("unknown"), ENOENT);
  test_assert_errno (dill_activation_take ("web:admin"), ENOENT);

  g_assert_cmpint (dill_activation_take ("web-2"), ==, FIRST_FD + 4);
  g_assert_cmpint (dill_activation_take ("web"), ==, FIRST_FD);
  g_assert_cmpint (dill_activation_take ("web"), ==, FIRST_FD + 2);
  test_assert_errno (dill_activation_take ("web"), ENOENT);
  dill_activation_give_back (FIRST_FD);
  g_assert_cmpint (dill_activation_take ("web"), ==, FIRST_FD);
  g_assert_cmpint (dill_activation_take (""), ==, FIRST_FD + 3);
  test_assert_errno (dill_activation_take (""), ENOENT);

  close (FIRST_FD + 1);
  g_assert_cmpint (dill_activation_take ("admin"), ==, FIRST_FD + 5);
  test_assert_errno (dill_activation_take (NULL), EINVAL);
  return 0;
}

static int
in_no_names (gpointer data G_GNUC_UNUSED)
{
  set_up_self ("2", NULL, 2);
  test_assert_errno (dill_activation_take ("web"), ENOENT);
  g_assert_cmpint (dill_activation_take ("unknown"), ==, FIRST_FD);
  g_assert_cmpint (dill_activation_take ("unknown"), ==, FIRST_FD + 1);
  test_assert_errno (dill_activation_take ("unknown"), ENOENT);
  return 0;
}

static int
in_wrong_names (gpointer data G_GNUC_UNUSED)
{
  set_up_self ("2", "web", 2);
  test_assert_errno (dill_activation_take ("web"), EINVAL);
  set_up_self ("2", "web:web:web", 0);
  test_assert_errno (dill_activation_take ("web"), EINVAL);

  set_up_self ("1", "web:admin", 0); /* which one is clear nevertheless */
  g_assert_cmpint (dill_activation_take (NULL), ==, FIRST_FD);
  return 0;
}

static int
in_forked (gpointer data G_GNUC_UNUSED)
{
  test_assert_errno (dill_activation_take (NULL), ENOENT);
  test_assert_errno (dill_activation_take ("unknown"), ENOENT);
  return 0;
}

static int
in_forking (gpointer data G_GNUC_UNUSED)
{
  set_up_self ("1", NULL, 1);
  g_assert_cmpint (test_in_child (in_forked, NULL), ==, 0);
  g_assert_cmpint (dill_activation_take (NULL), ==, FIRST_FD);
  return 0;
}

/* What was passed may be of another kind: then it is taken by nobody, and stays as it was. */
static int
in_wrong_kinds (gpointer data G_GNUC_UNUSED)
{
  int ends[2];

  set_up_self ("3", "first:second:third", 3);
  g_assert_no_errno (pipe (ends));
  g_assert_no_errno (dup2 (ends[0], FIRST_FD));
  g_assert_no_errno (dup2 (test_assert_ok (socket (AF_INET, SOCK_STREAM, 0)), FIRST_FD + 1));
  g_assert_no_errno (dup2 (test_assert_ok (socket (AF_UNIX, SOCK_STREAM, 0)), FIRST_FD + 2));
  for (int i = 0; i < 2; i++)
    {
      test_assert_errno (dill_ipc_listen_activated ("first"), ENOTSUP);
      test_assert_errno (dill_ipc_listen_activated ("second"), ENOTSUP);
      test_assert_errno (dill_ipc_listen_activated ("third"), EINVAL);
    }
  g_assert_cmpint (fcntl (FIRST_FD, F_GETFL) & O_NONBLOCK, ==, 0);
  return 0;
}

/* The file is systemd's, whoever closes the listener. */
static int
in_file (gpointer data G_GNUC_UNUSED)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
  int listener;
  int fd;

  set_up_self ("1", NULL, 1);
  fd = test_assert_ok (socket (AF_UNIX, SOCK_STREAM, 0));
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (fd, 1));
  g_assert_no_errno (dup2 (fd, FIRST_FD));
  listener = test_assert_ok (dill_ipc_listen_activated (NULL));
  g_assert_no_errno (dill_hclose (listener));
  g_assert_no_errno (access (address.sun_path, F_OK));
  return 0;
}

#define N_THREADS 4
#define N_SHARED 100

/* Takes what it can get, and counts it in the array. */
static gpointer
take_all (gpointer data)
{
  gint *n_taken = data;
  int fd;

  while ((fd = dill_activation_take ("unknown")) >= 0)
    g_atomic_int_inc (&n_taken[fd - FIRST_FD]);
  g_assert_cmpint (errno, ==, ENOENT);

  return NULL;
}

static int
in_threads (gpointer data G_GNUC_UNUSED)
{
  GThread *threads[N_THREADS];
  gint n_taken[N_SHARED] = { 0 };

  set_up_self (G_STRINGIFY (N_SHARED), NULL, N_SHARED);
  for (int i = 0; i < N_THREADS; i++)
    threads[i] = test_thread_start (take_all, n_taken);
  for (int i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  for (int i = 0; i < N_SHARED; i++)
    g_assert_cmpint (n_taken[i], ==, 1);

  return 0;
}

static void
test_take (TestDir *test, gconstpointer data)
{
  g_assert_no_errno (chdir (test->dir)); /* for the children */
  g_assert_cmpint (test_in_child ((TestChildFunc) data, NULL), ==, 0);
}

/* What this program does when it is a service with the sockets "first" and "second", each at a path that ends so. */
static int
serve (void)
{
  static const char *const names[] = { "second", "first" };
  int listener = -1;
  int connection;
  char byte;

  test_assert_errno (dill_ipc_listen_activated (NULL), EINVAL);
  test_assert_errno (dill_ipc_listen_activated ("third"), ENOENT);

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      struct sockaddr_un address = { 0 };
      socklen_t length = sizeof address;
      int fd;

      if (listener >= 0)
        g_assert_no_errno (dill_hclose (listener));
      listener = test_assert_ok (dill_ipc_listen_activated (names[i]));
      test_assert_errno (dill_ipc_listen_activated (names[i]), ENOENT);

      fd = FIRST_FD + (g_str_equal (names[i], "second") ? 1 : 0);
      g_assert_no_errno (getsockname (fd, (struct sockaddr *) &address, &length));
      g_assert_true (g_str_has_suffix (address.sun_path, names[i]));
    }

  connection = test_assert_ok (dill_ipc_accept (listener, dill_now () + TEST_LIMIT_SECONDS * 1000));
  g_assert_no_errno (dill_brecv (connection, &byte, 1, dill_now () + TEST_LIMIT_SECONDS * 1000));
  g_assert_no_errno (dill_bsend (connection, &byte, 1, 0));
  g_assert_no_errno (dill_ipc_close (connection, dill_now () + TEST_LIMIT_SECONDS * 1000));
  g_assert_no_errno (dill_hclose (listener));
  return EXIT_SUCCESS;
}

/* Reads what systemd's tool says until it has said that it listens at both sockets. */
static void
wait_for_listening (int fd)
{
  GString *text = g_string_new (NULL);
  const char *first;
  char byte;

  do
    {
      g_assert_cmpint (TEMP_FAILURE_RETRY (read (fd, &byte, 1)), ==, 1);
      g_string_append_c (text, byte);
      first = strstr (text->str, "Listening on ");
    }
  while (first == NULL || strstr (first + 1, "Listening on ") == NULL);

  g_string_free (text, TRUE);
}

static void
test_systemd (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *tool = g_find_program_in_path ("systemd-socket-activate");
  g_autofree char *first = g_build_filename (test->dir, "first", NULL);
  g_autofree char *second = g_build_filename (test->dir, "second", NULL);
  const char *starter[] = { tool, "-l", first, "-l", second, "--fdname=first:second", NULL };
  g_auto (GStrv) command = test_own_command (starter, SERVICE);
  g_autoptr (GError) error = NULL;
  TestLimit limit;
  int said;
  int client;
  char byte = 0;
  GPid pid;

  if (tool == NULL)
    {
      g_test_skip ("there is no systemd-socket-activate (Debian: package systemd)");
      return;
    }

  g_spawn_async_with_pipes (NULL, command, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, NULL, NULL, &said,
                            &error);
  g_assert_no_error (error);

  test_limit_begin (&limit, NULL, "systemd-socket-activate");
  wait_for_listening (said);
  client = test_assert_ok (socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  g_assert_no_errno (dill_address_connect (client, first, 0));
  g_assert_cmpint (write (client, "x", 1), ==, 1);
  g_assert_cmpint (TEMP_FAILURE_RETRY (read (client, &byte, 1)), ==, 1);
  g_assert_cmpint (byte, ==, 'x');
  close (client);
  g_assert_cmpint (test_child_wait (pid), ==, 0);
  test_limit_end (&limit);

  g_assert_no_errno (access (first, F_OK)); /* these files are systemd's */
  g_assert_no_errno (access (second, F_OK));
  close (said);
}

int
main (int argc, char **argv)
{
  if (argc > 1 && g_str_equal (argv[1], SERVICE))
    return serve ();

  g_test_init (&argc, &argv, NULL);

  test_add_data ("/activation/nothing", in_nothing, test_take);
  test_add_data ("/activation/single", in_single, test_take);
  test_add_data ("/activation/names/some", in_names, test_take);
  test_add_data ("/activation/names/none", in_no_names, test_take);
  test_add_data ("/activation/names/wrong", in_wrong_names, test_take);
  test_add_data ("/activation/wrong-kinds", in_wrong_kinds, test_take);
  test_add_data ("/activation/file", in_file, test_take);
  test_add_data ("/activation/fork", in_forking, test_take);
  test_add_data ("/activation/threads", in_threads, test_take);
  test_add ("/activation/systemd", test_systemd);

  return g_test_run ();
}
