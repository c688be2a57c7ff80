/* coroutines.c: what coroutines cost: their switches, and very many of them.
 *
 * usage: coroutines speed        nanoseconds for a bare switch, yield (), go () with hclose (), and a channel's message
 *        coroutines many N       memory, mappings, and cancellation of N coroutines that are suspended in a bundle
 *        coroutines timers N     microseconds to start, and to wake, one of N coroutines that sleep
 *        coroutines handles N    microseconds to make, and to close, one of N handles
 *        coroutines connections N  bytes of the heap for one of N connections in the program's memory, waited on
 *
 * Prints a line NAME VALUE for each figure.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <dillipc/dillipc.h>

#include "bench.h"
#include "coroutine/context.h"
#include <err.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N_ROUNDS 9 /* of which the median counts */
#define N_STEPS 200000

/* In seconds of processor time: others that run on the machine do not count. */
static double
now (void)
{
  struct timespec time;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double) time.tv_sec + (double) time.tv_nsec * 1e-9;
}

static int
compare (const void *a, const void *b)
{
  double one = *(const double *) a, other = *(const double *) b;

  return one < other ? -1 : one > other;
}

/* The median time, in nanoseconds, of one of the steps that RUN does. */
static double
nanoseconds_per_step (void (*run) (unsigned n_steps))
{
  double times[N_ROUNDS];

  for (unsigned i = 0; i < N_ROUNDS; i++)
    {
      double begin = now ();

      run (N_STEPS);
      times[i] = (now () - begin) * 1e9 / N_STEPS;
    }
  qsort (times, N_ROUNDS, sizeof *times, compare);
  return times[N_ROUNDS / 2];
}

/* --- Speed --- */

static struct dill_context contexts[2];
static _Alignas (16) char stack[65536];

static void
switch_back (void *data)
{
  (void) data;
  for (;;)
    dill_context_switch (&contexts[1], &contexts[0]);
}

/* One switch there and one back are two. */
static void
run_switches (unsigned n)
{
  for (unsigned i = 0; i < n; i += 2)
    dill_context_switch (&contexts[0], &contexts[1]);
}

/* What the goals are counted in: a switch as others make it, which saves the same, loads the control words always,
 * and ends in a jump. */
#if defined(__x86_64__)

void bench_jump (void **from, void *to);

__asm__ (".text\n"
         "bench_jump:\n"
         "  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
         "  subq $8, %rsp; stmxcsr (%rsp); fnstcw 4(%rsp)\n"
         "  movq %rsp, (%rdi); movq %rsi, %rsp\n"
         "  ldmxcsr (%rsp); fldcw 4(%rsp); addq $8, %rsp\n"
         "  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n"
         "  popq %rcx; jmp *%rcx\n");

static void *jumpers[2];

static void
jump_back (void)
{
  for (;;)
    bench_jump (&jumpers[1], jumpers[0]);
}

static void
run_jumps (unsigned n)
{
  uintptr_t *frame = (uintptr_t *) (void *) (stack + sizeof stack) - 10;

  memset (frame, 0, 10 * sizeof *frame);
  frame[7] = (uintptr_t) jump_back;
  __asm__ ("stmxcsr %0; fnstcw %1" : "=m"(*(uint32_t *) frame), "=m"(*((uint16_t *) frame + 2)));
  jumpers[1] = frame;
  for (unsigned i = 0; i < n; i += 2)
    bench_jump (&jumpers[0], jumpers[1]);
}

#else

#define run_jumps run_switches

#endif

static dill_coroutine void
yield_often (unsigned n)
{
  while (n-- > 0)
    dill_yield ();
}

/* Two coroutines that take turns. */
static void
run_yields (unsigned n)
{
  int bundle = dill_bundle ();

  dill_bundle_go (bundle, yield_often (n / 2));
  dill_bundle_go (bundle, yield_often (n / 2));
  dill_bundle_wait (bundle, -1);
  dill_hclose (bundle);
}

static dill_coroutine void
do_nothing (void)
{
}

static void
run_go (unsigned n)
{
  while (n-- > 0)
    dill_hclose (dill_go (do_nothing ()));
}

static dill_coroutine void
send_often (int channel, unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    dill_chsend (channel, &i, sizeof i, -1);
}

static dill_coroutine void
receive_often (int channel, unsigned n)
{
  unsigned value;

  while (n-- > 0)
    dill_chrecv (channel, &value, sizeof value, -1);
}

static void
run_channel (unsigned n)
{
  int bundle = dill_bundle (), ends[2];

  dill_chmake (ends);
  dill_bundle_go (bundle, send_often (ends[0], n));
  dill_bundle_go (bundle, receive_often (ends[1], n));
  dill_bundle_wait (bundle, -1);
  dill_hclose (bundle);
  dill_hclose (ends[0]);
  dill_hclose (ends[1]);
}

static void
measure_speed (void)
{
  dill_context_init_thread (&contexts[0]);
  dill_context_init (&contexts[1], stack, sizeof stack, switch_back, NULL);
  printf ("switch_ns %.2f\n", nanoseconds_per_step (run_switches));
  printf ("jump_ns %.2f\n", nanoseconds_per_step (run_jumps));
  printf ("yield_ns %.2f\n", nanoseconds_per_step (run_yields));
  printf ("go_ns %.2f\n", nanoseconds_per_step (run_go));
  printf ("channel_ns %.2f\n", nanoseconds_per_step (run_channel));
}

/* --- Many --- */

/* A figure in KiB from /proc/self/status. */
static double
status_kib (const char *name)
{
  FILE *file = fopen ("/proc/self/status", "r");
  char line[256];
  double value = 0;

  while (file != NULL && fgets (line, sizeof line, file) != NULL)
    if (strncmp (line, name, strlen (name)) == 0)
      value = strtod (line + strlen (name) + 1, NULL);
  if (file != NULL)
    fclose (file);
  return value;
}

static unsigned
count_mappings (void)
{
  FILE *file = fopen ("/proc/self/maps", "r");
  unsigned n = 0;
  int c;

  while (file != NULL && (c = getc (file)) != EOF)
    n += c == '\n';
  if (file != NULL)
    fclose (file);
  return n;
}

static dill_coroutine void
sleep_until (int64_t deadline)
{
  dill_msleep (deadline);
}

static void
measure_many (unsigned n)
{
  double resident = status_kib ("VmRSS"), tables = status_kib ("VmPTE"), begin;
  unsigned n_mappings = count_mappings ();
  int bundle = dill_bundle ();

  begin = now ();
  for (unsigned i = 0; i < n; i++)
    if (dill_bundle_go (bundle, sleep_until (-1)) < 0)
      err (1, "after %u coroutines", i);
  printf ("start_us %.3f\n", (now () - begin) * 1e6 / n);
  printf ("bytes_each %.0f\n", (status_kib ("VmRSS") - resident) * 1024 / n);
  printf ("page_table_bytes_each %.0f\n", (status_kib ("VmPTE") - tables) * 1024 / n);
  printf ("mappings %u\n", count_mappings () - n_mappings);

  begin = now ();
  dill_hclose (bundle);
  printf ("cancel_us %.3f\n", (now () - begin) * 1e6 / n);
}

static void
measure_timers (unsigned n)
{
  int bundle = dill_bundle ();
  double begin = now ();
  int64_t deadline;

  /* Late enough for all to be asleep, and spread over a second. */
  deadline = dill_now () + 1000 + n / 200;
  for (unsigned i = 0; i < n; i++)
    if (dill_bundle_go (bundle, sleep_until (deadline - (int64_t) (i * 7919u % 1000))) < 0)
      err (1, "after %u coroutines", i);
  printf ("start_us %.3f\n", (now () - begin) * 1e6 / n);

  while (dill_now () < deadline)
    continue; /* busy: now all of them are due */
  begin = now ();
  dill_bundle_wait (bundle, -1);
  printf ("wake_us %.3f\n", (now () - begin) * 1e6 / n);
  dill_hclose (bundle);
}

static void
measure_handles (unsigned n)
{
  int *handles = calloc (n, sizeof *handles);
  double begin = now ();

  for (unsigned i = 0; i < n; i++)
    if ((handles[i] = dill_bundle ()) < 0)
      err (1, "after %u handles", i);
  printf ("make_us %.3f\n", (now () - begin) * 1e6 / n);

  begin = now ();
  for (unsigned i = 0; i < n; i++)
    dill_hclose (handles[i]);
  printf ("close_us %.3f\n", (now () - begin) * 1e6 / n);
  free (handles);
}

static dill_coroutine void
wait_for_byte (int s)
{
  char byte;

  dill_brecv (s, &byte, 1, -1);
}

/* What is allocated, in bytes; 0 where the C library does not say. */
static size_t
heap_size (void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  return mallinfo2 ().uordblks;
#else
  return 0;
#endif
}

/* Both ends of N / 2 pairs. */
static void
measure_connections (unsigned n)
{
  char *mem = calloc (n / 2, DILL_IPC_PAIR_SIZE);
  int *handles = calloc (n, sizeof *handles);
  int waiters = dill_bundle ();
  size_t before;

  bench_raise_limit ();
  before = heap_size ();
  for (unsigned i = 0; i < n / 2; i++)
    if (dill_ipc_pair_mem (mem + i * DILL_IPC_PAIR_SIZE, &handles[2 * i]) < 0
        || dill_bundle_go (waiters, wait_for_byte (handles[2 * i])) < 0
        || dill_bundle_go (waiters, wait_for_byte (handles[2 * i + 1])) < 0)
      err (1, "after %u pairs", i);

  printf ("heap_bytes_each %.1f\n", (double) (heap_size () - before) / n);
  printf ("storage_bytes %zu\n", (size_t) DILL_IPC_SIZE);
  dill_hclose (waiters);
  for (unsigned i = 0; i < n; i++)
    dill_hclose (handles[i]);
  free (handles);
  free (mem);
}

int
main (int argc, char **argv)
{
  unsigned n = argc > 2 ? (unsigned) strtoul (argv[2], NULL, 10) : 0;

  if (argc == 2 && strcmp (argv[1], "speed") == 0)
    measure_speed ();
  else if (n > 0 && strcmp (argv[1], "many") == 0)
    measure_many (n);
  else if (n > 0 && strcmp (argv[1], "timers") == 0)
    measure_timers (n);
  else if (n > 0 && strcmp (argv[1], "handles") == 0)
    measure_handles (n);
  else if (n > 0 && strcmp (argv[1], "connections") == 0)
    measure_connections (n);
  else
    errx (2, "usage: %s speed | many N | timers N | handles N | connections N", argv[0]);
  return 0;
}
