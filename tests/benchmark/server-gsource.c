/* server-gsource.c: g_unix_fd_add () for each connection: what a GLib program does at first.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench.h"
#include <glib-unix.h>

static struct bench bench;
static char buf[BENCH_SIZE_MAX];

static gboolean
serve (int fd, GIOCondition condition, gpointer data)
{
  ssize_t n = read (fd, buf, bench.work == BENCH_SINK ? sizeof buf : bench.size);

  (void) condition;
  (void) data;
  if (n < 0 && errno == EAGAIN)
    return G_SOURCE_CONTINUE;

  if (n > 0 && bench.work == BENCH_SINK)
    return G_SOURCE_CONTINUE;
  if (n > 0 && write (fd, buf, (size_t) n) == n && bench.work != BENCH_ACCEPT)
    return G_SOURCE_CONTINUE;

  if (n == 0 && bench.work == BENCH_SINK && write (fd, "x", 1) < 0)
    warn ("write");
  close (fd);
  return G_SOURCE_REMOVE;
}

static gboolean
accept_one (int listener, GIOCondition condition, gpointer data)
{
  int fd = accept4 (listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

  (void) condition;
  (void) data;
  if (fd >= 0)
    g_unix_fd_add (fd, G_IO_IN, serve, NULL);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  bench = bench_parse (argc, argv);
  g_unix_fd_add (bench_listen (bench.path), G_IO_IN, accept_one, NULL);
  bench_ready ();
  g_main_loop_run (g_main_loop_new (NULL, FALSE));
}
