/* connection.c: connections as objects: made, looked up, closed, given back.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "ipc/connection.h"
#include "engine/storage.h"
#include "ipc/socket.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

DILL_ASSERT_STORAGE (struct dill_connection, DILL_IPC_SIZE);
_Static_assert (2 * DILL_IPC_SIZE <= DILL_IPC_PAIR_SIZE, "storage is too small");

static const struct dill_native_vfs connection_stream = {
  .bsend = dill_connection_bsend,
  .brecv = dill_connection_brecv,
  .bsendl = dill_connection_bsendl,
  .brecvl = dill_connection_brecvl,
  .look = dill_connection_look,
  .take = dill_connection_take,
  .receive = dill_connection_receive_ahead,
  .pause = dill_connection_pause_between,
};

static struct dill_connection *
connection_of (struct dill_hvfs *hvfs)
{
  return dill_container_of (hvfs, struct dill_connection, hvfs);
}

static void *
connection_query (struct dill_hvfs *hvfs, const void *type)
{
  struct dill_connection *connection = connection_of (hvfs);

  if (type == dill_bsock_type)
    return &connection->stream.bsock;
  if (type == dill_engine_type)
    return &connection->watch.engine;

  errno = ENOTSUP;
  return NULL;
}

static void
drop_buffer (struct dill_connection *connection)
{
  if (connection->buffer != NULL)
    dill_connection_consume (connection, connection->buffer->end - connection->buffer->start);
}

static void
connection_close (struct dill_hvfs *hvfs)
{
  struct dill_connection *connection = connection_of (hvfs);
  bool is_heap = connection->is_heap;
  int fd = connection->watch.fd;

  drop_buffer (connection);
  if (connection->watch.engine != NULL && dill_engine_is_inherited (connection->watch.engine))
    {
      /* The parent's epoll and waits stay as they are; only this process's descriptor goes. */
      dill_observers_close (&connection->observers, true);
      dill_watch_disown (&connection->watch);
    }
  else
    {
      dill_observers_close (&connection->observers, false);
      dill_watch_clear (&connection->watch);
    }

  close (fd);
  if (is_heap)
    free (connection);
}

struct dill_connection *
dill_connection_get (int h)
{
  struct dill_hvfs *hvfs = dill_handle_get_kind (h, connection_query);

  return hvfs == NULL ? NULL : connection_of (hvfs);
}

struct dill_connection *
dill_connection_place (void *mem)
{
  return dill_storage_place (mem, sizeof (struct dill_connection));
}

void
dill_connection_unplace (struct dill_connection *connection, void *mem)
{
  if (mem == NULL)
    free (connection);
}

void
dill_connection_open (struct dill_connection *connection, int h, struct dill_engine *engine, int fd, bool is_heap)
{
  *connection = (struct dill_connection){
    .hvfs = { connection_query, connection_close },
    .descriptor = -1,
    .is_heap = is_heap,
  };
  dill_native_init (&connection->stream, &connection_stream);
  dill_watch_init (&connection->watch, engine, fd);
  dill_list_init (&connection->observers);
  dill_handle_set (h, &connection->hvfs);
}

int
dill_connection_new (int fd, void *mem)
{
  struct dill_thread *thread = dill_thread_get ();
  struct dill_connection *connection;
  struct dill_engine *engine;
  int h;

  if (thread == NULL || (engine = dill_engine_get (thread)) == NULL
      || (connection = dill_connection_place (mem)) == NULL)
    return -1;

  h = dill_handle_reserve (thread);
  if (h < 0)
    {
      dill_connection_unplace (connection, mem);
      errno = ENOMEM;
      return -1;
    }

  dill_connection_open (connection, h, engine, fd, mem == NULL);
  return h;
}

static int
from_fd (int fd, void *mem)
{
  int h;

  if (dill_wait_allowed () < 0 || dill_socket_check_connected (fd) < 0)
    return -1;

  h = dill_socket_adopt (fd, dill_connection_new, mem);
  if (h >= 0)
    dill_socket_drop_extras (fd);
  return h;
}

int
dill_ipc_fromfd (int fd)
{
  return from_fd (fd, NULL);
}

int
dill_ipc_fromfd_mem (int fd, void *mem)
{
  if (mem == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  return from_fd (fd, mem);
}

static int
make_pair (void *mem_a, void *mem_b, int s[2])
{
  int fds[2];
  int handles[2];

  if (dill_wait_allowed () < 0 || socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
    return -1;

  handles[0] = dill_connection_new (fds[0], mem_a);
  handles[1] = handles[0] < 0 ? -1 : dill_connection_new (fds[1], mem_b);
  if (handles[1] < 0)
    {
      int saved_errno = errno;

      if (handles[0] >= 0)
        dill_hclose (handles[0]);
      else
        close (fds[0]);
      close (fds[1]);
      errno = saved_errno;
      return -1;
    }

  s[0] = handles[0];
  s[1] = handles[1];
  return 0;
}

int
dill_ipc_pair (int s[2])
{
  if (s == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  return make_pair (NULL, NULL, s);
}

int
dill_ipc_pair_mem (void *mem, int s[2])
{
  if (mem == NULL || s == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  return make_pair (mem, (char *) mem + DILL_IPC_SIZE, s);
}

int
dill_ipc_peer (int s, struct dill_ipc_peer *peer)
{
  struct dill_connection *connection;
  struct ucred credentials;
  socklen_t length = sizeof credentials;

  if (peer == NULL)
    {
      errno = EINVAL;
      return -1;
    }

  connection = dill_connection_get (s);
  if (connection == NULL)
    return -1;

  if (getsockopt (connection->watch.fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
    {
      if (errno == ENOPROTOOPT)
        errno = ENOTSUP;
      return -1;
    }

  *peer = (struct dill_ipc_peer){ credentials.pid, credentials.uid, credentials.gid };
  return 0;
}

int
dill_connection_steal (int s)
{
  struct dill_connection *connection = dill_connection_get (s);
  int fd;

  if (connection == NULL)
    return -1;

  if (connection->buffer != NULL || dill_watch_is_busy (&connection->watch, DILL_IN | DILL_OUT))
    {
      errno = EBUSY;
      return -1;
    }

  fd = connection->watch.fd;
  dill_handle_take (s);
  dill_observers_close (&connection->observers, false);
  dill_watch_clear (&connection->watch);
  if (connection->is_heap)
    free (connection);
  return fd;
}
