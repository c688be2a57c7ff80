/* test-reference-pages.c: the examples on the pages ipc_accept_mem(3), ipc_connect_mem(3) and ipc_listen_mem(3), in
 * both editions.
 *
 * Guarantees: they compile as they stand, with -Wall -Wextra; the servers and the client on them understand each
 * other. The path on them is everybody's, so what is run has the names that take one redirected to the test's own
 * directory.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-utils.h"
#include <libdill.h>
#include <string.h>
#include <unistd.h>

/* As they stand.  What an example leaves lying is all that needs leave. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-variable"

static coroutine void
ipc_accept_mem_as_it_stands (void)
{
#include "pages/ipc_accept_mem.inc"
}

static coroutine void
ipc_connect_mem_as_it_stands (void)
{
#include "pages/ipc_connect_mem.inc"
}

static coroutine void
ipc_listen_mem_as_it_stands (void)
{
#include "pages/ipc_listen_mem.inc"
}

static coroutine void
other_edition_as_it_stands (void)
{
#include "pages/ipc_listen_mem-other-edition.inc"
}

#pragma GCC diagnostic pop

/* To be linked, not to be called. */
static void (*const as_they_stand[]) (void) = { ipc_accept_mem_as_it_stands, ipc_connect_mem_as_it_stands,
                                                ipc_listen_mem_as_it_stands, other_edition_as_it_stands };

/* From here on the path on the pages stands for the one of the test. */
static const char *own_path;

static const char *
redirect (const char *path)
{
  g_assert_cmpstr (path, ==, "/tmp/test.ipc");
  return own_path;
}

#undef ipc_listen
#undef ipc_listen_mem
#undef ipc_connect_mem
#define ipc_listen(addr, backlog) dill_ipc_listen (redirect (addr), backlog)
#define ipc_listen_mem(addr, backlog, mem) dill_ipc_listen_mem (redirect (addr), backlog, mem)
#define ipc_connect_mem(addr, mem, deadline) dill_ipc_connect_mem (redirect (addr), mem, deadline)

typedef struct
{
  gboolean server_done;
  gboolean client_done;
} Outcome;

static coroutine void
serve (Outcome *outcome)
{
#include "pages/ipc_accept_mem.inc"
  g_assert_cmpmem (buf, sizeof buf, "DEF", 3);
  outcome->server_done = TRUE;
}

static coroutine void
serve_other_edition (Outcome *outcome)
{
#include "pages/ipc_listen_mem-other-edition.inc"
  g_assert_cmpmem (buf, sizeof buf, "DEF", 3);
  outcome->server_done = TRUE;
}

/* The page ends with the connection; what follows is the other half of the server's example. */
static coroutine void
call (Outcome *outcome)
{
  char buf[3];
#include "pages/ipc_connect_mem.inc"
  test_assert_ok (s);
  test_assert_ok (brecv (s, buf, sizeof buf, -1));
  g_assert_cmpmem (buf, sizeof buf, "ABC", 3);
  test_assert_ok (bsend (s, "DEF", 3, -1));
  test_assert_ok (ipc_close (s));
  outcome->client_done = TRUE;
}

/* The page ends with the listener. */
static coroutine void
serve_in_own_memory (Outcome *outcome)
{
  char buf[3];
  int connection;
#include "pages/ipc_listen_mem.inc"
  test_assert_ok (s);
  connection = test_assert_ok (ipc_accept (s, -1));
  test_assert_ok (bsend (connection, "ABC", 3, -1));
  test_assert_ok (brecv (connection, buf, sizeof buf, -1));
  g_assert_cmpmem (buf, sizeof buf, "DEF", 3);
  test_assert_ok (ipc_close (connection));
  test_assert_ok (ipc_close (s));
  outcome->server_done = TRUE;
}

/* Runs the client against SERVER, which has been started. */
static void
run_client (const TestDir *test, Outcome *outcome, int server)
{
  int client;

  test_assert_ok (server);
  g_assert_false (outcome->server_done);
  client = test_assert_ok (go (call (outcome)));
  test_iterate_until (outcome->server_done && outcome->client_done);
  test_assert_ok (hclose (server));
  test_assert_ok (hclose (client));
  test_assert_errno (access (test->path, F_OK), ENOENT);
}

static void
test_accept_mem (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Outcome outcome = { FALSE, FALSE };

  own_path = test->path;
  run_client (test, &outcome, go (serve (&outcome)));
}

static void
test_listen_mem (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Outcome outcome = { FALSE, FALSE };

  own_path = test->path;
  run_client (test, &outcome, go (serve_in_own_memory (&outcome)));
}

static void
test_listen_mem_other_edition (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Outcome outcome = { FALSE, FALSE };

  own_path = test->path;
  run_client (test, &outcome, go (serve_other_edition (&outcome)));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (as_they_stand); i++)
    g_assert_nonnull (as_they_stand[i]);

  test_add ("/compat/reference-pages/accept-mem", test_accept_mem);
  test_add ("/compat/reference-pages/listen-mem", test_listen_mem);
  test_add ("/compat/reference-pages/listen-mem-other-edition", test_listen_mem_other_edition);

  return g_test_run ();
}
