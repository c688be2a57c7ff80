/* bundle.h: bundles, their members, and the memory of a member.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/thread.h"
#include <dillipc/dill-coroutine.h>
#include <stdbool.h>

struct dill_bundle
{
  struct dill_hvfs vfs;
  struct dill_engine *engine; /* where it ends: its only member's for one of a member's own, otherwise NULL */
  struct dill_list members;
  struct dill_list waiters;
  bool is_heap;
};

/* A coroutine in a bundle.  It stands at the upper end of its own stack. */
struct dill_member
{
  struct dill_flow coroutine;
  struct dill_bundle *bundle;
  struct dill_list link;       /* in the bundle */
  struct dill_stack stack;     /* slab NULL: memory of the caller's */
  struct dill_bundle own;      /* of a coroutine that was started without one */
  DillFunc func;               /* what dill_spawn () was given */
  void *data;
};

/* The bundle behind H, or NULL with errno EBADF or ENOTSUP. */
struct dill_bundle *dill_bundle_get (int h);

/* Whether VFS is a bundle that cannot be closed because a member's stack lies beneath the caller's. */
bool dill_bundle_is_beneath (struct dill_thread *thread, struct dill_hvfs *vfs);

/* Makes a member that is about to run for the first time, for the running flow of THREAD, which may wait.  HANDLE
 * becomes that of its own bundle, or 0.  NULL with errno. */
struct dill_member *dill_member_new (struct dill_thread *thread, const struct dill_go_site *site, int bundle, void *mem,
                                     size_t len, int *handle);

/* How many bytes at most of a stack its coroutine cannot use. */
size_t dill_member_overhead (void);

/* Ends the running member. */
void dill_member_exit (struct dill_thread *thread) __attribute__ ((noreturn));

/* The same where dill_scheduler_has_way_back (): returns, as dill_scheduler_go_back () does. */
void dill_member_go_back (struct dill_thread *thread);
