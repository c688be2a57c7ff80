/* source-utils.h: what the tests of the two public sources share: a callback that keeps account of its calls, and a
 * listener or a connection whose descriptor is known, so that one test serves both.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"

#include <dillipc/dill-glib.h>

/* What is done with a handle: dill_hclose () and the like. */
typedef int (*HandleFunc) (int s);

/* An account of the calls of a source's callback; what it does is in the first members. */
typedef struct
{
  gboolean result;   /* what the callback returns */
  HandleFunc handle; /* (nullable): what it does with the handle */
  guint n_calls;
  int s;
  GIOCondition ready;
  GThread *thread;
  guint n_destroyed; /* how often the callback's data was given back */
} Account;

#define ACCOUNT_INIT                                                                                                   \
  {                                                                                                                    \
    .result = G_SOURCE_CONTINUE                                                                                        \
  }

static inline gboolean
account_callback (int s, GIOCondition ready, gpointer user_data)
{
  Account *account = user_data;

  account->s = s;
  account->ready = ready;
  account->thread = g_thread_self ();
  account->n_calls++;
  if (account->handle != NULL)
    test_assert_ok (account->handle (s));
  return account->result;
}

static inline void
account_destroyed (gpointer user_data)
{
  ((Account *) user_data)->n_destroyed++;
}

static inline void
account_set (GSource *source, Account *account)
{
  g_assert_nonnull (source);
  g_source_set_callback (source, G_SOURCE_FUNC (account_callback), account, account_destroyed);
}

/* Sets the callback, and attaches SOURCE to CONTEXT.  Returns SOURCE, the caller's. */
static inline GSource *
account_attach (GSource *source, Account *account, GMainContext *context)
{
  account_set (source, account);
  g_source_attach (source, context);
  return source;
}

/* Lets CONTEXT poll its descriptors and dispatch what is ready, often enough that whatever is ready has its turn. */
static inline void
iterate_some (GMainContext *context)
{
  for (guint i = 0; i < 5; i++)
    g_main_context_iteration (context, FALSE);
}

/* Whether the context under test polls the descriptor NUMBER: GLib calls the function below in place of poll (2). */
static int poll_number;
static gboolean poll_has_number;

static inline gint
poll_and_look (GPollFD *fds, guint n_fds, gint timeout)
{
  for (guint i = 0; i < n_fds; i++)
    poll_has_number |= fds[i].fd == poll_number;

  return g_poll (fds, n_fds, timeout);
}

static inline gboolean
is_polled (GMainContext *context, int number)
{
  poll_number = number;
  poll_has_number = FALSE;
  g_main_context_set_poll_func (context, poll_and_look);
  iterate_some (context);
  g_main_context_set_poll_func (context, NULL);
  return poll_has_number;
}

/* A handle of either kind, and the other side of it. */
typedef struct
{
  int s;
  int fd;   /* the number of its descriptor */
  int peer; /* a connection's other end; a listener's client once there is one, or -1 */
  const char *path;
  gboolean is_listener;
} Subject;

static inline GSource *
subject_source (const Subject *subject)
{
  return subject->is_listener ? dill_ipc_listener_source_new (subject->s)
                              : dill_ipc_connection_source_new (subject->s, G_IO_IN);
}

static inline void
subject_init (Subject *subject, const TestDir *test, gboolean is_listener)
{
  *subject = (Subject) { .peer = -1, .path = test->path, .is_listener = is_listener };
  if (is_listener)
    {
      subject->fd = listen_raw (test->path, 10);
      subject->s = test_assert_ok (dill_ipc_listener_fromfd (subject->fd));
    }
  else
    {
      int fds[2];

      test_assert_ok (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
      subject->fd = fds[0];
      subject->peer = fds[1];
      subject->s = test_assert_ok (dill_ipc_fromfd (subject->fd));
    }
}

/* A connection comes in, or a byte. */
static inline void
subject_make_ready (Subject *subject)
{
  if (subject->is_listener)
    {
      g_assert_cmpint (subject->peer, ==, -1);
      subject->peer = connect_raw (subject->path);
    }
  else
    g_assert_cmpint (write (subject->peer, "x", 1), ==, 1);
}

/* Attaches a source of SUBJECT's, and has it call back for the first time.  Returns it, the caller's. */
static inline GSource *
subject_call_back (Subject *subject, Account *account)
{
  GSource *source = account_attach (subject_source (subject), account, NULL);

  subject_make_ready (subject);
  test_iterate_until (account->n_calls == 1);
  return source;
}

/* The handle is the test's to close. */
static inline void
subject_clear (Subject *subject)
{
  if (subject->peer >= 0)
    close (subject->peer);
}

/* Takes what subject_make_ready () has brought. */
static inline int
accept_or_receive (int s)
{
  char byte;
  int connection = dill_ipc_accept (s, 0);

  if (connection >= 0)
    return dill_hclose (connection);
  return (int) dill_brecv_some (s, &byte, 1, 0);
}

/* Another, readable file takes the number right after the end of the handle. */
static inline void
take_number (int number)
{
  int fds[2];

  test_assert_ok (pipe2 (fds, O_CLOEXEC));
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  if (fds[0] != number)
    {
      g_assert_cmpint (fcntl (number, F_GETFD), ==, -1);
      g_assert_cmpint (fds[1], !=, number);
      test_assert_ok (dup2 (fds[0], number));
      close (fds[0]);
    }
  close (fds[1]);
}

/* Registers FUNC twice, for a listener, where its data is not NULL, and for a connection. */
#define add_both(name, func)                                                                                           \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    test_add_data (name "/listener", "listener", func);                                                                \
    test_add_data (name "/connection", NULL, func);                                                                    \
  }                                                                                                                    \
  G_STMT_END

/* Two connections, the sources of the first of which are tested. */
typedef struct
{
  int s;
  int peer;
} Pair;

static inline Pair
pair_new (void)
{
  int s[2];

  test_assert_ok (dill_ipc_pair (s));
  return (Pair) { s[0], s[1] };
}

static inline void
pair_close (Pair *pair)
{
  test_assert_ok (dill_hclose (pair->s));
  test_assert_ok (dill_hclose (pair->peer));
}

static inline GSource *
pair_attach (const Pair *pair, GIOCondition condition, Account *account)
{
  return account_attach (dill_ipc_connection_source_new (pair->s, condition), account, NULL);
}
