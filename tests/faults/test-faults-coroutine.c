/* test-faults-coroutine.c: whatever fails while coroutines, bundles and other handles are made and used.
 *
 * Pins: the only errno for want of memory is ENOMEM; a coroutine has run, or has not begun; no stack, no handle and no
 * memory is lost.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-points.h"
#include <dillipc/dill-glib.h>

#define STACK_SIZE 65536

static char stack_memory[STACK_SIZE];

/* A thread that has waited before. */
static void
use_thread (FaultWorld *world G_GNUC_UNUSED)
{
  g_assert_no_errno (dill_msleep (dill_now () + 1));
}

/* --- Coroutines --- */

static void
run_at_once (void *data)
{
  FaultWorld *world = data;

  world->value++;
}

/* Waits in the middle. */
static void
run_later (void *data)
{
  FaultWorld *world = data;

  dill_yield ();
  world->value++;
}

static dill_coroutine void
run_with (FaultWorld *world, gint64 value)
{
  world->value += value;
}

static void
use_bundle (FaultWorld *world)
{
  world->handles[0] = test_assert_ok (dill_bundle ());
}

static gint64
try_spawn (FaultWorld *world)
{
  world->value = 0;
  return dill_spawn (run_at_once, world);
}

static gint64
try_go (FaultWorld *world)
{
  world->value = 0;
  return dill_go (run_with (world, 1));
}

static gint64
try_go_mem (FaultWorld *world)
{
  world->value = 0;
  return dill_go_mem (run_with (world, 1), stack_memory, sizeof stack_memory);
}

static gint64
try_bundle_spawn (FaultWorld *world)
{
  world->value = 0;
  return dill_bundle_spawn (world->handles[0], run_at_once, world);
}

static gint64
try_bundle_go (FaultWorld *world)
{
  world->value = 0;
  return dill_bundle_go (world->handles[0], run_with (world, 1));
}

static gint64
try_bundle_go_mem (FaultWorld *world)
{
  world->value = 0;
  return dill_bundle_go_mem (world->handles[0], run_with (world, 1), stack_memory, sizeof stack_memory);
}

static gint64
try_bundle (FaultWorld *world G_GNUC_UNUSED)
{
  return dill_bundle ();
}

static gint64
try_bundle_mem (FaultWorld *world)
{
  return dill_bundle_mem (world->mem + 1);
}

static void
check_ran (FaultWorld *world, gint64 result)
{
  world->handles[1] = (int) result;
  g_assert_cmpint (world->value, ==, 1);
}

static void
check_bundle (FaultWorld *world, gint64 result)
{
  world->handles[0] = (int) result;
  g_assert_no_errno (dill_bundle_spawn (world->handles[0], run_at_once, world));
  g_assert_cmpint (world->value, ==, 1);
}

/* Stacks of another size than the one in force, which go back to the system. */
static void
use_old_stacks (FaultWorld *world)
{
  int h[100];

  g_assert_no_errno (dill_set_stack_size (STACK_SIZE));
  for (guint i = 0; i < G_N_ELEMENTS (h); i++)
    h[i] = test_assert_ok (dill_spawn (run_later, world));
  for (guint i = 0; i < G_N_ELEMENTS (h); i++)
    g_assert_no_errno (dill_hclose (h[i]));
  g_assert_no_errno (dill_set_stack_size (2 * STACK_SIZE));
}

static gint64
try_set_stack_size (FaultWorld *world G_GNUC_UNUSED)
{
  return dill_set_stack_size (STACK_SIZE);
}

/* A member that waits, on a stack of a size that is in force no more. */
static void
use_old_member (FaultWorld *world)
{
  use_bundle (world);
  g_assert_no_errno (dill_set_stack_size (STACK_SIZE));
  g_assert_no_errno (dill_bundle_spawn (world->handles[0], run_later, world));
  g_assert_no_errno (dill_set_stack_size (2 * STACK_SIZE));
}

static void
use_member (FaultWorld *world)
{
  use_bundle (world);
  g_assert_no_errno (dill_bundle_spawn (world->handles[0], run_later, world));
}

static gint64
try_bundle_wait (FaultWorld *world)
{
  return dill_bundle_wait (world->handles[0], world->deadline);
}

static void
check_ended (FaultWorld *world, gint64 result)
{
  g_assert_cmpint (result, ==, 0);
  g_assert_cmpint (world->value, ==, 1);
}

static gint64
try_yield (FaultWorld *world G_GNUC_UNUSED)
{
  return dill_yield ();
}

/* --- Functions that cannot fail, whatever does --- */

static gint64
try_set_name (FaultWorld *world G_GNUC_UNUSED)
{
  dill_set_name ("tested");
  return 0;
}

static gint64
try_set_priority (FaultWorld *world G_GNUC_UNUSED)
{
  dill_set_priority (G_PRIORITY_DEFAULT);
  return 0;
}

static gint64
try_set_spin (FaultWorld *world G_GNUC_UNUSED)
{
  dill_set_spin (10);
  return 0;
}

static gint64
try_stack_min (FaultWorld *world G_GNUC_UNUSED)
{
  return (gint64) dill_stack_min ();
}

static gint64
try_now (FaultWorld *world G_GNUC_UNUSED)
{
  return dill_now ();
}

/* --- Handles of one's own --- */

static const int own_tag;

static void *
query_own (struct dill_hvfs *vfs, const void *type)
{
  if (type == &own_tag)
    return vfs;
  errno = ENOTSUP;
  return NULL;
}

static void
close_own (struct dill_hvfs *vfs G_GNUC_UNUSED)
{
}

static struct dill_hvfs own = { query_own, close_own };

static void
use_own (FaultWorld *world)
{
  world->handles[0] = test_assert_ok (dill_hmake (&own));
}

static gint64
try_hmake (FaultWorld *world G_GNUC_UNUSED)
{
  return dill_hmake (&own);
}

static gint64
try_hquery (FaultWorld *world)
{
  return dill_hquery (world->handles[0], &own_tag) != NULL ? 0 : -1;
}

static gint64
try_hown (FaultWorld *world)
{
  return dill_hown (world->handles[0]);
}

static void
check_own (FaultWorld *world, gint64 result)
{
  world->handles[0] = (int) result;
  g_assert_true (dill_hquery (world->handles[0], &own_tag) == &own);
}

/* No handle is live in a thread that the library does not know, and that is the errno. */

static gint64
expect_dead (gint64 result)
{
  return result == -1 && errno == EBADF ? 0 : result;
}

static gint64
try_hclose_dead (FaultWorld *world G_GNUC_UNUSED)
{
  return expect_dead (dill_hclose (1));
}

static gint64
try_close_dead (FaultWorld *world)
{
  return expect_dead (dill_ipc_close (1, world->deadline));
}

static gint64
try_hown_dead (FaultWorld *world G_GNUC_UNUSED)
{
  return expect_dead (dill_hown (1));
}

static gint64
try_wait_dead (FaultWorld *world)
{
  return expect_dead (dill_bundle_wait (1, world->deadline));
}

static gint64
try_fdclean_unknown (FaultWorld *world G_GNUC_UNUSED)
{
  return dill_fdclean (STDIN_FILENO);
}

static const FaultScenario scenarios[] = {
  SCENARIO ("dill_spawn", "first-call", NULL, try_spawn, check_ran),
  SCENARIO ("dill_spawn", "last-handle", NULL, try_spawn, check_ran, .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_spawn", "without-guard-pages", NULL, try_spawn, check_ran, FAULT_GIVEN (madvise, EINVAL)),
  SCENARIO ("dill_spawn", "other-size", use_old_stacks, try_spawn, check_ran),
  SCENARIO ("dill_go", "first-call", NULL, try_go, check_ran),
  SCENARIO ("dill_go", "last-handle", NULL, try_go, check_ran, .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_go_mem", "first-call", NULL, try_go_mem, check_ran),
  SCENARIO ("dill_bundle_spawn", "first-call", use_bundle, try_bundle_spawn, check_ran),
  SCENARIO ("dill_bundle_go", "first-call", use_bundle, try_bundle_go, check_ran),
  SCENARIO ("dill_bundle_go_mem", "first-call", use_bundle, try_bundle_go_mem, check_ran),
  SCENARIO ("dill_bundle", "first-call", NULL, try_bundle, check_bundle),
  SCENARIO ("dill_bundle", "last-handle", NULL, try_bundle, check_bundle, .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_bundle_mem", "first-call", NULL, try_bundle_mem, check_bundle),
  SCENARIO ("dill_bundle_wait", "member", use_member, try_bundle_wait, check_ended),
  SCENARIO ("dill_hclose", "member", use_member, try_hclose, check_ended, .traits = FAULT_IS_FINAL),
  SCENARIO ("dill_hclose", "old-stacks", use_old_member, try_hclose, check_ended, .traits = FAULT_IS_FINAL),
  SCENARIO ("dill_yield", "first-call", NULL, try_yield, NULL),
  SCENARIO ("dill_yield", "old-stacks", use_old_stacks, try_yield, NULL),
  SCENARIO ("dill_set_stack_size", "old-stacks", use_old_stacks, try_set_stack_size, NULL),
  SCENARIO ("dill_set_name", "first-call", NULL, try_set_name, NULL),
  SCENARIO ("dill_set_priority", "first-call", NULL, try_set_priority, NULL),
  SCENARIO ("dill_set_priority", "later", use_thread, try_set_priority, NULL),
  SCENARIO ("dill_set_spin", "first-call", NULL, try_set_spin, NULL),
  SCENARIO ("dill_stack_min", "first-call", NULL, try_stack_min, NULL),
  SCENARIO ("dill_now", "first-call", NULL, try_now, NULL),
  SCENARIO ("dill_hmake", "first-call", NULL, try_hmake, check_own),
  SCENARIO ("dill_hmake", "last-handle", NULL, try_hmake, check_own, .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_hquery", "own", use_own, try_hquery, NULL),
  SCENARIO ("dill_hown", "own", use_own, try_hown, check_own),
  SCENARIO ("dill_hown", "last-handle", use_own, try_hown, check_own, .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_hown", "dead", NULL, try_hown_dead, NULL),
  SCENARIO ("dill_hclose", "dead", NULL, try_hclose_dead, NULL),
  SCENARIO ("dill_ipc_close", "dead", NULL, try_close_dead, NULL),
  SCENARIO ("dill_bundle_wait", "dead", NULL, try_wait_dead, NULL),
  SCENARIO ("dill_fdclean", "unknown", NULL, try_fdclean_unknown, NULL),
};

int
main (int argc, char **argv)
{
  return fault_main (&argc, &argv, scenarios, G_N_ELEMENTS (scenarios));
}
