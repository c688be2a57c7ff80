/* work-utils.h: for tests of threads and contexts: a little of everything that the library does, to be done anywhere.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

#include <unistd.h>

#if DILL_HAS_SOCKETS
static inline void
echo (void *data)
{
  int s = GPOINTER_TO_INT (data);
  char buffer[16];

  while (dill_brecv (s, buffer, sizeof buffer, soon ()) == 0)
    g_assert_no_errno (dill_bsend (s, buffer, sizeof buffer, soon ()));
  g_assert_cmpint (errno, ==, EPIPE);
}

static inline void
use_connection (void)
{
  char buffer[16] = "0123456789abcde", copy[16];
  int pair[2], h;

  g_assert_no_errno (dill_ipc_pair (pair));
  h = test_assert_ok (dill_spawn (echo, GINT_TO_POINTER (pair[1])));
  for (guint i = 0; i < 20; i++)
    {
      g_assert_no_errno (dill_bsend (pair[0], buffer, sizeof buffer, soon ()));
      g_assert_no_errno (dill_brecv (pair[0], copy, sizeof copy, soon ()));
      g_assert_cmpmem (buffer, sizeof buffer, copy, sizeof copy);
    }
  g_assert_no_errno (dill_ipc_done (pair[0], soon ()));
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  g_assert_no_errno (dill_hclose (pair[0]));
  g_assert_no_errno (dill_hclose (pair[1]));
}
#else
static inline void
use_connection (void)
{
}
#endif

static inline gpointer
work (gpointer data G_GNUC_UNUSED)
{
  for (guint round = 0; round < 20; round++)
    {
      guint n_wake_ups = 0;
      int b = test_assert_ok (dill_bundle ());
      int fds[2];

      g_assert_no_errno (pipe (fds));
      for (guint i = 0; i < 5; i++)
        g_assert_no_errno (dill_bundle_spawn (b, sleep_and_count, &n_wake_ups));
      use_connection ();
      test_assert_errno (dill_fdin (fds[0], dill_now () + 1), ETIMEDOUT);

      g_assert_no_errno (dill_bundle_wait (b, soon ()));
      g_assert_cmpuint (n_wake_ups, ==, 25);
      g_assert_no_errno (dill_hclose (b));
      g_assert_no_errno (dill_fdclean (fds[0]));
      close (fds[0]);
      close (fds[1]);
    }
  return NULL;
}
