/* announce.h: tells AddressSanitizer, ThreadSanitizer and Valgrind about stacks and switches.
 *
 * They follow a program by its stack pointer, and take a stack that they were not told of for a fault.  What a build
 * does not contain costs nothing: without all three the struct is empty and every call vanishes.  Valgrind alone (its
 * requests are a few instructions that do nothing on a real processor) leaves the switch itself as it is.
 *
 * Relies on <sanitizer/common_interface_defs.h>, <sanitizer/tsan_interface.h> and <valgrind/memcheck.h>, the last one
 * only when HAVE_VALGRIND_H is defined.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define DILL_WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DILL_WITH_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define DILL_WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DILL_WITH_TSAN 1
#endif
#endif

/* Not together with the others, which Valgrind cannot run. */
#if defined(HAVE_VALGRIND_H) && !defined(DILL_WITH_ASAN) && !defined(DILL_WITH_TSAN)
#define DILL_WITH_VALGRIND 1
#include <valgrind/memcheck.h>
#endif

/* A function in which the stack changes under the eyes of a sanitizer: what the compiler adds at its entry and what it
 * adds at its end would go to different stacks. */
#if !defined(DILL_WITH_ASAN) && !defined(DILL_WITH_TSAN)
#define DILL_UNINSTRUMENTED
#elif !defined(__clang__)
#define DILL_UNINSTRUMENTED __attribute__ ((no_sanitize_address, no_sanitize_thread))
#elif __has_attribute(disable_sanitizer_instrumentation)
#define DILL_UNINSTRUMENTED __attribute__ ((disable_sanitizer_instrumentation))
#else
#error "Sanitizers need clang 14 or later here"
#endif

/* What the tools want to have kept for each flow of control. */
struct dill_announced
{
#if defined(DILL_WITH_ASAN) || defined(DILL_WITH_TSAN) || defined(DILL_WITH_VALGRIND)
  bool is_thread;
  const void *bottom;
  size_t size;
#endif
#if defined(DILL_WITH_ASAN)
  void *fake_stack; /* NULL while it runs, and if there is none */
  void *fake_root;  /* the same, once LeakSanitizer knows of it */
#endif
#if defined(DILL_WITH_TSAN)
  void *fiber;
#endif
#if defined(DILL_WITH_VALGRIND)
  unsigned stack_id;
#endif
};

#if defined(DILL_WITH_ASAN) || defined(DILL_WITH_TSAN) || defined(DILL_WITH_VALGRIND)

/* The flow that runs on the thread's own stack, and is running now.  Not to be called by two threads at once. */
void dill_announce_thread (struct dill_announced *announced);

/* What dill_announce_stack () and dill_announce_end () do if somebody listens. */
void dill_announce_stack_loudly (struct dill_announced *announced, void *stack, size_t size);
void dill_announce_end_loudly (struct dill_announced *announced, bool is_abandoned);

/* Whether somebody listens.  A sanitizer does; whether Valgrind does, the first dill_announce_thread () finds out. */
#if defined(DILL_WITH_VALGRIND)
extern bool dill_announce_is_heard;
#else
#define dill_announce_is_heard true
#endif

/* A flow that will begin on STACK. */
static inline void
dill_announce_stack (struct dill_announced *announced, void *stack, size_t size)
{
  if (dill_announce_is_heard)
    dill_announce_stack_loudly (announced, stack, size);
}

/* Ends what dill_announce_stack () began, while the memory still exists: whose it is may use it again.
 * IS_ABANDONED: the flow has not ended, but never will go on. */
static inline void
dill_announce_end (struct dill_announced *announced, bool is_abandoned)
{
  if (dill_announce_is_heard)
    dill_announce_end_loudly (announced, is_abandoned);
}

#else

#define dill_announce_is_heard false

static inline void
dill_announce_thread (struct dill_announced *announced)
{
  (void) announced;
}

static inline void
dill_announce_stack (struct dill_announced *announced, void *stack, size_t size)
{
  (void) announced;
  (void) stack;
  (void) size;
}

static inline void
dill_announce_end (struct dill_announced *announced, bool is_abandoned)
{
  (void) announced;
  (void) is_abandoned;
}

#endif

#if defined(DILL_WITH_ASAN)

/* Stacks are about to be unmapped, perhaps with flows that will never go on. */
void dill_announce_unmap (void *memory, size_t size);

/* Whether ADDRESS is a local of the suspended flow ANNOUNCED that is kept elsewhere than on its stack. */
bool dill_announce_has_frame (const struct dill_announced *announced, const void *address);

#else

static inline void
dill_announce_unmap (void *memory, size_t size)
{
  (void) memory;
  (void) size;
}

static inline bool
dill_announce_has_frame (const struct dill_announced *announced, const void *address)
{
  (void) announced;
  (void) address;
  return false;
}

#endif

#if defined(DILL_WITH_TSAN)

/* OBJECT goes to another thread by way of GLib, and has come.  GLib's locks see to their order, but ThreadSanitizer
 * does not see those of a GLib that was not built for it. */
void dill_announce_give (void *object);
void dill_announce_receive (void *object);

#else

static inline void
dill_announce_give (void *object)
{
  (void) object;
}

static inline void
dill_announce_receive (void *object)
{
  (void) object;
}

#endif

#if defined(DILL_WITH_ASAN) || defined(DILL_WITH_TSAN)

/* The very next thing is the switch from FROM, the running flow, to TO; FOR_GOOD when FROM has ended. */
void dill_announce_switch (struct dill_announced *from, struct dill_announced *to, bool for_good);

/* The same in two steps, for a switch that happens only when the function that knows about it has returned. */
void dill_announce_switch_later (struct dill_announced *from, struct dill_announced *to);
void dill_announce_switch_now (void);

/* There was no switch: pthread_exit () in FROM has come back to a function on the stack of TO, and the caller is the
 * last of those that are left there. */
void dill_announce_return (struct dill_announced *from, struct dill_announced *to);

#else

static inline void
dill_announce_switch (struct dill_announced *from, struct dill_announced *to, bool for_good)
{
  (void) from;
  (void) to;
  (void) for_good;
}

static inline void
dill_announce_switch_later (struct dill_announced *from, struct dill_announced *to)
{
  (void) from;
  (void) to;
}

static inline void
dill_announce_switch_now (void)
{
}

static inline void
dill_announce_return (struct dill_announced *from, struct dill_announced *to)
{
  (void) from;
  (void) to;
}

#endif

/* To come between that and the switch, if it is for good: whose the memory of the stack is may use it from then on.
 * For Valgrind what lies below the stack pointer is out of bounds, so this is no function; and what lies above is in
 * use, and must not become undefined. */
#if defined(DILL_WITH_VALGRIND)
#define dill_announce_stack_is_free(announced)                                                                         \
  ((void) (dill_announce_is_heard && VALGRIND_MAKE_MEM_DEFINED ((announced)->bottom, (announced)->size)))
#else
#define dill_announce_stack_is_free(announced) ((void) (announced))
#endif
