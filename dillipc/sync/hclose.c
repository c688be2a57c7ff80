/* hclose.c: closing any handle.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sync/bundle.h"
#include <errno.h>

int
dill_hclose (int h)
{
  struct dill_thread *thread = dill_thread_get ();
  struct dill_flow *self;
  struct dill_hvfs *vfs;

  if (thread == NULL)
    {
      errno = EBADF; /* one that has no memory for its record has no handles either */
      return -1;
    }

  /* On the thread's own stack, nobody is beneath. */
  if (thread->current != &thread->own && (vfs = dill_handle_get (h)) != NULL && dill_bundle_is_beneath (thread, vfs))
    {
      errno = EDEADLK;
      return -1;
    }

  /* An inherited number cannot be looked up, but can be closed. */
  vfs = dill_handle_take (h);
  if (vfs == NULL)
    return -1;

  self = thread->current;
  self->n_closing++;
  vfs->close (vfs);
  self->n_closing--;
  return 0;
}
