/* turn-utils.h: neighbours in a main context, who want their turns whatever somebody does there.
 *
 * Time is measured as this thread's processor time: what other programs take does not count, except for what a virtual
 * processor loses to others and the kernel's own work in between.  So two turns may be late: whoever is not let have
 * his turns gets them late each time, or not at all.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

#include <time.h>

/* How long neighbours may have to wait, of an equal and of a lower priority, in microseconds of processor time. */
#define EQUAL_MAX_US (10000 * test_slowdown ())
#define LOWER_MAX_US (20000 * test_slowdown ())

/* How many of their turns may be late. */
#define N_LATE_MAX 2

static inline gint64
processor_time (void)
{
  struct timespec now;

  g_assert_no_errno (clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now));
  return now.tv_sec * (gint64) 1000000 + now.tv_nsec / 1000;
}

/* A stretch of processor time in which neighbours are watched.  What a virtual processor loses in one go does not
 * use it up: it could be over before anybody has had a chance. */
#define LOST_AT_ONCE_US 5000

typedef struct
{
  gint64 left;
  gint64 last;
} Stretch;

static inline Stretch
stretch_begin (gint64 length_us)
{
  return (Stretch) { .left = length_us, .last = processor_time () };
}

static inline gboolean
stretch_goes_on (Stretch *stretch)
{
  gint64 now = processor_time ();

  stretch->left -= MIN (now - stretch->last, LOST_AT_ONCE_US);
  stretch->last = now;
  return stretch->left > 0;
}

/* Somebody who wants a turn now and then, and how long it took. */
typedef struct
{
  const char *name;
  gint64 first;
  gint64 last;
  gint64 longest[N_LATE_MAX + 1]; /* the longest first */
  guint n_turns;
} Neighbour;

static inline void
neighbour_init (Neighbour *neighbour, const char *name)
{
  *neighbour = (Neighbour) { .name = name, .first = processor_time () };
  neighbour->last = neighbour->first;
}

static inline void
take_turn (Neighbour *neighbour)
{
  gint64 now = processor_time ();
  gint64 gap = now - neighbour->last;

  neighbour->last = now;
  neighbour->n_turns++;
  for (guint i = 0; i < G_N_ELEMENTS (neighbour->longest); i++)
    if (gap > neighbour->longest[i])
      {
        gint64 shorter = neighbour->longest[i];

        neighbour->longest[i] = gap;
        gap = shorter;
      }
}

static inline void
check_neighbour (Neighbour *neighbour, gint64 maximum)
{
  guint n_due;

  take_turn (neighbour);
  n_due = (guint) MIN ((neighbour->last - neighbour->first) / EQUAL_MAX_US, 5); /* others may have had all the time */
  g_test_message ("%s: %u turns, %" G_GINT64_FORMAT " us at most", neighbour->name, neighbour->n_turns,
                  neighbour->longest[0]);
  g_assert_cmpuint (neighbour->n_turns, >=, n_due);
  g_assert_cmpint (neighbour->longest[N_LATE_MAX], <=, maximum);
}

static inline gboolean
take_turn_in_callback (gpointer data)
{
  take_turn (data);
  return G_SOURCE_CONTINUE;
}

static inline GSource *
add_neighbour (GSource *source, int priority, Neighbour *neighbour, const char *name)
{
  neighbour_init (neighbour, name);
  g_source_set_priority (source, priority);
  g_source_set_callback (source, take_turn_in_callback, neighbour, NULL);
  g_source_attach (source, NULL);
  return source;
}

/* Two timers whose turns are watched. */
typedef struct
{
  Neighbour equal, lower;
  GSource *sources[2];
} Watched;

static inline void
watched_init (Watched *watched)
{
  watched->sources[0] = add_neighbour (g_timeout_source_new (1), G_PRIORITY_DEFAULT, &watched->equal, "timer");
  watched->sources[1] = add_neighbour (g_timeout_source_new (1), G_PRIORITY_LOW, &watched->lower, "low timer");
}

static inline void
watched_check (Watched *watched)
{
  check_neighbour (&watched->equal, EQUAL_MAX_US);
  check_neighbour (&watched->lower, LOWER_MAX_US);
  remove_source (watched->sources[0]);
  remove_source (watched->sources[1]);
}
