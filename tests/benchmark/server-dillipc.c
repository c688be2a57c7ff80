/* server-dillipc.c: the same by dillipc, a coroutine for each connection.
 *
 * The option "main" serves one connection on the main stack, "spin" lets the main context spin; otherwise everything
 * happens under g_main_loop_run ().
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench.h"
#include <dillipc/dillipc.h>

#define SPIN_US 15

static struct bench bench;

/* A connection costs the program its storage, and no allocation. */
struct session
{
  struct session *next; /* of those that are free */
  char mem[DILL_IPC_SIZE];
  char buf[];
};

static struct session *free_sessions;

static struct session *
take_session (void)
{
  struct session *session = free_sessions;

  if (session == NULL)
    return malloc (sizeof *session + (bench.work == BENCH_SINK ? BENCH_SIZE_MAX : bench.size));

  free_sessions = session->next;
  return session;
}

static void
echo (int s, char *buf)
{
  while (dill_brecv (s, buf, bench.size, -1) == 0)
    if (dill_bsend (s, buf, bench.size, -1) < 0)
      return;
}

static void
sink (int s, char *buf)
{
  while (dill_brecv_some (s, buf, BENCH_SIZE_MAX, -1) > 0)
    continue;
  dill_bsend (s, "x", 1, -1);
}

static void
frames (int s, char *buf)
{
  int m = dill_prefix_attach (s, 4, DILL_PREFIX_LITTLE_ENDIAN);

  while (dill_mrecv (m, buf, bench.size, -1) >= 0)
    continue;
  s = dill_prefix_detach (m);
  dill_bsend (s, "x", 1, -1);
  dill_hclose (s);
}

static dill_coroutine void
serve (int s, struct session *session)
{
  if (bench.work == BENCH_FRAMES)
    frames (s, session->buf);
  else
    {
      if (bench.work == BENCH_SINK)
        sink (s, session->buf);
      else if (bench.work == BENCH_ECHO)
        echo (s, session->buf);
      else if (dill_brecv (s, session->buf, 1, -1) == 0)
        dill_bsend (s, session->buf, 1, -1);
      dill_hclose (s);
    }

  session->next = free_sessions;
  free_sessions = session;
}

static dill_coroutine void
serve_all (int listener, int sessions)
{
  for (;;)
    {
      struct session *session = take_session ();
      int s = dill_ipc_accept_mem (listener, session->mem, -1);

      if (s < 0 || dill_bundle_go (sessions, serve (s, session)) < 0)
        err (1, "accept");
    }
}

int
main (int argc, char **argv)
{
  int listener, sessions;

  bench = bench_parse (argc, argv);
  if (strcmp (bench.option, "spin") == 0)
    dill_set_spin (SPIN_US);

  listener = dill_ipc_listen (bench.path, 4096);
  sessions = dill_bundle ();
  if (listener < 0)
    err (1, "%s", bench.path);

  bench_ready ();
  if (strcmp (bench.option, "main") == 0)
    for (;;)
      {
        struct session *session = take_session ();

        serve (dill_ipc_accept_mem (listener, session->mem, -1), session);
      }

  if (dill_bundle_go (sessions, serve_all (listener, sessions)) < 0)
    err (1, "go");
  g_main_loop_run (g_main_loop_new (NULL, FALSE));
}
