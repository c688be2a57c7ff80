/* test-stack.c: the pool of stacks, and what it relies on in the kernel.
 *
 * Pinned here: a guard page is hit by an overflow, and survives MADV_DONTNEED and fork (); MADV_GUARD_INSTALL makes no
 * mapping of its own.  Kernels that refuse it are imitated by a system call filter (seccomp(2)).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/context.h"
#include "coroutine/stack.h"
#include "test-utils.h"

#include <dillipc/dill-coroutine.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define DEFAULT_SIZE ((gsize) 256 << 10)
#define HOT_RESERVE 64 /* as in stack.c */

#if defined(DILL_WITH_ASAN) || defined(DILL_WITH_TSAN)
#define HAS_SANITIZER TRUE
#else
#define HAS_SANITIZER FALSE
#endif

static gsize
page_size (void)
{
  return (gsize) sysconf (_SC_PAGESIZE);
}

static guint
count_mappings (void)
{
  g_autofree char *maps = NULL;
  guint n_lines = 0;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));
  for (const char *c = maps; *c != '\0'; c++)
    n_lines += *c == '\n';
  return n_lines;
}

/* mincore (2) says ENOMEM for what is not mapped at all. */
static gboolean
is_mapped (void *address)
{
  unsigned char resident;

  return mincore (address, page_size (), &resident) == 0;
}

static gboolean
is_resident (void *address)
{
  unsigned char resident;

  g_assert_no_errno (mincore (address, page_size (), &resident));
  return resident & 1;
}

static char *
last_page (const struct dill_stack *stack)
{
  return (char *) stack->base + stack->size - page_size ();
}

static void
take_many (struct dill_stack_pool *pool, struct dill_stack *stacks, guint n_stacks)
{
  for (guint i = 0; i < n_stacks; i++)
    g_assert_no_errno (dill_stack_pool_take (pool, &stacks[i]));
}

static void
give_many (struct dill_stack_pool *pool, const struct dill_stack *stacks, guint n_stacks)
{
  for (guint i = 0; i < n_stacks; i++)
    dill_stack_pool_give (pool, &stacks[i]);
}

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
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      const char *argv[] = { self, "--print-size", NULL };
      g_auto (GStrv) environment = g_environ_unsetenv (g_get_environ (), "DILLIPC_STACK_SIZE");
      g_autofree char *output = NULL;
      g_autoptr (GError) error = NULL;
      int status;

      if (cases[i].value != NULL)
        environment = g_environ_setenv (environment, "DILLIPC_STACK_SIZE", cases[i].value, TRUE);
      g_spawn_sync (NULL, (char **) argv, environment, 0, NULL, NULL, &output, NULL, &status, &error);
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

/* --- The guard --- */

static struct dill_stack guarded;

/* Runs on a stack of its own: the one that overflowed has no room. */
static void
on_segv (int signal_number G_GNUC_UNUSED, siginfo_t *info, void *context G_GNUC_UNUSED)
{
  char *address = info->si_addr;
  char *base = guarded.base;

  _exit (address < base && address >= base - page_size () ? 42 : 43);
}

static G_GNUC_NO_INLINE guint
recurse (volatile guint *depth)
{
  volatile char frame[512];

  frame[0] = (char) ++*depth;
  if (*depth < G_MAXUINT)
    return recurse (depth) + (guint) frame[0];
  return (guint) frame[0];
}

static void
overflow (void *data)
{
  recurse (data);
  _exit (44);
}

/* In a child: 42 if a flow on the stack *DATA falls into the guard, 43 if it fell elsewhere. */
static int
overflow_in_child (gpointer data)
{
  static char signal_stack[65536];
  stack_t alternative = { .ss_sp = signal_stack, .ss_size = sizeof signal_stack };
  struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK };
  struct dill_context self, flow;
  guint depth = 0;

  guarded = *(struct dill_stack *) data;
  sigaltstack (&alternative, NULL);
  sigaction (SIGSEGV, &action, NULL);
  dill_context_init_thread (&self);
  dill_context_init (&flow, guarded.base, guarded.size, overflow, &depth);
  dill_context_switch (&self, &flow);
  return 45;
}

static void
assert_is_guarded (struct dill_stack *stack)
{
  g_assert_cmpint (test_in_child (overflow_in_child, stack), ==, 42);
}

/* Without any handler the process ends by the signal, as for any overflow. */
static int
touch_guard_in_child (gpointer data)
{
  struct dill_stack *stack = data;
  struct rlimit no_core = { 0, 0 };

  setrlimit (RLIMIT_CORE, &no_core);
  signal (SIGSEGV, SIG_DFL);
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

/* From now on, makes SYSCALL_NUMBER fail with ERROR when its third argument is ARGUMENT. */
static gboolean
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

#define NO_FILTERS 77

/* A kernel before 6.13: the guards are mappings. */
static int
old_kernel_in_child (gpointer data G_GNUC_UNUSED)
{
  struct dill_stack_pool pool = { 0 };
  struct dill_stack stacks[200];
  guint n_before;

  if (!refuse (SYS_madvise, MADV_GUARD_INSTALL, EINVAL))
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

  if (!refuse (SYS_madvise, MADV_GUARD_INSTALL, GPOINTER_TO_UINT (data))
      || !refuse (SYS_mprotect, PROT_NONE, ENOMEM))
    return NO_FILTERS;

  for (guint i = 0; i < 100; i++)
    test_assert_errno (dill_stack_pool_take (&pool, &stack), ENOMEM);
  g_assert_cmpuint (count_mappings (), <=, n_before + 3);
  g_assert_cmpuint (pool.n_stacks, ==, pool.n_free);
  dill_stack_pool_trim (&pool);
  dill_stack_pool_clear (&pool);
  g_assert_cmpuint (count_mappings (), <=, n_before + 2);
  return 0;
}

static void
run_filtered (TestChildFunc func, gpointer data)
{
  int result = test_in_child (func, data);

  if (result == NO_FILTERS)
    g_test_skip ("system calls cannot be filtered here");
  else
    g_assert_cmpint (result, ==, 0);
}

static void
test_old_kernel (void)
{
  run_filtered (old_kernel_in_child, NULL);
}

static void
test_no_guards (void)
{
  run_filtered (no_guards_in_child, GUINT_TO_POINTER (EINVAL));
  run_filtered (no_guards_in_child, GUINT_TO_POINTER (EPERM));
}

/* --- How many there can be --- */

static gboolean
has_guard_install (void)
{
  void *page = mmap (NULL, page_size (), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  gboolean has_it = madvise (page, page_size (), MADV_GUARD_INSTALL) == 0;

  munmap (page, page_size ());
  return has_it;
}

/* 100,000, or a million with -m slow.  By mprotect () there could not be half as many as 65,530. */
static void
test_many (void)
{
  struct dill_stack_pool pool = { 0 };
  guint n_stacks = g_test_slow () ? 1000000 : 100000;
  g_autofree struct dill_stack *stacks = g_new (struct dill_stack, n_stacks);
  g_autofree char *overcommit = NULL;
  struct rlimit limit;
  guint n_before;

  g_assert_no_errno (getrlimit (RLIMIT_AS, &limit));
  g_file_get_contents ("/proc/sys/vm/overcommit_memory", &overcommit, NULL, NULL);
  if (!has_guard_install () || limit.rlim_cur != RLIM_INFINITY || g_strcmp0 (overcommit, "2\n") == 0)
    {
      g_test_skip ("this needs MADV_GUARD_INSTALL, and address space without a limit");
      return;
    }

  n_before = count_mappings ();
  take_many (&pool, stacks, n_stacks);
  g_assert_cmpuint (count_mappings (), <=, n_before + n_stacks / 1000);

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
  if (HAS_SANITIZER)
    g_test_skip ("sanitizers do not live with a limit of address space");
  else
    g_assert_cmpint (test_in_child (fill_in_child, NULL), ==, 0);
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
  g_test_add_func ("/stack/guard", test_guard);
  g_test_add_func ("/stack/guard-survives-trim", test_guard_survives_trim);
  g_test_add_func ("/stack/fork", test_fork);
  g_test_add_func ("/stack/old-kernel", test_old_kernel);
  g_test_add_func ("/stack/no-guards", test_no_guards);
  g_test_add_func ("/stack/many", test_many);
  g_test_add_func ("/stack/address-space", test_address_space);
  g_test_add_func ("/stack/trim-unmaps", test_trim_unmaps);
  g_test_add_func ("/stack/reserve", test_reserve);
  g_test_add_func ("/stack/give-running", test_give_running);
  return g_test_run ();
}
