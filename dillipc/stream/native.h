/* native.h: what the library's own byte streams can do besides what every byte stream can.
 *
 * Most of what is sent and received stands in one buffer: they take that as it is, without a list around it.  And they
 * tell what they have received before anybody asked for it: a protocol that must look for the end of a message would
 * otherwise take its bytes one by one.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <dillipc/dill-stream.h>
#include <stdbool.h>

struct dill_native_vfs;
struct dill_trial;

/* A byte stream that is one of these is known by the functions in its table, which are dill_native_bsendl () and
 * dill_native_brecvl (): a stream of the program's may hand on what it is asked to the one below it. */
struct dill_native
{
  struct dill_bsock_vfs bsock;
  const struct dill_native_vfs *vfs;
};

struct dill_native_vfs
{
  /* A buffer is not NULL, and has few bytes, but some. */
  int (*bsend) (struct dill_native *stream, const void *buf, size_t len, int64_t deadline);
  int (*brecv) (struct dill_native *stream, void *buf, size_t len, int64_t deadline);

  /* Lists come checked. */
  int (*bsendl) (struct dill_native *stream, struct dill_iolist *first, int64_t deadline);
  int (*brecvl) (struct dill_native *stream, struct dill_iolist *first, int64_t deadline);

  /* The bytes that are there, and how many; 0: none are.  They stay where they are until the next use of the stream. */
  size_t (*look) (struct dill_native *stream, const char **bytes);

  /* Takes LENGTH of them off. */
  void (*take) (struct dill_native *stream, size_t length);

  /* None is there: waits until some are.  Returns 0, or -1 with errno; failing is to the stream what a brecv () that
   * fails is. */
  int (*receive) (struct dill_native *stream, int64_t deadline);

  /* Between the parts of a message: lets others go first, if that is due, or says whether one who cannot wait, TRIAL
   * being his, should go on.  Returns 0, or -1 with errno. */
  int (*pause) (struct dill_native *stream, bool is_sending, int64_t deadline, struct dill_trial *trial);
};

/* The functions of the table: they call those of VFS. */
int dill_native_bsendl (struct dill_bsock_vfs *bsock, struct dill_iolist *first, struct dill_iolist *last,
                        int64_t deadline);
int dill_native_brecvl (struct dill_bsock_vfs *bsock, struct dill_iolist *first, struct dill_iolist *last,
                        int64_t deadline);

static inline void
dill_native_init (struct dill_native *stream, const struct dill_native_vfs *vfs)
{
  stream->bsock.bsendl = dill_native_bsendl;
  stream->bsock.brecvl = dill_native_brecvl;
  stream->vfs = vfs;
}

/* The stream with this table, to send to or to receive from.  NULL: it is not one of the library's own, or the program
 * has put a function of its own there, which is to see all that passes. */
static inline struct dill_native *
dill_native_to (struct dill_bsock_vfs *bsock)
{
  return bsock->bsendl == dill_native_bsendl ? (struct dill_native *) (void *) bsock : NULL;
}

static inline struct dill_native *
dill_native_from (struct dill_bsock_vfs *bsock)
{
  return bsock->brecvl == dill_native_brecvl ? (struct dill_native *) (void *) bsock : NULL;
}
