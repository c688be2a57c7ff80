/* fault-plan.h: which call of the library's is to fail, and what the library holds.
 *
 * The library under test is linked with its calls of libc renamed (generate.py), so that they arrive in fault-calls*.c:
 * nobody else's do, not GLib's and not the test's.  One plan is in force at a time, for all threads.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "fault-table.h"
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/uio.h>

/* The Nth CALL, counted from 1, sets errno to ERROR and does nothing; if PERSISTS so do all that follow. */
typedef struct
{
  enum fault_call call;
  int error; /* 0: no fault */
  guint nth;
  bool persists;
} Fault;

extern const struct fault_errnos fault_calls[FAULT_N_CALLS];

/* From now on FAULT is in force, and GIVEN too: a circumstance rather than what is tested.  Either may be NULL. */
void fault_arm (const Fault *fault, const Fault *given);

/* From now on no call fails any more.  Returns whether FAULT has struck. */
bool fault_disarm (void);

/* How often CALL was made between the last fault_arm () and fault_disarm (). */
guint fault_count (enum fault_call call);

/* What the library has allocated and not freed. */
typedef struct
{
  gsize n_blocks; /* of the heap, and directory streams */
  gsize n_bytes;
  gsize n_mapped; /* bytes of address space */
} FaultMemory;

FaultMemory fault_memory (void);

/* What calloc () gives next is a block of handles.  All of that size are, and are not counted, since the library keeps
 * them for ever. */
void fault_expect_handles (void);

/* How many blocks of handles there are. */
guint fault_n_handle_blocks (void);

/* Transfers of the library are cut to random lengths, drawn from RAND, or to one byte; NULL ends that.  Some are
 * left whole, and none is cut to nothing. */
void fault_cut (GRand *rand, bool to_one_byte);

/* How many were. */
guint fault_n_cuts (void);

/* What follows serves fault-calls.c and fault-calls-sockets.c. */

/* Whether this call of CALL is to fail: then errno is set. */
bool fault_strikes (enum fault_call call);

void *fault_allocate_zeroed (size_t n, size_t size);
void fault_memory_grow (const void *block);
void fault_memory_shrink (const void *block);
void fault_memory_add (gsize n_bytes);
void fault_memory_subtract (gsize n_bytes);
void fault_memory_map (gssize n_bytes);

/* Keeps up with what is registered where; EVENT is NULL when DESCRIPTOR is taken out. */
void fault_note_registration (int epoll, int descriptor, const struct epoll_event *event);
void fault_forget_registrations (int descriptor);

/* A call on DESCRIPTOR came back before all was done, though the kernel had more: does what the kernel would do
 * then, and reports it as ready once more. */
void fault_report_again (int descriptor);

/* Copies N pieces to CUT, of PIECES, up to a length to which this transfer is cut; returns how many, 0 if it is
 * whole. */
size_t fault_cut_pieces (const struct iovec *pieces, size_t n, struct iovec *cut);
