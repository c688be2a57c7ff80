/* test-peer.c: who the peer is, as the kernel recorded it at connect, or at listen.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"
#include "syscall-utils.h"

#include <sched.h>
#include <sys/stat.h>

/* Of a client, where the test may choose. */
#define USER 1234
#define GROUP 4321

static void
test_peer_of_pair (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  struct dill_ipc_peer peer;
  int s[2];

  make_pair (s);
  for (guint i = 0; i < 2; i++)
    {
      memset (&peer, 0xFF, sizeof peer);
      g_assert_no_errno (dill_ipc_peer (s[i], &peer));
      g_assert_cmpint (peer.pid, ==, getpid ());
      g_assert_cmpuint (peer.uid, ==, geteuid ());
      g_assert_cmpuint (peer.gid, ==, getegid ());
    }
  test_assert_errno (dill_ipc_peer (s[0], NULL), EINVAL);
  close_pair (s);
}

static int
connect_as_other (gpointer data)
{
  int fd;
  char byte;

  if (geteuid () == 0) /* only the effective ones count */
    g_assert_no_errno (setresgid (0, GROUP, 0) + setresuid (0, USER, 0));
  fd = connect_raw (data);
  (void) !read (fd, &byte, 1);
  return 0;
}

/* As it was at connect: a server may trust it, though the client has gone. */
static void
test_peer_is_recorded (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  struct dill_ipc_peer peer;
  int ls, s;
  pid_t pid;

  g_assert_no_errno (chmod (test->dir, 0755));
  ls = test_assert_ok (dill_ipc_listen_full (test->path, 5, 0, 0777, NULL));
  pid = test_child_start (connect_as_other, test->path);
  s = test_assert_ok (dill_ipc_accept (ls, soon ()));
  for (guint i = 0; i < 2; i++)
    {
      g_assert_no_errno (dill_ipc_peer (s, &peer));
      g_assert_cmpint (peer.pid, ==, pid);
      g_assert_cmpuint (peer.uid, ==, geteuid () == 0 ? USER : geteuid ());
      g_assert_cmpuint (peer.gid, ==, geteuid () == 0 ? GROUP : getegid ());
      if (i == 0)
        {
          g_assert_no_errno (dill_bsend (s, "x", 1, soon ()));
          g_assert_cmpint (test_child_wait (pid), ==, 0);
        }
    }
  test_assert_errno (dill_ipc_peer (ls, &peer), ENOTSUP);
  g_assert_no_errno (dill_hclose (s));
  g_assert_no_errno (dill_hclose (ls));
}

static int
be_served (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  struct dill_ipc_peer peer;
  int s;

  g_main_context_push_thread_default (context);
  s = test_assert_ok (dill_ipc_connect (data, soon ()));
  g_assert_no_errno (dill_ipc_peer (s, &peer));
  g_assert_cmpint (peer.pid, ==, getppid ()); /* of the process that listened, whoever has its socket now */
  g_assert_cmpuint (peer.uid, ==, geteuid ());
  g_assert_cmpuint (peer.gid, ==, getegid ());
  g_assert_no_errno (dill_hclose (s));
  g_main_context_pop_thread_default (context);
  return 0;
}

/* What a client learns is who listened; nobody need have accepted. */
static void
test_listener (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5));

  g_assert_cmpint (test_in_child (be_served, test->path), ==, 0);
  g_assert_no_errno (dill_hclose (ls));
}

/* In a PID namespace of its own, as a container is. */
static int
look_from_inside (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  struct dill_ipc_peer peer;
  int s;

  g_main_context_push_thread_default (context);
  s = test_assert_ok (dill_ipc_connect (data, soon ()));
  g_assert_no_errno (dill_ipc_peer (s, &peer));
  g_assert_cmpint (peer.pid, ==, 0);
  g_assert_no_errno (dill_hclose (s));
  g_main_context_pop_thread_default (context);
  return 0;
}

static int
enter_namespace (gpointer data)
{
  if (unshare (CLONE_NEWPID) < 0 && unshare (CLONE_NEWUSER | CLONE_NEWPID) < 0)
    return CANNOT;

  return test_in_child (look_from_inside, data);
}

static void
test_invisible (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5));

  check_child (test_in_child (enter_namespace, test->path), "a PID namespace of its own is not permitted here");
  g_assert_no_errno (dill_hclose (ls));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add ("/peer/of-pair", test_peer_of_pair);
  test_add ("/peer/is-recorded", test_peer_is_recorded);
  test_add ("/peer/listener", test_listener);
  test_add ("/peer/invisible", test_invisible);
  return g_test_run ();
}
