/* fault-points.c: see fault-points.h.
 *
 * A thread that ends frees all that the library has made for it, so what is left after each point is lost: neither a
 * byte nor a descriptor may be.  A handle that is still open then is told by a warning, which is fatal here.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-points.h"
#include "fault-handles.h"
#include <signal.h>

/* How long a call may take whose fault persists, and any other, in milliseconds. */
#define PERSISTENT_MS 25
#define SLACK_MS (500 * TEST_LIMIT_SECONDS)

static const struct fault_errnos documented[] = { FAULT_DOCUMENTED };
static guint n_points[G_N_ELEMENTS (documented)];

/* One run. */
typedef struct
{
  const FaultScenario *scenario;
  const Fault *fault; /* NULL: none */
  bool in_coroutine;
  int patience; /* milliseconds until the deadline of a call whose fault persists */
  bool has_struck;
  gint64 result;
  int error;
  guint n_files;
  FaultWorld world;
} Point;

/* What is being tried, for whoever reads of a crash. */
static char current_point[400];

static void
on_crash (int signal_number)
{
  signal (signal_number, SIG_DFL);
  if (write (STDOUT_FILENO, current_point, strlen (current_point)) >= 0)
    raise (signal_number);
}

static void
describe (const Point *point)
{
  const FaultScenario *scenario = point->scenario;
  const Fault *fault = point->fault;
  int n = g_snprintf (current_point, sizeof current_point, "# it was %s, %s, %s, ", scenario->function,
                      scenario->variant, point->in_coroutine ? "in a coroutine" : "on the main stack");

  if (fault == NULL)
    g_snprintf (current_point + n, sizeof current_point - (gsize) n, "without a fault\n");
  else
    g_snprintf (current_point + n, sizeof current_point - (gsize) n, "with %s from call %u of %s%s\n",
                test_errno_name (fault->error), fault->nth, fault_calls[fault->call].name,
                fault->persists ? " on" : "");
}

#define point_assert(condition, ...)                                                                                   \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    if (!(condition))                                                                                                  \
      g_error (__VA_ARGS__);                                                                                           \
  }                                                                                                                    \
  G_STMT_END

static bool
holds (const int *errnos, int error)
{
  while (*errnos != 0 && *errnos != error)
    errnos++;
  return *errnos != 0;
}

static guint
find_function (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (documented); i++)
    if (g_str_equal (documented[i].name, name))
      return i;

  g_error ("%s is no public function", name);
}

/* --- One point --- */

/* The call once more, without a fault: it must succeed, where the first one has not broken what it worked on. */
static void
call_again (Point *point)
{
  const FaultScenario *scenario = point->scenario;
  FaultWorld *world = &point->world;
  bool is_broken = holds (scenario->breaks, point->error);
  gint64 result;

  world->deadline = soon ();
  errno = 0;
  result = scenario->call (world);
  if (result < 0 && errno == ECONNRESET && (is_broken || (scenario->traits & FAULT_MAY_BREAK)))
    return;

  point_assert (result >= 0, "the next call fails too, with %s", test_errno_name (errno));
  point_assert (!is_broken, "the next call succeeds, on what is broken");
  if (scenario->check != NULL)
    scenario->check (world, result);
}

/* Errnos that say no more than that a call should be made again: they are the library's business alone. */
static bool
must_survive (const Fault *fault)
{
  switch (fault->call)
    {
    case FAULT_accept4:
      return fault->error == EINTR || fault->error == EAGAIN || fault->error == ECONNABORTED || fault->error == EPROTO;

    case FAULT_connect:
    case FAULT_flock:
    case FAULT_recvmsg:
    case FAULT_send:
    case FAULT_sendmsg:
    case FAULT_sendmsg_rights:
      return fault->error == EINTR || fault->error == EAGAIN;

    default:
      return fault->error == EINTR;
    }
}

/* A file stays where it cannot be looked up, or removed. */
static bool
may_leave_file (const Point *point)
{
  return point->fault != NULL && (point->fault->call == FAULT_fstatat || point->fault->call == FAULT_unlinkat);
}

/* The machine has not come to the fault before the deadline. */
static bool
is_too_slow (const Point *point)
{
  return !point->has_struck && point->fault != NULL && point->fault->persists && point->result < 0
         && point->error == ETIMEDOUT;
}

static void
judge (Point *point, gint64 elapsed)
{
  const FaultScenario *scenario = point->scenario;
  FaultWorld *world = &point->world;

  point_assert (elapsed < SLACK_MS, "it took %d ms", (int) elapsed);
  if (point->result >= 0)
    {
      if (scenario->check != NULL)
        scenario->check (world, point->result);
      return;
    }

  if (is_too_slow (point))
    return;

  point_assert (point->has_struck, "it fails with %s", test_errno_name (point->error));
  point_assert (!must_survive (point->fault), "it fails with %s", test_errno_name (point->error));
  point_assert (holds (documented[find_function (scenario->function)].errnos, point->error), "%s is not documented",
                test_errno_name (point->error));
  point_assert (point->error != ETIMEDOUT || point->fault->persists, "nobody wakes it before the deadline");
  point_assert (fault_world_count_files (world) <= point->n_files || may_leave_file (point), "a file is left behind");
  if (!(scenario->traits & FAULT_IS_FINAL))
    call_again (point);
}

static void
perform (void *data)
{
  Point *point = data;
  const FaultScenario *scenario = point->scenario;
  FaultWorld *world = &point->world;
  bool persists = point->fault != NULL && point->fault->persists;
  g_autoptr (GArray) handles = g_array_new (FALSE, FALSE, sizeof (int));
  int64_t start;

  if (scenario->set_up != NULL)
    scenario->set_up (world);
  if (scenario->traits & FAULT_LAST_HANDLE)
    fault_handles_use_up (handles);
  point->n_files = fault_world_count_files (world);
  start = dill_now ();
  world->deadline = persists ? start + point->patience : soon ();

  fault_arm (point->fault, &scenario->given);
  errno = 0;
  point->result = scenario->call (world);
  point->error = errno;
  point->has_struck = fault_disarm ();

  judge (point, dill_now () - start);
  fault_handles_give_back (handles);
  fault_world_close (world);
}

static gpointer
run_point_here (gpointer data)
{
  Point *point = data;
  int h;

  fault_world_open (&point->world);
  if (point->in_coroutine)
    {
      h = test_assert_ok (dill_spawn (perform, point));
      g_assert_no_errno (dill_bundle_wait (h, -1));
      g_assert_no_errno (dill_hclose (h));
    }
  else
    perform (point);
  fault_handles_check_thread ();
  return NULL;
}

/* Runs POINT, which must lose nothing. */
static void
run_point (Point *point, const char *dir)
{
  guint n_fds = test_count_fds ();
  FaultMemory before = fault_memory (), after;

  fault_handles_keep_all ();
  describe (point);
  point->world = (FaultWorld) { .dir = dir, .data = point->scenario->data };
  if (point->fault != NULL)
    point->world.injected = point->fault->error;
  alarm (TEST_LIMIT_SECONDS);
  g_thread_join (test_thread_start (run_point_here, point));
  alarm (0);

  after = fault_memory ();
  point_assert (test_count_fds () == n_fds, "%d descriptors are left", (int) (test_count_fds () - n_fds));
  point_assert (after.n_blocks == before.n_blocks && after.n_bytes == before.n_bytes, "%d blocks are left, %d bytes",
                (int) (after.n_blocks - before.n_blocks), (int) (after.n_bytes - before.n_bytes));
  point_assert (after.n_mapped == before.n_mapped, "%d bytes are left mapped",
                (int) (after.n_mapped - before.n_mapped));
  point_assert (fault_world_remove_files (&point->world) == 0 || may_leave_file (point)
                    || (point->scenario->traits & FAULT_MAY_LEAVE),
                "a file is left behind in the end");
  g_free (point->world.path);
}

/* --- All points of a scenario --- */

/* Resources that can be gone for longer than one call. */
static bool
can_persist (int error)
{
  const int errors[] = { ENOMEM, ENOBUFS, EMFILE, ENFILE, ENOSPC, ENOLCK, 0 };

  return holds (errors, error);
}

/* Makes CALL fail with ERROR, the first time, the second, and so on. */
static guint
run_fault (const Point *template, const char *dir, enum fault_call call, int error, bool persists)
{
  Fault fault = { .call = call, .error = error, .persists = persists };
  Point point = *template;
  guint n = 0;

  point.fault = &fault;
  point.patience = PERSISTENT_MS;
  do
    {
      fault.nth = n + 1;
      run_point (&point, dir);
      if (point.has_struck)
        n++;
      if (is_too_slow (&point))
        point.patience *= 4;
      if (point.has_struck && point.result < 0)
        test_errnos_note (point.scenario->function, point.error);
    }
  while (point.has_struck || is_too_slow (&point));

  return n;
}

/* A test case: a scenario on one of the two kinds of stack. */
typedef struct
{
  const FaultScenario *scenario;
  bool in_coroutine;
} Case;

static void
run_case (TestDir *test, gconstpointer data)
{
  const Case *test_case = data;
  Point point = { .scenario = test_case->scenario, .in_coroutine = test_case->in_coroutine };
  guint counts[FAULT_N_CALLS], n = 0;

  test_errnos_note_injection ();
  /* Without a fault, which says what calls there are; and again, since something may be made once and for all. */
  run_point (&point, test->dir);
  run_point (&point, test->dir);
  for (guint call = 0; call < FAULT_N_CALLS; call++)
    counts[call] = fault_count (call);

  for (guint call = 0; call < FAULT_N_CALLS; call++)
    for (const int *error = fault_calls[call].errnos; *error != 0 && counts[call] > 0; error++)
      {
        n += run_fault (&point, test->dir, call, *error, false);
        if (can_persist (*error))
          n += run_fault (&point, test->dir, call, *error, true);
      }

  n_points[find_function (point.scenario->function)] += n;
  g_test_message ("count %u fault injection points", n);
}

/* --- All scenarios --- */

static void
report (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (documented); i++)
    if (n_points[i] > 0)
      g_test_message ("%s: %u points", documented[i].name, n_points[i]);
}

static void
add_case (Case *test_case, const FaultScenario *scenario, bool in_coroutine)
{
  g_autofree char *name
      = g_strdup_printf ("/%s/%s/%s", scenario->function, scenario->variant, in_coroutine ? "coroutine" : "main-stack");

  *test_case = (Case) { scenario, in_coroutine };
  test_add_data (name, test_case, run_case);
}

int
fault_main (int *argc, char ***argv, const FaultScenario *scenarios, guint n)
{
  g_autofree Case *cases = g_new (Case, 2 * n);
  int status;

  g_test_init (argc, argv, NULL);
  g_log_set_always_fatal (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR);
  signal (SIGABRT, on_crash);
  signal (SIGALRM, on_crash);
  signal (SIGSEGV, on_crash);
  signal (SIGTRAP, on_crash);
  g_main_context_default (); /* GLib makes it sooner or later, and keeps it */
  fault_handles_keep_first ();

  for (guint i = 0; i < n; i++)
    {
      add_case (&cases[2 * i], &scenarios[i], false);
      add_case (&cases[2 * i + 1], &scenarios[i], true);
    }
  status = g_test_run ();
  report ();
  return status;
}
