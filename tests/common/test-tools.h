/* test-tools.h: the tools that test programs run under: AddressSanitizer, ThreadSanitizer, Valgrind, an emulator of
 * another processor.
 *
 * They make everything slower and larger, and do some things to a process that nothing else does.  A case that cannot
 * hold under one of them skips with a reason, here; one that merely takes longer multiplies its limits.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What the program is built with, by whichever compiler. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define HAVE_ADDRESS_SANITIZER 1
#else
#define HAVE_ADDRESS_SANITIZER 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define HAVE_THREAD_SANITIZER 1
#else
#define HAVE_THREAD_SANITIZER 0
#endif
#define HAVE_SANITIZER (HAVE_ADDRESS_SANITIZER || HAVE_THREAD_SANITIZER)

#define TEST_UNDER_ASAN (1u << 0)
#define TEST_UNDER_TSAN (1u << 1)
#define TEST_UNDER_VALGRIND (1u << 2)
#define TEST_UNDER_EMULATOR (1u << 3)
#define TEST_UNDER_ANY (TEST_UNDER_ASAN | TEST_UNDER_TSAN | TEST_UNDER_VALGRIND | TEST_UNDER_EMULATOR)

/* The one that this program runs under, or 0. */
guint test_tool (void);

/* Marks the case as skipped, for REASON, and returns TRUE, if this program runs under one of TOOLS. */
gboolean test_skip_under (guint tools, const char *reason);

/* Stands before a function, the locals of which are looked at when it has returned, since the library keeps its
 * stack from being used again.  With detect_stack_use_after_return AddressSanitizer would have them elsewhere. */
#if HAVE_ADDRESS_SANITIZER
#define TEST_LOCALS_OUTLIVE __attribute__ ((no_sanitize_address))
#else
#define TEST_LOCALS_OUTLIVE
#endif

/* What a forked child does first: it ends wherever it is, perhaps in a coroutine, and what its parent had on other
 * stacks is no leak of the child's.  Errors are errors there, too. */
void test_tool_begin_child (void);

/* Why where several descriptors come in one message: what the program has no room for stays in the emulator. */
#define TEST_LETS_DESCRIPTORS_IN "it gives the kernel more room for descriptors than the program asked for"

/* The emulator with its options, or NULL: that is Meson's exe_wrapper. */
const char *test_emulator (void);

/* How many times as long as usual things may take: 1 without a tool. */
guint test_slowdown (void);

G_END_DECLS
