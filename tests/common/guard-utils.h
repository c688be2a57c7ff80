/* guard-utils.h: overflows of stacks in children, and kernels that refuse guard pages.
 *
 * A stack has overflowed cleanly if the first address that faults lies on its guard page.  The handler that looks runs
 * on a stack of its own: the one that overflowed has no room.  Kernels that refuse a call are imitated by a system call
 * filter (seccomp(2)), which lasts as long as the process.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "test-utils.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static inline gsize
page_size (void)
{
  return (gsize) sysconf (_SC_PAGESIZE);
}

/* --- Overflows --- */

/* What a child exits with whose stack overflows. */
#define GUARD_HIT 42
#define GUARD_MISSED 43 /* it fell elsewhere */
#define GUARD_ABSENT 44 /* nothing stopped it */

static char *expected_guard G_GNUC_UNUSED;

static inline void
on_overflow (int signal_number G_GNUC_UNUSED, siginfo_t *info, void *context G_GNUC_UNUSED)
{
  char *address = info->si_addr;

  _exit (address >= expected_guard && address < expected_guard + page_size () ? GUARD_HIT : GUARD_MISSED);
}

/* From now on the process ends at its first fault: with GUARD_HIT if that is on the page at GUARD. */
static inline void
expect_overflow (void *guard)
{
  static char signal_stack[65536];
  stack_t alternative = { .ss_sp = signal_stack, .ss_size = sizeof signal_stack };
  struct sigaction action = { .sa_sigaction = on_overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK };

  expected_guard = guard;
  sigaltstack (&alternative, NULL);
  sigaction (SIGSEGV, &action, NULL);
}

/* From now on nobody handles it, and the process ends by the signal, without a core file. */
static inline void
expect_signal (void)
{
  struct rlimit no_core = { 0, 0 };

  setrlimit (RLIMIT_CORE, &no_core);
  signal (SIGSEGV, SIG_DFL);
}

static G_GNUC_NO_INLINE G_GNUC_UNUSED guint
recurse (volatile guint *depth)
{
  volatile char frame[512];

  frame[0] = (char) ++*depth;
  if (*depth < G_MAXUINT)
    return recurse (depth) + (guint) frame[0];
  return (guint) frame[0];
}

static inline void
overflow (void)
{
  guint depth = 0;

  recurse (&depth);
  _exit (GUARD_ABSENT);
}

/* --- Kernels --- */

/* Whether guard pages need no mappings of their own, which makes room for as many stacks as there is address space.
 * Emulators agree to the advice and do nothing. */
static inline gboolean
has_guard_install (void)
{
  void *page = mmap (NULL, page_size (), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  gboolean has_it
      = madvise (page, page_size (), MADV_GUARD_INSTALL) == 0 && uname (page) != 0 && errno == EFAULT;

  munmap (page, page_size ());
  return has_it;
}

/* Whether this machine has room for 100,000 stacks; marks the case as skipped if not. */
static inline gboolean
can_have_many_stacks (void)
{
  g_autofree char *overcommit = NULL;
  struct rlimit limit;

  g_assert_no_errno (getrlimit (RLIMIT_AS, &limit));
  g_file_get_contents ("/proc/sys/vm/overcommit_memory", &overcommit, NULL, NULL);
  if (sizeof (void *) >= 8 && has_guard_install () && limit.rlim_cur == RLIM_INFINITY
      && g_strcmp0 (overcommit, "2\n") != 0)
    return TRUE;

  g_test_skip ("this needs MADV_GUARD_INSTALL, and address space without a limit, nor that of 32 bits");
  return FALSE;
}

/* From now on, makes SYSCALL_NUMBER fail with ERROR when its third argument is ARGUMENT. */
static inline gboolean
refuse (guint syscall_number, guint argument, guint error)
{
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, syscall_number, 0, 3),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS,
              offsetof (struct seccomp_data, args[2]) + (G_BYTE_ORDER == G_BIG_ENDIAN ? 4 : 0)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, argument, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { .len = G_N_ELEMENTS (filter), .filter = filter };

  return prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* A kernel before 6.13. */
static inline gboolean
refuse_guard_install (void)
{
  return refuse (SYS_madvise, MADV_GUARD_INSTALL, EINVAL);
}

/* What a child exits with that is not permitted to refuse anything. */
#define NO_FILTERS 77

/* Runs FUNC (DATA) in a child of its own, since filters stay. */
static inline void
run_filtered (TestChildFunc func, gpointer data)
{
  int result = test_in_child (func, data);

  if (result == NO_FILTERS)
    g_test_skip ("system calls cannot be filtered here");
  else
    g_assert_cmpint (result, ==, 0);
}
