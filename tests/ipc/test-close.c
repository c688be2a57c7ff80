/* test-close.c: ipc_close () succeeds only when both sides know that everything has arrived, says so otherwise, and
 * takes the handle away in any case.  A listener it closes as hclose () does; what is no IPC handle it leaves alone.
 *
 * What ends it before the peer has done its part is in test-close-interrupted.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "close-utils.h"

#include <libdill.h>

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
  add_number ("drops-much/try", 0, test_drops_much);
  add_number ("drops-much/past", 1, test_drops_much);
  add_number ("drops-much/wait", 2, test_drops_much);
  add_number ("broken/in", false, test_broken);
  add_number ("broken/out", true, test_broken);
  test_add ("/close/listener", test_listener);
  test_add ("/close/arguments", test_arguments);
  test_add ("/close/wrong-kind", test_wrong_kind);
  return g_test_run ();
}
