/* connection-utils.h: connections to test with: handles, plain descriptors as their peers, and bytes to send.
 *
 * Relies on the library under test, unlike test-utils.h, and on Linux's abstract namespace and /proc.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "coroutine-utils.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Two handles that are each other's peers. */
static inline void
make_pair (int s[2])
{
  g_assert_no_errno (dill_ipc_pair (s));
}

/* A handle whose peer is a plain descriptor, blocking and for this process alone. */
static inline void
make_half_pair (int *s, int *fd)
{
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  *s = test_assert_ok (dill_ipc_fromfd (fds[0]));
  *fd = fds[1];
}

static inline void
close_pair (int s[2])
{
  g_assert_no_errno (dill_hclose (s[0]));
  g_assert_no_errno (dill_hclose (s[1]));
}

/* Sends a byte on the handle DATA when its receiver waits. */
static inline void
send_later (void *data)
{
  g_assert_no_errno (dill_yield ());
  g_assert_no_errno (dill_bsend (*(int *) data, "x", 1, soon ()));
}

/* Opens the descriptors that the main context needs for waiting, and keeps, so that tests can count the others. */
static inline void
open_context (void)
{
  char byte;
  int s[2], h;

  make_pair (s);
  h = test_assert_ok (dill_spawn (send_later, &s[0]));
  g_assert_cmpint (dill_brecv_some (s[1], &byte, 1, soon ()), ==, 1);
  g_assert_no_errno (dill_hclose (h));
  close_pair (s);
}

/* How many descriptors there are besides those that the main context is going to open. */
static inline guint
count_settled_fds (void)
{
  open_context ();
  return test_count_fds ();
}

/* A plain client of the listener at PATH. */
static inline int
connect_raw (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = test_assert_ok (socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

  g_assert_cmpuint (strlen (path), <, sizeof address.sun_path);
  strcpy (address.sun_path, path);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  return fd;
}

/* A plain listener at PATH. */
static inline int
listen_raw (const char *path, int backlog)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = test_assert_ok (socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

  strcpy (address.sun_path, path);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (fd, backlog));
  return fd;
}

static inline void
write_all (int fd, const void *bytes, gsize length)
{
  for (gsize done = 0; done < length;)
    done += (gsize) test_assert_ok (
        TEMP_FAILURE_RETRY (send (fd, (const char *) bytes + done, MIN (length - done, G_MAXINT), MSG_NOSIGNAL)));
}

static inline void
read_all (int fd, void *bytes, gsize length)
{
  for (gsize done = 0; done < length;)
    {
      gssize n = TEMP_FAILURE_RETRY (read (fd, (char *) bytes + done, length - done));

      g_assert_cmpint (n, >, 0);
      done += (gsize) n;
    }
}

/* Bytes of which each tells its place, for all lengths that are tested: no period is a power of two. */
static inline guint8
byte_at (gsize place)
{
  return (guint8) (place % 251 ^ place / 251 % 241);
}

static inline void
fill_bytes (void *bytes, gsize length, gsize place)
{
  for (gsize i = 0; i < length; i++)
    ((guint8 *) bytes)[i] = byte_at (place + i);
}

static inline void
check_bytes (const void *bytes, gsize length, gsize place)
{
  for (gsize i = 0; i < length; i++)
    if (((const guint8 *) bytes)[i] != byte_at (place + i))
      g_error ("byte %" G_GSIZE_FORMAT " is %u, not %u", place + i, ((const guint8 *) bytes)[i], byte_at (place + i));
}

/* Sends until the kernel takes no more, and returns how many bytes it took. */
static inline gsize
fill_socket (int fd)
{
  static const char zeros[4096];
  gsize total = 0;
  gssize n;

  while ((n = send (fd, zeros, sizeof zeros, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
    total += (gsize) n;
  g_assert_cmpint (errno, ==, EAGAIN);
  return total;
}

/* A thread that sends to the descriptor DATA for as long as there is somebody to receive, and then closes it. */
static inline gpointer
run_flood (gpointer data)
{
  static const char zeros[65536];
  int fd = GPOINTER_TO_INT (data);

  while (send (fd, zeros, sizeof zeros, MSG_NOSIGNAL) > 0)
    continue;
  close (fd);
  return NULL;
}

/* Sends on the handle S until its peer's socket is full.  Returns how many bytes that took, each with a descriptor:
 * such a send cannot fail halfway, so the direction works on. */
static inline gsize
fill_connection (int s)
{
  gsize total = 0;

  while (dill_ipc_sendfd (s, STDIN_FILENO, 0) == 0)
    total++;
  g_assert_cmpint (errno, ==, ETIMEDOUT);
  return total;
}

/* Sends N bytes on S of which the receiving kernel hands out one at a time, since each comes with a descriptor. */
static inline void
send_single_bytes (int s, guint n)
{
  for (guint i = 0; i < n; i++)
    g_assert_no_errno (dill_ipc_sendfd (s, STDIN_FILENO, 0));
}

/* Lays out N items, each of the same LENGTH bytes. */
static inline void
repeat_item (struct dill_iolist *items, gsize n, void *bytes, gsize length)
{
  for (gsize i = 0; i < n; i++)
    items[i] = (struct dill_iolist) { bytes, length, i + 1 < n ? &items[i + 1] : NULL, 0 };
}

/* More calls than there can be between two looks at the clock. */
#define N_CALLS 40

/* After this much work a pause is due. */
static inline void
be_busy (void)
{
  int64_t end = dill_now () + 3;

  while (dill_now () < end)
    continue;
}

/* A coroutine that makes one call, and what came of it. */
typedef struct
{
  int s;
  void *buffer;
  size_t length;
  int64_t deadline;
  void *mem;
  gint64 result;
  int error;
  const char *text; /* of the expression that has given the result */
  bool is_done;
  guint order; /* of those that are done, counted from 1 by call_counter */
} Call;

static guint call_counter;

#define call_done(call, result) call_finish (call, result, #result)

static inline void
call_finish (Call *call, gint64 result, const char *text)
{
  call->error = errno;
  call->result = result;
  call->text = text;
  call->is_done = true;
  call->order = ++call_counter;
}

/* Defines call_NAME (), which does EXPRESSION in a coroutine. */
#define DEFINE_CALL(name, expression)                                                                                  \
  static inline void call_##name (void *data)                                                                          \
  {                                                                                                                    \
    Call *call = data;                                                                                                 \
    call_done (call, expression);                                                                                      \
  }

DEFINE_CALL (brecv, dill_brecv (call->s, call->buffer, call->length, call->deadline))
DEFINE_CALL (brecv_some, dill_brecv_some (call->s, call->buffer, call->length, call->deadline))
DEFINE_CALL (bsend, dill_bsend (call->s, call->buffer, call->length, call->deadline))
DEFINE_CALL (recvfd, dill_ipc_recvfd (call->s, call->deadline))
DEFINE_CALL (sendfd, dill_ipc_sendfd (call->s, STDIN_FILENO, call->deadline))
DEFINE_CALL (accept_mem, dill_ipc_accept_mem (call->s, call->mem, call->deadline))
DEFINE_CALL (close, dill_ipc_close (call->s, call->deadline))

static inline void
call_accept (void *data)
{
  Call *call = data;

  if (call->mem != NULL)
    call_accept_mem (call);
  else
    call_done (call, dill_ipc_accept (call->s, call->deadline));
}

/* Starts FUNC with CALL.  Returns the coroutine's handle. */
static inline int
start_call (DillFunc func, Call *call)
{
  return test_assert_ok (dill_spawn (func, call));
}

/* Waits until CALL, running in the coroutine H, is done, and closes H. */
static inline void
finish_call (int h, Call *call)
{
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_true (call->is_done);
  g_assert_no_errno (dill_hclose (h));
}

#define assert_call_errno(call, expected)                                                                              \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    g_assert_true ((call).is_done);                                                                                    \
    test_assert_errno ((errno = (call).error, (call).result), expected);                                               \
    test_errnos_note ((call).text, (call).error);                                                                      \
  }                                                                                                                    \
  G_STMT_END

/* Lets others run until no connection waits at FD, a duplicate of a listener's descriptor.  Who calls this is ready
 * before any acceptor is, and so goes on when those have been given what waited, but have not run. */
static inline void
yield_until_accepted (int fd)
{
  struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

  do
    g_assert_no_errno (dill_yield ());
  while (poll (&poll_fd, 1, 0) > 0);
}

/* A listener at PATH, and a duplicate of its descriptor. */
static inline int
listen_with_duplicate (const char *path, void *mem, int *duplicate)
{
  int fd = listen_raw (path, 5);

  *duplicate = test_assert_ok (fcntl (fd, F_DUPFD_CLOEXEC, 0));
  return test_assert_ok (mem != NULL ? dill_ipc_listener_fromfd_mem (fd, mem) : dill_ipc_listener_fromfd (fd));
}

/* Between begin and end the process can open N more descriptors and no more. */
typedef struct
{
  struct rlimit saved;
  GArray *fillers; /* the limit is one of numbers: these stand in the holes below it */
} FdLimit;

static inline void
fd_limit_begin (FdLimit *limit, guint n)
{
  struct rlimit lower;
  int fd;

  limit->fillers = g_array_new (FALSE, FALSE, sizeof (int));
  do
    {
      fd = test_assert_ok (dup (STDIN_FILENO));
      g_array_append_val (limit->fillers, fd);
    }
  while ((guint) fd + 1 < test_count_fds ());

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit->saved));
  lower = limit->saved;
  lower.rlim_cur = (rlim_t) fd + 1 + n;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &lower));
}

/* Valgrind gives numbers of its own, and keeps the limit by itself; who tests what the kernel says skips. */
static inline bool
skip_without_fd_limit (void)
{
  return test_skip_under (TEST_UNDER_VALGRIND, "it has descriptors of its own, and its own idea of their limit");
}

static inline void
fd_limit_end (FdLimit *limit)
{
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit->saved));
  for (guint i = 0; i < limit->fillers->len; i++)
    close (g_array_index (limit->fillers, int, i));
  g_array_unref (limit->fillers);
}
