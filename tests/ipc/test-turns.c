/* test-turns.c: however fast a peer is, and however little there is to wait for, timers of the same priority have their
 * turn within 10 ms, those of a lower one within 20, and deadlines are kept.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "descriptor-utils.h"
#include "turn-utils.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

/* How long calls that never have to wait are made, in microseconds of processor time. */
#define WATCHED_US (50000 * test_slowdown ())

/* How long transfers go on that would never end, in milliseconds. */
#define TRANSFER_MS (300 * test_slowdown ())

/* Two timers whose turns are watched. */
typedef struct
{
  Neighbour equal, lower;
  GSource *sources[2];
} Watched;

static void
watched_init (Watched *watched)
{
  watched->sources[0] = add_neighbour (g_timeout_source_new (1), G_PRIORITY_DEFAULT, &watched->equal, "timer");
  watched->sources[1] = add_neighbour (g_timeout_source_new (1), G_PRIORITY_LOW, &watched->lower, "low timer");
}

static void
watched_check (Watched *watched)
{
  check_neighbour (&watched->equal, EQUAL_MAX_US);
  check_neighbour (&watched->lower, LOWER_MAX_US);
  remove_source (watched->sources[0]);
  remove_source (watched->sources[1]);
}

static void
in_coroutine (DillFunc func, void *data)
{
  int h = test_assert_ok (dill_spawn (func, data));

  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
}

/* How many turns a timer has had since a deadline: the call ought to end before it has had many. */
typedef struct
{
  int64_t deadline;
  guint n_late;
} Lateness;

static gboolean
count_late (gpointer data)
{
  Lateness *lateness = data;

  lateness->n_late += dill_now () > lateness->deadline;
  return G_SOURCE_CONTINUE;
}

/* Makes a call that would go on far beyond its deadline. */
static void
check_transfer (DillFunc func, Call *call, bool is_coroutine)
{
  Lateness lateness = { .deadline = dill_now () + TRANSFER_MS };
  guint id = g_timeout_add (1, count_late, &lateness);
  Watched watched;

  call->deadline = lateness.deadline;
  watched_init (&watched);
  if (is_coroutine)
    in_coroutine (func, call);
  else
    func (call);
  assert_call_errno (*call, ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, call->deadline);
  g_assert_cmpuint (lateness.n_late, <=, 5);
  watched_check (&watched);
  g_source_remove (id);
}

static gpointer
drain (gpointer data)
{
  g_autofree char *bytes = g_malloc (65536);
  int fd = GPOINTER_TO_INT (data);

  while (read (fd, bytes, 65536) > 0)
    continue;
  close (fd);
  return NULL;
}

/* Sends 64 GiB, or with 32 bits as much as one call can, all of it the same megabyte. */
static void
send_much (void *data)
{
  enum
  {
    N = sizeof (void *) < 8 ? 2047 : 1 << 16,
    LENGTH = 1 << 20
  };
  g_autofree struct dill_iolist *items = g_new0 (struct dill_iolist, N);
  g_autofree char *bytes = g_malloc0 (LENGTH);
  Call *call = data;

  for (guint i = 0; i < N; i++)
    items[i] = (struct dill_iolist) { bytes, LENGTH, i + 1 < N ? &items[i + 1] : NULL, 0 };
  call_done (call, dill_bsendl (call->s, &items[0], &items[N - 1], call->deadline));
}

/* A peer that sends, or receives, as fast as it can, and what meets it. */
typedef struct
{
  GThreadFunc peer;
  DillFunc func;
  bool is_coroutine;
} Fast;

static void
test_fast_peer (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Fast *fast = data;
  Call call = { .buffer = NULL, .length = SSIZE_MAX };
  GThread *thread;
  int fd;

  if (sizeof (void *) < 8)
    {
      g_test_skip ("the 2 GiB that one call can transfer with 32 bits may be through before the deadline");
      return;
    }

  make_half_pair (&call.s, &fd);
  thread = g_thread_new ("peer", fast->peer, GINT_TO_POINTER (fd));
  check_transfer (fast->func, &call, fast->is_coroutine);
  g_assert_no_errno (dill_hclose (call.s));
  test_thread_join (thread);
}

/* Who may not wait at all gives up in the end: not the first time that nothing is there, which may never be. */
static void
test_fast_peer_of_try (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Fast *fast = data;
  Call call = { .buffer = NULL, .length = SSIZE_MAX, .deadline = 0 };
  int64_t start;
  GThread *thread;
  int fd;

  make_half_pair (&call.s, &fd);
  thread = g_thread_new ("peer", fast->peer, GINT_TO_POINTER (fd));
  if (fast->func == call_brecv)
    g_assert_no_errno (dill_brecv (call.s, NULL, 1, soon ()));
  start = dill_now ();
  fast->func (&call);
  assert_call_errno (call, ETIMEDOUT);
  g_assert_cmpint (dill_now () - start, <, 500 * TEST_LIMIT_SECONDS);
  g_assert_no_errno (dill_hclose (call.s));
  test_thread_join (thread);
}

/* A socket that holds so much that it takes long, though none of it has to be waited for. */
enum
{
  MUCH = 96 << 20
};

static bool
make_room (int fd)
{
  int room = 2 * MUCH;

  if (setsockopt (fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) == 0)
    return true;

  g_test_skip ("only root can make a socket hold more than the system's limit");
  return false;
}

static void
test_much_is_there (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int s, fd, unread;
  Watched watched;
  gsize there;

  make_half_pair (&s, &fd);
  if (make_room (fd))
    {
      there = fill_socket (fd);
      g_assert_cmpuint (there, >, 1 << 20);
      watched_init (&watched);
      g_assert_no_errno (dill_brecv (s, NULL, there, -1));
      watched_check (&watched);

      fill_socket (fd);
      test_assert_errno (dill_brecv (s, NULL, SSIZE_MAX, dill_now () + 2), ETIMEDOUT);
      g_assert_no_errno (ioctl (fd, SIOCOUTQ, &unread));
      g_assert_cmpint (unread, >, 0); /* it stopped in the middle */
    }
  close (fd);
  g_assert_no_errno (dill_hclose (s));
}

/* A handle that is closed, and whose memory goes, in such a pause. */
static gboolean
close_handle (gpointer data)
{
  Call *call = data;

  g_assert_false (call->is_done);
  g_assert_no_errno (dill_hclose (call->s));
  memset (call->mem, 0xAA, DILL_IPC_SIZE);
  return G_SOURCE_REMOVE;
}

static void
test_closed_in_pause (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool sends = data != NULL;
  guint8 mem[DILL_IPC_SIZE];
  Call call = { .buffer = NULL, .length = SSIZE_MAX, .mem = mem, .deadline = -1 };
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  if (make_room (fds[sends ? 0 : 1]))
    {
      if (!sends)
        g_assert_cmpuint (fill_socket (fds[1]), >, 1 << 20);
      call.s = test_assert_ok (dill_ipc_fromfd_mem (fds[0], mem));
      g_timeout_add (1, close_handle, &call);
      (sends ? send_much : call_brecv) (&call);
      assert_call_errno (call, ECANCELED);
      for (gsize i = 0; i < sizeof mem; i++)
        g_assert_cmphex (mem[i], ==, 0xAA);
    }
  else
    close (fds[0]);
  close (fds[1]);
}

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
  gint64 end = processor_time () + WATCHED_US;

  while (processor_time () < end)
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
  static const Fast sender = { run_flood, call_brecv, false };
  static const Fast sender_of_coroutine = { run_flood, call_brecv, true };
  static const Fast reader = { drain, send_much, false };
  static const Fast reader_of_coroutine = { drain, send_much, true };

  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add_data ("/turns/fast-sender/main-stack", &sender, test_fast_peer);
  test_add_data ("/turns/fast-sender/coroutine", &sender_of_coroutine, test_fast_peer);
  test_add_data ("/turns/fast-reader/main-stack", &reader, test_fast_peer);
  test_add_data ("/turns/fast-reader/coroutine", &reader_of_coroutine, test_fast_peer);
  test_add_data ("/turns/fast-sender/try", &sender, test_fast_peer_of_try);
  test_add_data ("/turns/fast-reader/try", &reader, test_fast_peer_of_try);
  test_add ("/turns/much-is-there", test_much_is_there);
  test_add_data ("/turns/closed-in-pause/receiver", NULL, test_closed_in_pause);
  test_add_data ("/turns/closed-in-pause/sender", "sender", test_closed_in_pause);
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
