/* test-sealed.c: docs/examples/sealed/seal.c, a message protocol of a program's own on top of another one.
 *
 * Pins: messages arrive whole and in order, through dill_msend () and dill_mrecv () as on any message socket; an
 * attachment that fails leaves the socket beneath open; a handle that is closed while others wait on it harms nobody;
 * nor do several who send and receive on one.
 *
 * What becomes of messages that somebody on the way tampers with is in test-sealed-tampering.c.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sealed-utils.h"

/* --- Messages --- */

static void
test_messages (void)
{
  const gsize lengths[] = { 0, 1, 31, 32, 33, 4096, SEAL_MESSAGE_MAX };
  g_autofree guint8 *sent = g_malloc (SEAL_MESSAGE_MAX + 1), *received = g_malloc (SEAL_MESSAGE_MAX);
  int s[2];

  make_sealed_pair (s);
  fill_bytes (sent, SEAL_MESSAGE_MAX + 1, 0);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (lengths); i++)
    {
      gsize length = lengths[i / 2];
      int from = s[i & 1], to = s[~i & 1];

      g_assert_no_errno (dill_msend (from, sent, length, soon ()));
      g_assert_cmpint (dill_mrecv (to, received, SEAL_MESSAGE_MAX, soon ()), ==, (gint64) length);
      check_bytes (received, length, 0);
    }
  test_assert_errno (dill_msend (s[0], sent, SEAL_MESSAGE_MAX + 1, soon ()), EMSGSIZE);
  g_assert_no_errno (dill_msend (s[0], sent, 1, soon ()));
  close_pair (s);
}

/* Of a list the items without memory skip; a message that the buffer cannot hold is dropped alone. */
static void
test_lists (void)
{
  char head[3] = "abc", tail[3] = "xyz";
  struct dill_iolist last = { tail, 3, NULL, 0 }, middle = { NULL, 2, &last, 0 }, first = { head, 3, &middle, 0 };
  int s[2];

  make_sealed_pair (s);
  first.iol_next = &last;
  g_assert_no_errno (dill_msendl (s[0], &first, &last, soon ()));
  g_assert_no_errno (dill_msend (s[0], "too long for it", 15, soon ()));
  g_assert_no_errno (dill_msend (s[0], "next", 4, soon ()));

  first.iol_next = &middle;
  memset (head, 0, sizeof head);
  memset (tail, 0, sizeof tail);
  g_assert_cmpint (dill_mrecvl (s[1], &first, &last, soon ()), ==, 6);
  g_assert_cmpmem (head, 3, "abc", 3);
  g_assert_cmpmem (tail, 1, "z", 1); /* "xy" was skipped */
  test_assert_errno (dill_mrecvl (s[1], &first, &last, soon ()), EMSGSIZE);
  g_assert_cmpint (dill_mrecv (s[1], NULL, 4, soon ()), ==, 4);
  close_pair (s);
}

/* --- Putting it on, and taking it off --- */

/* The peer's part of an attachment, which then fails; the socket beneath is still there. */
static void
check_attach_fails (const void *peers, gsize length, int error)
{
  Call call;
  int s[2], h;

  make_prefixed_pair (s);
  h = start_seal (&call, s[0]);
  if (peers != NULL)
    g_assert_no_errno (dill_msend (s[1], peers, length, soon ()));
  else
    hand_on (s[1], s[1]);
  finish_call (h, &call);
  assert_call_errno (call, error);
  g_assert_no_errno (dill_msend (s[0], "still there", 11, soon ()));
  close_pair (s);
}

static void
test_attach_errors (void)
{
  int s[2], plain[2];

  make_prefixed_pair (s);
  make_pair (plain);
  test_assert_errno (seal_attach (-1, KEY, 1, soon ()), EBADF);
  test_assert_errno (seal_attach (plain[0], KEY, 1, soon ()), ENOTSUP);
  test_assert_errno (seal_attach (s[0], NULL, 1, soon ()), EINVAL);
  test_assert_errno (seal_attach (s[0], KEY, 0, soon ()), EINVAL);
  test_assert_errno (seal_attach (s[0], KEY, 1, 0), ETIMEDOUT);
  test_assert_errno (seal_detach (s[0]), ENOTSUP);
  close_pair (s);
  close_pair (plain);

  check_attach_fails ("short", 5, EBADMSG);
  check_attach_fails ("seventeen bytes..", 17, EBADMSG);
  check_attach_fails (NULL, 0, EBADMSG); /* our own bytes come back */
}

/* Somebody waits on the first of a sealed pair. */
static int
start_waiting (Call *call, int s[2])
{
  static char buffer[10];

  make_sealed_pair (s);
  *call = (Call){ .s = s[0], .buffer = buffer, .length = sizeof buffer, .deadline = soon () };
  return start_call (call_mrecv, call);
}

static void
test_detach (void)
{
  Call call;
  int s[2], h = start_waiting (&call, s);

  test_assert_errno (seal_detach (s[0]), EBUSY);
  g_assert_no_errno (dill_msend (s[1], "hello", 5, soon ()));
  finish_call (h, &call);
  g_assert_cmpint (call.result, ==, 5);

  s[0] = test_assert_ok (seal_detach (s[0]));
  s[1] = test_assert_ok (seal_detach (s[1]));
  g_assert_no_errno (dill_msend (s[0], "plain", 5, soon ()));
  g_assert_cmpint (dill_mrecv (s[1], NULL, 10, soon ()), ==, 5);
  close_pair (s);
}

/* --- A handle that is closed while somebody waits on it --- */

/* He is told, or, if DATA is set, has been given a message and has not run yet. */
static void
test_closed (gconstpointer data)
{
  Call call;
  int s[2], h = start_waiting (&call, s);

  if (data != NULL)
    {
      g_assert_no_errno (dill_msend (s[1], "hello", 5, soon ()));
      g_assert_false (call.is_done);
    }
  g_assert_no_errno (dill_hclose (s[0]));
  finish_call (h, &call);
  if (call.result < 0)
    assert_call_errno (call, ECANCELED);
  else
    g_assert_cmpint (call.result, ==, 5);
  test_assert_errno (dill_msend (s[0], "x", 1, soon ()), EBADF);
  g_assert_no_errno (dill_hclose (s[1]));
}

/* --- Several who use one socket --- */

#define N_MESSAGES 150 /* of each sender */

typedef struct
{
  int s[2];
  int plain[2];
  guint n_received;
} Crowd;

/* So long that each call of the library may be the one after which others go first. */
static void
work_a_little (void)
{
  gint64 end = g_get_monotonic_time () + 100;

  while (g_get_monotonic_time () < end)
    ;
}

static void
send_many (void *data)
{
  Crowd *crowd = data;

  for (guint i = 0; i < N_MESSAGES;)
    {
      if (dill_msend (crowd->s[0], "hello", 5, soon ()) < 0)
        {
          g_assert_cmpint (errno, ==, EBUSY);
          g_assert_no_errno (dill_yield ());
        }
      else if (++i % 50 == 25) /* one more call, so that it is not always the one above the seal */
        g_assert_no_errno (dill_bsend (crowd->plain[0], "x", 1, soon ()));
      work_a_little ();
    }
}

static void
receive_many (void *data)
{
  Crowd *crowd = data;
  char buffer[10];

  while (crowd->n_received < 2 * N_MESSAGES)
    {
      gssize length = dill_mrecv (crowd->s[1], buffer, sizeof buffer, soon ());

      if (length == 5)
        crowd->n_received++;
      else if (errno == ECANCELED)
        return;
      else
        {
          g_assert_cmpint (errno, ==, EBUSY);
          g_assert_no_errno (dill_yield ());
        }
      work_a_little ();
    }
}

static void
test_crowd (void)
{
  Crowd crowd = { .n_received = 0 };
  int bundle = test_assert_ok (dill_bundle ());

  make_sealed_pair (crowd.s);
  make_pair (crowd.plain);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_no_errno (dill_bundle_spawn (bundle, send_many, &crowd));
      g_assert_no_errno (dill_bundle_spawn (bundle, receive_many, &crowd));
    }
  while (crowd.n_received < 2 * N_MESSAGES)
    g_assert_no_errno (dill_msleep (dill_now () + 5));
  g_assert_no_errno (dill_hclose (bundle));
  close_pair (crowd.s);
  close_pair (crowd.plain);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/sealed/messages", test_messages);
  g_test_add_func ("/sealed/lists", test_lists);
  g_test_add_func ("/sealed/attach-errors", test_attach_errors);
  g_test_add_func ("/sealed/detach", test_detach);
  g_test_add_data_func ("/sealed/closed-while-waiting", NULL, test_closed);
  g_test_add_data_func ("/sealed/closed-after-delivery", "delivered", test_closed);
  g_test_add_func ("/sealed/crowd", test_crowd);
  return g_test_run ();
}
