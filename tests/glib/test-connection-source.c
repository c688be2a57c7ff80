/* test-connection-source.c: the source of a connection in callback style.
 *
 * Guarantees: it is ready for bytes, descriptors and the end of the stream, those that the library has read ahead
 * included, and for room to send; the end of the connection is reported unasked; wrong conditions and handles are
 * refused with the documented errno.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "source-utils.h"

/* The kernel has nothing left after the first byte was asked for: the others are in the library's buffer. */
static void
test_bytes_read_ahead (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  gboolean is_attached_before = data != NULL;
  Account account = ACCOUNT_INIT;
  g_autoptr (GSource) source = NULL;
  Pair pair = pair_new ();
  char byte;

  if (is_attached_before)
    {
      source = pair_attach (&pair, G_IO_IN, &account);
      iterate_some (NULL);
    }
  test_assert_ok (dill_bsend (pair.peer, "abc", 3, 0));
  test_assert_ok (dill_brecv (pair.s, &byte, 1, 0));
  if (!is_attached_before)
    source = pair_attach (&pair, G_IO_IN, &account);

  /* Never asleep meanwhile: the source is ready before poll (2) is asked. */
  g_assert_true (g_main_context_iteration (NULL, FALSE));
  g_assert_cmpuint (account.n_calls, ==, 1);
  g_assert_cmpint (account.ready, ==, G_IO_IN);
  test_assert_ok (dill_brecv (pair.s, &byte, 1, 0));
  g_assert_true (g_main_context_iteration (NULL, FALSE));
  g_assert_cmpuint (account.n_calls, ==, 2);
  test_assert_ok (dill_brecv (pair.s, &byte, 1, 0));
  g_assert_cmpint (byte, ==, 'c');
  iterate_some (NULL);
  g_assert_cmpuint (account.n_calls, ==, 2);

  pair_close (&pair);
}

/* A descriptor comes with one byte; sent right after others, that byte is read ahead with it. */
static void
test_descriptor_read_ahead (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Account account = ACCOUNT_INIT;
  g_autoptr (GSource) source = NULL;
  Pair pair = pair_new ();
  char byte;
  int fd;

  test_assert_ok (dill_bsend (pair.peer, "a", 1, 0));
  test_assert_ok (dill_ipc_sendfd (pair.peer, STDERR_FILENO, 0));
  test_assert_ok (dill_brecv (pair.s, &byte, 1, 0));
  source = pair_attach (&pair, G_IO_IN, &account);
  g_assert_true (g_main_context_iteration (NULL, FALSE));
  g_assert_cmpint (account.ready, ==, G_IO_IN);
  fd = test_assert_ok (dill_ipc_recvfd (pair.s, 0));
  close (fd);
  account.n_calls = 0;
  iterate_some (NULL);
  g_assert_cmpuint (account.n_calls, ==, 0);

  pair_close (&pair);
}

static void
test_descriptor (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Account account = ACCOUNT_INIT;
  Pair pair = pair_new ();
  g_autoptr (GSource) source G_GNUC_UNUSED = pair_attach (&pair, G_IO_IN, &account);

  test_assert_ok (dill_ipc_sendfd (pair.peer, STDERR_FILENO, 0));
  test_iterate_until (account.n_calls == 1);
  g_assert_cmpint (account.ready, ==, G_IO_IN);
  close (test_assert_ok (dill_ipc_recvfd (pair.s, 0)));
  pair_close (&pair);
}

static int
fill (int s)
{
  static const char bytes[4096];
  int n_sent = 0;
  int fd = test_assert_ok (dill_ipc_steal_fd (s));

  while (send (fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
    n_sent++;
  g_assert_cmpint (errno, ==, EAGAIN);
  g_assert_cmpint (n_sent, >, 0);
  return test_assert_ok (dill_ipc_fromfd (fd));
}

static void
test_room_to_send (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Account account = ACCOUNT_INIT;
  g_autoptr (GSource) source = NULL;
  g_autofree char *drain = g_malloc (1 << 20);
  Pair pair = pair_new ();

  pair.s = fill (pair.s);
  source = pair_attach (&pair, G_IO_OUT, &account);
  iterate_some (NULL);
  g_assert_cmpuint (account.n_calls, ==, 0);
  while (dill_brecv_some (pair.peer, drain, 1 << 20, 0) > 0)
    continue;
  test_iterate_until (account.n_calls == 1);
  g_assert_cmpint (account.ready, ==, G_IO_OUT);
  test_assert_ok (dill_bsend (pair.s, "x", 1, 0));
  pair_close (&pair);
}

/* What was not asked for is not reported, be it in the kernel or in the buffer. */
static void
test_only_what_was_asked (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Account in = ACCOUNT_INIT, out = ACCOUNT_INIT, both = ACCOUNT_INIT;
  Pair pair = pair_new ();
  g_autoptr (GSource) in_source G_GNUC_UNUSED = pair_attach (&pair, G_IO_IN, &in);
  g_autoptr (GSource) out_source G_GNUC_UNUSED = pair_attach (&pair, G_IO_OUT, &out);
  g_autoptr (GSource) both_source G_GNUC_UNUSED = pair_attach (&pair, G_IO_IN | G_IO_OUT, &both);
  char byte;

  test_iterate_until (out.n_calls > 0 && both.n_calls > 0);
  g_assert_cmpuint (in.n_calls, ==, 0);
  g_assert_cmpint (both.ready, ==, G_IO_OUT);

  test_assert_ok (dill_bsend (pair.peer, "ab", 2, 0));
  test_iterate_until (in.n_calls > 0 && both.ready == (G_IO_IN | G_IO_OUT));
  g_assert_cmpint (in.ready, ==, G_IO_IN);
  g_assert_cmpint (out.ready, ==, G_IO_OUT);

  test_assert_ok (dill_brecv (pair.s, &byte, 1, 0));
  in.n_calls = out.n_calls = both.n_calls = 0;
  test_iterate_until (in.n_calls > 0 && out.n_calls > 0 && both.n_calls > 0);
  g_assert_cmpint (in.ready, ==, G_IO_IN);
  g_assert_cmpint (out.ready, ==, G_IO_OUT);
  g_assert_cmpint (both.ready, ==, G_IO_IN | G_IO_OUT);

  pair_close (&pair);
}

/* The peer's half is done: that is an end to be received, while the other half goes on. */
static void
test_end_of_stream (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Account account = ACCOUNT_INIT;
  Pair pair = pair_new ();
  g_autoptr (GSource) source G_GNUC_UNUSED = pair_attach (&pair, G_IO_IN, &account);
  char byte;

  test_assert_ok (dill_ipc_done (pair.peer, -1));
  test_iterate_until (account.n_calls == 1);
  g_assert_cmpint (account.ready, ==, G_IO_IN);
  test_assert_errno (dill_brecv_some (pair.s, &byte, 1, 0), EPIPE);
  test_assert_ok (dill_bsend (pair.s, "x", 1, 0));
  test_assert_ok (dill_brecv (pair.peer, &byte, 1, 0));

  /* The end stays. */
  account.n_calls = 0;
  test_iterate_until (account.n_calls == 1);
  g_assert_cmpint (account.ready, ==, G_IO_IN);
  pair_close (&pair);
}

/* The end of the connection is reported whatever was asked for. */
static void
test_hang_up (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  GIOCondition condition = GPOINTER_TO_INT (data);
  Account account = ACCOUNT_INIT;
  Pair pair = pair_new ();
  g_autoptr (GSource) source = NULL;
  char byte;

  pair.s = fill (pair.s);
  source = pair_attach (&pair, condition, &account);
  iterate_some (NULL);
  g_assert_cmpuint (account.n_calls, ==, 0);
  test_assert_ok (dill_hclose (pair.peer));
  test_iterate_until (account.n_calls == 1);
  g_assert_true (account.ready & G_IO_HUP);
  g_assert_cmpint (account.ready & ~(condition | G_IO_HUP | G_IO_ERR), ==, 0);
  g_assert_cmpint (account.ready & condition, ==, condition);
  test_assert_errno (dill_brecv_some (pair.s, &byte, 1, 0), ECONNRESET); /* it was closed on unread bytes */
  test_assert_ok (dill_hclose (pair.s));
}

/* Sources on both ends, and nothing leaks over many of them on one connection. */
static void
test_many_in_turn (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Account account = { .result = G_SOURCE_REMOVE };
  guint n_fds = count_settled_fds ();
  Pair pair = pair_new ();
  char byte;

  for (guint i = 1; i <= 1000; i++)
    {
      g_source_unref (pair_attach (&pair, G_IO_IN, &account));
      test_assert_ok (dill_bsend (pair.peer, "x", 1, 0));
      test_iterate_until (account.n_calls == i);
      test_assert_ok (dill_brecv (pair.s, &byte, 1, 0));
      g_assert_cmpuint (account.n_destroyed, ==, i);
    }
  pair_close (&pair);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

static gpointer
refused_in_thread (gpointer data)
{
  test_assert_null_errno (dill_ipc_connection_source_new (*(int *) data, G_IO_IN), EBADF);
  return NULL;
}

static void
test_errnos (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  static const GIOCondition wrong[] = { 0, G_IO_PRI, G_IO_NVAL, G_IO_IN | G_IO_PRI, G_IO_OUT | 0x1000 };
  int listener = test_assert_ok (dill_ipc_listen (test->path, 10));
  Pair pair = pair_new ();

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    test_assert_null_errno (dill_ipc_connection_source_new (pair.s, wrong[i]), EINVAL);
  test_assert_null_errno (dill_ipc_connection_source_new (listener, G_IO_IN), ENOTSUP);
  test_assert_null_errno (dill_ipc_connection_source_new (-1, G_IO_IN), EBADF);
  test_assert_null_errno (dill_ipc_connection_source_new (0, G_IO_IN), EBADF);
  test_in_thread (refused_in_thread, &pair.s);
  g_source_unref (dill_ipc_connection_source_new (pair.s, G_IO_IN | G_IO_OUT | G_IO_HUP | G_IO_ERR));

  pair_close (&pair);
  test_assert_null_errno (dill_ipc_connection_source_new (pair.s, G_IO_IN), EBADF);
  test_assert_ok (dill_hclose (listener));
}

#define PREFIX "/glib/connection-source/"

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add_data (PREFIX "bytes-read-ahead/attached-after", NULL, test_bytes_read_ahead);
  test_add_data (PREFIX "bytes-read-ahead/attached-before", "before", test_bytes_read_ahead);
  test_add (PREFIX "descriptor", test_descriptor);
  test_add (PREFIX "descriptor-read-ahead", test_descriptor_read_ahead);
  test_add (PREFIX "room-to-send", test_room_to_send);
  test_add (PREFIX "only-what-was-asked", test_only_what_was_asked);
  test_add (PREFIX "end-of-stream", test_end_of_stream);
  test_add_data (PREFIX "hang-up/in", GINT_TO_POINTER (G_IO_IN), test_hang_up);
  test_add_data (PREFIX "hang-up/out", GINT_TO_POINTER (G_IO_OUT), test_hang_up);
  test_add (PREFIX "many-in-turn", test_many_in_turn);
  test_add (PREFIX "errnos", test_errnos);

  return g_test_run ();
}
