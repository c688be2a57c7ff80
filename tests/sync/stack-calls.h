/* stack-calls.h: calls of the library that go deep, to be made on stacks that are small or are measured.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

#include <string.h>
#include <unistd.h>

/* What they are made with. */
typedef struct
{
  TestDir dir;
  char *long_path; /* of a socket: its name needs all the detours that there are */
  int ch[2];
  int fds[2];
  int sleeper;
  int s[2];
  int listener;
} Things;

/* What ends there ends soon. */
static inline int64_t
now_and_a_bit (void)
{
  return dill_now () + 1;
}

static inline void
things_set_up (Things *things, gconstpointer data)
{
  g_autofree char *name = g_strnfill (200, 'x');

  test_dir_set_up (&things->dir, data);
  things->long_path = g_build_filename (things->dir.dir, name, NULL);
  g_assert_no_errno (dill_chmake (things->ch));
  g_assert_no_errno (pipe (things->fds));
  things->sleeper = test_assert_ok (dill_spawn (sleep_for_ever, NULL));
#if DILL_HAS_SOCKETS
  g_assert_no_errno (dill_ipc_pair (things->s));
  things->listener = test_assert_ok (dill_ipc_listen (things->dir.path, 5));
#endif
}

static inline void
things_tear_down (Things *things, gconstpointer data)
{
#if DILL_HAS_SOCKETS
  g_assert_no_errno (dill_hclose (things->listener));
  for (guint i = 0; i < 2; i++)
    g_assert_no_errno (dill_hclose (things->s[i]));
#endif
  g_assert_no_errno (dill_hclose (things->sleeper));
  for (guint i = 0; i < 2; i++)
    {
      g_assert_no_errno (dill_hclose (things->ch[i]));
      g_assert_no_errno (dill_fdclean (things->fds[i]));
      close (things->fds[i]);
    }
  g_free (things->long_path);
  test_dir_tear_down (&things->dir, data);
}

static inline void
do_nothing (Things *things G_GNUC_UNUSED)
{
}

static inline void
do_yield (Things *things G_GNUC_UNUSED)
{
  g_assert_no_errno (dill_yield ());
}

static inline void
do_sleep (Things *things G_GNUC_UNUSED)
{
  g_assert_no_errno (dill_msleep (now_and_a_bit ()));
}

static inline void
do_chsend (Things *things)
{
  int value = 1;

  test_assert_errno (dill_chsend (things->ch[0], &value, sizeof value, now_and_a_bit ()), ETIMEDOUT);
}

static inline void
do_choose (Things *things)
{
  static struct dill_chclause clauses[100];
  static int value;

  for (guint i = 0; i < G_N_ELEMENTS (clauses); i++)
    clauses[i] = (struct dill_chclause) { DILL_CHRECV, things->ch[i % 2], &value, sizeof value };
  test_assert_errno (dill_choose (clauses, G_N_ELEMENTS (clauses), now_and_a_bit ()), ETIMEDOUT);
}

static inline void
do_fdin (Things *things)
{
  test_assert_errno (dill_fdin (things->fds[0], now_and_a_bit ()), ETIMEDOUT);
}

static inline void
do_bundle_wait (Things *things)
{
  test_assert_errno (dill_bundle_wait (things->sleeper, now_and_a_bit ()), ETIMEDOUT);
}

static inline void
do_hclose (Things *things G_GNUC_UNUSED)
{
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 100; i++)
    g_assert_no_errno (dill_bundle_spawn (b, sleep_for_ever, NULL));
  g_assert_no_errno (dill_hclose (b));
}

#if DILL_HAS_SOCKETS
static inline void
do_brecv (Things *things)
{
  char bytes[4];

  g_assert_no_errno (dill_bsend (things->s[1], "abcd", 4, soon ()));
  g_assert_no_errno (dill_brecv (things->s[0], bytes, 3, soon ()));
  g_assert_cmpint (dill_brecv_some (things->s[0], bytes, 4, soon ()), ==, 1);
  test_assert_errno (dill_brecv_some (things->s[0], bytes, 4, now_and_a_bit ()), ETIMEDOUT);
}

/* More than there is room for. */
static inline void
do_bsend (Things *things G_GNUC_UNUSED)
{
  static char bytes[4000000];
  int s[2];

  g_assert_no_errno (dill_ipc_pair (s));
  test_assert_errno (dill_bsend (s[0], bytes, sizeof bytes, now_and_a_bit ()), ETIMEDOUT);
  test_assert_errno (dill_ipc_close (s[1], now_and_a_bit ()), ETIMEDOUT);
  g_assert_no_errno (dill_hclose (s[0]));
}

static inline void
do_message (Things *things G_GNUC_UNUSED)
{
  char bytes[4];
  int s[2];

  g_assert_no_errno (dill_ipc_pair (s));
  for (guint i = 0; i < 2; i++)
    s[i] = test_assert_ok (dill_suffix_attach (s[i], "\r\n", 2));
  g_assert_no_errno (dill_msend (s[0], "abc", 3, soon ()));
  g_assert_cmpint (dill_mrecv (s[1], bytes, sizeof bytes, soon ()), ==, 3);
  test_assert_errno (dill_mrecv (s[1], bytes, sizeof bytes, now_and_a_bit ()), ETIMEDOUT);
  g_assert_no_errno (dill_suffix_detach (s[0], soon ()));
  g_assert_no_errno (dill_hclose (s[1]));
}

static inline void
do_descriptor (Things *things)
{
  g_assert_no_errno (dill_ipc_sendfd (things->s[0], STDIN_FILENO, soon ()));
  close (test_assert_ok (dill_ipc_recvfd (things->s[1], soon ())));
  test_assert_errno (dill_ipc_recvfd (things->s[1], now_and_a_bit ()), ETIMEDOUT);
}

static inline void
do_accept (Things *things)
{
  test_assert_errno (dill_ipc_accept (things->listener, now_and_a_bit ()), ETIMEDOUT);
}

static inline void
do_listen (Things *things)
{
  unsigned flags = DILL_IPC_LISTEN_REPLACE_STALE;
  int listener = test_assert_ok (dill_ipc_listen_full (things->long_path, 5, flags, 0600, NULL));
  int client = test_assert_ok (dill_ipc_connect (things->long_path, soon ()));

  g_assert_no_errno (dill_hclose (client));
  g_assert_no_errno (dill_ipc_close (listener, soon ()));
}
#endif

typedef struct
{
  const char *name;
  void (*make) (Things *things);
  gsize size_max; /* the bytes of stack that it may take, as the manual says */
} StackCall;

static const StackCall stack_calls[] = {
  { "nothing", do_nothing, 2048 },
  { "yield", do_yield, 2048 },
  { "sleep", do_sleep, 2048 },
  { "chsend", do_chsend, 2048 },
  { "choose", do_choose, 2048 },
  { "fdin", do_fdin, 2048 },
  { "bundle-wait", do_bundle_wait, 2048 },
  { "hclose", do_hclose, 2048 },
#if DILL_HAS_SOCKETS
  { "brecv", do_brecv, 2048 },
  { "bsend", do_bsend, 2048 },
  { "message", do_message, 2048 },
  { "descriptor", do_descriptor, 2048 },
  { "accept", do_accept, 2048 },
  { "listen", do_listen, 4096 },
#endif
};
