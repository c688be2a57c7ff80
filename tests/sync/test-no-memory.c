/* test-no-memory.c: want of memory is ENOMEM at whichever allocation it comes, leaves everything as it was, and passes.
 *
 * Each operation is tried with no allocation that succeeds, with one, and so on until it succeeds.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/poller.h"
#include "engine/thread.h"
#include "malloc-utils.h"

/* How often operations are repeated: so that stacks run out, and numbers, those included that the threads of the cases
 * before have left behind. */
#define N_STACKS 100
#define N_SOME 300
#define N_MORE 1000

/* What operations are tried on. */
typedef struct
{
  GArray *handles;
  guint n_ended;
  struct dill_hvfs own;
  int pair[2];
  int channels[20];
  struct dill_chclause clauses[20];
  char value;
} Fixture;

static void
set_up (Fixture *fixture)
{
  *fixture = (Fixture) { .own = { query_nothing, close_nothing } };
  fixture->handles = g_array_sized_new (FALSE, FALSE, sizeof (int), 10 * N_MORE); /* grows no more */
  open_context ();
  make_pair (fixture->pair);
  for (guint i = 0; i < G_N_ELEMENTS (fixture->channels); i += 2)
    g_assert_no_errno (dill_chmake (&fixture->channels[i]));
  for (guint i = 0; i < G_N_ELEMENTS (fixture->clauses); i++)
    fixture->clauses[i] = (struct dill_chclause){ DILL_CHRECV, fixture->channels[i], &fixture->value, 1 };
}

static void
tear_down (Fixture *fixture)
{
  for (guint i = 0; i < fixture->handles->len; i++)
    g_assert_no_errno (dill_hclose (g_array_index (fixture->handles, int, i)));
  g_array_unref (fixture->handles);
  for (guint i = 0; i < G_N_ELEMENTS (fixture->channels); i++)
    g_assert_no_errno (dill_hclose (fixture->channels[i]));
  close_pair (fixture->pair);
}

/* --- Operations, each of which is undone by closing what it has made --- */

/* Keeps H, a handle or -1, and passes it on. */
static int
keep (Fixture *fixture, int h)
{
  if (h >= 0)
    g_array_append_val (fixture->handles, h);
  return h;
}

static int
make_bundle (Fixture *fixture)
{
  return keep (fixture, dill_bundle ());
}

static int
make_own (Fixture *fixture)
{
  return keep (fixture, dill_hmake (&fixture->own));
}

static int
make_channel (Fixture *fixture)
{
  int ends[2] = { -1, -1 };

  if (dill_chmake (ends) < 0)
    {
      g_assert_cmpint (ends[0], ==, -1);
      return -1;
    }
  keep (fixture, ends[0]);
  return keep (fixture, ends[1]);
}

static int
spawn (Fixture *fixture)
{
  return keep (fixture, dill_spawn (sleep_for_ever, &fixture->n_ended));
}

static dill_coroutine void
sleep_by_macro (guint *n_ended)
{
  sleep_for_ever (n_ended);
}

static int
start_by_macro (Fixture *fixture)
{
  return keep (fixture, dill_go (sleep_by_macro (&fixture->n_ended)));
}

static int
make_pair_of_handles (Fixture *fixture)
{
  int s[2] = { -1, -1 };

  if (dill_ipc_pair (s) < 0)
    {
      g_assert_cmpint (s[0], ==, -1);
      return -1;
    }
  keep (fixture, s[0]);
  return keep (fixture, s[1]);
}

static int
attach_prefix (Fixture *fixture)
{
  int h = dill_prefix_attach (fixture->pair[0], 2, DILL_PREFIX_BIG_ENDIAN);

  if (h >= 0)
    fixture->pair[0] = test_assert_ok (dill_prefix_detach (h));
  return h;
}

static int
attach_suffix (Fixture *fixture)
{
  int h = dill_suffix_attach (fixture->pair[0], "\n", 1);

  if (h >= 0)
    fixture->pair[0] = test_assert_ok (dill_suffix_detach (h, -1));
  return h;
}

static int
choose_of_many (Fixture *fixture)
{
  int result = dill_choose (fixture->clauses, G_N_ELEMENTS (fixture->clauses), dill_now () + 1);

  g_assert_cmpint (result, ==, -1);
  return errno == ETIMEDOUT ? 0 : -1;
}

typedef struct
{
  const char *name;
  int (*func) (Fixture *fixture);
  guint n; /* how often it is repeated, so that each allocation falls due */
} Operation;

static const Operation operations[] = {
  { "bundle", make_bundle, N_SOME },
  { "hmake", make_own, N_MORE },
  { "chmake", make_channel, N_SOME },
  { "choose", choose_of_many, 1 },
  { "spawn", spawn, N_STACKS },
  { "go", start_by_macro, N_STACKS },
  { "ipc-pair", make_pair_of_handles, 100 },
  { "prefix-attach", attach_prefix, 1 },
  { "suffix-attach", attach_suffix, 1 },
};

/* Each in a thread of its own, which has nothing in store. */
static gpointer
try_operation (gpointer data)
{
  const Operation *operation = data;
  Fixture fixture;
  guint n_failed = 0;

  set_up (&fixture);
  for (guint i = 0; i < operation->n; i++)
    {
      guint n_fds = test_count_fds (), n = 0;
      struct dill_handle_pool *numbers = &dill_thread_get ()->handles;
      int result;

      do
        {
          guint n_numbers = numbers->n_free;
          bool was_short;
          int error;

          malloc_begin_want (n++);
          result = operation->func (&fixture);
          error = errno;
          was_short = malloc_end_want ();
          if (result < 0)
            {
              g_assert_true (was_short);
              g_assert_cmpstr (test_errno_name (error), ==, "ENOMEM");
              g_assert_cmpuint (test_count_fds (), ==, n_fds);
              g_assert_cmpuint (numbers->n_free, >=, n_numbers);
              n_failed++;
            }
        }
      while (result < 0);
    }
  g_assert_cmpuint (n_failed, >, 0);

  /* Nothing that was there has been harmed. */
  g_assert_cmpuint (fixture.n_ended, ==, 0);
  g_assert_no_errno (dill_bsend (fixture.pair[0], "x", 1, 0));
  g_assert_no_errno (dill_brecv (fixture.pair[1], &fixture.value, 1, 0));
  tear_down (&fixture);
  return NULL;
}

static void
test_operation (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  if (!malloc_skip_test (false))
    test_in_thread (try_operation, (gpointer) data);
}

/* --- A thread's first steps --- */

static gpointer
begin_without_memory (gpointer data G_GNUC_UNUSED)
{
  guint n_ended = 0;
  int error, h;

  /* Its record. */
  malloc_begin_want (0);
  h = dill_bundle ();
  error = errno;
  g_assert_true (malloc_end_want ());
  g_assert_cmpint (h, ==, -1);
  g_assert_cmpint (error, ==, ENOMEM);
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_bundle ())));

  /* The engine of its context. */
  malloc_begin_want (0);
  h = dill_spawn (sleep_for_ever, &n_ended);
  error = errno;
  g_assert_true (malloc_end_want ());
  g_assert_cmpint (h, ==, -1);
  g_assert_cmpint (error, ==, ENOMEM);
  g_assert_cmpuint (n_ended, ==, 0);
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (sleep_for_ever, &n_ended))));
  g_assert_cmpuint (n_ended, ==, 1);
  return NULL;
}

static void
test_first_call (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  if (!malloc_skip_test (false))
    test_in_thread (begin_without_memory, NULL);
}

/* What needs two numbers when there is one takes neither. */
static gpointer
make_two_of_one (gpointer data G_GNUC_UNUSED)
{
  int channel[2] = { -1, -1 }, pair[2] = { -1, -1 }, errors[3];
  struct dill_handle_pool *numbers;
  Fixture fixture;
  int h;

  set_up (&fixture);
  numbers = &dill_thread_get ()->handles;
  malloc_begin_want (0);
  while (make_own (&fixture) >= 0)
    continue;
  errors[0] = errno;
  h = g_array_index (fixture.handles, int, 0);
  dill_hclose (h);
  errors[1] = dill_chmake (channel) < 0 ? errno : 0;
  errors[2] = dill_ipc_pair (pair) < 0 ? errno : 0;
  g_assert_true (malloc_end_want ());

  g_array_remove_index_fast (fixture.handles, 0);
  g_assert_cmpuint (numbers->n_free, ==, 1);
  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    g_assert_cmpstr (test_errno_name (errors[i]), ==, "ENOMEM");
  g_assert_true (channel[0] == -1 && channel[1] == -1 && pair[0] == -1 && pair[1] == -1);
  test_assert_errno (dill_hclose (h), EBADF);
  tear_down (&fixture);
  return NULL;
}

static void
test_one_number (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  if (!malloc_skip_test (false))
    test_in_thread (make_two_of_one, NULL);
}

/* --- Waiting for descriptors --- */

/* A call that is made with so many allocations left; there is enough again once it waits or has returned. */
typedef struct
{
  Call call;
  guint n_left;
} ShortCall;

static void
fdin_without_memory (void *data)
{
  ShortCall *short_call = data;
  int result;

  malloc_begin_want (short_call->n_left);
  result = dill_fdin (short_call->call.s, -1);
  malloc_end_want ();
  call_done (&short_call->call, result);
}

static void
test_fdin (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  guint n_failed = 0;
  bool is_over = false;
  int fds[2];

  if (malloc_skip_test (!dill_poller_reports_edges))
    return;

  g_assert_no_errno (pipe (fds));
  while (!is_over)
    {
      g_autoptr (GMainContext) context = g_main_context_new ();
      ShortCall short_call = { .call = { .s = fds[0] }, .n_left = n_failed };
      int h;

      g_main_context_push_thread_default (context);
      open_context ();
      h = test_assert_ok (dill_spawn (fdin_without_memory, &short_call));
      malloc_end_want ();
      is_over = !short_call.call.is_done;
      if (!is_over)
        {
          assert_call_errno (short_call.call, ENOMEM);
          n_failed++;

          /* That passes. */
          test_assert_errno (dill_fdin (fds[0], dill_now () + 1), ETIMEDOUT);
        }
      g_assert_no_errno (dill_hclose (h));
      g_main_context_pop_thread_default (context);
    }
  g_assert_cmpuint (n_failed, >=, 3); /* the table, and what it is made of */
  close (fds[0]);
  close (fds[1]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (operations); i++)
    {
      g_autofree char *path = g_strconcat ("/no-memory/operation/", operations[i].name, NULL);

      test_add_data (path, &operations[i], test_operation);
    }
  test_add ("/no-memory/first-call", test_first_call);
  test_add ("/no-memory/one-number", test_one_number);
  test_add ("/no-memory/fdin", test_fdin);
  return g_test_run ();
}
