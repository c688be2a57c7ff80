/* test-utils.c: what nearly all tests need, and GLib's test framework lacks.
 *
 * Relies on Linux's /proc for counting descriptors.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-utils.h"

#include <dirent.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Removes the directory NAME of PARENT_FD and all that is in it.  By descriptors, since tests of path lengths build
 * trees deeper than any path can say; links are not followed. */
static void
remove_tree (int parent_fd, const char *name)
{
  struct dirent *entry;
  DIR *dir;
  int fd;

  /* A test may have taken its own permissions away. */
  (void) fchmodat (parent_fd, name, 0700, 0);
  fd = openat (parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  g_assert_no_errno (fd);
  dir = fdopendir (fd);
  g_assert_nonnull (dir);

  while ((entry = readdir (dir)) != NULL)
    {
      if (g_str_equal (entry->d_name, ".") || g_str_equal (entry->d_name, ".."))
        continue;
      if (unlinkat (fd, entry->d_name, 0) == 0)
        continue;
      g_assert_true (errno == EISDIR || errno == EPERM); /* unlink (2): Linux says the first, POSIX the second */
      remove_tree (fd, entry->d_name);
    }

  closedir (dir);
  g_assert_no_errno (unlinkat (parent_fd, name, AT_REMOVEDIR));
}

void
test_dir_set_up (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GError) error = NULL;

  test->dir = g_dir_make_tmp ("dillipc-XXXXXX", &error);
  g_assert_no_error (error);
  test->path = g_build_filename (test->dir, "socket", NULL);
}

void
test_dir_tear_down (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  remove_tree (AT_FDCWD, test->dir);
  g_clear_pointer (&test->dir, g_free);
  g_clear_pointer (&test->path, g_free);
}

char **
test_own_command (const char *const *before, const char *argument)
{
  g_auto (GStrv) emulator = g_strsplit (test_emulator () != NULL ? test_emulator () : "", " ", -1);
  GPtrArray *words = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;

  for (guint i = 0; before[i] != NULL; i++)
    g_ptr_array_add (words, g_strdup (before[i]));
  for (guint i = 0; emulator[i] != NULL; i++)
    g_ptr_array_add (words, g_strdup (emulator[i]));
  g_ptr_array_add (words, g_file_read_link ("/proc/self/exe", &error));
  g_assert_no_error (error);
  g_ptr_array_add (words, g_strdup (argument));
  g_ptr_array_add (words, NULL);

  return (char **) g_ptr_array_free (words, FALSE);
}

/* Those of Valgrind's own are above what it says the hard limit is. */
guint
test_count_fds (void)
{
  DIR *dir = opendir ("/proc/self/fd");
  struct dirent *entry;
  struct rlimit limit;
  guint n_fds = 0;

  g_assert_nonnull (dir);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  while ((entry = readdir (dir)) != NULL)
    if (g_ascii_isdigit (entry->d_name[0]) && g_ascii_strtoull (entry->d_name, NULL, 10) < limit.rlim_max)
      n_fds++;
  closedir (dir);

  return n_fds - 1; /* the descriptor of the directory itself */
}

const char *
test_errno_name (int error)
{
  if (error == 0)
    return "0";
  /* Linux has one number for this and EOPNOTSUPP. */
  if (error == ENOTSUP)
    return "ENOTSUP";
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
  if (strerrorname_np (error) != NULL)
    return strerrorname_np (error);
#endif
  return g_strerror (error);
}

void
test_fail_errno (const char *file, int line, const char *func, const char *call, gint64 result, int error, int expected)
{
  g_autofree char *message = g_strdup_printf ("%s: gave %" G_GINT64_FORMAT " and errno %s, not -1 and %s", call, result,
                                              test_errno_name (error), test_errno_name (expected));

  g_assertion_message (G_LOG_DOMAIN, file, line, func, message);
  abort ();
}

int
test_check_ok (const char *file, int line, const char *func, const char *call, gint64 result)
{
  int error = errno;

  if (result < 0)
    {
      g_autofree char *message
          = g_strdup_printf ("%s: gave %" G_GINT64_FORMAT " and errno %s", call, result, test_errno_name (error));
      g_assertion_message (G_LOG_DOMAIN, file, line, func, message);
    }

  return (int) result;
}

/* How many limits are in force in the process. The alarm is set while there are any, by whichever began last. */
static gint n_limits;

/* The last resort: nothing dispatches the main loop any more. */
static void
on_alarm (int signal_number G_GNUC_UNUSED)
{
  static const char message[] = "Bail out! test-utils: the time limit is over, and the main loop does not turn\n";

  if (write (STDOUT_FILENO, message, sizeof message - 1) != -1)
    abort ();
  _exit (EXIT_FAILURE);
}

static gboolean
on_limit (gpointer data)
{
  TestLimit *limit = data;

  g_error ("the time limit of %u s is over; waited for: %s", TEST_LIMIT_SECONDS, limit->what);
  return G_SOURCE_REMOVE;
}

void
test_limit_begin (TestLimit *limit, GMainContext *context, const char *what)
{
  struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

  limit->what = what;
  limit->context = context != NULL ? context : g_main_context_get_thread_default ();

  /* Above all other priorities, since a busy loop is one of the faults it is meant to catch. */
  limit->source = g_timeout_source_new_seconds (TEST_LIMIT_SECONDS);
  g_source_set_name (limit->source, "[dillipc-test] limit");
  g_source_set_priority (limit->source, G_MININT);
  g_source_set_callback (limit->source, on_limit, limit, NULL);
  g_source_attach (limit->source, limit->context);

  /* A little later than the source, whose message is the better one. */
  g_atomic_int_inc (&n_limits);
  sigaction (SIGALRM, &action, NULL);
  alarm (TEST_LIMIT_SECONDS + 3);
}

void
test_limit_end (TestLimit *limit)
{
  if (g_atomic_int_dec_and_test (&n_limits))
    alarm (0);

  g_source_destroy (limit->source);
  g_clear_pointer (&limit->source, g_source_unref);
}

void
test_loop_run (GMainLoop *loop)
{
  TestLimit limit;

  test_limit_begin (&limit, g_main_loop_get_context (loop), "g_main_loop_quit ()");
  g_main_loop_run (loop);
  test_limit_end (&limit);
}

pid_t
test_child_start (TestChildFunc func, gpointer data)
{
  pid_t pid = fork ();

  g_assert_no_errno (pid);
  if (pid == 0)
    {
      /* By the default action, so that the parent sees the signal; fork () has cleared the parent's alarm. */
      signal (SIGALRM, SIG_DFL);
      alarm (TEST_LIMIT_SECONDS);
      test_tool_begin_child ();
      _exit (func (data));
    }

  return pid;
}

int
test_child_wait (pid_t pid)
{
  int status;

  g_assert_cmpint (TEMP_FAILURE_RETRY (waitpid (pid, &status, 0)), ==, pid);
  return WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
}

int
test_in_child (TestChildFunc func, gpointer data)
{
  return test_child_wait (test_child_start (func, data));
}

/* What a new thread is to do; the thread frees it. */
typedef struct
{
  GThreadFunc func;
  gpointer data;
} TestThread;

static gpointer
run_thread (gpointer data)
{
  g_autofree TestThread *thread = data;
  g_autoptr (GMainContext) context = g_main_context_new ();
  gpointer result;

  g_main_context_push_thread_default (context);
  result = thread->func (thread->data);
  g_main_context_pop_thread_default (context);

  return result;
}

GThread *
test_thread_start (GThreadFunc func, gpointer data)
{
  TestThread *thread = g_new (TestThread, 1);

  *thread = (TestThread) { .func = func, .data = data };
  return g_thread_new ("test", run_thread, thread);
}

gpointer
test_thread_join (GThread *thread)
{
  TestLimit limit;
  gpointer result;

  test_limit_begin (&limit, NULL, "the end of a thread");
  result = g_thread_join (thread);
  test_limit_end (&limit);

  return result;
}

gpointer
test_in_thread (GThreadFunc func, gpointer data)
{
  return test_thread_join (test_thread_start (func, data));
}

void
test_step_reach (TestStep *step, int number)
{
  pthread_mutex_lock (&step->lock);
  step->number = number;
  pthread_cond_broadcast (&step->changed);
  pthread_mutex_unlock (&step->lock);
}

void
test_step_await (TestStep *step, int number)
{
  TestLimit limit;

  test_limit_begin (&limit, NULL, "a step of another thread");
  pthread_mutex_lock (&step->lock);
  while (step->number < number)
    pthread_cond_wait (&step->changed, &step->lock);
  pthread_mutex_unlock (&step->lock);
  test_limit_end (&limit);
}
