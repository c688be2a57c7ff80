/* soak-client.c: a client of the soak, a process of its own that may be killed at any time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "soak.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct
{
  GRand *rand;
  SoakClients *clients;
  char kind;
  int s;
  guint8 request[SOAK_REQUEST_MAX];
} Client;

/* Some of the largest, many small ones. */
static gsize
invent_request (Client *client)
{
  gsize length = (gsize) g_rand_int_range (client->rand, 0, g_rand_boolean (client->rand) ? 200 : SOAK_REQUEST_MAX);
  guint8 first = (guint8) g_rand_int (client->rand);

  for (gsize i = 0; i < length; i++)
    client->request[i] = (guint8) (first + i * 7);
  return length;
}

static int
send_as_descriptor (Client *client, gsize length)
{
  int fd = memfd_create ("request", MFD_CLOEXEC);
  int rc = -1;

  if (fd >= 0 && write (fd, client->request, length) == (gssize) length)
    rc = dill_ipc_sendfd (client->s, fd, dill_now () + SOAK_PATIENCE);
  if (fd >= 0)
    close (fd);
  return rc;
}

static int
send_request (Client *client, gsize length)
{
  guint32 header = GUINT32_TO_BE ((guint32) length);

  switch (client->kind)
    {
    case SOAK_BYTES:
      if (dill_bsend (client->s, &header, sizeof header, dill_now () + SOAK_PATIENCE) < 0)
        return -1;
      return dill_bsend (client->s, client->request, length, dill_now () + SOAK_PATIENCE);
    case SOAK_MESSAGES:
      return dill_msend (client->s, client->request, length, dill_now () + SOAK_PATIENCE);
    default:
      return send_as_descriptor (client, length);
    }
}

static int
receive_answer (Client *client, guint8 answer[SOAK_DIGEST_SIZE])
{
  if (client->kind != SOAK_MESSAGES)
    return dill_brecv (client->s, answer, SOAK_DIGEST_SIZE, dill_now () + SOAK_PATIENCE);

  return dill_mrecv (client->s, answer, SOAK_DIGEST_SIZE, dill_now () + SOAK_PATIENCE) == SOAK_DIGEST_SIZE ? 0 : -1;
}

static bool
ask (Client *client)
{
  gsize length = invent_request (client);
  guint8 expected[SOAK_DIGEST_SIZE], answer[SOAK_DIGEST_SIZE];

  soak_digest (client->request, length, expected);
  if (send_request (client, length) < 0 || receive_answer (client, answer) < 0)
    return false;

  if (memcmp (answer, expected, sizeof answer) == 0)
    g_atomic_int_inc (&client->clients->n_requests);
  else
    g_atomic_int_inc (&client->clients->n_wrong);
  return true;
}

/* One connection, with some requests.  It ends in one of the ways that programs have. */
static bool
talk (Client *client, const char *path)
{
  static const char kinds[] = { SOAK_BYTES, SOAK_MESSAGES, SOAK_DESCRIPTORS };
  int n_requests = g_rand_int_range (client->rand, 0, 30);
  bool is_good;

  client->kind = kinds[g_rand_int_range (client->rand, 0, G_N_ELEMENTS (kinds))];
  client->s = dill_ipc_connect (path, dill_now () + SOAK_PATIENCE);
  if (client->s < 0)
    return false;

  is_good = dill_bsend (client->s, &client->kind, 1, dill_now () + SOAK_PATIENCE) == 0;
  if (is_good && client->kind == SOAK_MESSAGES)
    client->s = dill_prefix_attach (client->s, 2, DILL_PREFIX_BIG_ENDIAN);

  for (int i = 0; is_good && i < n_requests; i++)
    is_good = ask (client);

  if (is_good && client->kind != SOAK_MESSAGES && g_rand_boolean (client->rand))
    return dill_ipc_close (client->s, dill_now () + SOAK_PATIENCE) == 0;
  dill_hclose (client->s);
  return is_good;
}

void
soak_client_run (const char *path, SoakClients *clients, guint seed)
{
  Client *client = g_new0 (Client, 1);

  /* The one that is inherited is the server's. */
  g_main_context_push_thread_default (g_main_context_new ());
  client->rand = g_rand_new_with_seed (seed);
  client->clients = clients;
  while (talk (client, path))
    continue;

  /* Nobody else has a reason to end. */
  g_atomic_int_inc (&clients->n_failed);
  g_printerr ("a client has failed: %s\n", g_strerror (errno));
  _exit (1);
}
