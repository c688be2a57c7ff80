/* test-stack.c: the pool of stacks: their size, taking and giving, and memory that comes back.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/context.h"
#include "stack-utils.h"

#include <dillipc/dill-coroutine.h>
#include <stdlib.h>
#include <string.h>

/* --- The size --- */

static void
test_set_size (void)
{
  gsize page = page_size ();

  test_assert_errno (dill_set_stack_size (0), EINVAL);
  test_assert_errno (dill_set_stack_size (16383), EINVAL);
  test_assert_errno (dill_set_stack_size (((gsize) 1 << 30) + 1), EINVAL);
  test_assert_errno (dill_set_stack_size (G_MAXSIZE), EINVAL);
  g_assert_cmpuint (dill_stack_size (), ==, DEFAULT_SIZE);

  test_assert_ok (dill_set_stack_size (16384));
  g_assert_cmpuint (dill_stack_size (), ==, MAX (page, 16384));
  test_assert_ok (dill_set_stack_size (8 * page + 1 + 16384));
  g_assert_cmpuint (dill_stack_size () % page, ==, 0);
  g_assert_cmpuint (dill_stack_size (), >, 8 * page + 16384);
  g_assert_cmpuint (dill_stack_size (), <=, 9 * page + 16384);
  test_assert_ok (dill_set_stack_size ((gsize) 1 << 30));
  g_assert_cmpuint (dill_stack_size (), ==, (gsize) 1 << 30);

  test_assert_ok (dill_set_stack_size (DEFAULT_SIZE));
}

/* The variable is looked at once: a new process is needed for each value. */
static void
test_environment (void)
{
  static const struct
  {
    const char *value;
    gsize size;
  } cases[] = {
    { NULL, DEFAULT_SIZE },
    { "131072", 131072 },
    { "16384", 16384 },
    { "1073741824", (gsize) 1 << 30 },
    { "", DEFAULT_SIZE },
    { "lots", DEFAULT_SIZE },
    { "131072k", DEFAULT_SIZE },
    { " 131072", DEFAULT_SIZE },
    { "-131072", DEFAULT_SIZE },
    { "16383", DEFAULT_SIZE },
    { "1073741825", DEFAULT_SIZE },
    { "99999999999999999999999999", DEFAULT_SIZE },
  };
  static const char *const nothing[] = { NULL };
  g_auto (GStrv) command = test_own_command (nothing, "--print-size");

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (GStrv) environment = g_environ_unsetenv (g_get_environ (), "DILLIPC_STACK_SIZE");
      g_autofree char *output = NULL;
      g_autoptr (GError) error = NULL;
      int status;

      if (cases[i].value != NULL)
        environment = g_environ_setenv (environment, "DILLIPC_STACK_SIZE", cases[i].value, TRUE);
      g_spawn_sync (NULL, command, environment, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, NULL, &status, &error);
      g_assert_no_error (error);
      g_assert_cmpint (status, ==, 0);
      g_assert_cmpuint (g_ascii_strtoull (output, NULL, 10), ==, MAX (cases[i].size, page_size ()));
    }
}

/* Stacks of another size come from slabs of their own, and the old ones go when nobody uses them any more. */
static void
test_change_of_size (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack old, old_too, new;

  g_assert_no_errno (dill_stack_pool_take (&pool, &old));
  g_assert_no_errno (dill_stack_pool_take (&pool, &old_too));
  test_assert_ok (dill_set_stack_size (65536));
  g_assert_no_errno (dill_stack_pool_take (&pool, &new));
  g_assert_cmpuint (old.size, ==, DEFAULT_SIZE);
  g_assert_cmpuint (new.size, ==, 65536);
  g_assert_true (new.slab != old.slab);

  memset (old.base, 1, old.size);
  dill_stack_pool_give (&pool, &old);
  dill_stack_pool_trim (&pool);
  g_assert_true (is_mapped (old.base));
  g_assert_false (is_resident (old.base));

  dill_stack_pool_give (&pool, &old_too);
  g_assert_true (is_mapped (old.base));
  dill_stack_pool_trim (&pool);
  g_assert_false (is_mapped (old.base));

  dill_stack_pool_give (&pool, &new);
  test_assert_ok (dill_set_stack_size (DEFAULT_SIZE));
  g_assert_no_errno (dill_stack_pool_take (&pool, &new));
  g_assert_cmpuint (new.size, ==, DEFAULT_SIZE);
  dill_stack_pool_clear (&pool);
}

static void
test_largest (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[2];

  test_assert_ok (dill_set_stack_size ((gsize) 1 << 30));
  take_many (&pool, stacks, 2);
  for (guint i = 0; i < 2; i++)
    {
      memset (last_page (&stacks[i]), 1, page_size ());
      memset (stacks[i].base, 1, page_size ());
      g_assert_cmpuint (stacks[i].size, ==, (gsize) 1 << 30);
    }
  dill_stack_pool_clear (&pool);
  test_assert_ok (dill_set_stack_size (DEFAULT_SIZE));
}

/* --- Taking and giving --- */

static int
compare_bases (gconstpointer a, gconstpointer b)
{
  const struct dill_stack *first = a, *second = b;

  return first->base < second->base ? -1 : first->base > second->base;
}

static void
test_take (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[500];

  take_many (&pool, stacks, G_N_ELEMENTS (stacks));
  qsort (stacks, G_N_ELEMENTS (stacks), sizeof stacks[0], compare_bases);
  for (guint i = 0; i < G_N_ELEMENTS (stacks); i++)
    {
      g_assert_cmpuint (stacks[i].size, ==, dill_stack_size ());
      g_assert_cmpuint ((gsize) stacks[i].base % page_size (), ==, 0);
      if (i > 0)
        g_assert_cmpuint ((gsize) stacks[i].base - (gsize) stacks[i - 1].base, >=, stacks[i].size + page_size ());
    }

  /* All of it is memory. */
  memset (stacks[7].base, 0x42, stacks[7].size);
  dill_stack_pool_clear (&pool);
}

static void
test_last_first (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[100];
  struct dill_stack again[100];

  take_many (&pool, stacks, 100);
  for (guint round = 0; round < 3; round++)
    {
      dill_stack_pool_give (&pool, &stacks[3]);
      dill_stack_pool_give (&pool, &stacks[90]);
      dill_stack_pool_give (&pool, &stacks[17]);
      g_assert_no_errno (dill_stack_pool_take (&pool, &again[0]));
      g_assert_true (again[0].base == stacks[17].base);
      take_many (&pool, &again[1], 2);
    }

  /* All of them: none is lost, none is there twice. */
  give_many (&pool, stacks, 100);
  take_many (&pool, again, 100);
  qsort (stacks, 100, sizeof stacks[0], compare_bases);
  qsort (again, 100, sizeof again[0], compare_bases);
  for (guint i = 0; i < 100; i++)
    g_assert_true (stacks[i].base == again[i].base);
  dill_stack_pool_clear (&pool);
}

/* What a pool believes of itself stays true, whatever is done to it. */
static void
test_at_random (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[3000];
  guint n_taken = 0;

  for (guint i = 0; i < 100000; i++)
    {
      /* Now more, now fewer of them. */
      gboolean growing = (i / 10000) % 2 == 0;
      gboolean take = g_test_rand_int_range (0, 100) < (growing ? 70 : 30);

      if (take && n_taken < G_N_ELEMENTS (stacks))
        {
          g_assert_no_errno (dill_stack_pool_take (&pool, &stacks[n_taken]));
          *(guint *) last_page (&stacks[n_taken]) = n_taken;
          n_taken++;
        }
      else if (!take && n_taken > 0)
        {
          guint which = (guint) g_test_rand_int_range (0, (gint32) n_taken);

          g_assert_cmpuint (*(guint *) last_page (&stacks[which]), ==, which);
          dill_stack_pool_give (&pool, &stacks[which]);
          stacks[which] = stacks[--n_taken];
          if (which < n_taken)
            *(guint *) last_page (&stacks[which]) = which;
        }
      if (i % 1000 == 0)
        dill_stack_pool_trim (&pool);

      g_assert_cmpuint (pool.n_stacks, ==, pool.n_free + n_taken);
      g_assert_cmpuint (pool.n_dirty, <=, pool.n_free);
    }

  give_many (&pool, stacks, n_taken);
  dill_stack_pool_trim (&pool);
  g_assert_cmpuint (pool.n_dirty, <=, HOT_RESERVE);
  dill_stack_pool_clear (&pool);
}

/* Also for those that were never given back. */
static void
test_clear (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[100];

  take_many (&pool, stacks, 100);
  give_many (&pool, stacks, 50);
  dill_stack_pool_clear (&pool);
  for (guint i = 0; i < 100; i++)
    g_assert_false (is_mapped (stacks[i].base));
  g_assert_null (pool.slabs);
  g_assert_cmpuint (pool.n_free, ==, 0);

  /* As good as new. */
  take_many (&pool, stacks, 100);
  dill_stack_pool_clear (&pool);
}

/* --- Memory that comes back --- */

/* Many at a time, then few: the address space goes too, but for a reserve. */
static void
test_trim_unmaps (void)
{
  struct dill_stack_pool pool = { 0 };
  g_autofree struct dill_stack *stacks = g_new (struct dill_stack, 5000);
  guint n_mapped = 0;
  gsize n_stacks;

  take_many (&pool, stacks, 5000);
  for (guint i = 0; i < 5000; i++)
    *last_page (&stacks[i]) = 1;
  give_many (&pool, &stacks[1], 4999);
  dill_stack_pool_trim (&pool);

  for (guint i = 0; i < 5000; i++)
    n_mapped += is_mapped (stacks[i].base);
  g_assert_true (is_mapped (stacks[0].base));
  g_assert_cmpuint (n_mapped, <, 3000);
  g_assert_cmpuint (n_mapped, >=, HOT_RESERVE);
  g_assert_cmpuint (pool.n_free, >=, HOT_RESERVE);

  /* Once is enough. */
  n_stacks = pool.n_stacks;
  dill_stack_pool_trim (&pool);
  g_assert_cmpuint (pool.n_stacks, ==, n_stacks);
  dill_stack_pool_clear (&pool);
}

/* Those given back last keep their pages, and few gain nothing by a trim. */
static void
test_reserve (void)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[100];

  take_many (&pool, stacks, 100);
  for (guint i = 0; i < 100; i++)
    *last_page (&stacks[i]) = 1;

  give_many (&pool, stacks, 10);
  dill_stack_pool_trim (&pool);
  for (guint i = 0; i < 10; i++)
    g_assert_true (is_resident (last_page (&stacks[i])));

  give_many (&pool, &stacks[10], 90);
  for (guint i = 0; i < 100; i++)
    g_assert_true (is_resident (last_page (&stacks[i])));
  dill_stack_pool_trim (&pool);
  g_assert_true (is_resident (last_page (&stacks[99])));
  g_assert_cmpuint (pool.n_dirty, <=, HOT_RESERVE);
  dill_stack_pool_clear (&pool);
}

/* --- Giving back the stack that runs --- */

typedef struct
{
  struct dill_context self;
  struct dill_context flow;
  struct dill_stack_pool pool;
  struct dill_stack stack;
  gboolean intact;
} Suicide;

static void
give_own_stack (void *data)
{
  Suicide *suicide = data;
  volatile guint32 values[1000];

  for (guint i = 0; i < 1000; i++)
    values[i] = i * 7;
  dill_stack_pool_give (&suicide->pool, &suicide->stack);
  suicide->intact = TRUE;
  for (guint i = 0; i < 1000; i++)
    suicide->intact &= values[i] == i * 7;
  dill_context_leave (&suicide->flow, &suicide->self);
}

static void
test_give_running (void)
{
  Suicide suicide = { .intact = FALSE };
  struct dill_stack others[200];

  dill_context_init_thread (&suicide.self);
  /* Not the first of its slab, and with more free stacks around than are kept. */
  take_many (&suicide.pool, others, 200);
  for (guint i = 0; i < 100; i++)
    {
      g_assert_no_errno (dill_stack_pool_take (&suicide.pool, &suicide.stack));
      dill_context_init (&suicide.flow, suicide.stack.base, suicide.stack.size, give_own_stack, &suicide);
      if (i == 50)
        give_many (&suicide.pool, others, 200);
      dill_context_switch (&suicide.self, &suicide.flow);
      g_assert_true (suicide.intact);
      dill_context_clear (&suicide.flow);
    }
  dill_stack_pool_clear (&suicide.pool);
}

int
main (int argc, char **argv)
{
  if (argc == 2 && g_str_equal (argv[1], "--print-size"))
    {
      g_print ("%" G_GSIZE_FORMAT "\n", dill_stack_size ());
      return 0;
    }

  g_unsetenv ("DILLIPC_STACK_SIZE");
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stack/set-size", test_set_size);
  g_test_add_func ("/stack/environment", test_environment);
  g_test_add_func ("/stack/change-of-size", test_change_of_size);
  g_test_add_func ("/stack/largest", test_largest);
  g_test_add_func ("/stack/take", test_take);
  g_test_add_func ("/stack/last-first", test_last_first);
  g_test_add_func ("/stack/at-random", test_at_random);
  g_test_add_func ("/stack/clear", test_clear);
  g_test_add_func ("/stack/trim-unmaps", test_trim_unmaps);
  g_test_add_func ("/stack/reserve", test_reserve);
  g_test_add_func ("/stack/give-running", test_give_running);
  return g_test_run ();
}
