/* framing.h: a protocol that cuts a byte stream into messages: the object, and what happens to it.
 *
 * It owns the stream beneath it under a number that nobody else knows.  It never holds a byte of the stream itself, so
 * detaching loses none.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "engine/engine.h"
#include <dillipc/dill-handle.h>
#include <dillipc/dill-message.h>
#include <stdbool.h>

/* One direction. */
struct dill_framing_half
{
  bool is_busy;
  bool is_broken; /* a transfer failed halfway: where the next message begins is not known */
  bool is_done;   /* the stream has ended between two messages */
};

/* The first member of each protocol's object. */
struct dill_framing
{
  struct dill_hvfs hvfs;
  struct dill_msock_vfs msock;
  struct dill_engine *engine; /* home of the stream; NULL: nowhere */
  int below;                  /* handle of the stream */
  bool has_home;              /* ENGINE is known: the stream is an object of the library */
  bool is_heap;
  struct dill_framing_half in;
  struct dill_framing_half out;
};

/* What the protocols differ in. */
struct dill_framing_class
{
  size_t size; /* of the object */
  void *(*query) (struct dill_hvfs *hvfs, const void *type);
  struct dill_msock_vfs msock;
};

/* Puts a protocol on top of the byte stream S.  The object stands in MEM, or on the heap if that is NULL, and is a copy
 * of PROTOTYPE but for its part that is a struct dill_framing.  Returns its handle, or -1 with errno, S untouched. */
int dill_framing_attach (int s, const struct dill_framing_class *class, const struct dill_framing *prototype,
                         void *mem);

/* The object behind S, if it is of CLASS; NULL with errno EBADF or ENOTSUP. */
struct dill_framing *dill_framing_get (int s, const struct dill_framing_class *class);

/* Takes the protocol off again, and returns the handle of the stream, or -1 with errno. */
int dill_framing_detach (int s, const struct dill_framing_class *class);

/* What a protocol's query function answers. */
void *dill_framing_query (struct dill_hvfs *hvfs, const void *type);
