/* test-accept-calls.c: how often the kernel is asked for a connection: once for each, and not when there is none.
 *
 * accept4 (2) makes a socket and a file before it looks whether there is a connection, so to ask in vain costs more
 * than all else that is done for one.  Therefore the kernel reports a listener as long as connections wait, and nobody
 * asks for more of them; but a listener at which nobody waits must not keep the main loop busy.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "accept-utils.h"

#include <sys/syscall.h>

#define N_CLIENTS 10

static guint n_calls;

/* This program stands between the library and the kernel. */
int
accept4 (int fd, struct sockaddr *address, socklen_t *length, int flags)
{
  n_calls++;
  return (int) syscall (SYS_accept4, fd, address, length, flags);
}

typedef struct
{
  int listener;
  int handle; /* of the coroutine */
  guint n_accepted;
} Server;

static void
serve (void *data)
{
  Server *server = data;
  int s;

  while ((s = dill_ipc_accept (server->listener, -1)) >= 0)
    g_assert_cmpuint (take_number (s), ==, server->n_accepted++);
}

/* It has found out that nobody is there, and waits. */
static void
server_start (Server *server, const char *path)
{
  *server = (Server) { .listener = test_assert_ok (dill_ipc_listen (path, N_CLIENTS)) };
  server->handle = test_assert_ok (dill_spawn (serve, server));
  n_calls = 0;
}

static void
server_clear (Server *server)
{
  g_assert_no_errno (dill_hclose (server->handle));
  g_assert_no_errno (dill_hclose (server->listener));
}

static void
test_one_by_one (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Server server;

  server_start (&server, test->path);
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      int client = connect_number (test->path, (guint8) i);

      test_iterate_until (server.n_accepted == i + 1);
      close (client);
    }
  g_assert_cmpuint (n_calls, ==, N_CLIENTS);
  server_clear (&server);
}

static void
test_at_once (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int clients[N_CLIENTS];
  Server server;

  server_start (&server, test->path);
  for (guint i = 0; i < N_CLIENTS; i++)
    clients[i] = connect_number (test->path, (guint8) i);
  test_iterate_until (server.n_accepted == N_CLIENTS);
  g_assert_cmpuint (n_calls, ==, N_CLIENTS);
  for (guint i = 0; i < N_CLIENTS; i++)
    close (clients[i]);
  server_clear (&server);
}

/* The one who waited has what it wanted; what comes after it is there for whoever asks next, and wakes nobody. */
static void
test_nobody_waits (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int clients[3], ls = test_assert_ok (dill_ipc_listen (test->path, N_CLIENTS)), h;
  Call call = { .s = ls, .deadline = -1 };

  h = start_call (call_accept, &call);
  n_calls = 0;
  for (guint i = 0; i < 3; i++)
    clients[i] = connect_number (test->path, (guint8) i);
  finish_call (h, &call);
  g_assert_cmpuint (take_number (call.result), ==, 0);

  for (guint n_turns = 0; g_main_context_iteration (NULL, FALSE); n_turns++)
    g_assert_cmpuint (n_turns, <, 5);
  g_assert_cmpuint (n_calls, ==, 1);
  for (guint i = 1; i < 3; i++)
    g_assert_cmpuint (take_number (test_assert_ok (dill_ipc_accept (ls, soon ()))), ==, i);
  g_assert_cmpuint (n_calls, ==, 3);
  test_assert_errno (dill_ipc_accept (ls, dill_now () + 1), ETIMEDOUT);

  for (guint i = 0; i < 3; i++)
    close (clients[i]);
  g_assert_no_errno (dill_hclose (ls));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/accept-calls/one-by-one", test_one_by_one);
  test_add ("/accept-calls/at-once", test_at_once);
  test_add ("/accept-calls/nobody-waits", test_nobody_waits);
  return g_test_run ();
}
