/* dill-channel.h: channels, through which coroutines of one thread pass values.
 *
 * A channel has two ends, each with a handle.  What is sent to one is received from the other; both directions work.
 * It holds nothing: a sender waits for a receiver, and the other way round.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_CHANNEL_H
#define DILL_CHANNEL_H

#include <dillipc/dill-macros.h>

DILL_BEGIN_DECLS

/* Memory for a channel, at any alignment; its content is the library's. */
struct dill_chstorage
{
  char dill_rsvd[256];
};

/* Operations of a clause. */
#define DILL_CHSEND 1
#define DILL_CHRECV 2

/**
 * struct dill_chclause:
 * @op: DILL_CHSEND or DILL_CHRECV
 * @ch: an end of a channel
 * @val: what to send, or where to receive; may be NULL only if @len is 0
 * @len: size of the value in bytes
 *
 * One of the things that dill_choose() may do.
 */
struct dill_chclause
{
  int op;
  int ch;
  void *val;
  size_t len;
};

/**
 * dill_chmake:
 * @chv: (out): the two ends
 *
 * Makes a channel.  Each end is closed with dill_hclose(); whoever waits on an end that is closed gets ECANCELED, and
 * whoever waits on the other, or uses it later, EPIPE.
 *
 * Returns: 0, or -1 with errno
 *  - ECANCELED: the running coroutine was cancelled
 *  - EINVAL: @chv is NULL
 *  - ENOMEM: no memory, or no handle is left
 *
 * From: libdill, chmake(3).
 */
DILL_EXPORT int dill_chmake (int chv[2]);

/**
 * dill_chmake_mem:
 * @mem: a struct dill_chstorage, at any alignment, that stays until both ends are closed
 * @chv: (out): the two ends
 *
 * dill_chmake() in the caller's memory.  Errors are the same, and EINVAL for a NULL @mem.
 *
 * From: libdill, chmake_mem(3).
 */
DILL_EXPORT int dill_chmake_mem (void *mem, int chv[2]);

/**
 * dill_chsend:
 * @ch: an end of a channel
 * @val: the value; may be NULL only if @len is 0
 * @len: its size in bytes
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Sends a value to whoever receives from the other end, and returns when that has it.  Waiters are served first come,
 * first served.
 *
 * Returns: 0, or -1 with errno
 *  - EBADF: @ch is not a live handle of this thread
 *  - ECANCELED: the running coroutine was cancelled, or @ch was closed meanwhile
 *  - EINVAL: @val is NULL and @len is not 0
 *  - EMSGSIZE: the receiver expected another size; it gets EMSGSIZE too
 *  - ENOMEM: no memory
 *  - ENOTSUP: @ch is not a channel, or the main context cannot be iterated here
 *  - EPIPE: dill_chdone() was called on @ch, or the other end is closed
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: libdill, chsend(3).
 */
DILL_EXPORT int dill_chsend (int ch, const void *val, size_t len, int64_t deadline);

/**
 * dill_chrecv:
 * @ch: an end of a channel
 * @val: where the value goes; may be NULL only if @len is 0
 * @len: its size in bytes
 * @deadline: milliseconds of dill_now(); 0 tries once, negative never times out
 *
 * Receives a value from whoever sends to the other end.
 *
 * Returns: 0, or -1 with errno
 *  - EBADF: @ch is not a live handle of this thread
 *  - ECANCELED: the running coroutine was cancelled, or @ch was closed meanwhile
 *  - EINVAL: @val is NULL and @len is not 0
 *  - EMSGSIZE: the sender has another size; it gets EMSGSIZE too
 *  - ENOMEM: no memory
 *  - ENOTSUP: @ch is not a channel, or the main context cannot be iterated here
 *  - EPIPE: dill_chdone() was called on the other end, or that is closed
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: libdill, chrecv(3).
 */
DILL_EXPORT int dill_chrecv (int ch, void *val, size_t len, int64_t deadline);

/**
 * dill_chdone:
 * @ch: an end of a channel
 *
 * Nothing more will be sent to @ch: receivers from the other end get EPIPE, those that wait there at once.
 *
 * Returns: 0, or -1 with errno
 *  - EBADF: @ch is not a live handle of this thread
 *  - ENOTSUP: @ch is not a channel
 *  - EPIPE: it was done already, or the other end is closed
 *
 * From: libdill, chdone(3).
 */
DILL_EXPORT int dill_chdone (int ch);

/**
 * dill_choose:
 * @clauses: what may be done; the same channel may occur more than once
 * @nclauses: how many there are, at least 0; with none, this waits for the deadline
 * @deadline: milliseconds of dill_now(); 0 tries once and never lets others run, negative never times out
 *
 * Performs exactly one of the clauses: the first in the array that can be performed at once, or else whichever can be
 * first.  A clause that is faulty counts as one that can be performed, and fails.  A clause never meets another one of
 * the same call.
 *
 * Returns: the index of the clause that was performed, with errno 0, or that has failed, with errno
 *  - EBADF: its channel is not a live handle of this thread
 *  - EINVAL: its operation is unknown, or its value is NULL and its length not 0
 *  - EMSGSIZE: the partner expected another size
 *  - ENOTSUP: its handle is not a channel
 *  - EPIPE: its channel is done, or the other end closed
 *  - ECANCELED: its channel was closed meanwhile
 * or -1 with errno, and no clause was performed
 *  - ECANCELED: the running coroutine was cancelled
 *  - EINVAL: @clauses is NULL and @nclauses is not 0, or @nclauses is negative
 *  - ENOMEM: no memory
 *  - ENOTSUP: the main context cannot be iterated here
 *  - ETIMEDOUT: the deadline was reached
 *
 * From: libdill, choose(3).
 */
DILL_EXPORT int dill_choose (struct dill_chclause *clauses, int nclauses, int64_t deadline);

DILL_END_DECLS

#endif
