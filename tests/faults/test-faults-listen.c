/* test-faults-listen.c: whatever fails while a listener is made, it is made or it is not.
 *
 * Pins: errno is one that is documented; no file, descriptor or memory is left behind; the next attempt succeeds, and
 * the listener that comes of it is one.  For paths of all kinds, and where /proc or the better system calls are
 * missing.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-points.h"
#include "ipc/address-utils.h"
#include <stdlib.h>

#define BACKLOG 3
#define MODE 0666
#define ABSTRACT "dillipc-test-faults-%d"
#define FIRST_PASSED 3

/* --- What is listened at --- */

static void
use_path (FaultWorld *world, size_t length, size_t name_length)
{
  char *path = make_path (world->dir, length, name_length);

  g_free (world->path);
  world->path = path;
}

/* A thread that is asked for nothing else has its records already. */
static void
use_thread (FaultWorld *world G_GNUC_UNUSED)
{
  g_assert_no_errno (dill_msleep (dill_now () + 1));
}

static void
use_long_path (FaultWorld *world)
{
  use_path (world, 300, 20);
}

static void
use_long_name (FaultWorld *world)
{
  use_path (world, 300, 150);
}

static void
leave_stale_file (FaultWorld *world)
{
  make_stale (world->path);
}

static void
use_stale_long_name (FaultWorld *world)
{
  use_long_name (world);
  leave_stale_file (world);
}

/* What a process has left that was killed while it replaced a file. */
static void
use_abandoned (FaultWorld *world)
{
  g_autofree char *temporary = g_build_filename (world->dir, ".dillipc-1-1", NULL);

  make_stale (temporary);
  leave_stale_file (world);
}

static void
use_descriptor (FaultWorld *world)
{
  world->fds[0] = listen_raw (world->path, BACKLOG);
}

static void
use_options (FaultWorld *world)
{
  int yes = 1;

  use_descriptor (world);
  g_assert_no_errno (setsockopt (world->fds[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes));
}

/* As systemd leaves it.  The number was kept free from the beginning. */
static void
use_passed (FaultWorld *world)
{
  int fd = listen_raw (world->path, BACKLOG);

  g_assert_no_errno (dup2 (fd, FIRST_PASSED));
  g_assert_no_errno (close (fd));
}

/* --- The calls --- */

static gint64
try_listen (FaultWorld *world)
{
  return dill_ipc_listen (world->path, BACKLOG);
}

static gint64
try_listen_mem (FaultWorld *world)
{
  return dill_ipc_listen_mem (world->path, BACKLOG, world->mem + 1);
}

static gint64
try_listen_full (FaultWorld *world)
{
  return dill_ipc_listen_full (world->path, BACKLOG, 0, MODE, world->mem + 1);
}

static gint64
try_replace (FaultWorld *world)
{
  return dill_ipc_listen_full (world->path, BACKLOG, DILL_IPC_LISTEN_REPLACE_STALE, 0, NULL);
}

static gint64
try_listen_abstract (FaultWorld *world)
{
  g_snprintf ((char *) world->buffer, sizeof world->buffer, ABSTRACT, (int) getpid ());
  return dill_ipc_listen_full ((char *) world->buffer, BACKLOG, DILL_IPC_ABSTRACT, 0, NULL);
}

static gint64
try_fromfd (FaultWorld *world)
{
  return dill_ipc_listener_fromfd (world->fds[0]);
}

static gint64
try_fromfd_mem (FaultWorld *world)
{
  return dill_ipc_listener_fromfd_mem (world->fds[0], world->mem + 1);
}

static gint64
try_activated (FaultWorld *world G_GNUC_UNUSED)
{
  return dill_ipc_listen_activated (NULL);
}

/* --- What comes of it --- */

static void
check_serves (FaultWorld *world, const char *addr, unsigned flags)
{
  world->handles[1] = test_assert_ok (dill_ipc_connect_full (addr, flags, NULL, soon ()));
  world->handles[2] = test_assert_ok (dill_ipc_accept (world->handles[0], soon ()));
}

static void
check_listener (FaultWorld *world, gint64 result)
{
  world->handles[0] = (int) result;
  check_serves (world, world->path, 0);
}

/* The file of which it was said that it has gone is as it was. */
static void
check_mode (FaultWorld *world, gint64 result)
{
  struct stat status;

  check_listener (world, result);
  g_assert_no_errno (stat (world->path, &status));
  if (world->injected != ENOENT)
    g_assert_cmpuint (status.st_mode & 07777, ==, MODE);
}

static void
check_abstract (FaultWorld *world, gint64 result)
{
  world->handles[0] = (int) result;
  check_serves (world, (char *) world->buffer, DILL_IPC_ABSTRACT);
}

/* The descriptor is the handle's now, and its file nobody's. */
static void
check_adopted (FaultWorld *world, gint64 result)
{
  int fd = world->fds[0];

  world->fds[0] = -1;
  check_listener (world, result);
  g_assert_cmpint (fcntl (fd, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
  g_assert_no_errno (unlink (world->path));
}

static void
check_passed (FaultWorld *world, gint64 result)
{
  check_adopted (world, result);
  g_assert_no_errno (dill_hclose (world->handles[0]));
  world->handles[0] = 0;
  dill_activation_give_back (FIRST_PASSED); /* each is given out once */
  g_assert_no_errno (dup2 (STDIN_FILENO, FIRST_PASSED));
}

static const FaultScenario scenarios[] = {
  SCENARIO ("dill_ipc_listen", "first-call", NULL, try_listen, check_listener),
  SCENARIO ("dill_ipc_listen", "later", use_thread, try_listen, check_listener),
  SCENARIO ("dill_ipc_listen", "last-handle", NULL, try_listen, check_listener, .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_ipc_listen", "long-path", use_long_path, try_listen, check_listener),
  SCENARIO ("dill_ipc_listen", "long-path-without-proc", use_long_path, try_listen, check_listener,
            FAULT_GIVEN (stat, ENOENT)),
  SCENARIO ("dill_ipc_listen", "long-name", use_long_name, try_listen, check_listener),
  SCENARIO ("dill_ipc_listen", "long-name-without-renameat2", use_long_name, try_listen, check_listener,
            FAULT_GIVEN (renameat2, EINVAL)),
  SCENARIO ("dill_ipc_listen_mem", "first-call", NULL, try_listen_mem, check_listener),
  SCENARIO ("dill_ipc_listen_full", "mode", NULL, try_listen_full, check_mode),
  SCENARIO ("dill_ipc_listen_full", "mode-without-proc", NULL, try_listen_full, check_mode, FAULT_GIVEN (stat, ENOENT)),
  SCENARIO ("dill_ipc_listen_full", "abstract", NULL, try_listen_abstract, check_abstract),
  SCENARIO ("dill_ipc_listen_full", "replace-none", NULL, try_replace, check_listener),
  SCENARIO ("dill_ipc_listen_full", "replace", leave_stale_file, try_replace, check_listener),
  SCENARIO ("dill_ipc_listen_full", "replace-without-renameat2", leave_stale_file, try_replace, check_listener,
            FAULT_GIVEN (renameat2_exchange, EINVAL)),
  SCENARIO ("dill_ipc_listen_full", "replace-long-name", use_stale_long_name, try_replace, check_listener),
  SCENARIO ("dill_ipc_listen_full", "sweep", use_abandoned, try_replace, check_listener, .traits = FAULT_MAY_LEAVE),
  SCENARIO ("dill_ipc_listener_fromfd", "first-call", use_descriptor, try_fromfd, check_adopted),
  SCENARIO ("dill_ipc_listener_fromfd", "with-options", use_options, try_fromfd, check_adopted),
  SCENARIO ("dill_ipc_listener_fromfd", "last-handle", use_descriptor, try_fromfd, check_adopted,
            .traits = FAULT_LAST_HANDLE),
  SCENARIO ("dill_ipc_listener_fromfd_mem", "first-call", use_descriptor, try_fromfd_mem, check_adopted),
  SCENARIO ("dill_ipc_listen_activated", "first-call", use_passed, try_activated, check_passed),
  SCENARIO ("dill_ipc_listen_activated", "last-handle", use_passed, try_activated, check_passed,
            .traits = FAULT_LAST_HANDLE),
};

int
main (int argc, char **argv)
{
  g_autofree char *pid = g_strdup_printf ("%d", (int) getpid ());

  if (dup2 (STDIN_FILENO, FIRST_PASSED) < 0)
    return EXIT_FAILURE;
  g_setenv ("LISTEN_PID", pid, TRUE);
  g_setenv ("LISTEN_FDS", "1", TRUE);
  umask (077);
  return fault_main (&argc, &argv, scenarios, G_N_ELEMENTS (scenarios));
}
