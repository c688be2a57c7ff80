/* test-no-buffers.c: what want of memory, the library's or the kernel's, does to transfers: as little as possible.
 *
 * Bytes come without a buffer of the library's; who cannot be registered with the poller tries again; nothing that the
 * kernel has handed over is lost; and a transfer of which nothing was done can be repeated.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/poller.h"
#include "malloc-utils.h"

#include <sys/syscall.h>

/* This program stands between the library and these, too: one call fails with ERROR, after so many that do not. */
typedef struct
{
  guint n_left;
  int error; /* 0: none fails */
} Failure;

static Failure recvmsg_failure, send_failure;

static bool
falls_due (Failure *failure)
{
  if (failure->error == 0 || failure->n_left-- > 0)
    return false;

  test_errnos_note_injection ();
  errno = failure->error;
  failure->error = 0;
  return true;
}

ssize_t
recvmsg (int fd, struct msghdr *message, int flags)
{
  return falls_due (&recvmsg_failure) ? -1 : syscall (SYS_recvmsg, fd, message, flags);
}

ssize_t
sendmsg (int fd, const struct msghdr *message, int flags)
{
  return falls_due (&send_failure) ? -1 : syscall (SYS_sendmsg, fd, message, flags);
}

ssize_t
send (int fd, const void *bytes, size_t length, int flags)
{
  return falls_due (&send_failure) ? -1 : syscall (SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

static void
brecv_without_memory (void *data)
{
  malloc_begin_want (0);
  call_brecv (data);
}

/* Who cannot be registered for want of memory tries again: more of them than there is room for. */
static void
test_registration (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  enum
  {
    N = 40
  };
  g_autoptr (GMainContext) context = g_main_context_new ();
  Call calls[N];
  int pairs[N][2], handles[N];
  char bytes[N];

  if (malloc_skip_test (!dill_poller_reports_edges))
    return;

  g_main_context_push_thread_default (context);
  open_context ();
  for (guint i = 0; i < N; i++)
    {
      make_pair (pairs[i]);
      calls[i] = (Call) { .s = pairs[i][0], .buffer = &bytes[i], .length = 1, .deadline = soon () };
      handles[i] = test_assert_ok (dill_spawn (brecv_without_memory, &calls[i]));
      (void) malloc_end_want ();
      g_assert_false (calls[i].is_done);
    }
  g_assert_cmpuint (n_malloc_failed, >, 0);

  for (guint i = 0; i < N; i++)
    g_assert_no_errno (dill_bsend (pairs[i][1], "x", 1, 0));
  for (guint i = 0; i < N; i++)
    {
      finish_call (handles[i], &calls[i]);
      g_assert_cmpint (calls[i].result, ==, 0);
      close_pair (pairs[i]);
    }
  g_main_context_pop_thread_default (context);
}

/* In a thread that has not one buffer yet: bytes come into the caller's memory all the same, or are dropped. */
static gpointer
receive_without_buffers (gpointer data G_GNUC_UNUSED)
{
  enum
  {
    LENGTH = 16 * 1000, /* less than a buffer holds */
    MUCH = 20 * 1000
  };
  guint8 bytes[MUCH];
  struct dill_iolist last = { bytes + 100, 900, NULL, 0 }, skipped = { NULL, LENGTH - 1000, &last, 0 };
  struct dill_iolist first = { bytes, 100, &skipped, 0 };
  int fd, s;

  make_half_pair (&s, &fd);
  for (guint i = 0; i < 3; i++)
    {
      fill_bytes (bytes, LENGTH, 0);
      write_all (fd, bytes, LENGTH);
      memset (bytes, 0, LENGTH);
      malloc_begin_want (0);
      if (i == 0)
        {
          g_assert_no_errno (dill_brecv (s, bytes, LENGTH, 0));
          check_bytes (bytes, LENGTH, 0);
        }
      else if (i == 1)
        {
          g_assert_no_errno (dill_brecvl (s, &first, &last, 0));
          check_bytes (bytes, 100, 0);
          check_bytes (bytes + 100, 900, LENGTH - 900);
        }
      else
        {
          g_assert_cmpint (dill_brecv_some (s, bytes, LENGTH, 0), ==, LENGTH);
          check_bytes (bytes, LENGTH, 0);
        }
      g_assert_true (malloc_end_want ());
    }

  /* Who asks for as much as a buffer holds has no use for one. */
  write_all (fd, bytes, MUCH);
  malloc_begin_want (0);
  g_assert_cmpint (dill_brecv_some (s, bytes, MUCH, 0), ==, MUCH);
  g_assert_false (malloc_end_want ());
  test_assert_errno (dill_brecv_some (s, bytes, 1, 0), ETIMEDOUT);
  g_assert_no_errno (dill_hclose (s));
  close (fd);
  return NULL;
}

static void
test_receive (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  if (!malloc_skip_test (false))
    g_thread_join (g_thread_new ("receiver", receive_without_buffers, NULL));
}

/* Messages are looked for in a buffer: without one none is received, and none is lost. */
static gpointer
receive_messages_without_buffers (gpointer data)
{
  bool is_suffix = GPOINTER_TO_SIZE (data);
  char text[10];
  int fd, s;

  make_half_pair (&s, &fd);
  s = test_assert_ok (is_suffix ? dill_suffix_attach (s, "\n", 1) : dill_prefix_attach (s, 1, 0));
  write_all (fd, is_suffix ? "text\nnext\n" : "\4text\4next", 10);
  for (guint i = 0; i < 2; i++)
    {
      gssize result;
      int error;

      malloc_begin_want (0);
      result = dill_mrecv (s, text, sizeof text, -1);
      error = errno;
      g_assert_true (malloc_end_want ());
      g_assert_cmpint (result, ==, -1);
      g_assert_cmpint (error, ==, ENOMEM);
    }
  g_assert_cmpint (dill_mrecv (s, text, sizeof text, 0), ==, 4);
  g_assert_cmpmem (text, 4, "text", 4);
  g_assert_cmpint (dill_mrecv (s, text, sizeof text, 0), ==, 4);
  g_assert_cmpmem (text, 4, "next", 4);
  g_assert_no_errno (dill_hclose (s));
  close (fd);
  return NULL;
}

static void
test_messages (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  if (malloc_skip_test (false))
    return;

  for (gsize is_suffix = 0; is_suffix < 2; is_suffix++)
    g_thread_join (g_thread_new ("receiver", receive_messages_without_buffers, GSIZE_TO_POINTER (is_suffix)));
}

/* --- The kernel's memory --- */

/* Nothing was received, so nothing is lost: the same call succeeds later.  Want of memory has one name. */
static void
test_receive_error (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  int error = GPOINTER_TO_INT (data);
  char bytes[2];
  int s[2];

  make_pair (s);
  g_assert_no_errno (dill_bsend (s[0], "ab", 2, 0));
  for (guint i = 0; i < 2; i++)
    {
      recvmsg_failure = (Failure) { .error = error };
      if (i == 0)
        test_assert_errno (dill_brecv (s[1], bytes, 2, soon ()), ENOMEM);
      else
        test_assert_errno (dill_brecv_some (s[1], bytes, 2, soon ()), ENOMEM);
    }
  g_assert_no_errno (dill_brecv (s[1], bytes, 2, 0));
  g_assert_cmpmem (bytes, 2, "ab", 2);
  close_pair (s);
}

/* In the middle, half of what was asked for is gone. */
static void
test_receive_error_in_the_middle (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char bytes[4];
  int s[2];

  make_pair (s);
  g_assert_no_errno (dill_bsend (s[0], "ab", 2, 0));
  recvmsg_failure = (Failure) { .n_left = 1, .error = ENOMEM };
  test_assert_errno (dill_brecv (s[1], bytes, 4, 0), ENOMEM);
  test_assert_errno (dill_brecv (s[1], bytes, 1, 0), ECONNRESET);
  close_pair (s);
}

static void
test_send_error (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  int error = GPOINTER_TO_INT (data);
  char bytes[2];
  int s[2];

  make_pair (s);
  send_failure = (Failure) { .error = error };
  test_assert_errno (dill_bsend (s[0], "ab", 2, soon ()), error);
  test_assert_errno (dill_brecv_some (s[1], bytes, 2, 0), ETIMEDOUT);
  g_assert_no_errno (dill_bsend (s[0], "ab", 2, 0));
  g_assert_no_errno (dill_brecv (s[1], bytes, 2, 0));
  g_assert_cmpmem (bytes, 2, "ab", 2);
  close_pair (s);
}

static void
test_send_error_in_the_middle (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  struct dill_iolist items[40];
  char byte = 'x';
  int s[2];

  make_pair (s);
  repeat_item (items, G_N_ELEMENTS (items), &byte, 1);
  send_failure = (Failure) { .n_left = 1, .error = ENOBUFS };
  test_assert_errno (dill_bsendl (s[0], &items[0], &items[G_N_ELEMENTS (items) - 1], 0), ENOBUFS);
  test_assert_errno (dill_bsend (s[0], &byte, 1, 0), ECONNRESET);
  close_pair (s);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/no-buffers/registration", test_registration);
  test_add ("/no-buffers/receive", test_receive);
  test_add ("/no-buffers/messages", test_messages);
  test_add_data ("/no-buffers/receive-error/enomem", GINT_TO_POINTER (ENOMEM), test_receive_error);
  test_add_data ("/no-buffers/receive-error/enobufs", GINT_TO_POINTER (ENOBUFS), test_receive_error);
  test_add ("/no-buffers/receive-error/in-the-middle", test_receive_error_in_the_middle);
  test_add_data ("/no-buffers/send-error/enomem", GINT_TO_POINTER (ENOMEM), test_send_error);
  test_add_data ("/no-buffers/send-error/enobufs", GINT_TO_POINTER (ENOBUFS), test_send_error);
  test_add ("/no-buffers/send-error/in-the-middle", test_send_error_in_the_middle);
  return g_test_run ();
}
