/* test-context.c: flows of control, and what debuggers and unwinders see of them.
 *
 * switch-check.c tests what compilers may rely on; this is about many flows, threads, stacks from the pool, and
 * back-traces: those of libgcc's unwinder, which exceptions and profilers use too, and of gdb.  For gdb the program runs
 * itself with the argument --debuggee.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/context.h"
#include "coroutine/stack.h"
#include "test-utils.h"

#include <execinfo.h>
#include <string.h>
#include <unistd.h>

/* The outermost frame of a flow; only the switch in assembly has it. */
extern void dill_context_entry (void) __attribute__ ((weak));

/* A flow that others switch to by name; whoever starts or resumes it is its back. */
typedef struct
{
  struct dill_context context;
  struct dill_context *back;
  struct dill_stack stack;
  guint number;
  gboolean ended;
  gpointer data;
} Flow;

static void
flow_init (Flow *flow, struct dill_stack_pool *pool, void (*func) (void *), gpointer data)
{
  flow->back = NULL;
  flow->ended = FALSE;
  flow->data = data;
  g_assert_no_errno (dill_stack_pool_take (pool, &flow->stack));
  dill_context_init (&flow->context, flow->stack.base, flow->stack.size, func, flow);
}

static void
flow_resume (Flow *flow, struct dill_context *self)
{
  flow->back = self;
  dill_context_switch (self, &flow->context);
}

static void
flow_pause (Flow *flow)
{
  dill_context_switch (&flow->context, flow->back);
}

G_GNUC_NORETURN static void
flow_end (Flow *flow)
{
  flow->ended = TRUE;
  dill_context_leave (&flow->context, flow->back);
}

static void
flow_clear (Flow *flow, struct dill_stack_pool *pool)
{
  dill_context_clear (&flow->context);
  dill_stack_pool_give (pool, &flow->stack);
}

/* --- Order --- */

static void
write_letters (void *data)
{
  Flow *flow = data;

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
    flow_clear (&ring->flows[i], &pool);
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

  flow_clear (&never_run, &pool);
  flow_clear (&suspended, &pool);
  g_assert_cmpstr (log->str, ==, "a");
  dill_stack_pool_clear (&pool);
}

/* The smallest stack there is, at every alignment that a caller's memory can have. */
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
      dill_context_init (&flow.context, memory + offset, 16384 - offset, write_letters, &flow);
      while (!flow.ended)
        flow_resume (&flow, &self);
      dill_context_clear (&flow.context);

      g_assert_cmpstr (log->str, ==, "abc.");
      for (guint i = 16384; i < 16384 + 64; i++)
        g_assert_cmpint (memory[i], ==, 0x11);
    }
}

/* --- Back-traces --- */

typedef struct
{
  gpointer frames[64];
  int n_frames;
} Trace;

static G_GNUC_NO_INLINE int
trace_at_depth (Trace *trace, int depth)
{
  volatile int result;

  if (depth == 0)
    result = trace->n_frames = backtrace (trace->frames, G_N_ELEMENTS (trace->frames));
  else
    result = trace_at_depth (trace, depth - 1);
  return result;
}

static void
take_trace (void *data)
{
  Flow *flow = data;

  trace_at_depth (flow->data, 5);
  flow_end (flow);
}

/* trace_at_depth () six times, take_trace (), and the outermost one. */
static void
test_unwinder (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_context self;
  Trace trace = { .n_frames = 0 };
  Flow flow;
  guintptr outermost;

  dill_context_init_thread (&self);
  flow_init (&flow, &pool, take_trace, &trace);
  flow_resume (&flow, &self);
  flow_clear (&flow, &pool);
  dill_stack_pool_clear (&pool);

  if (dill_context_entry == NULL)
    {
      g_test_skip ("the C library's makecontext () has its own way to end a back-trace");
      return;
    }
  /* Sanitizers put one of their own before backtrace (). */
  g_assert_cmpint (trace.n_frames, >=, 8);
  g_assert_cmpint (trace.n_frames, <=, 9);
  outermost = (guintptr) trace.frames[trace.n_frames - 1];
  g_assert_cmpuint (outermost, >, (guintptr) dill_context_entry);
  g_assert_cmpuint (outermost, <, (guintptr) dill_context_entry + 32);
}

/* What gdb looks at: two switches, there and back. */
static G_GNUC_NO_INLINE void
debuggee_pause (Flow *flow)
{
  flow_pause (flow);
  /* Nothing comes after a call that is a jump. */
  flow->number++;
}

static void
debuggee_flow (void *data)
{
  Flow *flow = data;

  debuggee_pause (flow);
  flow_end (flow);
}

static int
run_debuggee (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_context self;
  Flow flow = { .number = 0 };

  dill_context_init_thread (&self);
  flow_init (&flow, &pool, debuggee_flow, NULL);
  flow_resume (&flow, &self);
  flow_resume (&flow, &self);
  flow_clear (&flow, &pool);
  dill_stack_pool_clear (&pool);
  return flow.ended && flow.number == 1 ? 0 : 1;
}

/* Steps through the instructions of the switch three times, into the new flow, out of it and into it again, and asks for
 * a back-trace at each; likewise through the entry, which the first leads to. */
static const char gdb_script[] = "set pagination off\n"
                                 "set confirm off\n"
                                 "define trace_here\n"
                                 "  echo TRACE\\n\n"
                                 "  backtrace\n"
                                 "  echo END\\n\n"
                                 "end\n"
                                 "define trace_through\n"
                                 "  set $symbol = $arg0\n"
                                 "  set $more = 1\n"
                                 "  while $more\n"
                                 "    trace_here\n"
                                 "    stepi\n"
                                 "    set $more = $pc >= $symbol && $pc < $symbol + $arg1\n"
                                 "  end\n"
                                 "  trace_here\n"
                                 "end\n"
                                 "break dill_context_exchange\n"
                                 "break debuggee_flow\n"
                                 "run\n"
                                 "trace_through (long)&dill_context_exchange 120\n"
                                 "trace_through (long)&dill_context_entry 16\n"
                                 "continue\n"
                                 "trace_here\n"
                                 "continue\n"
                                 "trace_through (long)&dill_context_exchange 120\n"
                                 "continue\n"
                                 "trace_through (long)&dill_context_exchange 120\n"
                                 "echo COMPLETE\\n\n"
                                 "kill\n";

/* Checks one back-trace: TEXT is gdb's output.  Returns whether it was one of the flow, not of the main stack. */
static gboolean
check_trace (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autofree char *last = NULL;
  gboolean in_flow = FALSE;

  for (guint i = 0; lines[i] != NULL; i++)
    if (lines[i][0] == '#')
      {
        g_free (last);
        last = g_strdup (lines[i]);
        in_flow |= strstr (lines[i], "debuggee_flow (") != NULL;
      }

  g_assert_nonnull (last);
  if (strstr (text, "??") != NULL || strstr (text, "Backtrace stopped") != NULL || strstr (text, "corrupt") != NULL)
    g_error ("gdb is at a loss: %s", text);
  if (strstr (last, " dill_context_entry ") == NULL && strstr (last, " main (") == NULL)
    g_error ("the outermost frame is neither main nor the entry: %s", text);
  return in_flow;
}

static char *
run_gdb (const char *gdb)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *self = g_file_read_link ("/proc/self/exe", &error);
  g_autofree char *script = NULL;
  char *output = NULL;
  int fd;

  g_assert_no_error (error);
  fd = g_file_open_tmp ("dillipc-XXXXXX", &script, &error);
  g_assert_no_error (error);
  close (fd);
  g_file_set_contents (script, gdb_script, -1, &error);
  g_assert_no_error (error);

  const char *argv[] = { gdb, "-nx", "-batch", "-x", script, "--args", self, "--debuggee", NULL };
  g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &output, NULL, NULL, &error);
  g_assert_no_error (error);
  unlink (script);
  return output;
}

static void
test_gdb (void)
{
  g_autofree char *gdb = g_find_program_in_path ("gdb");
  g_autofree char *output = NULL;
  g_auto (GStrv) traces = NULL;
  guint n_in_flow = 0;
  guint n_traces;

  if (gdb == NULL || dill_context_entry == NULL)
    {
      g_test_skip (gdb == NULL ? "there is no gdb" : "the switch in use is the C library's");
      return;
    }

  output = run_gdb (gdb);
  if (strstr (output, "TRACE\n") == NULL)
    {
      g_test_message ("%s", output);
      g_test_skip ("gdb cannot run a program here");
      return;
    }
  if (strstr (output, "COMPLETE\n") == NULL)
    g_error ("gdb stopped early: %s", output);

  traces = g_strsplit (output, "TRACE\n", -1);
  n_traces = g_strv_length (traces) - 1;
  for (guint i = 1; i <= n_traces; i++)
    {
      char *end = strstr (traces[i], "END\n");

      g_assert_nonnull (end);
      *end = '\0';
      n_in_flow += check_trace (traces[i]);
    }

  /* Some 30 instructions each time, about half of them on either stack. */
  g_assert_cmpuint (n_traces, >, 3 * 20);
  g_assert_cmpuint (n_in_flow, >, 20);
}

int
main (int argc, char **argv)
{
  if (argc == 2 && g_str_equal (argv[1], "--debuggee"))
    return run_debuggee ();

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/context/order", test_order);
  g_test_add_func ("/context/ring", test_ring);
  g_test_add_func ("/context/threads", test_threads);
  g_test_add_func ("/context/reuse", test_reuse);
  g_test_add_func ("/context/abandoned", test_abandoned);
  g_test_add_func ("/context/any-alignment", test_any_alignment);
  g_test_add_func ("/context/unwinder", test_unwinder);
  g_test_add_func ("/context/gdb", test_gdb);
  return g_test_run ();
}
