/* digest-files.h: which files dill-digest is to work on.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DIGEST_FILES_H
#define DIGEST_FILES_H

#include <glib.h>

/* Appends @path to @files or, if that is a directory, all regular files beneath it, sorted by their paths.  Symbolic
 * links are followed only if @path is one itself, so that no file comes twice and no circle is walked.
 *
 * Returns FALSE, with a message printed, for each directory that could not be read; the others' files are there.
 */
gboolean digest_files_collect (GPtrArray *files, const char *path);

/* Calls digest_files_collect () for each path in the file @list, which ends each of them with a zero byte, as find
 * -print0 does.  "-" is standard input.
 */
gboolean digest_files_collect_listed (GPtrArray *files, const char *list);

#endif
