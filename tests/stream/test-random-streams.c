/* test-random-streams.c: a crowd of coroutines, with connections between them that come and go, and are wrapped into
 * message sockets and unwrapped again by anybody at any time.
 *
 * No descriptor is left open; see random-utils.h for the rest.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "random-utils.h"
#include "connection-utils.h"

#define LENGTH_MAX 100000

static char text[LENGTH_MAX];

static size_t
pick_length (World *world)
{
  static const int lengths[] = { 1, 10, 1000, LENGTH_MAX };

  return (size_t) random_below (world, 1 + lengths[random_below (world, G_N_ELEMENTS (lengths))]);
}

/* As bytes or as messages; either may be what the handle is not for. */
static void
send_something (World *world)
{
  int s = pick (world, world->others), result;
  gint64 deadline = pick_deadline (world);
  size_t length = pick_length (world);

  switch (random_below (world, 3))
    {
    case 0:
      result = dill_bsend (s, text, length, deadline);
      break;
    case 1:
      result = dill_msend (s, text, length, deadline);
      break;
    default:
      result = dill_ipc_sendfd (s, STDIN_FILENO, deadline);
      break;
    }
  check_result (result, EBADF, EBUSY, ECONNRESET, EMSGSIZE, ENOTSUP, EPIPE, ETIMEDOUT);
}

static void
receive_something (World *world)
{
  int s = pick (world, world->others), result;
  gint64 deadline = pick_deadline (world);
  size_t length = pick_length (world);
  g_autofree char *bytes = g_malloc (length + 2);

  bytes[length + 1] = '!';
  switch (random_below (world, 4))
    {
    case 0:
      result = dill_brecv (s, bytes, length, deadline);
      break;
    case 1:
      result = (int) dill_brecv_some (s, bytes, length + 1, deadline);
      break;
    case 2:
      result = (int) dill_mrecv (s, bytes, length, deadline);
      break;
    default:
      result = dill_ipc_recvfd (s, deadline);
      if (result >= 0)
        close (result);
      break;
    }
  check_result (result, EBADF, EBUSY, ECONNRESET, EMSGSIZE, ENOTSUP, EPIPE, EPROTO, ETIMEDOUT);
  g_assert_cmpint (bytes[length + 1], ==, '!');
}

static void
wrap_or_unwrap (World *world)
{
  int i = random_below (world, N_SLOTS), s = world->others[i], h;

  switch (random_below (world, 4))
    {
    case 0:
      h = dill_prefix_attach (s, 3, DILL_PREFIX_BIG_ENDIAN);
      break;
    case 1:
      h = dill_suffix_attach (s, "\n", 1);
      break;
    case 2:
      h = dill_prefix_detach (s);
      break;
    default:
      h = dill_suffix_detach (s, -1);
      break;
    }
  check_result (h, EBADF, EBUSY, ENOTSUP);
  if (h >= 0)
    world->others[i] = h;
}

static void
replace_pair (World *world)
{
  int *slots = &world->others[2 * random_below (world, N_SLOTS / 2)];
  int s[2];

  if (dill_ipc_pair (s) < 0)
    {
      check_result (-1, ECANCELED);
      return;
    }
  for (guint i = 0; i < 2; i++)
    {
      int old = slots[i];

      slots[i] = s[i];
      check_result (dill_hclose (old), EBADF);
    }
}

static void
end_something (World *world)
{
  int s = pick (world, world->others);

  if (g_rand_boolean (world->rand))
    check_result (dill_ipc_done (s, pick_deadline (world)), EBADF, EBUSY, ECONNRESET, ENOTSUP, EPIPE);
  else
    check_result (dill_ipc_close (s, dill_now () + 3), EBADF, ECONNRESET, ENOTSUP, EPIPE, ETIMEDOUT);
}

static void
act (World *world)
{
  switch (random_below (world, 12))
    {
    case 0:
    case 1:
      replace_pair (world);
      break;
    case 2:
      wrap_or_unwrap (world);
      break;
    case 3:
      end_something (world);
      break;
    case 4:
    case 5:
    case 6:
    case 7:
      send_something (world);
      break;
    default:
      receive_something (world);
      break;
    }
}

static void
test_streams (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  guint n_fds;
  World world;

  open_context ();
  n_fds = test_count_fds ();
  memset (text, 'a', sizeof text);
  world_init (&world, act);
  for (guint i = 0; i < N_SLOTS; i += 2)
    make_pair (&world.others[i]);
  world_run (&world, 500);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/random/streams", test_streams);
  return g_test_run ();
}
