/* test-kinds.c: every function that takes a handle, with a handle of every kind.
 *
 * One that does not fit is ENOTSUP; one that is dead, was never given out, belongs to another thread or was inherited
 * over fork () is EBADF.  Whatever it is, nothing happens to the object.  IPC's own functions are in ipc/test-misuse.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

static char byte = 'x';
static char mem[256];
static struct dill_iolist item = { &byte, 1, NULL, 0 };

enum
{
  ON_BUNDLE = 1 << 0,
  ON_CHANNEL = 1 << 1,
  ON_LISTENER = 1 << 2,
  ON_CONNECTION = 1 << 3,
  ON_PREFIX = 1 << 4,
  ON_SUFFIX = 1 << 5,
  ON_OWN = 1 << 6, /* made by dill_hmake (), with no function table */
  ON_ANY = ~0,
  ON_MESSAGES = ON_PREFIX | ON_SUFFIX
};

static dill_coroutine void
never_run (void *data G_GNUC_UNUSED)
{
  g_assert_not_reached ();
}

static int
choose_one (int h, int op)
{
  struct dill_chclause clause = { op, h, &byte, 1 };
  int result = dill_choose (&clause, 1, 0);

  if (result < 0)
    return -1;
  g_assert_cmpint (result, ==, 0);
  return errno == 0 ? 0 : -1;
}

/* Which kinds a function is for, and a call of it with otherwise good arguments, which would succeed or wait. */
#define FUNCTIONS(F)                                                                                                   \
  F (ON_BUNDLE, dill_bundle_wait (h, -1))                                                                              \
  F (ON_BUNDLE, dill_bundle_wait (h, 0))                                                                               \
  F (ON_BUNDLE, dill_bundle_spawn (h, never_run, NULL))                                                                \
  F (ON_BUNDLE, dill_bundle_go (h, never_run (NULL)))                                                                  \
  F (ON_CHANNEL, dill_chsend (h, &byte, 1, -1))                                                                        \
  F (ON_CHANNEL, dill_chrecv (h, &byte, 1, -1))                                                                        \
  F (ON_CHANNEL, dill_chdone (h))                                                                                      \
  F (ON_CHANNEL, choose_one (h, DILL_CHSEND))                                                                          \
  F (ON_CHANNEL, choose_one (h, DILL_CHRECV))                                                                          \
  F (ON_CONNECTION, dill_bsend (h, &byte, 1, -1))                                                                      \
  F (ON_CONNECTION, dill_bsend (h, &byte, 0, 0))                                                                       \
  F (ON_CONNECTION, dill_bsendl (h, &item, &item, -1))                                                                 \
  F (ON_CONNECTION, dill_brecv (h, &byte, 1, -1))                                                                      \
  F (ON_CONNECTION, dill_brecv (h, &byte, 0, 0))                                                                       \
  F (ON_CONNECTION, dill_brecvl (h, &item, &item, -1))                                                                 \
  F (ON_CONNECTION, dill_brecv_some (h, &byte, 1, -1))                                                                 \
  F (ON_CONNECTION, dill_prefix_attach (h, 2, DILL_PREFIX_BIG_ENDIAN))                                                 \
  F (ON_CONNECTION, dill_prefix_attach_mem (h, 2, DILL_PREFIX_BIG_ENDIAN, mem))                                        \
  F (ON_CONNECTION, dill_suffix_attach (h, "\n", 1))                                                                   \
  F (ON_CONNECTION, dill_suffix_attach_mem (h, "\n", 1, mem))                                                          \
  F (ON_MESSAGES, dill_msend (h, &byte, 1, -1))                                                                        \
  F (ON_MESSAGES, dill_msendl (h, &item, &item, -1))                                                                   \
  F (ON_MESSAGES, dill_mrecv (h, &byte, 1, -1))                                                                        \
  F (ON_MESSAGES, dill_mrecvl (h, &item, &item, -1))                                                                   \
  F (ON_PREFIX, dill_prefix_detach (h))                                                                                \
  F (ON_SUFFIX, dill_suffix_detach (h, -1))

/* Calls each function that is not for KIND. */
static void
check_all (int h, int kind, int expected)
{
#define CHECK(kinds, call)                                                                                             \
  if (((kinds) &kind) == 0)                                                                                            \
    test_assert_errno (call, expected);
  FUNCTIONS (CHECK)
#undef CHECK
}

static void
check_dead (int h)
{
  check_all (h, 0, EBADF);
  test_assert_errno (dill_hclose (h), EBADF);
  test_assert_errno (dill_hown (h), EBADF);
  test_assert_null_errno (dill_hquery (h, dill_bsock_type), EBADF);
  test_assert_null_errno (dill_hquery (h, dill_msock_type), EBADF);
}

/* One handle of every kind, and what it takes to see that they live. */
typedef struct
{
  struct
  {
    int h;
    int kind;
  } handles[9];
  struct dill_hvfs own;
  int connection_peer;
  int message_peer;
  guint n_ended; /* of the coroutine, and the bundle's member */
} Zoo;

static void
zoo_init (Zoo *zoo, const char *path)
{
  int bundle = test_assert_ok (dill_bundle ()), connection[2], messages[2], lines[2], channel[2];

  *zoo = (Zoo) { .own = { query_nothing, close_nothing } };
  g_assert_no_errno (dill_bundle_spawn (bundle, sleep_for_ever, &zoo->n_ended));
  g_assert_no_errno (dill_chmake (channel));
  make_pair (connection);
  make_pair (messages);
  make_pair (lines);
  zoo->connection_peer = connection[1];
  zoo->message_peer = messages[1];
  zoo->handles[0].h = bundle;
  zoo->handles[0].kind = ON_BUNDLE;
  zoo->handles[1].h = test_assert_ok (dill_spawn (sleep_for_ever, &zoo->n_ended));
  zoo->handles[1].kind = ON_BUNDLE;
  for (guint i = 0; i < 2; i++)
    {
      zoo->handles[2 + i].h = channel[i];
      zoo->handles[2 + i].kind = ON_CHANNEL;
    }
  zoo->handles[4].h = test_assert_ok (dill_ipc_listen (path, 5));
  zoo->handles[4].kind = ON_LISTENER;
  zoo->handles[5].h = connection[0];
  zoo->handles[5].kind = ON_CONNECTION;
  zoo->handles[6].h = test_assert_ok (dill_prefix_attach (messages[0], 1, 0));
  zoo->handles[6].kind = ON_PREFIX;
  g_assert_no_errno (dill_hclose (lines[1]));
  zoo->handles[7].h = test_assert_ok (dill_suffix_attach (lines[0], "\n", 1));
  zoo->handles[7].kind = ON_SUFFIX;
  zoo->handles[8].h = test_assert_ok (dill_hmake (&zoo->own));
  zoo->handles[8].kind = ON_OWN;
}

/* All of them are as they were. */
static void
zoo_check (Zoo *zoo)
{
  char bytes[2];

  g_assert_cmpuint (zoo->n_ended, ==, 0);
  test_assert_errno (dill_bundle_wait (zoo->handles[0].h, 0), ETIMEDOUT);
  test_assert_errno (dill_chsend (zoo->handles[2].h, "x", 1, 0), ETIMEDOUT);
  test_assert_errno (dill_ipc_accept (zoo->handles[4].h, 0), ETIMEDOUT);
  g_assert_no_errno (dill_bsend (zoo->connection_peer, "x", 1, 0));
  g_assert_no_errno (dill_brecv (zoo->handles[5].h, bytes, 1, 0));
  g_assert_no_errno (dill_msend (zoo->handles[6].h, "y", 1, 0));
  g_assert_no_errno (dill_brecv (zoo->message_peer, bytes, 2, 0));
  g_assert_cmpmem (bytes, 2, "\1y", 2);
  test_assert_errno (dill_mrecv (zoo->handles[7].h, bytes, 1, 0), EPIPE);
}

static void
zoo_clear (Zoo *zoo)
{
  for (guint i = 0; i < G_N_ELEMENTS (zoo->handles); i++)
    {
      g_assert_no_errno (dill_hclose (zoo->handles[i].h));
      check_dead (zoo->handles[i].h);
    }
  g_assert_no_errno (dill_hclose (zoo->connection_peer));
  g_assert_no_errno (dill_hclose (zoo->message_peer));
  g_assert_cmpuint (zoo->n_ended, ==, 2);
}

static void
test_wrong (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Zoo zoo;

  zoo_init (&zoo, test->path);
  for (guint i = 0; i < G_N_ELEMENTS (zoo.handles); i++)
    {
      check_all (zoo.handles[i].h, zoo.handles[i].kind, ENOTSUP);
      test_assert_null_errno (dill_hquery (zoo.handles[i].h, &zoo), ENOTSUP);
    }
  zoo_check (&zoo);
  zoo_clear (&zoo);
}

/* The new number is the object; the old one is nothing. */
static void
test_owned (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Zoo zoo;

  zoo_init (&zoo, test->path);
  for (guint i = 0; i < G_N_ELEMENTS (zoo.handles); i++)
    {
      int old = zoo.handles[i].h;

      zoo.handles[i].h = test_assert_ok (dill_hown (old));
      check_dead (old);
      check_all (zoo.handles[i].h, zoo.handles[i].kind, ENOTSUP);
    }
  zoo_check (&zoo);
  zoo_clear (&zoo);
}

static void
test_never_given_out (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const int numbers[] = { -1, 0, 1, 2, 255, 4096, G_MININT, G_MAXINT };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    check_dead (numbers[i]);
}

static gpointer
use_in_thread (gpointer data)
{
  Zoo *zoo = data;

  for (guint i = 0; i < G_N_ELEMENTS (zoo->handles); i++)
    check_dead (zoo->handles[i].h);
  return NULL;
}

static void
test_foreign (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Zoo zoo;

  zoo_init (&zoo, test->path);
  test_in_thread (use_in_thread, &zoo);
  zoo_check (&zoo);
  zoo_clear (&zoo);
}

/* What was inherited can be closed, once, and that is all. */
static int
use_in_child (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Zoo *zoo = data;

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < G_N_ELEMENTS (zoo->handles); i++)
    {
      check_all (zoo->handles[i].h, 0, EBADF);
      test_assert_errno (dill_hown (zoo->handles[i].h), EBADF);
      g_assert_no_errno (dill_hclose (zoo->handles[i].h));
      check_dead (zoo->handles[i].h);
    }
  g_assert_cmpuint (zoo->n_ended, ==, 0); /* they are the parent's to run */

  /* The child's own numbers are others. */
  for (guint i = 0; i < G_N_ELEMENTS (zoo->handles); i++)
    {
      int h = test_assert_ok (dill_bundle ());

      g_assert_no_errno (dill_bundle_wait (h, 0));
      g_assert_no_errno (dill_hclose (h));
    }
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_inherited (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Zoo zoo;

  zoo_init (&zoo, test->path);
  g_assert_cmpint (test_in_child (use_in_child, &zoo), ==, 0);
  zoo_check (&zoo);
  zoo_clear (&zoo);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/kinds/wrong", test_wrong);
  test_add ("/kinds/owned", test_owned);
  test_add ("/kinds/never-given-out", test_never_given_out);
  test_add ("/kinds/foreign", test_foreign);
  test_add ("/kinds/inherited", test_inherited);
  return g_test_run ();
}
