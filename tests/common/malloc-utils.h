/* malloc-utils.h: a program that stands between the library and malloc (): counts what is allocated, and makes it fail.
 *
 * To be included by one file of a program.  Works with glibc, and not with AddressSanitizer, which stands there itself:
 * CAN_COUNT_MALLOC says so.  GLib aborts when malloc () fails, so it should only fail while the library alone
 * allocates.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"

/* Of this thread. */
static __thread G_GNUC_UNUSED guint n_malloc; /* allocations so far */
static __thread bool malloc_is_short; /* there is want of memory */
static __thread guint n_malloc_left;  /* allocations that succeed nevertheless */
static __thread guint n_malloc_failed;

#if defined(__GLIBC__) && !HAVE_SANITIZER
#define CAN_COUNT_MALLOC 1

extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *memory, size_t size);

static bool
malloc_is_refused (void)
{
  n_malloc++;
  if (!malloc_is_short)
    return false;

  if (n_malloc_left > 0)
    {
      n_malloc_left--;
      return false;
    }

  n_malloc_failed++;
  errno = ENOMEM;
  return true;
}

void *
malloc (size_t size)
{
  return malloc_is_refused () ? NULL : __libc_malloc (size);
}

void *
calloc (size_t n, size_t size)
{
  return malloc_is_refused () ? NULL : __libc_calloc (n, size);
}

void *
realloc (void *memory, size_t size)
{
  return malloc_is_refused () ? NULL : __libc_realloc (memory, size);
}

void *
reallocarray (void *memory, size_t n, size_t size)
{
  if (size > 0 && n > SIZE_MAX / size)
    {
      errno = ENOMEM;
      return NULL;
    }
  return realloc (memory, n * size);
}

#else
#define CAN_COUNT_MALLOC 0
#endif

/* Skips the test where malloc () cannot be made to fail.  GLIB_TOO: GLib would have to allocate too, if the poller
 * is the one that hands it descriptors. */
static inline bool
malloc_skip_test (bool glib_too)
{
  if (test_skip_under (TEST_UNDER_VALGRIND, "it stands there itself"))
    return true;

  if (CAN_COUNT_MALLOC && !glib_too)
    return false;

  g_test_skip (glib_too ? "GLib's own allocations would fail too" : "malloc () cannot be made to fail in this build");
  return true;
}

/* From now on, until malloc_end_want (), all allocations fail but the first N. */
static inline void
malloc_begin_want (guint n)
{
  test_errnos_note_injection ();
  malloc_is_short = true;
  n_malloc_left = n;
  n_malloc_failed = 0;
}

/* Returns whether any has failed.  Keeps errno. */
static inline bool
malloc_end_want (void)
{
  malloc_is_short = false;
  return n_malloc_failed > 0;
}
