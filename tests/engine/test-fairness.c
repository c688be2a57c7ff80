/* test-fairness.c: whatever a coroutine does, its neighbours in the main context have their turns.
 *
 * Timers, descriptors and sources of the same or a higher priority go on within 10 ms, and those of a lower one within
 * twenty.  Time is measured as this thread's processor time: what other programs take does not count.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "turn-utils.h"

#include <fcntl.h>
#include <unistd.h>

/* How long neighbours are watched, in microseconds of processor time. */
#define WATCHED_US (150000 * test_slowdown ())

static void
sleep_in_turns (void *data)
{
  while (dill_msleep (dill_now () + 1) == 0)
    take_turn (data);
}

typedef struct
{
  int fds[2];
  Neighbour neighbour;
} Reader;

static void
read_in_turns (void *data)
{
  Reader *reader = data;
  char byte;

  while (dill_fdin (reader->fds[0], -1) == 0)
    {
      g_assert_cmpint (read (reader->fds[0], &byte, 1), ==, 1);
      take_turn (&reader->neighbour);
    }
}

/* Its turns are those of the equal-priority timer that writes. */
static gboolean
feed_reader (gpointer data)
{
  Reader *reader = data;

  /* The pipe holds 64 KiB: far more than there are turns. */
  test_assert_ok (write (reader->fds[1], "x", 1));
  return G_SOURCE_CONTINUE;
}

/* All kinds of neighbours, while FUNC hogs the engine in a coroutine. */
static void
check_fairness (DillFunc func, void *data)
{
  Neighbour high, timer, low, sleeper;
  Reader reader;
  GSource *sources[4];
  Stretch stretch = stretch_begin (WATCHED_US);
  int b = test_assert_ok (dill_bundle ());

  neighbour_init (&sleeper, "sleeping coroutine");
  neighbour_init (&reader.neighbour, "reading coroutine");
  g_assert_no_errno (pipe (reader.fds));
  g_assert_no_errno (dill_bundle_spawn (b, sleep_in_turns, &sleeper));
  g_assert_no_errno (dill_bundle_spawn (b, read_in_turns, &reader));

  sources[0] = add_neighbour (g_timeout_source_new (1), G_PRIORITY_HIGH, &high, "higher priority");
  sources[1] = add_neighbour (g_timeout_source_new (2), G_PRIORITY_DEFAULT, &timer, "timer of the same priority");
  sources[2] = add_neighbour (g_idle_source_new (), G_PRIORITY_LOW, &low, "lower priority");
  sources[3] = g_timeout_source_new (1);
  g_source_set_callback (sources[3], feed_reader, &reader, NULL);
  g_source_attach (sources[3], NULL);

  g_assert_no_errno (dill_bundle_spawn (b, func, data));
  while (stretch_goes_on (&stretch))
    g_main_context_iteration (NULL, TRUE);

  check_neighbour (&high, EQUAL_MAX_US);
  check_neighbour (&timer, EQUAL_MAX_US);
  check_neighbour (&sleeper, EQUAL_MAX_US);
  check_neighbour (&reader.neighbour, EQUAL_MAX_US);
  check_neighbour (&low, LOWER_MAX_US);

  g_assert_no_errno (dill_hclose (b));
  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    {
      g_source_destroy (sources[i]);
      g_source_unref (sources[i]);
    }
  for (guint i = 0; i < 2; i++)
    {
      g_assert_no_errno (dill_fdclean (reader.fds[i]));
      close (reader.fds[i]);
    }
}

static void
yield_for_ever (void *data G_GNUC_UNUSED)
{
  while (dill_yield () == 0)
    continue;
}

static void
test_yield_loop (void)
{
  check_fairness (yield_for_ever, NULL);
}

static void
yield_with_many (void *data)
{
  const guint n_coroutines = 300 / test_slowdown (); /* they are started without a pause */
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < n_coroutines; i++)
    g_assert_no_errno (dill_bundle_spawn (b, yield_for_ever, data));
  test_assert_errno (dill_bundle_wait (b, -1), ECANCELED);
  g_assert_no_errno (dill_hclose (b));
}

static void
test_many_yield_loops (void)
{
  check_fairness (yield_with_many, NULL);
}

/* Each is busy for a while before it gives way. */
static void
work_and_yield (void *data G_GNUC_UNUSED)
{
  do
    {
      gint64 end = processor_time () + 300;

      while (processor_time () < end)
        continue;
    }
  while (dill_yield () == 0);
}

static void
test_work (void)
{
  check_fairness (work_and_yield, NULL);
}

static void
start_and_end (void *data G_GNUC_UNUSED)
{
}

static void
spawn_and_yield (void *data)
{
  int h;

  while ((h = dill_spawn (start_and_end, data)) >= 0)
    {
      g_assert_no_errno (dill_hclose (h));
      if (dill_yield () < 0)
        break;
    }
  g_assert_cmpint (errno, ==, ECANCELED);
}

static void
test_spawn_loop (void)
{
  check_fairness (spawn_and_yield, NULL);
}

/* Something that always is ready never has to wait, and pauses all the same. */
static void
ask_for_ever (void *data)
{
  while (dill_fdin (*(int *) data, -1) == 0)
    continue;
  g_assert_cmpint (errno, ==, ECANCELED);
}

static void
test_always_ready_descriptor (void)
{
  int fd = test_assert_ok (open ("/dev/null", O_RDONLY | O_CLOEXEC));

  check_fairness (ask_for_ever, &fd);
  g_assert_no_errno (dill_fdclean (fd));
  close (fd);
}

/* One passes a value to and fro, until its bundle is closed, and so does the other. */
static void
pass_to_and_fro (void *data)
{
  int ch = *(int *) data, value = 0;

  while (dill_chsend (ch, &value, sizeof value, -1) == 0 && dill_chrecv (ch, &value, sizeof value, -1) == 0)
    continue;
}

static void
play_ping_pong (void *data)
{
  int *ends = data, b = test_assert_ok (dill_bundle ()), value;

  g_assert_no_errno (dill_bundle_spawn (b, pass_to_and_fro, &ends[0]));
  while (dill_chrecv (ends[1], &value, sizeof value, -1) == 0 && dill_chsend (ends[1], &value, sizeof value, -1) == 0)
    continue;
  g_assert_cmpint (errno, ==, ECANCELED);
  g_assert_no_errno (dill_hclose (b));
}

static void
test_ping_pong (void)
{
  int ends[2];

  g_assert_no_errno (dill_chmake (ends));
  check_fairness (play_ping_pong, ends);
  for (guint i = 0; i < 2; i++)
    g_assert_no_errno (dill_hclose (ends[i]));
}

#if DILL_HAS_SOCKETS
typedef struct
{
  int pair[2];
  char buffer[65536];
} Flood;

static void
receive_for_ever (void *data)
{
  Flood *flood = data;

  while (dill_brecv_some (flood->pair[0], flood->buffer, sizeof flood->buffer, -1) > 0)
    continue;
  g_assert_cmpint (errno, ==, ECANCELED);
}

static void
flood_peer (void *data)
{
  Flood *flood = data;
  int b = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_spawn (b, receive_for_ever, flood));
  while (dill_bsend (flood->pair[1], flood->buffer, sizeof flood->buffer, -1) == 0)
    continue;
  g_assert_cmpint (errno, ==, ECANCELED);
  g_assert_no_errno (dill_hclose (b));
}

static void
test_flood (void)
{
  Flood *flood = g_new0 (Flood, 1);

  g_assert_no_errno (dill_ipc_pair (flood->pair));
  check_fairness (flood_peer, flood);
  g_assert_no_errno (dill_hclose (flood->pair[0]));
  g_assert_no_errno (dill_hclose (flood->pair[1]));
  g_free (flood);
}

static void
receive_messages (void *data)
{
  char text[10];

  while (dill_mrecv (*(int *) data, text, sizeof text, -1) >= 0)
    continue;
  g_assert_cmpint (errno, ==, ECANCELED);
}

static void
flood_with_messages (void *data)
{
  int *s = data, b = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_spawn (b, receive_messages, &s[0]));
  while (dill_msend (s[1], "text", 4, -1) == 0)
    continue;
  g_assert_cmpint (errno, ==, ECANCELED);
  g_assert_no_errno (dill_hclose (b));
}

static void
test_messages (void)
{
  int s[2];

  g_assert_no_errno (dill_ipc_pair (s));
  for (guint i = 0; i < 2; i++)
    s[i] = test_assert_ok (dill_suffix_attach (s[i], "\n", 1));
  check_fairness (flood_with_messages, s);
  for (guint i = 0; i < 2; i++)
    g_assert_no_errno (dill_hclose (s[i]));
}
#endif

/* A neighbour that always is ready leaves room for the coroutines, and has room. */
static void
test_always_ready_source (void)
{
  Neighbour neighbour, sleeper;
  GSource *source = add_neighbour (g_idle_source_new (), G_PRIORITY_DEFAULT, &neighbour, "same priority");
  Stretch stretch = stretch_begin (WATCHED_US);
  int b = test_assert_ok (dill_bundle ());

  neighbour_init (&sleeper, "sleeping coroutine");
  g_assert_no_errno (dill_bundle_spawn (b, sleep_in_turns, &sleeper));
  g_assert_no_errno (dill_bundle_spawn (b, yield_for_ever, NULL));
  while (stretch_goes_on (&stretch))
    g_main_context_iteration (NULL, TRUE);
  check_neighbour (&neighbour, EQUAL_MAX_US);
  check_neighbour (&sleeper, EQUAL_MAX_US);
  g_assert_no_errno (dill_hclose (b));
  g_source_destroy (source);
  g_source_unref (source);
}

/* One of a lower priority may take longer for a turn than the library works before it steps back: it has two between
 * two turns of the library at most, and one or two more while the coroutine sleeps. */
static gboolean
work_long (gpointer data)
{
  gint64 end = processor_time () + 8000;

  while (processor_time () < end)
    continue;
  return count_calls (data);
}

static void
test_slow_source (void)
{
  guint n_turns = 0, n_woken = 0;
  GSource *source = g_idle_source_new ();
  int h = test_assert_ok (dill_spawn (sleep_and_count, &n_woken));

  g_source_set_priority (source, G_PRIORITY_LOW);
  g_source_set_callback (source, work_long, &n_turns, NULL);
  g_source_attach (source, NULL);
  test_iterate_until (n_woken == 5);
  g_assert_cmpuint (n_turns, <=, 5 * 4);
  remove_source (source);
  g_assert_no_errno (dill_hclose (h));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fairness/yield-loop", test_yield_loop);
  g_test_add_func ("/fairness/many-yield-loops", test_many_yield_loops);
  g_test_add_func ("/fairness/work", test_work);
  g_test_add_func ("/fairness/spawn-loop", test_spawn_loop);
  g_test_add_func ("/fairness/always-ready-descriptor", test_always_ready_descriptor);
  g_test_add_func ("/fairness/ping-pong", test_ping_pong);
#if DILL_HAS_SOCKETS
  g_test_add_func ("/fairness/flood", test_flood);
  g_test_add_func ("/fairness/messages", test_messages);
#endif
  g_test_add_func ("/fairness/always-ready-source", test_always_ready_source);
  g_test_add_func ("/fairness/slow-source", test_slow_source);
  return g_test_run ();
}
