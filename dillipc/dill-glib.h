/* dill-glib.h: what joins the library to GLib: sources, operations of GIO, and the priority of its own source.
 *
 * The one public header that needs GLib.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_GLIB_H
#define DILL_GLIB_H

#include <dillipc/dill-macros.h>
#include <glib.h>

#if !defined(DILL_DISABLE_SOCKETS)
#include <gio/gio.h>
#endif

DILL_BEGIN_DECLS

#if !defined(DILL_DISABLE_SOCKETS)

/**
 * DillIpcSourceFunc:
 * @s: the handle the source was made for
 * @ready: what is ready
 * @user_data: as given to g_source_set_callback()
 *
 * Returns: G_SOURCE_CONTINUE, or G_SOURCE_REMOVE to end the source
 */
typedef gboolean (*DillIpcSourceFunc) (int s, GIOCondition ready, gpointer user_data);

/**
 * dill_ipc_listener_source_new:
 * @s: a listener
 *
 * Makes a source that is ready (G_IO_IN) while connections wait to be accepted.  Its callback is a DillIpcSourceFunc.
 * It destroys itself when the handle is closed, or moved by dill_hown().
 *
 * Returns: (transfer full): the source, not attached yet, or NULL with errno
 *  - EBADF: @s is not a live handle of this thread
 *  - ENOTSUP: @s is not a listener
 */
DILL_EXPORT GSource *dill_ipc_listener_source_new (int s);

/**
 * dill_ipc_connection_source_new:
 * @s: a connection
 * @condition: at least one of G_IO_IN, G_IO_OUT, G_IO_HUP and G_IO_ERR; the last two are reported in any case
 *
 * Makes a source that is ready for G_IO_IN while bytes, a descriptor or the end of the stream can be received, those
 * that the library has read ahead included.  Its callback is a DillIpcSourceFunc.  It destroys itself when the handle
 * is closed, or moved by dill_hown().  It belongs in a context that the handle's thread iterates: another thread would
 * not learn of bytes that are read ahead while it polls.
 *
 * Returns: (transfer full): the source, not attached yet, or NULL with errno
 *  - EBADF: @s is not a live handle of this thread
 *  - EINVAL: @condition is 0 or holds anything else
 *  - ENOTSUP: @s is not a connection
 */
DILL_EXPORT GSource *dill_ipc_connection_source_new (int s, GIOCondition condition);

/**
 * dill_ipc_steal_connection:
 * @s: a connection
 * @error: return location for a #GError of G_IO_ERROR, or NULL
 *
 * Turns a connection into a #GSocketConnection; the handle is gone on success.
 *
 * Returns: (transfer full): the connection, or NULL with @error set and errno as dill_ipc_steal_fd() sets it
 */
DILL_EXPORT GSocketConnection *dill_ipc_steal_connection (int s, GError **error);

/**
 * dill_ipc_from_connection:
 * @connection: a connection over an AF_UNIX stream socket; it stays the caller's, and is of no further use to it
 * @error: return location for a #GError of G_IO_ERROR, or NULL
 *
 * Makes a handle of a duplicate of the connection's descriptor.
 *
 * Returns: the handle, or -1 with @error set and errno as dill_ipc_fromfd() sets it, and
 *  - EINVAL: @connection is not a #GSocketConnection
 *  - EMFILE: no descriptor is left in the process
 */
DILL_EXPORT int dill_ipc_from_connection (GSocketConnection *connection, GError **error);

/**
 * struct dill_await:
 *
 * One operation that is waited for with dill_await().  It is made with DILL_AWAIT_INIT before each operation, since
 * that numbers it.  The content is the library's.
 */
struct dill_await
{
  size_t dill_number;
  int dill_state;
  GAsyncResult *dill_result;
  void *dill_waiter;
};

/* Not for static variables: to number the record is a call. */
#define DILL_AWAIT_INIT { dill_await_number (), 0, NULL, NULL }

/**
 * dill_await_ready:
 * @source: the object whose operation has ended, or NULL
 * @result: what it has ended with
 * @user_data: a struct dill_await
 *
 * A #GAsyncReadyCallback for operations that are waited for with dill_await().  To be passed to a function of GIO that
 * begins one, with the address of a new struct dill_await as its user data; not to be called otherwise.
 */
DILL_EXPORT void dill_await_ready (GObject *source, GAsyncResult *result, gpointer user_data);

/**
 * dill_await:
 * @await: what was passed to the operation together with dill_await_ready()
 * @cancellable: (nullable): what the operation can be cancelled with
 * @deadline: milliseconds of dill_now(); 0 takes a result that is there and never waits, negative never times out
 *
 * Waits until an operation has ended.  Begin the operation under the thread-default main context that this call waits
 * under, and call this once for each operation, in a cancelled coroutine too.
 *
 * When the deadline is reached, or the coroutine is cancelled, this cancels @cancellable.  If the call may wait, it
 * gives the operation 100 milliseconds to end; a result that says success, and not that it was cancelled, is returned
 * all the same.  Otherwise the operation is left to itself, and its result will be dropped when it comes.  Until then
 * it may use what it was given: while the thread lives, the stack of a coroutine that has ended, and that @await was
 * on, stays untouched that long, but other memory does not by itself.
 *
 * Returns: (transfer full): the result for the *_finish function, or NULL with errno
 *  - EBUSY: somebody waits for @await already; or it stands where another one stood, of an operation that was left to
 *    itself and was still on its way when this one began, so that nobody can tell whose result comes.  In the latter
 *    case
 *    @cancellable was cancelled, and the operation was left to itself
 *  - ECANCELED: the coroutine was cancelled
 *  - EINVAL: @await is NULL, or dill_await() has returned for it before
 *  - ENOMEM: no memory
 *  - ENOTSUP: the main context cannot be iterated here
 *  - ETIMEDOUT: the deadline was reached
 */
DILL_EXPORT GAsyncResult *dill_await (struct dill_await *await, GCancellable *cancellable, int64_t deadline);

/* For DILL_AWAIT_INIT alone. */
DILL_EXPORT size_t dill_await_number (void);

#endif

/**
 * dill_set_priority:
 * @priority: a GLib priority; the default is G_PRIORITY_DEFAULT
 *
 * Sets the priority with which the coroutines and waits of the thread-default main context go on.  A GTK program puts
 * it below its redraws (GDK_PRIORITY_REDRAW + 1).
 */
DILL_EXPORT void dill_set_priority (int priority);

/**
 * dill_set_spin:
 * @microseconds: 0 to 1000 (more counts as 1000); the default is 0
 *
 * Sets how long the thread-default main context may look for events without sleeping, before it sleeps.  Waking up
 * takes longer than the answer of a quick peer on another processor; looking takes processor time.  The context looks
 * only while recent looks have found something, and tries again now and then otherwise.  15 is a good choice.
 *
 * It has an effect while nothing but the library has descriptors in the context, which polls as GLib does by default,
 * and where the library was built with epoll.
 */
DILL_EXPORT void dill_set_spin (unsigned microseconds);

DILL_END_DECLS

#endif
