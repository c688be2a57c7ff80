/* accept-utils.h: clients that are told apart by the byte they send.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "connection-utils.h"

/* Connects to PATH and sends NUMBER, so that the accepted side is known. */
static inline int
connect_number (const char *path, guint8 number)
{
  int fd = connect_raw (path);

  write_all (fd, &number, 1);
  return fd;
}

/* The connection S is that of connect_number (); it is closed. */
static inline guint
take_number (int s)
{
  guint8 number;

  g_assert_no_errno (dill_brecv (s, &number, 1, soon ()));
  g_assert_no_errno (dill_hclose (s));
  return number;
}
