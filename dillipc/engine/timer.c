/* timer.c: a binary heap linked through its elements.
 *
 * The heap is a complete binary tree.  The place of the n-th element, counted from 1, is read from the bits of n below
 * its highest one: 0 goes left, 1 goes right.  Elements trade places by their links, never by their content, because
 * they live on the stacks of those who wait.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/timer.h"

static bool
comes_before (const struct dill_timer *timer, const struct dill_timer *other)
{
  if (timer->deadline != other->deadline)
    return timer->deadline < other->deadline;

  return timer->sequence < other->sequence;
}

/* The link that holds, or will hold, the NTH element; its parent comes back in PARENT. */
static struct dill_timer **
find_place (struct dill_timer_heap *heap, size_t nth, struct dill_timer **parent)
{
  struct dill_timer **place = &heap->root;
  int shift = (int) (8 * sizeof (unsigned long)) - 1 - __builtin_clzl (nth);

  *parent = NULL;
  while (shift-- > 0)
    {
      *parent = *place;
      place = (nth >> shift) & 1 ? &(*place)->right : &(*place)->left;
    }

  return place;
}

/* Makes whoever points to OLD point to TIMER instead. */
static void
replace_in_parent (struct dill_timer_heap *heap, struct dill_timer *old, struct dill_timer *timer)
{
  if (old->parent == NULL)
    heap->root = timer;
  else if (old->parent->left == old)
    old->parent->left = timer;
  else
    old->parent->right = timer;
}

static void
adopt_children (struct dill_timer *timer)
{
  if (timer->left != NULL)
    timer->left->parent = timer;
  if (timer->right != NULL)
    timer->right->parent = timer;
}

/* Lets CHILD and its parent trade places. */
static void
swap_with_parent (struct dill_timer_heap *heap, struct dill_timer *child)
{
  struct dill_timer *parent = child->parent;
  struct dill_timer *left = child->left;
  struct dill_timer *right = child->right;

  replace_in_parent (heap, parent, child);
  child->parent = parent->parent;
  if (parent->left == child)
    {
      child->left = parent;
      child->right = parent->right;
    }
  else
    {
      child->left = parent->left;
      child->right = parent;
    }

  parent->left = left;
  parent->right = right;
  adopt_children (child);
  adopt_children (parent);
}

static void
move_up (struct dill_timer_heap *heap, struct dill_timer *timer)
{
  while (timer->parent != NULL && comes_before (timer, timer->parent))
    swap_with_parent (heap, timer);
}

static void
move_down (struct dill_timer_heap *heap, struct dill_timer *timer)
{
  for (;;)
    {
      struct dill_timer *least = timer;

      if (timer->left != NULL && comes_before (timer->left, least))
        least = timer->left;
      if (timer->right != NULL && comes_before (timer->right, least))
        least = timer->right;
      if (least == timer)
        return;

      swap_with_parent (heap, least);
    }
}

void
dill_timer_add (struct dill_timer_heap *heap, struct dill_timer *timer)
{
  struct dill_timer **place = find_place (heap, ++heap->n_timers, &timer->parent);

  timer->sequence = heap->sequence++;
  timer->left = NULL;
  timer->right = NULL;
  timer->pending = true;
  *place = timer;
  move_up (heap, timer);
}

void
dill_timer_take_out (struct dill_timer_heap *heap, struct dill_timer *timer)
{
  struct dill_timer *parent;
  struct dill_timer **place;
  struct dill_timer *last;

  /* The last element leaves its place, and takes that of TIMER. */
  place = find_place (heap, heap->n_timers--, &parent);
  last = *place;
  *place = NULL;
  timer->pending = false;
  if (last == timer)
    return;

  replace_in_parent (heap, timer, last);
  last->parent = timer->parent;
  last->left = timer->left;
  last->right = timer->right;
  adopt_children (last);
  move_down (heap, last);
  move_up (heap, last);
}
