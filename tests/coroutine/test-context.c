/* test-context.c: flows of control: their order, beginnings and ends, many of them, and signals in them.
 *
 * What compilers may rely on is tested by switch-check.c, what debuggers see by test-backtrace.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "pooled-flow.h"
#include "stack-alignment.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- Order --- */

static void
write_letters (void *data)
{
  Flow *flow = data;

  g_assert_true (stack_is_aligned ());
  for (char letter = 'a'; letter <= 'c'; letter++)
    {
      g_string_append_c (flow->data, letter);
      flow_pause (flow);
    }
  g_string_append_c (flow->data, '.');
  flow_end (flow);
}

static void
test_order (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_context self;
  g_autoptr (GString) log = g_string_new (NULL);
  Flow flow;

  dill_context_init_thread (&self);
  g_assert_null (self.sp);
  flow_init (&flow, &pool, write_letters, log);
  g_assert_nonnull (flow.context.sp);

  while (!flow.ended)
    {
      g_string_append_c (log, '(');
      flow_resume (&flow, &self);
      g_string_append_c (log, ')');
      g_assert_null (self.sp);
    }

  g_assert_cmpstr (log->str, ==, "(a)(b)(c)(.)");
  flow_clear (&flow, &pool);
  dill_stack_pool_clear (&pool);
}

/* Each switches to the next without a detour, as the scheduler lets coroutines do. */
typedef struct
{
  struct dill_context self;
  Flow flows[100];
  guint n_laps;
  guint n_steps;
} Ring;

static void
pass_on (void *data)
{
  Flow *flow = data;
  Ring *ring = flow->data;
  guint next = (flow->number + 1) % G_N_ELEMENTS (ring->flows);

  for (;;)
    {
      g_assert_cmpuint (ring->n_steps % G_N_ELEMENTS (ring->flows), ==, flow->number);
      ring->n_steps++;
      if (ring->n_steps == ring->n_laps * G_N_ELEMENTS (ring->flows))
        dill_context_switch (&flow->context, &ring->self);
      else
        dill_context_switch (&flow->context, &ring->flows[next].context);
    }
}

static gpointer
run_ring (gpointer data G_GNUC_UNUSED)
{
  struct dill_stack_pool pool = { 0 };
  g_autofree Ring *ring = g_new0 (Ring, 1);

  dill_context_init_thread (&ring->self);
  ring->n_laps = 200;
  for (guint i = 0; i < G_N_ELEMENTS (ring->flows); i++)
    {
      ring->flows[i].number = i;
      flow_init (&ring->flows[i], &pool, pass_on, ring);
    }

  dill_context_switch (&ring->self, &ring->flows[0].context);
  g_assert_cmpuint (ring->n_steps, ==, 200 * G_N_ELEMENTS (ring->flows));

  for (guint i = 0; i < G_N_ELEMENTS (ring->flows); i++)
    flow_abandon (&ring->flows[i], &pool);
  dill_stack_pool_clear (&pool);
  return NULL;
}

static void
test_ring (void)
{
  run_ring (NULL);
}

static void
test_threads (void)
{
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = test_thread_start (run_ring, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    test_thread_join (threads[i]);
}

/* --- Beginnings and ends --- */

static void
fill_and_end (void *data)
{
  Flow *flow = data;
  volatile char deep[20000];

  memset ((char *) deep, 0x5a, sizeof deep);
  flow->number += deep[sizeof deep - 1];
  flow_end (flow);
}

/* What ended flows leave on a stack, red zones of sanitizers included, does not bother the next one. */
static void
test_reuse (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_context self;
  Flow flow = { .number = 0 };
  gpointer first_base = NULL;

  dill_context_init_thread (&self);
  for (guint i = 0; i < 1000; i++)
    {
      flow_init (&flow, &pool, fill_and_end, NULL);
      if (i == 0)
        first_base = flow.stack.base;
      g_assert_true (flow.stack.base == first_base);
      flow_resume (&flow, &self);
      g_assert_true (flow.ended);
      flow_clear (&flow, &pool);
    }

  g_assert_cmpuint (flow.number, ==, 1000 * 0x5a);
  dill_stack_pool_clear (&pool);
}

/* Neither a flow that never ran nor one that never ended has anything to be freed but its stack. */
static void
test_abandoned (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_context self;
  g_autoptr (GString) log = g_string_new (NULL);
  Flow never_run, suspended;

  dill_context_init_thread (&self);
  flow_init (&never_run, &pool, write_letters, log);
  flow_init (&suspended, &pool, write_letters, log);
  flow_resume (&suspended, &self);

  flow_abandon (&never_run, &pool);
  flow_abandon (&suspended, &pool);
  g_assert_cmpstr (log->str, ==, "a");
  dill_stack_pool_clear (&pool);
}

/* The smallest stack there is, with every alignment of both ends that a caller's memory can have. */
static void
test_any_alignment (void)
{
  struct dill_context self;
  g_autofree char *memory = g_malloc (16384 + 64);

  dill_context_init_thread (&self);
  for (guint offset = 0; offset < 64; offset++)
    {
      g_autoptr (GString) log = g_string_new (NULL);
      Flow flow = { .data = log };

      memset (memory, 0x11, 16384 + 64);
      dill_context_init (&flow.context, memory + offset, 16384 - 2 * offset, write_letters, &flow);
      while (!flow.ended)
        flow_resume (&flow, &self);
      dill_context_clear (&flow.context);

      g_assert_cmpstr (log->str, ==, "abc.");
      for (guint i = 16384 - offset; i < 16384 + 64; i++)
        g_assert_cmpint (memory[i], ==, 0x11);
    }
}

/* --- Signals --- */

static volatile gint n_signals;

static void
count_signal (int number G_GNUC_UNUSED)
{
  g_atomic_int_inc (&n_signals);
}

static void
signal_thread (pid_t thread)
{
  syscall (SYS_tgkill, getpid (), thread, SIGUSR1);
}

static pid_t
own_thread (void)
{
  return (pid_t) syscall (SYS_gettid);
}

/* Past libc, where ThreadSanitizer would let the signal through at once. */
static void
signal_and_pause (void *data)
{
  Flow *flow = data;

  for (;;)
    {
      signal_thread (own_thread ());
      flow_pause (flow);
    }
}

/* What comes in a flow is handled, though the flow may never go on. */
static void
test_signal (void)
{
  struct sigaction action = { .sa_handler = count_signal }, saved;
  struct dill_stack_pool pool = { 0 };
  struct dill_context self;
  Flow flow;

  g_assert_no_errno (sigaction (SIGUSR1, &action, &saved));
  g_atomic_int_set (&n_signals, 0);
  dill_context_init_thread (&self);
  flow_init (&flow, &pool, signal_and_pause, NULL);
  for (int i = 1; i <= 3; i++)
    {
      flow_resume (&flow, &self);
      g_assert_cmpint (g_atomic_int_get (&n_signals), ==, i);
    }

  flow_abandon (&flow, &pool);
  dill_stack_pool_clear (&pool);
  g_assert_no_errno (sigaction (SIGUSR1, &saved, NULL));
}

#define N_SIGNALS (20000 / (gint) (test_slowdown () * test_slowdown ()))
#define SIGNAL_SECONDS 10

typedef struct
{
  pid_t thread;
  gint has_ended;
} Signaller;

/* Sends the next one when the last was handled; returns how many were. */
static gpointer
signal_again_and_again (gpointer data)
{
  Signaller *signaller = data;
  gint i;

  for (i = 0; i < N_SIGNALS && g_atomic_int_get (&n_signals) == i; i++)
    {
      gint64 limit = g_get_monotonic_time () + SIGNAL_SECONDS * G_TIME_SPAN_SECOND;

      signal_thread (signaller->thread);
      while (g_atomic_int_get (&n_signals) == i && g_get_monotonic_time () < limit)
        g_thread_yield ();
    }
  g_atomic_int_set (&signaller->has_ended, TRUE);
  return GINT_TO_POINTER (g_atomic_int_get (&n_signals));
}

static void
pause_and_end (void *data)
{
  flow_pause (data);
  flow_end (data);
}

/* Nor is one lost that comes while flows are made, abandoned before their start or later, or end. */
static void
test_signals (void)
{
  struct sigaction action = { .sa_handler = count_signal }, saved;
  struct dill_stack_pool pool = { 0 };
  struct dill_context self;
  Signaller signaller = { .thread = own_thread () };
  GThread *thread;
  Flow flow;

  g_assert_no_errno (sigaction (SIGUSR1, &action, &saved));
  g_atomic_int_set (&n_signals, 0);
  dill_context_init_thread (&self);
  thread = g_thread_new ("signaller", signal_again_and_again, &signaller);
  for (guint i = 0; !g_atomic_int_get (&signaller.has_ended); i++)
    {
      flow_init (&flow, &pool, pause_and_end, NULL);
      for (guint step = 0; step < i % 3; step++)
        flow_resume (&flow, &self);
      if (flow.ended)
        flow_clear (&flow, &pool);
      else
        flow_abandon (&flow, &pool);
    }

  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (thread)), ==, N_SIGNALS);
  dill_stack_pool_clear (&pool);
  g_assert_no_errno (sigaction (SIGUSR1, &saved, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/context/order", test_order);
  g_test_add_func ("/context/ring", test_ring);
  g_test_add_func ("/context/threads", test_threads);
  g_test_add_func ("/context/reuse", test_reuse);
  g_test_add_func ("/context/abandoned", test_abandoned);
  g_test_add_func ("/context/any-alignment", test_any_alignment);
  g_test_add_func ("/context/signal", test_signal);
  g_test_add_func ("/context/signals", test_signals);
  return g_test_run ();
}
