/* test-headers-c.c: the headers in C, as programs for libdill and for this library use them.
 *
 * Guarantees: both editions of the API compile and work: memory as void * or as the storage structures, ipc_close ()
 * with one and with two arguments, and its address; <libdill.h>, <libdillimpl.h> and <dillipc/dillipc.h> go together;
 * a protocol of one's own is built with the raw names.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-utils.h"
#include <dillipc/dillipc.h>
#include <libdill.h>
#include <libdillimpl.h>
#include <stdlib.h>
#include <string.h>

/* The one edition has buffers of these sizes, the other has structures. */
G_STATIC_ASSERT (IPC_SIZE == sizeof (struct ipc_storage));
G_STATIC_ASSERT (IPC_LISTENER_SIZE == sizeof (struct ipc_listener_storage));
G_STATIC_ASSERT (IPC_PAIR_SIZE == sizeof (struct ipc_pair_storage));

/* Raw names and dill_ names are the same functions and types. */
G_STATIC_ASSERT (__builtin_types_compatible_p (struct iolist, struct dill_iolist));
G_STATIC_ASSERT (__builtin_types_compatible_p (struct hvfs, struct dill_hvfs));
G_STATIC_ASSERT (__builtin_types_compatible_p (struct bsock_vfs, struct dill_bsock_vfs));
G_STATIC_ASSERT (__builtin_types_compatible_p (struct bundle_storage, struct dill_bundle_storage));

/* Programs leave the names of members out, and may have the numbers of operations in tables of their own. */
G_STATIC_ASSERT (CHSEND == 1 && CHRECV == 2);
G_STATIC_ASSERT (offsetof (struct chclause, op) < offsetof (struct chclause, ch));
G_STATIC_ASSERT (offsetof (struct chclause, ch) < offsetof (struct chclause, val));
G_STATIC_ASSERT (offsetof (struct chclause, val) < offsetof (struct chclause, len));
G_STATIC_ASSERT (offsetof (struct iolist, iol_base) < offsetof (struct iolist, iol_len));
G_STATIC_ASSERT (offsetof (struct iolist, iol_len) < offsetof (struct iolist, iol_next));
G_STATIC_ASSERT (offsetof (struct iolist, iol_next) < offsetof (struct iolist, iol_rsvd));

/* What the pages show, by type. */
static int (*const listen_pointer) (const char *, int) = ipc_listen;
static int (*const listen_mem_pointer) (const char *, int, void *) = ipc_listen_mem;
static int (*const accept_pointer) (int, int64_t) = ipc_accept;
static int (*const connect_pointer) (const char *, int64_t) = ipc_connect;
static int (*const close_pointer) (int, int64_t) = ipc_close;
static int (*const dill_close_pointer) (int, int64_t) = dill_ipc_close;
static int (*const bsend_pointer) (int, const void *, size_t, int64_t) = bsend;
static int (*const brecv_pointer) (int, void *, size_t, int64_t) = brecv;
static int64_t (*const now_pointer) (void) = now;
static int (*const yield_pointer) (void) = yield;

/* Closes the other end, so that a close with a handshake has nothing to wait for. */
static int
pair_with_closed_end (void)
{
  int s[2];

  test_assert_ok (ipc_pair (s));
  test_assert_ok (hclose (s[1]));
  return s[0];
}

static void
test_close_arguments (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int s[2];

  test_assert_ok (ipc_close (pair_with_closed_end ()));
  test_assert_ok (ipc_close (pair_with_closed_end (), -1));
  test_assert_ok (dill_ipc_close (pair_with_closed_end ()));
  test_assert_ok (dill_ipc_close (pair_with_closed_end (), now () + 20000));
  test_assert_ok ((ipc_close) (pair_with_closed_end (), -1));
  test_assert_ok (ipc_close (ipc_listen (test->path, 10)));
  test_assert_ok (ipc_close (ipc_listen (test->path, 10), 0));

  /* The second argument is the deadline. */
  test_assert_ok (ipc_pair (s));
  test_assert_errno (ipc_close (s[0], 0), ETIMEDOUT);
  test_assert_errno (ipc_close (s[0]), EBADF);
  test_assert_ok (hclose (s[1]));
}

/* An argument is evaluated once, and may be any expression. */
static void
test_close_evaluates_once (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  int handles[3], next = 0;

  for (guint i = 0; i < 3; i++)
    handles[i] = pair_with_closed_end ();
  test_assert_ok (ipc_close (handles[next++]));
  test_assert_ok (ipc_close (handles[next++], -1));
  test_assert_ok (ipc_close ((next++, handles[2])));
  g_assert_cmpint (next, ==, 3);
  for (guint i = 0; i < 3; i++)
    test_assert_errno (ipc_close (handles[i]), EBADF);
}

static void
test_addresses (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  int listener = test_assert_ok (listen_pointer (test->path, 10));
  int client = test_assert_ok (connect_pointer (test->path, -1));
  int server = test_assert_ok (accept_pointer (listener, -1));
  char byte;

  test_assert_ok (bsend_pointer (client, "x", 1, now_pointer () + 20000));
  test_assert_ok (brecv_pointer (server, &byte, 1, -1));
  test_assert_ok (hclose (client));
  test_assert_ok (close_pointer (server, -1));
  test_assert_ok (dill_close_pointer (listener, -1));
  test_assert_ok (yield_pointer ());
}

static void
test_storage_structures (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  struct ipc_listener_storage listener_mem;
  struct ipc_storage client_mem, server_mem;
  struct ipc_pair_storage pair_mem;
  int listener = test_assert_ok (ipc_listen_mem (test->path, 10, &listener_mem));
  int client = test_assert_ok (ipc_connect_mem (test->path, &client_mem, -1));
  int server = test_assert_ok (ipc_accept_mem (listener, &server_mem, -1));
  int pair[2];

  test_assert_ok (ipc_pair_mem (&pair_mem, pair));
  test_assert_ok (hclose (pair[0]));
  test_assert_ok (hclose (pair[1]));
  test_assert_ok (hclose (client));
  test_assert_ok (hclose (server));
  test_assert_ok (ipc_close (listener));
}

/* At an odd address, with nothing but the bytes that were promised. */
static void
test_buffers (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  char listener_mem[1 + IPC_LISTENER_SIZE + 1], client_mem[1 + IPC_SIZE + 1], server_mem[1 + IPC_SIZE + 1];
  int listener, client, server;

  memset (listener_mem, 0x5a, sizeof listener_mem);
  memset (client_mem, 0x5a, sizeof client_mem);
  memset (server_mem, 0x5a, sizeof server_mem);
  listener = test_assert_ok (listen_mem_pointer (test->path, 10, listener_mem + 1));
  client = test_assert_ok (ipc_connect_mem (test->path, client_mem + 1, -1));
  server = test_assert_ok (ipc_accept_mem (listener, server_mem + 1, -1));
  test_assert_ok (bsend (client, "abc", 3, -1));
  test_assert_ok (brecv (server, NULL, 3, -1));
  test_assert_ok (hclose (client));
  test_assert_ok (ipc_close (server));
  test_assert_ok (ipc_close (listener));
  g_assert_cmpint (listener_mem[0] & listener_mem[sizeof listener_mem - 1], ==, 0x5a);
  g_assert_cmpint (client_mem[0] & client_mem[sizeof client_mem - 1], ==, 0x5a);
  g_assert_cmpint (server_mem[0] & server_mem[sizeof server_mem - 1], ==, 0x5a);
}

/* A protocol of one's own, as libdill's tutorial builds them: every byte is sent upside down. */
struct invert
{
  struct hvfs hvfs;
  struct bsock_vfs bvfs;
  int underlying;
};

static const int invert_type_placeholder = 0;
static const void *const invert_type = &invert_type_placeholder;

static void *
invert_query (struct hvfs *hvfs, const void *type)
{
  struct invert *self = (struct invert *) hvfs;

  if (type == bsock_type)
    return &self->bvfs;
  if (type == invert_type)
    return self;
  errno = ENOTSUP;
  return NULL;
}

static void
invert_close (struct hvfs *hvfs)
{
  struct invert *self = (struct invert *) hvfs;

  hclose (self->underlying);
  free (self);
}

static void
invert_bytes (char *bytes, size_t length)
{
  for (size_t i = 0; i < length; i++)
    bytes[i] = (char) ~bytes[i];
}

static int
invert_bsendl (struct bsock_vfs *bvfs, struct iolist *first, struct iolist *last G_GNUC_UNUSED, int64_t deadline)
{
  struct invert *self = (struct invert *) ((char *) bvfs - offsetof (struct invert, bvfs));

  for (struct iolist *item = first; item != NULL; item = item->iol_next)
    {
      g_autofree char *copy = g_malloc (item->iol_len);

      memcpy (copy, item->iol_base, item->iol_len);
      invert_bytes (copy, item->iol_len);
      if (bsend (self->underlying, copy, item->iol_len, deadline) < 0)
        return -1;
    }
  return 0;
}

static int
invert_brecvl (struct bsock_vfs *bvfs, struct iolist *first, struct iolist *last, int64_t deadline)
{
  struct invert *self = (struct invert *) ((char *) bvfs - offsetof (struct invert, bvfs));

  if (brecvl (self->underlying, first, last, deadline) < 0)
    return -1;
  for (struct iolist *item = first; item != NULL; item = item->iol_next)
    invert_bytes (item->iol_base, item->iol_len);
  return 0;
}

static int
invert_attach (int s)
{
  struct invert *self = malloc (sizeof *self);

  self->hvfs = (struct hvfs) { invert_query, invert_close };
  self->bvfs = (struct bsock_vfs) { .bsendl = invert_bsendl, .brecvl = invert_brecvl };
  self->underlying = test_assert_ok (hown (s));
  return hmake (&self->hvfs);
}

static void
test_own_protocol (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  char head[3], tail[2];
  struct iolist second = { .iol_base = tail, .iol_len = 2 };
  struct iolist first = { .iol_base = head, .iol_len = 3, .iol_next = &second };
  int s[2], plain, inverted;

  test_assert_ok (ipc_pair (s));
  plain = s[0];
  inverted = test_assert_ok (invert_attach (s[1]));
  g_assert_nonnull (hquery (inverted, invert_type));
  g_assert_true (((struct bsock_vfs *) hquery (inverted, bsock_type))->bsendl == invert_bsendl);
  test_assert_null_errno (hquery (plain, invert_type), ENOTSUP);

  test_assert_ok (bsend (inverted, "hello", 5, -1));
  test_assert_ok (brecvl (plain, &first, &second, -1));
  invert_bytes (head, 3);
  invert_bytes (tail, 2);
  g_assert_cmpmem (head, 3, "hel", 3);
  g_assert_cmpmem (tail, 2, "lo", 2);

  test_assert_ok (bsendl (plain, &first, &second, -1));
  test_assert_ok (brecvl (inverted, &first, &second, -1));
  invert_bytes (head, 3);
  g_assert_cmpmem (head, 3, "hel", 3);

  test_assert_ok (hclose (inverted));
  test_assert_errno (brecv (plain, NULL, 1, -1), EPIPE);
  test_assert_ok (hclose (plain));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/compat/headers-c/close-arguments", test_close_arguments);
  test_add ("/compat/headers-c/close-evaluates-once", test_close_evaluates_once);
  test_add ("/compat/headers-c/addresses", test_addresses);
  test_add ("/compat/headers-c/storage-structures", test_storage_structures);
  test_add ("/compat/headers-c/buffers", test_buffers);
  test_add ("/compat/headers-c/own-protocol", test_own_protocol);

  return g_test_run ();
}
