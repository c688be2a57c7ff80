/* replay.c: runs a fuzz target on each file of a corpus, without libFuzzer: so what fuzzing once found stays a test.
 *
 * The corpus is the folder corpus/NAME of a program test-fuzz-NAME.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fuzz-input.h"
#include "test-utils.h"

static void
replay (gconstpointer path)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *bytes = NULL;
  gsize length;

  g_file_get_contents (path, &bytes, &length, &error);
  g_assert_no_error (error);
  g_assert_cmpint (LLVMFuzzerTestOneInput ((const uint8_t *) bytes, length), ==, 0);
}

static void
replay_nothing (void)
{
  g_assert_cmpint (LLVMFuzzerTestOneInput ((const uint8_t *) "", 0), ==, 0);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *program = g_path_get_basename (argv[0]);
  g_autofree char *dir = NULL;
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  const char *name;
  GDir *corpus;

  g_test_init (&argc, &argv, NULL);
  g_assert_true (g_str_has_prefix (program, "test-fuzz-"));
  dir = g_test_build_filename (G_TEST_DIST, "fuzz", "corpus", program + strlen ("test-fuzz-"), NULL);
  corpus = g_dir_open (dir, 0, &error);
  g_assert_no_error (error);
  while ((name = g_dir_read_name (corpus)) != NULL)
    {
      g_autofree char *test = g_strdup_printf ("/fuzz/%s/%s", program + strlen ("test-fuzz-"), name);
      char *path = g_build_filename (dir, name, NULL);

      g_ptr_array_add (paths, path);
      g_test_add_data_func (test, path, replay);
    }
  g_dir_close (corpus);
  g_assert_cmpuint (paths->len, >, 0);
  g_test_add_func ("/fuzz/nothing", replay_nothing);
  return g_test_run ();
}
