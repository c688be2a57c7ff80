/* soak-server.c: the server of the soak, which is one process with one main loop, and a coroutine for each connection.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "soak.h"
#include <errno.h>
#include <unistd.h>

/* One for each connection that has sent a request. */
typedef struct
{
  int s;
  char kind;
  guint8 request[SOAK_REQUEST_MAX];
} Session;

/* The length of the next request; -1 with errno EPIPE when the client has ended between two of them. */
static gssize
receive_bytes (Session *session)
{
  guint32 header;

  if (dill_brecv (session->s, &header, sizeof header, dill_now () + SOAK_PATIENCE) < 0)
    return -1;

  header = GUINT32_FROM_BE (header);
  if (header > SOAK_REQUEST_MAX || dill_brecv (session->s, session->request, header, dill_now () + SOAK_PATIENCE) < 0)
    {
      errno = ECONNRESET;
      return -1;
    }
  return (gssize) header;
}

static gssize
receive_file (Session *session)
{
  int fd = dill_ipc_recvfd (session->s, dill_now () + SOAK_PATIENCE);
  gssize n;

  if (fd < 0)
    return -1;

  n = pread (fd, session->request, SOAK_REQUEST_MAX, 0);
  close (fd);
  return n;
}

static gssize
receive (Session *session)
{
  switch (session->kind)
    {
    case SOAK_BYTES:
      return receive_bytes (session);
    case SOAK_MESSAGES:
      return dill_mrecv (session->s, session->request, SOAK_REQUEST_MAX, dill_now () + SOAK_PATIENCE);
    case SOAK_DESCRIPTORS:
      return receive_file (session);
    default:
      g_assert_not_reached ();
    }
}

static int
answer (Session *session, gsize length)
{
  guint8 digest[SOAK_DIGEST_SIZE];

  soak_digest (session->request, length, digest);
  if (session->kind == SOAK_MESSAGES)
    return dill_msend (session->s, digest, sizeof digest, dill_now () + SOAK_PATIENCE);

  return dill_bsend (session->s, digest, sizeof digest, dill_now () + SOAK_PATIENCE);
}

/* Serves all requests of a connection.  Returns whether it ended between two of them. */
static bool
serve_requests (SoakServer *server, Session *session)
{
  gssize length;

  if (dill_brecv (session->s, &session->kind, 1, dill_now () + SOAK_PATIENCE) < 0)
    return errno == EPIPE;
  if (session->kind == SOAK_MESSAGES)
    session->s = dill_prefix_attach (session->s, 2, DILL_PREFIX_BIG_ENDIAN);

  while ((length = receive (session)) >= 0)
    {
      if (answer (session, (gsize) length) < 0)
        return false;
      server->n_requests++;
    }
  return errno == EPIPE;
}

static dill_coroutine void
serve (SoakServer *server, int s)
{
  Session *session = g_new (Session, 1);

  session->s = s;
  server->n_open++;
  if (!serve_requests (server, session))
    server->n_broken++;
  if (session->s >= 0)
    dill_hclose (session->s);
  server->n_open--;
  g_free (session);
}

static dill_coroutine void
serve_all (SoakServer *server, int listener, int sessions)
{
  for (int s; (s = dill_ipc_accept (listener, -1)) >= 0;)
    {
      server->n_connections++;
      if (dill_bundle_go (sessions, serve (server, s)) < 0)
        dill_hclose (s);
    }
}

int
soak_server_start (int listener, SoakServer *server)
{
  int sessions = dill_bundle ();

  g_assert_cmpint (sessions, >=, 0);
  g_assert_cmpint (dill_bundle_go (sessions, serve_all (server, listener, sessions)), ==, 0);
  return sessions;
}
