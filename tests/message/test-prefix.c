/* test-prefix.c: messages behind their length: the header on the wire, what it can express, and lengths that lie.
 *
 * Relies on message-utils.h.  What prefix and suffix have in common is tested in test-message.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "message-utils.h"

/* The header as it ought to be. */
static void
make_header (guint8 *header, gsize hdrlen, int flags, guint64 length)
{
  guint64 bytes = flags == DILL_PREFIX_LITTLE_ENDIAN ? GUINT64_TO_LE (length)
                                                     : GUINT64_TO_BE (length << 8 * (sizeof length - hdrlen));

  memcpy (header, &bytes, hdrlen);
}

static void
check_format (gsize hdrlen, int flags)
{
  static const gsize lengths[] = { 0, 1, 127, 128, 255, 256, 4660, 65535, 65536, 70000 };
  g_autofree guint8 *bytes = g_malloc0 (70000);
  g_autofree guint8 *received = g_malloc (70000);

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      gsize length = lengths[i];
      guint8 expected[8], header[8];
      int s, fd;

      make_half_pair (&s, &fd);
      s = test_assert_ok (dill_prefix_attach (s, hdrlen, flags));
      if (hdrlen < 3 && length >> 8 * hdrlen > 0)
        {
          test_assert_errno (dill_msend (s, bytes, length, 0), EMSGSIZE);
          length = 1; /* the refused one left nothing on the wire */
        }

      fill_bytes (bytes, length, i);
      make_header (expected, hdrlen, flags, length);
      g_assert_no_errno (dill_msend (s, bytes, length, soon ()));
      read_all (fd, header, hdrlen);
      g_assert_cmpmem (header, hdrlen, expected, hdrlen);
      read_all (fd, received, length);
      g_assert_cmpmem (received, length, bytes, length);

      write_all (fd, expected, hdrlen);
      write_all (fd, bytes, length);
      memset (received, 0, length);
      g_assert_cmpint (dill_mrecv (s, received, 70000, soon ()), ==, length);
      g_assert_cmpmem (received, length, bytes, length);
      g_assert_no_errno (dill_hclose (s));
      close (fd);
    }
}

static void
test_format (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  for (gsize hdrlen = 1; hdrlen <= 8; hdrlen++)
    {
      check_format (hdrlen, DILL_PREFIX_BIG_ENDIAN);
      check_format (hdrlen, DILL_PREFIX_LITTLE_ENDIAN);
    }
}

/* Lists, too, are measured as a whole. */
static void
test_inexpressible (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char bytes[256] = { 0 }, buffer[256];
  struct dill_iolist last = { bytes, 128, NULL, 0 }, first = { bytes, 128, &last, 0 };
  int s[2];

  make_pair (s);
  for (guint i = 0; i < 2; i++)
    s[i] = test_assert_ok (dill_prefix_attach (s[i], 1, DILL_PREFIX_BIG_ENDIAN));
  test_assert_errno (dill_msendl (s[0], &first, &last, -1), EMSGSIZE);
  test_assert_errno (dill_mrecv (s[1], buffer, sizeof buffer, 0), ETIMEDOUT);
  last.iol_len = 127;
  g_assert_no_errno (dill_msendl (s[0], &first, &last, -1));
  test_assert_errno (dill_mrecv (s[1], buffer, sizeof buffer, 0), ECONNRESET);
  close_pair (s);
}

static void
test_attach_errors (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  struct dill_prefix_storage mem;
  char buffer[3];
  int s[2], bundle = test_assert_ok (dill_bundle ());

  make_pair (s);
  test_assert_errno (dill_prefix_attach (s[0], 0, DILL_PREFIX_BIG_ENDIAN), EINVAL);
  test_assert_errno (dill_prefix_attach (s[0], 9, DILL_PREFIX_BIG_ENDIAN), EINVAL);
  test_assert_errno (dill_prefix_attach (s[0], 256 + 4, DILL_PREFIX_BIG_ENDIAN), EINVAL);
  test_assert_errno (dill_prefix_attach (s[0], SIZE_MAX, DILL_PREFIX_BIG_ENDIAN), EINVAL);
  test_assert_errno (dill_prefix_attach (s[0], 4, 2), EINVAL);
  test_assert_errno (dill_prefix_attach (s[0], 4, -1), EINVAL);
  test_assert_errno (dill_prefix_attach_mem (s[0], 4, 0, NULL), EINVAL);
  test_assert_errno (dill_prefix_attach_mem (s[0], 0, 0, &mem), EINVAL);
  test_assert_errno (dill_prefix_attach (-1, 4, 0), EBADF);
  test_assert_errno (dill_prefix_attach_mem (bundle, 4, 0, &mem), ENOTSUP);

  /* The stream is open still. */
  g_assert_no_errno (dill_bsend (s[0], "raw", 3, 0));
  g_assert_no_errno (dill_brecv (s[1], buffer, 3, 0));
  g_assert_no_errno (dill_hclose (bundle));
  close_pair (s);
}

/* A stream that claims more than it has. */
static void
test_hostile_length (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Kind *kind = data;
  static const guint64 lengths[] = { G_MAXUINT64, G_MAXUINT64 - 7, (guint64) G_MAXINT64 + 1 };
  char byte;

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      guint8 header[8];
      int s, fd;

      make_half_pair (&s, &fd);
      if (kind->is_plain)
        s = plain_attach (s, kind->hands_on);
      s = test_assert_ok (dill_prefix_attach (s, 8, DILL_PREFIX_BIG_ENDIAN));
      make_header (header, 8, DILL_PREFIX_BIG_ENDIAN, lengths[i]);
      write_all (fd, header, sizeof header);
      write_all (fd, "xxxx", 4);

      /* Nobody waits for the end of this. */
      test_assert_errno (dill_mrecv (s, &byte, 1, -1), EMSGSIZE);
      test_assert_errno (dill_mrecv (s, &byte, 1, -1), ECONNRESET);
      g_assert_no_errno (dill_msend (s, "ok", 2, 0));
      g_assert_no_errno (dill_hclose (s));
      close (fd);
    }
}

/* One that could come, but does not. */
static void
test_long_length (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  guint8 header[8];
  int64_t start = dill_now ();
  char byte;
  int s, fd;

  make_half_pair (&s, &fd);
  s = test_assert_ok (dill_prefix_attach (s, 8, DILL_PREFIX_LITTLE_ENDIAN));
  make_header (header, 8, DILL_PREFIX_LITTLE_ENDIAN, G_MAXINT64);
  write_all (fd, header, sizeof header);
  write_all (fd, "xxxx", 4);
  test_assert_errno (dill_mrecv (s, &byte, 1, start + 10), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, start + 10);
  test_assert_errno (dill_mrecv (s, &byte, 1, -1), ECONNRESET);
  g_assert_no_errno (dill_hclose (s));
  close (fd);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/prefix/format", test_format);
  test_add ("/prefix/inexpressible", test_inexpressible);
  test_add ("/prefix/attach-errors", test_attach_errors);
  test_add_data ("/prefix/hostile-length/connection", &kinds[0], test_hostile_length);
  test_add_data ("/prefix/hostile-length/own-stream", &kinds[1], test_hostile_length);
  test_add ("/prefix/long-length", test_long_length);
  return g_test_run ();
}
