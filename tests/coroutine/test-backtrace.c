/* test-backtrace.c: what unwinders see of flows: libgcc's, which exceptions and profilers use too, and gdb's.
 *
 * For gdb the program runs itself with the argument --debuggee.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "pooled-flow.h"

#include <execinfo.h>
#include <string.h>
#include <unistd.h>

/* The outermost frame of a flow; only the switch in assembly has it. */
extern void dill_context_entry (void) __attribute__ ((weak));

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
#if defined(__ARM_EABI__)
  if (trace.n_frames == 0)
    {
      g_test_skip ("this processor has tables of its own for unwinders, and the program is built without");
      return;
    }
#endif
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

/* Steps through the instructions of the switch three times, into the new flow, out of it and into it again, and asks
 * for a back-trace at each; likewise through the entry, which the first leads to. */
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
  g_test_add_func ("/backtrace/unwinder", test_unwinder);
  g_test_add_func ("/backtrace/gdb", test_gdb);
  return g_test_run ();
}
