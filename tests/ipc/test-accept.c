/* test-accept.c: waiting acceptors are served first come, first served, and no connection is lost to one that times out
 * or is cancelled.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "accept-utils.h"

static void
test_first_come_first_served (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  enum
  {
    N = 100
  };
  int ls = test_assert_ok (dill_ipc_listen (test->path, N)), clients[N], h[N];
  int64_t start = dill_now ();
  Call calls[N];

  /* Long enough without a look at the main loop for the pauses that keep others going to fall due: they must not cost
   * anybody his place. */
  while (dill_now () < start + 5)
    continue;
  call_counter = 0;
  for (guint i = 0; i < N; i++)
    {
      calls[i] = (Call) { .s = ls, .deadline = -1 };
      h[i] = start_call (call_accept, &calls[i]);
    }
  for (guint i = 0; i < N; i++)
    clients[i] = connect_number (test->path, (guint8) i);
  for (guint i = 0; i < N; i++)
    {
      finish_call (h[i], &calls[i]);
      g_assert_cmpuint (calls[i].order, ==, i + 1);
      g_assert_cmpuint (take_number (test_assert_ok ((int) calls[i].result)), ==, i);
      close (clients[i]);
    }
  g_assert_no_errno (dill_hclose (ls));
}

/* Those who are told of a connection that another one gets go on to wait for the next. */
static void
test_one_by_one (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), h[3];
  Call calls[3];

  for (guint i = 0; i < 3; i++)
    {
      calls[i] = (Call) { .s = ls, .deadline = -1 };
      h[i] = start_call (call_accept, &calls[i]);
    }
  for (guint i = 0; i < 3; i++)
    {
      int client = connect_number (test->path, (guint8) i);

      finish_call (h[i], &calls[i]);
      g_assert_cmpuint (take_number (test_assert_ok ((int) calls[i].result)), ==, i);
      close (client);
    }
  g_assert_no_errno (dill_hclose (ls));
}

/* Even when a newcomer asks before the waiters, who were there first, have run. */
static void
test_newcomer_is_last (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), clients[2], h;
  Call call = { .s = ls, .deadline = -1 };

  h = start_call (call_accept, &call);
  clients[0] = connect_number (test->path, 0);
  clients[1] = connect_number (test->path, 1);
  g_assert_cmpuint (take_number (test_assert_ok (dill_ipc_accept (ls, soon ()))), ==, 1);
  finish_call (h, &call);
  g_assert_cmpuint (take_number (test_assert_ok ((int) call.result)), ==, 0);
  close (clients[0]);
  close (clients[1]);
  g_assert_no_errno (dill_hclose (ls));
}

/* Nor does one who cannot wait take what somebody waits for. */
static void
test_try_is_no_short_cut (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), client, h;
  Call call = { .s = ls, .deadline = -1 };

  h = start_call (call_accept, &call);
  client = connect_number (test->path, 0);
  test_assert_errno (dill_ipc_accept (ls, 0), ETIMEDOUT);
  finish_call (h, &call);
  g_assert_cmpuint (take_number (test_assert_ok ((int) call.result)), ==, 0);
  close (client);
  g_assert_no_errno (dill_hclose (ls));
}

static void
test_deadline (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5));
  int64_t start = dill_now ();
  char mem[DILL_IPC_SIZE];

  test_assert_errno (dill_ipc_accept_mem (ls, mem, 0), ETIMEDOUT);
  test_assert_errno (dill_ipc_accept (ls, start + 10), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, start + 10);
  for (int64_t deadline = 0; deadline < 2; deadline++)
    {
      int client;

      test_assert_errno (dill_ipc_accept (ls, deadline), ETIMEDOUT);
      client = connect_number (test->path, 7);
      g_assert_cmpuint (take_number (test_assert_ok (dill_ipc_accept (ls, deadline))), ==, 7);
      test_assert_errno (dill_ipc_accept (ls, deadline), ETIMEDOUT);
      close (client);
    }
  g_assert_no_errno (dill_hclose (ls));
}

static void
test_one_of_several_leaves (TestDir *test, gconstpointer data)
{
  bool by_time = GPOINTER_TO_SIZE (data);

  for (guint leaver = 0; leaver < 4; leaver++)
    {
      g_autofree char *path = g_strdup_printf ("%s-%u", test->path, leaver);
      int ls = test_assert_ok (dill_ipc_listen (path, 5)), clients[3], h[4];
      Call calls[4];

      for (guint i = 0; i < 4; i++)
        {
          calls[i] = (Call) { .s = ls, .deadline = by_time && i == leaver ? dill_now () + 3 : -1 };
          h[i] = start_call (call_accept, &calls[i]);
        }
      if (by_time)
        test_iterate_until (calls[leaver].is_done);
      else
        g_assert_no_errno (dill_hclose (h[leaver]));
      assert_call_errno (calls[leaver], by_time ? ETIMEDOUT : ECANCELED);

      for (guint i = 0; i < 3; i++)
        clients[i] = connect_number (path, (guint8) i);
      for (guint i = 0, n = 0; i < 4; i++)
        {
          if (i == leaver)
            continue;
          finish_call (h[i], &calls[i]);
          g_assert_cmpuint (take_number (test_assert_ok ((int) calls[i].result)), ==, n);
          close (clients[n++]);
        }
      if (by_time)
        g_assert_no_errno (dill_hclose (h[leaver]));
      g_assert_no_errno (dill_hclose (ls));
    }
}

/* Does something when CALL, an acceptor, has been given a connection, but has not run. */
typedef struct
{
  int duplicate; /* of the listener's descriptor */
  int (*act) (int h);
  int h;
  int result;
  Call *call;
} Early;

static void
act_early (void *data)
{
  Early *early = data;

  yield_until_accepted (early->duplicate);
  g_assert_false (early->call->is_done);
  early->result = test_assert_ok (early->act (early->h));
}

/* A waiter that has been given one keeps it when it is cancelled. */
static void
test_canceled_after_service (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Call call = { .deadline = -1 };
  Early early = { .act = dill_hclose, .call = &call };
  int client, h;

  call.s = listen_with_duplicate (test->path, NULL, &early.duplicate);
  h = test_assert_ok (dill_spawn (act_early, &early));
  early.h = start_call (call_accept, &call);
  client = connect_number (test->path, 3);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_true (call.is_done);
  g_assert_cmpuint (take_number (test_assert_ok ((int) call.result)), ==, 3);
  close (client);
  close (early.duplicate);
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (call.s));
}

/* Nor does it wait for the listener any more, whose end is none of its business. */
static void
test_ended_after_service (TestDir *test, gconstpointer data)
{
  bool is_stolen = data != NULL;
  Call call = { .deadline = -1 };
  Early early = { .act = is_stolen ? dill_ipc_steal_fd : dill_hclose, .call = &call };
  int client, h, h_call;

  call.s = early.h = listen_with_duplicate (test->path, NULL, &early.duplicate);
  h = test_assert_ok (dill_spawn (act_early, &early));
  h_call = start_call (call_accept, &call);
  client = connect_number (test->path, 9);
  finish_call (h_call, &call);
  g_assert_cmpuint (take_number (test_assert_ok ((int) call.result)), ==, 9);
  test_assert_errno (dill_ipc_accept (call.s, -1), EBADF);
  if (is_stolen)
    close (early.result);
  close (client);
  close (early.duplicate);
  g_assert_no_errno (dill_hclose (h));
}

static void
test_closed (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), h[3];
  Call calls[3];

  for (guint i = 0; i < 3; i++)
    {
      calls[i] = (Call) { .s = ls, .deadline = -1 };
      h[i] = start_call (call_accept, &calls[i]);
    }
  g_assert_no_errno (dill_hclose (ls));
  for (guint i = 0; i < 3; i++)
    g_assert_false (calls[i].is_done); /* closing only wakes them */
  for (guint i = 0; i < 3; i++)
    {
      finish_call (h[i], &calls[i]);
      assert_call_errno (calls[i], ECANCELED);
    }
}

/* Another process may have the socket too, and shut it down.  What has come before is accepted; then nothing comes any
 * more, and the kernel says for ever that the socket is ready, which must not be gone after without end. */
static void
test_shut_down (TestDir *test, gconstpointer data)
{
  Call calls[2];
  int duplicate, client, ls = listen_with_duplicate (test->path, NULL, &duplicate), h[2];

  client = connect_number (test->path, 8);
  g_assert_no_errno (shutdown (duplicate, GPOINTER_TO_INT (data)));
  g_assert_cmpuint (take_number (test_assert_ok (dill_ipc_accept (ls, soon ()))), ==, 8);
  for (guint i = 0; i < 2; i++)
    {
      calls[i] = (Call) { .s = ls, .deadline = soon () };
      h[i] = start_call (call_accept, &calls[i]);
    }
  for (guint i = 0; i < 2; i++)
    {
      finish_call (h[i], &calls[i]);
      assert_call_errno (calls[i], EINVAL);
    }
  test_assert_errno (dill_ipc_accept (ls, soon ()), EINVAL);
  test_assert_errno (dill_ipc_accept (ls, 0), EINVAL);
  close (client);
  close (duplicate);
  g_assert_no_errno (dill_hclose (ls));
}

static void
test_shut_down_meanwhile (TestDir *test, gconstpointer data)
{
  int duplicate, h;
  Call call = { .deadline = soon () };

  call.s = listen_with_duplicate (test->path, NULL, &duplicate);
  h = start_call (call_accept, &call);
  g_assert_no_errno (shutdown (duplicate, GPOINTER_TO_INT (data)));
  finish_call (h, &call);
  assert_call_errno (call, EINVAL);
  close (duplicate);
  g_assert_no_errno (dill_hclose (call.s));
}

/* One whose time is over, but who has not run, has no claim to what comes then. */
static void
connect_and_accept (void *data)
{
  Call *late = data;
  struct sockaddr_un address;
  socklen_t length = sizeof address;
  int client;

  g_assert_no_errno (dill_yield ());
  g_assert_false (late->is_done);
  g_assert_no_errno (getsockname ((int) late->length, (struct sockaddr *) &address, &length));
  client = connect_number (address.sun_path, 4);
  g_assert_cmpuint (take_number (test_assert_ok (dill_ipc_accept (late->s, 0))), ==, 4);
  close (client);
}

/* Whether the one who is to be late began to wait in time. */
static bool
try_beside_late (int listener, int duplicate, int64_t milliseconds)
{
  Call late = { .s = listener, .length = (size_t) duplicate, .deadline = dill_now () + milliseconds };
  int h_late = start_call (call_accept, &late), h;
  bool is_waiting = !late.is_done;

  if (is_waiting)
    {
      h = test_assert_ok (dill_spawn (connect_and_accept, &late));
      while (dill_now () <= late.deadline)
        continue; /* so that the one is ready first, and the other's time over, in one turn of the loop */
      g_assert_no_errno (dill_bundle_wait (h, soon ()));
      g_assert_no_errno (dill_hclose (h));
    }
  finish_call (h_late, &late);
  assert_call_errno (late, ETIMEDOUT);
  return is_waiting;
}

static void
test_try_beside_late (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int duplicate, ls = listen_with_duplicate (test->path, NULL, &duplicate);

  for (int64_t patience = 5; !try_beside_late (ls, duplicate, patience); patience = next_patience (patience))
    continue;
  close (duplicate);
  g_assert_no_errno (dill_hclose (ls));
}

/* One whose client has closed it again is a connection all the same, with what was sent on it. */
static void
test_client_is_gone (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), s;
  char bytes[2];

  close (connect_number (test->path, 6));
  s = test_assert_ok (dill_ipc_accept (ls, soon ()));
  g_assert_no_errno (dill_hclose (ls)); /* which is none of its business */
  g_assert_no_errno (dill_brecv (s, bytes, 1, soon ()));
  g_assert_cmpint (bytes[0], ==, 6);
  test_assert_errno (dill_brecv (s, bytes, 1, soon ()), EPIPE);
  g_assert_no_errno (dill_hclose (s));
}

/* What connections are made of, at both ends. */
static void
test_descriptors (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), fds[3];

  fds[0] = test_assert_ok (dill_ipc_steal_fd (test_assert_ok (dill_ipc_connect (test->path, soon ()))));
  fds[1] = test_assert_ok (dill_ipc_steal_fd (test_assert_ok (dill_ipc_accept (ls, soon ()))));
  fds[2] = test_assert_ok (dill_ipc_steal_fd (ls));
  for (guint i = 0; i < 3; i++)
    {
      g_assert_cmpint (fcntl (fds[i], F_GETFD), ==, FD_CLOEXEC);
      g_assert_true (fcntl (fds[i], F_GETFL) & O_NONBLOCK);
      close (fds[i]);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add ("/accept/order/first-come-first-served", test_first_come_first_served);
  test_add ("/accept/order/one-by-one", test_one_by_one);
  test_add ("/accept/order/newcomer-is-last", test_newcomer_is_last);
  test_add ("/accept/order/try-is-no-short-cut", test_try_is_no_short_cut);
  test_add ("/accept/order/try-beside-late", test_try_beside_late);
  test_add ("/accept/deadline", test_deadline);
  test_add_data ("/accept/one-of-several/canceled", GSIZE_TO_POINTER (false), test_one_of_several_leaves);
  test_add_data ("/accept/one-of-several/times-out", GSIZE_TO_POINTER (true), test_one_of_several_leaves);
  test_add ("/accept/served/canceled", test_canceled_after_service);
  test_add_data ("/accept/served/closed", NULL, test_ended_after_service);
  test_add_data ("/accept/served/stolen", "stolen", test_ended_after_service);
  test_add ("/accept/closed", test_closed);
  test_add_data ("/accept/shut-down/for-reading", GINT_TO_POINTER (SHUT_RD), test_shut_down);
  test_add_data ("/accept/shut-down/wholly", GINT_TO_POINTER (SHUT_RDWR), test_shut_down);
  test_add_data ("/accept/shut-down-meanwhile/for-reading", GINT_TO_POINTER (SHUT_RD), test_shut_down_meanwhile);
  test_add_data ("/accept/shut-down-meanwhile/wholly", GINT_TO_POINTER (SHUT_RDWR), test_shut_down_meanwhile);
  test_add ("/accept/client-is-gone", test_client_is_gone);
  test_add ("/accept/descriptors", test_descriptors);
  return g_test_run ();
}
