/* test-hostile-peers.c: peers that flood, that never come to an end, and that die in the middle.
 *
 *  - Descriptors that nobody asked for, thousands of times 253, never get in, and bytes come whole between them.
 *  - A message that never ends costs no more memory than a short one, and its deadline holds.
 *  - A peer that is killed after any byte of a message leaves whole messages to be received, and then an error that
 *    says whether it was within one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "message-utils.h"

#include <linux/sockios.h>
#include <malloc.h>
#include <signal.h>
#include <sys/ioctl.h>

#define N_FLOODS 3000
#define N_FDS_MAX 253 /* with one message, as the kernel has it */

/* What the library may have kept for later, in bytes. */
#define HEAP_SLACK (64 * 1024)

static gsize
heap_in_use (void)
{
  struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
}

/* In a child: FD is the only end of the connection that it has. */
static int
flood_descriptors (gpointer data)
{
  int fd = GPOINTER_TO_INT (data);
  char control[CMSG_SPACE (N_FDS_MAX * sizeof (int))] = { 0 };
  char byte = 'x';
  struct iovec piece = { &byte, 1 };
  struct msghdr message = {
    .msg_iov = &piece,
    .msg_iovlen = 1,
    .msg_control = control,
    .msg_controllen = sizeof control,
  };
  struct cmsghdr *header = CMSG_FIRSTHDR (&message);

  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN (N_FDS_MAX * sizeof (int));
  for (guint i = 0; i < N_FDS_MAX; i++)
    memcpy (CMSG_DATA (header) + i * sizeof (int), &fd, sizeof fd);

  for (guint i = 0; i < N_FLOODS;)
    {
      if (sendmsg (fd, &message, MSG_NOSIGNAL) == 1)
        i++;
      else if (errno == ETOOMANYREFS) /* until the other side has read some */
        g_thread_yield ();
      else
        return 1;
    }
  return 0;
}

static void
test_descriptors (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  guint n_fds, n_bytes = 0;
  char bytes[16];
  gssize n;
  int s, fd;
  pid_t pid;

  if (test_skip_under (TEST_UNDER_EMULATOR, TEST_LETS_DESCRIPTORS_IN))
    return;

  open_context ();
  make_half_pair (&s, &fd);
  pid = test_child_start (flood_descriptors, GINT_TO_POINTER (fd));
  close (fd);
  n_fds = test_count_fds ();

  while ((n = dill_brecv_some (s, bytes, sizeof bytes, soon ())) > 0)
    {
      for (gssize i = 0; i < n; i++)
        g_assert_cmpint (bytes[i], ==, 'x');
      n_bytes += (guint) n;
      if (n_bytes % 100 == 0)
        g_assert_cmpuint (test_count_fds (), <=, n_fds + 1);
    }
  g_assert_cmpint (errno, ==, EPIPE);
  g_assert_cmpuint (n_bytes, ==, N_FLOODS);
  g_assert_cmpint (test_child_wait (pid), ==, 0);

  g_assert_no_errno (dill_hclose (s));
  g_assert_cmpuint (test_count_fds (), ==, n_fds - 1);
}

/* Zeros without end, after what begins a message of the kind: with a prefix, one of 4 GiB. */
typedef struct
{
  int s; /* whoever receives it, to be closed in the child */
  int fd;
  const char *begin;
  gsize length;
} EndlessMessage;

static int
send_endlessly (gpointer data)
{
  static const char zeros[65536];
  const EndlessMessage *message = data;

  g_assert_no_errno (dill_hclose (message->s));
  write_all (message->fd, message->begin, message->length);
  while (send (message->fd, zeros, sizeof zeros, MSG_NOSIGNAL) > 0)
    continue;
  return 0;
}

/* How much room what was sent on FD and not received takes. */
static int
n_unread (int fd)
{
  int unread;

  g_assert_no_errno (ioctl (fd, SIOCOUTQ, &unread));
  return unread;
}

/* By which protocol the message comes, and whether its receiver has time. */
typedef struct
{
  bool is_suffix;
  bool may_wait;
} Endless;

static void
test_endless (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Endless *endless = data;
  bool is_suffix = endless->is_suffix;
  EndlessMessage message = { .begin = "\377\377\377\377", .length = is_suffix ? 0 : 4 };
  char buf[100];
  int64_t deadline;
  gsize heap;
  pid_t pid;
  int s;

  open_context ();
  make_half_pair (&s, &message.fd);
  s = test_assert_ok (is_suffix ? dill_suffix_attach (s, "\r\n", 2) : dill_prefix_attach (s, 4, 0));
  message.s = s;
  pid = test_child_start (send_endlessly, &message);
  while (!endless->may_wait && n_unread (message.fd) < 65536)
    g_assert_no_errno (dill_msleep (dill_now () + 1));
  close (message.fd);

  heap = heap_in_use ();
  deadline = dill_now () + 300;
  test_assert_errno (dill_mrecv (s, buf, sizeof buf, endless->may_wait ? deadline : 0), ETIMEDOUT);
  g_assert_true (!endless->may_wait || dill_now () >= deadline);
  g_assert_cmpint (dill_now (), <, deadline + 500 * TEST_LIMIT_SECONDS);
  if (test_tool () == 0) /* which have allocators of their own */
    g_assert_cmpuint (heap_in_use (), <=, heap + HEAP_SLACK);
  test_assert_errno (dill_mrecv (s, buf, sizeof buf, soon ()), ECONNRESET);

  g_assert_no_errno (dill_hclose (s));
  g_assert_cmpint (test_child_wait (pid), ==, 0);
}

/* Two messages, as many bytes of them as are sent, and whether the one who sends them leaves something unread. */
typedef struct
{
  int fd;
  const char *bytes;
  gsize length;
  gsize n_sent;
} Victim;

static int
send_and_die (gpointer data)
{
  const Victim *victim = data;

  write_all (victim->fd, victim->bytes, victim->n_sent);
  return raise (SIGKILL);
}

static void
check_killed (Victim *victim, const Kind *kind, bool is_unread)
{
  gsize n_whole = victim->n_sent / (victim->length / 2);
  bool is_within = victim->n_sent % (victim->length / 2) != 0;
  char buf[16];
  pid_t pid;
  int s;

  make_half_message_pair (kind, &s, &victim->fd);
  if (is_unread)
    g_assert_no_errno (dill_msend (s, "unread", 6, soon ()));
  pid = test_child_start (send_and_die, victim);
  close (victim->fd);

  for (gsize i = 0; i < n_whole; i++)
    {
      g_assert_cmpint (dill_mrecv (s, buf, sizeof buf, soon ()), ==, 5);
      g_assert_true (memcmp (buf, "hello", 5) == 0);
    }
  test_assert_errno (dill_mrecv (s, buf, sizeof buf, soon ()), is_within || is_unread ? ECONNRESET : EPIPE);
  g_assert_cmpint (test_child_wait (pid), ==, 128 + SIGKILL);
  g_assert_no_errno (dill_hclose (s));
}

static void
test_killed (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Kind *kind = data;
  Victim victim = kind->is_suffix ? (Victim){ .bytes = "hello" MARK "hello" MARK, .length = 14 }
                                  : (Victim){ .bytes = "\0\0\0\5hello\0\0\0\5hello", .length = 18 };

  for (victim.n_sent = 0; victim.n_sent <= victim.length; victim.n_sent++)
    {
      check_killed (&victim, kind, false);
      check_killed (&victim, kind, true);
    }
}

int
main (int argc, char **argv)
{
  static const Endless prefix = { false, true }, tried_prefix = { false, false };
  static const Endless suffix = { true, true }, tried_suffix = { true, false };

  g_test_init (&argc, &argv, NULL);

  test_add ("/hostile/descriptors", test_descriptors);
  test_add_data ("/hostile/endless/prefix/wait", &prefix, test_endless);
  test_add_data ("/hostile/endless/prefix/try", &tried_prefix, test_endless);
  test_add_data ("/hostile/endless/suffix/wait", &suffix, test_endless);
  test_add_data ("/hostile/endless/suffix/try", &tried_suffix, test_endless);
  add_for_kinds ("/hostile/killed", test_killed);

  return g_test_run ();
}
