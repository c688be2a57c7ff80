/* fault-plan.c: see fault-plan.h.
 *
 * Relies on malloc_usable_size (), and on EPOLL_CTL_MOD, which reports what is ready although nothing has changed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-plan.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

const struct fault_errnos fault_calls[FAULT_N_CALLS] = { FAULT_CALLS };

/* A call may come from a thread that the library has started: all of this is under the lock. */
static GMutex lock;
static bool is_armed;
static bool has_struck;
static Fault plan;
static Fault circumstance;
static guint counts[FAULT_N_CALLS];
static FaultMemory memory;
static bool expects_handles;
static gsize handles_size;
static guint n_handle_blocks;
static GRand *cut_rand;
static bool cuts_to_one_byte;
static bool cut_last;
static guint n_cuts;

/* What the library has registered. */
typedef struct
{
  int epoll;
  int descriptor;
  struct epoll_event event;
} Registration;

static GArray *registrations;

void
fault_arm (const Fault *fault, const Fault *given)
{
  g_mutex_lock (&lock);
  plan = fault != NULL ? *fault : (Fault) { .error = 0 };
  circumstance = given != NULL ? *given : (Fault) { .error = 0 };
  memset (counts, 0, sizeof counts);
  has_struck = false;
  is_armed = true;
  g_mutex_unlock (&lock);
}

bool
fault_disarm (void)
{
  bool result;

  g_mutex_lock (&lock);
  is_armed = false;
  result = has_struck;
  g_mutex_unlock (&lock);
  return result;
}

guint
fault_count (enum fault_call call)
{
  return counts[call];
}

static bool
applies (const Fault *fault, enum fault_call call)
{
  return fault->error != 0 && fault->call == call
         && (counts[call] == fault->nth || (fault->persists && counts[call] > fault->nth));
}

bool
fault_strikes (enum fault_call call)
{
  int error = 0;

  g_mutex_lock (&lock);
  if (is_armed)
    {
      counts[call]++;
      if (applies (&circumstance, call))
        error = circumstance.error;
      else if (applies (&plan, call))
        {
          error = plan.error;
          has_struck = true;
        }
    }
  g_mutex_unlock (&lock);

  if (error != 0)
    errno = error;
  return error != 0;
}

FaultMemory
fault_memory (void)
{
  return memory;
}

void
fault_expect_handles (void)
{
  expects_handles = true;
}

guint
fault_n_handle_blocks (void)
{
  return n_handle_blocks;
}

void *
fault_allocate_zeroed (size_t n, size_t size)
{
  void *block;

  if (fault_strikes (n * size == handles_size ? FAULT_calloc_handles : FAULT_calloc))
    return NULL;

  block = calloc (n, size);
  g_mutex_lock (&lock);
  if (expects_handles)
    {
      expects_handles = false;
      handles_size = n * size;
    }
  n_handle_blocks += n * size == handles_size;
  g_mutex_unlock (&lock);
  if (n * size != handles_size)
    fault_memory_grow (block);
  return block;
}

void
fault_memory_add (gsize n_bytes)
{
  g_mutex_lock (&lock);
  memory.n_blocks++;
  memory.n_bytes += n_bytes;
  g_mutex_unlock (&lock);
}

void
fault_memory_subtract (gsize n_bytes)
{
  g_mutex_lock (&lock);
  memory.n_blocks--;
  memory.n_bytes -= n_bytes;
  g_mutex_unlock (&lock);
}

void
fault_memory_grow (const void *block)
{
  if (block != NULL)
    fault_memory_add (malloc_usable_size ((void *) block));
}

void
fault_memory_shrink (const void *block)
{
  if (block != NULL)
    fault_memory_subtract (malloc_usable_size ((void *) block));
}

void
fault_memory_map (gssize n_bytes)
{
  g_mutex_lock (&lock);
  memory.n_mapped += (gsize) n_bytes;
  g_mutex_unlock (&lock);
}

/* The index of a registration, or that of the next one of DESCRIPTOR from START on if EPOLL is negative; -1: none. */
static gint
find_registration (int epoll, int descriptor, guint start)
{
  for (guint i = start; registrations != NULL && i < registrations->len; i++)
    {
      const Registration *registration = &g_array_index (registrations, Registration, i);

      if (registration->descriptor == descriptor && (epoll < 0 || registration->epoll == epoll))
        return (gint) i;
    }

  return -1;
}

void
fault_note_registration (int epoll, int descriptor, const struct epoll_event *event)
{
  gint place;

  g_mutex_lock (&lock);
  if (registrations == NULL)
    registrations = g_array_new (FALSE, FALSE, sizeof (Registration));

  place = find_registration (epoll, descriptor, 0);
  if (place >= 0)
    g_array_remove_index_fast (registrations, (guint) place);
  if (event != NULL)
    {
      Registration registration = { epoll, descriptor, *event };

      g_array_append_val (registrations, registration);
    }
  g_mutex_unlock (&lock);
}

void
fault_forget_registrations (int descriptor)
{
  g_mutex_lock (&lock);
  for (guint i = 0; registrations != NULL && i < registrations->len;)
    {
      const Registration *registration = &g_array_index (registrations, Registration, i);

      if (registration->descriptor == descriptor || registration->epoll == descriptor)
        g_array_remove_index_fast (registrations, i);
      else
        i++;
    }
  g_mutex_unlock (&lock);
}

void
fault_report_again (int descriptor)
{
  int saved_errno = errno;

  g_mutex_lock (&lock);
  for (gint i = find_registration (-1, descriptor, 0); i >= 0; i = find_registration (-1, descriptor, (guint) i + 1))
    {
      Registration *registration = &g_array_index (registrations, Registration, i);

      g_assert_no_errno (epoll_ctl (registration->epoll, EPOLL_CTL_MOD, descriptor, &registration->event));
    }
  g_mutex_unlock (&lock);
  errno = saved_errno;
}

void
fault_cut (GRand *rand, bool to_one_byte)
{
  g_mutex_lock (&lock);
  cut_rand = rand;
  cuts_to_one_byte = to_one_byte;
  cut_last = false;
  n_cuts = 0;
  g_mutex_unlock (&lock);
}

guint
fault_n_cuts (void)
{
  return n_cuts;
}

/* To how many of LENGTH bytes this transfer is cut; 0: it is left whole. */
static size_t
choose_length (size_t length)
{
  size_t chosen;

  if (length < 2 || (cut_rand == NULL && !cuts_to_one_byte))
    return 0;

  if (cuts_to_one_byte)
    return 1;

  /* Small ones as often as large ones, and now and then none. */
  if (g_rand_int_range (cut_rand, 0, 4) == 0)
    return 0;
  chosen = (size_t) 1 << g_rand_int_range (cut_rand, 0, 17);
  chosen = (size_t) g_rand_int_range (cut_rand, 1, (gint32) chosen + 1);
  return chosen < length ? chosen : 0;
}

size_t
fault_cut_pieces (const struct iovec *pieces, size_t n, struct iovec *cut)
{
  size_t length = 0, left, n_cut = 0;

  for (size_t i = 0; i < n; i++)
    length += pieces[i].iov_len;

  g_mutex_lock (&lock);
  left = choose_length (length);
  n_cuts += left > 0;
  g_mutex_unlock (&lock);

  for (; left > 0; n_cut++)
    {
      cut[n_cut] = pieces[n_cut];
      if (cut[n_cut].iov_len > left)
        cut[n_cut].iov_len = left;
      left -= cut[n_cut].iov_len;
    }
  return n_cut;
}
