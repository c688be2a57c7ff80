/* test-memory.c: objects in the caller's memory stand at any alignment, keep to their bytes, and are never touched
 * after they were closed, though those who waited have yet to run.  An idle connection holds no buffer.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

#include "ipc/connection.h"
#include <sys/mman.h>
#include <sys/syscall.h>

#define GUARD 64

/* Memory of SIZE bytes between guards; sixteen offsets in a row make every alignment. */
typedef struct
{
  guint8 *block;
  guint8 *mem;
  gsize size;
} Guarded;

static void *
guarded_init (Guarded *guarded, gsize size, guint offset)
{
  guarded->block = g_malloc (GUARD + 16 + size + GUARD);
  guarded->mem = guarded->block + GUARD + offset;
  guarded->size = size;
  memset (guarded->block, 0x5C, GUARD + 16 + size + GUARD);
  return guarded->mem;
}

static void
guarded_check (const Guarded *guarded)
{
  const guint8 *end = guarded->block + GUARD + 16 + guarded->size + GUARD;

  for (const guint8 *byte = guarded->block; byte < end; byte++)
    if (byte < guarded->mem || byte >= guarded->mem + guarded->size)
      g_assert_cmphex (*byte, ==, 0x5C);
}

static void
guarded_clear (Guarded *guarded)
{
  guarded_check (guarded);
  g_free (guarded->block);
}

/* Both ends work, in both directions, with waiting. */
static void
exchange (int a, int b)
{
  for (guint i = 0; i < 2; i++)
    {
      char bytes[3];
      Call call = { .s = i == 0 ? a : b, .buffer = bytes, .length = 3, .deadline = -1 };
      int h = start_call (call_brecv, &call);

      g_assert_no_errno (dill_bsend (i == 0 ? b : a, "abc+", 4, soon ()));
      finish_call (h, &call);
      g_assert_cmpmem (bytes, 3, "abc", 3);
    }
}

static void
test_alignment (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  for (guint offset = 0; offset < 16; offset++)
    {
      Guarded memory[6];
      int ls, a, b, fds[2], s[2];
      char *path = g_strdup_printf ("%s-%u", test->path, offset);

      ls = test_assert_ok (dill_ipc_listen_mem (path, 5, guarded_init (&memory[0], DILL_IPC_LISTENER_SIZE, offset)));
      a = test_assert_ok (dill_ipc_connect_mem (path, guarded_init (&memory[1], DILL_IPC_SIZE, offset), soon ()));
      b = test_assert_ok (dill_ipc_accept_mem (ls, guarded_init (&memory[2], DILL_IPC_SIZE, offset), soon ()));
      exchange (a, b);

      g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
      s[0] = test_assert_ok (dill_ipc_fromfd_mem (fds[0], guarded_init (&memory[3], DILL_IPC_SIZE, offset)));
      s[1] = test_assert_ok (dill_ipc_fromfd (fds[1]));
      exchange (s[0], s[1]);
      close_pair (s);

      g_assert_no_errno (dill_ipc_pair_mem (guarded_init (&memory[4], DILL_IPC_PAIR_SIZE, offset), s));
      exchange (s[0], s[1]);
      close_pair (s);

      g_assert_no_errno (dill_hclose (ls));
      ls = listen_raw (path, 1);
      ls = test_assert_ok (
          dill_ipc_listener_fromfd_mem (ls, guarded_init (&memory[5], DILL_IPC_LISTENER_SIZE, offset)));
      test_assert_errno (dill_ipc_accept (ls, dill_now () + 1), ETIMEDOUT);
      g_assert_no_errno (dill_hclose (a));
      g_assert_no_errno (dill_hclose (b));
      g_assert_no_errno (dill_hclose (ls));
      for (guint i = 0; i < G_N_ELEMENTS (memory); i++)
        guarded_clear (&memory[i]);
      g_free (path);
    }
}

/* The half of a pair is closed, and its memory is reused, while the other half works on. */
static void
test_halves_of_pair (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  for (guint first = 0; first < 2; first++)
    {
      char mem[DILL_IPC_PAIR_SIZE], bytes[2];
      int s[2];

      g_assert_no_errno (dill_ipc_pair_mem (mem, s));
      g_assert_no_errno (dill_bsend (s[first], "ab", 2, 0));
      g_assert_no_errno (dill_hclose (s[first]));
      g_assert_no_errno (dill_brecv (s[1 - first], bytes, 2, soon ()));
      g_assert_cmpmem (bytes, 2, "ab", 2);
      g_assert_no_errno (dill_hclose (s[1 - first]));
    }
}

/* Memory that vanishes, or is overwritten, as soon as its object is closed. */
static void *
vanishing_new (void)
{
  void *mem = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  g_assert_true (mem != MAP_FAILED);
  return mem;
}

static void
vanish (void *mem, bool by_unmapping)
{
  memset (mem, 0xAA, 4096);
  if (by_unmapping)
    g_assert_no_errno (mprotect (mem, 4096, PROT_NONE));
}

static void
vanishing_free (void *mem, bool by_unmapping)
{
  if (!by_unmapping)
    for (guint i = 0; i < 4096; i++)
      g_assert_cmphex (((guint8 *) mem)[i], ==, 0xAA);
  g_assert_no_errno (munmap (mem, 4096));
}

/* What happens to waiters before they learn that the handle is closed. */
typedef struct
{
  int duplicate; /* of a listener's descriptor, or -1 */
  int s;
  void *mem;
  bool by_unmapping;
  bool by_close;
  bool woken_before;
} Closer;

static void
close_and_vanish (void *data)
{
  Closer *closer = data;

  /* Ready before the waiters, and so run before them. */
  if (closer->duplicate >= 0)
    yield_until_accepted (closer->duplicate);
  else
    g_assert_no_errno (dill_yield ());
  if (closer->woken_before && dill_poller_reports_edges)
    {
      struct dill_connection *connection = dill_connection_get (closer->s);

      g_assert_cmpint (dill_wait_at (connection->watch.in.next)->outcome, ==, DILL_READY);
      g_assert_cmpint (dill_wait_at (connection->watch.out.next)->outcome, ==, DILL_READY);
    }

  if (closer->by_close)
    (void) dill_ipc_close (closer->s, 0);
  else
    g_assert_no_errno (dill_hclose (closer->s));
  vanish (closer->mem, closer->by_unmapping);
}

static void
check_waiters (bool by_unmapping, bool by_close, bool woken_before)
{
  gsize length = 300 * 1000;
  g_autofree char *bytes = g_malloc0 (length);
  char received[4], dropped[65536];
  Call in = { .buffer = received, .length = 4, .deadline = -1 };
  Call out = { .buffer = bytes, .length = length, .deadline = -1 };
  Closer closer = { .duplicate = -1, .by_unmapping = by_unmapping, .by_close = by_close, .woken_before = woken_before };
  int fds[2], h, h_in, h_out;

  closer.mem = vanishing_new ();
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  in.s = out.s = closer.s = test_assert_ok (dill_ipc_fromfd_mem (fds[0], closer.mem));
  h = test_assert_ok (dill_spawn (close_and_vanish, &closer));
  h_in = start_call (call_brecv, &in);
  h_out = start_call (call_bsend, &out);
  if (woken_before)
    {
      write_all (fds[1], "abcd", 4);
      while (recv (fds[1], dropped, sizeof dropped, MSG_DONTWAIT) > 0)
        continue;
    }
  finish_call (h_in, &in);
  finish_call (h_out, &out);
  assert_call_errno (in, ECANCELED);
  assert_call_errno (out, ECANCELED);
  g_assert_no_errno (dill_hclose (h));
  vanishing_free (closer.mem, by_unmapping);
  close (fds[1]);
}

static void
test_connection_is_left_alone (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  for (guint i = 0; i < 8; i++)
    check_waiters (i & 1, i & 2, i & 4);
}

static void
test_listener_is_left_alone (TestDir *test, gconstpointer data)
{
  bool by_unmapping = GPOINTER_TO_SIZE (data);

  for (guint n_clients = 0; n_clients < 3; n_clients++)
    {
      Closer closer = { .duplicate = -1, .mem = vanishing_new (), .by_unmapping = by_unmapping };
      int clients[2], h, h_calls[3];
      void *mem[3];
      Call calls[3];

      closer.s = listen_with_duplicate (test->path, closer.mem, &closer.duplicate);
      h = test_assert_ok (dill_spawn (close_and_vanish, &closer));
      for (guint i = 0; i < 3; i++)
        {
          mem[i] = vanishing_new ();
          calls[i] = (Call) { .s = closer.s, .mem = mem[i], .deadline = -1 };
          h_calls[i] = start_call (call_accept, &calls[i]);
        }
      for (guint i = 0; i < n_clients; i++)
        clients[i] = connect_raw (test->path);
      for (guint i = 0; i < 3; i++)
        {
          finish_call (h_calls[i], &calls[i]);
          if (i < n_clients)
            g_assert_no_errno (dill_hclose (test_assert_ok ((int) calls[i].result)));
          else
            assert_call_errno (calls[i], ECANCELED);
          vanish (mem[i], by_unmapping);
        }
      g_assert_no_errno (dill_msleep (dill_now () + 1)); /* the loop turns on without them */
      for (guint i = 0; i < 3; i++)
        vanishing_free (mem[i], by_unmapping);
      for (guint i = 0; i < n_clients; i++)
        close (clients[i]);
      g_assert_no_errno (dill_hclose (h));
      vanishing_free (closer.mem, by_unmapping);
      close (closer.duplicate);
      g_assert_no_errno (unlink (test->path));
    }
}

/* An acceptor's memory is its own again when it was cancelled, whatever comes later. */
static void
test_unused_memory_is_left_alone (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), client, h;
  Call call = { .s = ls, .mem = vanishing_new (), .deadline = -1 };

  h = start_call (call_accept, &call);
  g_assert_no_errno (dill_hclose (h));
  vanish (call.mem, true);
  client = connect_raw (test->path);
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_ipc_accept (ls, soon ()))));
  vanishing_free (call.mem, true);
  close (client);
  g_assert_no_errno (dill_hclose (ls));
}

static void
test_idle_connection_has_no_buffer (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  struct dill_connection *connection;
  char bytes[10];
  Call call = { .buffer = bytes, .length = 4, .deadline = -1 };
  int s[2], h;

  make_pair (s);
  connection = dill_connection_get (s[1]);
  g_assert_null (connection->buffer);
  call.s = s[1];
  h = start_call (call_brecv, &call);
  g_assert_null (connection->buffer); /* waiting */
  g_assert_no_errno (dill_bsend (s[0], "abcdef", 6, soon ()));
  finish_call (h, &call);
  g_assert_nonnull (connection->buffer); /* "ef" */
  g_assert_no_errno (dill_brecv (s[1], bytes, 1, soon ()));
  g_assert_nonnull (connection->buffer);
  g_assert_no_errno (dill_brecv (s[1], bytes, 1, soon ()));
  g_assert_null (connection->buffer);
  test_assert_errno (dill_brecv_some (s[1], bytes, 1, dill_now () + 1), ETIMEDOUT);
  g_assert_null (connection->buffer);
  test_assert_errno (dill_brecv (s[1], bytes, 1, dill_now () + 1), ETIMEDOUT);
  g_assert_null (connection->buffer);
  close_pair (s);
}

/* Counts what the library, linked in statically, asks the kernel. */
static guint n_recvmsg;

ssize_t recvmsg (int fd, struct msghdr *message, int flags);

ssize_t
recvmsg (int fd, struct msghdr *message, int flags)
{
  n_recvmsg++;
  return syscall (SYS_recvmsg, fd, message, flags);
}

static void
receive_messages (void *data)
{
  Call *call = data;

  for (guint i = 0; i < 100; i++)
    {
      guint8 length, body[255];

      g_assert_no_errno (dill_brecv (call->s, &length, 1, soon ()));
      g_assert_no_errno (dill_brecv (call->s, body, length, soon ()));
      g_assert_no_errno (dill_bsend (call->s, "k", 1, soon ()));
    }
  call_done (call, 0);
}

static void
test_message_costs_one_call (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  guint8 message[101] = { 100 };
  Call call = { .deadline = -1 };
  int s, peer, h;

  make_half_pair (&s, &peer);
  call.s = s;
  h = start_call (receive_messages, &call);
  n_recvmsg = 0;
  for (guint i = 0; i < 100; i++)
    {
      struct pollfd poll_fd = { .fd = peer, .events = POLLIN };
      char byte;

      write_all (peer, message, sizeof message);
      test_iterate_until (poll (&poll_fd, 1, 0) == 1 || call.is_done);
      read_all (peer, &byte, 1);
    }
  finish_call (h, &call);
  g_assert_cmpuint (n_recvmsg, <=, 100 + 100 / 64 + 1); /* a guess in so many: test-guess.c */
  close (peer);
  g_assert_no_errno (dill_hclose (s));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/memory/alignment", test_alignment);
  test_add ("/memory/halves-of-pair", test_halves_of_pair);
  test_add ("/memory/left-alone/connection", test_connection_is_left_alone);
  test_add_data ("/memory/left-alone/listener-overwritten", GSIZE_TO_POINTER (false), test_listener_is_left_alone);
  test_add_data ("/memory/left-alone/listener-unmapped", GSIZE_TO_POINTER (true), test_listener_is_left_alone);
  test_add ("/memory/left-alone/unused", test_unused_memory_is_left_alone);
  test_add ("/memory/idle-connection-has-no-buffer", test_idle_connection_has_no_buffer);
  test_add ("/memory/message-costs-one-call", test_message_costs_one_call);
  return g_test_run ();
}
