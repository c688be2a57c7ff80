/* fork-utils.h: a parent that has handles of several kinds in use, and sees whether a child has touched them; and what
 * children do with handles that they have inherited.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

/* What a parent may have, all of it in use: each has been waited for. */
typedef struct
{
  TestDir dir;
  int listener;
  int pair[2];
  int coroutine;
  int bundle;
} Inheritance;

static inline void
inheritance_open (Inheritance *all)
{
  char byte;

  all->listener = test_assert_ok (dill_ipc_listen (all->dir.path, 10));
  g_assert_no_errno (dill_ipc_pair (all->pair));
  all->coroutine = test_assert_ok (dill_spawn (sleep_for_ever, NULL));
  all->bundle = test_assert_ok (dill_bundle ());
  g_assert_no_errno (dill_bundle_spawn (all->bundle, sleep_for_ever, NULL));

  test_assert_errno (dill_ipc_accept (all->listener, dill_now () + 1), ETIMEDOUT);
  for (guint i = 0; i < 2; i++)
    test_assert_errno (dill_brecv_some (all->pair[i], &byte, 1, dill_now () + 1), ETIMEDOUT);
  test_assert_errno (dill_bundle_wait (all->bundle, dill_now () + 1), ETIMEDOUT);
}

/* The parent's events still come, and its coroutines have not been touched. */
static inline void
inheritance_check (Inheritance *all)
{
  char byte = 'x';
  int client, server;

  g_assert_true (g_file_test (all->dir.path, G_FILE_TEST_EXISTS));
  for (guint i = 0; i < 2; i++)
    {
      test_assert_errno (dill_brecv_some (all->pair[i], &byte, 1, dill_now () + 1), ETIMEDOUT);
      g_assert_no_errno (dill_bsend (all->pair[1 - i], "x", 1, soon ()));
      g_assert_no_errno (dill_brecv (all->pair[i], &byte, 1, soon ()));
    }
  client = test_assert_ok (dill_ipc_connect (all->dir.path, soon ()));
  server = test_assert_ok (dill_ipc_accept (all->listener, soon ()));
  g_assert_no_errno (dill_hclose (client));
  g_assert_no_errno (dill_hclose (server));
  test_assert_errno (dill_bundle_wait (all->bundle, 0), ETIMEDOUT);
  test_assert_errno (dill_bundle_wait (all->coroutine, dill_now () + 1), ETIMEDOUT);
}

static inline void
inheritance_close (Inheritance *all)
{
  g_assert_no_errno (dill_hclose (all->listener));
  g_assert_no_errno (dill_hclose (all->pair[0]));
  g_assert_no_errno (dill_hclose (all->pair[1]));
  g_assert_no_errno (dill_hclose (all->coroutine));
  g_assert_no_errno (dill_hclose (all->bundle));
}

static inline void
inheritance_set_up (Inheritance *all, gconstpointer data)
{
  test_dir_set_up (&all->dir, data);
  inheritance_open (all);
}

/* Whatever a child has done, the parent has not noticed. */
static inline void
inheritance_tear_down (Inheritance *all, gconstpointer data)
{
  inheritance_check (all);
  inheritance_close (all);
  g_assert_false (g_file_test (all->dir.path, G_FILE_TEST_EXISTS));
  test_dir_tear_down (&all->dir, data);
}

/* --- What children do with inherited handles --- */

/* Whatever is asked of it, but to close it. */
static inline void
check_dead (int h)
{
  char byte;

  test_assert_errno (dill_hown (h), EBADF);
  test_assert_null_errno (dill_hquery (h, dill_bsock_type), EBADF);
  test_assert_errno (dill_bsend (h, "x", 1, 0), EBADF);
  test_assert_errno (dill_brecv (h, &byte, 1, 0), EBADF);
  test_assert_errno (dill_ipc_accept (h, 0), EBADF);
  test_assert_errno (dill_ipc_done (h, 0), EBADF);
  test_assert_errno (dill_ipc_steal_fd (h), EBADF);
  test_assert_errno (dill_bundle_wait (h, 0), EBADF);
  test_assert_errno (dill_bundle_spawn (h, sleep_for_ever, NULL), EBADF);
}

static inline int
use_inherited (gpointer data)
{
  Inheritance *all = data;
  const int handles[] = { all->listener, all->pair[0], all->pair[1], all->coroutine, all->bundle };

  for (guint i = 0; i < G_N_ELEMENTS (handles); i++)
    check_dead (handles[i]);
  return 0;
}

/* epoll descriptors are shared: what a child takes out of one is gone from the parent's, too. */
static inline int
close_inherited (gpointer data)
{
  Inheritance *all = data;
  const int handles[] = { all->listener, all->pair[0], all->pair[1], all->coroutine, all->bundle };

  for (guint i = 0; i < G_N_ELEMENTS (handles); i++)
    {
      g_assert_no_errno (dill_hclose (handles[i]));
      test_assert_errno (dill_hclose (handles[i]), EBADF);
      check_dead (handles[i]);
    }
  return 0;
}

/* --- Cases --- */

/* What DATA is the address of, done by a child. */
static inline void
test_child (Inheritance *all, gconstpointer data)
{
  const TestChildFunc *func = data;

  g_assert_cmpint (test_in_child (*func, all), ==, 0);
}

/* Registers FUNC, a void (Inheritance *, gconstpointer), as the test case NAME. */
#define add_in_parent(name, func) g_test_add (name, Inheritance, NULL, inheritance_set_up, func, inheritance_tear_down)

/* The same for what a child does, a TestChildFunc that is given the Inheritance. */
#define add_in_child(name, func)                                                                                       \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    static const TestChildFunc child = func;                                                                           \
    g_test_add (name, Inheritance, &child, inheritance_set_up, test_child, inheritance_tear_down);                     \
  }                                                                                                                    \
  G_STMT_END
