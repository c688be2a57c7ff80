/* test-random.c: a crowd of coroutines, with channels between them that come and go.
 *
 * Whatever they do, every value arrives as it was sent; see random-utils.h for the rest.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "random-utils.h"

#define N_CLAUSES_MAX 14

/* What is sent says of itself that it is whole. */
typedef struct
{
  guint32 value;
  guint32 complement;
} Message;

static Message
make_message (World *world)
{
  guint32 value = g_rand_int (world->rand);

  return (Message) { value, ~value };
}

static void
pass_value (World *world)
{
  Message message = make_message (world);
  size_t len = random_below (world, 10) == 0 ? 4 : sizeof message;
  int result, ch = pick (world, world->others);

  if (g_rand_boolean (world->rand))
    result = dill_chsend (ch, &message, len, pick_deadline (world));
  else
    result = dill_chrecv (ch, &message, len, pick_deadline (world));
  check_result (result, EBADF, EMSGSIZE, EPIPE, ETIMEDOUT);
  if (len == sizeof message)
    g_assert_cmphex (message.value, ==, ~message.complement);
}

static void
choose_some (World *world)
{
  int n = 1 + random_below (world, N_CLAUSES_MAX);
  struct dill_chclause clauses[N_CLAUSES_MAX];
  Message messages[N_CLAUSES_MAX];
  int index;

  for (int i = 0; i < n; i++)
    {
      messages[i] = make_message (world);
      clauses[i].op = g_rand_boolean (world->rand) ? DILL_CHSEND : DILL_CHRECV;
      clauses[i].ch = pick (world, world->others);
      clauses[i].val = &messages[i];
      clauses[i].len = sizeof messages[i];
    }
  index = dill_choose (clauses, n, pick_deadline (world));
  if (index < 0)
    check_result (-1, ETIMEDOUT);
  else if (errno != 0)
    check_result (-1, EBADF, EMSGSIZE, EPIPE);
  for (int i = 0; i < n; i++)
    g_assert_cmphex (messages[i].value, ==, ~messages[i].complement);
}

static void
replace_channel (World *world)
{
  int *slots = &world->others[2 * random_below (world, N_SLOTS / 2)];
  int ends[2];

  if (dill_chmake (ends) < 0)
    {
      check_result (-1, ECANCELED);
      return;
    }
  for (guint i = 0; i < 2; i++)
    {
      check_result (dill_hclose (slots[i]), EBADF);
      slots[i] = ends[i];
    }
}

static void
act (World *world)
{
  switch (random_below (world, 9))
    {
    case 0:
      replace_channel (world);
      break;
    case 1:
      check_result (dill_chdone (pick (world, world->others)), EBADF, EPIPE);
      break;
    case 2:
    case 3:
    case 4:
      choose_some (world);
      break;
    default:
      pass_value (world);
      break;
    }
}

static void
test_channels (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  World world;

  world_init (&world, act);
  for (guint i = 0; i < N_SLOTS; i += 2)
    g_assert_no_errno (dill_chmake (&world.others[i]));
  world_run (&world, 500);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/random/channels", test_channels);
  return g_test_run ();
}
