/* sealed-utils.h: sealed message sockets to test with.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"
#include "seal.h"

#define KEY "correct horse battery staple"
#define WIRE_MAX 200 /* bytes of a message that hand_on () takes */

DEFINE_CALL (attach, seal_attach (call->s, call->buffer, call->length, call->deadline))
DEFINE_CALL (mrecv, dill_mrecv (call->s, call->buffer, call->length, call->deadline))

static inline int
attach_prefix (int s)
{
  return test_assert_ok (dill_prefix_attach (s, 4, DILL_PREFIX_BIG_ENDIAN));
}

/* Two message sockets that are each other's peers. */
static inline void
make_prefixed_pair (int s[2])
{
  make_pair (s);
  s[0] = attach_prefix (s[0]);
  s[1] = attach_prefix (s[1]);
}

/* Seals S with KEY, which takes a peer that does so too. */
static inline int
start_seal (Call *call, int s)
{
  *call = (Call){ .s = s, .buffer = (void *) KEY, .length = strlen (KEY), .deadline = soon () };
  return start_call (call_attach, call);
}

static inline void
make_sealed_pair (int s[2])
{
  Call call;
  int h;

  make_prefixed_pair (s);
  h = start_seal (&call, s[0]);
  s[1] = test_assert_ok (seal_attach (s[1], KEY, strlen (KEY), soon ()));
  finish_call (h, &call);
  s[0] = test_assert_ok ((int) call.result);
}

/* Receives a message beneath the seals, and sends it on. */
static inline void
hand_on (int from, int to)
{
  char bytes[WIRE_MAX];
  gssize length = test_assert_ok (dill_mrecv (from, bytes, sizeof bytes, soon ()));

  g_assert_no_errno (dill_msend (to, bytes, (gsize) length, soon ()));
}
