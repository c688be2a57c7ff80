/* test-in-time.c: what has come before the deadline counts, however late somebody looks.
 *
 * A thread may lose its processor at any moment, and a main loop its time to another source.  When it comes back and
 * the deadline has passed, an operation does not fail for that alone: it asks the kernel once more, and takes, or gives
 * away, what there was to take, or room for.
 *
 * The program stands between the library and the clock, which goes on by LOST_MS at one look of many.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

#include <sys/syscall.h>

#define TIME_MS 10
#define LOST_MS 20
#define N_LOOKS 12

/* As many pieces as take several looks at the clock. */
#define N_PIECES 200

/* The clock goes on at the look that makes this 0. */
static guint n_looks_left;
static gint64 lost_ns;

int
clock_gettime (clockid_t clock, struct timespec *time)
{
  gint64 ns;

  if (syscall (SYS_clock_gettime, clock, time) != 0)
    return -1;
  if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE)
    return 0;

  if (n_looks_left > 0 && --n_looks_left == 0)
    lost_ns += LOST_MS * 1000 * 1000;
  ns = time->tv_sec * G_GINT64_CONSTANT (1000000000) + time->tv_nsec + lost_ns;
  *time = (struct timespec) { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
  return 0;
}

/* --- One operation, for which everything is there --- */

typedef struct
{
  const char *path; /* where a socket may be put */
  int s;            /* -1: the operation has ended it */
  int other;
} Ends;

typedef struct
{
  const char *name;
  void (*prepare) (Ends *ends);
  int (*call) (Ends *ends, gint64 deadline); /* not negative if it succeeds */
} Operation;

/* The first try finds nothing, or no room, and whoever comes later is not told without asking. */
static void
prepare_pair (Ends *ends)
{
  char byte;
  int s[2];

  make_pair (s);
  ends->s = s[0];
  ends->other = s[1];
  test_assert_errno (dill_brecv_some (ends->s, &byte, 1, 0), ETIMEDOUT);
}

static void
prepare_byte (Ends *ends)
{
  prepare_pair (ends);
  g_assert_no_errno (dill_bsend (ends->other, "x", 1, 0));
}

static void
prepare_descriptor (Ends *ends)
{
  prepare_pair (ends);
  g_assert_no_errno (dill_ipc_sendfd (ends->other, STDIN_FILENO, 0));
}

static void
prepare_pieces (Ends *ends)
{
  prepare_pair (ends);
  send_single_bytes (ends->other, N_PIECES);
}

static void
prepare_room (Ends *ends)
{
  gsize n;

  prepare_pair (ends);
  n = fill_connection (ends->s);
  for (gsize i = 0; i < n; i++)
    close (test_assert_ok (dill_ipc_recvfd (ends->other, 0)));
}

static void
prepare_end (Ends *ends)
{
  prepare_pieces (ends);
  g_assert_no_errno (dill_ipc_done (ends->other, 0));
}

static void
prepare_prefix (Ends *ends)
{
  static const guint8 size = N_PIECES;

  prepare_pair (ends);
  g_assert_no_errno (dill_bsend (ends->other, &size, 1, 0));
  send_single_bytes (ends->other, N_PIECES);
  ends->s = test_assert_ok (dill_prefix_attach (ends->s, 1, 0));
}

static void
prepare_suffix (Ends *ends)
{
  prepare_pieces (ends);
  g_assert_no_errno (dill_bsend (ends->other, "\n", 1, 0));
  ends->s = test_assert_ok (dill_suffix_attach (ends->s, "\n", 1));
}

static void
prepare_client (Ends *ends)
{
  ends->s = test_assert_ok (dill_ipc_listen (ends->path, 5));
  test_assert_errno (dill_ipc_accept (ends->s, 0), ETIMEDOUT);
  ends->other = test_assert_ok (dill_ipc_connect (ends->path, 0));
}

static int
do_brecv (Ends *ends, gint64 deadline)
{
  char byte;

  return dill_brecv (ends->s, &byte, 1, deadline);
}

static int
do_brecv_some (Ends *ends, gint64 deadline)
{
  char byte;

  return (int) dill_brecv_some (ends->s, &byte, 1, deadline);
}

static int
do_brecv_pieces (Ends *ends, gint64 deadline)
{
  return dill_brecv (ends->s, NULL, N_PIECES, deadline);
}

static int
do_bsend (Ends *ends, gint64 deadline)
{
  return dill_bsend (ends->s, "x", 1, deadline);
}

static int
do_bsendl (Ends *ends, gint64 deadline)
{
  struct dill_iolist items[16 * N_PIECES];

  repeat_item (items, G_N_ELEMENTS (items), (char *) "x", 1);
  return dill_bsendl (ends->s, &items[0], &items[G_N_ELEMENTS (items) - 1], deadline);
}

static int
do_msendl (Ends *ends, gint64 deadline)
{
  struct dill_iolist items[16 * N_PIECES];

  repeat_item (items, G_N_ELEMENTS (items), (char *) "x", 1);
  ends->s = test_assert_ok (dill_suffix_attach (ends->s, "\n", 1));
  return dill_msendl (ends->s, &items[0], &items[G_N_ELEMENTS (items) - 1], deadline);
}

static int
do_mrecv (Ends *ends, gint64 deadline)
{
  char bytes[N_PIECES];

  return (int) dill_mrecv (ends->s, bytes, sizeof bytes, deadline);
}

static int
do_recvfd (Ends *ends, gint64 deadline)
{
  int fd = dill_ipc_recvfd (ends->s, deadline);

  return fd < 0 ? -1 : close (fd);
}

static int
do_sendfd (Ends *ends, gint64 deadline)
{
  return dill_ipc_sendfd (ends->s, STDIN_FILENO, deadline);
}

static int
do_close (Ends *ends, gint64 deadline)
{
  int s = ends->s;

  ends->s = -1;
  return dill_ipc_close (s, deadline);
}

static int
do_accept (Ends *ends, gint64 deadline)
{
  int s = dill_ipc_accept (ends->s, deadline);

  return s < 0 ? -1 : dill_hclose (s);
}

static const Operation operations[] = {
  { "brecv", prepare_byte, do_brecv },
  { "brecv-some", prepare_byte, do_brecv_some },
  { "brecv-pieces", prepare_pieces, do_brecv_pieces },
  { "bsend", prepare_room, do_bsend },
  { "bsendl", prepare_pair, do_bsendl },
  { "msendl", prepare_pair, do_msendl },
  { "mrecv-prefix", prepare_prefix, do_mrecv },
  { "mrecv-suffix", prepare_suffix, do_mrecv },
  { "recvfd", prepare_descriptor, do_recvfd },
  { "sendfd", prepare_room, do_sendfd },
  { "close", prepare_end, do_close },
  { "accept", prepare_client, do_accept },
};

/* The processor is away at any of the first looks at the clock. */
static void
test_operation (TestDir *test, gconstpointer data)
{
  const Operation *operation = data;
  Ends ends = { .path = test->path };

  for (guint n = 1; n <= N_LOOKS; n++)
    {
      gint64 deadline;
      int rc;

      operation->prepare (&ends);
      be_busy ();
      deadline = dill_now () + TIME_MS;
      n_looks_left = n;
      rc = operation->call (&ends, deadline);
      n_looks_left = 0;
      if (rc < 0)
        g_error ("%s: %s, the time being lost at look %u", operation->name, g_strerror (errno), n);
      if (ends.s >= 0)
        g_assert_no_errno (dill_hclose (ends.s));
      g_assert_no_errno (dill_hclose (ends.other));
    }
}

/* --- More who wait than the kernel reports at once --- */

#define N_WAITERS 200

typedef struct
{
  int fds[N_WAITERS];
  Call calls[N_WAITERS];
  gint64 deadline;
} Crowd;

/* Each gets what it waits for in time, and then something else takes the loop's time. */
static gboolean
serve_and_be_late (gpointer data)
{
  Crowd *crowd = data;
  char bytes[4096];

  for (guint i = 0; i < N_WAITERS; i++)
    {
      write_all (crowd->fds[i], "x", 1);
      while (recv (crowd->fds[i], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        continue;
      g_assert_no_errno (shutdown (crowd->fds[i], SHUT_WR));
    }
  g_assert_cmpint (dill_now (), <, crowd->deadline);
  lost_ns += (crowd->deadline - dill_now () + LOST_MS) * 1000 * 1000;
  return G_SOURCE_REMOVE;
}

static void
call_fdin (void *data)
{
  Call *call = data;

  call_done (call, dill_fdin (call->s, call->deadline));
}

static void
test_crowd (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  DillFunc func = (DillFunc) data;
  g_autofree Crowd *crowd = g_new0 (Crowd, 1);
  int b = test_assert_ok (dill_bundle ());
  char byte;

  crowd->deadline = soon ();
  for (guint i = 0; i < N_WAITERS; i++)
    {
      Call *call = &crowd->calls[i];
      int fds[2];

      *call = (Call) { .buffer = &byte, .length = 1, .deadline = crowd->deadline };
      g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
      crowd->fds[i] = fds[1];
      if (func == call_sendfd)
        fill_socket (fds[0]);
      call->s = func == call_fdin ? fds[0] : test_assert_ok (dill_ipc_fromfd (fds[0]));
      if (func == call_close)
        g_assert_no_errno (dill_bsend (call->s, "xyz", 3, 0)); /* somebody will have read them in time */
      g_assert_no_errno (dill_bundle_spawn (b, func, call));
    }
  g_timeout_add (1, serve_and_be_late, crowd);
  g_assert_no_errno (dill_bundle_wait (b, soon () + TEST_LIMIT_SECONDS * 1000));

  for (guint i = 0; i < N_WAITERS; i++)
    {
      g_assert_true (crowd->calls[i].is_done);
      g_assert_cmpint (crowd->calls[i].result, ==, 0);
      close (crowd->fds[i]);
      if (func == call_fdin)
        close (crowd->calls[i].s);
      else if (func != call_close)
        g_assert_no_errno (dill_hclose (crowd->calls[i].s));
    }
  g_assert_no_errno (dill_hclose (b));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (operations); i++)
    {
      g_autofree char *path = g_strconcat ("/in-time/", operations[i].name, NULL);

      test_add_data (path, &operations[i], test_operation);
    }
  test_add_data ("/in-time/crowd/brecv", (gconstpointer) call_brecv, test_crowd);
  test_add_data ("/in-time/crowd/sendfd", (gconstpointer) call_sendfd, test_crowd);
  test_add_data ("/in-time/crowd/close", (gconstpointer) call_close, test_crowd);
  test_add_data ("/in-time/crowd/fdin", (gconstpointer) call_fdin, test_crowd);
  return g_test_run ();
}
