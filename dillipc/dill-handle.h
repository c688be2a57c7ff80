/* dill-handle.h: handles, and what a protocol of one's own is built from.
 *
 * A handle is a small integer that stands for an object: a listener, a connection, a bundle, or anything a program
 * makes with dill_hmake().  It belongs to the thread that made it; to every other thread it is EBADF.  Numbers are not
 * reused soon, so that a stale one is told from a live one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_HANDLE_H
#define DILL_HANDLE_H

#include <dillipc/dill-macros.h>

DILL_BEGIN_DECLS

/**
 * dill_hclose:
 * @h: a handle
 *
 * Closes the object at once, without a handshake, and gives the number back.  Whoever waits on it returns with
 * ECANCELED.  Closing a coroutine or a bundle cancels its members and returns when all have ended; it never runs the
 * main loop.  Works in a cancelled coroutine.
 *
 * Returns: 0, or -1 with errno
 *  - EBADF: @h is not a live handle of this thread
 *  - EDEADLK: @h is a coroutine or bundle with a member beneath the caller's own stack; nothing was cancelled
 *
 * From: libdill, hclose(3).
 */
DILL_EXPORT int dill_hclose (int h);

/**
 * dill_hown:
 * @h: a handle
 *
 * Moves the object to a new handle: @h is dead afterwards, so that nobody who kept a copy can interfere.
 *
 * Returns: the new handle, or -1 with errno
 *  - EBADF: @h is not a live handle of this thread
 *  - ENOMEM: no handle is left; @h still works
 *
 * From: libdill, hown(3).
 */
DILL_EXPORT int dill_hown (int h);

/**
 * struct dill_hvfs:
 * @query: returns the function table for @type, or NULL with errno ENOTSUP
 * @close: ends the object; called once, with its handle already dead; waits inside it fail with ECANCELED
 *
 * The first member of an object that has a handle.
 */
struct dill_hvfs
{
  void *(*query) (struct dill_hvfs *vfs, const void *type);
  void (*close) (struct dill_hvfs *vfs);
};

/**
 * dill_hmake:
 * @vfs: the object's table, which stays where it is until @close was called
 *
 * Gives an object a handle.  The object remains the caller's until its @close is called.
 *
 * Returns: the handle, or -1 with errno
 *  - EINVAL: @vfs or one of its functions is NULL
 *  - ECANCELED: the running coroutine was cancelled
 *  - ENOMEM: no memory, or no handle is left
 *
 * From: libdill, hmake(3).
 */
DILL_EXPORT int dill_hmake (struct dill_hvfs *vfs);

/**
 * dill_hquery:
 * @h: a handle
 * @type: which function table is wanted: the address of a tag such as dill_bsock_type
 *
 * Returns: what the object's @query answers, owned by the object, or NULL with errno
 *  - EBADF: @h is not a live handle of this thread
 *  - ENOTSUP: the object does not have such a table
 *
 * From: libdill, hquery(3).
 */
DILL_EXPORT void *dill_hquery (int h, const void *type);

DILL_END_DECLS

#endif
