/* loop-utils.h: for tests of main loops: a fixture with a loop and a log of what happened in which order.
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
  TestLimit limit;
} Scene;

static inline void
scene_set_up (Scene *scene, gconstpointer data G_GNUC_UNUSED)
{
  *scene = (Scene) { .loop = g_main_loop_new (NULL, FALSE), .log = g_string_new (NULL), .handle = -1, .bundle = -1 };
  test_limit_begin (&scene->limit, NULL, "the loop");
}

static inline void
scene_tear_down (Scene *scene, gconstpointer data G_GNUC_UNUSED)
{
  test_limit_end (&scene->limit);
  g_main_loop_unref (scene->loop);
  g_string_free (scene->log, TRUE);
}

/* Runs two coroutines until both have ended. */
static inline void
scene_run_both (Scene *scene, DillFunc first, DillFunc second)
{
  int b = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_spawn (b, first, scene));
  g_assert_no_errno (dill_bundle_spawn (b, second, scene));
  g_assert_no_errno (dill_bundle_wait (b, soon ()));
  g_assert_no_errno (dill_hclose (b));
}

#define add(name, func) g_test_add (name, Scene, NULL, scene_set_up, func, scene_tear_down)
#define add_data(name, func, data) g_test_add (name, Scene, data, scene_set_up, func, scene_tear_down)
