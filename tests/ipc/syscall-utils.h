/* syscall-utils.h: children whose system calls fail as wanted (seccomp), or that stop at each of them (ptrace).
 *
 * This reaches every step of the library as it is shipped: nothing in it knows of the tests.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "test-utils.h"

#include <linux/filter.h>
#include <linux/net.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a child exits with when the machine does not let it do what it is for. */
#define CANNOT 77

#define NO_SECCOMP "seccomp filters are not permitted here"

/* Asserts that a child has exited with 0, or skips the test for the reason WHY_NOT.  Returns whether the child
 * could. */
static inline bool
check_child (int status, const char *why_not)
{
  if (status == CANNOT)
    g_test_skip (why_not);
  else
    g_assert_cmpint (status, ==, 0);
  return status != CANNOT;
}

/* The call behind glibc's fstatat (), which is not the same everywhere. */
#ifdef SYS_newfstatat
#define SYS_FSTATAT SYS_newfstatat
#else
#define SYS_FSTATAT SYS_statx
#endif

#ifdef SYS_fchmodat2
#define SYS_FCHMODAT2 SYS_fchmodat2
#else
#define SYS_FCHMODAT2 452
#endif

/* On some processors glibc makes calls about sockets by one system call, whose first argument selects which.  (Its name
 * for them is that of the call in capitals.) */
#ifdef SYS_socketcall
#define SOCKETCALL SYS_socketcall
#else
#define SOCKETCALL -1
#endif

typedef struct
{
  long number;
  guint32 selector;
} SocketCall;

/* The one with either, or one with neither. */
static inline const SocketCall *
find_socket_call (long number, guint32 selector)
{
  static const SocketCall calls[] = {
#ifdef SYS_socketcall
    { SYS_socket, SYS_SOCKET }, { SYS_bind, SYS_BIND },       { SYS_connect, SYS_CONNECT },
    { SYS_listen, SYS_LISTEN }, { SYS_accept4, SYS_ACCEPT4 }, { SYS_socketpair, SYS_SOCKETPAIR },
#endif
    { -1, 0 },
  };

  const SocketCall *call = calls;

  while (call->number >= 0 && call->number != number && call->selector != selector)
    call++;
  return call;
}

/* From now on the system call NUMBER of this process ends in ACTION, one of SECCOMP_RET_... */
static inline bool
filter_calls (long number, guint32 action)
{
  const SocketCall *socket_call = find_socket_call (number, 0);
  struct sock_filter instructions[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (guint32) number, 3, 0),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (guint32) SOCKETCALL, 0, 3),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, args)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, socket_call->selector, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, action),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { .len = G_N_ELEMENTS (instructions), .filter = instructions };

  return prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* It fails with ERROR. */
static inline bool
fail_calls (long number, int error)
{
  test_errnos_note_injection ();
  return filter_calls (number, SECCOMP_RET_ERRNO | (guint32) error);
}

/* It kills the process (SIGSYS). */
static inline bool
kill_at_call (long number)
{
  return filter_calls (number, SECCOMP_RET_KILL_PROCESS);
}

/* A child that is stopped before FUNC (DATA), or, where that is not permitted, will exit with CANNOT. */
static inline pid_t
trace_start (TestChildFunc func, gpointer data)
{
  pid_t pid = fork ();
  int status;

  g_assert_no_errno (pid);
  if (pid == 0)
    {
      test_tool_begin_child ();
      if (ptrace (PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit (CANNOT);
      raise (SIGSTOP);
      _exit (func (data));
    }

  g_assert_cmpint (TEMP_FAILURE_RETRY (waitpid (pid, &status, WUNTRACED)), ==, pid);
  if (WIFSTOPPED (status))
    g_assert_no_errno (ptrace (PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
  else
    g_assert_cmpint (WEXITSTATUS (status), ==, CANNOT);

  return WIFSTOPPED (status) ? pid : -1;
}

/* The call that a stopped child is about to make; -1 if it is returning from one. */
static inline long
trace_entry (pid_t pid)
{
  struct __ptrace_syscall_info info = { 0 }; /* Valgrind does not know that the kernel fills it in */

  g_assert_no_errno (ptrace (PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info));
  if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
    return -1;

  if (SOCKETCALL >= 0 && info.entry.nr == (guint64) SOCKETCALL)
    return find_socket_call (-1, (guint32) info.entry.args[0])->number;
  return (long) info.entry.nr;
}

/* Lets a stopped child go on until it enters, or returns from, a system call: then true.  False: it has ended, and
 * STATUS is as test_child_wait () has it. */
static inline bool
trace_step (pid_t pid, int *status)
{
  int event;

  for (int signal_number = 0;; signal_number = WSTOPSIG (event))
    {
      g_assert_no_errno (ptrace (PTRACE_SYSCALL, pid, NULL, signal_number));
      g_assert_cmpint (TEMP_FAILURE_RETRY (waitpid (pid, &event, 0)), ==, pid);

      if (!WIFSTOPPED (event))
        {
          *status = WIFEXITED (event) ? WEXITSTATUS (event) : 128 + WTERMSIG (event);
          return false;
        }
      if (WSTOPSIG (event) == (SIGTRAP | 0x80))
        return true;
    }
}

/* Lets a stopped child go on until it is about to make the call NUMBER.  False: it has ended. */
static inline bool
trace_until (pid_t pid, long number, int *status)
{
  while (trace_step (pid, status))
    if (trace_entry (pid) == number)
      return true;

  return false;
}

/* Lets a stopped child go on to its end, and says how that was. */
static inline int
trace_finish (pid_t pid)
{
  int status;

  while (trace_step (pid, &status))
    continue;
  return status;
}

static inline void
trace_kill (pid_t pid)
{
  int status;

  g_assert_no_errno (kill (pid, SIGKILL));
  do
    g_assert_cmpint (TEMP_FAILURE_RETRY (waitpid (pid, &status, 0)), ==, pid);
  while (!WIFSIGNALED (status));
}
