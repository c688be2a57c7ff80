/* test-headers-cxx.cc: the headers in C++, next to the standard library's.
 *
 * Guarantees: raw names and dill_ names compile and work in C++11 and later, whichever header comes first; a
 * coroutine may be started by a call of a function, a method or a lambda, with arguments of any type; ipc_close ()
 * takes one or two.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <chrono>
#include <libdill.h>
#include <libdillimpl.h>

#include <algorithm>
#include <dillipc/dillipc.h>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "test-utils.h"

static void
test_standard_library (TestDir *, gconstpointer)
{
  auto start = std::chrono::steady_clock::now ();
  int64_t began = now ();

  test_assert_ok (msleep (began + 10));
  std::this_thread::yield ();
  test_assert_ok (yield ());
  auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds> (std::chrono::steady_clock::now () - start);
  g_assert_cmpint (elapsed.count (), >=, 9);
  g_assert_cmpint (now () - began, >=, 10);

  int64_t (*clock) () = now;
  g_assert_cmpint (clock (), >=, began);
}

/* Arguments are copied when the coroutine starts: what they were made of may go. */
static coroutine void
collect (std::vector<int> numbers, std::string name, std::shared_ptr<std::string> result, double factor)
{
  test_assert_ok (yield ());
  int sum = std::accumulate (numbers.begin (), numbers.end (), 0);
  *result = name + "=" + std::to_string (static_cast<int> (factor * sum));
}

static void
test_class_arguments (TestDir *, gconstpointer)
{
  const std::string expected = std::string (100, 'n') + "!=15";
  auto result = std::make_shared<std::string> ();
  int handle;

  {
    std::vector<int> numbers = { 3, 1, 2 };
    std::string name (100, 'n');

    std::sort (numbers.begin (), numbers.end ());
    handle = test_assert_ok (go (collect (std::move (numbers), name + "!", result, 2.5)));
    name.assign (100, 'x');
  }
  test_iterate_until (!result->empty ());
  g_assert_cmpstr (result->c_str (), ==, expected.c_str ());
  test_assert_ok (hclose (handle));
  /* The coroutine's own copies have been destroyed with its stack. */
  g_assert_cmpint (result.use_count (), ==, 1);
}

static void
test_lambda (TestDir *, gconstpointer)
{
  int steps = 0;
  auto work = [&steps] (int n) {
    for (int i = 0; i < n; i++)
      {
        steps++;
        test_assert_ok (yield ());
      }
  };
  std::function<void ()> erased = [&] { work (2); };
  int bundle_handle = test_assert_ok (bundle ());

  test_assert_ok (bundle_go (bundle_handle, work (3)));
  test_assert_ok (bundle_go (bundle_handle, erased ()));
  test_assert_ok (bundle_go (bundle_handle, [&] { work (4); }()));
  g_assert_cmpint (steps, ==, 3);
  test_assert_ok (bundle_wait (bundle_handle, now () + 20000));
  g_assert_cmpint (steps, ==, 9);
  test_assert_ok (hclose (bundle_handle));
}

class Counter
{
public:
  coroutine void
  count (int to)
  {
    while (value_ < to)
      {
        value_++;
        test_assert_ok (yield ());
      }
  }

  /* From within a method: this is captured too. */
  int
  start (int to)
  {
    return go (count (to));
  }

  int value_ = 0;
};

static void
test_method (TestDir *, gconstpointer)
{
  Counter first, second;
  int handles[] = { go (first.count (5)), second.start (7) };

  test_iterate_until (first.value_ == 5 && second.value_ == 7);
  for (int handle : handles)
    test_assert_ok (hclose (handle));
}

static coroutine void
serve (int listener)
{
  char request[4];
  int s = test_assert_ok (ipc_accept (listener, -1));

  test_assert_ok (brecv (s, request, sizeof request, -1));
  std::reverse (request, request + sizeof request);
  test_assert_ok (bsend (s, request, sizeof request, -1));
  test_assert_ok (ipc_close (s));
}

static void
test_ipc (TestDir *test, gconstpointer)
{
  struct ipc_listener_storage listener_mem;
  char reply[4];
  int listener = test_assert_ok (ipc_listen_mem (test->path, 10, &listener_mem));
  int server = test_assert_ok (go (serve (listener)));
  int s = test_assert_ok (ipc_connect (test->path, now () + 20000));

  test_assert_ok (bsend (s, "abcd", 4, now () + 20000));
  test_assert_ok (brecv (s, reply, sizeof reply, now () + 20000));
  g_assert_cmpmem (reply, 4, "dcba", 4);
  test_assert_ok (ipc_close (s, now () + 20000));
  test_assert_ok (bundle_wait (server, now () + 20000));
  test_assert_ok (hclose (server));
  test_assert_ok (ipc_close (listener));

  int (*close) (int, int64_t) = ipc_close;
  test_assert_errno (close (listener, 0), EBADF);
}

/* A cancelled coroutine runs to its end like any other: destructors included. */
static void
test_destructors_after_cancel (TestDir *, gconstpointer)
{
  auto token = std::make_shared<int> (1);
  auto hold = [] (std::shared_ptr<int> held) {
    std::vector<std::shared_ptr<int> > more (3, held);

    test_assert_errno (msleep (-1), ECANCELED);
  };
  int handle = test_assert_ok (go (hold (token)));

  g_assert_cmpint (token.use_count (), >=, 5);
  test_assert_ok (hclose (handle));
  g_assert_cmpint (token.use_count (), ==, 1);
}

/* Exceptions do not leave a coroutine; inside one they unwind its stack. (No wait in a handler: the C++ run-time
 * keeps the exceptions that are being handled for each thread.) */
static void
test_exceptions_inside (TestDir *, gconstpointer)
{
  int n_caught = 0;
  auto fallible = [&n_caught] (int value) {
    for (int i = 0; i < 3; i++)
      {
        try
          {
            test_assert_ok (yield ());
            throw std::string ("thrown ") + std::to_string (value);
          }
        catch (const std::string &text)
          {
            n_caught += text == "thrown " + std::to_string (value);
          }
      }
  };
  int handles[] = { go (fallible (1)), go (fallible (2)) };

  test_iterate_until (n_caught == 6);
  for (int handle : handles)
    test_assert_ok (hclose (handle));
}

static void
throw_at_once ()
{
  throw std::string ("nobody catches it");
}

static void
throw_later (void *)
{
  yield ();
  throw std::string ("nobody catches it");
}

static void
test_exception_leaves_go (TestDir *, gconstpointer)
{
  try
    {
      go (throw_at_once ());
    }
  catch (const std::string &)
    {
    }
}

static void
test_exception_leaves_spawn (TestDir *, gconstpointer)
{
  dill_spawn (throw_later, NULL);
  try
    {
      test_iterate_until (false);
    }
  catch (const std::string &)
    {
    }
}

/* The starter, or the main loop beneath, is nobody to catch it: what is being unwound ends with the coroutine's stack. */
static void
test_exception_leaves (TestDir *, gconstpointer)
{
  for (const char *path : { "/compat/headers-cxx/exception-leaves/subprocess/go",
                            "/compat/headers-cxx/exception-leaves/subprocess/spawn" })
    {
      g_test_trap_subprocess (path, 0, GTestSubprocessFlags (0));
      g_test_trap_assert_failed ();
      g_test_trap_assert_stderr ("*terminate called after throwing*string*");
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/compat/headers-cxx/standard-library", test_standard_library);
  test_add ("/compat/headers-cxx/class-arguments", test_class_arguments);
  test_add ("/compat/headers-cxx/lambda", test_lambda);
  test_add ("/compat/headers-cxx/method", test_method);
  test_add ("/compat/headers-cxx/ipc", test_ipc);
  test_add ("/compat/headers-cxx/destructors-after-cancel", test_destructors_after_cancel);
  test_add ("/compat/headers-cxx/exceptions-inside", test_exceptions_inside);
  test_add ("/compat/headers-cxx/exception-leaves", test_exception_leaves);
  test_add ("/compat/headers-cxx/exception-leaves/subprocess/go", test_exception_leaves_go);
  test_add ("/compat/headers-cxx/exception-leaves/subprocess/spawn", test_exception_leaves_spawn);

  return g_test_run ();
}
