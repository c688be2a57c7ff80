/* test-connection-source-shared.c: a connection that has a source, and others who receive on it.
 *
 * Guarantees: who is called is not called in vain, though another source was first; the source works next to coroutines
 * that wait on the same connection: while one waits the stream is its, and what it leaves behind is the callback's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "source-utils.h"

static gboolean
take_byte (int s, GIOCondition ready, gpointer user_data)
{
  GString *bytes = user_data;
  char byte;

  g_assert_cmpint (ready, ==, G_IO_IN);
  if (dill_brecv_some (s, &byte, 1, 0) == 1)
    g_string_append_c (bytes, byte);
  else
    g_assert_cmpint (errno, ==, ETIMEDOUT);
  return G_SOURCE_CONTINUE;
}

static GSource *
attach_taker (int s, GString *bytes)
{
  GSource *source = dill_ipc_connection_source_new (s, G_IO_IN);

  g_assert_nonnull (source);
  g_source_set_callback (source, G_SOURCE_FUNC (take_byte), bytes, NULL);
  g_source_attach (source, NULL);
  return source;
}

/* Both were found ready by the buffer's last byte; the first takes it, and the second is not called for nothing. */
static void
test_buffer_taken_by_another (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GString) bytes = g_string_new (NULL);
  Account account = ACCOUNT_INIT;
  Pair pair = pair_new ();
  g_autoptr (GSource) taker = NULL;
  g_autoptr (GSource) source = NULL;
  char byte;

  test_assert_ok (dill_bsend (pair.peer, "ab", 2, 0));
  test_assert_ok (dill_brecv (pair.s, &byte, 1, 0));
  taker = attach_taker (pair.s, bytes);
  source = pair_attach (&pair, G_IO_IN, &account);
  iterate_some (NULL);
  g_assert_cmpstr (bytes->str, ==, "b");
  g_assert_cmpuint (account.n_calls, ==, 0);
  g_assert_false (g_source_is_destroyed (source));

  pair_close (&pair);
}

typedef struct
{
  int s;
  char bytes[4];
  gboolean is_done;
} Receiver;

static void
receive_in_coroutine (void *data)
{
  Receiver *receiver = data;

  test_assert_ok (dill_brecv (receiver->s, receiver->bytes, 3, soon ()));
  receiver->is_done = TRUE;
}

/* A coroutine receives, reads ahead, and leaves the rest to the callback. */
static void
test_after_coroutine (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GString) bytes = g_string_new (NULL);
  Pair pair = pair_new ();
  Receiver receiver = { .s = pair.s };
  g_autoptr (GSource) source = NULL;
  int coroutine = test_assert_ok (dill_spawn (receive_in_coroutine, &receiver));

  g_assert_false (receiver.is_done);
  test_assert_ok (dill_bsend (pair.peer, "abcdef", 6, 0));
  test_iterate_until (receiver.is_done);
  g_assert_cmpstr (receiver.bytes, ==, "abc");
  source = attach_taker (pair.s, bytes);
  test_iterate_until (bytes->len == 3);
  g_assert_cmpstr (bytes->str, ==, "def");

  test_assert_ok (dill_hclose (coroutine));
  pair_close (&pair);
}

static gboolean
find_busy (int s, GIOCondition ready G_GNUC_UNUSED, gpointer user_data)
{
  Receiver *receiver = user_data;
  char byte;

  if (!receiver->is_done)
    test_assert_errno (dill_brecv_some (s, &byte, 1, 0), EBUSY);
  return G_SOURCE_CONTINUE;
}

/* While the coroutine waits the stream is its: the callback may look on, and harms nothing. */
static void
test_while_coroutine_waits (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Pair pair = pair_new ();
  Receiver receiver = { .s = pair.s };
  int coroutine = test_assert_ok (dill_spawn (receive_in_coroutine, &receiver));
  GSource *source = dill_ipc_connection_source_new (pair.s, G_IO_IN);

  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, G_SOURCE_FUNC (find_busy), &receiver, NULL);
  g_source_attach (source, NULL);
  for (guint i = 0; i < 3; i++)
    {
      test_assert_ok (dill_bsend (pair.peer, &"abc"[i], 1, 0));
      iterate_some (NULL);
    }
  g_source_set_priority (source, G_PRIORITY_LOW);
  test_iterate_until (receiver.is_done);
  g_assert_cmpstr (receiver.bytes, ==, "abc");

  g_source_destroy (source);
  g_source_unref (source);
  test_assert_ok (dill_hclose (coroutine));
  pair_close (&pair);
}

#define PREFIX "/glib/connection-source-shared/"

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add (PREFIX "taken-by-another-source", test_buffer_taken_by_another);
  test_add (PREFIX "after-coroutine", test_after_coroutine);
  test_add (PREFIX "while-coroutine-waits", test_while_coroutine_waits);

  return g_test_run ();
}
