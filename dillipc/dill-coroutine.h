/* dill-coroutine.h: coroutines and bundles of them.
 *
 * A coroutine belongs to the thread, and to the thread-default GMainContext, in which it was started; it goes on
 * whenever that context is iterated.  It runs at once when started, up to its first wait; after that the ready ones run
 * first in, first out.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_COROUTINE_H
#define DILL_COROUTINE_H

#include <dillipc/dill-macros.h>

DILL_BEGIN_DECLS

typedef void (*DillFunc) (void *data);

/* Memory for a bundle; its content is the library's. */
struct dill_bundle_storage
{
  char dill_rsvd[128];
};

/**
 * dill_spawn:
 * @func: what the coroutine runs
 * @data: passed to @func; stays the caller's
 *
 * Starts a coroutine without the dill_go() macro: for any compiler, and any language that calls C.
 *
 * Returns: a handle, to be closed with dill_hclose() even when the coroutine has ended, or -1 with errno
 *  - ECANCELED: the running coroutine was cancelled
 *  - EINVAL: @func is NULL
 *  - ENOMEM: no memory for a stack, or no handle is left
 *  - ENOTSUP: the main context is inherited over fork()
 */
DILL_EXPORT int dill_spawn (DillFunc func, void *data);

/**
 * dill_bundle_spawn:
 * @bundle: a bundle
 * @func: what the coroutine runs
 * @data: passed to @func; stays the caller's
 *
 * Starts a coroutine in @bundle.
 *
 * Returns: 0, or -1 with the errno of dill_spawn(), and
 *  - EBADF: @bundle is not a live handle of this thread
 *  - ENOTSUP: @bundle is not a bundle
 */
DILL_EXPORT int dill_bundle_spawn (int bundle, DillFunc func, void *data);

/**
 * dill_bundle:
 *
 * Makes an empty bundle: a group of coroutines that is waited for and cancelled as one.
 *
 * Returns: its handle, or -1 with errno
 *  - ECANCELED: the running coroutine was cancelled
 *  - ENOMEM: no memory, or no handle is left
 *
 * From: libdill, bundle(3).
 */
DILL_EXPORT int dill_bundle (void);

/**
 * dill_bundle_mem:
 * @mem: a struct dill_bundle_storage, at any alignment, that stays until the bundle is closed
 *
 * dill_bundle() in the caller's memory.
 *
 * Returns: its handle, or -1 with the errno of dill_bundle(), and
 *  - EINVAL: @mem is NULL
 */
DILL_EXPORT int dill_bundle_mem (void *mem);

/**
 * dill_bundle_wait:
 * @bundle: a bundle, or the handle of a single coroutine
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Waits until no member of @bundle is left.  Any number may wait, and the bundle may be filled again afterwards.
 *
 * Returns: 0, or -1 with errno
 *  - EBADF: @bundle is not a live handle of this thread
 *  - ECANCELED: the running coroutine was cancelled, or the bundle was closed meanwhile
 *  - ENOTSUP: @bundle is not a bundle, or the main context cannot be iterated here
 *  - ETIMEDOUT: the deadline was reached; the members go on
 *
 * From: libdill, bundle_wait(3).
 */
DILL_EXPORT int dill_bundle_wait (int bundle, int64_t deadline);

/**
 * dill_yield:
 *
 * Lets the other ready coroutines, and now and then the main loop, run first.
 *
 * Returns: 0, or -1 with errno
 *  - ECANCELED: the running coroutine was cancelled
 *  - ENOMEM: no memory
 *  - ENOTSUP: the main context cannot be iterated here
 *
 * From: libdill, yield(3).
 */
DILL_EXPORT int dill_yield (void);

/**
 * dill_set_name:
 * @name: (nullable): a name, which is copied and cut after 31 bytes
 *
 * Names the running coroutine for debuggers, logs and profilers.  Does nothing outside of a coroutine.
 */
DILL_EXPORT void dill_set_name (const char *name);

/**
 * dill_set_stack_size:
 * @bytes: address space of each stack made from now on in this process, 16 KiB to 1 GiB; rounded up to whole pages
 *
 * The default is 256 KiB, or what the environment variable DILLIPC_STACK_SIZE says in bytes.  Memory is used only for
 * pages that a coroutine touches.
 *
 * Returns: 0, or -1 with errno
 *  - EINVAL: @bytes is out of range
 */
DILL_EXPORT int dill_set_stack_size (size_t bytes);

/**
 * dill_stack_min:
 *
 * Tells how large a stack for dill_go_mem() has to be when signals are handled on it, which they are unless the handler
 * was installed with SA_ONSTACK and the thread has an alternate stack.  The size is that of the bookkeeping, of the
 * deepest call of the library, of one signal frame as the kernel of this machine makes it, and 8 KiB of reserve: 4 KiB
 * for the coroutine's own functions, and 4 KiB for the handler.  Add what they take beyond that.  It is no multiple of
 * anything, holds for memory at any alignment, and stays the same while the process runs.
 *
 * Returns: a number of bytes
 *
 * From: getauxval(3), AT_MINSIGSTKSZ.
 */
DILL_EXPORT size_t dill_stack_min (void);

/* What follows serves the macros only. */

#define DILL_GO_OWN_BUNDLE 1u /* the coroutine gets a bundle and a handle of its own */
#define DILL_GO_OWN_STACK 2u  /* its stack comes from the library */

/* Where a coroutine was started: shown by debuggers. */
struct dill_go_site
{
  const char *call;
  const char *file;
  int line;
  unsigned flags;
};

DILL_EXPORT int dill_go_function (const struct dill_go_site *site, int bundle, void *mem, size_t len, DillFunc func,
                                  void *data);

DILL_END_DECLS

/**
 * dill_go:
 * @call: a call of a function marked dill_coroutine
 *
 * Starts a coroutine that performs @call.  The arguments are evaluated at once, and the call runs up to its first wait
 * before dill_go() returns.
 *
 * Returns: a handle, to be closed with dill_hclose() even when the coroutine has ended, or -1 with errno
 *  - ECANCELED: the running coroutine was cancelled
 *  - ENOMEM: no memory for a stack, or no handle is left
 *  - ENOTSUP: the main context is inherited over fork()
 *
 * From: libdill, go(3).
 */
#define dill_go(call) DILL_GO_ (DILL_GO_OWN_BUNDLE | DILL_GO_OWN_STACK, -1, NULL, 0, call)

/**
 * dill_go_mem:
 * @call: a call of a function marked dill_coroutine
 * @ptr: memory for the stack, at any alignment, that stays until the handle is closed
 * @len: its size in bytes
 *
 * dill_go() on a stack of the caller's, which has no guard page.  4096 bytes are enough for a function that needs
 * little while signals are blocked, dill_stack_min() in any case.
 *
 * Returns: as dill_go(), and
 *  - EINVAL: @ptr is NULL
 *  - ENOMEM: @len is too small for the bookkeeping
 *
 * From: libdill, go_mem(3).
 */
#define dill_go_mem(call, ptr, len) DILL_GO_ (DILL_GO_OWN_BUNDLE, -1, (ptr), (len), call)

/**
 * dill_bundle_go:
 * @bundle: a bundle
 * @call: a call of a function marked dill_coroutine
 *
 * Returns: 0, or -1 with the errno of dill_go(), and
 *  - EBADF: @bundle is not a live handle of this thread
 *  - ENOTSUP: @bundle is not a bundle
 *
 * From: libdill, bundle_go(3).
 */
#define dill_bundle_go(bundle, call) DILL_GO_ (DILL_GO_OWN_STACK, (bundle), NULL, 0, call)

/**
 * dill_bundle_go_mem:
 * @bundle: a bundle
 * @call: a call of a function marked dill_coroutine
 * @ptr: memory for the stack, at any alignment, that stays until the coroutine has ended
 * @len: its size in bytes
 *
 * Returns: 0, or -1 with the errno of dill_bundle_go(), and
 *  - EINVAL: @ptr is NULL
 *  - ENOMEM: @len is too small for the bookkeeping
 *
 * From: libdill, bundle_go_mem(3).
 */
#define dill_bundle_go_mem(bundle, call, ptr, len) DILL_GO_ (0, (bundle), (ptr), (len), call)

#include <dillipc/dill-go.h>

#endif
