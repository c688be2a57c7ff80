/* soak.h: what the server and the clients of the soak have agreed on.
 *
 * The first byte on a connection says how requests are sent from then on.  A request is any number of bytes; the answer
 * to it is their SHA-256, raw.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "test-tools.h"

#include <dillipc/dillipc.h>
#include <stdbool.h>

#define SOAK_BYTES 'b'       /* a length of four bytes, big-endian, and that many bytes */
#define SOAK_MESSAGES 'm'    /* messages behind prefixes of two bytes */
#define SOAK_DESCRIPTORS 'd' /* descriptors of files that hold the request */

#define SOAK_REQUEST_MAX 40000
#define SOAK_DIGEST_SIZE 32

/* Longer than anything takes that does not hang, in milliseconds. */
#define SOAK_PATIENCE (20000 * test_slowdown ())

/* What has happened so far, in memory that all processes share. */
typedef struct
{
  int n_requests; /* answered and checked */
  int n_wrong;    /* answers that were not what they should be */
  int n_failed;   /* requests that failed though nobody was killed */
} SoakClients;

typedef struct
{
  guint n_connections;
  guint n_open;
  guint n_broken; /* that ended within a request */
  guint n_requests;
} SoakServer;

static inline void
soak_digest (const void *bytes, gsize length, guint8 digest[SOAK_DIGEST_SIZE])
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize size = SOAK_DIGEST_SIZE;

  g_checksum_update (checksum, bytes, (gssize) length);
  g_checksum_get_digest (checksum, digest, &size);
}

/* What a client process does, until it is killed or the server has gone; never returns. */
void soak_client_run (const char *path, SoakClients *clients, guint seed) G_GNUC_NORETURN;

/* Starts to serve LISTENER, in coroutines.  Returns their bundle. */
int soak_server_start (int listener, SoakServer *server);
