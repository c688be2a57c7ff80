/* stack-min.c: how large a stack must be that may be interrupted by signals.
 *
 * The kernel puts a signal's frame on the stack that runs, unless the handler has one of its own (sigaltstack(2)).
 * Most of the frame is the processor's registers, so only the kernel knows its size: AT_MINSIGSTKSZ, in Linux from 5.14
 * on, or what the C library makes of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/storage.h"
#include "sync/bundle.h"
#include <signal.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/auxv.h>
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#endif

/* Where nobody tells: more than the frame with AVX-512 takes. */
#define FRAME_UNKNOWN 8192

/* Bytes below the stack pointer that belong to the interrupted function; the kernel steps over them. */
#define RED_ZONE 128

/* Calls of the library take up to 2 KiB, listening and connecting where a socket file needs a detour up to 4.  So
 * does the dynamic linker when it binds a function at its first call, which it does before that begins.  gcc's
 * AddressSanitizer surrounds the locals of all that with as much again and more. */
#if defined(DILL_WITH_ASAN) || defined(DILL_WITH_TSAN)
#define LIBRARY_MAX 16384
#else
#define LIBRARY_MAX 4096
#endif

/* Half of it for the function, half for the handler. */
#define RESERVE 8192

static size_t
signal_frame_size (void)
{
  size_t size = 0;

#if defined(_SC_MINSIGSTKSZ)
  long minimum = sysconf (_SC_MINSIGSTKSZ);

  if (minimum > 0)
    size = (size_t) minimum;
#endif
#if defined(__linux__)
  if (size < getauxval (AT_MINSIGSTKSZ))
    size = getauxval (AT_MINSIGSTKSZ);
#endif
  return (size > 0 ? size : FRAME_UNKNOWN) + RED_ZONE;
}

size_t
dill_stack_min (void)
{
  return dill_member_overhead () + LIBRARY_MAX + signal_frame_size () + RESERVE;
}
