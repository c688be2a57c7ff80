/* fault-world.c: see fault-world.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-world.h"
#include <glib/gstdio.h>

static gboolean
run_later (gpointer data)
{
  FaultWorld *world = data;

  return world->later_func (world);
}

void
fault_world_later (FaultWorld *world, gboolean (*func) (FaultWorld *world))
{
  world->later_func = func;
  world->later = g_idle_source_new ();
  g_source_set_priority (world->later, G_PRIORITY_LOW);
  g_source_set_callback (world->later, run_later, world, NULL);
  g_source_attach (world->later, g_main_context_get_thread_default ());
}

void
fault_world_open (FaultWorld *world)
{
  world->path = g_build_filename (world->dir, "socket", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (world->fds); i++)
    world->fds[i] = -1;
}

void
fault_world_close (FaultWorld *world)
{
  if (world->later != NULL)
    {
      g_source_destroy (world->later);
      g_clear_pointer (&world->later, g_source_unref);
    }

  for (guint i = 0; i < G_N_ELEMENTS (world->handles); i++)
    if (world->handles[i] > 0)
      g_assert_no_errno (dill_hclose (world->handles[i]));
  for (guint i = 0; i < G_N_ELEMENTS (world->fds); i++)
    if (world->fds[i] >= 0)
      g_assert_no_errno (close (world->fds[i]));
}

/* Counts the entries of the directory that the world's path is in, and removes them if REMOVE. */
static guint
go_through_files (const FaultWorld *world, bool remove)
{
  g_autofree char *name = g_path_get_dirname (world->path);
  g_autoptr (GDir) directory = g_dir_open (name, 0, NULL);
  const char *entry;
  guint n = 0;

  g_assert_nonnull (directory);
  while ((entry = g_dir_read_name (directory)) != NULL)
    {
      g_autofree char *path = g_build_filename (name, entry, NULL);

      n++;
      if (remove)
        g_assert_no_errno (g_unlink (path));
    }
  return n;
}

guint
fault_world_count_files (const FaultWorld *world)
{
  return go_through_files (world, false);
}

guint
fault_world_remove_files (const FaultWorld *world)
{
  return go_through_files (world, true);
}
