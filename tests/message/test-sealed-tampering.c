/* test-sealed-tampering.c: docs/examples/sealed/seal.c with somebody on the way who does not just hand messages on.
 *
 * Pins: what he has changed, repeated, reflected, left out, made himself or taken from elsewhere is refused, and
 * reaches nobody's memory; after that nothing is received any more.  What a peer with another key sends is refused too.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sealed-utils.h"

/* Two that have sealed, and the plain ends of him who stands between them and hands messages on as he likes. */
typedef struct
{
  int sealed[2];
  int between[2];
} Tampered;

static void
set_up_tampered (Tampered *t)
{
  Call calls[2];
  int h[2];

  for (guint i = 0; i < 2; i++)
    {
      int s[2];

      make_prefixed_pair (s);
      t->between[i] = s[1];
      h[i] = start_seal (&calls[i], s[0]);
    }

  hand_on (t->between[0], t->between[1]);
  hand_on (t->between[1], t->between[0]);
  for (guint i = 0; i < 2; i++)
    {
      finish_call (h[i], &calls[i]);
      t->sealed[i] = test_assert_ok ((int) calls[i].result);
    }
}

static void
tear_down_tampered (Tampered *t)
{
  close_pair (t->sealed);
  close_pair (t->between);
}

/* What the first has sealed, on its way. */
static gsize
intercept (Tampered *t, const char *text, char bytes[WIRE_MAX])
{
  g_assert_no_errno (dill_msend (t->sealed[0], text, strlen (text), soon ()));
  return (gsize) test_assert_ok (dill_mrecv (t->between[0], bytes, WIRE_MAX, soon ()));
}

/* Receiver number WHO refuses what comes next, now and for ever. */
static void
check_refused (Tampered *t, guint who)
{
  char buffer[WIRE_MAX] = "";

  test_assert_errno (dill_mrecv (t->sealed[who], buffer, sizeof buffer, soon ()), EBADMSG);
  g_assert_cmpstr (buffer, ==, "");
  test_assert_errno (dill_mrecv (t->sealed[who], buffer, sizeof buffer, soon ()), ECONNRESET);
}

static void
check_accepted (Tampered *t, const char *text)
{
  char buffer[WIRE_MAX];
  gssize length = test_assert_ok (dill_mrecv (t->sealed[1], buffer, sizeof buffer, soon ()));

  g_assert_cmpmem (buffer, length, text, strlen (text));
}

static void
test_changed (void)
{
  const gsize places[] = { 0, 31, 32, 36 }; /* in the tag, and in the payload */

  for (guint i = 0; i <= G_N_ELEMENTS (places); i++)
    {
      Tampered t;
      char bytes[WIRE_MAX];
      gsize length;

      set_up_tampered (&t);
      length = intercept (&t, "hello", bytes);
      if (i < G_N_ELEMENTS (places))
        bytes[places[i]] ^= 1;
      else
        length -= 1;
      g_assert_no_errno (dill_msend (t.between[1], bytes, length, soon ()));
      check_refused (&t, 1);
      tear_down_tampered (&t);
    }
}

static void
test_without_tag (void)
{
  Tampered t;

  set_up_tampered (&t);
  g_assert_no_errno (dill_msend (t.between[1], "hello", 5, soon ()));
  check_refused (&t, 1);
  tear_down_tampered (&t);
}

static void
test_repeated (void)
{
  Tampered t;
  char bytes[WIRE_MAX];
  gsize length;

  set_up_tampered (&t);
  length = intercept (&t, "hello", bytes);
  for (guint i = 0; i < 2; i++)
    g_assert_no_errno (dill_msend (t.between[1], bytes, length, soon ()));
  check_accepted (&t, "hello");
  check_refused (&t, 1);
  tear_down_tampered (&t);
}

static void
test_left_out (void)
{
  Tampered t;
  char bytes[WIRE_MAX];

  set_up_tampered (&t);
  intercept (&t, "first", bytes);
  g_assert_no_errno (dill_msend (t.sealed[0], "second", 6, soon ()));
  hand_on (t.between[0], t.between[1]);
  check_refused (&t, 1);
  tear_down_tampered (&t);
}

static void
test_reflected (void)
{
  Tampered t;
  char bytes[WIRE_MAX];
  gsize length;

  set_up_tampered (&t);
  length = intercept (&t, "hello", bytes);
  g_assert_no_errno (dill_msend (t.between[0], bytes, length, soon ()));
  check_refused (&t, 0);
  tear_down_tampered (&t);
}

static void
test_other_session (void)
{
  Tampered one, other;
  char bytes[WIRE_MAX];
  gsize length;

  set_up_tampered (&one);
  set_up_tampered (&other);
  length = intercept (&one, "hello", bytes);
  g_assert_no_errno (dill_msend (other.between[1], bytes, length, soon ()));
  check_refused (&other, 1);
  tear_down_tampered (&one);
  tear_down_tampered (&other);
}

static void
test_other_key (void)
{
  Call call;
  int s[2], h;

  make_prefixed_pair (s);
  h = start_seal (&call, s[0]);
  s[1] = test_assert_ok (seal_attach (s[1], "guess", 5, soon ()));
  finish_call (h, &call);
  s[0] = test_assert_ok ((int) call.result);
  g_assert_no_errno (dill_msend (s[1], "hello", 5, soon ()));
  test_assert_errno (dill_mrecv (s[0], NULL, 5, soon ()), EBADMSG);
  close_pair (s);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/sealed-tampering/changed", test_changed);
  g_test_add_func ("/sealed-tampering/without-tag", test_without_tag);
  g_test_add_func ("/sealed-tampering/repeated", test_repeated);
  g_test_add_func ("/sealed-tampering/left-out", test_left_out);
  g_test_add_func ("/sealed-tampering/reflected", test_reflected);
  g_test_add_func ("/sealed-tampering/other-session", test_other_session);
  g_test_add_func ("/sealed-tampering/other-key", test_other_key);
  return g_test_run ();
}
