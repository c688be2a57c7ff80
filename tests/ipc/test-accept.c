/* test-accept.c: waiting acceptors are served first come, first served, and no connection is lost to one that times
 * out, is cancelled, or finds the process out of descriptors or memory.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"
#include "syscall-utils.h"

#include <stdlib.h>

/* Connects to PATH and sends NUMBER, so that the accepted side is known. */
static int
connect_number (const char *path, guint8 number)
{
  int fd = connect_raw (path);

  write_all (fd, &number, 1);
  return fd;
}

/* The connection S is that of connect_number (); it is closed. */
static guint
take_number (int s)
{
  guint8 number;

  g_assert_no_errno (dill_brecv (s, &number, 1, soon ()));
  g_assert_no_errno (dill_hclose (s));
  return number;
}

static void
test_first_come_first_served (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  enum
  {
    N = 100
  };
  int ls = test_assert_ok (dill_ipc_listen (test->path, N)), clients[N], h[N];
  int64_t start = dill_now ();
  Call calls[N];

  /* Long enough without a look at the main loop for the pauses that keep others going to fall due: they must not cost
   * anybody his place. */
  while (dill_now () < start + 5)
    continue;
  call_counter = 0;
  for (guint i = 0; i < N; i++)
    {
      calls[i] = (Call) { .s = ls, .deadline = -1 };
      h[i] = start_call (call_accept, &calls[i]);
    }
  for (guint i = 0; i < N; i++)
    clients[i] = connect_number (test->path, (guint8) i);
  for (guint i = 0; i < N; i++)
    {
      finish_call (h[i], &calls[i]);
      g_assert_cmpuint (calls[i].order, ==, i + 1);
      g_assert_cmpuint (take_number (test_assert_ok ((int) calls[i].result)), ==, i);
      close (clients[i]);
    }
  g_assert_no_errno (dill_hclose (ls));
}

/* Even when a newcomer asks before the waiters, who were there first, have run. */
static void
test_newcomer_is_last (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), clients[2], h;
  Call call = { .s = ls, .deadline = -1 };

  h = start_call (call_accept, &call);
  clients[0] = connect_number (test->path, 0);
  clients[1] = connect_number (test->path, 1);
  g_assert_cmpuint (take_number (test_assert_ok (dill_ipc_accept (ls, soon ()))), ==, 1);
  finish_call (h, &call);
  g_assert_cmpuint (take_number (test_assert_ok ((int) call.result)), ==, 0);
  close (clients[0]);
  close (clients[1]);
  g_assert_no_errno (dill_hclose (ls));
}

/* Nor does one who cannot wait take what somebody waits for. */
static void
test_try_is_no_short_cut (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), client, h;
  Call call = { .s = ls, .deadline = -1 };

  h = start_call (call_accept, &call);
  client = connect_number (test->path, 0);
  test_assert_errno (dill_ipc_accept (ls, 0), ETIMEDOUT);
  finish_call (h, &call);
  g_assert_cmpuint (take_number (test_assert_ok ((int) call.result)), ==, 0);
  close (client);
  g_assert_no_errno (dill_hclose (ls));
}

static void
test_deadline (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5));
  int64_t start = dill_now ();

  test_assert_errno (dill_ipc_accept (ls, start + 10), ETIMEDOUT);
  g_assert_cmpint (dill_now (), >=, start + 10);
  for (int64_t deadline = 0; deadline < 2; deadline++)
    {
      int client;

      test_assert_errno (dill_ipc_accept (ls, deadline), ETIMEDOUT);
      client = connect_number (test->path, 7);
      g_assert_cmpuint (take_number (test_assert_ok (dill_ipc_accept (ls, deadline))), ==, 7);
      test_assert_errno (dill_ipc_accept (ls, deadline), ETIMEDOUT);
      close (client);
    }
  g_assert_no_errno (dill_hclose (ls));
}

static void
test_one_of_several_leaves (TestDir *test, gconstpointer data)
{
  bool by_time = GPOINTER_TO_SIZE (data);

  for (guint leaver = 0; leaver < 4; leaver++)
    {
      g_autofree char *path = g_strdup_printf ("%s-%u", test->path, leaver);
      int ls = test_assert_ok (dill_ipc_listen (path, 5)), clients[3], h[4];
      Call calls[4];

      for (guint i = 0; i < 4; i++)
        {
          calls[i] = (Call) { .s = ls, .deadline = by_time && i == leaver ? dill_now () + 3 : -1 };
          h[i] = start_call (call_accept, &calls[i]);
        }
      if (by_time)
        test_iterate_until (calls[leaver].is_done);
      else
        g_assert_no_errno (dill_hclose (h[leaver]));
      assert_call_errno (calls[leaver], by_time ? ETIMEDOUT : ECANCELED);

      for (guint i = 0; i < 3; i++)
        clients[i] = connect_number (path, (guint8) i);
      for (guint i = 0, n = 0; i < 4; i++)
        {
          if (i == leaver)
            continue;
          finish_call (h[i], &calls[i]);
          g_assert_cmpuint (take_number (test_assert_ok ((int) calls[i].result)), ==, n);
          close (clients[n++]);
        }
      if (by_time)
        g_assert_no_errno (dill_hclose (h[leaver]));
      g_assert_no_errno (dill_hclose (ls));
    }
}

/* A waiter that has been given a connection, but has not run, keeps it when it is cancelled. */
typedef struct
{
  int duplicate; /* of the listener's descriptor */
  int victim;
  Call *call;
} Killer;

static void
kill_early (void *data)
{
  Killer *killer = data;

  yield_until_accepted (killer->duplicate);
  g_assert_false (killer->call->is_done);
  g_assert_no_errno (dill_hclose (killer->victim));
}

static void
test_canceled_after_service (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Killer killer;
  int ls = listen_with_duplicate (test->path, NULL, &killer.duplicate), client, h;
  Call call = { .s = ls, .deadline = -1 };

  killer.call = &call;
  h = test_assert_ok (dill_spawn (kill_early, &killer));
  killer.victim = start_call (call_accept, &call);
  client = connect_number (test->path, 3);
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_true (call.is_done);
  g_assert_cmpuint (take_number (test_assert_ok ((int) call.result)), ==, 3);
  close (client);
  close (killer.duplicate);
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (ls));
}

static void
test_closed (TestDir *test, gconstpointer data)
{
  bool is_served = GPOINTER_TO_SIZE (data); /* but has not run */
  Call calls[3];
  Killer killer = { .call = &calls[0] };
  int ls = listen_with_duplicate (test->path, NULL, &killer.duplicate), h_killer, h[3], client = -1;

  killer.victim = ls;
  h_killer = test_assert_ok (dill_spawn (kill_early, &killer));
  for (guint i = 0; i < 3; i++)
    {
      calls[i] = (Call) { .s = ls, .deadline = -1 };
      h[i] = start_call (call_accept, &calls[i]);
    }
  if (is_served)
    client = connect_number (test->path, 9);
  for (guint i = 0; i < 3; i++)
    {
      finish_call (h[i], &calls[i]);
      if (i == 0 && is_served)
        g_assert_cmpuint (take_number (test_assert_ok ((int) calls[0].result)), ==, 9);
      else
        assert_call_errno (calls[i], ECANCELED);
    }
  test_assert_errno (dill_ipc_accept (ls, -1), EBADF);
  if (client >= 0)
    close (client);
  close (killer.duplicate);
  g_assert_no_errno (dill_hclose (h_killer));
}

static void
test_no_descriptor_left (TestDir *test, gconstpointer data)
{
  bool waits = GPOINTER_TO_SIZE (data);
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5)), clients[2], h;
  Call call = { .s = ls, .deadline = waits ? -1 : 0 };
  FdLimit limit;

  if (!waits)
    clients[0] = connect_number (test->path, 0);
  clients[1] = test_assert_ok (socket (AF_UNIX, SOCK_STREAM, 0));
  h = waits ? start_call (call_accept, &call) : -1;
  if (waits)
    clients[0] = test_assert_ok (socket (AF_UNIX, SOCK_STREAM, 0));

  fd_limit_begin (&limit, 0);
  if (waits)
    {
      struct sockaddr_un address = { .sun_family = AF_UNIX };

      strcpy (address.sun_path, test->path);
      g_assert_no_errno (connect (clients[0], (struct sockaddr *) &address, sizeof address));
      write_all (clients[0], "", 1);
      finish_call (h, &call);
      assert_call_errno (call, EMFILE);
    }
  test_assert_errno (dill_ipc_accept (ls, soon ()), EMFILE);
  test_assert_errno (dill_ipc_accept (ls, 0), EMFILE);
  fd_limit_end (&limit);

  /* It has gone on to wait, and needs no new event to be found. */
  g_assert_cmpuint (take_number (test_assert_ok (dill_ipc_accept (ls, soon ()))), ==, 0);
  close (clients[0]);
  close (clients[1]);
  g_assert_no_errno (dill_hclose (ls));
}

/* Whatever else the kernel says reaches the caller; the plain accept () then finds the connection still there. */
static int
accept_fails_in_child (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  int error = GPOINTER_TO_INT (data);
  const char *path = g_getenv ("TEST_SOCKET");
  guint8 number = 0;
  guint n_fds;
  int ls, fd, client;

  g_main_context_push_thread_default (context);
  open_context ();
  ls = test_assert_ok (dill_ipc_listen (path, 5));
  client = connect_number (path, 5);
  n_fds = test_count_fds ();
  if (!fail_calls (SYS_accept4, error))
    return CANNOT;
  test_assert_errno (dill_ipc_accept (ls, soon ()), error);
  test_assert_errno (dill_ipc_accept (ls, 0), error);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  fd = test_assert_ok (dill_ipc_steal_fd (ls));
#ifdef SYS_accept
  fd = test_assert_ok (syscall (SYS_accept, fd, NULL, NULL));
  read_all (fd, &number, 1);
  g_assert_cmpuint (number, ==, 5);
#endif
  close (client);
  unlink (path);
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_kernel_errors (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  static const int errors[] = { ENFILE, ENOMEM, ENOBUFS };

  g_setenv ("TEST_SOCKET", test->path, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (errors); i++)
    if (!check_child (test_in_child (accept_fails_in_child, GINT_TO_POINTER (errors[i])), NO_SECCOMP))
      return;
}

/* With all of the process's memory in use, the connection is not taken only to be dropped. */
static int
accept_without_memory (gpointer data G_GNUC_UNUSED)
{
  static void *blocks[1 << 20];
  g_autoptr (GMainContext) context = g_main_context_new ();
  const char *path = g_getenv ("TEST_SOCKET");
  struct rlimit limit = { 64 << 20, RLIM_INFINITY };
  char mem[DILL_IPC_SIZE];
  int ls, s, rc, error;
  guint n = 0;

  g_main_context_push_thread_default (context);
  open_context ();
  ls = test_assert_ok (dill_ipc_listen (path, 5));
  connect_number (path, 0);
  connect_number (path, 1);
  g_assert_no_errno (setrlimit (RLIMIT_DATA, &limit));
  for (size_t size = 1 << 20; size >= 16; size = size > 512 ? size / 2 : size - 16)
    while (n < G_N_ELEMENTS (blocks) && (blocks[n] = malloc (size)) != NULL)
      n++;
  rc = dill_ipc_accept (ls, 0);
  error = errno;
  s = dill_ipc_accept_mem (ls, mem, 0); /* needs none */
  while (n > 0)
    free (blocks[--n]);

  test_assert_errno ((errno = error, rc), ENOMEM);
  g_assert_cmpuint (take_number (test_assert_ok (s)), ==, 0);
  g_assert_cmpuint (take_number (test_assert_ok (dill_ipc_accept (ls, soon ()))), ==, 1);
  g_assert_no_errno (dill_hclose (ls));
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_no_memory (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  if (HAVE_ADDRESS_SANITIZER)
    {
      g_test_skip ("the address sanitizer's allocator needs more memory than can be withheld");
      return;
    }

  g_setenv ("TEST_SOCKET", test->path, TRUE);
  g_assert_cmpint (test_in_child (accept_without_memory, NULL), ==, 0);
}

static void
serve_rounds (void *data)
{
  Call *call = data;

  for (guint i = 0; i < 1000; i++)
    {
      char bytes[5];
      int s = test_assert_ok (dill_ipc_accept (call->s, soon ()));

      g_assert_no_errno (dill_brecv (s, bytes, 5, soon ()));
      g_assert_no_errno (dill_bsend (s, bytes, 5, soon ()));
      g_assert_no_errno (dill_ipc_close (s, soon ()));
    }
  call_done (call, 0);
}

static void
test_thousand_rounds (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  guint n_fds = test_count_fds ();
  Call call = { .s = test_assert_ok (dill_ipc_listen (test->path, 5)) };
  int h = test_assert_ok (dill_spawn (serve_rounds, &call));

  for (guint i = 0; i < 1000; i++)
    {
      int s = test_assert_ok (dill_ipc_connect (test->path, soon ()));
      char bytes[5];

      g_assert_no_errno (dill_bsend (s, "hello", 5, soon ()));
      g_assert_no_errno (dill_brecv (s, bytes, 5, soon ()));
      g_assert_cmpmem (bytes, 5, "hello", 5);
      g_assert_no_errno (dill_ipc_close (s, soon ()));
    }
  finish_call (h, &call);
  g_assert_no_errno (dill_hclose (call.s));
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add ("/accept/order/first-come-first-served", test_first_come_first_served);
  test_add ("/accept/order/newcomer-is-last", test_newcomer_is_last);
  test_add ("/accept/order/try-is-no-short-cut", test_try_is_no_short_cut);
  test_add ("/accept/deadline", test_deadline);
  test_add_data ("/accept/one-of-several/canceled", GSIZE_TO_POINTER (false), test_one_of_several_leaves);
  test_add_data ("/accept/one-of-several/times-out", GSIZE_TO_POINTER (true), test_one_of_several_leaves);
  test_add ("/accept/canceled-after-service", test_canceled_after_service);
  test_add_data ("/accept/closed/waiting", GSIZE_TO_POINTER (false), test_closed);
  test_add_data ("/accept/closed/served", GSIZE_TO_POINTER (true), test_closed);
  test_add_data ("/accept/no-descriptor/try", GSIZE_TO_POINTER (false), test_no_descriptor_left);
  test_add_data ("/accept/no-descriptor/waiting", GSIZE_TO_POINTER (true), test_no_descriptor_left);
  test_add ("/accept/kernel-errors", test_kernel_errors);
  test_add ("/accept/no-memory", test_no_memory);
  test_add ("/accept/thousand-rounds", test_thousand_rounds);
  return g_test_run ();
}
