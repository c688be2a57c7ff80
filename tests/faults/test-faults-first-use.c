/* test-faults-first-use.c: whatever fails when a process uses the library for the first time.
 *
 * Pins: the call fails with ENOMEM, and the next one succeeds, whatever it is: what is made once in a process is tried
 * again until it has been made.
 *
 * Each point is a forked child of a process that never uses the library itself.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"
#include "fault-plan.h"

static gint64
make_connections (void)
{
  int s[2];

  return dill_ipc_pair (s);
}

static gint64
make_channel (void)
{
  int ends[2];

  return dill_chmake (ends);
}

static gint64
make_bundle (void)
{
  return dill_bundle ();
}

static void
do_nothing (void *data G_GNUC_UNUSED)
{
}

static gint64
start_coroutine (void)
{
  return dill_spawn (do_nothing, NULL);
}

static gint64
sleep_a_little (void)
{
  return dill_msleep (dill_now () + 1);
}

typedef struct
{
  const char *name; /* of the test case */
  gint64 (*func) (void);
} First;

static const First firsts[] = {
  { "/dill_ipc_pair/first-in-process", make_connections }, { "/dill_chmake/first-in-process", make_channel },
  { "/dill_bundle/first-in-process", make_bundle },        { "/dill_spawn/first-in-process", start_coroutine },
  { "/dill_msleep/first-in-process", sleep_a_little },
};

/* One child. */
typedef struct
{
  const First *first;
  Fault fault; /* in force during the first call */
} Point;

enum
{
  NOT_STRUCK,
  SURVIVED,
  FAILED_WRONGLY,
  FAILED_AGAIN
};

static int
in_child (gpointer data)
{
  const Point *point = data;
  bool has_struck;
  gint64 result;
  int error;

  fault_arm (&point->fault, NULL);
  result = point->first->func ();
  error = errno;
  has_struck = fault_disarm ();

  if (has_struck ? result >= 0 || error != ENOMEM : result < 0)
    return FAILED_WRONGLY;
  if (point->first->func () < 0 || make_connections () < 0)
    return FAILED_AGAIN;
  return has_struck ? SURVIVED : NOT_STRUCK;
}

static void
test_first (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const enum fault_call calls[]
      = { FAULT_calloc, FAULT_pthread_atfork, FAULT_pthread_key_create, FAULT_pthread_setspecific };
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    for (const int *error = fault_calls[calls[i]].errnos; *error != 0; error++)
      {
        Point point = { data, { .call = calls[i], .error = *error, .nth = 1 } };
        int status;

        for (; (status = test_in_child (in_child, &point)) == SURVIVED; point.fault.nth++)
          n++;
        g_assert_cmpint (status, ==, NOT_STRUCK);
      }

  g_assert_cmpuint (n, >, G_N_ELEMENTS (calls));
  g_test_message ("count %u fault injection points", n);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (firsts); i++)
    test_add_data (firsts[i].name, &firsts[i], test_first);

  return g_test_run ();
}
