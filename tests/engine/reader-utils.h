/* reader-utils.h: a main context that waits in the library's epoll descriptor, somebody who waits there, and threads
 * that wake it up.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

#include "engine/engine.h"
#include "engine/poll-function.h"
#include "engine/thread.h"

/* --- Somebody who waits for a byte --- */

typedef struct
{
  int s[2];
  int handle;
  int result; /* 1: none yet; otherwise 0 or errno */
} Reader;

static inline void
read_byte (void *data)
{
  Reader *reader = data;
  char byte;

  reader->result = dill_brecv (reader->s[0], &byte, 1, -1) == 0 ? 0 : errno;
}

static inline void
reader_start (Reader *reader)
{
  g_assert_no_errno (dill_ipc_pair (reader->s));
  reader->result = 1;
  reader->handle = test_assert_ok (dill_spawn (read_byte, reader));
  g_assert_cmpint (reader->result, ==, 1);
}

static inline void
reader_clear (Reader *reader)
{
  g_assert_no_errno (dill_hclose (reader->handle));
  dill_hclose (reader->s[0]);
  g_assert_no_errno (dill_hclose (reader->s[1]));
}

static const struct dill_gathering *
gathering_of_context (void)
{
  return dill_engine_get (dill_thread_get ())->poller.gathering;
}

/* Until the context waits in the library's epoll descriptor. */
static inline void
settle (void)
{
  g_assert_nonnull (gathering_of_context ());
  while (gathering_of_context ()->wakeup_fd < 0)
    g_assert_no_errno (dill_msleep (dill_now () + 1));
}

/* --- Another thread, which has functions called in the context --- */

#define N_CALLS 300

typedef struct
{
  GMainContext *context;
  GAsyncQueue *answers;
  guint n_calls;
} Caller;

static inline gboolean
answer (gpointer data)
{
  Caller *caller = data;

  caller->n_calls++;
  g_async_queue_push (caller->answers, caller);
  return G_SOURCE_REMOVE;
}

static inline gpointer
call (gpointer data)
{
  Caller *caller = data;

  for (guint i = 0; i < N_CALLS; i++)
    {
      g_main_context_invoke (caller->context, answer, caller);
      g_async_queue_pop (caller->answers);
    }
  return NULL;
}

/* Has them called while WAIT waits until CALLER has had all, and while somebody waits for a byte. */
static inline void
check_calls (void (*wait) (Caller *caller))
{
  Caller caller = { .context = g_main_context_default (), .answers = g_async_queue_new () };
  Reader reader;
  GThread *thread;

  reader_start (&reader);
  settle ();
  thread = test_thread_start (call, &caller);
  wait (&caller);
  g_assert_cmpuint (caller.n_calls, ==, N_CALLS);
  test_thread_join (thread);
  g_async_queue_unref (caller.answers);
  g_assert_cmpint (reader.result, ==, 1);
  reader_clear (&reader);
}
