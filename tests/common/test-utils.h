/* test-utils.h: what nearly all tests need, and GLib's test framework lacks.
 *
 * A test program registers its cases with test_add () and leaves the rest to g_test_run ().  Nothing here uses the
 * library under test.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "test-errnos.h"
#include "test-tools.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <sys/types.h>

G_BEGIN_DECLS

/* How long a test may wait for anything, in seconds, before it fails.  Generous, since the machine may be busy; a test
 * that passes never comes near it. */
#define TEST_LIMIT_SECONDS (30 * test_slowdown ())

/* The fixture: each test case has a directory of its own under $TMPDIR, which is removed with all that is in it. */
typedef struct
{
  char *dir;  /* absolute path, mode 0700 */
  char *path; /* where a socket may be put: DIR/socket, which does not exist yet */
} TestDir;

void test_dir_set_up (TestDir *test, gconstpointer data);
void test_dir_tear_down (TestDir *test, gconstpointer data);

/* Registers FUNC, a void (TestDir *, gconstpointer), as the test case NAME ("/listen/backlog"). */
#define test_add(name, func) g_test_add (name, TestDir, NULL, test_dir_set_up, func, test_dir_tear_down)

/* The same with DATA as FUNC's second argument, for one function that serves several cases. */
#define test_add_data(name, data, func) g_test_add (name, TestDir, data, test_dir_set_up, func, test_dir_tear_down)

/* An argv for g_spawn_sync () and the like: the words BEFORE, this program, in its emulator if it is in one, and
 * ARGUMENT. */
char **test_own_command (const char *const *before, const char *argument);

/* How many descriptors this process has open. */
guint test_count_fds (void);

/* "ECANCELED" and the like. */
const char *test_errno_name (int error);

/* Asserts that CALL gives -1 and sets errno to EXPECTED, which is noted (test-errnos.h). */
#define test_assert_errno(call, expected)                                                                              \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    gint64 test_result_ = (errno = 0, (gint64) (call));                                                                \
    int test_errno_ = errno;                                                                                           \
    if (test_result_ != -1 || test_errno_ != (expected))                                                               \
      test_fail_errno (__FILE__, __LINE__, G_STRFUNC, #call, test_result_, test_errno_, (expected));                   \
    test_errnos_note (#call, test_errno_);                                                                             \
  }                                                                                                                    \
  G_STMT_END

/* Asserts that CALL does not give a negative number, and gives what it gave: int fd = test_assert_ok (open (...)).
 * Says what errno was otherwise. */
#define test_assert_ok(call) test_check_ok (__FILE__, __LINE__, G_STRFUNC, #call, (errno = 0, (gint64) (call)))

/* Asserts that CALL gives NULL and sets errno to EXPECTED. */
#define test_assert_null_errno(call, expected) test_assert_errno ((call) == NULL ? -1 : 0, expected)

/* Runs LOOP until it is quit; fails the test when that takes longer than the limit, be the loop idle, busy, or stuck in
 * a callback. */
void test_loop_run (GMainLoop *loop);

/* Iterates the thread-default main context until CONDITION, an expression, is true.  Limited likewise. */
#define test_iterate_until(condition)                                                                                  \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    TestLimit test_limit_;                                                                                             \
    test_limit_begin (&test_limit_, NULL, #condition);                                                                 \
    while (!(condition))                                                                                               \
      g_main_context_iteration (test_limit_.context, TRUE);                                                            \
    test_limit_end (&test_limit_);                                                                                     \
  }                                                                                                                    \
  G_STMT_END

/* What lies beneath: between begin and end the test fails once the limit is over, saying what it waited for.  By a
 * source in CONTEXT (NULL: the thread-default one) if that is being iterated, else by a signal.  May be nested, and be
 * in use in several threads. */
typedef struct
{
  GMainContext *context;
  GSource *source;
  const char *what;
} TestLimit;

void test_limit_begin (TestLimit *limit, GMainContext *context, const char *what);
void test_limit_end (TestLimit *limit);

/* Runs FUNC (DATA) in a forked child, which exits with what it returns (0 to 255).  The child is killed at the
 * limit. */
typedef int (*TestChildFunc) (gpointer data);

pid_t test_child_start (TestChildFunc func, gpointer data);

/* Waits for a child.  Returns what its function returned, or 128 and the signal that ended it, as a shell says it. */
int test_child_wait (pid_t pid);

/* Both at once. */
int test_in_child (TestChildFunc func, gpointer data);

/* Starts a thread that runs FUNC (DATA) with a new GMainContext as its thread-default one. */
GThread *test_thread_start (GThreadFunc func, gpointer data);

/* Waits for a thread, limited likewise.  Returns what its function returned. */
gpointer test_thread_join (GThread *thread);

/* Both at once. */
gpointer test_in_thread (GThreadFunc func, gpointer data);

/* A number that threads tell each other, for doing one thing after the other. */
typedef struct
{
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int number;
} TestStep;

#define TEST_STEP_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

void test_step_reach (TestStep *step, int number);

/* Waits until another thread has reached NUMBER. */
void test_step_await (TestStep *step, int number);

/* Asserts that STATEMENT logs one message of the library with LEVEL, and a text like PATTERN (of g_pattern_spec_new
 * ()). */
#define test_expect_log(level, pattern, statement)                                                                     \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    g_test_expect_message ("dillipc", (level), (pattern));                                                             \
    statement;                                                                                                         \
    g_test_assert_expected_messages ();                                                                                \
  }                                                                                                                    \
  G_STMT_END

#define test_expect_critical(pattern, statement) test_expect_log (G_LOG_LEVEL_CRITICAL, pattern, statement)

/* These serve the macros only. */
void test_fail_errno (const char *file, int line, const char *func, const char *call, gint64 result, int error,
                      int expected) G_GNUC_NORETURN;
int test_check_ok (const char *file, int line, const char *func, const char *call, gint64 result);

G_END_DECLS
