/* digest-session.h: one client of dill-digestd, from its first frame to its last.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DIGEST_SESSION_H
#define DIGEST_SESSION_H

#include <glib.h>

/* What all sessions have done together. */
struct digest_totals
{
  guint files;
  guint64 bytes;
};

/* Serves @connection, which stays the caller's, until the client ends it.  For each wait the client has @timeout
 * seconds, and as long for reading a file that it passed.  Files digested are added to @totals.
 *
 * Returns 0 if the client ended the connection between two files, or -1 with the errno of digest_frame_receive (),
 * digest_frame_send (), dill_ipc_recvfd () or dill_yield ().
 */
int digest_session_run (int connection, int timeout, struct digest_totals *totals);

#endif
