/* test-poll-function.c: a context that polls nothing but the library's descriptor waits in epoll_wait (2), and nothing
 * is lost by that.
 *
 *  - A poll function of the program's own stays.
 *  - Other threads can wake the context up.
 *  - Events that were found while others had their turn are kept until the engine has its own, whatever happens
 *    meanwhile: more descriptors to poll, a nested loop, the end of what they were for.
 *  - A context that may spin takes what comes meanwhile without having slept, does not when that does not pay, and
 *    keeps its deadlines.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "reader-utils.h"

#include <glib-unix.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void
test_installed (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Reader reader;

  reader_start (&reader);
  g_assert_true (g_main_context_get_poll_func (g_main_context_default ()) != g_poll);
  settle ();
  g_assert_no_errno (dill_bsend (reader.s[1], "x", 1, soon ()));
  test_iterate_until (reader.result != 1);
  g_assert_cmpint (reader.result, ==, 0);
  reader_clear (&reader);
}

static guint n_polls;

static int
count_polls (GPollFD *fds, guint n_fds, int timeout)
{
  n_polls++;
  return g_poll (fds, n_fds, timeout);
}

static void
test_left_alone (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  GMainContext *context = g_main_context_new ();
  Reader reader;

  g_main_context_push_thread_default (context);
  g_main_context_set_poll_func (context, count_polls);
  n_polls = 0;
  reader_start (&reader);
  g_assert_no_errno (dill_bsend (reader.s[1], "x", 1, soon ()));
  test_iterate_until (reader.result != 1);
  g_assert_cmpint (reader.result, ==, 0);
  g_assert_cmpuint (n_polls, >, 0);
  g_assert_true (g_main_context_get_poll_func (context) == count_polls);
  g_assert_null (gathering_of_context ());
  reader_clear (&reader);
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
}

static void
iterate_until_called (Caller *caller)
{
  test_iterate_until (caller->n_calls == N_CALLS);
}

static void
test_other_threads (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  check_calls (iterate_until_called);
}

/* A source of high priority that says only after the poll that it is ready, so that the engine's turn is taken from
 * it. */
typedef struct
{
  GSource source;
  void (*act) (Reader *reader); /* what it does in its turn, once; NULL: not ready any more */
  Reader *reader;
  guint n_turns;
} Intruder;

static gboolean
intruder_check (GSource *source)
{
  return ((Intruder *) source)->act != NULL;
}

static gboolean
intruder_dispatch (GSource *source, GSourceFunc callback G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  Intruder *intruder = (Intruder *) source;
  void (*act) (Reader *reader) = intruder->act;

  g_assert_cmpint (intruder->reader->result, ==, 1);
  g_assert_cmpint (gathering_of_context ()->n_events, ==, 1);
  if (++intruder->n_turns == 3)
    {
      intruder->act = NULL;
      act (intruder->reader);
    }
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs intruder_funcs = { .check = intruder_check, .dispatch = intruder_dispatch };

/* A byte is found for a reader, and ACT happens before the engine has its turn.  Returns what the reader has got. */
static int
intrude (void (*act) (Reader *reader))
{
  GSource *source = g_source_new (&intruder_funcs, sizeof (Intruder));
  Intruder *intruder = (Intruder *) source;
  Reader reader;

  reader_start (&reader);
  settle ();
  intruder->act = act;
  intruder->reader = &reader;
  intruder->n_turns = 0;
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_attach (source, NULL);
  g_assert_no_errno (dill_bsend (reader.s[1], "x", 1, soon ()));

  test_iterate_until (reader.result != 1);
  g_assert_cmpuint (intruder->n_turns, ==, 3);
  g_source_destroy (source);
  g_source_unref (source);
  reader_clear (&reader);
  return reader.result;
}

static int pipe_fds[2];
static guint n_bytes_piped;

static gboolean
on_pipe (int fd, GIOCondition condition G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  char byte;

  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
  n_bytes_piped++;
  return G_SOURCE_REMOVE;
}

static void
add_descriptor (Reader *reader G_GNUC_UNUSED)
{
  g_unix_fd_add (pipe_fds[0], G_IO_IN, on_pipe, NULL);
}

static void
test_more_descriptors (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  n_bytes_piped = 0;
  g_assert_no_errno (pipe (pipe_fds));
  g_assert_cmpint (intrude (add_descriptor), ==, 0);
  g_assert_cmpint (write (pipe_fds[1], "x", 1), ==, 1);
  test_iterate_until (n_bytes_piped == 1);
  close (pipe_fds[0]);
  close (pipe_fds[1]);
}

static void
run_nested_loop (Reader *reader)
{
  test_iterate_until (reader->result != 1);
}

static void
test_nested_loop (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (intrude (run_nested_loop), ==, 0);
}

static void
close_connection (Reader *reader)
{
  g_assert_no_errno (dill_hclose (reader->s[0]));
}

static void
test_closed_meanwhile (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_assert_cmpint (intrude (close_connection), ==, ECANCELED);
}

/* Whose peer has yet to answer, and how often the library has looked for events, or slept until there were some. */
static Reader *unanswered;
static guint n_looks, n_sleeps;

static void
answer_reader (void)
{
  if (unanswered != NULL)
    g_assert_no_errno (dill_bsend (g_steal_pointer (&unanswered)->s[1], "x", 1, soon ()));
}

int epoll_wait (int fd, struct epoll_event *events, int n_max, int timeout);

/* Sees what the library, linked in statically, asks the kernel.  The answer comes after the first look in vain, or else
 * in time for a sleep to end. */
int
epoll_wait (int fd, struct epoll_event *events, int n_max, int timeout)
{
  int n;

  n_looks += timeout == 0;
  n_sleeps += timeout != 0;
  if (timeout != 0)
    answer_reader ();
  n = (int) syscall (SYS_epoll_pwait, fd, events, n_max, timeout, NULL, 0);
  if (n == 0)
    answer_reader ();
  return n;
}

/* What comes after a look in vain is found by another one. */
static void
test_spin_pays (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  gboolean is_found = FALSE;

  /* The processor may be taken away just then, and who has spun in vain does not for some time. */
  for (guint i = 0; i < 300 && !is_found; i++)
    {
      Reader reader;

      reader_start (&reader);
      settle ();
      dill_set_spin (1000);
      n_looks = n_sleeps = 0;
      unanswered = &reader;
      test_iterate_until (reader.result != 1);
      g_assert_cmpint (reader.result, ==, 0);
      is_found = n_looks > 1 && n_sleeps == 0;
      dill_set_spin (0);
      reader_clear (&reader);
    }
  g_assert_true (is_found);
}

static gint64
thread_time (void)
{
  struct timespec now;

  g_assert_no_errno (clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now));
  return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static void
test_spin (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Reader reader;
  gint64 used;

  dill_set_spin (1000);
  reader_start (&reader);
  settle ();

  /* 100 waits with a millisecond of spinning each would take ten times as long. */
  used = thread_time ();
  for (guint i = 0; i < 100; i++)
    {
      int64_t deadline = dill_now () + 2;

      g_assert_no_errno (dill_msleep (deadline));
      g_assert_cmpint (dill_now (), >=, deadline);
    }
  used = thread_time () - used;
  g_test_message ("%" G_GINT64_FORMAT " us of processor time", used);
  g_assert_cmpint (used, <, 40000);

  g_assert_no_errno (dill_bsend (reader.s[1], "x", 1, soon ()));
  test_iterate_until (reader.result != 1);
  g_assert_cmpint (reader.result, ==, 0);
  dill_set_spin (0);
  reader_clear (&reader);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/poll-function/installed", test_installed);
  test_add ("/poll-function/left-alone", test_left_alone);
  test_add ("/poll-function/other-threads", test_other_threads);
  test_add ("/poll-function/more-descriptors", test_more_descriptors);
  test_add ("/poll-function/nested-loop", test_nested_loop);
  test_add ("/poll-function/closed-meanwhile", test_closed_meanwhile);
  test_add ("/poll-function/spin/pays", test_spin_pays);
  test_add ("/poll-function/spin/in-vain", test_spin);

  return g_test_run ();
}
