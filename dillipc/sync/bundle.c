/* bundle.c: groups of coroutines that are waited for and cancelled as one.
 *
 * A bundle has a list of members, who leave it when they end, and a queue of those who wait until it is empty.  A
 * coroutine that was started without a bundle has one of its own, inside its stack; that stack stays until the handle
 * is closed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sync/bundle.h"
#include "engine/storage.h"
#include "engine/wait.h"
#include <errno.h>
#include <stdlib.h>

DILL_ASSERT_STORAGE (struct dill_bundle, sizeof (struct dill_bundle_storage));

/* What must be left of a stack of the caller's for the coroutine: a function that does little can start, wait and
 * end. */
#define USABLE_MIN 1024

/* When so many members end at once, memory of their stacks goes back to the system. */
#define MANY 64

static struct dill_engine *nowhere = NULL;

static struct dill_bundle *
bundle_of (struct dill_hvfs *vfs)
{
  return dill_container_of (vfs, struct dill_bundle, vfs);
}

static struct dill_member *
member_of (struct dill_list *link)
{
  return dill_container_of (link, struct dill_member, link);
}

static void *
bundle_query (struct dill_hvfs *vfs, const void *type)
{
  if (type == dill_engine_type)
    return bundle_of (vfs)->engine != NULL ? &bundle_of (vfs)->engine : &nowhere;

  errno = ENOTSUP;
  return NULL;
}

/* Ends the members.  Returns false if they are inherited: the parent process will run them.  Apart, so that closing a
 * bundle without any need not save registers for it. */
__attribute__ ((noinline)) static bool
cancel_members (struct dill_bundle *bundle, struct dill_thread *thread)
{
  unsigned n_canceled = 0;

  while (!dill_list_is_empty (&bundle->members))
    {
      struct dill_member *member = member_of (bundle->members.next);

      if (dill_engine_is_inherited (member->coroutine.engine))
        return false;
      dill_scheduler_cancel (thread, &member->coroutine);
      n_canceled++;
    }

  if (n_canceled > MANY)
    {
      dill_thread_reap (thread);
      dill_stack_pool_trim (&thread->stacks);
    }
  return true;
}

static void
bundle_close (struct dill_hvfs *vfs)
{
  struct dill_bundle *bundle = bundle_of (vfs);
  struct dill_thread *thread = dill_thread_self;
  bool is_inherited = bundle->engine != NULL && dill_engine_is_inherited (bundle->engine);

  /* Before the members end: those who wait for that learn that it was not of itself. */
  dill_wait_dismiss_all (&bundle->waiters, DILL_CLOSED);
  if (!dill_list_is_empty (&bundle->members) && !cancel_members (bundle, thread))
    is_inherited = true;

  if (bundle->is_heap)
    {
      /* Inherited members, one of whom may be running, still point to it. */
      if (!is_inherited)
        free (bundle);
    }
  else if (bundle->engine != NULL && !is_inherited)
    {
      struct dill_member *member = dill_container_of (bundle, struct dill_member, own);

      if (member->stack.slab != NULL)
        dill_thread_give_stack (thread, &member->stack);
    }
}

static void
bundle_init (struct dill_bundle *bundle)
{
  bundle->vfs.query = bundle_query;
  bundle->vfs.close = bundle_close;
  bundle->engine = NULL;
  bundle->is_heap = false;
  dill_list_init (&bundle->members);
  dill_list_init (&bundle->waiters);
}

struct dill_bundle *
dill_bundle_get (int h)
{
  struct dill_hvfs *vfs = dill_handle_get_kind (h, bundle_query);

  return vfs == NULL ? NULL : bundle_of (vfs);
}

bool
dill_bundle_is_beneath (struct dill_thread *thread, struct dill_hvfs *vfs)
{
  struct dill_flow *coroutine;

  if (vfs->query != bundle_query)
    return false;

  for (coroutine = thread->current; coroutine != &thread->own; coroutine = coroutine->resumer)
    if (dill_container_of (coroutine, struct dill_member, coroutine)->bundle == bundle_of (vfs))
      return true;

  return false;
}

static int
make_bundle (struct dill_bundle *bundle)
{
  struct dill_thread *thread = dill_wait_get_thread ();

  return thread == NULL ? -1 : dill_handle_new (thread, &bundle->vfs);
}

int
dill_bundle (void)
{
  struct dill_bundle *bundle = malloc (sizeof *bundle);
  int h;

  if (bundle == NULL)
    {
      errno = ENOMEM;
      return -1;
    }

  bundle_init (bundle);
  bundle->is_heap = true;
  h = make_bundle (bundle);
  if (h < 0)
    free (bundle);
  return h;
}

int
dill_bundle_mem (void *mem)
{
  struct dill_bundle *bundle = dill_storage_align (mem);

  if (mem == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  if (dill_wait_allowed () < 0)
    return -1;

  bundle_init (bundle);
  return make_bundle (bundle);
}

int
dill_bundle_wait (int h, int64_t deadline)
{
  struct dill_bundle *bundle = dill_bundle_get (h);
  struct dill_wait wait;

  if (bundle == NULL || dill_wait_allowed () < 0)
    return -1;

  if (dill_list_is_empty (&bundle->members))
    return 0;

  if (dill_wait_begin (&wait, "bundle_wait", deadline) < 0)
    return -1;

  dill_list_append (&bundle->waiters, &wait.queue);
  return dill_wait_result (dill_wait_block (&wait));
}

static void
leave_bundle (struct dill_member *member)
{
  struct dill_bundle *bundle = member->bundle;

  dill_list_remove (&member->link);
  member->bundle = NULL;
  if (dill_list_is_empty (&bundle->members))
    dill_wait_dismiss_all (&bundle->waiters, DILL_READY);
}

/* Its stack vanishes: at once, or when the handle of its own bundle is closed. */
static void
member_abandon (struct dill_flow *coroutine)
{
  struct dill_member *member = dill_container_of (coroutine, struct dill_member, coroutine);
  bool is_own = member->bundle == &member->own;

  leave_bundle (member);
  if (!is_own && member->stack.slab != NULL)
    dill_thread_give_stack (dill_thread_self, &member->stack);
}

size_t
dill_member_overhead (void)
{
  return sizeof (struct dill_member) + DILL_STORAGE_ALIGNMENT + dill_context_overhead ();
}

/* Finds the memory of a new member: a stack from the pool, or the caller's. */
static struct dill_member *
place_member (struct dill_thread *thread, const struct dill_go_site *site, void *mem, size_t len)
{
  struct dill_stack stack = { .base = mem, .size = len };
  struct dill_member *member;

  if (site->flags & DILL_GO_OWN_STACK)
    {
      dill_thread_reap (thread);
      if (dill_stack_pool_take (&thread->stacks, &stack) < 0)
        return NULL;
    }
  else if (mem == NULL)
    {
      errno = EINVAL;
      return NULL;
    }
  else if (len < dill_member_overhead () + USABLE_MIN)
    {
      errno = ENOMEM;
      return NULL;
    }

  member = dill_context_stack_end (stack.base, stack.size - sizeof *member);
  /* Not as a whole: sixteen bytes are slow to read right after eight of them were written. */
  member->stack.slab = stack.slab;
  member->stack.base = stack.base;
  member->stack.size = stack.size;
  return member;
}

struct dill_member *
dill_member_new (struct dill_thread *thread, const struct dill_go_site *site, int bundle_handle, void *mem, size_t len,
                 int *handle)
{
  bool is_own = site->flags & DILL_GO_OWN_BUNDLE;
  struct dill_bundle *bundle = NULL;
  struct dill_engine *engine;
  struct dill_member *member;
  int h = 0;

  if ((!is_own && (bundle = dill_bundle_get (bundle_handle)) == NULL) || (engine = dill_engine_get (thread)) == NULL
      || (member = place_member (thread, site, mem, len)) == NULL)
    return NULL;

  if (is_own)
    {
      bundle = &member->own;
      bundle_init (bundle);
      bundle->engine = engine;
      h = dill_handle_new (thread, &bundle->vfs);
    }

  if (h < 0)
    {
      if (member->stack.slab != NULL)
        dill_thread_give_stack (thread, &member->stack);
      errno = ENOMEM;
      return NULL;
    }

  member->bundle = bundle;
  dill_list_append (&bundle->members, &member->link);
  member->coroutine.stack = member->stack.base;
  member->coroutine.stack_size = (size_t) ((const char *) member - (const char *) member->stack.base);
  dill_flow_init (&member->coroutine, engine, site, member_abandon);
  *handle = h;
  return member;
}

/* The running coroutine ends.  Returns its stack if that is to be given back. */
static inline const struct dill_stack *
leave (struct dill_thread *thread)
{
  struct dill_member *member = dill_container_of (thread->current, struct dill_member, coroutine);
  bool stays = member->bundle == &member->own || member->stack.slab == NULL;

  leave_bundle (member);
  return stays ? NULL : &member->stack;
}

void
dill_member_exit (struct dill_thread *thread)
{
  dill_scheduler_exit (thread, leave (thread));
}

void
dill_member_go_back (struct dill_thread *thread)
{
  dill_scheduler_go_back (thread, leave (thread));
}
