/* test-sockets-off.c: a program that has names of its own where the library has those that are about sockets.
 *
 * Guarantees: with DILL_DISABLE_SOCKETS no header defines anything that is about IPC, byte streams or messages, under
 * raw names or dill_ names, and all else works.  A library that was configured without sockets needs no such request.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#define DILL_DISABLE_SOCKETS
#include "test-utils.h"
#include <dillipc/dillipc.h>
#include <libdill.h>
#include <libdillimpl.h>
#include <unistd.h>

#if defined(AF_UNIX) || defined(__G_IO_H__)
#error "a header about sockets was included"
#endif

/* Were one of these a macro, a type or a function of the headers, this would not compile. */
enum
{
  NO_NAME,
#include "raw-socket-names.inc"
  dill_bsend,
  dill_brecv_some,
  dill_mrecv,
  dill_bsock_type,
  dill_prefix_attach,
  dill_suffix_detach,
  dill_ipc_listen,
  dill_ipc_connect_full,
  dill_ipc_close,
  dill_ipc_peer,
  dill_ipc_steal_fd,
  dill_ipc_listener_source_new,
  dill_ipc_connection_source_new,
  dill_ipc_steal_connection,
  dill_ipc_from_connection,
  DILL_IPC_SIZE,
  N_NAMES
};

struct iolist
{
  int own;
};

struct dill_ipc_storage
{
  int own;
};

struct bsock_vfs
{
  int own;
};

static void
test_own_names (void)
{
  struct iolist iolist = { bsend };
  struct dill_ipc_storage storage = { dill_ipc_close };
  struct bsock_vfs vfs = { bsock_type };

  g_assert_cmpint (iolist.own + storage.own + vfs.own, ==, bsend + dill_ipc_close + bsock_type);
  g_assert_cmpint (N_NAMES, ==, DILL_IPC_SIZE + 1);
}

/* An object of one's own, and the rest of the library around it. */
struct token
{
  struct hvfs hvfs;
  int n_closed;
};

static void *
token_query (struct hvfs *vfs, const void *type)
{
  if (type == &token_query)
    return vfs;
  errno = ENOTSUP;
  return NULL;
}

static void
token_close (struct hvfs *vfs)
{
  ((struct token *) vfs)->n_closed++;
}

static coroutine void
hand_over (int ch, int fd)
{
  int value = 7;

  test_assert_ok (msleep (now () + 1));
  test_assert_ok (chsend (ch, &value, sizeof value, now () + 20000));
  test_assert_ok (fdin (fd, now () + 20000));
  test_assert_ok (chdone (ch));
}

static void
test_the_rest (void)
{
  struct token token = { { token_query, token_close }, 0 };
  int value = 0, ch[2], fds[2], b = test_assert_ok (bundle ()), h = test_assert_ok (hmake (&token.hvfs));
  struct chclause clause = { CHRECV, -1, &value, sizeof value };

  test_assert_ok (chmake (ch));
  test_assert_ok (pipe (fds));
  clause.ch = ch[1];
  test_assert_ok (bundle_go (b, hand_over (ch[0], fds[0])));
  g_assert_cmpint (choose (&clause, 1, now () + 20000), ==, 0);
  g_assert_cmpint (value, ==, 7);
  test_assert_errno (chrecv (ch[1], &value, sizeof value, 0), ETIMEDOUT);
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  test_assert_ok (bundle_wait (b, now () + 20000));
  test_assert_errno (chrecv (ch[1], &value, sizeof value, 0), EPIPE);
  dill_set_priority (G_PRIORITY_DEFAULT);

  g_assert_true (hquery (h, &token_query) == &token);
  test_assert_ok (hclose (hown (h)));
  g_assert_cmpint (token.n_closed, ==, 1);
  for (guint i = 0; i < 2; i++)
    {
      test_assert_ok (hclose (ch[i]));
      test_assert_ok (fdclean (fds[i]));
      close (fds[i]);
    }
  test_assert_ok (hclose (b));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/compat/sockets-off/own-names", test_own_names);
  g_test_add_func ("/compat/sockets-off/the-rest", test_the_rest);
  return g_test_run ();
}
