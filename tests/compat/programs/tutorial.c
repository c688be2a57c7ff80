/* tutorial.c: what typical programs for libdill do: a greeting server, a fan-out with deadlines, a tree of coroutines
 * that is cancelled, a protocol of one's own.
 *
 * Takes a path for a socket.  Exits with 0 if everything happened as it should.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <libdill.h>
#include <libdillimpl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The greeting server: one coroutine for each connection, with a deadline for the whole dialogue. */

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

static coroutine void
dialogue (int s, int *n_greeted)
{
  int64_t deadline = now () + 20000;
  char name[64], greeting[96];

  if (send_line (s, "What's your name?", deadline) == 0 && receive_line (s, name, sizeof name, deadline) == 0)
    {
      snprintf (greeting, sizeof greeting, "Hello, %s!", name);
      if (send_line (s, greeting, deadline) == 0 && ipc_close (s, deadline) == 0)
        {
          ++*n_greeted;
          return;
        }
    }
  hclose (s);
}

static coroutine void
greeter (int ls, int *n_greeted)
{
  int dialogues = bundle ();
  int s;

  while ((s = ipc_accept (ls, -1)) >= 0)
    assert (bundle_go (dialogues, dialogue (s, n_greeted)) == 0);
  assert (errno == ECANCELED);
  assert (hclose (dialogues) == 0);
}

static coroutine void
visitor (const char *path, int number, int *n_happy)
{
  char name[16], expected[32], line[64];
  int s = ipc_connect (path, now () + 20000);

  assert (s >= 0);
  snprintf (name, sizeof name, "visitor %d", number);
  snprintf (expected, sizeof expected, "Hello, visitor %d!", number);
  assert (receive_line (s, line, sizeof line, now () + 20000) == 0);
  assert (strcmp (line, "What's your name?") == 0);
  assert (send_line (s, name, now () + 20000) == 0);
  assert (receive_line (s, line, sizeof line, now () + 20000) == 0);
  assert (strcmp (line, expected) == 0);
  assert (ipc_close (s, now () + 20000) == 0);
  ++*n_happy;
}

static void
greet (const char *path)
{
  int n_greeted = 0, n_happy = 0;
  int ls = ipc_listen (path, 10);
  int server, visitors;

  assert (ls >= 0);
  server = go (greeter (ls, &n_greeted));
  visitors = bundle ();
  assert (server >= 0 && visitors >= 0);
  for (int i = 0; i < 10; i++)
    assert (bundle_go (visitors, visitor (path, i, &n_happy)) == 0);
  assert (bundle_wait (visitors, now () + 20000) == 0);
  assert (n_happy == 10);

  /* A visitor is done when the greeter's end of the connection may have yet to learn that. */
  while (n_greeted < 10)
    assert (yield () == 0);
  assert (hclose (visitors) == 0 && hclose (server) == 0 && ipc_close (ls) == 0);
}

/* The fan-out: workers of different speed, of which those count that are ready in time. */

static coroutine void
worker (int speed, int results)
{
  if (msleep (speed == 0 ? now () + 1 : -1) < 0)
    {
      assert (errno == ECANCELED);
      return;
    }
  assert (bsend (results, &speed, sizeof speed, now () + 20000) == 0);
}

static void
fan_out (void)
{
  int workers = bundle ();
  int ends[2], speed;

  assert (ipc_pair (ends) == 0);
  for (int i = 0; i < 6; i++)
    assert (bundle_go (workers, worker (i % 2, ends[1])) == 0);
  for (int i = 0; i < 3; i++)
    {
      assert (brecv (ends[0], &speed, sizeof speed, now () + 20000) == 0);
      assert (speed == 0);
    }
  assert (bundle_wait (workers, now () + 5) == -1 && errno == ETIMEDOUT);
  assert (hclose (workers) == 0);
  assert (brecv (ends[0], &speed, sizeof speed, 0) == -1 && errno == ETIMEDOUT);
  assert (hclose (ends[0]) == 0 && hclose (ends[1]) == 0);
}

/* The tree: who is cancelled cancels its children, and is gone after them. */

struct tree
{
  int n_alive, n_cancelled;
};

static coroutine void
branch (struct tree *tree, int depth)
{
  int children = bundle ();

  tree->n_alive++;
  for (int i = 0; depth > 0 && i < 3; i++)
    assert (bundle_go (children, branch (tree, depth - 1)) == 0);
  if (bundle_wait (children, -1) == 0)
    assert (msleep (-1) == -1);
  assert (errno == ECANCELED);
  tree->n_cancelled++;
  assert (hclose (children) == 0);
  tree->n_alive--;
}

static void
cancel_tree (void)
{
  struct tree tree = { 0, 0 };
  int root = go (branch (&tree, 3));

  assert (root >= 0 && tree.n_alive == 1 + 3 + 9 + 27);
  assert (yield () == 0);
  assert (tree.n_cancelled == 0);
  assert (hclose (root) == 0);
  assert (tree.n_alive == 0 && tree.n_cancelled == 40);
}

/* The protocol: a byte stream that counts what goes through it, on top of any other. */

struct counting
{
  struct hvfs hvfs;
  struct bsock_vfs bvfs;
  int underlying;
  size_t n_sent, n_received;
};

static const int counting_type_placeholder = 0;
#define counting_type (&counting_type_placeholder)

static struct counting *
counting_of (struct bsock_vfs *bvfs)
{
  return (struct counting *) ((char *) bvfs - offsetof (struct counting, bvfs));
}

static size_t
total (const struct iolist *item)
{
  size_t length = 0;

  for (; item != NULL; item = item->iol_next)
    length += item->iol_len;
  return length;
}

static int
counting_bsendl (struct bsock_vfs *bvfs, struct iolist *first, struct iolist *last, int64_t deadline)
{
  struct counting *self = counting_of (bvfs);

  if (bsendl (self->underlying, first, last, deadline) < 0)
    return -1;
  self->n_sent += total (first);
  return 0;
}

static int
counting_brecvl (struct bsock_vfs *bvfs, struct iolist *first, struct iolist *last, int64_t deadline)
{
  struct counting *self = counting_of (bvfs);

  if (brecvl (self->underlying, first, last, deadline) < 0)
    return -1;
  self->n_received += total (first);
  return 0;
}

static void *
counting_query (struct hvfs *hvfs, const void *type)
{
  struct counting *self = (struct counting *) hvfs;

  if (type == bsock_type)
    return &self->bvfs;
  if (type == counting_type)
    return self;
  errno = ENOTSUP;
  return NULL;
}

static void
counting_close (struct hvfs *hvfs)
{
  struct counting *self = (struct counting *) hvfs;

  assert (hclose (self->underlying) == 0);
  free (self);
}

static int
counting_attach (int s)
{
  struct counting *self;
  int h;

  if (hquery (s, bsock_type) == NULL)
    return -1;
  self = calloc (1, sizeof *self);
  assert (self != NULL);
  self->hvfs.query = counting_query;
  self->hvfs.close = counting_close;
  self->bvfs.bsendl = counting_bsendl;
  self->bvfs.brecvl = counting_brecvl;
  self->underlying = hown (s);
  h = hmake (&self->hvfs);
  assert (h >= 0);
  return h;
}

static coroutine void
echo (int s)
{
  char byte;

  while (brecv (s, &byte, 1, -1) == 0)
    assert (bsend (s, &byte, 1, -1) == 0);
  assert (errno == EPIPE);
  assert (hclose (s) == 0);
}

static void
own_protocol (void)
{
  struct counting *counting;
  int ends[2], other, s;
  char reply[8];

  assert (ipc_pair (ends) == 0);
  s = counting_attach (counting_attach (ends[0]));
  other = go (echo (ends[1]));
  assert (s >= 0 && other >= 0);
  assert (bsend (s, "protocol", 8, now () + 20000) == 0);
  assert (brecv (s, reply, 8, now () + 20000) == 0);
  assert (memcmp (reply, "protocol", 8) == 0);
  counting = hquery (s, counting_type);
  assert (counting != NULL && counting->n_sent == 8 && counting->n_received == 8);
  assert (counting_attach (other) == -1 && errno == ENOTSUP);
  assert (hclose (s) == 0);
  assert (bundle_wait (other, now () + 20000) == 0);
  assert (hclose (other) == 0);
}

int
main (int argc, char **argv)
{
  assert (argc == 2);
  for (int i = 0; i < 3; i++)
    {
      greet (argv[1]);
      fan_out ();
      cancel_tree ();
      own_protocol ();
    }
  puts ("the tutorial works");
  return 0;
}
