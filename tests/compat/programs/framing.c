/* framing.c: what programs for libdill do with messages: requests and answers behind their length, a dialogue of lines,
 * a protocol of one's own that counts messages, and the way back to plain bytes.
 *
 * Takes a path for a socket, which it does not need.  Exits with 0 if everything happened as it should.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <libdill.h>
#include <libdillimpl.h>
#include <stdlib.h>
#include <string.h>

static coroutine void
answer (int s)
{
  char request[64];
  ssize_t length;

  s = prefix_attach (s, 2, PREFIX_BIG_ENDIAN);
  assert (s >= 0);
  while ((length = mrecv (s, request, sizeof request, -1)) >= 0)
    {
      struct iolist mark = { .iol_base = (void *) "!", .iol_len = 1 };
      struct iolist text = { .iol_base = request, .iol_len = (size_t) length, .iol_next = &mark };

      assert (msendl (s, &text, &mark, -1) == 0);
    }
  assert (errno == EPIPE);
  assert (hclose (s) == 0);
}

static void
requests (void)
{
  struct prefix_storage mem;
  char text[64];
  int s[2], server, client;

  assert (ipc_pair (s) == 0);
  server = go (answer (s[0]));
  client = prefix_attach_mem (s[1], 2, PREFIX_BIG_ENDIAN, &mem);
  assert (server >= 0 && client >= 0);
  for (int i = 0; i < 100; i++)
    {
      assert (msend (client, "hello", 5, now () + 5000) == 0);
      assert (mrecv (client, text, sizeof text, now () + 5000) == 6);
      assert (memcmp (text, "hello!", 6) == 0);
    }

  /* Back to plain bytes, for an orderly end. */
  client = prefix_detach (client);
  assert (client >= 0);
  assert (ipc_done (client, -1) == 0);
  assert (brecv (client, text, 1, now () + 5000) == -1 && errno == EPIPE);
  assert (hclose (client) == 0);
  assert (bundle_wait (server, now () + 5000) == 0);
  assert (hclose (server) == 0);
}

static void
lines (void)
{
  struct suffix_storage mem;
  char first[2], rest[8];
  struct iolist last = { .iol_base = rest, .iol_len = sizeof rest };
  struct iolist list = { .iol_base = first, .iol_len = 2, .iol_next = &last };
  int s[2];

  assert (ipc_pair (s) == 0);
  s[0] = suffix_attach (s[0], "\r\n", 2);
  s[1] = suffix_attach_mem (s[1], "\r\n", 2, &mem);
  assert (s[0] >= 0 && s[1] >= 0);
  assert (msend (s[0], "GET /", 5, -1) == 0);
  assert (msend (s[0], "", 0, -1) == 0);
  assert (mrecvl (s[1], &list, &last, -1) == 5);
  assert (memcmp (first, "GE", 2) == 0 && memcmp (rest, "T /", 3) == 0);
  assert (mrecv (s[1], rest, sizeof rest, -1) == 0);
  assert (mrecv (s[1], rest, sizeof rest, now () + 10) == -1 && errno == ETIMEDOUT);
  s[1] = suffix_detach (s[1], -1);
  assert (s[1] >= 0);
  assert (hclose (s[0]) == 0);
  assert (hclose (s[1]) == 0);
}

/* A protocol on top of messages. */
struct counter
{
  struct hvfs hvfs;
  struct msock_vfs mvfs;
  int s;
  int n;
};

static int
counter_msendl (struct msock_vfs *mvfs, struct iolist *first, struct iolist *last, int64_t deadline)
{
  struct counter *self = (struct counter *) (void *) ((char *) mvfs - offsetof (struct counter, mvfs));

  self->n++;
  return msendl (self->s, first, last, deadline);
}

static ssize_t
counter_mrecvl (struct msock_vfs *mvfs, struct iolist *first, struct iolist *last, int64_t deadline)
{
  struct counter *self = (struct counter *) (void *) ((char *) mvfs - offsetof (struct counter, mvfs));

  self->n++;
  return mrecvl (self->s, first, last, deadline);
}

static void *
counter_query (struct hvfs *hvfs, const void *type)
{
  struct counter *self = (struct counter *) hvfs;

  if (type == msock_type)
    return &self->mvfs;
  errno = ENOTSUP;
  return NULL;
}

static void
counter_close (struct hvfs *hvfs)
{
  hclose (((struct counter *) hvfs)->s);
}

static void
own_protocol (void)
{
  struct counter counter = { .n = 0 };
  char text[8];
  int s[2], h;

  assert (ipc_pair (s) == 0);
  s[1] = prefix_attach (s[1], 8, PREFIX_LITTLE_ENDIAN);
  counter.s = prefix_attach (s[0], 8, PREFIX_LITTLE_ENDIAN);
  counter.hvfs.query = counter_query;
  counter.hvfs.close = counter_close;
  counter.mvfs.msendl = counter_msendl;
  counter.mvfs.mrecvl = counter_mrecvl;
  h = hmake (&counter.hvfs);
  assert (s[1] >= 0 && counter.s >= 0 && h >= 0);

  assert (msend (h, "one", 3, -1) == 0);
  assert (mrecv (s[1], text, sizeof text, -1) == 3);
  assert (msend (s[1], "two", 3, -1) == 0);
  assert (mrecv (h, text, sizeof text, -1) == 3);
  assert (counter.n == 2);
  assert (hclose (h) == 0);
  assert (mrecv (s[1], text, sizeof text, now () + 5000) == -1 && errno == EPIPE);
  assert (hclose (s[1]) == 0);
}

int
main (void)
{
  requests ();
  lines ();
  own_protocol ();
  return EXIT_SUCCESS;
}
