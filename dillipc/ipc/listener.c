/* listener.c: listeners as objects: made, looked up, closed, given back.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/listener.h"
#include "engine/storage.h"
#include "engine/thread.h"
#include "ipc/accept.h"
#include "ipc/socket.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

DILL_ASSERT_STORAGE (struct dill_listener, DILL_IPC_LISTENER_SIZE);

static struct dill_listener *
listener_of (struct dill_hvfs *hvfs)
{
  return dill_container_of (hvfs, struct dill_listener, hvfs);
}

static void *
listener_query (struct dill_hvfs *hvfs, const void *type)
{
  if (type == dill_engine_type)
    return &listener_of (hvfs)->watch.engine;

  errno = ENOTSUP;
  return NULL;
}

static void
listener_close (struct dill_hvfs *hvfs)
{
  struct dill_listener *listener = listener_of (hvfs);
  bool is_heap = listener->is_heap;
  int fd = listener->watch.fd;

  if (listener->watch.engine != NULL && dill_engine_is_inherited (listener->watch.engine))
    {
      dill_observers_close (&listener->observers, true);
      dill_watch_disown (&listener->watch);
    }
  else
    {
      dill_observers_close (&listener->observers, false);
      dill_watch_clear (&listener->watch);
    }

  /* While the socket is open nobody takes the file for a stale one: so it goes first. */
  dill_socket_file_release (&listener->file, listener->keeps_file);
  close (fd);
  if (is_heap)
    free (listener);
}

struct dill_listener *
dill_listener_get (int h)
{
  struct dill_hvfs *hvfs = dill_handle_get_kind (h, listener_query);

  return hvfs == NULL ? NULL : listener_of (hvfs);
}

/* Makes a listener of FD, which stands at no file.  Returns its handle, or -1 with errno, FD untouched. */
static int
new_listener (int fd, void *mem)
{
  struct dill_thread *thread = dill_thread_get ();
  struct dill_listener *listener;
  struct dill_engine *engine;
  int h;

  if (thread == NULL || (engine = dill_engine_get (thread)) == NULL)
    return -1;

  listener = dill_storage_place (mem, sizeof *listener);
  if (listener == NULL || (h = dill_handle_reserve (thread)) < 0)
    {
      if (mem == NULL)
        free (listener);
      errno = ENOMEM;
      return -1;
    }

  *listener = (struct dill_listener){
    .hvfs = { listener_query, listener_close },
    .file = DILL_SOCKET_FILE_INIT,
    .is_heap = mem == NULL,
  };
  dill_watch_init (&listener->watch, engine, fd);
  listener->watch.notify = dill_accept_notify;
  listener->watch.is_level = true;
  dill_list_init (&listener->observers);
  dill_handle_set (h, &listener->hvfs);
  return h;
}

int
dill_ipc_listen_full (const char *addr, int backlog, unsigned flags, unsigned mode, void *mem)
{
  const unsigned known = DILL_IPC_ABSTRACT | DILL_IPC_LISTEN_REPLACE_STALE | DILL_IPC_LISTEN_KEEP_FILE;
  struct dill_socket_file file = DILL_SOCKET_FILE_INIT;
  struct dill_listener *listener;
  int fd, h, saved_errno;

  if (dill_wait_allowed () < 0)
    return -1;

  if (addr == NULL || (flags & ~known) != 0 || mode > 0777)
    {
      errno = EINVAL;
      return -1;
    }

  fd = dill_address_listen (addr, backlog, flags, mode, &file);
  if (fd < 0)
    return -1;

  h = new_listener (fd, mem);
  if (h < 0)
    {
      saved_errno = errno;
      dill_socket_file_release (&file, false);
      close (fd);
      errno = saved_errno;
      return -1;
    }

  listener = dill_listener_get (h);
  listener->file = file;
  listener->keeps_file = flags & DILL_IPC_LISTEN_KEEP_FILE;
  return h;
}

int
dill_ipc_listen (const char *addr, int backlog)
{
  return dill_ipc_listen_full (addr, backlog, 0, 0, NULL);
}

int
dill_ipc_listen_mem (const char *addr, int backlog, void *mem)
{
  if (mem == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  return dill_ipc_listen_full (addr, backlog, 0, 0, mem);
}

static int
from_fd (int fd, void *mem)
{
  int h;

  if (dill_wait_allowed () < 0 || dill_socket_check_listening (fd) < 0)
    return -1;

  h = dill_socket_adopt (fd, new_listener, mem);
  if (h >= 0)
    dill_listener_get (h)->has_passed_extras = dill_socket_drop_extras (fd);
  return h;
}

int
dill_ipc_listener_fromfd (int fd)
{
  return from_fd (fd, NULL);
}

int
dill_ipc_listener_fromfd_mem (int fd, void *mem)
{
  if (mem == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  return from_fd (fd, mem);
}

int
dill_ipc_listen_activated (const char *name)
{
  int fd, h;

  if (dill_wait_allowed () < 0)
    return -1;

  fd = dill_activation_take (name);
  if (fd < 0)
    return -1;

  h = from_fd (fd, NULL);
  if (h < 0)
    dill_activation_give_back (fd);
  return h;
}

int
dill_listener_steal (int s)
{
  struct dill_listener *listener = dill_listener_get (s);
  int fd;

  if (listener == NULL)
    return -1;

  if (dill_watch_is_busy (&listener->watch, DILL_IN))
    {
      errno = EBUSY;
      return -1;
    }

  fd = listener->watch.fd;
  dill_handle_take (s);
  dill_observers_close (&listener->observers, false);
  dill_watch_clear (&listener->watch);
  dill_socket_file_release (&listener->file, true);
  if (listener->is_heap)
    free (listener);
  return fd;
}
