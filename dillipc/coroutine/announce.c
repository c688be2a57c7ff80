/* announce.c: tells AddressSanitizer, ThreadSanitizer and Valgrind about stacks and switches.
 *
 * A switch is announced as a whole on the side that leaves, immediately before the stack pointer changes.  The arriving
 * side may be the compiler's code in the middle of a user's function (the second return of dill_go_begin ()), where
 * nothing could be called; and between the announcement and the switch proper runs nothing but a few instructions of
 * assembly, of which the sanitizers know nothing.
 *
 * With detect_stack_use_after_return AddressSanitizer keeps the locals of the functions it watches on a fake stack, one
 * for each flow, made when it is first needed.  It destroys that of a flow which is left for good, and has to be led
 * there for one that never goes on.  LeakSanitizer by itself knows the stacks of the running flow only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "coroutine/announce.h"

#if defined(DILL_WITH_ASAN)

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#include <stdlib.h>

/* asan_fake_stack.h of the compilers: a fake stack begins where its handle points to, with a page of its own and a byte
 * for each 32 that the real stack has, rounded up to a power of two between these; then come frames of eleven sizes,
 * which take as much as the real stack each.  LeakSanitizer must not be told of more: it reads whatever is mapped, and
 * there are pages that only look like it, our guards. */
#define FAKE_STACK_MIN ((size_t) 1 << 16)
#define FAKE_STACK_MAX ((size_t) 1 << 20)

static size_t
fake_stack_size (size_t stack_size)
{
  size_t rounded = FAKE_STACK_MIN;

  while (rounded < stack_size && rounded < FAKE_STACK_MAX)
    rounded *= 2;
  return 4096 + rounded / 32 + 11 * rounded;
}

/* A thread that calls exit () in a coroutine looks for leaks there: what its own stack points to is not lost.  The
 * handler of LeakSanitizer was registered first, and so comes last. */
static _Thread_local struct dill_announced own; /* bottom: NULL while that is running */

static void
add_own_roots (void)
{
  if (own.bottom == NULL)
    return;

  __lsan_register_root_region (own.bottom, own.size);
  if (own.fake_stack != NULL)
    __lsan_register_root_region (own.fake_stack, fake_stack_size (own.size));
}

static void
asan_begin_thread (void)
{
  static bool has_handler;

  if (!__atomic_exchange_n (&has_handler, true, __ATOMIC_RELAXED))
    atexit (add_own_roots);
}

static void
asan_begin (struct dill_announced *announced)
{
  __lsan_register_root_region (announced->bottom, announced->size);
}

DILL_UNINSTRUMENTED static void
asan_switch (struct dill_announced *from, struct dill_announced *to, bool for_good)
{
  /* The functions that are running do not take their red zones back, and whose memory it is may use it at once. */
  if (for_good)
    __asan_unpoison_memory_region (from->bottom, from->size);

  from->fake_stack = __asan_get_current_fake_stack ();
  /* Who ends may be known by a copy already, which would not hear of it. */
  if (from->fake_stack != NULL && from->fake_root == NULL && !from->is_thread && !for_good)
    {
      from->fake_root = from->fake_stack;
      __lsan_register_root_region (from->fake_root, fake_stack_size (from->size));
    }

  /* No place to keep the fake stack means that it is destroyed. */
  __sanitizer_start_switch_fiber (for_good ? NULL : &from->fake_stack, to->bottom, to->size);
  /* The bounds of the thread's own stack become known when it is left. */
  __sanitizer_finish_switch_fiber (to->fake_stack, &from->bottom, &from->size);
  if (for_good)
    from->fake_stack = NULL;
  to->fake_stack = NULL;

  if (from->is_thread)
    own = *from;
  if (to->is_thread)
    own.bottom = NULL;
}

/* Steps into its flow's place for a moment, and leaves that for good. */
DILL_UNINSTRUMENTED static void
destroy_fake_stack (struct dill_announced *announced)
{
  const void *bottom;
  size_t size;
  void *fake_stack;

  __sanitizer_start_switch_fiber (&fake_stack, announced->bottom, announced->size);
  __sanitizer_finish_switch_fiber (announced->fake_stack, &bottom, &size);
  __sanitizer_start_switch_fiber (NULL, bottom, size);
  __sanitizer_finish_switch_fiber (fake_stack, NULL, NULL);
  announced->fake_stack = NULL;
}

static void
asan_end (struct dill_announced *announced, bool is_abandoned)
{
  __lsan_unregister_root_region (announced->bottom, announced->size);
  if (announced->fake_root != NULL)
    __lsan_unregister_root_region (announced->fake_root, fake_stack_size (announced->size));
  if (announced->fake_stack != NULL)
    destroy_fake_stack (announced);
  if (is_abandoned)
    __asan_unpoison_memory_region (announced->bottom, announced->size);
}

bool
dill_announce_has_frame (const struct dill_announced *announced, const void *address)
{
  return __asan_addr_is_in_fake_stack (announced->fake_stack, (void *) address, NULL, NULL) != NULL;
}

void
dill_announce_unmap (void *memory, size_t size)
{
  /* Whoever gets these addresses next must not find red zones of ours. */
  __asan_unpoison_memory_region (memory, size);
}

#endif

#if defined(DILL_WITH_TSAN)

#include <sanitizer/tsan_interface.h>
#include <signal.h>

/* ThreadSanitizer keeps a signal until the flow that it hit leaves a function of libc: for ever, if that flow waits or
 * ends first.  Here it leaves one, with what comes from then on held back until let_signals_through (). */
DILL_UNINSTRUMENTED static void
hold_signals (sigset_t *before)
{
  sigset_t all;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, before);
}

DILL_UNINSTRUMENTED static void
let_signals_through (const sigset_t *before)
{
  pthread_sigmask (SIG_SETMASK, before, NULL);
}

DILL_UNINSTRUMENTED static void
tsan_switch (struct dill_announced *to)
{
  sigset_t before;

  hold_signals (&before);
  __tsan_switch_to_fiber (to->fiber, 0);
  let_signals_through (&before);
}

/* Beginnings and ends of fibers happen in the fiber, and what hits one that is ending is dropped. */
static void
tsan_begin (struct dill_announced *announced)
{
  sigset_t before;

  hold_signals (&before);
  announced->fiber = __tsan_create_fiber (0);
  let_signals_through (&before);
}

static void
tsan_end (struct dill_announced *announced)
{
  sigset_t before;

  hold_signals (&before);
  __tsan_destroy_fiber (announced->fiber);
  let_signals_through (&before);
}

void
dill_announce_give (void *object)
{
  __tsan_release (object);
}

void
dill_announce_receive (void *object)
{
  __tsan_acquire (object);
}

#endif

#if defined(DILL_WITH_ASAN) || defined(DILL_WITH_TSAN) || defined(DILL_WITH_VALGRIND)

#if defined(DILL_WITH_VALGRIND)
bool dill_announce_is_heard;
#endif

void
dill_announce_thread (struct dill_announced *announced)
{
#if defined(DILL_WITH_VALGRIND)
  /* Others may be looking, and Helgrind at them: what is known is not written again. */
  if (!dill_announce_is_heard && RUNNING_ON_VALGRIND)
    dill_announce_is_heard = true;
#endif
  *announced = (struct dill_announced) { .is_thread = true };
#if defined(DILL_WITH_ASAN)
  asan_begin_thread ();
#endif
#if defined(DILL_WITH_TSAN)
  announced->fiber = __tsan_get_current_fiber ();
#endif
}

void
dill_announce_stack_loudly (struct dill_announced *announced, void *stack, size_t size)
{
  *announced = (struct dill_announced) { .bottom = stack, .size = size };
#if defined(DILL_WITH_ASAN)
  asan_begin (announced);
#endif
#if defined(DILL_WITH_TSAN)
  tsan_begin (announced);
#endif
#if defined(DILL_WITH_VALGRIND)
  announced->stack_id = VALGRIND_STACK_REGISTER (stack, (char *) stack + size - 1);
#endif
}

void
dill_announce_end_loudly (struct dill_announced *announced, bool is_abandoned)
{
  if (announced->is_thread)
    return;

#if defined(DILL_WITH_ASAN)
  asan_end (announced, is_abandoned);
#endif
#if defined(DILL_WITH_TSAN)
  tsan_end (announced);
#endif
#if defined(DILL_WITH_VALGRIND)
  VALGRIND_STACK_DEREGISTER (announced->stack_id);
  /* What lies below the stack pointer is out of bounds for it, but may be the program's memory. */
  if (is_abandoned)
    (void) VALGRIND_MAKE_MEM_UNDEFINED (announced->bottom, announced->size);
#endif
  (void) is_abandoned;
}

#endif

#if defined(DILL_WITH_ASAN) || defined(DILL_WITH_TSAN)

DILL_UNINSTRUMENTED void
dill_announce_switch (struct dill_announced *from, struct dill_announced *to, bool for_good)
{
#if defined(DILL_WITH_ASAN)
  asan_switch (from, to, for_good);
#endif
#if defined(DILL_WITH_TSAN)
  tsan_switch (to);
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
