/* test-glib.c: what the public sources rely on in GLib.
 *
 * Guarantees, of GLib: a reference that is taken before a source's dispose function has returned saves the source; a
 * destroyed source's descriptors are polled no more, though references to it are left; who ends a context destroys its
 * sources, and those who hold references may still do so themselves.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "source-utils.h"

typedef struct
{
  GSource source;
  gboolean saves_itself;
  guint *n_finalized;
} Plain;

static void
plain_dispose (GSource *source)
{
  if (((Plain *) source)->saves_itself)
    g_source_ref (source);
}

static void
plain_finalize (GSource *source)
{
  ++*((Plain *) source)->n_finalized;
}

static GSourceFuncs plain_funcs = { .finalize = plain_finalize };

static Plain *
plain_new (guint *n_finalized)
{
  Plain *plain = (Plain *) g_source_new (&plain_funcs, sizeof (Plain));

  plain->n_finalized = n_finalized;
  g_source_set_dispose_function (&plain->source, plain_dispose);
  return plain;
}

static void
test_dispose_may_save (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  guint n_finalized = 0;
  Plain *plain = plain_new (&n_finalized);

  plain->saves_itself = TRUE;
  g_source_unref (&plain->source);
  g_assert_cmpuint (n_finalized, ==, 0);

  plain->saves_itself = FALSE;
  g_source_destroy (&plain->source);
  g_source_unref (&plain->source);
  g_assert_cmpuint (n_finalized, ==, 1);
}

static void
test_destroyed_is_not_polled (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  guint n_finalized = 0;
  Plain *plain = plain_new (&n_finalized);
  gpointer tag;
  int fds[2];

  test_assert_ok (pipe2 (fds, O_CLOEXEC));
  tag = g_source_add_unix_fd (&plain->source, fds[0], G_IO_IN);
  g_source_attach (&plain->source, context);
  g_assert_true (is_polled (context, fds[0]));
  g_source_destroy (&plain->source);
  g_assert_false (is_polled (context, fds[0]));
  g_assert_cmpint (g_source_query_unix_fd (&plain->source, tag), ==, 0);
  g_source_unref (&plain->source);
  g_assert_cmpuint (n_finalized, ==, 1);
  close (fds[0]);
  close (fds[1]);
}

static void
test_context_ends_first (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  GMainContext *context = g_main_context_new ();
  guint n_finalized = 0;
  Plain *plain = plain_new (&n_finalized);

  g_source_add_unix_fd (&plain->source, STDIN_FILENO, G_IO_IN);
  g_source_attach (&plain->source, context);
  g_main_context_unref (context);
  g_assert_true (g_source_is_destroyed (&plain->source));
  g_source_destroy (&plain->source);
  g_assert_cmpuint (n_finalized, ==, 0);
  g_source_unref (&plain->source);
  g_assert_cmpuint (n_finalized, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  test_add ("/glib/glib/dispose-may-save", test_dispose_may_save);
  test_add ("/glib/glib/destroyed-is-not-polled", test_destroyed_is_not_polled);
  test_add ("/glib/glib/context-ends-first", test_context_ends_first);

  return g_test_run ();
}
