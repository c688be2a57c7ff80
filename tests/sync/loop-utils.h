/* loop-utils.h: for tests of main loops: a loop, a log of what happened in which order, and handles.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

typedef struct
{
  GMainLoop *loop;
  GString *log;
  guint n_calls;
  int depth; /* the greatest that count_depth () has seen */
  int handle;
  int bundle;
} Scene;

static inline void
scene_init (Scene *scene)
{
  *scene = (Scene) { .loop = g_main_loop_new (NULL, FALSE), .log = g_string_new (NULL), .handle = -1, .bundle = -1 };
}

static inline void
scene_clear (Scene *scene)
{
  g_main_loop_unref (scene->loop);
  g_string_free (scene->log, TRUE);
}
