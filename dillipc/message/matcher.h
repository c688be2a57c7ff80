/* matcher.h: finds an end mark in bytes that come in pieces, however often it almost fits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <dillipc/dill-message.h>

/* An end mark as an automaton (Knuth, Morris and Pratt's).  Its state is how many bytes of the mark fit to the last
 * ones seen: 0 at the beginning, LENGTH once it was found. */
struct dill_matcher
{
  uint8_t length;
  uint8_t shorter[DILL_SUFFIX_MAX]; /* [N]: the longest shorter state that also fits when N + 1 bytes do */
  char mark[DILL_SUFFIX_MAX];
};

/* LENGTH is 1 to DILL_SUFFIX_MAX. */
void dill_matcher_init (struct dill_matcher *matcher, const char *mark, size_t length);

/* Goes through BYTES until the mark is complete, and returns how many that took: LENGTH of them if it was not found. */
size_t dill_matcher_scan (const struct dill_matcher *matcher, unsigned *state, const char *bytes, size_t length);
