/* libdill.h: source compatibility with libdill.  Its raw names can be kept away with DILL_DISABLE_RAW_NAMES, and what
 * has to do with sockets with DILL_DISABLE_SOCKETS.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef LIBDILL_H
#define LIBDILL_H

#include <dillipc/dill-channel.h>
#include <dillipc/dill-coroutine.h>
#include <dillipc/dill-handle.h>
#include <dillipc/dill-time.h>

/* Programs for libdill rely on it for these. */
#include <errno.h>
#include <stdlib.h>

#if !defined(DILL_DISABLE_SOCKETS)
#include <dillipc/dill-ipc.h>
#include <dillipc/dill-ipc-fd.h>
#include <dillipc/dill-message.h>
#include <dillipc/dill-stream.h>
#include <sys/socket.h>
#endif

#if !defined(DILL_DISABLE_RAW_NAMES)

#define coroutine dill_coroutine
#define go dill_go
#define go_mem dill_go_mem
#define bundle_storage dill_bundle_storage
#define bundle dill_bundle
#define bundle_mem dill_bundle_mem
#define bundle_go dill_bundle_go
#define bundle_go_mem dill_bundle_go_mem
#define bundle_wait dill_bundle_wait

#define chstorage dill_chstorage
#define chclause dill_chclause
#define CHSEND DILL_CHSEND
#define CHRECV DILL_CHRECV
#define chmake dill_chmake
#define chmake_mem dill_chmake_mem
#define chsend dill_chsend
#define chrecv dill_chrecv
#define chdone dill_chdone
#define choose dill_choose

#define hclose dill_hclose
#define hown dill_hown

#define msleep dill_msleep
#define fdin dill_fdin
#define fdout dill_fdout
#define fdclean dill_fdclean

#ifdef __cplusplus
/* Functions, since macros of these names would reach into the standard library: <chrono>, <thread>. */
static inline int64_t
now (void)
{
  return dill_now ();
}

static inline int
yield (void)
{
  return dill_yield ();
}
#else
#define now dill_now
#define yield dill_yield
#endif

#endif

#if !defined(DILL_DISABLE_RAW_NAMES) && !defined(DILL_DISABLE_SOCKETS)

#define iolist dill_iolist
#define bsend dill_bsend
#define brecv dill_brecv

/* Functions, since the members of struct bsock_vfs have these names too. */
static inline int
bsendl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  return dill_bsendl (s, first, last, deadline);
}

static inline int
brecvl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  return dill_brecvl (s, first, last, deadline);
}

#define msend dill_msend
#define mrecv dill_mrecv

/* The same with struct msock_vfs. */
static inline int
msendl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  return dill_msendl (s, first, last, deadline);
}

static inline ssize_t
mrecvl (int s, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  return dill_mrecvl (s, first, last, deadline);
}

#define prefix_storage dill_prefix_storage
#define suffix_storage dill_suffix_storage
#define PREFIX_BIG_ENDIAN DILL_PREFIX_BIG_ENDIAN
#define PREFIX_LITTLE_ENDIAN DILL_PREFIX_LITTLE_ENDIAN
#define prefix_attach dill_prefix_attach
#define prefix_attach_mem dill_prefix_attach_mem
#define prefix_detach dill_prefix_detach
#define suffix_attach dill_suffix_attach
#define suffix_attach_mem dill_suffix_attach_mem
#define suffix_detach dill_suffix_detach

#define ipc_storage dill_ipc_storage
#define ipc_listener_storage dill_ipc_listener_storage
#define ipc_pair_storage dill_ipc_pair_storage
#define IPC_SIZE DILL_IPC_SIZE
#define IPC_LISTENER_SIZE DILL_IPC_LISTENER_SIZE
#define IPC_PAIR_SIZE DILL_IPC_PAIR_SIZE
#define ipc_listen dill_ipc_listen
#define ipc_listen_mem dill_ipc_listen_mem
#define ipc_accept dill_ipc_accept
#define ipc_accept_mem dill_ipc_accept_mem
#define ipc_connect dill_ipc_connect
#define ipc_connect_mem dill_ipc_connect_mem
#define ipc_pair dill_ipc_pair
#define ipc_pair_mem dill_ipc_pair_mem
#define ipc_fromfd dill_ipc_fromfd
#define ipc_fromfd_mem dill_ipc_fromfd_mem
#define ipc_listener_fromfd dill_ipc_listener_fromfd
#define ipc_listener_fromfd_mem dill_ipc_listener_fromfd_mem
#define ipc_done dill_ipc_done
#define ipc_close dill_ipc_close
#define ipc_sendfd dill_ipc_sendfd
#define ipc_recvfd dill_ipc_recvfd

#endif

#endif
