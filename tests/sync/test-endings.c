/* test-endings.c: ends that come in an unusual order do no harm.
 *
 *  - A forked child that drops a context of its parent's before it calls the library leaves the parent's registrations
 *    alone.
 *  - A forked child that cleans up a descriptor for which its parent waits does not disturb that.
 *  - A child that was forked in a coroutine, a cancelled one too, can use the library under a context of its own.
 *  - Objects on the stack of a coroutine whose context has ended lose their handles, and are never looked at again.
 *  - A descriptor that was waited for and closed without dill_fdclean () does not trouble a connection of that number,
 *    and a wait for a connection's descriptor, which is refused, does not trouble that connection.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/poller.h"
#include "coroutine-utils.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct
{
  int s;
  int result;
} Reader;

static void
read_byte (void *data)
{
  Reader *reader = data;
  char byte;

  reader->result = dill_brecv (reader->s, &byte, 1, soon ());
}

static int
drop_context (gpointer context)
{
  g_main_context_pop_thread_default (context);
  g_main_context_unref (context);
  return 0;
}

static void
test_child_drops_context (void)
{
  GMainContext *context = g_main_context_new ();
  Reader reader = { .result = 1 };
  int h, s[2];

  g_main_context_push_thread_default (context);
  g_assert_no_errno (dill_ipc_pair (s));
  reader.s = s[0];
  h = test_assert_ok (dill_spawn (read_byte, &reader));
  g_assert_no_errno (dill_msleep (dill_now () + 2));
  g_assert_cmpint (reader.result, ==, 1);

  g_assert_cmpint (test_in_child (drop_context, context), ==, 0);

  g_assert_no_errno (dill_bsend (s[1], "x", 1, soon ()));
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (reader.result, ==, 0);
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (s[0]));
  g_assert_no_errno (dill_hclose (s[1]));
  drop_context (context);
}

static int
clean_up (gpointer fd)
{
  g_assert_no_errno (dill_fdclean (GPOINTER_TO_INT (fd)));
  g_assert_no_errno (close (GPOINTER_TO_INT (fd)));
  return 0;
}

static void
wait_for_input (void *data)
{
  Reader *reader = data;

  reader->result = dill_fdin (reader->s, soon ());
}

static void
test_child_cleans_descriptor (void)
{
  Reader reader = { .result = 1 };
  int h, fds[2];

  g_assert_no_errno (pipe (fds));
  reader.s = fds[0];
  h = test_assert_ok (dill_spawn (wait_for_input, &reader));
  g_assert_no_errno (dill_msleep (dill_now () + 2));
  g_assert_cmpint (test_in_child (clean_up, GINT_TO_POINTER (fds[0])), ==, 0);
  g_assert_cmpint (reader.result, ==, 1);

  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (reader.result, ==, 0);
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_fdclean (fds[0]));
  close (fds[0]);
  close (fds[1]);
}

/* A connection's descriptor is the library's own. */
static void
test_descriptor_of_handle (void)
{
  Reader reader = { .result = 1 };
  int fds[2], h;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  reader.s = test_assert_ok (dill_ipc_fromfd (fds[0]));
  h = test_assert_ok (dill_spawn (read_byte, &reader));
  g_assert_no_errno (dill_msleep (dill_now () + 2));
  if (dill_poller_reports_edges)
    test_assert_errno (dill_fdin (fds[0], soon ()), EEXIST);
  else
    test_assert_errno (dill_fdin (fds[0], dill_now () + 2), ETIMEDOUT);
  test_assert_errno (dill_fdin (fds[0], 0), ETIMEDOUT); /* this one does not wait */
  g_assert_no_errno (dill_fdclean (fds[0]));

  g_assert_cmpint (send (fds[1], "x", 1, 0), ==, 1);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (reader.result, ==, 0);
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (reader.s));
  close (fds[1]);
}

static int
exchange_afresh (gpointer data G_GNUC_UNUSED)
{
  GMainContext *context = g_main_context_new ();
  Reader reader = { .result = 1 };
  int h, s[2];

  g_main_context_push_thread_default (context);
  if (dill_msleep (dill_now () + 2) < 0 || dill_ipc_pair (s) < 0)
    return 1;

  reader.s = s[0];
  h = dill_spawn (read_byte, &reader);
  if (h < 0 || reader.result != 1 || dill_bsend (s[1], "x", 1, soon ()) < 0 || dill_bundle_wait (h, soon ()) < 0)
    return 2;

  return reader.result;
}

static void
fork_here (void *data)
{
  g_assert_no_errno (dill_yield ());
  *(int *) data = test_in_child (exchange_afresh, NULL);
}

static void
test_fork_in_coroutine (void)
{
  int result = -1;
  int h = test_assert_ok (dill_spawn (fork_here, &result));

  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (result, ==, 0);
  g_assert_no_errno (dill_hclose (h));
}

/* In the child, whose flow this is, nobody is cancelled, and nothing is being closed. */
static void
fork_when_canceled (void *data)
{
  test_assert_errno (dill_msleep (-1), ECANCELED);
  *(int *) data = test_in_child (exchange_afresh, NULL);
  test_assert_errno (dill_msleep (-1), ECANCELED);
}

typedef struct
{
  struct dill_hvfs vfs;
  int result;
} Forker;

static void
fork_when_closed (struct dill_hvfs *vfs)
{
  ((Forker *) vfs)->result = test_in_child (exchange_afresh, NULL);
  test_assert_errno (dill_msleep (-1), ECANCELED);
}

static void
test_fork_when_canceled (void)
{
  Forker forker = { { query_nothing, fork_when_closed }, -1 };
  int result = -1;

  g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (fork_when_canceled, &result))));
  g_assert_cmpint (result, ==, 0);
  g_assert_no_errno (dill_hclose (test_assert_ok (dill_hmake (&forker.vfs))));
  g_assert_cmpint (forker.result, ==, 0);
}

/* Its bundle, and the connection, stand on its stack. */
static void
build_on_stack (void *data)
{
  struct dill_bundle_storage bundle;
  char mem[DILL_IPC_PAIR_SIZE];
  int *handles = data;

  handles[0] = test_assert_ok (dill_bundle_mem (&bundle));
  g_assert_no_errno (dill_ipc_pair_mem (mem, &handles[1]));
  g_assert_no_errno (dill_bundle_spawn (handles[0], sleep_for_ever, NULL));
  dill_msleep (-1);
}

/* Writes over whatever was left on the stack. */
static void
use_stack (void *data)
{
  char bytes[60000];

  memset (bytes, 0x41, sizeof bytes);
  __asm__ volatile ("" : : "r"(bytes) : "memory");
  (*(guint *) data)++;
}

static void
test_objects_on_stacks (void)
{
  GMainContext *context = g_main_context_new ();
  guint n_fds = test_count_fds (), n_calls = 0;
  int handles[3];

  g_main_context_push_thread_default (context);
  test_assert_ok (dill_spawn (build_on_stack, handles));
  g_main_context_pop_thread_default (context);
  test_expect_log (G_LOG_LEVEL_WARNING, "*GMainContext has ended*", g_main_context_unref (context));
  g_assert_cmpuint (test_count_fds (), ==, n_fds - 1); /* and the context's own */

  for (guint i = 0; i < 100; i++)
    g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (use_stack, &n_calls))));
  g_assert_cmpuint (n_calls, ==, 100);
  for (guint i = 0; i < G_N_ELEMENTS (handles); i++)
    test_assert_errno (dill_hclose (handles[i]), EBADF);
}

static void
test_number_of_closed_descriptor (void)
{
  Reader reader = { .result = 1 };
  int fds[2], h, number;

  g_assert_no_errno (pipe (fds));
  number = fds[0];
  test_assert_errno (dill_fdin (number, dill_now () + 2), ETIMEDOUT);
  close (fds[0]);
  close (fds[1]);

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM, 0, fds));
  g_assert_cmpint (fds[0], ==, number);
  reader.s = test_assert_ok (dill_ipc_fromfd (fds[0]));
  h = test_assert_ok (dill_spawn (read_byte, &reader));
  g_assert_no_errno (dill_msleep (dill_now () + 2));
  g_assert_no_errno (dill_fdclean (number));
  g_assert_cmpint (send (fds[1], "x", 1, 0), ==, 1);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_cmpint (reader.result, ==, 0);

  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (reader.s));
  close (fds[1]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/endings/child-drops-context", test_child_drops_context);
  g_test_add_func ("/endings/child-cleans-descriptor", test_child_cleans_descriptor);
  g_test_add_func ("/endings/descriptor-of-handle", test_descriptor_of_handle);
  g_test_add_func ("/endings/fork-in-coroutine", test_fork_in_coroutine);
  g_test_add_func ("/endings/fork-when-canceled", test_fork_when_canceled);
  g_test_add_func ("/endings/objects-on-stacks", test_objects_on_stacks);
  g_test_add_func ("/endings/number-of-closed-descriptor", test_number_of_closed_descriptor);
  return g_test_run ();
}
