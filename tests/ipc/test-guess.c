/* test-guess.c: a receive that follows a send asks the kernel at once, as long as that has proved right.
 *
 * Pins: a peer that has answered when its message was sent costs one call of recvmsg (2) for each answer; one that
 * takes its time costs hardly more, since it is not asked in vain for long; however fast the peer, others go on after a
 * few round trips, and after each one that the program works for long in; and the end of the stream is an end.
 *
 * Relies on the order of symbols: the library calls send (), recvmsg () and epoll_wait () as they are defined here.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

#include <sys/epoll.h>
#include <sys/syscall.h>

#define N_ROUND_TRIPS 640

static int asking_fd = -1, peer_fd = -1; /* a message sent by the first is answered by the second at once */
static guint n_recvmsg, n_epoll_wait, n_answers;

ssize_t
send (int fd, const void *bytes, size_t length, int flags)
{
  ssize_t n = syscall (SYS_sendto, fd, bytes, length, flags, NULL, 0);

  if (n > 0 && fd == asking_fd)
    {
      char message[10];

      g_assert_cmpint (read (peer_fd, message, sizeof message), ==, n);
      g_assert_cmpint (write (peer_fd, message, (gsize) n), ==, n);
      n_answers++;
    }
  return n;
}

ssize_t
recvmsg (int fd, struct msghdr *message, int flags)
{
  n_recvmsg++;
  return syscall (SYS_recvmsg, fd, message, flags);
}

int
epoll_wait (int fd, struct epoll_event *events, int n, int timeout)
{
  n_epoll_wait++;
  return (int) syscall (SYS_epoll_pwait, fd, events, n, timeout, NULL, 8);
}

static void
make_answering_pair (int *s)
{
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  *s = test_assert_ok (dill_ipc_fromfd (fds[0]));
  asking_fd = fds[0];
  peer_fd = fds[1];
  n_recvmsg = n_epoll_wait = n_answers = 0;
}

static void
ask (int s)
{
  char byte = 'x';

  g_assert_no_errno (dill_bsend (s, &byte, 1, soon ()));
  g_assert_no_errno (dill_brecv (s, &byte, 1, soon ()));
}

static void
ask_often (void *data)
{
  Call *call = data;

  while (n_answers < N_ROUND_TRIPS)
    ask (call->s);
  call_done (call, 0);
}

static void
clear_answering_pair (int s)
{
  close (peer_fd);
  asking_fd = peer_fd = -1;
  g_assert_no_errno (dill_hclose (s));
}

static void
test_answered (gconstpointer in_coroutine)
{
  Call call = { 0 };

  make_answering_pair (&call.s);
  if (in_coroutine != NULL)
    finish_call (start_call (ask_often, &call), &call);
  else
    ask_often (&call);
  g_assert_cmpuint (n_answers, ==, N_ROUND_TRIPS);
  g_assert_cmpuint (n_recvmsg, <=, N_ROUND_TRIPS + 5);
  g_assert_cmpuint (n_epoll_wait, <, N_ROUND_TRIPS / 2);
  clear_answering_pair (call.s);
}

/* Another one, whose byte comes with the tenth answer. */
typedef struct
{
  int s[2];
  guint n_answers; /* when it was received */
} Other;

static void
receive_other (void *data)
{
  Other *other = data;
  char byte;

  g_assert_no_errno (dill_brecv (other->s[0], &byte, 1, soon ()));
  other->n_answers = n_answers;
}

static void
test_others_go_on (void)
{
  Call call = { 0 };
  Other other = { .n_answers = 0 };
  int h, asking;

  make_pair (other.s);
  make_answering_pair (&call.s);
  h = test_assert_ok (dill_spawn (receive_other, &other));
  while (n_answers < 10)
    ask (call.s);
  g_assert_cmpuint (other.n_answers, ==, 0);

  g_assert_no_errno (dill_bsend (other.s[1], "x", 1, soon ()));
  asking = start_call (ask_often, &call);
  finish_call (asking, &call);
  g_assert_cmpuint (other.n_answers, >, 0);
  g_assert_cmpuint (other.n_answers, <=, 10 + 20);
  g_assert_no_errno (dill_hclose (h));
  close_pair (other.s);
  clear_answering_pair (call.s);
}

static void
count_turns (void *data)
{
  guint *n_turns = data;

  while (dill_msleep (dill_now () + 1) == 0)
    (*n_turns)++;
}

/* By the time that it asks for the answer, which is there, others want to go on. */
static void
test_work_between (void)
{
  guint n_turns = 0, n_trips = 0;
  int s, h;

  make_answering_pair (&s);
  h = test_assert_ok (dill_spawn (count_turns, &n_turns));
  while (n_answers < 64)
    ask (s);
  for (n_turns = 0; n_trips < 32; n_trips++)
    {
      gint64 end = g_get_monotonic_time () + 3000;
      char byte = 'x';

      g_assert_no_errno (dill_bsend (s, &byte, 1, soon ()));
      while (g_get_monotonic_time () < end)
        ;
      g_assert_no_errno (dill_brecv (s, &byte, 1, soon ()));
    }
  /* Whoever is woken together with this one has his turn in the next trip. */
  g_assert_cmpuint (n_turns, >=, n_trips / 3);
  g_assert_no_errno (dill_hclose (h));
  clear_answering_pair (s);
}

/* It never has answered when it is asked for. */
static void
test_unanswered (void)
{
  int s[2];

  make_pair (s);
  n_recvmsg = 0;
  for (guint i = 0; i < N_ROUND_TRIPS; i++)
    {
      Call call = { .s = s[0], .buffer = &(char){ 0 }, .length = 1, .deadline = soon () };
      char byte;
      int h;

      g_assert_no_errno (dill_bsend (s[0], "x", 1, soon ()));
      h = start_call (call_brecv, &call);
      g_assert_false (call.is_done);
      g_assert_no_errno (dill_brecv (s[1], &byte, 1, soon ()));
      g_assert_no_errno (dill_bsend (s[1], &byte, 1, soon ()));
      finish_call (h, &call);
      g_assert_cmpint (call.result, ==, 0);
    }
  g_assert_cmpuint (n_recvmsg, <=, 2 * N_ROUND_TRIPS + 2 * N_ROUND_TRIPS / 64 + 10);
  close_pair (s);
}

static void
test_end (void)
{
  char byte;
  int s;

  make_answering_pair (&s);
  ask (s);
  asking_fd = -1;
  g_assert_no_errno (dill_bsend (s, "x", 1, soon ()));
  g_assert_cmpint (read (peer_fd, &byte, 1), ==, 1);
  g_assert_no_errno (shutdown (peer_fd, SHUT_WR));
  test_assert_errno (dill_brecv (s, &byte, 1, soon ()), EPIPE);
  test_assert_errno (dill_brecv (s, &byte, 1, soon ()), EPIPE);
  clear_answering_pair (s);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_data_func ("/guess/answered/main-stack", NULL, test_answered);
  g_test_add_data_func ("/guess/answered/coroutine", "coroutine", test_answered);
  g_test_add_func ("/guess/others-go-on", test_others_go_on);
  g_test_add_func ("/guess/work-between", test_work_between);
  g_test_add_func ("/guess/unanswered", test_unanswered);
  g_test_add_func ("/guess/end", test_end);

  return g_test_run ();
}
