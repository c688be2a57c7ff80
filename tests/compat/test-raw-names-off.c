/* test-raw-names-off.c: a program that has names of its own where libdill has short ones.
 *
 * Guarantees: with DILL_DISABLE_RAW_NAMES the two headers of libdill define dill_ names and no others.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#define DILL_DISABLE_RAW_NAMES
#include "test-utils.h"
#include <libdill.h>
#include <libdillimpl.h>

/* Were one of these a macro, a type or a function of the headers, this would not compile, or change its meaning. */
enum
{
  coroutine = 1,
  go,
  go_mem,
  bundle,
  bundle_mem,
  bundle_go,
  bundle_go_mem,
  bundle_wait,
  yield,
  now,
  msleep,
  fdin,
  fdout,
  fdclean,
  hclose,
  hown,
  hmake,
  hquery,
#include "raw-socket-names.inc"
  N_NAMES
};

struct iolist
{
  int own;
};

struct ipc_storage
{
  int own;
};

struct hvfs
{
  int own;
};

static dill_coroutine void
set (int *value)
{
  *value = now;
}

static void
test_own_names (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  struct iolist iolist = { bundle };
  struct ipc_storage ipc_storage = { ipc_close };
  struct hvfs hvfs = { hmake };
  int value = 0, s[2];

  g_assert_cmpint (iolist.own + ipc_storage.own + hvfs.own, ==, bundle + ipc_close + hmake);
  g_assert_cmpint (N_NAMES, >, ipc_recvfd);

  test_assert_ok (dill_hclose (test_assert_ok (dill_go (set (&value)))));
  g_assert_cmpint (value, ==, now);
#if DILL_HAS_SOCKETS
  test_assert_ok (dill_ipc_pair (s));
  test_assert_ok (dill_hclose (s[0]));
  test_assert_ok (dill_ipc_close (s[1]));
#else
  test_assert_ok (dill_chmake (s));
  test_assert_ok (dill_hclose (s[0]));
  test_assert_ok (dill_hclose (s[1]));
#endif
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/compat/raw-names-off/own-names", test_own_names);

  return g_test_run ();
}
