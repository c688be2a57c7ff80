/* matcher.c: finds an end mark in bytes that come in pieces.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "message/matcher.h"
#include <string.h>

/* The state after STATE, which is not complete, when BYTE comes. */
static unsigned
step (const struct dill_matcher *matcher, unsigned state, char byte)
{
  while (state > 0 && matcher->mark[state] != byte)
    state = matcher->shorter[state - 1];

  return matcher->mark[state] == byte ? state + 1 : 0;
}

void
dill_matcher_init (struct dill_matcher *matcher, const char *mark, size_t length)
{
  unsigned state = 0;

  matcher->length = (uint8_t) length;
  memcpy (matcher->mark, mark, length);
  matcher->shorter[0] = 0;
  for (size_t i = 1; i < length; i++)
    {
      state = step (matcher, state, mark[i]);
      matcher->shorter[i] = (uint8_t) state;
    }
}

size_t
dill_matcher_scan (const struct dill_matcher *matcher, unsigned *state, const char *bytes, size_t length)
{
  unsigned now = *state;
  size_t i = 0;

  while (i < length && now < matcher->length)
    {
      if (now == 0)
        {
          /* Most bytes of a message have nothing to do with the mark. */
          const char *start = memchr (bytes + i, matcher->mark[0], length - i);

          if (start == NULL)
            {
              i = length;
              break;
            }
          i = (size_t) (start - bytes);
        }
      now = step (matcher, now, bytes[i++]);
    }

  *state = now;
  return i;
}
