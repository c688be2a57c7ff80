/* traces.c: coroutines that call look () in all situations in which somebody may want to see a back-trace.
 *
 * In a debugger, a breakpoint at look () shows them one after the other, each under the name that it is called with.
 * By itself the program looks as profilers and exceptions do, and fails if it sees more than the coroutine.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#undef NDEBUG
#include <assert.h>
#include <libdill.h>
#include <pthread.h>
#include <string.h>
#include <unwind.h>

#define STACK_SIZE 65536

/* None of these is to be inlined, or left by a jump. */
#define FRAME __attribute__ ((noinline))

static volatile int n_looks;

static _Unwind_Reason_Code
count_frame (struct _Unwind_Context *context, void *n)
{
  (void) context;
  ++*(int *) n;
  return _URC_NO_REASON;
}

static FRAME int
count_frames (void)
{
  volatile int n = 0;

  _Unwind_Backtrace (count_frame, (void *) &n);
  return n - 1;
}

/* What a coroutine needs to call look (), and less than its starters would add. */
#ifdef __cplusplus
#define MAX_FRAMES 8
#else
#define MAX_FRAMES 6
#endif

FRAME void look (const char *name);

FRAME void
look (const char *name)
{
  assert (name != NULL);
  n_looks++;
  assert (count_frames () <= MAX_FRAMES);
}

static coroutine void
wait_and_look (const char *name)
{
  assert (yield () == 0);
  look (name);
  n_looks++;
}

static coroutine void
look_at_once (const char *name)
{
  look (name);
  assert (yield () == 0);
}

static FRAME int
look_for_argument (const char *name)
{
  look (name);
  return 1;
}

static coroutine void
take_arguments (int a, int b)
{
  assert (a == 1 && b == 1);
}

/* --- Starters, each with frames beneath it that no coroutine's trace may reach --- */

static FRAME void
overwrite_stack (void)
{
  volatile char space[16384];

  memset ((char *) space, 0x5a, sizeof space);
}

static FRAME int
starter_that_returns (const char *name, int depth)
{
  volatile int handle = depth > 0 ? starter_that_returns (name, depth - 1) : go (wait_and_look (name));

  return handle;
}

static FRAME void
starter_that_stays (int depth)
{
  int before = count_frames (), handles[4];

  if (depth > 0)
    {
      starter_that_stays (depth - 1);
      n_looks++;
      return;
    }

  handles[0] = go (look_at_once ("starter waits"));
  handles[1] = go (wait_and_look ("starter goes on"));
  assert (count_frames () == before);
  for (int i = 2; i < 4; i++)
    handles[i] = go (wait_and_look (i % 2 == 0 ? "first in loop" : "second in loop"));
  for (int i = 0; i < 4; i++)
    assert (bundle_wait (handles[i], -1) == 0 && hclose (handles[i]) == 0);
  assert (count_frames () == before);
}

static FRAME void
starter_with_arguments (int depth)
{
  int before = count_frames (), handle;

  if (depth > 0)
    {
      starter_with_arguments (depth - 1);
      n_looks++;
      return;
    }

  handle = go (take_arguments (1, before > 0 ? look_for_argument ("argument") : count_frames ()));
  assert (hclose (handle) == 0);
}

/* --- Starters that are coroutines --- */

static char stacks[3][STACK_SIZE];

static coroutine void
starter_in_coroutine (const char *name, char *memory, int *handle)
{
  assert (yield () == 0);
  *handle = go_mem (wait_and_look (name), memory, STACK_SIZE);
  n_looks++;
}

/* The child's stack lies below or above that of its starter, which has ended, and whose memory is in other use. */
static void
nest (const char *name, char *starter_memory, char *memory)
{
  int child = -1;
  int handle = go_mem (starter_in_coroutine (name, memory, &child), starter_memory, STACK_SIZE);

  assert (bundle_wait (handle, -1) == 0 && hclose (handle) == 0 && child >= 0);
  memset (starter_memory, 0x5a, STACK_SIZE);
  assert (bundle_wait (child, -1) == 0 && hclose (child) == 0);
}

/* --- A starter that is unwound --- */

static int n_cleaned;

static void
clean (void *number)
{
  n_cleaned += *(volatile int *) number;
}

static void *
thread_of_starter (void *data)
{
  volatile int number = 10;

  pthread_cleanup_push (clean, (void *) &number);
  assert (hclose (go (take_arguments (1, 1))) == 0);
  number += *(int *) data;
  pthread_exit (NULL);
  pthread_cleanup_pop (0);
  return NULL;
}

static void
unwind_starter (void)
{
  pthread_t thread;
  int number = 7;

  assert (pthread_create (&thread, NULL, thread_of_starter, &number) == 0 && pthread_join (thread, NULL) == 0);
  assert (n_cleaned == 17);
}

int
main (void)
{
  int handle = starter_that_returns ("starter has returned", 3);

  assert (handle >= 0);
  overwrite_stack ();
  assert (bundle_wait (handle, -1) == 0 && hclose (handle) == 0);
  starter_that_stays (3);
  starter_with_arguments (3);
  nest ("below its starter", stacks[1], stacks[0]);
  nest ("above its starter", stacks[1], stacks[2]);
  unwind_starter ();
  return 0;
}
