/* test-rest.c: waits on the main stack, which sleep in the library's own descriptor while no other source of the
 * context has anything to do.
 *
 * Pins: no other source is left out: those that only their check functions know of, also at the times at which they
 * want to be asked, callbacks that are added between two waits, and what other threads ask for.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "reader-utils.h"
#include "turn-utils.h"

/* A source that is asked only after the context has polled. */
typedef struct
{
  GSource source;
  bool is_ready;
  guint n_prepares; /* of those that have a prepare function */
  guint n_turns;
} Quiet;

static gboolean
quiet_check (GSource *source)
{
  return ((Quiet *) source)->is_ready;
}

static gboolean
quiet_dispatch (GSource *source, GSourceFunc callback G_GNUC_UNUSED, gpointer data G_GNUC_UNUSED)
{
  ((Quiet *) source)->n_turns++;
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs quiet_funcs = { .check = quiet_check, .dispatch = quiet_dispatch };

static void
echo (void *data)
{
  int *s = data;
  char byte;

  while (dill_brecv (*s, &byte, 1, -1) == 0)
    g_assert_no_errno (dill_bsend (*s, &byte, 1, -1));
}

static void
make_round_trip (int s)
{
  char byte = 'x';

  g_assert_no_errno (dill_bsend (s, &byte, 1, soon ()));
  g_assert_no_errno (dill_brecv (s, &byte, 1, soon ()));
}

static void
test_all_are_asked (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  GSource *source = g_source_new (&quiet_funcs, sizeof (Quiet));
  Quiet *quiet = (Quiet *) source;
  Reader idle;
  gint64 end;
  int s[2], h;

  g_source_attach (source, NULL);
  reader_start (&idle);
  settle ();
  g_assert_no_errno (dill_ipc_pair (s));
  h = test_assert_ok (dill_spawn (echo, &s[1]));

  quiet->is_ready = false;
  make_round_trip (s[0]);
  g_assert_cmpuint (quiet->n_turns, ==, 0);
  quiet->is_ready = true;
  end = processor_time () + 20000;
  while (processor_time () < end)
    make_round_trip (s[0]);
  g_assert_cmpuint (quiet->n_turns, >, 3);

  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (s[0]));
  g_assert_no_errno (dill_hclose (s[1]));
  reader_clear (&idle);
  g_source_destroy (source);
  g_source_unref (source);
}

/* Wants to be asked in 5 ms, whenever that is. */
static gboolean
regular_prepare (GSource *source, int *timeout)
{
  ((Quiet *) source)->n_prepares++;
  *timeout = 5;
  return FALSE;
}

static GSourceFuncs regular_funcs = { .prepare = regular_prepare, .check = quiet_check, .dispatch = quiet_dispatch };

/* One that wants to be asked after a time is asked when that has passed, not told to wait as long again. */
static void
test_asked_in_time (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  GSource *source = g_source_new (&regular_funcs, sizeof (Quiet));
  Quiet *regular = (Quiet *) source;
  Reader idle;

  reader_start (&idle);
  settle ();
  g_source_attach (source, NULL);
  regular->is_ready = true;
  while (regular->n_turns < 20)
    g_assert_no_errno (dill_msleep (dill_now () + 200));
  g_assert_cmpuint (2 * regular->n_prepares, <=, 3 * regular->n_turns);

  reader_clear (&idle);
  g_source_destroy (source);
  g_source_unref (source);
}

/* What others do from their own threads, or in signal handlers of GLib, still comes through. */
static void
sleep_until_called (Caller *caller)
{
  while (caller->n_calls < N_CALLS)
    g_assert_no_errno (dill_msleep (dill_now () + 1));
}

static void
test_woken_while_resting (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  check_calls (sleep_until_called);
}

static gboolean
send_byte (gpointer data)
{
  Reader *reader = data;

  g_assert_no_errno (dill_bsend (reader->s[1], "x", 1, soon ()));
  return G_SOURCE_REMOVE;
}

/* Callbacks that are added between two waits, with and without a time of their own. */
static void
test_added_between_waits (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Reader idle;
  char byte;

  reader_start (&idle);
  settle ();
  for (guint i = 0; i < 20; i++)
    {
      Reader pair = { .result = 1 };

      g_assert_no_errno (dill_ipc_pair (pair.s));
      if (i % 2 == 0)
        g_idle_add (send_byte, &pair);
      else
        g_timeout_add (2, send_byte, &pair);
      g_assert_no_errno (dill_brecv (pair.s[0], &byte, 1, soon ()));
      g_assert_no_errno (dill_hclose (pair.s[0]));
      g_assert_no_errno (dill_hclose (pair.s[1]));
    }
  reader_clear (&idle);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/rest/all-are-asked", test_all_are_asked);
  test_add ("/rest/asked-in-time", test_asked_in_time);
  test_add ("/rest/woken", test_woken_while_resting);
  test_add ("/rest/added-between-waits", test_added_between_waits);

  return g_test_run ();
}
