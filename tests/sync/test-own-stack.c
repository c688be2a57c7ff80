/* test-own-stack.c: coroutines on stacks of the caller's: go_mem () and bundle_go_mem ().
 *
 *  - Memory may begin anywhere, is never exceeded, and may go as soon as the coroutine has ended.
 *  - With signals blocked, 4096 bytes are enough to wait, and to pass a value through a channel and a byte to a peer.
 *  - Too little for the bookkeeping is ENOMEM, and is not touched; one byte more starts a coroutine that can wait.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine-utils.h"
#include "stack-area.h"

#include <pthread.h>
#include <signal.h>

/* Stacks that are small, and yet large enough for a sanitizer's frames. */
#define SMALL_STACK 16384

static dill_coroutine void
use_some_stack (guint *n_ended)
{
  volatile char some[512];

  memset ((char *) some, 1, sizeof some);
  if (dill_yield () == 0)
    *n_ended += (guint) some[511];
}

/* At every alignment, never a byte beyond either end. */
static void
test_memory (void)
{
  for (guint offset = 0; offset < 16; offset++)
    {
      guint n_ended = 0;
      StackArea area;
      int h, b = test_assert_ok (dill_bundle ());

      stack_area_init (&area, SMALL_STACK + offset % 5, offset);
      h = test_assert_ok (dill_go_mem (use_some_stack (&n_ended), area.stack, area.size));
      g_assert_no_errno (dill_bundle_wait (h, soon ()));
      g_assert_no_errno (dill_hclose (h));
      g_assert_no_errno (dill_bundle_go_mem (b, use_some_stack (&n_ended), area.stack, area.size));
      g_assert_no_errno (dill_hclose (b));
      g_assert_cmpuint (n_ended, ==, 2); /* its yield had its turn already when it was cancelled */
      g_assert_cmpuint (stack_area_check (&area), >, 512);
      stack_area_clear (&area);
    }
}

static dill_coroutine void
return_at_once (guint *n_ended)
{
  (*n_ended)++;
}

/* The block is gone before the library is called again, and another one may be in its place. */
static void
test_memory_is_freed_at_once (void)
{
  guint n_ended = 0;
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 100; i++)
    {
      gsize size = SMALL_STACK + (i % 3) * 512;
      void *memory = g_malloc (size);
      int h;

      g_assert_no_errno (dill_bundle_go_mem (b, return_at_once (&n_ended), memory, size));
      g_free (memory);

      memory = g_malloc (size);
      g_assert_no_errno (dill_bundle_go_mem (b, use_some_stack (&n_ended), memory, size));
      g_assert_no_errno (dill_bundle_wait (b, soon ()));
      g_free (memory);

      memory = g_malloc (size);
      h = test_assert_ok (dill_go_mem (return_at_once (&n_ended), memory, size));
      g_assert_no_errno (dill_hclose (h));
      g_free (memory);
    }
  g_assert_cmpuint (n_ended, ==, 300);
  g_assert_no_errno (dill_hclose (b));
}

static dill_coroutine void
own_stack_for_child (guint *n_ended)
{
  void *memory = g_malloc (SMALL_STACK);
  int b = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_go_mem (b, use_some_stack (n_ended), memory, SMALL_STACK));
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_free (memory); /* the child, which handed over to this coroutine when it ended, stood there */
  g_assert_no_errno (dill_hclose (b));
  (*n_ended)++;
}

static void
test_memory_is_freed_by_successor (void)
{
  guint n_ended = 0;
  int b = test_assert_ok (dill_bundle ());

  for (guint i = 0; i < 20; i++)
    g_assert_no_errno (dill_bundle_go (b, own_stack_for_child (&n_ended)));
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_no_errno (dill_hclose (b));
  g_assert_cmpuint (n_ended, ==, 40);
}

static void
test_bad_memory (void)
{
  guint n_ended = 0;
  StackArea area;
  struct dill_hvfs other = { query_nothing, close_nothing };
  int b = test_assert_ok (dill_bundle ()), h = test_assert_ok (dill_hmake (&other));

  stack_area_init (&area, SMALL_STACK, 0);
  test_assert_errno (dill_go_mem (return_at_once (&n_ended), NULL, SMALL_STACK), EINVAL);
  test_assert_errno (dill_bundle_go_mem (b, return_at_once (&n_ended), NULL, SMALL_STACK), EINVAL);
  test_assert_errno (dill_bundle_go_mem (-1, return_at_once (&n_ended), area.stack, SMALL_STACK), EBADF);
  test_assert_errno (dill_bundle_go_mem (h, return_at_once (&n_ended), area.stack, SMALL_STACK), ENOTSUP);
  g_assert_no_errno (dill_hclose (h));
  g_assert_cmpuint (n_ended, ==, 0);
  g_assert_cmpuint (stack_area_check (&area), ==, 0);
  stack_area_clear (&area);
  g_assert_no_errno (dill_hclose (b));
}

/* --- Very small stacks, with signals blocked: one would need more than all of it --- */

static gboolean
skip_small_stacks (void)
{
  return test_skip_under (TEST_UNDER_ASAN | TEST_UNDER_TSAN, "the frames of functions are larger");
}

static void
block_signals (sigset_t *saved)
{
  sigset_t all;

  sigfillset (&all);
  g_assert_cmpint (pthread_sigmask (SIG_BLOCK, &all, saved), ==, 0);
}

static void
unblock_signals (const sigset_t *saved)
{
  g_assert_cmpint (pthread_sigmask (SIG_SETMASK, saved, NULL), ==, 0);
}

/* What one does who needs little. */
typedef struct
{
  int ch;
  int s;
  int results[5];
} Errand;

static dill_coroutine void
run_errand (Errand *errand)
{
  char byte = 'a';

  errand->results[0] = dill_yield ();
  errand->results[1] = dill_msleep (dill_now () + 1);
  errand->results[2] = dill_chsend (errand->ch, &byte, 1, soon ());
#if DILL_HAS_SOCKETS
  errand->results[3] = dill_brecv (errand->s, &byte, 1, soon ());
  errand->results[4] = dill_bsend (errand->s, &byte, 1, soon ());
#endif
}

static void
answer_errand (int ch, int s G_GNUC_UNUSED)
{
  char byte = 0;

  g_assert_no_errno (dill_chrecv (ch, &byte, 1, soon ()));
  g_assert_cmpint (byte, ==, 'a');
#if DILL_HAS_SOCKETS
  g_assert_no_errno (dill_bsend (s, "b", 1, soon ()));
  g_assert_no_errno (dill_brecv (s, &byte, 1, soon ()));
  g_assert_cmpint (byte, ==, 'b');
#endif
}

static void
make_ends (int ch[2], int s[2])
{
  g_assert_no_errno (dill_chmake (ch));
#if DILL_HAS_SOCKETS
  g_assert_no_errno (dill_ipc_pair (s));
#else
  g_assert_no_errno (dill_chmake (s)); /* of no use to anybody */
#endif
}

static void
test_page (void)
{
  const guint offsets[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 2048, 4081 };
  int ch[2], s[2];
  sigset_t saved;

  if (skip_small_stacks ())
    return;

  make_ends (ch, s);
  block_signals (&saved);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (offsets); i++)
    {
      Errand errand = { .ch = ch[0], .s = s[0], .results = { -1, -1, -1 } };
      int b = test_assert_ok (dill_bundle ());
      StackArea area;

      stack_area_init (&area, 4096, offsets[i / 2]);
      if (i % 2 == 0)
        g_assert_no_errno (dill_bundle_go_mem (b, run_errand (&errand), area.stack, area.size));
      else
        {
          g_assert_no_errno (dill_hclose (b));
          b = test_assert_ok (dill_go_mem (run_errand (&errand), area.stack, area.size));
        }
      answer_errand (ch[1], s[1]);
      g_assert_no_errno (dill_bundle_wait (b, soon ()));
      g_assert_no_errno (dill_hclose (b));
      for (guint k = 0; k < G_N_ELEMENTS (errand.results); k++)
        g_assert_cmpint (errand.results[k], ==, 0);
      g_assert_cmpuint (stack_area_check (&area), >, 0);
      stack_area_clear (&area);
    }
  unblock_signals (&saved);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_no_errno (dill_hclose (ch[i]));
      g_assert_no_errno (dill_hclose (s[i]));
    }
}

static dill_coroutine void
yield_once (guint *n_ended)
{
  if (dill_yield () == 0)
    (*n_ended)++;
}

/* Starts a coroutine on so much of AREA, and sees it end.  Returns whether there was room for it. */
static gboolean
can_start (StackArea *area, gsize length, gboolean with_bundle)
{
  int b = test_assert_ok (dill_bundle ());
  guint n_ended = 0;
  int result, error;

  result = with_bundle ? dill_bundle_go_mem (b, yield_once (&n_ended), area->stack, length)
                       : dill_go_mem (yield_once (&n_ended), area->stack, length);
  error = errno;
  if (result >= 0)
    {
      g_assert_no_errno (dill_bundle_wait (with_bundle ? b : result, soon ()));
      g_assert_cmpuint (n_ended, ==, 1);
      if (!with_bundle)
        g_assert_no_errno (dill_hclose (result));
    }
  else
    {
      g_assert_cmpint (error, ==, ENOMEM);
      g_assert_cmpuint (n_ended, ==, 0);
    }
  g_assert_no_errno (dill_hclose (b));
  return result >= 0;
}

/* The one length from which on there is room, at any alignment.  Where there is none nothing is touched. */
static void
test_boundary (void)
{
  gsize boundary = 0;
  sigset_t saved;

  if (skip_small_stacks ())
    return;

  block_signals (&saved);
  for (guint i = 0; i < 32; i++)
    {
      gsize length = 0;
      StackArea area;

      stack_area_init (&area, 4096, i / 2);
      while (length < area.size && !can_start (&area, length, i % 2))
        length++;
      g_assert_cmpuint (length, <, area.size);
      g_assert_true (i == 0 || length == boundary);
      boundary = length;
      stack_area_clear (&area);

      /* Just as much, and some more, with everything beyond it watched. */
      for (gsize more = 0; more < 20; more++)
        {
          stack_area_init (&area, boundary + more, i / 2);
          if (more == 0)
            {
              g_assert_false (can_start (&area, area.size - 1, i % 2));
              g_assert_cmpuint (stack_area_check (&area), ==, 0);
            }
          g_assert_true (can_start (&area, area.size, i % 2));
          g_assert_cmpuint (stack_area_check (&area), >, 0);
          stack_area_clear (&area);
        }
    }
  unblock_signals (&saved);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/own-stack/memory", test_memory);
  g_test_add_func ("/own-stack/freed-at-once", test_memory_is_freed_at_once);
  g_test_add_func ("/own-stack/freed-by-successor", test_memory_is_freed_by_successor);
  g_test_add_func ("/own-stack/bad-memory", test_bad_memory);
  g_test_add_func ("/own-stack/page", test_page);
  g_test_add_func ("/own-stack/boundary", test_boundary);
  return g_test_run ();
}
