/* test-turns.c: calls that never have to wait, because what they need is there or because they fail at once, let others
 * run all the same: timers of the same priority have their turn within 10 ms, those of a lower one within 20.
 *
 * Single calls that go on for long are in test-long-transfers.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "descriptor-utils.h"
#include "turn-utils.h"

/* How long calls that never have to wait are made, in microseconds of processor time. */
#define WATCHED_US (50000 * test_slowdown ())

/* Calls that never have to wait, since what they need is put there before. */
typedef struct
{
  int s, fd;
  int ls, listening_fd;
  const char *path;
  void (*func) (void *data);
  guint n;
} World;

static void
feed (World *world)
{
  if (world->n++ % 1024 == 0)
    fill_socket (world->fd);
}

static void
brecv_byte (void *data)
{
  World *world = data;
  char byte;

  feed (world);
  g_assert_no_errno (dill_brecv (world->s, &byte, 1, -1));
}

static void
brecv_some_of_buffer (void *data)
{
  World *world = data;
  char byte;

  feed (world);
  g_assert_cmpint (dill_brecv_some (world->s, &byte, 1, -1), ==, 1);
}

static void
brecv_some_at_once (void *data)
{
  static char bytes[4096];
  World *world = data;

  write_all (world->fd, bytes, sizeof bytes);
  g_assert_cmpint (dill_brecv_some (world->s, bytes, sizeof bytes, -1), ==, sizeof bytes);
}

static void
bsend_byte (void *data)
{
  World *world = data;
  char byte;

  g_assert_no_errno (dill_bsend (world->s, "x", 1, -1));
  read_all (world->fd, &byte, 1);
}

static void
recvfd (void *data)
{
  World *world = data;

  g_assert_cmpint (send_with_files (world->fd, "x", 1, STDIN_FILENO, 1), ==, 1);
  close (test_assert_ok (dill_ipc_recvfd (world->s, -1)));
}

static void
sendfd (void *data)
{
  World *world = data;
  char byte;

  g_assert_no_errno (dill_ipc_sendfd (world->s, STDIN_FILENO, -1));
  read_all (world->fd, &byte, 1);
}

static void
accept_one (void *data)
{
  World *world = data;
  int client = connect_raw (world->path);

  g_assert_no_errno (dill_hclose (test_assert_ok (dill_ipc_accept (world->ls, -1))));
  close (client);
}

static void
connect_one (void *data)
{
  World *world = data;
  int s = test_assert_ok (dill_ipc_connect (world->path, -1));

  close (test_assert_ok (accept (world->listening_fd, NULL, NULL)));
  g_assert_no_errno (dill_hclose (s));
}

/* What fails at once, and is tried again at once. */

static void
recvfd_without_any (void *data)
{
  World *world = data;

  feed (world);
  test_assert_errno (dill_ipc_recvfd (world->s, -1), EPROTO);
}

static void
accept_after_shutdown (void *data)
{
  World *world = data;

  g_assert_no_errno (shutdown (world->listening_fd, SHUT_RDWR));
  test_assert_errno (dill_ipc_accept (world->ls, -1), EINVAL);
}

static void
connect_nowhere (void *data G_GNUC_UNUSED)
{
  test_assert_errno (dill_ipc_connect ("/", -1), ECONNREFUSED);
}

static void
go_on (void *data)
{
  World *world = data;
  Stretch stretch = stretch_begin (WATCHED_US);

  while (stretch_goes_on (&stretch))
    world->func (world);
}

static void
test_ready (TestDir *test, gconstpointer data)
{
  World world = { .path = test->path, .func = (DillFunc) data };
  Watched watched;

  make_half_pair (&world.s, &world.fd);
  world.ls = listen_with_duplicate (test->path, NULL, &world.listening_fd);
  watched_init (&watched);
  in_coroutine (go_on, &world);
  watched_check (&watched);

  watched_init (&watched);
  go_on (&world); /* on the main stack */
  watched_check (&watched);
  g_assert_no_errno (dill_hclose (world.ls));
  g_assert_no_errno (dill_hclose (world.s));
  close (world.listening_fd);
  close (world.fd);
}

#define add_ready(name, func) test_add_data ("/turns/ready/" name, (gconstpointer) func, test_ready)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  add_ready ("brecv", brecv_byte);
  add_ready ("brecv-some-of-buffer", brecv_some_of_buffer);
  add_ready ("brecv-some-at-once", brecv_some_at_once);
  add_ready ("bsend", bsend_byte);
  add_ready ("recvfd", recvfd);
  add_ready ("sendfd", sendfd);
  add_ready ("accept", accept_one);
  add_ready ("connect", connect_one);
  add_ready ("recvfd-without-any", recvfd_without_any);
  add_ready ("accept-after-shutdown", accept_after_shutdown);
  add_ready ("connect-nowhere", connect_nowhere);
  return g_test_run ();
}
