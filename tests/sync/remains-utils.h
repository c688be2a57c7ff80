/* remains-utils.h: for tests of ends: what a thread or a context leaves behind, and whether it is gone.
 *
 * Relies on mincore (2) for what is mapped.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "work-utils.h"

#include <sys/mman.h>

typedef struct
{
  const char *path; /* of a socket */
  int fd;           /* of a pipe: the program's, so that it stays open */
  gboolean ran;     /* a coroutine went on after the end */
  void *stack;      /* an address on its stack */
  gboolean stack_stays;
  guint n_exits;
} Remains;

static inline void
never_go_on (void *data)
{
  Remains *remains = data;

  remains->stack = __builtin_frame_address (0);
  dill_msleep (-1);
  remains->ran = TRUE;
}

#if DILL_HAS_SOCKETS
static inline void
never_accept (void *data)
{
  Remains *remains = data;
  int ls = test_assert_ok (dill_ipc_listen (remains->path, 10));

  g_assert_true (g_file_test (remains->path, G_FILE_TEST_EXISTS));
  dill_ipc_accept (ls, -1);
  remains->ran = TRUE;
}

static inline void
never_receive (void *data)
{
  Remains *remains = data;
  int pair[2];
  char byte;

  g_assert_no_errno (dill_ipc_pair (pair));
  dill_brecv (pair[0], &byte, 1, -1);
  remains->ran = TRUE;
}
#else
#define never_accept never_go_on
#define never_receive never_go_on
#endif

static inline void
never_read (void *data)
{
  Remains *remains = data;

  dill_fdin (remains->fd, -1);
  remains->ran = TRUE;
}

static inline void
leave_behind (Remains *remains)
{
  DillFunc funcs[] = { never_go_on, never_accept, never_receive, never_read };
  int b = test_assert_ok (dill_bundle ());
  int fds[2];

  g_assert_no_errno (pipe (fds));
  remains->fd = fds[0];
  for (guint i = 0; i < G_N_ELEMENTS (funcs); i++)
    g_assert_no_errno (dill_bundle_spawn (b, funcs[i], remains));
  test_assert_ok (dill_spawn (never_go_on, remains));
  test_assert_ok (dill_spawn (never_receive, remains));
  g_assert_no_errno (dill_msleep (dill_now () + 2));
  close (fds[0]);
  close (fds[1]);
}

static inline void
check_remains (Remains *remains, guint n_fds)
{
  guintptr page = (guintptr) remains->stack & ~(guintptr) (sysconf (_SC_PAGESIZE) - 1);
  unsigned char resident;

  g_assert_false (remains->ran);
  g_assert_false (g_file_test (remains->path, G_FILE_TEST_EXISTS));
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  if (!remains->stack_stays)
    test_assert_errno (mincore ((void *) page, 1, &resident), ENOMEM); /* nothing is mapped there */
}
