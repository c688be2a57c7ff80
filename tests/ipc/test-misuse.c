/* test-misuse.c: wrong, dead and foreign handles, and a cancelled coroutine: a documented errno from every function,
 * and nothing happens to the handle.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

#include <dillipc/dill-glib.h>

static char mem[DILL_IPC_PAIR_SIZE];
static struct dill_ipc_peer identity;
static char byte = 'x';
static struct dill_iolist item = { &byte, 1, NULL, 0 };

enum
{
  ON_CONNECTION = 1,
  ON_LISTENER = 2
};

/* Every function that takes a handle, with otherwise good arguments. */
#define FUNCTIONS(F)                                                                                                   \
  F (ON_CONNECTION, dill_bsend (s, &byte, 1, soon ()))                                                                 \
  F (ON_CONNECTION, dill_bsend (s, &byte, 0, 0))                                                                       \
  F (ON_CONNECTION, dill_bsendl (s, &item, &item, soon ()))                                                            \
  F (ON_CONNECTION, dill_brecv (s, &byte, 1, soon ()))                                                                 \
  F (ON_CONNECTION, dill_brecv (s, NULL, 1, 0))                                                                        \
  F (ON_CONNECTION, dill_brecvl (s, &item, &item, soon ()))                                                            \
  F (ON_CONNECTION, dill_brecv_some (s, &byte, 1, soon ()))                                                            \
  F (ON_CONNECTION, dill_ipc_sendfd (s, STDIN_FILENO, soon ()))                                                        \
  F (ON_CONNECTION, dill_ipc_recvfd (s, soon ()))                                                                      \
  F (ON_CONNECTION, dill_ipc_done (s, soon ()))                                                                        \
  F (ON_CONNECTION, dill_ipc_peer (s, &identity))                                                                      \
  F (ON_LISTENER, dill_ipc_accept (s, soon ()))                                                                        \
  F (ON_LISTENER, dill_ipc_accept (s, 0))                                                                              \
  F (ON_LISTENER, dill_ipc_accept_mem (s, mem, soon ()))                                                               \
  F (ON_CONNECTION | ON_LISTENER, dill_ipc_steal_fd (s))                                                               \
  F (ON_CONNECTION | ON_LISTENER, dill_ipc_close (s, soon ()))

static void
check_all (int s, guint kind, int expected)
{
#define CHECK(kinds, call)                                                                                             \
  if (((kinds) &kind) == 0)                                                                                            \
    test_assert_errno (call, expected);
  FUNCTIONS (CHECK)
#undef CHECK
}

static void
test_never_handles (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const int numbers[] = { -1, 0, 1, 2, 3, 255, 4096, G_MININT, G_MAXINT };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      check_all (numbers[i], 0, EBADF);
      test_assert_errno (dill_hclose (numbers[i]), EBADF);
      test_assert_errno (dill_hown (numbers[i]), EBADF);
    }
}

static void
test_dead_handles (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int s[2], ls, owned;

  make_pair (s);
  close_pair (s);
  check_all (s[0], 0, EBADF);
  ls = test_assert_ok (dill_ipc_listen (test->path, 1));
  g_assert_no_errno (dill_hclose (ls));
  check_all (ls, 0, EBADF);

  /* Others that were made since do not answer to the old numbers. */
  for (guint i = 0; i < 1000; i++)
    {
      int others[2];

      make_pair (others);
      g_assert_true (others[0] != s[0] && others[1] != s[0] && others[0] != ls && others[1] != ls);
      close_pair (others);
    }
  check_all (s[0], 0, EBADF);

  /* The one who took over has it, under its number only. */
  make_pair (s);
  owned = test_assert_ok (dill_hown (s[0]));
  check_all (s[0], 0, EBADF);
  g_assert_no_errno (dill_bsend (owned, "a", 1, soon ()));
  g_assert_no_errno (dill_brecv (s[1], &byte, 1, soon ()));
  g_assert_no_errno (dill_hclose (owned));
  g_assert_no_errno (dill_hclose (s[1]));
}

static void
test_wrong_kinds (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 1)), bundle = test_assert_ok (dill_bundle ());
  int client = connect_raw (test->path), s[2];

  make_pair (s);
  check_all (bundle, 0, ENOTSUP);
  check_all (ls, ON_LISTENER, ENOTSUP);
  check_all (s[0], ON_CONNECTION, ENOTSUP);

  /* All of them live. */
  g_assert_no_errno (dill_bsend (s[0], "a", 1, soon ()));
  g_assert_no_errno (dill_brecv (s[1], &byte, 1, soon ()));
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_ipc_accept (ls, soon ()))));
  g_assert_no_errno (dill_hclose (bundle));
  g_assert_no_errno (dill_hclose (ls));
  close (client);
  close_pair (s);
}

typedef struct
{
  int s;
  int ls;
  int (*close) (int s);
} Handles;

static int
close_with_handshake (int s)
{
  return dill_ipc_close (s, -1);
}

static gpointer
use_in_thread (gpointer data)
{
  Handles *handles = data;

  check_all (handles->s, 0, EBADF);
  check_all (handles->ls, 0, EBADF);
  test_assert_errno (dill_hclose (handles->s), EBADF);
  test_assert_errno (dill_hown (handles->ls), EBADF);
  return NULL;
}

static void
test_foreign_thread (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Handles handles;
  int s[2];

  make_pair (s);
  handles = (Handles) { s[0], test_assert_ok (dill_ipc_listen (test->path, 1)), NULL };
  test_in_thread (use_in_thread, &handles);
  g_assert_no_errno (dill_bsend (s[0], "a", 1, soon ()));
  g_assert_no_errno (dill_hclose (handles.ls));
  close_pair (s);
}

/* In a child what was inherited can be closed, by either call, and nothing else; the parent notices nothing. */
static int
use_in_child (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Handles *handles = data;

  g_main_context_push_thread_default (context);
#define CHECK(kinds, call)                                                                                             \
  if (((kinds) & (ON_CONNECTION | ON_LISTENER)) != (ON_CONNECTION | ON_LISTENER))                                      \
    test_assert_errno (call, EBADF);
  {
    int s = handles->s;
    FUNCTIONS (CHECK)
  }
#undef CHECK
  test_assert_errno (dill_ipc_steal_fd (handles->s), EBADF);
  test_assert_errno (dill_hown (handles->s), EBADF);
  g_assert_no_errno (handles->close (handles->s));
  g_assert_no_errno (handles->close (handles->ls));
  test_assert_errno (handles->close (handles->s), EBADF);
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_child (TestDir *test, gconstpointer data)
{
  Handles handles;
  Call in, acceptance;
  int s[2], h, h_accept, client;

  make_pair (s);
  handles = (Handles) { s[0], test_assert_ok (dill_ipc_listen (test->path, 5)),
                        data != NULL ? close_with_handshake : dill_hclose };
  in = (Call) { .s = s[0], .buffer = &byte, .length = 1, .deadline = -1 };
  acceptance = (Call) { .s = handles.ls, .deadline = -1 };
  h = start_call (call_brecv, &in);
  h_accept = start_call (call_accept, &acceptance);
  g_assert_cmpint (test_in_child (use_in_child, &handles), ==, 0);

  g_assert_no_errno (access (test->path, F_OK));
  g_assert_no_errno (dill_bsend (s[1], "a", 1, soon ()));
  client = connect_raw (test->path);
  finish_call (h, &in);
  finish_call (h_accept, &acceptance);
  g_assert_cmpint (in.result, ==, 0);
  g_assert_no_errno (dill_hclose (test_assert_ok ((int) acceptance.result)));
  close (client);
  g_assert_no_errno (dill_hclose (handles.ls));
  close_pair (s);
}

static void
test_sources (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 1)), s[2];

  make_pair (s);
  test_assert_null_errno (dill_ipc_listener_source_new (-1), EBADF);
  test_assert_null_errno (dill_ipc_listener_source_new (s[0]), ENOTSUP);
  test_assert_null_errno (dill_ipc_connection_source_new (-1, G_IO_IN), EBADF);
  test_assert_null_errno (dill_ipc_connection_source_new (ls, G_IO_IN), ENOTSUP);
  test_assert_null_errno (dill_ipc_connection_source_new (s[0], 0), EINVAL);
  test_assert_null_errno (dill_ipc_connection_source_new (s[0], G_IO_NVAL), EINVAL);
  g_assert_no_errno (dill_hclose (ls));
  close_pair (s);
}

/* What makes a handle, or waits, fails at entry in a cancelled coroutine; the arguments are left alone. */
typedef struct
{
  const char *path;
  int ls;
  int fds[2];
  int listening_fd;
  bool is_done;
} Canceled;

static void
make_after_cancellation (void *data)
{
  Canceled *canceled = data;
  int s[2] = { -1, -1 };

  test_assert_errno (dill_msleep (-1), ECANCELED);
  test_assert_errno (dill_ipc_listen (canceled->path, 5), ECANCELED);
  test_assert_errno (dill_ipc_listen_mem (canceled->path, 5, mem), ECANCELED);
  test_assert_errno (dill_ipc_listen_full (canceled->path, 5, 0, 0, NULL), ECANCELED);
  test_assert_errno (dill_ipc_listen_activated (NULL), ECANCELED);
  test_assert_errno (dill_ipc_accept (canceled->ls, -1), ECANCELED);
  test_assert_errno (dill_ipc_accept (canceled->ls, 0), ECANCELED);
  test_assert_errno (dill_ipc_accept_mem (canceled->ls, mem, -1), ECANCELED);
  test_assert_errno (dill_ipc_connect (canceled->path, -1), ECANCELED);
  test_assert_errno (dill_ipc_connect_mem (canceled->path, mem, 0), ECANCELED);
  test_assert_errno (dill_ipc_connect_full (canceled->path, 0, NULL, -1), ECANCELED);
  test_assert_errno (dill_ipc_pair (s), ECANCELED);
  test_assert_errno (dill_ipc_pair_mem (mem, s), ECANCELED);
  test_assert_errno (dill_ipc_fromfd (canceled->fds[0]), ECANCELED);
  test_assert_errno (dill_ipc_fromfd_mem (canceled->fds[0], mem), ECANCELED);
  test_assert_errno (dill_ipc_listener_fromfd (canceled->listening_fd), ECANCELED);
  test_assert_errno (dill_ipc_listener_fromfd_mem (canceled->listening_fd, mem), ECANCELED);
  g_assert_true (s[0] == -1 && s[1] == -1);
  canceled->is_done = true;
}

static void
test_canceled (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *path = g_strconcat (test->path, "-raw", NULL);
  g_autofree char *listener_path = g_strconcat (test->path, "-listener", NULL);
  Canceled canceled = { .path = test->path, .ls = test_assert_ok (dill_ipc_listen (listener_path, 5)) };
  int h, client = connect_raw (listener_path);
  guint n_fds;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, canceled.fds));
  canceled.listening_fd = listen_raw (path, 5);
  h = test_assert_ok (dill_spawn (make_after_cancellation, &canceled));
  n_fds = test_count_fds ();
  g_assert_no_errno (dill_hclose (h));
  g_assert_true (canceled.is_done);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  test_assert_errno (access (test->path, F_OK), ENOENT);
  g_assert_cmpint (fcntl (canceled.fds[0], F_GETFL) & O_NONBLOCK, ==, 0);

  /* The connection that waited waits on. */
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_ipc_accept (canceled.ls, 0))));
  close (canceled.fds[0]);
  close (canceled.fds[1]);
  close (canceled.listening_fd);
  close (client);
  g_assert_no_errno (dill_hclose (canceled.ls));
}

static void
test_null_memory (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), client = connect_raw (test->path);

  test_assert_errno (dill_ipc_accept_mem (ls, NULL, soon ()), EINVAL);
  test_assert_errno (dill_ipc_listen_mem ("/nowhere", 5, NULL), EINVAL);
  test_assert_errno (dill_ipc_connect_mem (test->path, NULL, soon ()), EINVAL);
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_ipc_accept (ls, 0))));
  close (client);
  g_assert_no_errno (dill_hclose (ls));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add ("/misuse/never-handles", test_never_handles);
  test_add ("/misuse/dead-handles", test_dead_handles);
  test_add ("/misuse/wrong-kinds", test_wrong_kinds);
  test_add ("/misuse/foreign-thread", test_foreign_thread);
  test_add_data ("/misuse/child/hclose", NULL, test_child);
  test_add_data ("/misuse/child/ipc-close", "handshake", test_child);
  test_add ("/misuse/sources", test_sources);
  test_add ("/misuse/canceled", test_canceled);
  test_add ("/misuse/null-memory", test_null_memory);
  return g_test_run ();
}
