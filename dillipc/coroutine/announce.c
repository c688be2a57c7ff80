/* announce.c: tells AddressSanitizer, ThreadSanitizer and Valgrind about stacks and switches.
 *
 * A switch is announced as a whole on the side that leaves, immediately before the stack pointer changes.  The arriving
 * side may be the compiler's code in the middle of a user's function (the second return of dill_go_begin ()), where
 * nothing could be called; and between the announcement and the switch proper runs nothing but a few instructions of
 * assembly, of which the sanitizers know nothing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/announce.h"

#if defined(DILL_WITH_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if defined(DILL_WITH_TSAN)
#include <sanitizer/tsan_interface.h>
#endif
#if defined(DILL_WITH_VALGRIND)
#include <valgrind/memcheck.h>
#endif

#if defined(DILL_WITH_ASAN) || defined(DILL_WITH_TSAN) || defined(DILL_WITH_VALGRIND)

void
dill_announce_thread (struct dill_announced *announced)
{
  *announced = (struct dill_announced) { .is_thread = true };
#if defined(DILL_WITH_TSAN)
  announced->fiber = __tsan_get_current_fiber ();
#endif
}

void
dill_announce_stack (struct dill_announced *announced, void *stack, size_t size)
{
  *announced = (struct dill_announced) { .bottom = stack, .size = size };
#if defined(DILL_WITH_ASAN)
  /* What only a suspended flow points to is not lost. */
  __lsan_register_root_region (stack, size);
#endif
#if defined(DILL_WITH_TSAN)
  announced->fiber = __tsan_create_fiber (0);
#endif
#if defined(DILL_WITH_VALGRIND)
  announced->stack_id = VALGRIND_STACK_REGISTER (stack, (char *) stack + size - 1);
#endif
}

void
dill_announce_end (struct dill_announced *announced)
{
  if (announced->is_thread)
    return;
#if defined(DILL_WITH_ASAN)
  /* The functions that were running have not taken their red zones back. */
  __asan_unpoison_memory_region (announced->bottom, announced->size);
  __lsan_unregister_root_region (announced->bottom, announced->size);
#endif
#if defined(DILL_WITH_TSAN)
  __tsan_destroy_fiber (announced->fiber);
#endif
#if defined(DILL_WITH_VALGRIND)
  VALGRIND_STACK_DEREGISTER (announced->stack_id);
  /* What lay below the last stack pointer is out of bounds for Valgrind, but it may be the user's memory. */
  (void) VALGRIND_MAKE_MEM_UNDEFINED (announced->bottom, announced->size);
#endif
}

void
dill_announce_unmap (void *memory, size_t size)
{
#if defined(DILL_WITH_ASAN)
  /* Whoever gets these addresses next must not find red zones of ours. */
  __asan_unpoison_memory_region (memory, size);
#endif
  (void) memory;
  (void) size;
}

#endif

#if defined(DILL_WITH_ASAN) || defined(DILL_WITH_TSAN)

DILL_UNINSTRUMENTED void
dill_announce_switch (struct dill_announced *from, struct dill_announced *to, bool for_good)
{
#if defined(DILL_WITH_ASAN)
  /* No place to keep the fake stack means that it is destroyed. */
  __sanitizer_start_switch_fiber (for_good ? NULL : &from->fake_stack, to->bottom, to->size);
  /* The bounds of the thread's own stack become known when it is left. */
  __sanitizer_finish_switch_fiber (to->fake_stack, &from->bottom, &from->size);
#endif
#if defined(DILL_WITH_TSAN)
  __tsan_switch_to_fiber (to->fiber, 0);
#endif
  (void) from;
  (void) to;
  (void) for_good;
}

static _Thread_local struct dill_announced *leaving, *entering;

void
dill_announce_switch_later (struct dill_announced *from, struct dill_announced *to)
{
  leaving = from;
  entering = to;
}

DILL_UNINSTRUMENTED void
dill_announce_switch_now (void)
{
  dill_announce_switch (leaving, entering, false);
}

DILL_UNINSTRUMENTED void
dill_announce_return (struct dill_announced *from, struct dill_announced *to)
{
  dill_announce_switch (from, to, false);
#if defined(DILL_WITH_ASAN)
  /* The functions that have vanished have not taken their red zones back. */
  if (to->bottom != NULL)
    __asan_unpoison_memory_region (to->bottom,
                                   (size_t) ((char *) __builtin_frame_address (0) - (const char *) to->bottom));
#endif
}

#endif
