/* fault-utils.h: calls that are made in a child where the kernel refuses something, and report that.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"
#include "syscall-utils.h"

#define NOBODY 65534

/* Asserts that calls of the library's with PATH fail with EXPECTED. */
typedef void (*CheckErrno) (const char *path, int expected);

/* A system call that fails. */
typedef struct
{
  long number;
  int error;
} KernelFault;

typedef struct
{
  CheckErrno check;
  const char *path;
  KernelFault fault; /* number -1: none */
} FaultyCall;

static inline int
call_in_child (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  const FaultyCall *call = data;
  guint n_fds;

  g_main_context_push_thread_default (context);
  n_fds = count_settled_fds ();
  if (call->fault.number >= 0 && !fail_calls (call->fault.number, call->fault.error))
    return CANNOT;
  call->check (call->path, call->fault.error);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  g_main_context_pop_thread_default (context);
  return 0;
}

/* What CHECK calls reports each of N faults as it is, and leaks no descriptor. */
static inline void
check_kernel_errors (CheckErrno check, const char *path, const KernelFault *faults, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      FaultyCall call = { check, path, faults[i] };

      if (!check_child (test_in_child (call_in_child, &call), NO_SECCOMP))
        return;
    }
}

static inline int
call_as_nobody (gpointer data)
{
  g_assert_no_errno (setresuid (NOBODY, NOBODY, NOBODY));
  return call_in_child (data);
}

/* What CHECK calls says EACCES to somebody who has no permission for anything; to be called as root. */
static inline void
check_no_permission (CheckErrno check, const char *path)
{
  FaultyCall call = { check, path, { -1, EACCES } };

  g_assert_cmpint (test_in_child (call_as_nobody, &call), ==, 0);
}
