/* read-ahead.h: what a byte stream has received before anybody asked for it.
 *
 * A protocol that must look for the end of a message would otherwise take its bytes one by one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <dillipc/dill-stream.h>

/* The answer of a byte stream to a query for dill_read_ahead_type.  A stream on top of another may hand queries that it
 * does not know down to that one: the table is about a stream only if BRECVL is the function of that stream. */
struct dill_read_ahead_vfs
{
  int (*brecvl) (struct dill_bsock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline);

  /* The bytes that are there, and how many; 0: none are.  They stay where they are until the next use of the stream. */
  size_t (*look) (struct dill_bsock_vfs *vfs, const char **bytes);

  /* Takes LENGTH of them off. */
  void (*take) (struct dill_bsock_vfs *vfs, size_t length);

  /* None is there: waits until some are.  Returns 0, or -1 with errno; failing is to the stream what a brecv () that
   * fails is. */
  int (*receive) (struct dill_bsock_vfs *vfs, int64_t deadline);
};

extern const void *const dill_read_ahead_type;
