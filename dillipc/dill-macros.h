/* dill-macros.h: what every public header needs: visibility, compiler attributes, and how the library was configured.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_MACROS_H
#define DILL_MACROS_H

#include <dillipc/dill-config.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define DILL_BEGIN_DECLS extern "C" {
#define DILL_END_DECLS }
#else
#define DILL_BEGIN_DECLS
#define DILL_END_DECLS
#endif

/* The only symbols that leave the shared library. */
#define DILL_EXPORT __attribute__ ((visibility ("default")))

/* A function that comes back twice must neither be copied nor hoisted. */
#if defined(__clang__)
#define DILL_RETURNS_TWICE __attribute__ ((returns_twice, noduplicate))
#else
#define DILL_RETURNS_TWICE __attribute__ ((returns_twice))
#endif

/**
 * dill_coroutine:
 *
 * Marks a function that dill_go() starts.  It keeps the function whole, so that debuggers and profilers show it under
 * its name; the compiler optimises it like any other.
 */
#define dill_coroutine __attribute__ ((noinline))

#endif
