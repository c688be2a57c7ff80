/* test-delivered.c: a coroutine that has what it waited for, and is cancelled before its turn comes, has it all the
 * same; one that has not is cancelled, in whatever it waits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

/* How a wait of some kind is prepared, made, and fulfilled. */
typedef struct
{
  const char *name;
  void (*set_up) (int fds[2]); /* a handle or descriptor that is waited for, and what the fulfilment acts on */
  void (*wait) (void *call);
  void (*fulfil) (int fd);
  bool is_at_once; /* else by an event that the main loop has to see */
  void (*tear_down) (int fds[2]);
} Kind;

/* --- Kinds of waits --- */

static void
pair_with_byte_to_come (int fds[2])
{
  make_half_pair (&fds[0], &fds[1]);
}

static void
write_byte (int fd)
{
  write_all (fd, "x", 1);
}

static void
close_half_pair (int fds[2])
{
  g_assert_no_errno (dill_hclose (fds[0]));
  close (fds[1]);
}

static void
full_pair (int fds[2])
{
  make_half_pair (&fds[0], &fds[1]);
  fill_connection (fds[0]);
}

static void
drain (int fd)
{
  char bytes[4096];

  while (recv (fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
    continue;
  g_assert_cmpint (errno, ==, EAGAIN);
}

static void
plain_pipe (int fds[2])
{
  g_assert_no_errno (pipe (fds));
}

static void
write_to_pipe (int fd)
{
  g_assert_cmpint (write (fd, "x", 1), ==, 1);
}

static void
close_pipe (int fds[2])
{
  for (guint i = 0; i < 2; i++)
    {
      g_assert_no_errno (dill_fdclean (fds[i]));
      close (fds[i]);
    }
}

DEFINE_CALL (fdin, dill_fdin (call->s, call->deadline))

static bool may_end;

/* Ends in the turn of the loop after which its bundle is looked at. */
static void
yield_until_told (void *data G_GNUC_UNUSED)
{
  while (!may_end)
    if (dill_yield () < 0)
      break;
}

static void
make_bundle (int fds[2])
{
  may_end = false;
  fds[0] = test_assert_ok (dill_bundle ());
  fds[1] = -1;
  g_assert_no_errno (dill_bundle_spawn (fds[0], yield_until_told, NULL));
}

static void
end_member (int fd G_GNUC_UNUSED)
{
  may_end = true;
}

DEFINE_CALL (bundle_wait, dill_bundle_wait (call->s, call->deadline))

static void
close_bundle (int fds[2])
{
  g_assert_no_errno (dill_hclose (fds[0]));
}

DEFINE_CALL (chrecv, dill_chrecv (call->s, call->buffer, 1, call->deadline))

DEFINE_CALL (chsend, dill_chsend (call->s, "x", 1, call->deadline))

static void
call_choose (void *data)
{
  Call *call = data;
  struct dill_chclause clauses[] = {
    { DILL_CHSEND, call->s, (char *) "xy", 2 },
    { DILL_CHRECV, call->s, call->buffer, 1 },
  };
  int index = dill_choose (clauses, 2, call->deadline);

  call_done (call, index < 0 ? -1 : 0);
}

static void
make_channel (int fds[2])
{
  g_assert_no_errno (dill_chmake (fds));
}

static void
send_value (int ch)
{
  g_assert_no_errno (dill_chsend (ch, "x", 1, 0));
}

static void
receive_value (int ch)
{
  char value;

  g_assert_no_errno (dill_chrecv (ch, &value, 1, 0));
}

static void
close_channel (int fds[2])
{
  g_assert_no_errno (dill_hclose (fds[0]));
  g_assert_no_errno (dill_hclose (fds[1]));
}

static const Kind kinds[] = {
  { "brecv", pair_with_byte_to_come, call_brecv, write_byte, false, close_half_pair },
  { "brecv-some", pair_with_byte_to_come, call_brecv_some, write_byte, false, close_half_pair },
  { "bsend", full_pair, call_bsend, drain, false, close_half_pair },
  { "fdin", plain_pipe, call_fdin, write_to_pipe, false, close_pipe },
  { "bundle-wait", make_bundle, call_bundle_wait, end_member, false, close_bundle },
  { "chrecv", make_channel, call_chrecv, send_value, true, close_channel },
  { "chsend", make_channel, call_chsend, receive_value, true, close_channel },
  { "choose", make_channel, call_choose, send_value, true, close_channel },
};

/* --- Cancelled before and after --- */

typedef struct
{
  int victim;
  Call *call;
  bool is_early;
} Closer;

/* Is ready before the victim is, and so runs after that was woken and before it runs. */
static void
close_victim (void *data)
{
  Closer *closer = data;

  g_assert_no_errno (dill_yield ());
  closer->is_early = !closer->call->is_done;
  g_assert_no_errno (dill_hclose (closer->victim));
}

static void
test_delivered (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Kind *kind = data;
  char bytes[1] = "-";
  Call call = { .buffer = bytes, .length = 1, .deadline = -1 };
  Closer closer = { .call = &call };
  int fds[2], h = -1;

  kind->set_up (fds);
  call.s = fds[0];
  if (!kind->is_at_once)
    {
      /* Registered by now, so that the next turn of the loop sees the event. */
      closer.victim = start_call (kind->wait, &call);
      sleep_for (1);
      h = test_assert_ok (dill_spawn (close_victim, &closer));
    }
  else
    closer.victim = start_call (kind->wait, &call);
  g_assert_false (call.is_done);

  kind->fulfil (fds[1]);
  if (h >= 0)
    {
      g_assert_no_errno (dill_bundle_wait (h, soon ()));
      g_assert_true (closer.is_early);
      g_assert_no_errno (dill_hclose (h));
    }
  else
    {
      g_assert_false (call.is_done);
      g_assert_no_errno (dill_hclose (closer.victim));
    }
  g_assert_true (call.is_done);
  g_assert_cmpint (call.result, >=, 0);
  kind->tear_down (fds);
}

static void
test_canceled (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Kind *kind = data;
  char bytes[1] = "-";
  Call call = { .buffer = bytes, .length = 1, .deadline = -1 };
  int fds[2], h;

  kind->set_up (fds);
  call.s = fds[0];
  h = start_call (kind->wait, &call);
  g_assert_false (call.is_done);
  g_assert_no_errno (dill_hclose (h));
  assert_call_errno (call, ECANCELED);
  g_assert_cmpint (bytes[0], ==, '-');
  kind->tear_down (fds);
}

/* Two that sleep until the same moment: the first closes the second. */
typedef struct
{
  gint64 moment;
  int result;
  int victim; /* -1: is one */
  bool is_done;
} Sleeper;

static void
sleep_and_close (void *data)
{
  Sleeper *sleeper = data;

  sleeper->result = dill_msleep (sleeper->moment);
  if (sleeper->victim >= 0)
    g_assert_no_errno (dill_hclose (sleeper->victim));
  sleeper->is_done = true;
}

/* Whether both slept. */
static bool
close_sleeper (int64_t milliseconds)
{
  Sleeper closer = { .moment = dill_now () + milliseconds, .result = 1, .victim = -1 };
  Sleeper victim = { .moment = closer.moment, .result = 1, .victim = -1 };
  int h = test_assert_ok (dill_spawn (sleep_and_close, &closer));
  int other = test_assert_ok (dill_spawn (sleep_and_close, &victim));
  bool both_sleep = !closer.is_done && !victim.is_done;

  if (both_sleep)
    closer.victim = other;
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  if (both_sleep)
    g_assert_true (victim.is_done);
  else
    g_assert_no_errno (dill_hclose (other));
  g_assert_cmpint (victim.result, ==, 0);
  g_assert_no_errno (dill_hclose (h));
  return both_sleep;
}

static void
test_sleep_is_over (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  for (int64_t patience = 2; !close_sleeper (patience); patience = next_patience (patience))
    continue;
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autofree char *delivered = g_strconcat ("/delivered/wins/", kinds[i].name, NULL);
      g_autofree char *canceled = g_strconcat ("/delivered/canceled/", kinds[i].name, NULL);

      test_add_data (delivered, &kinds[i], test_delivered);
      test_add_data (canceled, &kinds[i], test_canceled);
    }
  test_add ("/delivered/wins/msleep", test_sleep_is_over);
  return g_test_run ();
}
