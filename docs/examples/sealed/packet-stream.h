/* packet-stream.h: a byte stream on top of any message socket.
 *
 * The counterpart of the library's framing, which makes messages of a byte stream; and an example of a byte stream of
 * the program's own.  Bytes are packed into messages of up to 16 KiB, one or more for each call that sends.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef PACKET_STREAM_H
#define PACKET_STREAM_H

/* Makes a byte stream of the message socket S.  Returns it, S being its own from then on; or -1 with errno and S as it
 * was: ENOMEM, ENOTSUP if S is not a message socket, and what dill_hmake () and dill_hown () give.
 *
 * It behaves as an IPC connection does: after dill_bsend () or dill_brecv () has failed, that direction is of no
 * further use (ECONNRESET, or EPIPE after the end of the stream), and only one at a time can use it (EBUSY). */
int packet_stream_attach (int s);

/* Returns the message socket beneath STREAM; or -1 with EBADF, ENOTSUP, or EBUSY if bytes have arrived that nobody has
 * received. */
int packet_stream_detach (int stream);

#endif
