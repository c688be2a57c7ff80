/* test-stack-guard.c: guard pages, and as many stacks as there can be.
 *
 * Pinned here: a guard page is hit by an overflow, and survives MADV_DONTNEED and fork (); MADV_GUARD_INSTALL makes no
 * mapping of its own, and stacks are guarded by mprotect () where the kernel refuses it, or an emulator agrees and does
 * nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/context.h"
#include "stack-utils.h"

#include <string.h>

/* That may come and go for other reasons. */
#define N_OTHER_MAPPINGS (test_tool () == 0 ? 3 : 50)

static void
begin_overflow (void *data G_GNUC_UNUSED)
{
  overflow ();
}

/* In a child: a flow on the stack *DATA falls into the guard. */
static int
overflow_in_child (gpointer data)
{
  const struct dill_stack *stack = data;
  struct dill_context self, flow;

  expect_overflow ((char *) stack->base - page_size ());
  dill_context_init_thread (&self);
  dill_context_init (&flow, stack->base, stack->size, begin_overflow, NULL);
  dill_context_switch (&self, &flow);
  return 0;
}

static void
assert_is_guarded (struct dill_stack *stack)
{
  g_assert_cmpint (test_in_child (overflow_in_child, stack), ==, GUARD_HIT);
}

/* Without any handler the process ends by the signal, as for any overflow. */
static int
touch_guard_in_child (gpointer data)
{
  struct dill_stack *stack = data;

  expect_signal ();
  ((volatile char *) stack->base)[-1] = 1;
  return 0;
}

static void
test_guard (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[40];

  take_many (&pool, stacks, 40);
  assert_is_guarded (&stacks[0]);
  assert_is_guarded (&stacks[39]);
  g_assert_cmpint (test_in_child (touch_guard_in_child, &stacks[20]), ==, 128 + SIGSEGV);
  dill_stack_pool_clear (&pool);
}

/* MADV_DONTNEED takes the pages, but not the guards between them. */
static void
test_guard_survives_trim (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[400];
  guint n_cleaned = 0;

  take_many (&pool, stacks, 400);
  for (guint i = 0; i < 400; i++)
    memset (last_page (&stacks[i]), 1, page_size ());
  /* The first and the last of each 16 stay, so that no slab becomes idle. */
  for (guint i = 0; i < 400; i++)
    if (i % 16 != 0 && i % 16 != 15)
      dill_stack_pool_give (&pool, &stacks[i]);
  dill_stack_pool_trim (&pool);

  for (guint i = 0; i < 400; i++)
    if (!is_resident (last_page (&stacks[i])))
      {
        n_cleaned++;
        if (n_cleaned % 50 == 1)
          assert_is_guarded (&stacks[i]);
      }
  g_assert_cmpuint (n_cleaned, ==, 400 / 16 * 14 - HOT_RESERVE);
  dill_stack_pool_clear (&pool);
}

/* In a child, the copy of the pool serves on: its stacks, taken or not, are guarded like the parent's. */
static int
go_on_in_child (gpointer data)
{
  struct dill_stack_pool *pool = data;
  struct dill_stack stacks[40];

  take_many (pool, stacks, 40);
  for (guint i = 0; i < 40; i++)
    memset (stacks[i].base, 1, stacks[i].size);
  assert_is_guarded (&stacks[0]);
  assert_is_guarded (&stacks[39]);
  give_many (pool, stacks, 40);
  dill_stack_pool_trim (pool);
  dill_stack_pool_clear (pool);
  return 0;
}

static void
test_fork (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[20];

  take_many (&pool, stacks, 20);
  memset (stacks[5].base, 0x77, stacks[5].size);
  give_many (&pool, &stacks[10], 10);
  g_assert_cmpint (test_in_child (go_on_in_child, &pool), ==, 0);

  g_assert_cmpint (((char *) stacks[5].base)[1000], ==, 0x77);
  take_many (&pool, &stacks[10], 10);
  assert_is_guarded (&stacks[12]);
  dill_stack_pool_clear (&pool);
}

/* --- Kernels that refuse --- */

/* A kernel that answers MADV_GUARD_INSTALL with the errno DATA, or with 0 and does nothing: the guards are mappings. */
static int
no_install_in_child (gpointer data)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[200];
  guint n_before;

  if (!refuse (SYS_madvise, MADV_GUARD_INSTALL, GPOINTER_TO_UINT (data)))
    return NO_FILTERS;

  n_before = count_mappings ();
  take_many (&pool, stacks, 200);
  g_assert_cmpuint (count_mappings (), >=, n_before + 2 * 200 - 10);
  for (guint i = 0; i < 200; i++)
    memset (stacks[i].base, 1, stacks[i].size);
  assert_is_guarded (&stacks[3]);

  for (guint i = 0; i < 200; i++)
    if (i % 16 != 0)
      dill_stack_pool_give (&pool, &stacks[i]);
  dill_stack_pool_trim (&pool);
  for (guint i = 0; i < 200; i++)
    if (!is_resident (last_page (&stacks[i])))
      {
        assert_is_guarded (&stacks[i]);
        break;
      }

  dill_stack_pool_clear (&pool);
  for (guint i = 0; i < 200; i++)
    g_assert_false (is_mapped (stacks[i].base) || is_mapped ((char *) stacks[i].base - page_size ()));
  return 0;
}

/* No guard is to be had: no stack either, and whatever was made for it is gone with the pool. */
static int
no_guards_in_child (gpointer data)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stack;
  guint n_before = count_mappings ();

  if (!refuse (SYS_madvise, MADV_GUARD_INSTALL, GPOINTER_TO_UINT (data)) || !refuse (SYS_mprotect, PROT_NONE, ENOMEM))
    return NO_FILTERS;

  for (guint i = 0; i < 100; i++)
    test_assert_errno (dill_stack_pool_take (&pool, &stack), ENOMEM);
  g_assert_cmpuint (count_mappings (), <=, n_before + N_OTHER_MAPPINGS);
  g_assert_cmpuint (pool.n_stacks, ==, pool.n_free);
  dill_stack_pool_trim (&pool);
  dill_stack_pool_clear (&pool);
  g_assert_cmpuint (count_mappings (), <=, n_before + N_OTHER_MAPPINGS);
  return 0;
}

static void
test_old_kernel (void)
{
  run_filtered (no_install_in_child, GUINT_TO_POINTER (EINVAL));
}

static void
test_vain_advice (void)
{
  run_filtered (no_install_in_child, GUINT_TO_POINTER (0));
}

static void
test_no_guards (void)
{
  run_filtered (no_guards_in_child, GUINT_TO_POINTER (EINVAL));
  run_filtered (no_guards_in_child, GUINT_TO_POINTER (EPERM));
}

/* --- How many there can be --- */

/* 100,000, or a million with -m slow.  By mprotect () there could not be half as many as 65,530. */
static void
test_many (void)
{
  struct dill_stack_pool pool = { 0 };
  guint n_stacks = g_test_slow () ? 1000000 : 100000;
  g_autofree struct dill_stack *stacks = g_new (struct dill_stack, n_stacks);
  guint n_before;

  if (!can_have_many_stacks ())
    return;

  n_before = count_mappings ();
  take_many (&pool, stacks, n_stacks);
  g_assert_cmpuint (count_mappings (), <=, n_before + n_stacks / 1000 + N_OTHER_MAPPINGS);

  *(char *) stacks[0].base = *(last_page (&stacks[n_stacks - 1]) + 100) = 1;
  assert_is_guarded (&stacks[n_stacks - 1]);

  give_many (&pool, stacks, n_stacks);
  dill_stack_pool_trim (&pool);
  g_assert_cmpuint (pool.n_stacks, <=, 2048 + HOT_RESERVE);
  dill_stack_pool_clear (&pool);
}

/* With address space for 3 MiB more, there are stacks for 3 MiB, from slabs smaller than the pool would like. */
static int
fill_in_child (gpointer data G_GNUC_UNUSED)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[32];
  g_autofree char *statm = NULL;
  struct rlimit limit;
  guint n_taken = 0;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &statm, NULL, NULL));
  limit.rlim_max = RLIM_INFINITY;
  limit.rlim_cur = g_ascii_strtoull (statm, NULL, 10) * page_size () + (3 << 20);
  g_assert_no_errno (setrlimit (RLIMIT_AS, &limit));

  while (n_taken < G_N_ELEMENTS (stacks) && dill_stack_pool_take (&pool, &stacks[n_taken]) == 0)
    n_taken++;
  g_assert_cmpint (errno, ==, ENOMEM);
  g_assert_cmpuint (n_taken, >=, 8);
  g_assert_cmpuint (n_taken, <, 12);

  dill_stack_pool_give (&pool, &stacks[0]);
  g_assert_no_errno (dill_stack_pool_take (&pool, &stacks[0]));
  test_assert_errno (dill_stack_pool_take (&pool, &stacks[n_taken]), ENOMEM);

  limit.rlim_cur = RLIM_INFINITY;
  g_assert_no_errno (setrlimit (RLIMIT_AS, &limit));
  g_assert_no_errno (dill_stack_pool_take (&pool, &stacks[n_taken]));
  dill_stack_pool_clear (&pool);
  return 0;
}

static void
test_address_space (void)
{
  if (test_skip_under (TEST_UNDER_ANY, "it does not live with a limit of address space"))
    return;

  g_assert_cmpint (test_in_child (fill_in_child, NULL), ==, 0);
}

int
main (int argc, char **argv)
{
  g_unsetenv ("DILLIPC_STACK_SIZE");
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stack-guard/overflow", test_guard);
  g_test_add_func ("/stack-guard/trim", test_guard_survives_trim);
  g_test_add_func ("/stack-guard/fork", test_fork);
  g_test_add_func ("/stack-guard/old-kernel", test_old_kernel);
  g_test_add_func ("/stack-guard/vain-advice", test_vain_advice);
  g_test_add_func ("/stack-guard/no-guards", test_no_guards);
  g_test_add_func ("/stack-guard/many", test_many);
  g_test_add_func ("/stack-guard/address-space", test_address_space);
  return g_test_run ();
}
