/* test-faults-channel.c: whatever fails while channels are made and used.
 *
 * Pins: the only errno for want of memory is ENOMEM, and a value that was not passed then is passed by the next
 * attempt.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-points.h"

/* More clauses than dill_choose () has room for on its stack. */
#define N_CLAUSES 20

static void
use_channel (FaultWorld *world)
{
  g_assert_no_errno (dill_chmake (world->handles));
}

/* Passes one value the other way: from H to its other end, or to H. */
static void
receive_value (void *data)
{
  FaultWorld *world = data;

  g_assert_no_errno (dill_chrecv (world->handles[1], &world->value, sizeof world->value, -1));
}

static void
send_value (void *data)
{
  FaultWorld *world = data;
  gint64 value = 5;

  g_assert_no_errno (dill_chsend (world->handles[1], &value, sizeof value, -1));
}

/* Its bundle is closed before the channel. */
static void
use_receiver (FaultWorld *world)
{
  use_channel (world);
  world->handles[2] = test_assert_ok (dill_spawn (receive_value, world));
}

static void
use_sender (FaultWorld *world)
{
  use_channel (world);
  world->handles[2] = test_assert_ok (dill_spawn (send_value, world));
}

static gboolean
let_receive (FaultWorld *world)
{
  g_assert_no_errno (dill_chrecv (world->handles[1], &world->value, sizeof world->value, 0));
  return G_SOURCE_REMOVE;
}

static void
use_later_receiver (FaultWorld *world)
{
  use_channel (world);
  fault_world_later (world, let_receive);
}

static gboolean
let_send (FaultWorld *world)
{
  gint64 value = 5;

  g_assert_no_errno (dill_chsend (world->handles[1], &value, sizeof value, 0));
  return G_SOURCE_REMOVE;
}

static void
use_later_sender (FaultWorld *world)
{
  use_channel (world);
  fault_world_later (world, let_send);
}

static gint64
try_chmake (FaultWorld *world)
{
  return dill_chmake (world->handles);
}

static gint64
try_chmake_mem (FaultWorld *world)
{
  return dill_chmake_mem (world->mem + 1, world->handles);
}

static gint64
try_chsend (FaultWorld *world)
{
  gint64 value = 5;

  return dill_chsend (world->handles[0], &value, sizeof value, world->deadline);
}

static gint64
try_chrecv (FaultWorld *world)
{
  return dill_chrecv (world->handles[0], &world->value, sizeof world->value, world->deadline);
}

static gint64
try_chdone (FaultWorld *world)
{
  return dill_chdone (world->handles[0]);
}

/* All clauses are the same: the first one is performed. */
static gint64
try_choose (FaultWorld *world)
{
  struct dill_chclause clauses[N_CLAUSES];

  for (guint i = 0; i < N_CLAUSES; i++)
    clauses[i] = (struct dill_chclause) { DILL_CHRECV, world->handles[0], &world->value, sizeof world->value };
  return dill_choose (clauses, N_CLAUSES, world->deadline);
}

static void
check_channel (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  world->handles[2] = test_assert_ok (dill_spawn (send_value, world));
  g_assert_no_errno (dill_chrecv (world->handles[0], &world->value, sizeof world->value, soon ()));
  g_assert_cmpint (world->value, ==, 5);
}

static void
check_value (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  if (world->handles[2] > 0)
    g_assert_no_errno (dill_bundle_wait (world->handles[2], soon ()));
  g_assert_cmpint (world->value, ==, 5);
}

static const FaultScenario scenarios[] = {
  SCENARIO ("dill_chmake", "first-call", NULL, try_chmake, check_channel),
  SCENARIO ("dill_chmake", "last-handle", NULL, try_chmake, check_channel, .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_chmake_mem", "first-call", NULL, try_chmake_mem, check_channel),
  SCENARIO ("dill_chsend", "receiver", use_receiver, try_chsend, check_value),
  SCENARIO ("dill_chsend", "later-receiver", use_later_receiver, try_chsend, check_value),
  SCENARIO ("dill_chrecv", "sender", use_sender, try_chrecv, check_value),
  SCENARIO ("dill_chrecv", "later-sender", use_later_sender, try_chrecv, check_value),
  SCENARIO ("dill_chdone", "channel", use_channel, try_chdone, NULL),
  SCENARIO ("dill_choose", "sender", use_sender, try_choose, check_value),
  SCENARIO ("dill_choose", "later-sender", use_later_sender, try_choose, check_value),
};

int
main (int argc, char **argv)
{
  return fault_main (&argc, &argv, scenarios, G_N_ELEMENTS (scenarios));
}
