/* test-signals.c: signals that interrupt whatever the program is doing, thousands in a second, change nothing.
 *
 * Pins: with a handler that was installed without SA_RESTART, no call of the library fails with EINTR or loses
 * anything: connecting, accepting, sending, receiving, passing descriptors, closing with the handshake, sleeping,
 * waiting.
 *
 * Relies on: timer_create (2); signals are handled on the stack of whichever coroutine runs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "descriptor-utils.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define N_CLIENTS 10
#define N_CONNECTIONS 20 /* of each client, one after the other */
#define LENGTH 50000
#define LENGTH_OF_FLOW 2000000 /* many times what the kernel takes at once */
#define PERIOD_NS (100000 * (long) test_slowdown ()) /* leaves time for something else */

static volatile gint n_signals;

static void
on_signal (int signal_number G_GNUC_UNUSED)
{
  g_atomic_int_inc (&n_signals);
}

/* Signals come from now on, in this process alone. */
static timer_t
start_storm (void)
{
  struct sigaction action = { .sa_handler = on_signal };
  struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
  struct itimerspec period = { .it_interval.tv_nsec = PERIOD_NS, .it_value.tv_nsec = PERIOD_NS };
  timer_t timer;

  g_assert_no_errno (sigaction (SIGUSR1, &action, NULL));
  g_assert_no_errno (timer_create (CLOCK_MONOTONIC, &event, &timer));
  g_assert_no_errno (timer_settime (timer, 0, &period, NULL));
  return timer;
}

static void
end_storm (timer_t timer)
{
  g_assert_no_errno (timer_delete (timer));
  g_assert_cmpint (g_atomic_int_get (&n_signals), >, 0);
  g_test_message ("count %d signals", g_atomic_int_get (&n_signals));
  g_atomic_int_set (&n_signals, 0);
}

/* Sends what it receives back, a descriptor first, and sees the connection off. */
static dill_coroutine void
serve (int s)
{
  g_autofree guint8 *bytes = g_malloc (LENGTH);
  int file = test_assert_ok (dill_ipc_recvfd (s, soon ()));

  g_assert_no_errno (dill_ipc_sendfd (s, file, soon ()));
  close (file);
  g_assert_no_errno (dill_brecv (s, bytes, LENGTH, soon ()));
  g_assert_no_errno (dill_bsend (s, bytes, LENGTH, soon ()));
  g_assert_no_errno (dill_ipc_close (s, soon ()));
}

static dill_coroutine void
call_server (const char *path)
{
  g_autofree guint8 *bytes = g_malloc (LENGTH);

  for (guint i = 0; i < N_CONNECTIONS; i++)
    {
      int s = test_assert_ok (dill_ipc_connect (path, soon ()));
      int file = new_file (), same;

      g_assert_no_errno (dill_ipc_sendfd (s, file, soon ()));
      same = test_assert_ok (dill_ipc_recvfd (s, soon ()));
      assert_same_file (same, file);
      close (same);
      close (file);
      fill_bytes (bytes, LENGTH, i);
      g_assert_no_errno (dill_bsend (s, bytes, LENGTH, soon ()));
      memset (bytes, 0, LENGTH);
      g_assert_no_errno (dill_brecv (s, bytes, LENGTH, soon ()));
      check_bytes (bytes, LENGTH, i);
      g_assert_no_errno (dill_ipc_close (s, soon ()));
      g_assert_no_errno (dill_msleep (dill_now () + 1));
    }
}

static int
be_clients (gpointer path)
{
  int b;
  timer_t storm;

  g_main_context_push_thread_default (g_main_context_new ());
  storm = start_storm ();
  b = test_assert_ok (dill_bundle ());
  for (guint i = 0; i < N_CLIENTS; i++)
    g_assert_no_errno (dill_bundle_go (b, call_server (path)));
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_no_errno (dill_hclose (b));
  end_storm (storm);
  return EXIT_SUCCESS;
}

static void
test_echo (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 2));
  int b = test_assert_ok (dill_bundle ());
  pid_t child = test_child_start (be_clients, test->path);
  timer_t storm = start_storm ();

  for (guint i = 0; i < N_CLIENTS * N_CONNECTIONS; i++)
    g_assert_no_errno (dill_bundle_go (b, serve (test_assert_ok (dill_ipc_accept (ls, soon ())))));
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_no_errno (dill_hclose (b));
  g_assert_no_errno (dill_hclose (ls));
  g_assert_cmpint (test_child_wait (child), ==, EXIT_SUCCESS);
  end_storm (storm);
}

typedef struct
{
  const guint8 *bytes;
  int s;
} Flow;

static void
send_flow (void *data)
{
  const Flow *flow = data;

  g_assert_no_errno (dill_bsend (flow->s, flow->bytes, LENGTH_OF_FLOW, soon ()));
  g_assert_no_errno (dill_ipc_close (flow->s, soon ()));
}

/* Long transfers from coroutine to main stack, each over a connection of its own. */
static void
test_flows (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5));
  g_autofree guint8 *sent = g_malloc (LENGTH_OF_FLOW), *received = g_malloc (LENGTH_OF_FLOW);
  Flow flow = { .bytes = sent };
  timer_t storm = start_storm ();

  for (guint i = 0; i < 20; i++)
    {
      int s, h;

      fill_bytes (sent, LENGTH_OF_FLOW, i);
      flow.s = test_assert_ok (dill_ipc_connect (test->path, soon ()));
      h = test_assert_ok (dill_spawn (send_flow, &flow));
      s = test_assert_ok (dill_ipc_accept (ls, soon ()));
      g_assert_no_errno (dill_brecv (s, received, LENGTH_OF_FLOW, soon ()));
      check_bytes (received, LENGTH_OF_FLOW, i);
      g_assert_no_errno (dill_ipc_close (s, soon ()));
      g_assert_no_errno (dill_bundle_wait (h, soon ()));
      g_assert_no_errno (dill_hclose (h));
    }
  end_storm (storm);
  g_assert_no_errno (dill_hclose (ls));
}

/* Waits for descriptors and for time, on the main stack and in a coroutine. */
static dill_coroutine void
wait_for_pipe (int fd, int64_t deadline)
{
  test_assert_errno (dill_fdin (fd, deadline), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, deadline);
}

static void
test_waits (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int64_t deadline = dill_now () + 50;
  int fds[2], h;
  timer_t storm;

  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  storm = start_storm ();
  h = test_assert_ok (dill_go (wait_for_pipe (fds[0], deadline)));
  g_assert_no_errno (dill_msleep (deadline));
  g_assert_cmpint (dill_now (), >=, deadline);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  wait_for_pipe (fds[0], dill_now () + 20);
  end_storm (storm);
  close (fds[0]);
  close (fds[1]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/signals/echo", test_echo);
  test_add ("/signals/flows", test_flows);
  test_add ("/signals/waits", test_waits);

  return g_test_run ();
}
