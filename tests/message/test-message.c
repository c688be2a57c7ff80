/* test-message.c: what dill-message.h promises of every message socket: whole messages, lists of buffers, attaching and
 * detaching.
 *
 * Relies on message-utils.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "message-utils.h"

static void
test_exchange (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  static const char *const texts[] = { "one", "", "three", "\r", "\n", "\n\r", "last" };
  int s[2];

  make_message_pair (data, s);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    g_assert_no_errno (dill_msend (s[i & 1], texts[i], strlen (texts[i]), 0));
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    check_receive (s[~i & 1], texts[i]);

  g_assert_no_errno (dill_msend (s[0], NULL, 0, 0));
  g_assert_cmpint (dill_mrecv (s[1], NULL, 0, soon ()), ==, 0);
  close_pair (s);
}

/* However the bytes come. */
static void
test_bytewise (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  g_autoptr (GByteArray) bytes = framed (data, "a\rb\n\nc\r\rd");
  char buffer[100];
  Call call = { .buffer = buffer, .length = sizeof buffer, .deadline = -1 };
  int fd, h;

  make_half_message_pair (data, &call.s, &fd);
  h = start_call (call_mrecv, &call);
  for (guint i = 0; i < bytes->len; i++)
    {
      g_assert_false (call.is_done);
      write_all (fd, &bytes->data[i], 1);
      g_assert_no_errno (dill_msleep (dill_now () + 1));
    }
  finish_call (h, &call);
  g_assert_cmpmem (buffer, call.result, "a\rb\n\nc\r\rd", 9);
  g_assert_no_errno (dill_hclose (call.s));
  close (fd);
}

/* What comes along with a byte of a message is closed, and what is behind the message in the buffer stays as it was. */
static void
test_message_alone (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  g_autoptr (GByteArray) bytes = framed (data, "abc");
  char buffer[] = "________";
  guint n_fds;
  int s[2];

  make_pair (s);
  s[1] = attach_kind (data, s[1]);
  n_fds = test_count_fds ();
  g_assert_no_errno (dill_ipc_sendfd (s[0], STDIN_FILENO, soon ())); /* in the place of the first byte, which is 0 */
  g_assert_no_errno (dill_bsend (s[0], bytes->data + 1, bytes->len - 1, soon ()));
  g_assert_cmpint (dill_mrecv (s[1], buffer, sizeof buffer, soon ()), ==, 3);
  g_assert_cmpmem (buffer + 1, sizeof buffer - 1, "bc_____", sizeof buffer - 1);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  close_pair (s);
}

typedef struct
{
  int s;
  gsize length;
  guint n;
} Messages;

static void
send_messages (void *data)
{
  Messages *messages = data;
  g_autofree guint8 *bytes = g_malloc (messages->length);

  for (guint i = 0; i < messages->n; i++)
    {
      fill_message (bytes, messages->length, i);
      g_assert_no_errno (dill_msend (messages->s, bytes, messages->length, soon ()));
    }
}

/* Larger than what is read ahead, and than what the kernel holds. */
static void
test_large (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Kind *kind = data;
  gsize length = kind->is_suffix && kind->is_plain ? 100 * 1000 : 3 * 1000 * 1000;
  Messages messages = { .length = length, .n = 3 };
  g_autofree guint8 *bytes = g_malloc (length);
  g_autofree guint8 *expected = g_malloc (length);
  int s[2], sender;

  make_message_pair (kind, s);
  messages.s = s[0];
  sender = test_assert_ok (dill_spawn (send_messages, &messages));
  for (guint i = 0; i < messages.n; i++)
    {
      fill_message (expected, length, i);
      if (i == 1)
        {
          test_assert_errno (dill_mrecv (s[1], bytes, length - 1, soon ()), EMSGSIZE);
          continue;
        }
      g_assert_cmpint (dill_mrecv (s[1], bytes, length, soon ()), ==, length);
      g_assert_cmpmem (bytes, length, expected, length);
    }
  g_assert_no_errno (dill_hclose (sender));
  close_pair (s);
}

static void
test_too_long (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  char buffer[6] = "_____";
  int s[2];

  make_message_pair (data, s);
  g_assert_no_errno (dill_msend (s[0], "123456", 6, 0));
  g_assert_no_errno (dill_msend (s[0], "12345", 5, 0));
  g_assert_no_errno (dill_msend (s[0], "1", 1, 0));
  g_assert_no_errno (dill_msend (s[0], "", 0, 0));
  test_assert_errno (dill_mrecv (s[1], buffer, 5, soon ()), EMSGSIZE);
  g_assert_cmpint (buffer[5], ==, 0);
  g_assert_cmpint (dill_mrecv (s[1], buffer, 5, soon ()), ==, 5);
  g_assert_cmpstr (buffer, ==, "12345");
  test_assert_errno (dill_mrecv (s[1], NULL, 0, soon ()), EMSGSIZE);
  g_assert_cmpint (dill_mrecv (s[1], NULL, 0, soon ()), ==, 0);

  /* The stream goes on just behind it. */
  g_assert_no_errno (dill_msend (s[0], "123456", 6, 0));
  s[0] = test_assert_ok (detach_kind (data, s[0]));
  g_assert_no_errno (dill_bsend (s[0], "rest", 4, 0));
  test_assert_errno (dill_mrecv (s[1], buffer, 3, soon ()), EMSGSIZE);
  s[1] = test_assert_ok (detach_kind (data, s[1]));
  g_assert_no_errno (dill_brecv (s[1], buffer, 4, soon ()));
  g_assert_cmpmem (buffer, 4, "rest", 4);
  close_pair (s);
}

static void
test_lists (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  enum { N = 100 };
  struct dill_iolist out[N], in[N], copy[N];
  char text[N], buffer[N];
  int s[2];

  /* They are compared whole, with what the compiler leaves between the members. */
  memset (out, 0, sizeof out);
  memset (in, 0, sizeof in);
  make_message_pair (data, s);
  for (guint i = 0; i < N; i++)
    {
      text[i] = (char) ('!' + i % 90);
      out[i] = (struct dill_iolist){ &text[i], 1, i + 1 < N ? &out[i + 1] : NULL, 0 };
      in[i] = (struct dill_iolist){ i % 3 == 1 ? NULL : &buffer[i], 1, i + 1 < N ? &in[i + 1] : NULL, 0 };
    }

  for (guint length = 0; length <= N; length += length == 2 || length == 19 ? 14 : 1)
    {
      struct dill_iolist empty = { NULL, 0, NULL, 0 };
      struct dill_iolist *first = length > 0 ? out : &empty, *last = length > 0 ? &out[length - 1] : &empty;
      struct dill_iolist *rest = last->iol_next;

      last->iol_next = NULL;
      memcpy (copy, out, sizeof out);
      g_assert_no_errno (dill_msendl (s[0], first, last, 0));
      g_assert_cmpmem (out, sizeof out, copy, sizeof copy);
      last->iol_next = rest;

      memset (buffer, '_', sizeof buffer);
      memcpy (copy, in, sizeof in);
      g_assert_cmpint (dill_mrecvl (s[1], in, &in[N - 1], soon ()), ==, length);
      g_assert_cmpmem (in, sizeof in, copy, sizeof copy);
      for (guint i = 0; i < N; i++)
        g_assert_cmpint (buffer[i], ==, i % 3 == 1 || i >= length ? '_' : text[i]);
    }

  /* One that is too long for a list. */
  g_assert_no_errno (dill_msendl (s[0], out, &out[N - 1], 0));
  g_assert_no_errno (dill_msend (s[0], "next", 4, 0));
  test_assert_errno (dill_mrecvl (s[1], &in[1], &in[N - 1], soon ()), EMSGSIZE);
  check_receive (s[1], "next");
  close_pair (s);
}

static void
test_invalid_arguments (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  char byte = 'x';
  struct dill_iolist last = { &byte, 1, NULL, 0 }, first = { &byte, 1, &last, 0 };
  struct dill_iolist circle = { &byte, 1, NULL, 0 }, reserved = { &byte, 1, NULL, 1 };
  int s[2];

  circle.iol_next = &circle;
  make_message_pair (data, s);
  test_assert_errno (dill_msend (s[0], NULL, 1, -1), EINVAL);
  test_assert_errno (dill_msend (s[0], &byte, SIZE_MAX, -1), EINVAL);
  test_assert_errno (dill_msendl (s[0], NULL, &last, -1), EINVAL);
  test_assert_errno (dill_msendl (s[0], &first, NULL, -1), EINVAL);
  test_assert_errno (dill_msendl (s[0], &first, &first, -1), EINVAL);
  test_assert_errno (dill_msendl (s[0], &circle, &last, -1), EINVAL);
  test_assert_errno (dill_msendl (s[0], &reserved, &reserved, -1), EINVAL);
  test_assert_errno (dill_mrecv (s[1], &byte, SIZE_MAX, -1), EINVAL);
  test_assert_errno (dill_mrecvl (s[1], NULL, &last, -1), EINVAL);
  test_assert_errno (dill_mrecvl (s[1], &first, &first, -1), EINVAL);
  test_assert_errno (dill_mrecvl (s[1], &reserved, &reserved, -1), EINVAL);

  /* None of this has harmed anything. */
  g_assert_no_errno (dill_msendl (s[0], &first, &last, 0));
  check_receive (s[1], "xx");

  /* A message socket is no byte stream. */
  test_assert_errno (dill_bsend (s[0], &byte, 1, -1), ENOTSUP);
  test_assert_errno (dill_brecv (s[0], &byte, 1, -1), ENOTSUP);
  test_assert_errno (dill_prefix_attach (s[0], 4, 0), ENOTSUP);
  test_assert_errno (dill_suffix_attach (s[0], MARK, 2), ENOTSUP);
  close_pair (s);
  test_assert_errno (dill_msend (s[0], &byte, 1, -1), EBADF);
  test_assert_errno (dill_mrecv (s[0], &byte, 1, -1), EBADF);
  check_detach_errno (data, s[0], EBADF);

  /* Nor does a byte stream know messages. */
  make_pair (s);
  test_assert_errno (dill_msend (s[0], &byte, 1, -1), ENOTSUP);
  test_assert_errno (dill_mrecv (s[0], &byte, 1, -1), ENOTSUP);
  check_detach_errno (data, s[0], ENOTSUP);
  close_pair (s);
}

/* Whatever was read ahead stays with the stream. */
static void
test_detach (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  char buffer[10];
  int s[2];

  make_message_pair (data, s);
  g_assert_no_errno (dill_msend (s[0], "one", 3, 0));
  g_assert_no_errno (dill_msend (s[0], "two", 3, 0));
  s[0] = test_assert_ok (detach_kind (data, s[0]));
  g_assert_no_errno (dill_bsend (s[0], "raw", 3, 0));
  check_receive (s[1], "one");
  check_receive (s[1], "two");
  {
    int old = s[1];

    s[1] = test_assert_ok (detach_kind (data, old));
    test_assert_errno (dill_mrecv (old, buffer, 1, 0), EBADF);
    test_assert_errno (dill_hclose (old), EBADF);
  }
  g_assert_no_errno (dill_brecv (s[1], buffer, 3, 0));
  g_assert_cmpmem (buffer, 3, "raw", 3);
  g_assert_no_errno (dill_bsend (s[1], "raw", 3, 0));
  g_assert_no_errno (dill_brecv (s[0], buffer, 3, 0));

  /* And once more. */
  for (guint i = 0; i < 2; i++)
    s[i] = test_assert_ok (dill_suffix_attach (s[i], "x", 1));
  g_assert_no_errno (dill_msend (s[1], "again", 5, 0));
  check_receive (s[0], "again");
  test_assert_errno (dill_prefix_detach (s[0]), ENOTSUP);
  close_pair (s);
}

static void
test_hown (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  Call in;
  char buffer[10];
  int s[2], h;

  make_message_pair (data, s);
  in = (Call){ .s = s[1], .buffer = buffer, .length = sizeof buffer, .deadline = -1 };
  h = start_call (call_mrecv, &in);
  s[1] = test_assert_ok (dill_hown (s[1]));
  g_assert_no_errno (dill_msend (s[0], "mine", 4, 0));
  finish_call (h, &in);
  g_assert_cmpmem (buffer, in.result, "mine", 4);
  close_pair (s);
}

static void
test_memory (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Kind *kind = data;
  gsize size = kind->is_suffix ? sizeof (struct dill_suffix_storage) : sizeof (struct dill_prefix_storage);

  for (guint offset = 0; offset < 16; offset++)
    {
      g_autofree guint8 *block = g_malloc (size + 32);
      int s[2];

      memset (block, 0xA5, size + 32);
      make_pair (s);
      s[0] = test_assert_ok (kind->is_suffix ? dill_suffix_attach_mem (s[0], MARK, 2, block + offset)
                                             : dill_prefix_attach_mem (s[0], 4, 0, block + offset));
      s[1] = attach_kind (kind, s[1]);
      g_assert_no_errno (dill_msend (s[0], "there", 5, 0));
      check_receive (s[1], "there");
      g_assert_no_errno (dill_msend (s[1], "back", 4, 0));
      check_receive (s[0], "back");
      s[0] = test_assert_ok (detach_kind (kind, s[0]));
      for (guint i = 0; i < size + 32; i++)
        if (i < offset || i >= offset + size)
          g_assert_cmpuint (block[i], ==, 0xA5);
      close_pair (s);
    }
}

static int
child_closes (gpointer data)
{
  int *s = data;

  if (dill_msend (s[0], "x", 1, 0) != -1 || errno != EBADF)
    return 1;
  return dill_hclose (s[0]) == 0 && dill_hclose (s[0]) == -1 && errno == EBADF ? 0 : 2;
}

static void
test_fork (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  int s[2];

  make_message_pair (data, s);
  g_assert_cmpint (test_in_child (child_closes, s), ==, 0);
  g_assert_no_errno (dill_msend (s[0], "still here", 10, 0));
  check_receive (s[1], "still here");
  close_pair (s);
}

static gpointer
leave_open (gpointer data)
{
  const Kind *kind = data;
  int s[2];

  make_message_pair (kind, s);
  return NULL;
}

static void
test_left_by_thread (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  guint n_fds = test_count_fds ();

  test_expect_log (G_LOG_LEVEL_WARNING, "*has ended with*", test_in_thread (leave_open, (gpointer) data));
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_for_kinds ("/message/exchange", test_exchange);
  add_for_kinds ("/message/alone", test_message_alone);
  add_for_kinds ("/message/bytewise", test_bytewise);
  add_for_kinds ("/message/large", test_large);
  add_for_kinds ("/message/too-long", test_too_long);
  add_for_kinds ("/message/lists", test_lists);
  add_for_kinds ("/message/invalid-arguments", test_invalid_arguments);
  add_for_kinds ("/message/detach", test_detach);
  add_for_kinds ("/message/hown", test_hown);
  add_for_kinds ("/message/memory", test_memory);
  add_for_kinds ("/message/fork", test_fork);
  test_add_data ("/message/left-by-thread/prefix", &kinds[0], test_left_by_thread);
  test_add_data ("/message/left-by-thread/suffix", &kinds[3], test_left_by_thread);
  return g_test_run ();
}
