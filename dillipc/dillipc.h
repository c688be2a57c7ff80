/* dillipc.h: the whole library under its dill_ names.  What has to do with sockets can be kept away with
 * DILL_DISABLE_SOCKETS.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILLIPC_H
#define DILLIPC_H

#include <dillipc/dill-channel.h>
#include <dillipc/dill-coroutine.h>
#include <dillipc/dill-glib.h>
#include <dillipc/dill-handle.h>
#include <dillipc/dill-macros.h>
#include <dillipc/dill-time.h>

#if !defined(DILL_DISABLE_SOCKETS)
#include <dillipc/dill-ipc.h>
#include <dillipc/dill-ipc-fd.h>
#include <dillipc/dill-message.h>
#include <dillipc/dill-stream.h>
#endif

#endif
