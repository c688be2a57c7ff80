/* greeting.c: a server that asks its clients' names and greets them, and one that counts how that went.
 *
 * test-libdill-programs.py builds this one in many ways.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"
#include <libdill.h>
#include <unistd.h>

#define ADDRESS "greeting.sock"
#define N_CLIENTS 20

enum
{
  CONNECTED,
  GREETED,
  FAILED,
  N_EVENTS
};

static int counts[N_EVENTS];

static coroutine void
statistics (int ch)
{
  int event;

  while (chrecv (ch, &event, sizeof event, -1) == 0)
    {
      check (event >= 0 && event < N_EVENTS);
      counts[event]++;
    }
  check (errno == EPIPE);
}

/* Receives up to a line feed, which becomes a zero byte. */
static int
receive_line (int s, char *line, size_t size, int64_t deadline)
{
  for (size_t i = 0; i < size; i++)
    {
      if (brecv (s, &line[i], 1, deadline) < 0)
        return -1;
      if (line[i] == '\n')
        {
          line[i] = '\0';
          return 0;
        }
    }
  errno = EMSGSIZE;
  return -1;
}

static int
send_line (int s, const char *line, int64_t deadline)
{
  struct iolist end = { .iol_base = (void *) "\n", .iol_len = 1 };
  struct iolist text = { .iol_base = (void *) line, .iol_len = strlen (line), .iol_next = &end };

  return bsendl (s, &text, &end, deadline);
}

static int
dialogue (int s, int64_t deadline)
{
  char name[64], text[80];

  if (send_line (s, "What's your name?", deadline) < 0 || receive_line (s, name, sizeof name, deadline) < 0)
    return -1;
  snprintf (text, sizeof text, "Hello, %s!", name);
  return send_line (s, text, deadline);
}

static coroutine void
greet (int s, int ch)
{
  int event = CONNECTED;

  check (chsend (ch, &event, sizeof event, -1) == 0);
  event = dialogue (s, now () + 500) == 0 ? GREETED : FAILED;
  check (chsend (ch, &event, sizeof event, -1) == 0);
  if (event == GREETED)
    check (ipc_close (s, now () + 5000) == 0);
  else
    check (hclose (s) == 0);
}

static coroutine void
serve (int listener, int ch)
{
  int clients = bundle (), s;

  while ((s = ipc_accept (listener, -1)) >= 0)
    check (bundle_go (clients, greet (s, ch)) == 0);
  check (errno == ECANCELED);
  check (hclose (clients) == 0);
}

static coroutine void
client (int number)
{
  int s = ipc_connect (ADDRESS, now () + 5000);
  char line[64], name[16], expected[64];

  check (s >= 0 && receive_line (s, line, sizeof line, now () + 5000) == 0);
  check (strcmp (line, "What's your name?") == 0);
  if (number % 5 == 4)
    {
      check_fails (brecv (s, line, 1, -1), EPIPE); /* it says nothing, until the server loses patience */
      check (hclose (s) == 0);
      return;
    }
  snprintf (name, sizeof name, "client %d", number);
  snprintf (expected, sizeof expected, "Hello, client %d!", number);
  check (send_line (s, name, now () + 5000) == 0);
  check (receive_line (s, line, sizeof line, now () + 5000) == 0 && strcmp (line, expected) == 0);
  check (ipc_close (s, now () + 5000) == 0);
}

int
main (void)
{
  int listener = ipc_listen (ADDRESS, 10), ch[2], counter, server, clients = bundle ();

  check (listener >= 0 && chmake (ch) == 0);
  counter = go (statistics (ch[0]));
  server = go (serve (listener, ch[1]));
  check (counter >= 0 && server >= 0);
  for (int i = 0; i < N_CLIENTS; i++)
    check (bundle_go (clients, client (i)) == 0);
  check (bundle_wait (clients, now () + 10000) == 0);
  check (hclose (clients) == 0 && hclose (server) == 0 && hclose (listener) == 0);
  check (chdone (ch[1]) == 0);
  check (bundle_wait (counter, now () + 5000) == 0 && hclose (counter) == 0);
  check (hclose (ch[0]) == 0 && hclose (ch[1]) == 0);

  check (counts[CONNECTED] == N_CLIENTS);
  check (counts[FAILED] == N_CLIENTS / 5);
  check (counts[GREETED] == N_CLIENTS - N_CLIENTS / 5);
  check_fails (access (ADDRESS, F_OK), ENOENT);
  return 0;
}
