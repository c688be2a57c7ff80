/* test-peers.c: whatever a peer does, flood, never read, reset, or send urgent bytes, costs itself at most: deadlines
 * are kept, timers and other connections go on, and nothing is killed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/time.h>

/* How late a deadline may be: a few milliseconds, and what a busy machine adds.  Without care it would be for ever. */
#define LATE_MAX_MS 100

/* What the median of the times between a timer's turns may be.  Sources of a lower priority than the engine's have a turn
 * after 5 ms of continuous work, and others may run before. */
#define GAP_MAX_MS(priority) ((priority) > G_PRIORITY_DEFAULT ? 30 : 10)

static gpointer
flood (gpointer data)
{
  static const char zeros[65536];
  int fd = GPOINTER_TO_INT (data);

  while (send (fd, zeros, sizeof zeros, MSG_NOSIGNAL) > 0)
    continue;
  close (fd);
  return NULL;
}

static gpointer
drain (gpointer data)
{
  g_autofree char *bytes = g_malloc (65536);
  int fd = GPOINTER_TO_INT (data);

  while (read (fd, bytes, 65536) > 0)
    continue;
  close (fd);
  return NULL;
}

/* The times between the turns of a timer of 1 ms.  Their median says what the library does, not what other programs do. */
typedef struct
{
  gint64 last;
  GArray *gaps;
} Ticks;

static gboolean
tick (gpointer data)
{
  Ticks *ticks = data;
  gint64 now = g_get_monotonic_time ();
  gint64 gap = now - ticks->last;

  g_array_append_val (ticks->gaps, gap);
  ticks->last = now;
  return G_SOURCE_CONTINUE;
}

static gint
compare_gaps (gconstpointer a, gconstpointer b)
{
  gint64 difference = *(const gint64 *) a - *(const gint64 *) b;

  return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

static void
ticks_check (Ticks *ticks, int priority)
{
  g_assert_cmpuint (ticks->gaps->len, >, 3);
  g_array_sort (ticks->gaps, compare_gaps);
  g_assert_cmpint (g_array_index (ticks->gaps, gint64, ticks->gaps->len / 2), <=, GAP_MAX_MS (priority) * 1000);
  g_array_unref (ticks->gaps);
}

/* Runs FUNC with CALL, which lasts until a deadline in 300 ms, while a timer ticks with PRIORITY. */
static void
check_fairness (DillFunc func, Call *call, bool in_coroutine, int priority)
{
  Ticks ticks = { .last = g_get_monotonic_time (), .gaps = g_array_new (FALSE, FALSE, sizeof (gint64)) };
  guint id = g_timeout_add_full (priority, 1, tick, &ticks, NULL);
  int64_t start = dill_now ();

  call->deadline = start + 300;
  if (in_coroutine)
    {
      int h = start_call (func, call);
      finish_call (h, call);
    }
  else
    func (call);
  assert_call_errno (*call, ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, call->deadline);
  g_assert_cmpint (dill_now (), <=, call->deadline + LATE_MAX_MS);

  g_source_remove (id);
  ticks_check (&ticks, priority);
}

static void
test_fast_sender (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  guint how = (guint) GPOINTER_TO_SIZE (data);
  Call call = { .buffer = NULL, .length = SSIZE_MAX };
  GThread *thread;
  int fd;

  make_half_pair (&call.s, &fd);
  thread = g_thread_new ("flood", flood, GINT_TO_POINTER (fd));
  check_fairness (call_brecv, &call, how & 1, how & 2 ? G_PRIORITY_LOW : G_PRIORITY_DEFAULT);
  g_assert_no_errno (dill_hclose (call.s));
  test_thread_join (thread);
}

/* A socket that holds so much that receiving it takes long, though none of it has to be waited for. */
static void
test_much_is_there (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  bool until_deadline = GPOINTER_TO_SIZE (data);
  enum
  {
    LENGTH = 96 << 20
  };
  Ticks ticks = { .last = g_get_monotonic_time (), .gaps = g_array_new (FALSE, FALSE, sizeof (gint64)) };
  int s, fd, room = 2 * LENGTH, unread;
  gsize there;
  guint id;

  make_half_pair (&s, &fd);
  if (setsockopt (fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0)
    {
      g_test_skip ("only root can make a socket hold more than the system's limit");
      close (fd);
      g_assert_no_errno (dill_hclose (s));
      g_array_unref (ticks.gaps);
      return;
    }

  there = fill_socket (fd);
  g_assert_cmpuint (there, >, 1 << 20);
  id = g_timeout_add (1, tick, &ticks);
  if (until_deadline)
    {
      test_assert_errno (dill_brecv (s, NULL, SSIZE_MAX, dill_now () + 2), ETIMEDOUT);
      g_assert_no_errno (ioctl (fd, SIOCOUTQ, &unread));
      g_assert_cmpint (unread, >, 0); /* it stopped in the middle */
    }
  else
    {
      g_assert_no_errno (dill_brecv (s, NULL, there, -1));
      g_assert_cmpuint (ticks.gaps->len, >, 1);
    }
  g_source_remove (id);
  g_array_unref (ticks.gaps);
  close (fd);
  g_assert_no_errno (dill_hclose (s));
}

static void
test_fast_reader (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  int priority = GPOINTER_TO_SIZE (data) & 2 ? G_PRIORITY_LOW : G_PRIORITY_DEFAULT;
  struct dill_iolist *items;
  enum
  {
    N = 1 << 16,
    LENGTH = 1 << 20
  }; /* 64 GiB in all, from one megabyte */
  g_autofree char *bytes = g_malloc0 (LENGTH);
  Ticks ticks = { .last = g_get_monotonic_time (), .gaps = g_array_new (FALSE, FALSE, sizeof (gint64)) };
  int64_t deadline;
  GThread *thread;
  guint id;
  int s, fd;

  items = g_new0 (struct dill_iolist, N);
  for (guint i = 0; i < N; i++)
    items[i] = (struct dill_iolist) { bytes, LENGTH, i + 1 < N ? &items[i + 1] : NULL, 0 };
  make_half_pair (&s, &fd);
  thread = g_thread_new ("drain", drain, GINT_TO_POINTER (fd));
  id = g_timeout_add_full (priority, 1, tick, &ticks, NULL);
  deadline = dill_now () + 300;
  test_assert_errno (dill_bsendl (s, &items[0], &items[N - 1], deadline), ETIMEDOUT);
  g_assert_cmpint (dill_now (), <=, deadline + LATE_MAX_MS);
  g_source_remove (id);
  ticks_check (&ticks, priority);
  g_free (items);
  g_assert_no_errno (dill_hclose (s));
  test_thread_join (thread);
}

/* Many small receives, none of which has to wait. */
static void
take_bytes (void *data)
{
  Call *call = data;
  char byte;

  while (dill_now () < call->deadline)
    g_assert_no_errno (dill_brecv (call->s, &byte, 1, -1));
  errno = ETIMEDOUT;
  call_done (call, -1);
}

static void
test_many_small_receives (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  guint how = (guint) GPOINTER_TO_SIZE (data);
  Call call = { .length = 1 };
  GThread *thread;
  int fd;

  make_half_pair (&call.s, &fd);
  thread = g_thread_new ("flood", flood, GINT_TO_POINTER (fd));
  check_fairness (take_bytes, &call, how & 1, how & 2 ? G_PRIORITY_LOW : G_PRIORITY_DEFAULT);
  g_assert_no_errno (dill_hclose (call.s));
  test_thread_join (thread);
}

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

static volatile sig_atomic_t n_alarms;

static void
on_storm (int signal_number G_GNUC_UNUSED)
{
  n_alarms++;
}

typedef struct
{
  int s;
  gsize length;
} Flow;

static void
send_flow (void *data)
{
  Flow *flow = data;
  g_autofree guint8 *bytes = g_malloc (flow->length);

  fill_bytes (bytes, flow->length, 0);
  g_assert_no_errno (dill_bsend (flow->s, bytes, flow->length, soon ()));
  g_assert_no_errno (dill_ipc_close (flow->s, soon ()));
}

/* A signal every 100 microseconds, whose handler does not restart system calls. */
static int
run_in_storm (gpointer data)
{
  struct sigaction action = { .sa_handler = on_storm };
  struct itimerval often = { { 0, 100 }, { 0, 100 } }, never = { { 0, 0 }, { 0, 0 } };
  g_autoptr (GMainContext) context = g_main_context_new ();
  const char *path = data;
  enum
  {
    LENGTH = 2 * 1000 * 1000
  };
  g_autofree guint8 *bytes = g_malloc (LENGTH);
  Flow flow = { .length = LENGTH };
  int ls, h;

  sigaction (SIGALRM, &action, NULL);
  g_main_context_push_thread_default (context);
  ls = test_assert_ok (dill_ipc_listen (path, 5));
  g_assert_no_errno (setitimer (ITIMER_REAL, &often, NULL));
  for (guint i = 0; i < 20; i++)
    {
      int s;

      flow.s = test_assert_ok (dill_ipc_connect (path, soon ()));
      h = test_assert_ok (dill_spawn (send_flow, &flow));
      s = test_assert_ok (dill_ipc_accept (ls, soon ()));
      g_assert_no_errno (dill_brecv (s, bytes, LENGTH, soon ()));
      check_bytes (bytes, LENGTH, 0);
      g_assert_no_errno (dill_ipc_close (s, soon ()));
      g_assert_no_errno (dill_bundle_wait (h, soon ()));
      g_assert_no_errno (dill_hclose (h));
    }
  g_assert_no_errno (setitimer (ITIMER_REAL, &never, NULL));
  g_assert_no_errno (dill_hclose (ls));
  g_main_context_pop_thread_default (context);
  return n_alarms > 20 ? 0 : 1;
}

static void
test_signal_storm (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (test_in_child (run_in_storm, test->path), ==, 0);
}

#define add_number(name, number, func) test_add_data ("/peers/" name, GSIZE_TO_POINTER (number), func)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  add_number ("fast-sender/main-stack", 0, test_fast_sender);
  add_number ("fast-sender/coroutine", 1, test_fast_sender);
  add_number ("fast-sender/low-priority-timer", 3, test_fast_sender);
  add_number ("much-is-there/deadline", true, test_much_is_there);
  add_number ("much-is-there/timer", false, test_much_is_there);
  add_number ("fast-reader/timer", 0, test_fast_reader);
  add_number ("fast-reader/low-priority-timer", 2, test_fast_reader);
  add_number ("many-small-receives/main-stack", 0, test_many_small_receives);
  add_number ("many-small-receives/coroutine", 1, test_many_small_receives);
  add_number ("many-small-receives/low-priority-timer", 3, test_many_small_receives);
  test_add ("/peers/never-reads", test_never_reads);
  test_add ("/peers/reset", test_reset);
  test_add ("/peers/no-sigpipe", test_no_sigpipe);
  test_add ("/peers/urgent-byte", test_urgent_byte);
  test_add ("/peers/signal-storm", test_signal_storm);
  return g_test_run ();
}
