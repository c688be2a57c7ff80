/* digest-program.c: what dill-digest and dill-digestd have in common as programs: language, messages, time.
 *
 * Relies on GETTEXT_PACKAGE and LOCALEDIR from the build.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "digest-program.h"

#include <dillipc/dillipc.h>
#include <locale.h>

void
digest_program_init_language (void)
{
  const char *directory = g_getenv ("DILLIPC_LOCALEDIR");

  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, directory != NULL ? directory : LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8"); /* what g_print () expects, and converts for the terminal */
  textdomain (GETTEXT_PACKAGE);
}

gboolean
digest_program_parse_options (const GOptionEntry *entries, const char *usage, const char *summary, int *argc,
                              char ***argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (usage);
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (context, summary);
  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);

  if (g_option_context_parse (context, argc, argv, &error))
    return TRUE;

  digest_program_complain ("%s", error->message);
  return FALSE;
}

void
digest_program_complain (const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list arguments;

  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);

  g_printerr ("%s: %s\n", g_get_prgname (), message);
}

char *
digest_program_default_socket (void)
{
  return g_build_filename (g_get_user_runtime_dir (), "dill-digest.sock", NULL);
}

gint64
digest_program_deadline (int seconds)
{
  return dill_now () + (gint64) seconds * 1000;
}
