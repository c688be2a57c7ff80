/* transfer.h: one message on its way, and the bytes of the stream that it is made of.
 *
 * The record of a transfer lives on the stack of the one who sends or receives.  Nothing points to it.  After each wait
 * it finds out itself whether the protocol's object is still there: that is so exactly as long as the handle of the
 * stream lives, whose number is private and not reused soon.  Once a function has failed the object must not be
 * touched.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/wait.h"
#include "message/framing.h"
#include "stream/iolist.h"
#include "stream/native.h"

struct dill_transfer
{
  struct dill_framing_half *half; /* NULL: the object is gone */
  int below;
  struct dill_hvfs *object; /* behind BELOW */
  struct dill_bsock_vfs *stream;
  struct dill_native *native; /* the same, if it is one of the library's own; otherwise NULL */
  int64_t deadline;
  struct dill_trial trial;
  uint32_t n_moved; /* bytes, over a stream of the program's; parts, with no time from the beginning on */
  uint32_t work;    /* on such a stream, since the last look at the clock */
  bool is_sending;
  bool is_settled; /* DEADLINE was looked at */
  bool has_begun;  /* bytes of the message have gone over: failing now is failing halfway */
};

/* Begins to send or receive a message.  Returns 0, or -1 with errno EBUSY, ECONNRESET, EPIPE, or EBADF if the stream
 * has gone with its context.  Must be followed by dill_transfer_end (). */
int dill_transfer_begin_send (struct dill_transfer *transfer, struct dill_framing *framing, int64_t deadline);
int dill_transfer_begin_receive (struct dill_transfer *transfer, struct dill_framing *framing, int64_t deadline);

void dill_transfer_end (struct dill_transfer *transfer);

/* Sends a list.  Returns 0, or -1 with errno. */
int dill_transfer_send (struct dill_transfer *transfer, struct dill_iolist *first, struct dill_iolist *last);

/* Waits for bytes of the stream: between 1 and MAX, or more if the stream has read ahead.  They are in SCRATCH, which
 * has room for MAX, or in the stream's own buffer, where they stay until dill_transfer_take ().  Returns how many, or
 * -1 with errno. */
ssize_t dill_transfer_look (struct dill_transfer *transfer, const char **bytes, char *scratch, size_t max);

/* Takes LENGTH of them: all, unless the stream has read ahead. */
void dill_transfer_take (struct dill_transfer *transfer, size_t length);

/* Receives LENGTH bytes into BYTES: 0, or -1 with errno. */
int dill_transfer_read (struct dill_transfer *transfer, char *bytes, size_t length);

/* Receives LENGTH bytes into the list FIRST, which has room for them: 0, or -1 with errno. */
int dill_transfer_fill (struct dill_transfer *transfer, const struct dill_iolist *first, size_t length);

/* The part of the list at CURSOR that comes next, up to LENGTH bytes, as a list in ITEMS (N of them), which CURSOR goes
 * beyond.  Lists of the program's are never written to.  Returns how many items and, in LENGTH, how many bytes. */
int dill_transfer_part (struct dill_iolist_cursor *cursor, struct dill_iolist *items, int n, size_t *length);

/* The sum of the lengths in a list. */
size_t dill_transfer_sum (const struct dill_iolist *first);
