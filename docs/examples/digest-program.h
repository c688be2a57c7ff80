/* digest-program.h: what dill-digest and dill-digestd have in common as programs: language, messages, time.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DIGEST_PROGRAM_H
#define DIGEST_PROGRAM_H

#include <glib.h>
#include <glib/gi18n.h>

/* Makes _() speak the user's language.  The catalogues are looked for where they are installed; the environment
 * variable DILLIPC_LOCALEDIR names another directory, such as po/ in a build tree.
 */
void digest_program_init_language (void);

/* Parses the command line.  Returns FALSE, with a message printed, if it is wrong. */
gboolean digest_program_parse_options (const GOptionEntry *entries, const char *usage, const char *summary, int *argc,
                                       char ***argv);

/* Prints "PROGRAM: MESSAGE" and a newline on standard error. */
void digest_program_complain (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* Where the daemon listens unless told otherwise.  Free with g_free (). */
char *digest_program_default_socket (void);

/* The deadline that lies so many seconds ahead. */
gint64 digest_program_deadline (int seconds);

#endif
