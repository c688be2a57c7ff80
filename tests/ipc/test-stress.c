/* test-stress.c: two processes do everything that may be done to a pair of connections, in an order that only the seed
 * knows, and both find every byte and every descriptor where it belongs.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "descriptor-utils.h"

#include <stdlib.h>

#define DURATION_MS 2000
#define N_OPERATIONS 100 /* at least, on any machine */
#define CHUNK_MAX 70000

/* The sender says what follows, so that the receiver's calls need not be the sender's. */
typedef struct
{
  guint32 kind;
  guint32 length;
  guint32 place;    /* where the bytes stand in the pattern */
  guint32 checksum; /* of the bytes, for which the pattern alone would not do */
} Header;

enum
{
  KIND_BYTES,
  KIND_DESCRIPTOR,
  KIND_END
};

typedef struct
{
  int s;
  GRand *random;
  int64_t end;
  guint64 n_bytes;
  guint64 n_operations;
} Half;

static guint32
checksum_of (const guint8 *bytes, gsize length)
{
  guint32 sum = 1, sum_of_sums = 0;

  for (gsize i = 0; i < length; i++)
    {
      sum += bytes[i];
      sum_of_sums += sum;
    }
  return sum_of_sums;
}

static guint32
random_length (GRand *random)
{
  return (guint32) g_rand_int_range (random, 0, 1 << g_rand_int_range (random, 0, 17)) % CHUNK_MAX;
}

/* Cuts LENGTH bytes into a random list. */
static guint
cut (GRand *random, guint8 *bytes, gsize length, struct dill_iolist *items, guint n_max)
{
  guint n = (guint) g_rand_int_range (random, 1, (gint) n_max + 1);

  for (guint i = 0; i < n; i++)
    {
      gsize part = i + 1 == n ? length : (gsize) g_rand_int_range (random, 0, (gint) (2 * length / n) + 1);

      part = MIN (part, length);
      items[i] = (struct dill_iolist) { bytes, part, i + 1 < n ? &items[i + 1] : NULL, 0 };
      bytes += part;
      length -= part;
    }
  return n;
}

static void
send_half (void *data)
{
  Half *half = data;
  g_autofree guint8 *bytes = g_malloc (CHUNK_MAX);
  struct dill_iolist items[50];
  int file = new_file ();

  for (;;)
    {
      Header header = { .length = random_length (half->random), .place = g_rand_int (half->random) };

      header.kind = g_rand_int_range (half->random, 0, 8) == 0;
      if (dill_now () >= half->end && half->n_operations > N_OPERATIONS)
        header.kind = KIND_END;
      fill_bytes (bytes, header.length, header.place);
      header.checksum = checksum_of (bytes, header.length);
      g_assert_no_errno (dill_bsend (half->s, &header, sizeof header, soon ()));
      if (header.kind == KIND_END)
        break;

      if (header.kind == KIND_DESCRIPTOR)
        {
          g_assert_no_errno (dill_ipc_sendfd (half->s, file, soon ()));
        }
      else if (g_rand_boolean (half->random))
        {
          g_assert_no_errno (dill_bsend (half->s, bytes, header.length, soon ()));
        }
      else
        {
          guint n = cut (half->random, bytes, header.length, items, G_N_ELEMENTS (items));
          g_assert_no_errno (dill_bsendl (half->s, &items[0], &items[n - 1], soon ()));
        }
      half->n_bytes += header.length;
      half->n_operations++;
    }
  close (file);
}

static void
receive_bytes (Half *half, guint8 *bytes, guint32 length)
{
  struct dill_iolist items[50];
  guint n;

  switch (g_rand_int_range (half->random, 0, 3))
    {
    case 0:
      g_assert_no_errno (dill_brecv (half->s, bytes, length, soon ()));
      break;
    case 1:
      n = cut (half->random, bytes, length, items, G_N_ELEMENTS (items));
      g_assert_no_errno (dill_brecvl (half->s, &items[0], &items[n - 1], soon ()));
      break;
    default:
      for (guint32 done = 0; done < length;)
        {
          int64_t deadline = g_rand_boolean (half->random) ? 0 : soon (); /* time-outs do no harm here */
          gssize some = dill_brecv_some (half->s, bytes + done, length - done, deadline);

          if (some < 0)
            {
              g_assert_cmpint (errno, ==, ETIMEDOUT);
              g_assert_no_errno (dill_yield ());
              continue;
            }
          done += (guint32) some;
        }
    }
}

static void
receive_half (void *data)
{
  Half *half = data;
  g_autofree guint8 *bytes = g_malloc (CHUNK_MAX);

  for (;;)
    {
      Header header;

      g_assert_no_errno (dill_brecv (half->s, &header, sizeof header, soon ()));
      if (header.kind == KIND_END)
        break;

      if (header.kind == KIND_DESCRIPTOR)
        {
          if (g_rand_boolean (half->random))
            close (test_assert_ok (dill_ipc_recvfd (half->s, soon ())));
          else
            g_assert_no_errno (dill_brecv (half->s, bytes, 1, soon ())); /* which closes it */
          half->n_operations++;
          continue;
        }

      receive_bytes (half, bytes, header.length);
      g_assert_cmpuint (checksum_of (bytes, header.length), ==, header.checksum);
      check_bytes (bytes, header.length, header.place);
      half->n_bytes += header.length;
      half->n_operations++;
    }
}

/* Both directions of a connection at once, and then the handshake. */
static void
run_both (int s, guint32 seed)
{
  Half out = { .s = s, .end = dill_now () + DURATION_MS, .random = g_rand_new_with_seed (seed) };
  Half in = { .s = s, .random = g_rand_new_with_seed (seed + 1) };
  int bundle = test_assert_ok (dill_bundle ());

  g_assert_no_errno (dill_bundle_spawn (bundle, send_half, &out));
  g_assert_no_errno (dill_bundle_spawn (bundle, receive_half, &in));
  g_assert_no_errno (dill_bundle_wait (bundle, soon ()));
  g_assert_no_errno (dill_hclose (bundle));
  g_assert_no_errno (dill_ipc_close (s, soon ()));
  g_assert_cmpuint (out.n_operations, >, N_OPERATIONS);
  g_assert_cmpuint (in.n_operations, >, N_OPERATIONS);
  g_test_message ("%" G_GUINT64_FORMAT " bytes sent, %" G_GUINT64_FORMAT " received", out.n_bytes, in.n_bytes);
  g_rand_free (out.random);
  g_rand_free (in.random);
}

typedef struct
{
  const char *path;
  guint32 seed;
} Side;

static int
run_client (gpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  Side *side = data;
  guint n_fds;

  g_main_context_push_thread_default (context);
  open_context ();
  n_fds = test_count_fds ();
  run_both (test_assert_ok (dill_ipc_connect (side->path, soon ())), side->seed);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  g_main_context_pop_thread_default (context);
  return 0;
}

static void
test_two_processes (TestDir *test, gconstpointer data G_GNUC_UNUSED)
{
  Side side = { test->path, (guint32) g_test_rand_int () };
  int ls = test_assert_ok (dill_ipc_listen (test->path, 5));
  guint n_fds = test_count_fds ();
  pid_t pid = test_child_start (run_client, &side);

  run_both (test_assert_ok (dill_ipc_accept (ls, soon ())), (guint32) g_test_rand_int ());
  g_assert_cmpint (test_child_wait (pid), ==, 0);
  g_assert_cmpuint (test_count_fds (), ==, n_fds);
  g_assert_no_errno (dill_hclose (ls));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_context ();
  test_add ("/stress/two-processes", test_two_processes);
  return g_test_run ();
}
