/* framing.c: attaching a protocol to a byte stream, detaching it, closing it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "message/framing.h"
#include "engine/storage.h"
#include "engine/thread.h"
#include "engine/wait.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct dill_framing *
framing_of (struct dill_hvfs *hvfs)
{
  return dill_container_of (hvfs, struct dill_framing, hvfs);
}

void *
dill_framing_query (struct dill_hvfs *hvfs, const void *type)
{
  struct dill_framing *framing = framing_of (hvfs);

  if (type == dill_msock_type)
    return &framing->msock;

  /* A stream of the program's own is closed by code of the program, which the end of a context must not run. */
  if (type == dill_engine_type && framing->has_home)
    return &framing->engine;

  errno = ENOTSUP;
  return NULL;
}

static void
framing_close (struct dill_hvfs *hvfs)
{
  struct dill_framing *framing = framing_of (hvfs);
  int below = framing->below;

  /* Those who wait for the stream learn of its end, and see from that that this object is gone too. */
  if (framing->is_heap)
    free (framing);
  dill_hclose (below);
}

/* Fills in the object at FRAMING and puts it behind the reserved number H. */
static void
open_framing (struct dill_framing *framing, int h, const struct dill_framing_class *class, int below,
              struct dill_engine **home, bool is_heap)
{
  *framing = (struct dill_framing){
    .hvfs = { class->query, framing_close },
    .msock = class->msock,
    .engine = home != NULL ? *home : NULL,
    .below = below,
    .has_home = home != NULL,
    .is_heap = is_heap,
  };
  dill_handle_set (h, &framing->hvfs);
}

int
dill_framing_attach (int s, const struct dill_framing_class *class, const struct dill_framing *prototype,
                     void *mem)
{
  struct dill_thread *thread = dill_wait_get_thread ();
  struct dill_framing *framing;
  int h, below;

  if (thread == NULL || dill_hquery (s, dill_bsock_type) == NULL)
    return -1;

  h = dill_handle_reserve (thread);
  if (h < 0)
    return -1;

  /* The last thing that can fail, so that S still works if it does. */
  framing = dill_storage_place (mem, class->size);
  below = framing != NULL ? dill_hown (s) : -1;
  if (below < 0)
    {
      if (mem == NULL)
        free (framing);
      dill_handle_take (h);
      errno = ENOMEM;
      return -1;
    }

  memcpy (framing, prototype, class->size);
  open_framing (framing, h, class, below, dill_hquery (below, dill_engine_type), mem == NULL);
  return h;
}

struct dill_framing *
dill_framing_get (int s, const struct dill_framing_class *class)
{
  struct dill_hvfs *hvfs = dill_handle_get (s);

  if (hvfs == NULL)
    return NULL;

  if (hvfs->query != class->query)
    {
      errno = ENOTSUP;
      return NULL;
    }

  return framing_of (hvfs);
}

int
dill_framing_detach (int s, const struct dill_framing_class *class)
{
  struct dill_framing *framing = dill_framing_get (s, class);
  int below;

  if (framing == NULL)
    return -1;

  if (framing->in.is_busy || framing->out.is_busy)
    {
      errno = EBUSY;
      return -1;
    }

  below = framing->below;
  dill_handle_take (s);
  if (framing->is_heap)
    free (framing);
  return below;
}
