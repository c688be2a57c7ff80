/* dill-sealed.c: lines that a client sends, and a server sends back in capitals, over a stack of protocols: two of the
 * program's own among two of the library's.
 *
 *     lines             suffix_attach ()          of the library, on a byte stream
 *     byte stream       packet_stream_attach ()   in packet-stream.c, on messages
 *     sealed messages   seal_attach ()            in seal.c, on messages
 *     messages          prefix_attach ()          of the library, on a byte stream
 *     connection        ipc_accept (), ipc_connect ()
 *
 * Each layer owns the one beneath: to close the topmost closes all.
 *
 *     dill-sealed serve SOCKET KEY-FILE
 *     dill-sealed send SOCKET KEY-FILE <LINES
 *
 * The server ends with its standard input.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "packet-stream.h"
#include "seal.h"

#include <dillipc/dillipc.h>
#include <err.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define TIMEOUT_MS 10000
#define BACKLOG 16

struct key
{
  char *bytes;
  gsize length;
};

/* Puts NEXT in the place of the handle below it.  If there is none, that one is closed. */
static int
instead_of (int below, int next)
{
  int saved_errno = errno;

  if (next < 0)
    dill_hclose (below);
  errno = saved_errno;
  return next;
}

/* Makes lines of the connection S, whatever becomes of that.  Returns the topmost handle, or -1 with errno. */
static int
make_lines (int s, const struct key *key)
{
  s = instead_of (s, dill_prefix_attach (s, 4, DILL_PREFIX_BIG_ENDIAN));
  if (s >= 0)
    s = instead_of (s, seal_attach (s, key->bytes, key->length, dill_now () + TIMEOUT_MS));
  if (s >= 0)
    s = instead_of (s, packet_stream_attach (s));
  if (s >= 0)
    s = instead_of (s, dill_suffix_attach (s, "\n", 1));
  return s;
}

static dill_coroutine void
serve_client (int s, const struct key *key)
{
  g_autofree char *line = g_malloc (LINE_MAX_BYTES);
  ssize_t length;

  s = make_lines (s, key);
  while (s >= 0 && (length = dill_mrecv (s, line, LINE_MAX_BYTES, -1)) >= 0)
    {
      for (ssize_t i = 0; i < length; i++)
        line[i] = g_ascii_toupper (line[i]);
      if (dill_msend (s, line, (size_t) length, dill_now () + TIMEOUT_MS) < 0)
        break;
    }

  if (errno != EPIPE && errno != ECANCELED)
    warn ("a client is cut off");
  if (s >= 0)
    dill_hclose (s);
}

static dill_coroutine void
accept_clients (int listener, int clients, const struct key *key)
{
  int s;

  while ((s = dill_ipc_accept (listener, -1)) >= 0)
    if (dill_bundle_go (clients, serve_client (s, key)) < 0)
      dill_hclose (s);
  if (errno != ECANCELED)
    warn ("cannot accept");
}

static int
serve (const char *path, const struct key *key)
{
  int listener = dill_ipc_listen_full (path, BACKLOG, DILL_IPC_LISTEN_REPLACE_STALE, 0600, NULL);
  int clients = dill_bundle (), acceptor;
  char byte;

  if (listener < 0 || clients < 0)
    err (EXIT_FAILURE, "%s", path);

  acceptor = dill_go (accept_clients (listener, clients, key));
  if (acceptor < 0)
    err (EXIT_FAILURE, "cannot start");

  printf ("listening on %s\n", path);
  fflush (stdout);
  do
    dill_fdin (STDIN_FILENO, -1);
  while (read (STDIN_FILENO, &byte, 1) > 0);

  dill_hclose (acceptor);
  dill_hclose (clients);
  dill_hclose (listener);
  return EXIT_SUCCESS;
}

static int
send_lines (const char *path, const struct key *key)
{
  g_autofree char *line = g_malloc (LINE_MAX_BYTES);
  int s = dill_ipc_connect (path, dill_now () + TIMEOUT_MS);

  if (s < 0 || (s = make_lines (s, key)) < 0)
    err (EXIT_FAILURE, "%s", path);

  while (fgets (line, LINE_MAX_BYTES, stdin) != NULL)
    {
      gint64 deadline = dill_now () + TIMEOUT_MS;
      ssize_t length;

      if (dill_msend (s, line, strcspn (line, "\n"), deadline) < 0
          || (length = dill_mrecv (s, line, LINE_MAX_BYTES, deadline)) < 0)
        err (EXIT_FAILURE, "%s", path);
      printf ("%.*s\n", (int) length, line);
    }

  dill_hclose (s);
  return fflush (stdout) == 0 && !ferror (stdin) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  struct key key;
  gboolean serves = argc == 4 && strcmp (argv[1], "serve") == 0;
  int status;

  if (!serves && (argc != 4 || strcmp (argv[1], "send") != 0))
    errx (EXIT_FAILURE, "usage: dill-sealed serve|send SOCKET KEY-FILE");
  if (!g_file_get_contents (argv[3], &key.bytes, &key.length, &error))
    errx (EXIT_FAILURE, "%s", error->message);

  status = serves ? serve (argv[2], &key) : send_lines (argv[2], &key);
  g_free (key.bytes);
  return status;
}
