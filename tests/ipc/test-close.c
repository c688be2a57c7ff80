/* test-close.c: ipc_close () succeeds only when both sides know that everything has arrived, says so otherwise, and
 * takes the handle away in any case; ipc_done () ends one half.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

#include <libdill.h>
#include <stdlib.h>

/* The handle is dead, and so is its descriptor: the peer sees that nobody is there. */
static void
check_is_gone (int s, int peer)
{
  struct pollfd poll_fd = { .fd = peer, .events = POLLIN };

  test_assert_errno (dill_hclose (s), EBADF);
  test_assert_errno (dill_ipc_close (s, 0), EBADF);
  if (peer >= 0)
    {
      g_assert_cmpint (poll (&poll_fd, 1, 0), ==, 1);
      g_assert_true (poll_fd.revents & POLLHUP);
      close (peer);
    }
}

static void
test_both_close (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  gsize length = GPOINTER_TO_SIZE (data);
  g_autofree char *bytes = g_malloc0 (length + 1);
  Call call = { .deadline = -1 };
  int s[2], h;

  make_pair (s);
  g_assert_no_errno (dill_bsend (s[0], bytes, length, 0));
  call.s = s[0];
  h = start_call (call_close, &call);
  g_assert_false (call.is_done);
  test_assert_errno (dill_hclose (s[0]), EBADF); /* the number dies at once */
  g_assert_no_errno (dill_brecv (s[1], bytes, length, soon ()));
  test_assert_errno (dill_brecv (s[1], bytes, 1, soon ()), EPIPE);
  g_assert_no_errno (dill_ipc_close (s[1], soon ()));
  finish_call (h, &call);
  g_assert_cmpint (call.result, ==, 0);
  check_is_gone (s[0], -1);
  check_is_gone (s[1], -1);
}

/* The peer's end of stream alone is not enough: it must have read, and each read may be a small one. */
static void
test_waits_until_all_is_read (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static char bytes[40 * 1000], received[1000];
  Call call = { .deadline = -1 };
  int s, peer, h;

  make_half_pair (&s, &peer);
  for (guint i = 0; i < 40; i++)
    g_assert_no_errno (dill_bsend (s, bytes + 1000 * i, 1000, 0));
  call.s = s;
  h = start_call (call_close, &call);
  g_assert_no_errno (shutdown (peer, SHUT_WR));
  for (guint i = 0; i < 40; i++)
    {
      g_assert_no_errno (dill_msleep (dill_now () + 1));
      g_assert_false (call.is_done);
      read_all (peer, received, sizeof received);
    }
  finish_call (h, &call);
  g_assert_cmpint (call.result, ==, 0);
  check_is_gone (s, peer);
}

static void
test_waits_for_end_of_stream (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Call call = { .deadline = -1 };
  int s, peer, h;
  char byte;

  make_half_pair (&s, &peer);
  call.s = s;
  h = start_call (call_close, &call);
  g_assert_cmpint (read (peer, &byte, 1), ==, 0); /* our end is there at once */
  for (guint i = 0; i < 10; i++)
    {
      write_all (peer, "dropped", 7);
      g_assert_no_errno (dill_msleep (dill_now () + 1));
      g_assert_false (call.is_done);
    }
  g_assert_no_errno (shutdown (peer, SHUT_WR));
  finish_call (h, &call);
  g_assert_cmpint (call.result, ==, 0);
  check_is_gone (s, peer);
}

static void
test_peer_closes_without_reading (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  guint when = (guint) GPOINTER_TO_SIZE (data);
  Call call = { .deadline = -1 };
  int s, peer, h = -1;

  make_half_pair (&s, &peer);
  call.s = s;
  g_assert_no_errno (dill_bsend (s, "abc", 3, 0));
  if (when == 2)
    g_assert_no_errno (shutdown (peer, SHUT_WR)); /* all that is missing is that it reads */
  if (when == 3)
    write_all (peer, "not read either", 15);
  if (when > 0)
    {
      h = start_call (call_close, &call);
      g_assert_false (call.is_done);
    }
  close (peer);
  if (when > 0)
    finish_call (h, &call);
  else
    call_close (&call);
  assert_call_errno (call, ECONNRESET);
  check_is_gone (s, -1);
}

static void
test_peer_closes_after_reading (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool without_waiting = GPOINTER_TO_SIZE (data);
  char bytes[3];
  int s, peer;

  make_half_pair (&s, &peer);
  test_assert_errno (dill_brecv_some (s, bytes, 1, dill_now () + 1), ETIMEDOUT);
  g_assert_no_errno (dill_bsend (s, "abc", 3, 0));
  write_all (peer, "xyz", 3);
  read_all (peer, bytes, 3);
  close (peer);
  g_assert_no_errno (dill_ipc_close (s, without_waiting ? 0 : soon ()));
  check_is_gone (s, -1);
}

static void
test_time_out (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  guint what = (guint) GPOINTER_TO_SIZE (data);
  int64_t deadline = what & 1 ? dill_now () + 10 : 0;
  int s, peer;

  make_half_pair (&s, &peer);
  if (what & 2)
    {
      g_assert_no_errno (dill_bsend (s, "abc", 3, 0)); /* is never read */
      g_assert_no_errno (shutdown (peer, SHUT_WR));
    }
  test_assert_errno (dill_ipc_close (s, deadline), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, deadline);
  check_is_gone (s, peer);
}

/* All that a socket holds is dropped, though that takes many system calls; with a deadline of 0 too. */
static void
test_drops_much (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  int64_t deadline = GPOINTER_TO_SIZE (data) == 0 ? 0 : GPOINTER_TO_SIZE (data) == 1 ? 1 : soon ();

  for (guint i = 0; i < 20; i++)
    {
      char bytes[3];
      int s, peer;

      make_half_pair (&s, &peer);
      write_all (peer, "abc", 3);
      g_assert_no_errno (dill_brecv (s, bytes, 1, 0)); /* and what was read ahead */
      g_assert_cmpuint (fill_socket (peer), >, 0);
      close (peer);
      g_assert_no_errno (dill_ipc_close (s, deadline));
    }
}

/* A peer that goes on sending holds nobody up beyond the deadline, nor the main loop. */
static void
test_flood (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  int64_t start = dill_now ();
  int64_t deadline = GPOINTER_TO_SIZE (data) ? start + 50 : 0;
  GThread *thread;
  int s, peer, rc;

  make_half_pair (&s, &peer);
  thread = g_thread_new ("flood", run_flood, GINT_TO_POINTER (peer));
  rc = dill_ipc_close (s, deadline);
  g_assert_cmpint (rc, ==, -1);
  g_assert_cmpint (errno, ==, ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, deadline);
  g_assert_cmpint (dill_now () - start, <, 500 * TEST_LIMIT_SECONDS);
  test_thread_join (thread);
}

static void
test_canceled (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool has_bytes = GPOINTER_TO_SIZE (data);
  Call call = { .deadline = -1 };
  int s, peer, h;

  make_half_pair (&s, &peer);
  call.s = s;
  if (has_bytes)
    {
      g_assert_no_errno (dill_bsend (s, "abc", 3, 0));
      g_assert_no_errno (shutdown (peer, SHUT_WR));
    }
  h = start_call (call_close, &call);
  g_assert_no_errno (dill_hclose (h));
  assert_call_errno (call, ECANCELED);
  check_is_gone (s, peer);
}

static void
close_after_cancellation (void *data)
{
  test_assert_errno (dill_msleep (-1), ECANCELED);
  call_close (data);
}

/* It makes one attempt, which succeeds if the peer has done its part, and is not waited for. */
static void
test_canceled_before (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool peer_is_done = GPOINTER_TO_SIZE (data);
  Call call = { .deadline = -1 };
  char bytes[3];
  int s, peer, h;

  make_half_pair (&s, &peer);
  call.s = s;
  test_assert_errno (dill_brecv_some (s, bytes, 1, dill_now () + 1), ETIMEDOUT);
  h = test_assert_ok (dill_spawn (close_after_cancellation, &call));
  if (peer_is_done)
    {
      write_all (peer, "xyz", 3);
      g_assert_no_errno (shutdown (peer, SHUT_WR));
    }
  g_assert_no_errno (dill_hclose (h));
  if (peer_is_done)
    {
      g_assert_true (call.is_done);
      g_assert_cmpint (call.result, ==, 0);
    }
  else
    assert_call_errno (call, ECANCELED);
  check_is_gone (s, peer);
}

static void
test_other_waiters (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  gsize length = 8 * 1000 * 1000;
  g_autofree char *bytes = g_malloc0 (length);
  char byte;
  Call in = { .buffer = &byte, .length = 1, .deadline = -1 };
  Call out = { .buffer = bytes, .length = length, .deadline = -1 };
  Call closing = { .deadline = -1 };
  int s, peer, h, h_in, h_out;

  make_half_pair (&s, &peer);
  in.s = out.s = closing.s = s;
  h_in = start_call (call_brecv, &in);
  h_out = start_call (call_bsend, &out);
  h = start_call (call_close, &closing);
  finish_call (h_in, &in);
  finish_call (h_out, &out);
  g_assert_false (closing.is_done); /* they learn of it at once */
  g_assert_no_errno (dill_hclose (h));
  assert_call_errno (closing, ECANCELED);
  assert_call_errno (in, ECANCELED);
  assert_call_errno (out, ECANCELED);
  check_is_gone (s, peer);
}

static void
test_broken (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool out = GPOINTER_TO_SIZE (data);
  gsize length = 8 * 1000 * 1000;
  g_autofree char *bytes = g_malloc0 (length);
  int s, peer;

  make_half_pair (&s, &peer);
  if (out)
    test_assert_errno (dill_bsend (s, bytes, length, 0), ETIMEDOUT);
  else
    test_assert_errno (dill_brecv (s, bytes, 1, 0), ETIMEDOUT);
  test_assert_errno (dill_ipc_close (s, soon ()), ECONNRESET);
  check_is_gone (s, peer);
}

static void
test_listener (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Call call = { .deadline = -1 };
  int h;

  call.s = test_assert_ok (dill_ipc_listen (test->path, 5));
  h = start_call (call_accept, &call);
  g_assert_no_errno (dill_ipc_close (call.s, -1));
  finish_call (h, &call);
  assert_call_errno (call, ECANCELED);
  check_is_gone (call.s, -1);
  test_assert_errno (access (test->path, F_OK), ENOENT);

  /* A connection that waits there is refused. */
  call.s = test_assert_ok (dill_ipc_listen (test->path, 5));
  h = test_assert_ok (dill_ipc_connect (test->path, soon ()));
  g_assert_no_errno (dill_ipc_close (call.s));
  test_assert_errno (dill_ipc_close (h, soon ()), ECONNRESET);
}

/* libdill's names, with one argument as the older edition has it, and with two. */
static void
test_arguments (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = ipc_listen (test->path, 5), s[2], peer;

  g_assert_no_errno (ls);
  for (guint i = 0; i < 4; i++)
    {
      make_half_pair (&s[0], &peer);
      close (peer);
      switch (i)
        {
        case 0:
          g_assert_no_errno (ipc_close (s[0]));
          break;
        case 1:
          g_assert_no_errno (ipc_close (s[0], soon ()));
          break;
        case 2:
          g_assert_no_errno (dill_ipc_close (s[0]));
          break;
        default:
          g_assert_no_errno ((dill_ipc_close) (s[0], 0));
        }
      check_is_gone (s[0], -1);
    }
  g_assert_no_errno (ipc_close (ls));
  test_assert_errno (ipc_close (ls), EBADF);
}

static void
test_wrong_kind (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int bundle_handle = test_assert_ok (dill_bundle ());

  test_assert_errno (dill_ipc_close (bundle_handle, soon ()), ENOTSUP);
  g_assert_no_errno (dill_hclose (bundle_handle)); /* it lives */
  test_assert_errno (dill_ipc_close (-1, soon ()), EBADF);
  test_assert_errno (dill_ipc_close (0, soon ()), EBADF);
}

/* The context is thrown away while somebody is closing. */
static gpointer
end_while_closing (gpointer data)
{
  Call call = { .s = test_assert_ok (dill_ipc_fromfd (GPOINTER_TO_INT (data))), .deadline = -1 };

  start_call (call_close, &call);
  g_assert_false (call.is_done);
  return NULL;
}

static int
end_thread_in_child (gpointer data G_GNUC_UNUSED)
{
  int fds[2];
  char byte;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  write_all (fds[1], "x", 1);
  test_expect_log (G_LOG_LEVEL_WARNING, "*were not closed*",
                   test_in_thread (end_while_closing, GINT_TO_POINTER (fds[0])));
  g_assert_cmpint (read (fds[1], &byte, 1), ==, 0);
  g_assert_cmpint (send (fds[1], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), ==, -1); /* it is closed, not just at its end */
  return errno == EPIPE ? 0 : 1;
}

static void
test_thread_ends_while_closing (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (end_thread_in_child, NULL), ==, 0);
}

#define add_number(name, number, func) test_add_data ("/close/" name, GSIZE_TO_POINTER (number), func)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_number ("both/nothing-sent", 0, test_both_close);
  add_number ("both/with-bytes", 50 * 1000, test_both_close);
  test_add ("/close/waits-until-all-is-read", test_waits_until_all_is_read);
  test_add ("/close/waits-for-end-of-stream", test_waits_for_end_of_stream);
  add_number ("peer-does-not-read/closed-before", 0, test_peer_closes_without_reading);
  add_number ("peer-does-not-read/closes-meanwhile", 1, test_peer_closes_without_reading);
  add_number ("peer-does-not-read/closes-after-its-end", 2, test_peer_closes_without_reading);
  add_number ("peer-does-not-read/has-sent", 3, test_peer_closes_without_reading);
  add_number ("peer-has-read/try", true, test_peer_closes_after_reading);
  add_number ("peer-has-read/wait", false, test_peer_closes_after_reading);
  add_number ("time-out/try", 0, test_time_out);
  add_number ("time-out/no-end", 1, test_time_out);
  add_number ("time-out/unread-try", 2, test_time_out);
  add_number ("time-out/unread", 3, test_time_out);
  add_number ("drops-much/try", 0, test_drops_much);
  add_number ("drops-much/past", 1, test_drops_much);
  add_number ("drops-much/wait", 2, test_drops_much);
  add_number ("flood/try", false, test_flood);
  add_number ("flood/wait", true, test_flood);
  add_number ("canceled/waiting-for-end", false, test_canceled);
  add_number ("canceled/waiting-for-reads", true, test_canceled);
  add_number ("canceled/before-peer-done", true, test_canceled_before);
  add_number ("canceled/before-peer-not-done", false, test_canceled_before);
  test_add ("/close/other-waiters", test_other_waiters);
  add_number ("broken/in", false, test_broken);
  add_number ("broken/out", true, test_broken);
  test_add ("/close/listener", test_listener);
  test_add ("/close/arguments", test_arguments);
  test_add ("/close/wrong-kind", test_wrong_kind);
  test_add ("/close/thread-ends-meanwhile", test_thread_ends_while_closing);
  return g_test_run ();
}
