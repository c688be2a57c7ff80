/* test-peers.c: whatever a peer does, never read, reset, or send urgent bytes, costs itself at most: other connections
 * go on, and nothing is killed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

#include <signal.h>

static void
test_never_reads (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  gsize length = 8 * 1000 * 1000;
  g_autofree char *bytes = g_malloc0 (length);
  Call stuck = { .buffer = bytes, .length = length, .deadline = -1 };
  int fd, h, s[2];
  char byte;

  make_half_pair (&stuck.s, &fd);
  h = start_call (call_bsend, &stuck);
  make_pair (s);
  for (guint i = 0; i < 1000; i++)
    {
      g_assert_no_errno (dill_bsend (s[i & 1], "a", 1, soon ()));
      g_assert_no_errno (dill_brecv (s[1 - (i & 1)], &byte, 1, soon ()));
    }
  g_assert_false (stuck.is_done);
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (stuck.s));
  close_pair (s);
  close (fd);
}

/* Nor is there anything to be waited for to end the stream, behind as many bytes as there is room for. */
static void
test_done_needs_no_room (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autofree char *bytes = NULL;
  guint n_turns = 0;
  GSource *source;
  gsize length;
  int s, fd;

  make_half_pair (&s, &fd);
  length = fill_connection (s);
  bytes = g_malloc (length);
  source = add_busy_source (NULL, &n_turns);
  g_assert_no_errno (dill_ipc_done (s, -1));
  g_assert_cmpuint (n_turns, ==, 0);
  remove_source (source);
  for (gsize i = 0; i < length; i++)
    read_all (fd, bytes, 1);
  g_assert_cmpint (read (fd, bytes, 1), ==, 0);
  close (fd);
  g_assert_no_errno (dill_hclose (s));
}

/* A peer that closes with unread bytes resets; what it sent before is received first. */
static void
test_reset (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char bytes[3];
  int s, fd;

  make_half_pair (&s, &fd);
  g_assert_no_errno (dill_bsend (s, "never read", 10, 0));
  write_all (fd, "abc", 3);
  close (fd);
  g_assert_no_errno (dill_brecv (s, bytes, 3, soon ()));
  g_assert_cmpmem (bytes, 3, "abc", 3);
  test_assert_errno (dill_brecv (s, bytes, 1, soon ()), ECONNRESET);
  test_assert_errno (dill_brecv (s, bytes, 1, soon ()), ECONNRESET);
  test_assert_errno (dill_bsend (s, bytes, 1, soon ()), ECONNRESET);
  g_assert_no_errno (dill_hclose (s));
}

/* SIGPIPE would kill this child, which has its default action. */
static int
send_to_nobody (gpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  int s, fd;

  signal (SIGPIPE, SIG_DFL);
  g_main_context_push_thread_default (context);
  for (guint i = 0; i < 4; i++)
    {
      make_half_pair (&s, &fd);
      if (i & 1)
        close (fd);
      else
        g_assert_no_errno (shutdown (fd, SHUT_RD));
      if (i & 2)
        test_assert_errno (dill_bsend (s, "x", 1, soon ()), ECONNRESET);
      else
        test_assert_errno (dill_ipc_sendfd (s, STDIN_FILENO, soon ()), ECONNRESET);
      if (!(i & 1))
        close (fd);
      test_assert_errno (dill_ipc_close (s, soon ()), ECONNRESET);
    }
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_no_sigpipe (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (send_to_nobody, NULL), ==, 0);
}

/* An urgent byte is never part of the stream, ends reads early, and so delays only what its sender sends behind it. */
static void
test_urgent_byte (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char bytes[6];
  Call call = { .buffer = bytes, .length = 6, .deadline = -1 };
  int s, fd, h, others[2];

  make_half_pair (&s, &fd);
  call.s = s;
  h = start_call (call_brecv, &call);
  write_all (fd, "ab", 2);
  if (send (fd, "!", 1, MSG_OOB | MSG_NOSIGNAL) < 0)
    {
      g_test_skip ("this kernel has no urgent bytes on AF_UNIX sockets");
      g_assert_no_errno (dill_hclose (h));
      close (fd);
      g_assert_no_errno (dill_hclose (s));
      return;
    }
  write_all (fd, "cd", 2);

  make_pair (others);
  for (guint i = 0; i < 100; i++)
    {
      char byte;

      g_assert_no_errno (dill_bsend (others[0], "x", 1, soon ()));
      g_assert_no_errno (dill_brecv (others[1], &byte, 1, soon ()));
    }
  g_assert_no_errno (dill_msleep (dill_now () + 2));
  write_all (fd, "ef", 2); /* the next event at the latest brings the rest */
  finish_call (h, &call);
  g_assert_cmpint (call.result, ==, 0);
  g_assert_cmpmem (bytes, 6, "abcdef", 6);

  /* Alone, it neither is received nor keeps the loop busy, nor is the end of the stream lost behind it. */
  g_assert_cmpint (send (fd, "!", 1, MSG_OOB | MSG_NOSIGNAL), ==, 1);
  test_assert_errno (dill_brecv_some (s, bytes, 1, dill_now () + 5), ETIMEDOUT);
  close (fd);
  g_assert_cmpint (dill_brecv_some (s, bytes, 1, soon ()), ==, -1);
  g_assert_true (errno == EPIPE || errno == ECONNRESET);
  g_assert_no_errno (dill_hclose (s));
  close_pair (others);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add ("/peers/never-reads", test_never_reads);
  test_add ("/peers/done-needs-no-room", test_done_needs_no_room);
  test_add ("/peers/reset", test_reset);
  test_add ("/peers/no-sigpipe", test_no_sigpipe);
  test_add ("/peers/urgent-byte", test_urgent_byte);
  return g_test_run ();
}
