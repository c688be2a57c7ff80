/* dill-digestd.c: a daemon that computes the SHA-256 digests of the files that its clients send.
 *
 * An example of a GMainLoop program that serves many clients at once in blocking style.  One coroutine accepts
 * connections, one more serves each of them; a timer and two signal sources share the main loop with them.  The timer
 * measures what is claimed: that however busy the daemon is, its loop is never held up.
 *
 * On SIGTERM or SIGINT the daemon stops accepting, lets the connections in progress come to their end within a
 * deadline, and leaves with exit status 0.  A second signal cuts the waiting short.
 *
 * What a client says is in digest-protocol.h, how it is served in digest-session.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "digest-program.h"
#include "digest-session.h"

#include <dillipc/dillipc.h>
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TICK_MILLISECONDS 10

/* How many connections wait until they are accepted; more wait in their connect (). */
#define BACKLOG 64

/* How long to leave the kernel alone when it has no descriptor or no memory for a connection that waits. */
#define PAUSE_MILLISECONDS 100

struct options
{
  char *socket;
  int max_connections;
  int timeout;
  int drain;
};

struct ticker
{
  guint ticks;
  gint64 due;   /* when the next tick should come, in microseconds of g_get_monotonic_time () */
  gint64 worst; /* by how many microseconds the latest one was late */
};

struct daemon
{
  const struct options *options;
  GMainLoop *loop;
  int listener; /* handles of the library, from here ... */
  int acceptor;
  int sessions;
  int drainer;    /* ... to here; -1: not there */
  int free_slots; /* an eventfd that counts the connections which there is still room for */
  gboolean draining;
  guint connected;
  guint served;
  struct digest_totals totals;
  struct ticker ticker;
};

static gboolean
tick (gpointer user_data)
{
  struct ticker *ticker = user_data;
  gint64 now = g_get_monotonic_time ();

  ticker->ticks++;
  ticker->worst = MAX (ticker->worst, now - ticker->due);
  ticker->due = now + TICK_MILLISECONDS * 1000;
  return G_SOURCE_CONTINUE;
}

static void
close_handle (int *handle)
{
  if (*handle >= 0)
    dill_hclose (*handle);
  *handle = -1;
}

static void
free_slot (struct daemon *daemon)
{
  if (eventfd_write (daemon->free_slots, 1) < 0)
    digest_program_complain (_ ("cannot count connections: %s"), g_strerror (errno));
}

static void
complain_about_client (int connection, int error)
{
  struct dill_ipc_peer peer = { 0 };

  if (dill_ipc_peer (connection, &peer) == 0)
    /* Translators: the process number and the user number of a client, then what went wrong. */
    digest_program_complain (_ ("client %ld of user %ld: %s"), (long) peer.pid, (long) peer.uid, g_strerror (error));
  else
    digest_program_complain (_ ("a client: %s"), g_strerror (error));
}

/* One connection, in a coroutine of its own. */
static dill_coroutine void
serve (struct daemon *daemon, int connection)
{
  dill_set_name ("session");
  daemon->connected++;

  if (digest_session_run (connection, daemon->options->timeout, &daemon->totals) == 0)
    {
      daemon->served++;
      dill_ipc_close (connection, digest_program_deadline (daemon->options->timeout));
    }
  else
    {
      complain_about_client (connection, errno);
      dill_hclose (connection);
    }

  daemon->connected--;
  free_slot (daemon);
}

/* Waits until there is room for one more connection, then for that connection, and starts serving it. */
static int
accept_connection (struct daemon *daemon)
{
  eventfd_t one;
  int connection, saved_errno;

  if (dill_fdin (daemon->free_slots, -1) < 0 || eventfd_read (daemon->free_slots, &one) < 0)
    return -1;

  connection = dill_ipc_accept (daemon->listener, -1);
  if (connection >= 0 && dill_bundle_go (daemon->sessions, serve (daemon, connection)) == 0)
    return 0;

  saved_errno = errno;
  close_handle (&connection);
  free_slot (daemon);
  errno = saved_errno;
  return -1;
}

static dill_coroutine void
accept_connections (struct daemon *daemon)
{
  dill_set_name ("acceptor");

  for (;;)
    {
      if (accept_connection (daemon) == 0)
        continue;

      if (errno == ECANCELED)
        return;

      /* No descriptor or no memory is left.  What waits to be accepted goes on waiting. */
      digest_program_complain (_ ("cannot serve a connection: %s"), g_strerror (errno));
      if (dill_msleep (dill_now () + PAUSE_MILLISECONDS) < 0)
        return;
    }
}

/* Lets the sessions end, and then the program.  Cancelling this coroutine cuts the waiting short. */
static dill_coroutine void
drain (struct daemon *daemon)
{
  dill_set_name ("drainer");

  if (dill_bundle_wait (daemon->sessions, digest_program_deadline (daemon->options->drain)) < 0)
    digest_program_complain (ngettext ("%u connection was cut off", "%u connections were cut off", daemon->connected),
                             daemon->connected);

  close_handle (&daemon->sessions);
  g_main_loop_quit (daemon->loop);
}

static gboolean
on_signal (gpointer user_data)
{
  struct daemon *daemon = user_data;

  if (daemon->draining)
    {
      close_handle (&daemon->drainer);
      return G_SOURCE_CONTINUE;
    }

  daemon->draining = TRUE;
  close_handle (&daemon->acceptor);
  close_handle (&daemon->listener); /* unlinks the socket file, too */

  g_print (ngettext ("draining %u connection\n", "draining %u connections\n", daemon->connected), daemon->connected);

  daemon->drainer = dill_go (drain (daemon));
  if (daemon->drainer < 0) /* no memory: end without it */
    g_main_loop_quit (daemon->loop);

  return G_SOURCE_CONTINUE;
}

static gboolean
start (struct daemon *daemon)
{
  const struct options *options = daemon->options;
  g_autofree char *name = g_filename_display_name (options->socket);

  /* 0600: nobody else can connect, not even for a moment.  A socket file that a killed daemon left behind is replaced,
   * one that a living daemon listens on is not.
   */
  daemon->listener = dill_ipc_listen_full (options->socket, BACKLOG, DILL_IPC_LISTEN_REPLACE_STALE, 0600, NULL);
  if (daemon->listener < 0)
    {
      digest_program_complain (_ ("cannot listen on %s: %s"), name, g_strerror (errno));
      return FALSE;
    }

  daemon->free_slots = eventfd ((unsigned) options->max_connections, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
  if (daemon->free_slots >= 0)
    daemon->sessions = dill_bundle ();
  if (daemon->sessions >= 0)
    daemon->acceptor = dill_go (accept_connections (daemon));
  if (daemon->acceptor < 0)
    {
      digest_program_complain (_ ("cannot start: %s"), g_strerror (errno));
      return FALSE;
    }

  return TRUE;
}

static void
run (struct daemon *daemon)
{
  g_autofree char *name = g_filename_display_name (daemon->options->socket);

  daemon->ticker.due = g_get_monotonic_time () + TICK_MILLISECONDS * 1000;
  g_timeout_add (TICK_MILLISECONDS, tick, &daemon->ticker);

  /* These stay to the end of the program: one more signal must not kill it on its last few steps. */
  g_unix_signal_add (SIGTERM, on_signal, daemon);
  g_unix_signal_add (SIGINT, on_signal, daemon);

  g_print (_ ("listening on %s\n"), name);
  g_main_loop_run (daemon->loop);
}

static void
stop (struct daemon *daemon)
{
  close_handle (&daemon->acceptor);
  close_handle (&daemon->listener);
  close_handle (&daemon->sessions);
  close_handle (&daemon->drainer);

  if (daemon->free_slots >= 0)
    {
      dill_fdclean (daemon->free_slots);
      close (daemon->free_slots);
    }
}

static void
print_account (const struct daemon *daemon)
{
  g_autofree char *bytes = g_format_size (daemon->totals.bytes);

  g_print (_ ("connections served: %u\n"), daemon->served);
  /* Translators: a number of files, then their size together, such as "1.2 MB". */
  g_print (_ ("files digested: %u (%s)\n"), daemon->totals.files, bytes);
  /* Translators: a timer's ticks, their interval, and by how much the latest of them was late. */
  g_print (_ ("ticks: %u, one every %d ms, worst delay %.1f ms\n"), daemon->ticker.ticks, TICK_MILLISECONDS,
           (double) daemon->ticker.worst / 1000);
}

static gboolean
options_are_valid (const struct options *options, int n_arguments)
{
  if (n_arguments > 0)
    digest_program_complain (_ ("no arguments are expected"));
  else if (options->max_connections < 1 || options->max_connections > 4096)
    digest_program_complain (_ ("--max-connections must be from %d to %d"), 1, 4096);
  else if (options->timeout < 1 || options->timeout > 86400)
    digest_program_complain (_ ("--timeout must be from %d to %d"), 1, 86400);
  else if (options->drain < 0 || options->drain > 86400)
    digest_program_complain (_ ("--drain must be from %d to %d"), 0, 86400);
  else
    return TRUE;

  return FALSE;
}

int
main (int argc, char **argv)
{
  struct options options = { .max_connections = 64, .timeout = 30, .drain = 10 };
  /* clang-format off */
  const GOptionEntry entries[] = {
    { "socket", 's', 0, G_OPTION_ARG_FILENAME, &options.socket, N_ ("Listen on PATH"), N_ ("PATH") },
    { "max-connections", 'm', 0, G_OPTION_ARG_INT, &options.max_connections,
      N_ ("Serve at most N clients at once; others wait (64)"), N_ ("N") },
    { "timeout", 't', 0, G_OPTION_ARG_INT, &options.timeout,
      N_ ("Cut off a client that keeps the daemon waiting for so long (30)"), N_ ("SECONDS") },
    { "drain", 'd', 0, G_OPTION_ARG_INT, &options.drain,
      N_ ("Give connections in progress so long to end on SIGTERM (10)"), N_ ("SECONDS") },
    { NULL, 0, 0, 0, NULL, NULL, NULL }
  };
  /* clang-format on */
  struct daemon daemon
      = { .options = &options, .listener = -1, .acceptor = -1, .sessions = -1, .drainer = -1, .free_slots = -1 };
  gboolean started;

  digest_program_init_language ();
  if (!digest_program_parse_options (
          entries, NULL, _ ("Computes the SHA-256 digests of the files that its clients send."), &argc, &argv)
      || !options_are_valid (&options, argc - 1))
    return EXIT_FAILURE;

  if (options.socket == NULL)
    options.socket = digest_program_default_socket ();

  /* A daemon does not die because nobody reads its messages any more.  (The library itself never raises SIGPIPE.) */
  signal (SIGPIPE, SIG_IGN);

  daemon.loop = g_main_loop_new (NULL, FALSE);
  started = start (&daemon);
  if (started)
    run (&daemon);
  stop (&daemon);
  if (started)
    print_account (&daemon);

  g_main_loop_unref (daemon.loop);
  g_free (options.socket);
  return started ? EXIT_SUCCESS : EXIT_FAILURE;
}
