/* count-malloc.c: preloaded, counts allocations, and writes the number to the standard error output on SIGUSR1.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *memory, size_t size);

void *counting_malloc (size_t size) __asm__ ("malloc");
void *counting_calloc (size_t n, size_t size) __asm__ ("calloc");
void *counting_realloc (void *memory, size_t size) __asm__ ("realloc");

static atomic_ulong n_allocations;

void *
counting_malloc (size_t size)
{
  atomic_fetch_add (&n_allocations, 1);
  return __libc_malloc (size);
}

void *
counting_calloc (size_t n, size_t size)
{
  atomic_fetch_add (&n_allocations, 1);
  return __libc_calloc (n, size);
}

void *
counting_realloc (void *memory, size_t size)
{
  atomic_fetch_add (&n_allocations, 1);
  return __libc_realloc (memory, size);
}

static void
report (int signal)
{
  char line[32];
  int length = snprintf (line, sizeof line, "%lu\n", atomic_load (&n_allocations));

  (void) signal;
  if (write (STDERR_FILENO, line, (size_t) length) < 0)
    _exit (1);
}

__attribute__ ((constructor)) static void
begin (void)
{
  signal (SIGUSR1, report);
}
