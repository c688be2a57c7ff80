/* seal.h: messages that nobody can forge who does not have the key: a protocol of one's own, on top of any message
 * socket.
 *
 * An example of dill_hmake (): what it takes for msend (), mrecv (), hclose () and other protocols to work on an object
 * of the program's.
 *
 * On the wire each side begins with a message of 16 random bytes.  Each message after that is
 *
 *     tag      32 bytes    HMAC-SHA256 with the key, over: the sender's random bytes, the receiver's random bytes, how
 *     many
 *                          messages have gone this way before (8 bytes, the most significant first), the payload
 *     payload  0 to 65,536 bytes
 *
 * So a message counts only in its own session, direction and place: what was recorded, reflected, left out or changed
 * in its order is found out like what was forged.  Nothing is kept secret.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef SEAL_H
#define SEAL_H

#include <glib.h>

#define SEAL_MESSAGE_MAX 65536

/* Puts a seal on top of the message socket S, whose peer does the same with the same KEY_LENGTH bytes (at least one) at
 * KEY.  Waits for the peer's random bytes until DEADLINE.
 *
 * Returns a message socket that S belongs to from then on, or -1 with errno; S stays open then, though its two sides
 * may not agree any more about what comes next.  The key is copied.
 *
 *  - EBADMSG: what the peer has sent are not random bytes, or are ours
 *  - EINVAL: there is no key
 *  - ENOMEM: no memory
 *  - ENOTSUP: S is not a message socket
 *  - what dill_msend (), dill_mrecv (), dill_hmake () and dill_hown () give
 *
 * On the seal, dill_msend () and dill_mrecv () give the errnos of the socket beneath, and
 *
 *  - EBADMSG: a message that nobody has sealed; ECONNRESET from then on
 *  - EBUSY: somebody else is sending, or receiving
 *  - EMSGSIZE: a message of more than SEAL_MESSAGE_MAX bytes, or more than the buffer holds; that one is dropped
 */
int seal_attach (int s, const void *key, gsize key_length, gint64 deadline);

/* Takes the seal SEALED off again.  Returns the socket beneath, or -1 with EBADF, ENOTSUP, or EBUSY if somebody
 * waits on it. */
int seal_detach (int sealed);

#endif
