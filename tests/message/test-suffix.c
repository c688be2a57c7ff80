/* test-suffix.c: messages before an end mark: which messages can be sent, and that the mark is found however it comes.
 *
 * Relies on message-utils.h.  What prefix and suffix have in common is tested in test-message.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "message-utils.h"

/* Where the mark is found first in MESSAGE and the mark behind it. */
static gsize
find_mark (GString *message, GString *mark)
{
  g_autofree char *whole = g_strconcat (message->str, mark->str, NULL);

  return (gsize) (strstr (whole, mark->str) - whole);
}

static GString *
random_string (guint length_max)
{
  GString *string = g_string_new (NULL);
  guint length = (guint) g_test_rand_int_range (0, (gint) length_max + 1);

  for (guint i = 0; i < length; i++)
    g_string_append_c (string, g_test_rand_int_range (0, 4) == 0 ? 'b' : 'a');
  return string;
}

/* Few letters and short marks: marks that overlap themselves, and almost fit, are the rule.  What msend () accepts is
 * received again, whatever the pieces are in which it arrives. */
static void
check_mark (const Kind *kind, GString *mark)
{
  enum { N = 40 };
  GString *sent[N];
  int ends[2], s, fd;
  g_autoptr (GString) wire = g_string_new (NULL);
  char buffer[64];
  guint n_sent = 0;

  make_pair (ends);
  s = test_assert_ok (dill_suffix_attach (ends[0], mark->str, mark->len));
  for (guint i = 0; i < N; i++)
    {
      GString *message = random_string (12);

      if (find_mark (message, mark) < message->len)
        {
          test_assert_errno (dill_msend (s, message->str, message->len, -1), EINVAL);
          g_string_free (message, TRUE);
          continue;
        }
      g_assert_no_errno (dill_msend (s, message->str, message->len, 0));
      g_string_append (wire, message->str);
      g_string_append (wire, mark->str);
      sent[n_sent++] = message;
    }
  for (gsize i = 0; i < wire->len; i++)
    {
      g_assert_no_errno (dill_brecv (ends[1], buffer, 1, 0));
      g_assert_cmpint (buffer[0], ==, wire->str[i]);
    }
  g_assert_no_errno (dill_hclose (s));
  g_assert_no_errno (dill_hclose (ends[1]));

  make_half_pair (&s, &fd);
  if (kind->is_plain)
    s = plain_attach (s, kind->hands_on);
  s = test_assert_ok (dill_suffix_attach (s, mark->str, mark->len));
  {
    Call call = { .s = s, .buffer = buffer, .length = sizeof buffer, .deadline = -1 };
    gsize done = 0;

    for (guint i = 0; i < n_sent; i++)
      {
        int h = start_call (call_mrecv, &call);

        while (!call.is_done)
          {
            gsize piece = (gsize) g_test_rand_int_range (1, 10);
            gsize n = MIN (piece, wire->len - done);

            write_all (fd, wire->str + done, n);
            done += n;
            test_iterate_until (call.is_done || poll (&(struct pollfd){ fd, POLLOUT, 0 }, 1, 0) == 1);
            g_assert_no_errno (dill_yield ());
            if (done == wire->len)
              break;
          }
        finish_call (h, &call);
        g_assert_cmpmem (buffer, call.result, sent[i]->str, sent[i]->len);
        call.is_done = false;
        g_string_free (sent[i], TRUE);
      }
  }
  g_assert_no_errno (dill_hclose (s));
  close (fd);
}

static void
test_random (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr (GString) mark = random_string (6);

      if (mark->len > 0)
        check_mark (data, mark);
    }
}

static void
test_refused (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const struct
  {
    const char *mark;
    const char *message;
    bool is_refused;
  } cases[] = {
    { "aa", "ba", true },     { "aa", "ab", false },      { "aa", "aa", true },     { "aa", "a", true },
    { "\r\n", "\r", false },  { "\r\n", "\r\r", false },  { "\r\n", "\r\n", true }, { "\r\n", "x\r\ny", true },
    { "abab", "ab", true },   { "abab", "xab", true },    { "abab", "aba", false }, { "aab", "aa", false },
    { "\n", "a\nb", true },   { "\n", "\n", true },       { "\n", "a", false },     { "abcab", "abc", true },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const char *message = cases[i].message;
      struct dill_iolist last = { (char *) message + 1, strlen (message) - 1, NULL, 0 };
      struct dill_iolist first = { (char *) message, 1, &last, 0 };
      char byte;
      int s[2];

      make_pair (s);
      for (guint j = 0; j < 2; j++)
        s[j] = test_assert_ok (dill_suffix_attach (s[j], cases[i].mark, strlen (cases[i].mark)));
      if (cases[i].is_refused)
        {
          test_assert_errno (dill_msend (s[0], message, strlen (message), -1), EINVAL);
          test_assert_errno (dill_msendl (s[0], &first, &last, -1), EINVAL);

          /* Nothing was sent, and what can be sent still can. */
          g_assert_no_errno (dill_msend (s[0], "-", 1, 0));
          check_receive (s[1], "-");
          test_assert_errno (dill_mrecv (s[1], &byte, 1, 0), ETIMEDOUT);
        }
      else
        {
          g_assert_no_errno (dill_msend (s[0], message, strlen (message), 0));
          g_assert_no_errno (dill_msendl (s[0], &first, &last, 0));
          check_receive (s[1], message);
          check_receive (s[1], message);
        }
      close_pair (s);
    }
}

/* A mark of the greatest length, in and around the places where the pieces meet that are read ahead. */
static void
test_boundaries (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Kind *kind = data;
  enum { ROOM = 40 * 1000 };
  g_autofree char *bytes = g_malloc (ROOM);
  g_autofree char *received = g_malloc (ROOM);
  char mark[DILL_SUFFIX_MAX];
  int s[2];

  memset (bytes, 'a', ROOM);
  memset (mark, 'a', sizeof mark);
  mark[sizeof mark - 1] = 'b';
  make_pair (s);
  if (kind->is_plain)
    s[1] = plain_attach (s[1], kind->hands_on);
  for (guint i = 0; i < 2; i++)
    s[i] = test_assert_ok (dill_suffix_attach (s[i], mark, sizeof mark));

  for (gsize length = 16 * 1024 - 100; length < 16 * 1024 + 20; length++)
    {
      memset (received, 0, length);
      g_assert_no_errno (dill_msend (s[0], bytes, length, 0));
      g_assert_no_errno (dill_msend (s[0], "x", 1, 0));
      g_assert_cmpint (dill_mrecv (s[1], received, ROOM, 0), ==, length);
      g_assert_cmpmem (received, length, bytes, length);
      check_receive (s[1], "x");
    }
  close_pair (s);
}

static void
test_attach_errors (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const char mark[DILL_SUFFIX_MAX + 1];
  struct dill_suffix_storage mem;
  char buffer[3];
  int s[2], bundle = test_assert_ok (dill_bundle ());

  make_pair (s);
  test_assert_errno (dill_suffix_attach (s[0], NULL, 2), EINVAL);
  test_assert_errno (dill_suffix_attach (s[0], mark, 0), EINVAL);
  test_assert_errno (dill_suffix_attach (s[0], mark, sizeof mark), EINVAL);
  test_assert_errno (dill_suffix_attach (s[0], mark, SIZE_MAX), EINVAL);
  test_assert_errno (dill_suffix_attach_mem (s[0], mark, 2, NULL), EINVAL);
  test_assert_errno (dill_suffix_attach_mem (s[0], mark, 0, &mem), EINVAL);
  test_assert_errno (dill_suffix_attach (-1, mark, 2), EBADF);
  test_assert_errno (dill_suffix_attach_mem (bundle, mark, 2, &mem), ENOTSUP);

  /* The stream is open still. */
  g_assert_no_errno (dill_bsend (s[0], "raw", 3, 0));
  g_assert_no_errno (dill_brecv (s[1], buffer, 3, 0));
  g_assert_no_errno (dill_hclose (bundle));
  close_pair (s);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add_data ("/suffix/random/connection", &kinds[3], test_random);
  test_add_data ("/suffix/random/own-stream", &kinds[4], test_random);
  test_add ("/suffix/refused", test_refused);
  test_add_data ("/suffix/boundaries/connection", &kinds[3], test_boundaries);
  test_add_data ("/suffix/boundaries/own-stream", &kinds[4], test_boundaries);
  test_add ("/suffix/attach-errors", test_attach_errors);
  return g_test_run ();
}
