/* hand-over.c: descriptors travel through a connection, each at its place in the stream.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "check.h"
#include <fcntl.h>
#include <libdill.h>
#include <unistd.h>

/* Opens what it is asked for: "r" gives the reading end of a new pipe that holds a text, "q" ends. */
static coroutine void
opener (int s)
{
  char request;

  while (brecv (s, &request, 1, -1) == 0 && request == 'r')
    {
      int fds[2];

      check (pipe (fds) == 0);
      check (write (fds[1], "through the pipe", 16) == 16 && close (fds[1]) == 0);
      check (bsend (s, "here:", 5, -1) == 0);
      check (ipc_sendfd (s, fds[0], -1) == 0);
      check (close (fds[0]) == 0);
      check (bsend (s, ".", 1, -1) == 0);
    }
  check (ipc_close (s, now () + 5000) == 0);
}

static int
ask (int s)
{
  char text[5];
  int fd;

  check (bsend (s, "r", 1, -1) == 0);
  check (brecv (s, text, 5, now () + 5000) == 0 && memcmp (text, "here:", 5) == 0);
  fd = ipc_recvfd (s, now () + 5000);
  check (fd >= 0);
  check (brecv (s, text, 1, now () + 5000) == 0 && text[0] == '.');
  return fd;
}

int
main (void)
{
  int s[2], helper, wrapped[2], plain[2];
  char text[16];

  check (ipc_pair (s) == 0);
  helper = go (opener (s[1]));
  check (helper >= 0);
  for (int i = 0; i < 20; i++)
    {
      int fd = ask (s[0]);

      check (fdin (fd, now () + 5000) == 0);
      check (read (fd, text, sizeof text) == 16 && memcmp (text, "through the pipe", 16) == 0);
      check (read (fd, text, 1) == 0);
      check (fdclean (fd) == 0 && close (fd) == 0);
    }
  check_fails (ipc_recvfd (s[0], 0), ETIMEDOUT);
  check (bsend (s[0], "q", 1, -1) == 0);
  check (ipc_close (s[0], now () + 5000) == 0);
  check (bundle_wait (helper, now () + 5000) == 0 && hclose (helper) == 0);

  /* Sockets that come from elsewhere. */
  check (socketpair (AF_UNIX, SOCK_STREAM, 0, plain) == 0);
  for (int i = 0; i < 2; i++)
    check ((wrapped[i] = ipc_fromfd (plain[i])) >= 0);
  check (bsend (wrapped[0], "hello", 5, -1) == 0);
  check (brecv (wrapped[1], text, 5, now () + 5000) == 0 && memcmp (text, "hello", 5) == 0);
  check (hclose (wrapped[0]) == 0);
  check_fails (brecv (wrapped[1], text, 1, now () + 5000), EPIPE);
  check (hclose (wrapped[1]) == 0);
  return 0;
}
