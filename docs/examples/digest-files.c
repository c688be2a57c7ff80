/* digest-files.c: which files dill-digest is to work on.
 *
 * The tree is walked with a queue of directories instead of recursion, each read to its end and closed before the next
 * is opened: neither stack nor descriptors grow with its depth.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "digest-files.h"

#include "digest-program.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

static int
compare_paths (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Takes @path. */
static void
sort_in (char *path, GPtrArray *files, GQueue *directories)
{
  GStatBuf status;

  /* What has gone since its directory was read is no more part of the tree than what came since. */
  if (g_lstat (path, &status) < 0)
    g_free (path);
  else if (S_ISDIR (status.st_mode))
    g_queue_push_tail (directories, path);
  else if (S_ISREG (status.st_mode))
    g_ptr_array_add (files, path);
  else
    g_free (path);
}

static gboolean
read_directory (const char *path, GPtrArray *files, GQueue *directories)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) directory = g_dir_open (path, 0, &error);
  const char *name;

  if (directory == NULL)
    {
      digest_program_complain ("%s", error->message);
      return FALSE;
    }

  while ((name = g_dir_read_name (directory)) != NULL)
    sort_in (g_build_filename (path, name, NULL), files, directories);

  return TRUE;
}

static gboolean
walk (GPtrArray *files, const char *top)
{
  GQueue directories = G_QUEUE_INIT;
  g_autoptr (GPtrArray) found = g_ptr_array_new ();
  gboolean complete = TRUE;
  char *path;

  g_queue_push_tail (&directories, g_strdup (top));
  while ((path = g_queue_pop_head (&directories)) != NULL)
    {
      complete &= read_directory (path, found, &directories);
      g_free (path);
    }

  g_ptr_array_sort (found, compare_paths);
  g_ptr_array_extend_and_steal (files, g_steal_pointer (&found));
  return complete;
}

gboolean
digest_files_collect (GPtrArray *files, const char *path)
{
  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    return walk (files, path);

  /* Whether it can be read will be seen when it is opened. */
  g_ptr_array_add (files, g_strdup (path));
  return TRUE;
}

gboolean
digest_files_collect_listed (GPtrArray *files, const char *list)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *paths = NULL;
  gboolean complete = TRUE;
  gsize length;

  if (strcmp (list, "-") == 0)
    list = "/dev/stdin";

  if (!g_file_get_contents (list, &paths, &length, &error))
    {
      digest_program_complain ("%s", error->message);
      return FALSE;
    }

  for (const char *path = paths; path < paths + length; path += strlen (path) + 1)
    complete &= digest_files_collect (files, path);

  return complete;
}
