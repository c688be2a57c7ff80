/* server-uv.c: libuv's pipes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "bench.h"
#include <uv.h>

static struct bench bench;

struct session
{
  uv_pipe_t pipe;
  char buf[];
};

static void
on_closed (uv_handle_t *handle)
{
  free (handle->data);
}

static void
allocate (uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
  struct session *session = handle->data;

  (void) size;
  *buf = uv_buf_init (session->buf, (unsigned) (bench.work == BENCH_SINK ? BENCH_SIZE_MAX : bench.size));
}

static void
on_read (uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
  uv_buf_t answer = n > 0 ? uv_buf_init (buf->base, (unsigned) n) : uv_buf_init ((char *) "x", 1);

  if (n == 0 || (n > 0 && bench.work == BENCH_SINK))
    return;

  if ((n > 0 || (n == UV_EOF && bench.work == BENCH_SINK)) && uv_try_write (stream, &answer, 1) < 0)
    errx (1, "cannot write");
  if (n < 0 || bench.work != BENCH_ECHO)
    uv_close ((uv_handle_t *) stream, on_closed);
}

static void
on_connection (uv_stream_t *listener, int status)
{
  struct session *session
      = malloc (sizeof *session + (bench.work == BENCH_SINK ? BENCH_SIZE_MAX : bench.size));

  if (status < 0)
    errx (1, "%s", uv_strerror (status));
  uv_pipe_init (listener->loop, &session->pipe, 0);
  session->pipe.data = session;
  if (uv_accept (listener, (uv_stream_t *) &session->pipe) == 0)
    uv_read_start ((uv_stream_t *) &session->pipe, allocate, on_read);
}

int
main (int argc, char **argv)
{
  uv_pipe_t listener;

  bench = bench_parse (argc, argv);
  uv_pipe_init (uv_default_loop (), &listener, 0);
  if (uv_pipe_bind (&listener, bench.path) < 0 || uv_listen ((uv_stream_t *) &listener, 4096, on_connection) < 0)
    errx (1, "%s: cannot listen", bench.path);
  bench_ready ();
  return uv_run (uv_default_loop (), UV_RUN_DEFAULT);
}
