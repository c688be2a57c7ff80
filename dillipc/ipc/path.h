/* path.h: binding and connecting to paths of any length, though sun_path holds 107 bytes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* The longest name that dill_path_bind_at () binds through any directory descriptor: what "/proc/self/fd/2147483647/"
 * leaves of sun_path. */
#define DILL_PATH_NAME_MAX 82

/* Whether PATH goes into sun_path, its final NUL included. */
bool dill_path_fits (const char *path);

/* Opens the directory that holds the last component of PATH, which is not empty, for use as a starting point only
 * (O_PATH).  PATH is written to meanwhile.  NAME becomes the last component, with any slashes that follow it.  Returns
 * the descriptor, or -1 with errno. */
int dill_path_open_parent (char *path, const char **name);

/* Tells whether NAME, of dill_path_open_parent (), can be the name of a new file.  Returns 0, or -1 with the errno that
 * bind () has for it. */
int dill_path_check_new (int dir_fd, const char *name);

/* Binds FD to NAME, of at most DILL_PATH_NAME_MAX bytes, in the directory DIR_FD.  Returns 0, or -1 with errno. */
int dill_path_bind_at (int fd, int dir_fd, const char *name);

/* Connects FD to the socket file at PATH.  Returns 0, or -1 with errno. */
int dill_path_connect (int fd, const char *path);

/* Connects FD to the socket file that FILE_FD was opened on (O_PATH), which is NAME in DIR_FD: these two count only
 * without /proc.  Returns 0, or -1 with errno. */
int dill_path_connect_file (int fd, int file_fd, int dir_fd, const char *name);

/* Gives the file that FILE_FD was opened on (O_PATH), which is NAME in DIR_FD, the permission bits MODE.  Returns 0, or
 * -1 with errno. */
int dill_path_chmod_file (int file_fd, int dir_fd, const char *name, mode_t mode);
