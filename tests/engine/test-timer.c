/* test-timer.c: the heap of deadlines is right, whatever is added and removed in whatever order.
 *
 * It is held against a model: an array that is searched from end to end.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/timer.h"
#include "test-utils.h"

#include <string.h>

#define N_TIMERS 500

/* Where the model expects it: by deadline, then in the order of being added. */
typedef struct
{
  struct dill_timer timer;
  guint64 nth;
} Timer;

static Timer *
model_first (Timer *timers, guint n_timers)
{
  Timer *first = NULL;

  for (guint i = 0; i < n_timers; i++)
    if (timers[i].timer.pending
        && (first == NULL || timers[i].timer.deadline < first->timer.deadline
            || (timers[i].timer.deadline == first->timer.deadline && timers[i].nth < first->nth)))
      first = &timers[i];

  return first;
}

/* Every element is linked both ways, is not before its parent, and the tree is as low as can be. */
static gsize
check_tree (const struct dill_timer *timer, const struct dill_timer *parent, guint depth)
{
  if (timer == NULL)
    return 0;

  g_assert_true (timer->pending);
  g_assert_true (timer->parent == parent);
  g_assert_cmpuint (depth, <=, 10);
  if (parent != NULL)
    g_assert_cmpint (parent->deadline, <=, timer->deadline);
  return 1 + check_tree (timer->left, timer, depth + 1) + check_tree (timer->right, timer, depth + 1);
}

static void
check_heap (struct dill_timer_heap *heap, Timer *timers, guint n_timers)
{
  Timer *first = model_first (timers, n_timers);

  g_assert_true (heap->root == (first == NULL ? NULL : &first->timer));
  g_assert_cmpuint (check_tree (heap->root, NULL, 1), ==, heap->n_timers);
}

static void
test_random (void)
{
  struct dill_timer_heap heap = { 0 };
  g_autofree Timer *timers = g_new0 (Timer, N_TIMERS);
  guint64 n_added = 0;
  gsize n_pending = 0;

  for (guint round = 0; round < 20000; round++)
    {
      Timer *timer = &timers[g_test_rand_int_range (0, N_TIMERS)];

      if (timer->timer.pending)
        {
          dill_timer_remove (&heap, &timer->timer);
          g_assert_false (timer->timer.pending);
          n_pending--;
        }
      else
        {
          /* Few deadlines, so that many are equal. */
          timer->timer.deadline = g_test_rand_int_range (0, 50);
          timer->nth = n_added++;
          dill_timer_add (&heap, &timer->timer);
          n_pending++;
        }
      g_assert_cmpuint (heap.n_timers, ==, n_pending);
      if (round % 8 == 0)
        check_heap (&heap, timers, N_TIMERS);
    }

  while (heap.root != NULL)
    {
      check_heap (&heap, timers, N_TIMERS);
      dill_timer_remove (&heap, heap.root);
    }
  g_assert_cmpuint (heap.n_timers, ==, 0);
  g_assert_null (model_first (timers, N_TIMERS));
}

static void
test_equal_are_first_in_first_out (void)
{
  struct dill_timer_heap heap = { 0 };
  g_autofree Timer *timers = g_new0 (Timer, N_TIMERS);

  for (guint i = 0; i < N_TIMERS; i++)
    {
      timers[i].timer.deadline = 77;
      dill_timer_add (&heap, &timers[i].timer);
    }

  for (guint i = 0; i < N_TIMERS; i++)
    {
      g_assert_true (heap.root == &timers[i].timer);
      dill_timer_remove (&heap, heap.root);
    }
}

/* Whoever is added again is last among its equals. */
static void
test_added_again (void)
{
  struct dill_timer_heap heap = { 0 };
  Timer first = { .timer.deadline = 5 }, second = { .timer.deadline = 5 };

  dill_timer_add (&heap, &first.timer);
  dill_timer_add (&heap, &second.timer);
  dill_timer_remove (&heap, &first.timer);
  dill_timer_add (&heap, &first.timer);
  g_assert_true (heap.root == &second.timer);
}

static void
test_remove_not_pending (void)
{
  struct dill_timer_heap heap = { 0 };
  Timer in = { .timer.deadline = 1 }, out = { .timer.deadline = 0 };

  dill_timer_remove (&heap, &out.timer);
  dill_timer_add (&heap, &in.timer);
  dill_timer_remove (&heap, &out.timer);
  g_assert_true (heap.root == &in.timer);
  dill_timer_remove (&heap, &in.timer);
  dill_timer_remove (&heap, &in.timer);
  g_assert_null (heap.root);
  g_assert_cmpuint (heap.n_timers, ==, 0);
}

static void
test_extreme_deadlines (void)
{
  struct dill_timer_heap heap = { 0 };
  const gint64 deadlines[] = { G_MAXINT64, 0, (gint64) G_MAXINT + 1, G_MAXINT, G_MAXINT64 - 1, 1, G_MAXUINT };
  const gint64 sorted[] = { 0, 1, G_MAXINT, (gint64) G_MAXINT + 1, G_MAXUINT, G_MAXINT64 - 1, G_MAXINT64 };
  Timer timers[G_N_ELEMENTS (deadlines)];

  memset (timers, 0, sizeof timers);
  for (guint i = 0; i < G_N_ELEMENTS (deadlines); i++)
    {
      timers[i].timer.deadline = deadlines[i];
      dill_timer_add (&heap, &timers[i].timer);
    }
  for (guint i = 0; i < G_N_ELEMENTS (sorted); i++)
    {
      g_assert_cmpint (heap.root->deadline, ==, sorted[i]);
      dill_timer_remove (&heap, heap.root);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/timer/random", test_random);
  g_test_add_func ("/timer/equal-are-first-in-first-out", test_equal_are_first_in_first_out);
  g_test_add_func ("/timer/added-again", test_added_again);
  g_test_add_func ("/timer/remove-not-pending", test_remove_not_pending);
  g_test_add_func ("/timer/extreme-deadlines", test_extreme_deadlines);
  return g_test_run ();
}
