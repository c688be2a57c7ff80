/* test-long-transfers.c: a call that transfers for long, because its peer keeps up or because much is there, lets
 * others run meanwhile, looks at its deadline, and ends when its handle is closed in such a pause.
 *
 * However fast the peer is, timers of the same priority have their turn within 10 ms, those of a lower one within 20,
 * and who may not wait at all gives up in the end.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"
#include "turn-utils.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

/* How long transfers go on that would never end, in milliseconds. */
#define TRANSFER_MS (300 * test_slowdown ())

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

  repeat_item (items, N, bytes, LENGTH);
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

int
main (int argc, char **argv)
{
  static const Fast sender = { run_flood, call_brecv, false };
  static const Fast sender_of_coroutine = { run_flood, call_brecv, true };
  static const Fast reader = { drain, send_much, false };
  static const Fast reader_of_coroutine = { drain, send_much, true };

  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add_data ("/long-transfers/fast-sender/main-stack", &sender, test_fast_peer);
  test_add_data ("/long-transfers/fast-sender/coroutine", &sender_of_coroutine, test_fast_peer);
  test_add_data ("/long-transfers/fast-reader/main-stack", &reader, test_fast_peer);
  test_add_data ("/long-transfers/fast-reader/coroutine", &reader_of_coroutine, test_fast_peer);
  test_add_data ("/long-transfers/fast-sender/try", &sender, test_fast_peer_of_try);
  test_add_data ("/long-transfers/fast-reader/try", &reader, test_fast_peer_of_try);
  test_add ("/long-transfers/much-is-there", test_much_is_there);
  test_add_data ("/long-transfers/closed-in-pause/receiver", NULL, test_closed_in_pause);
  test_add_data ("/long-transfers/closed-in-pause/sender", "sender", test_closed_in_pause);
  return g_test_run ();
}
