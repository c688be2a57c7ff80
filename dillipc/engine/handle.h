/* handle.h: the table behind the numbers that programs hold.
 *
 * The process has one space of indices.  Threads take them in blocks, so that a look-up needs no lock: whether a number
 * is this thread's stands in its block.  A number is an index and the generation of its entry; freed entries go to the
 * end of a queue, so that it takes a hundred thousand handles until a number comes again.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <dillipc/dill-handle.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dill_thread;
struct dill_handle_block;
struct dill_handle_entry;

/* The entries of one thread. */
struct dill_handle_pool
{
  struct dill_handle_block *blocks;     /* all that the thread ever took */
  struct dill_handle_entry *first_free; /* queue of free entries */
  struct dill_handle_entry *last_free;
  uint32_t n_free;
};

/* Makes a number for VFS.  -1 with errno ENOMEM. */
int dill_handle_new (struct dill_thread *thread, struct dill_hvfs *vfs);

/* Sets a number aside that is dead until dill_handle_set ().  -1 with errno ENOMEM. */
static inline int
dill_handle_reserve (struct dill_thread *thread)
{
  return dill_handle_new (thread, NULL);
}

/* Brings a reserved number to life. */
void dill_handle_set (int h, struct dill_hvfs *vfs);

/* The object behind H, or NULL with errno EBADF. */
struct dill_hvfs *dill_handle_get (int h);

/* The same if the object is of the kind that answers with QUERY; otherwise NULL with errno ENOTSUP. */
struct dill_hvfs *dill_handle_get_kind (int h, void *(*query) (struct dill_hvfs *vfs, const void *type));

/* Frees the number, live or reserved, and returns its object (not closed), or NULL with errno EBADF.  In a forked child
 * this, and nothing else, works on numbers that were inherited. */
struct dill_hvfs *dill_handle_take (int h);

/* Asked of objects at the end of a thread or of a context: those that answer can be closed without running code of the
 * program.  The answer points to a struct dill_engine *: where they belong, NULL if nowhere. */
extern const void *const dill_engine_type;

/* Calls VISIT for every live number of THREAD, which may close it. */
void dill_handle_foreach (struct dill_thread *thread, void (*visit) (int h, struct dill_hvfs *vfs, void *data),
                          void *data);

/* In a forked child: leaves all numbers to the parent, and starts anew. */
void dill_handle_pool_disown (struct dill_handle_pool *pool);

/* At the end of a thread: gives its blocks to other threads. */
void dill_handle_pool_clear (struct dill_handle_pool *pool);
