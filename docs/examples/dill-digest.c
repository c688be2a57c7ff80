/* dill-digest.c: prints the SHA-256 digests of files as sha256sum does, but has dill-digestd compute them.
 *
 * An example of a client in blocking style without a coroutine: on the main stack, a call of the library that has to
 * wait iterates the main context meanwhile, so that a program with other sources would go on serving them.
 *
 * Each call has a deadline.  A file that cannot be read is reported and the next one taken; a connection that fails
 * ends the program.  In both cases its exit status is 1.
 *
 * What is said to the daemon is in digest-protocol.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "digest-files.h"
#include "digest-program.h"
#include "digest-protocol.h"

#include <dillipc/dillipc.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct options
{
  char *socket;
  gboolean pass_descriptor;
  char *files0_from;
  int timeout;
  char **paths;
};

struct client
{
  const struct options *options;
  int connection;
  gboolean failed;           /* a file could not be digested */
  struct digest_frame frame; /* the answer */
  guint8 buffer[DIGEST_DATA_MAX];
};

static gint64
next_deadline (const struct client *client)
{
  return digest_program_deadline (client->options->timeout);
}

static void
complain_about_file (struct client *client, const char *path, const char *reason)
{
  g_autofree char *name = g_filename_display_name (path);

  digest_program_complain ("%s: %s", name, reason);
  client->failed = TRUE;
}

/* Opens a regular file for reading.  Returns -1, with a message printed, if there is none. */
static int
open_file (struct client *client, const char *path)
{
  /* O_NONBLOCK, or opening a FIFO would wait for somebody to write to it.  It means nothing to a regular file. */
  int file = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  struct stat status;

  if (file < 0 || fstat (file, &status) < 0)
    complain_about_file (client, path, g_strerror (errno));
  else if (!S_ISREG (status.st_mode))
    complain_about_file (client, path, _ ("not a regular file"));
  else
    return file;

  if (file >= 0)
    close (file);
  return -1;
}

/* Prints a line that "sha256sum --check" understands.  Names are bytes, in whatever encoding: they go out as they are,
 * except that a name which would break the line is escaped, and announced by a backslash.
 */
static void
print_digest (const struct digest_frame *frame, const char *path)
{
  if (strpbrk (path, "\\\n\r") != NULL)
    putchar ('\\');

  for (guint i = 0; i < DIGEST_RESULT_SIZE; i++)
    printf ("%02x", frame->payload[i]);

  fputs ("  ", stdout);
  for (const char *byte = path; *byte != '\0'; byte++)
    {
      if (*byte == '\\')
        fputs ("\\\\", stdout);
      else if (*byte == '\n')
        fputs ("\\n", stdout);
      else if (*byte == '\r')
        fputs ("\\r", stdout);
      else
        putchar (*byte);
    }

  putchar ('\n');
}

/* The functions below return 0, or -1 with errno if the connection is of no further use. */

static int
send_contents (struct client *client, const char *path, int file, gboolean *answer_expected)
{
  ssize_t n;

  while ((n = read (file, client->buffer, sizeof client->buffer)) != 0)
    {
      if (n < 0 && errno == EINTR)
        continue;

      if (n < 0)
        {
          complain_about_file (client, path, g_strerror (errno));
          *answer_expected = FALSE;
          return digest_frame_send (client->connection, DIGEST_FRAME_ABANDON, NULL, 0, next_deadline (client));
        }

      if (digest_frame_send (client->connection, DIGEST_FRAME_DATA, client->buffer, (gsize) n, next_deadline (client))
          < 0)
        return -1;
    }

  *answer_expected = TRUE;
  return digest_frame_send (client->connection, DIGEST_FRAME_END, NULL, 0, next_deadline (client));
}

static int
send_descriptor (struct client *client, int file)
{
  if (digest_frame_send (client->connection, DIGEST_FRAME_PASS, NULL, 0, next_deadline (client)) < 0)
    return -1;

  return dill_ipc_sendfd (client->connection, file, next_deadline (client));
}

static int
receive_answer (struct client *client, const char *path)
{
  if (digest_frame_receive (client->connection, &client->frame, next_deadline (client)) < 0)
    return -1;

  switch (client->frame.type)
    {
    case DIGEST_FRAME_RESULT:
      print_digest (&client->frame, path);
      return 0;

    case DIGEST_FRAME_REFUSED:
      complain_about_file (client, path, _ ("not a regular file"));
      return 0;

    case DIGEST_FRAME_FAILED:
      complain_about_file (client, path, g_strerror (digest_frame_get_error (&client->frame)));
      return 0;

    default:
      errno = EPROTO;
      return -1;
    }
}

static int
digest_file (struct client *client, const char *path)
{
  gboolean answer_expected = TRUE;
  int file = open_file (client, path);
  int result, saved_errno;

  if (file < 0)
    return 0;

  if (client->options->pass_descriptor)
    result = send_descriptor (client, file);
  else
    result = send_contents (client, path, file, &answer_expected);

  saved_errno = errno;
  close (file);
  errno = saved_errno;

  if (result == 0 && answer_expected)
    result = receive_answer (client, path);
  return result;
}

/* Digests all files over one connection.  Returns FALSE, with a message printed, if that failed. */
static gboolean
digest_files (const struct options *options, const GPtrArray *files)
{
  g_autofree char *name = g_filename_display_name (options->socket);
  g_autofree struct client *client = g_new0 (struct client, 1);
  int result = 0;

  client->options = options;
  client->connection = dill_ipc_connect (options->socket, next_deadline (client));
  if (client->connection < 0)
    {
      digest_program_complain (_ ("cannot connect to %s: %s"), name, g_strerror (errno));
      return FALSE;
    }

  for (guint i = 0; i < files->len && result == 0; i++)
    result = digest_file (client, g_ptr_array_index (files, i));

  if (result == 0)
    result = dill_ipc_close (client->connection, next_deadline (client));
  else
    {
      int saved_errno = errno;

      dill_hclose (client->connection);
      errno = saved_errno;
    }

  /* EPIPE reads as if a program had closed our output. */
  if (result < 0)
    digest_program_complain (_ ("lost the connection to %s: %s"), name,
                             errno == EPIPE ? g_strerror (ECONNRESET) : g_strerror (errno));
  return result == 0 && !client->failed;
}

static gboolean
collect_files (const struct options *options, GPtrArray *files)
{
  gboolean complete = TRUE;

  if (options->files0_from != NULL)
    complete &= digest_files_collect_listed (files, options->files0_from);

  for (char **path = options->paths; path != NULL && *path != NULL; path++)
    complete &= digest_files_collect (files, *path);

  return complete;
}

static gboolean
options_are_valid (const struct options *options)
{
  if (options->paths == NULL && options->files0_from == NULL)
    digest_program_complain (_ ("no file is given; --help tells more"));
  else if (options->timeout < 1 || options->timeout > 86400)
    digest_program_complain (_ ("--timeout must be from %d to %d"), 1, 86400);
  else
    return TRUE;

  return FALSE;
}

int
main (int argc, char **argv)
{
  struct options options = { .timeout = 60 };
  /* clang-format off */
  const GOptionEntry entries[] = {
    { "socket", 's', 0, G_OPTION_ARG_FILENAME, &options.socket, N_ ("Connect to the daemon at PATH"), N_ ("PATH") },
    { "pass-descriptor", 'p', 0, G_OPTION_ARG_NONE, &options.pass_descriptor,
      N_ ("Pass each file's open descriptor instead of its bytes"), NULL },
    { "files0-from", 0, 0, G_OPTION_ARG_FILENAME, &options.files0_from,
      N_ ("Take the files, each ended by a zero byte, from LIST (- is standard input)"), N_ ("LIST") },
    { "timeout", 't', 0, G_OPTION_ARG_INT, &options.timeout, N_ ("Wait so long for the daemon, each time (60)"),
      N_ ("SECONDS") },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options.paths, NULL, N_ ("FILE...") },
    { NULL, 0, 0, 0, NULL, NULL, NULL }
  };
  /* clang-format on */
  g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func (g_free);
  gboolean succeeded;

  digest_program_init_language ();
  if (!digest_program_parse_options (
          entries, NULL, _ ("Prints the SHA-256 digests of files, and of all files in directories."), &argc, &argv)
      || !options_are_valid (&options))
    return EXIT_FAILURE;

  if (options.socket == NULL)
    options.socket = digest_program_default_socket ();

  succeeded = collect_files (&options, files);
  succeeded &= digest_files (&options, files);

  if (fflush (stdout) != 0 || ferror (stdout))
    {
      digest_program_complain (_ ("cannot write the digests: %s"), g_strerror (errno));
      succeeded = FALSE;
    }

  g_free (options.socket);
  g_free (options.files0_from);
  g_strfreev (options.paths);
  return succeeded ? EXIT_SUCCESS : EXIT_FAILURE;
}
