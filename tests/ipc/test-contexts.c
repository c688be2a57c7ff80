/* test-contexts.c: a wait on a connection or listener goes on under the thread-default context of the moment, whatever
 * the handle's home is, and at home again afterwards.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

#include <sys/epoll.h>
#include <sys/syscall.h>

/* A peer that acts by itself, in a thread that is started when this side waits. */
typedef struct
{
  int fd;
  gsize to_write;
  gsize to_read;
  GThread *thread;
} Peer;

static gpointer
run_peer (gpointer data)
{
  Peer *peer = data;
  g_autofree char *bytes = g_malloc0 (MAX (peer->to_write, peer->to_read) + 1);

  write_all (peer->fd, bytes, peer->to_write);
  read_all (peer->fd, bytes, peer->to_read);
  return NULL;
}

static gboolean
start_peer (gpointer data)
{
  Peer *peer = data;

  peer->thread = g_thread_new ("peer", run_peer, peer);
  return G_SOURCE_REMOVE;
}

static void
join_peer (Peer *peer)
{
  g_assert_nonnull (peer->thread); /* what it helped to has waited */
  g_thread_join (peer->thread);
}

static void
exchange_with (int s, int fd)
{
  enum
  {
    LENGTH = 600 * 1000
  };
  g_autofree char *bytes = g_malloc0 (LENGTH);
  Peer writer = { .fd = fd, .to_write = 100 }, reader = { .fd = fd, .to_read = LENGTH };

  call_when_waiting (start_peer, &writer);
  g_assert_no_errno (dill_brecv (s, bytes, 100, soon ()));
  join_peer (&writer);
  call_when_waiting (start_peer, &reader);
  g_assert_no_errno (dill_bsend (s, bytes, LENGTH, soon ()));
  join_peer (&reader);
  test_assert_errno (dill_brecv_some (s, bytes, 1, dill_now () + 2), ETIMEDOUT);
}

static void
test_connection_away_and_home (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool home_first = GPOINTER_TO_SIZE (data);
  guint n_default = 0, id = g_timeout_add (1, count_calls, &n_default);
  int s, fd;

  make_half_pair (&s, &fd);
  if (home_first)
    exchange_with (s, fd);
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr (GMainContext) context = g_main_context_new ();
      guint n_before;

      g_main_context_push_thread_default (context);
      n_before = n_default;
      exchange_with (s, fd);
      exchange_with (s, fd);
      g_assert_cmpuint (n_default, ==, n_before); /* only the private context's sources run */
      g_main_context_pop_thread_default (context);
      exchange_with (s, fd);
      for (guint j = 0; j < 20 && n_default == n_before; j++) /* it may have had to wait for less than the timer does */
        exchange_with (s, fd);
      g_assert_cmpuint (n_default, >, n_before);
      if (i == 2) /* the context goes before the next one comes, perhaps at the same address */
        g_clear_pointer (&context, g_main_context_unref);
    }
  g_source_remove (id);
  close (fd);
  g_assert_no_errno (dill_hclose (s));
}

static int watched_fd = -1;
static guint n_registrations;

int epoll_ctl (int epoll_fd, int operation, int fd, struct epoll_event *event);

/* Counts what the library asks the kernel. */
int
epoll_ctl (int epoll_fd, int operation, int fd, struct epoll_event *event)
{
  n_registrations += operation == EPOLL_CTL_ADD && fd == watched_fd;
  return (int) syscall (SYS_epoll_ctl, epoll_fd, operation, fd, event);
}

/* However often somebody waits there; at home too. */
static void
test_registered_once (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  int fds[2], s;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  watched_fd = fds[0];
  n_registrations = 0;
  s = test_assert_ok (dill_ipc_fromfd (fds[0]));
  for (guint i = 0; i < 3; i++)
    {
      exchange_with (s, fds[1]);
      g_main_context_push_thread_default (context);
      exchange_with (s, fds[1]);
      exchange_with (s, fds[1]);
      g_main_context_pop_thread_default (context);
    }
  g_assert_cmpuint (n_registrations, <=, 2); /* none where there is no epoll */
  watched_fd = -1;
  close (fds[1]);
  g_assert_no_errno (dill_hclose (s));
}

typedef struct
{
  const char *path;
  int fd;
} Client;

static gboolean
connect_client (gpointer data)
{
  Client *client = data;

  client->fd = connect_raw (client->path);
  return G_SOURCE_REMOVE;
}

static void
test_listener_away_and_home (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5));

  for (guint i = 0; i < 4; i++)
    {
      g_autoptr (GMainContext) context = i & 1 ? NULL : g_main_context_new ();
      Client client = { .path = test->path, .fd = -1 };
      int s;

      if (context != NULL)
        g_main_context_push_thread_default (context);
      call_when_waiting (connect_client, &client);
      s = test_assert_ok (dill_ipc_accept (ls, soon ()));
      g_assert_cmpint (client.fd, >=, 0);
      exchange_with (s, client.fd);
      if (context != NULL)
        g_main_context_pop_thread_default (context);
      exchange_with (s, client.fd);
      close (client.fd);
      g_assert_no_errno (dill_hclose (s));
    }
  g_assert_no_errno (dill_hclose (ls));
}

/* A coroutine at home and a wait elsewhere stand in one queue. */
static void
test_acceptors_of_two_contexts (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), clients[2], h, s;
  Call call = { .s = ls, .deadline = -1 };
  char byte;

  h = start_call (call_accept, &call);
  for (guint i = 0; i < 2; i++)
    {
      clients[i] = connect_raw (test->path);
      write_all (clients[i], i == 0 ? "a" : "b", 1);
    }
  g_main_context_push_thread_default (context);
  s = test_assert_ok (dill_ipc_accept (ls, soon ()));
  g_assert_false (call.is_done); /* its context has not turned */
  g_main_context_pop_thread_default (context);
  g_assert_no_errno (dill_brecv (s, &byte, 1, soon ()));
  g_assert_cmpint (byte, ==, 'b');
  finish_call (h, &call);
  g_assert_no_errno (dill_hclose (s));
  s = test_assert_ok ((int) call.result);
  g_assert_no_errno (dill_brecv (s, &byte, 1, soon ()));
  g_assert_cmpint (byte, ==, 'a');
  g_assert_no_errno (dill_hclose (s));
  g_assert_no_errno (dill_hclose (ls));
  close (clients[0]);
  close (clients[1]);
}

typedef struct
{
  int s;
  bool is_closed;
} Victim;

static gboolean
close_victim (gpointer data)
{
  Victim *victim = data;

  g_assert_no_errno (dill_hclose (victim->s));
  victim->is_closed = true;
  return G_SOURCE_REMOVE;
}

/* Closed from a callback of the context under which somebody waits away from home. */
static void
test_closed_while_waiting_away (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Victim victim = { .is_closed = false };
  char byte;
  int fd;

  make_half_pair (&victim.s, &fd);
  exchange_with (victim.s, fd);
  g_main_context_push_thread_default (context);
  call_when_waiting (close_victim, &victim);
  test_assert_errno (dill_brecv (victim.s, &byte, 1, soon ()), ECANCELED);
  g_assert_true (victim.is_closed);
  g_main_context_pop_thread_default (context);
  close (fd);
}

static void
test_close_away (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Peer reader = { .to_read = 3 };
  int s, fd;

  make_half_pair (&s, &fd);
  exchange_with (s, fd);
  reader.fd = fd;
  g_assert_no_errno (dill_bsend (s, "abc", 3, soon ()));
  g_main_context_push_thread_default (context);
  g_assert_no_errno (shutdown (fd, SHUT_WR));
  call_when_waiting (start_peer, &reader);
  g_assert_no_errno (dill_ipc_close (s, soon ()));
  join_peer (&reader);
  g_main_context_pop_thread_default (context);
  close (fd);
}

/* A call with a connection of its own, whose peer never does anything, or, if it is to send, with one that is full. */
static void
refuse (DillFunc func, bool sends)
{
  char byte = 'x';
  Call call = { .buffer = &byte, .length = 1, .deadline = -1 };
  int s[2];

  make_pair (s);
  if (sends)
    fill_connection (s[0]);
  call.s = s[0];
  test_expect_critical ("*cannot wait*another one is running*", func (&call));
  assert_call_errno (call, ENOTSUP);
  if (func == call_close)
    test_assert_errno (dill_hclose (s[0]), EBADF); /* it is gone in any case */
  else
    g_assert_no_errno (dill_hclose (s[0]));
  g_assert_no_errno (dill_hclose (s[1]));
}

/* Who need not wait does not, however long others have: no pause is due to them there. */
static void
transfer_without_waiting (void)
{
  int s[2];

  make_pair (s);
  be_busy ();
  for (guint i = 0; i < N_CALLS; i++)
    {
      g_assert_no_errno (dill_bsend (s[0], "x", 1, -1));
      g_assert_no_errno (dill_ipc_sendfd (s[0], STDIN_FILENO, -1));
    }
  be_busy ();
  g_assert_no_errno (dill_brecv (s[1], NULL, 2 * N_CALLS, -1));
  close_pair (s);
}

/* Has the default context for itself, from its first word to the main thread until that has answered. */
static gpointer
own_default_context (gpointer data)
{
  GAsyncQueue **queues = data;

  g_assert_true (g_main_context_acquire (NULL));
  g_async_queue_push (queues[0], queues);
  g_async_queue_pop (queues[1]);
  g_main_context_release (NULL);
  return NULL;
}

/* Whatever has to wait cannot, where another thread runs the context: a misuse, which harms nobody. */
static void
test_foreign_context (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  GAsyncQueue *queues[] = { g_async_queue_new (), g_async_queue_new () };
  GThread *thread = g_thread_new ("owner", own_default_context, queues);
  int ls = test_assert_ok (dill_ipc_listen (test->path, 1)), s;
  char mem[DILL_IPC_SIZE];

  g_async_queue_pop (queues[0]);
  transfer_without_waiting ();
  refuse (call_brecv, false);
  refuse (call_brecv_some, false);
  refuse (call_recvfd, false);
  refuse (call_bsend, true);
  refuse (call_sendfd, true);
  refuse (call_close, false);

  test_expect_critical ("*cannot wait*", test_assert_errno (dill_ipc_accept (ls, -1), ENOTSUP));
  test_expect_critical ("*cannot wait*", test_assert_errno (dill_ipc_accept_mem (ls, mem, -1), ENOTSUP));
  s = test_assert_ok (dill_ipc_connect (test->path, -1)); /* for which there is room */
  test_expect_critical ("*cannot wait*", test_assert_errno (dill_ipc_connect (test->path, -1), ENOTSUP));
  test_expect_critical ("*cannot wait*", test_assert_errno (dill_ipc_connect_mem (test->path, mem, soon ()), ENOTSUP));
  test_expect_critical ("*cannot wait*", test_assert_errno (dill_ipc_connect_full (test->path, 0, mem, -1), ENOTSUP));
  test_assert_errno (dill_ipc_connect (test->path, 0), ETIMEDOUT);
  g_assert_no_errno (dill_hclose (s));
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_ipc_accept (ls, 0))));

  g_async_queue_push (queues[1], queues);
  g_thread_join (thread);
  g_async_queue_unref (queues[0]);
  g_async_queue_unref (queues[1]);
  test_assert_errno (dill_ipc_accept (ls, dill_now () + 5), ETIMEDOUT);
  g_assert_no_errno (dill_hclose (ls));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add_data ("/contexts/connection/away-first", GSIZE_TO_POINTER (false), test_connection_away_and_home);
  test_add_data ("/contexts/connection/home-first", GSIZE_TO_POINTER (true), test_connection_away_and_home);
  test_add ("/contexts/connection/registered-once", test_registered_once);
  test_add ("/contexts/listener", test_listener_away_and_home);
  test_add ("/contexts/acceptors-of-two-contexts", test_acceptors_of_two_contexts);
  test_add ("/contexts/closed-while-waiting-away", test_closed_while_waiting_away);
  test_add ("/contexts/close-away", test_close_away);
  test_add ("/contexts/foreign", test_foreign_context);
  return g_test_run ();
}
