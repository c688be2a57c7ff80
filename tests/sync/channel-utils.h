/* channel-utils.h: for tests of channels: one channel, a bundle, and coroutines that send or receive once.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

/* One coroutine that sends or receives one number, and what becomes of that. */
typedef struct
{
  int ch;
  int op;
  int value;
  size_t len;
  gint64 deadline;
  int result; /* 1: it still waits */
  int error;
  GString *order; /* NULL, or where its letter goes when it is done */
  char letter;
} Party;

static inline void
party_act (void *data)
{
  Party *party = data;

  party->result = 1;
  errno = 0;
  if (party->op == DILL_CHSEND)
    party->result = dill_chsend (party->ch, &party->value, party->len, party->deadline);
  else
    party->result = dill_chrecv (party->ch, &party->value, party->len, party->deadline);
  party->error = errno;
  if (party->order != NULL)
    g_string_append_c (party->order, party->letter);
}

static inline void
party_start (Party *party, int b, int op, int ch, int value)
{
  *party = (Party) { .ch = ch, .op = op, .value = value, .len = sizeof value, .deadline = soon () };
  g_assert_no_errno (dill_bundle_spawn (b, party_act, party));
}

static inline void
assert_party (const Party *party, int result, int error)
{
  g_assert_cmpint (party->result, ==, result);
  if (result >= 0)
    return;

  g_assert_cmpstr (test_errno_name (party->error), ==, test_errno_name (error));
  test_errnos_note (party->op == DILL_CHSEND ? "dill_chsend" : "dill_chrecv", error);
}

/* A channel, and a bundle for those who use it. */
typedef struct
{
  int ends[2];
  int b;
} Fixture;

static inline void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  (void) data;
  g_assert_no_errno (dill_chmake (fixture->ends));
  fixture->b = test_assert_ok (dill_bundle ());
}

static inline void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  (void) data;
  g_assert_no_errno (dill_hclose (fixture->b));
  for (guint i = 0; i < 2; i++)
    if (fixture->ends[i] >= 0)
      g_assert_no_errno (dill_hclose (fixture->ends[i]));
}

static inline void
close_end (Fixture *fixture, guint i)
{
  g_assert_no_errno (dill_hclose (fixture->ends[i]));
  fixture->ends[i] = -1;
}

static inline void
finish (Fixture *fixture)
{
  g_assert_no_errno (dill_bundle_wait (fixture->b, soon ()));
}

/* Ends those who still wait, whose records are about to vanish. */
static inline void
cancel (Fixture *fixture)
{
  g_assert_no_errno (dill_hclose (fixture->b));
  fixture->b = test_assert_ok (dill_bundle ());
}

/* Registers a test case with a channel. */
#define add(name, func) g_test_add (name, Fixture, NULL, fixture_set_up, func, fixture_tear_down)
