/* test-short-transfers.c: whatever part of what was asked for the kernel transfers at a time, all of it arrives.
 *
 * Pins: bytes, lists of buffers and messages of both protocols arrive whole and in order, and descriptors at their
 * places, when each send and each receive of the library is cut to a random length, or to one byte; in both directions
 * at once, within a process and between two.
 *
 * The lengths come from the seed that GLib's test framework prints, and takes with --seed.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "fault-plan.h"
#include "ipc/descriptor-utils.h"
#include "message/message-utils.h"
#include <stdlib.h>

/* How many bytes go each way. */
#define N_CUT_AT_RANDOM 1000000
#define N_CUT_TO_ONE 4000

#define CHUNK_MAX 20000
#define ITEMS_MAX 40

/* One way.  Both ends draw the same numbers from their scripts. */
typedef struct
{
  int h;
  GRand *script;
  gsize total;
} Way;

typedef struct
{
  const char *name;
  const Kind *kind; /* NULL: no messages */
  void (*send) (Way *way);
  void (*receive) (Way *way);
} Traffic;

/* As often small as large, at most MOST. */
static gsize
draw_length (GRand *rand, gsize most)
{
  gsize length = (gsize) g_rand_int_range (rand, 0, 1 << g_rand_int_range (rand, 1, 15));

  return MIN (length, MIN (most, CHUNK_MAX));
}

/* Cuts LENGTH bytes into a list. */
static struct dill_iolist *
draw_list (GRand *rand, guint8 *bytes, gsize length, struct dill_iolist items[ITEMS_MAX])
{
  guint n = (guint) g_rand_int_range (rand, 1, ITEMS_MAX + 1);

  for (guint i = 0; i < n; i++)
    {
      gsize part = i + 1 < n ? draw_length (rand, length) : length;

      items[i] = (struct dill_iolist) { bytes, part, i + 1 < n ? &items[i + 1] : NULL, 0 };
      bytes += part;
      length -= part;
    }
  return &items[n - 1];
}

/* --- Bytes --- */

static void
send_bytes (Way *way)
{
  guint8 bytes[CHUNK_MAX];

  for (gsize done = 0, length; done < way->total; done += length)
    {
      length = draw_length (way->script, way->total - done);
      fill_bytes (bytes, length, done);
      g_assert_no_errno (dill_bsend (way->h, bytes, length, soon ()));
    }
}

static void
receive_bytes (Way *way)
{
  guint8 bytes[CHUNK_MAX];

  for (gsize done = 0, length; done < way->total; done += length)
    {
      length = draw_length (way->script, way->total - done);
      g_assert_no_errno (dill_brecv (way->h, bytes, length, soon ()));
      check_bytes (bytes, length, done);
    }
}

/* As it comes. */
static void
receive_some (Way *way)
{
  guint8 bytes[CHUNK_MAX];

  for (gsize done = 0, length; done < way->total; done += length)
    {
      length = (gsize) test_assert_ok (dill_brecv_some (way->h, bytes, sizeof bytes, soon ()));
      check_bytes (bytes, length, done);
    }
}

static void
send_in_lists (Way *way, bool are_messages)
{
  struct dill_iolist items[ITEMS_MAX];
  guint8 bytes[CHUNK_MAX];

  for (gsize done = 0, length; done < way->total; done += length)
    {
      struct dill_iolist *last;

      length = draw_length (way->script, way->total - done);
      if (are_messages)
        fill_message (bytes, length, done);
      else
        fill_bytes (bytes, length, done);
      last = draw_list (way->script, bytes, length, items);
      g_assert_no_errno ((are_messages ? dill_msendl : dill_bsendl) (way->h, items, last, soon ()));
    }
}

static void
send_lists (Way *way)
{
  send_in_lists (way, false);
}

/* One item of each list, drawn like everything else, is skipped. */
static void
receive_lists (Way *way)
{
  struct dill_iolist items[ITEMS_MAX];
  guint8 bytes[CHUNK_MAX];

  for (gsize done = 0, length; done < way->total; done += length)
    {
      struct dill_iolist *last, *skipped;

      length = draw_length (way->script, way->total - done);
      last = draw_list (way->script, bytes, length, items);
      skipped = &items[g_rand_int_range (way->script, 0, (gint32) (last - items) + 1)];
      fill_bytes (skipped->iol_base, skipped->iol_len, done + (gsize) ((guint8 *) skipped->iol_base - bytes));
      skipped->iol_base = NULL;
      g_assert_no_errno (dill_brecvl (way->h, items, last, soon ()));
      check_bytes (bytes, length, done);
    }
}

/* --- Messages --- */

static void
send_messages (Way *way)
{
  send_in_lists (way, true);
}

/* Some are longer than their receiver expects: these are skipped. */
static void
receive_messages (Way *way)
{
  struct dill_iolist items[ITEMS_MAX];
  guint8 bytes[CHUNK_MAX], expected[CHUNK_MAX];
  guint n = 0;

  for (gsize done = 0, length; done < way->total; done += length)
    {
      struct dill_iolist *last;

      length = draw_length (way->script, way->total - done);
      last = draw_list (way->script, bytes, length, items);
      if (n++ % 5 == 4 && length > 0)
        {
          test_assert_errno (dill_mrecv (way->h, bytes, length - 1, soon ()), EMSGSIZE);
          continue;
        }

      fill_message (expected, length, done);
      g_assert_cmpint (dill_mrecvl (way->h, items, last, soon ()), ==, (gssize) length);
      g_assert_cmpmem (bytes, length, expected, length);
    }
}

/* --- Descriptors --- */

/* Runs of bytes, each followed by a file in which stands where the run ends. */
static void
send_files (Way *way)
{
  guint8 bytes[CHUNK_MAX];

  for (gsize done = 0, length; done < way->total; done += length)
    {
      int file = new_file ();

      length = draw_length (way->script, way->total - done);
      fill_bytes (bytes, length, done);
      g_assert_no_errno (dill_bsend (way->h, bytes, length, soon ()));
      g_assert_cmpint (pwrite (file, &done, sizeof done, 0), ==, sizeof done);
      g_assert_no_errno (dill_ipc_sendfd (way->h, file, soon ()));
      close (file);
    }
}

static void
receive_files (Way *way)
{
  guint8 bytes[CHUNK_MAX];

  for (gsize done = 0, length; done < way->total; done += length)
    {
      gsize place = 0;
      int file;

      length = draw_length (way->script, way->total - done);
      g_assert_no_errno (dill_brecv (way->h, bytes, length, soon ()));
      check_bytes (bytes, length, done);
      file = test_assert_ok (dill_ipc_recvfd (way->h, soon ()));
      g_assert_cmpint (pread (file, &place, sizeof place, 0), ==, sizeof place);
      g_assert_cmpuint (place, ==, done);
      close (file);
    }
}

/* --- Both ways at once --- */

typedef struct
{
  const Traffic *traffic;
  bool to_one_byte;
  bool is_forked;
} Case;

/* What one end does. */
typedef struct
{
  const Case *test_case;
  guint32 seed; /* of the scripts, the same at both ends */
  int h;
} End;

static Way
make_way (const End *end)
{
  return (Way) { end->h, g_rand_new_with_seed (end->seed),
                 end->test_case->to_one_byte ? N_CUT_TO_ONE : N_CUT_AT_RANDOM };
}

static void
run_sender (void *data)
{
  const End *end = data;
  Way way = make_way (end);

  end->test_case->traffic->send (&way);
  g_rand_free (way.script);
}

/* One end: a coroutine sends while this receives. */
static void
run_end (void *data)
{
  End *end = data;
  const Traffic *traffic = end->test_case->traffic;
  Way way;
  int sender;

  if (traffic->kind != NULL)
    end->h = attach_kind (traffic->kind, end->h);
  sender = test_assert_ok (dill_spawn (run_sender, end));
  way = make_way (end);
  traffic->receive (&way);
  g_rand_free (way.script);
  g_assert_no_errno (dill_bundle_wait (sender, soon ()));
  g_assert_no_errno (dill_hclose (sender));
  if (traffic->kind != NULL)
    end->h = test_assert_ok (detach_kind (traffic->kind, end->h));

  /* A stream of one's own knows no handshake; nothing is on its way any more. */
  if (traffic->kind != NULL && traffic->kind->is_plain)
    g_assert_no_errno (dill_hclose (end->h));
  else
    g_assert_no_errno (dill_ipc_close (end->h, soon ()));
}

static void
run_here (const Case *test_case, guint32 seed)
{
  End ends[2] = { { test_case, seed, 0 }, { test_case, seed, 0 } };
  int s[2], other;

  make_pair (s);
  ends[0].h = s[0];
  ends[1].h = s[1];
  other = test_assert_ok (dill_spawn (run_end, &ends[1]));
  run_end (&ends[0]);
  g_assert_no_errno (dill_bundle_wait (other, soon ()));
  g_assert_no_errno (dill_hclose (other));
}

/* The child may not wait in the context of its parent. */
static int
run_in_child (gpointer data)
{
  End *end = data;

  g_main_context_push_thread_default (g_main_context_new ());
  end->h = test_assert_ok (dill_ipc_fromfd (end->h));
  run_end (end);
  return fault_n_cuts () > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
run_forked (const Case *test_case, guint32 seed)
{
  End end = { test_case, seed, 0 }, other = end;
  int fds[2];
  pid_t child;

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  other.h = fds[1];
  child = test_child_start (run_in_child, &other);
  close (fds[1]);
  end.h = test_assert_ok (dill_ipc_fromfd (fds[0]));
  run_end (&end);
  g_assert_cmpint (test_child_wait (child), ==, EXIT_SUCCESS);
}

static void
test_traffic (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  const Case *test_case = data;
  GRand *rand = g_rand_new_with_seed ((guint32) g_test_rand_int ());
  guint32 seed = (guint32) g_test_rand_int ();

  fault_cut (rand, test_case->to_one_byte);
  if (test_case->is_forked)
    run_forked (test_case, seed);
  else
    run_here (test_case, seed);

  g_assert_cmpuint (fault_n_cuts (), >, 100);
  g_test_message ("count %u short transfers", fault_n_cuts ());
  fault_cut (NULL, false);
  g_rand_free (rand);
}

static const Traffic traffics[] = {
  { "bytes", NULL, send_bytes, receive_bytes },
  { "some", NULL, send_bytes, receive_some },
  { "lists", NULL, send_lists, receive_lists },
  { "descriptors", NULL, send_files, receive_files },
};

/* Each over a connection to this process and to another, cut in each way. */
#define N_VARIANTS 4

static void
add_cases (Case *cases, const Traffic *traffic)
{
  static const char *const cuts[] = { "at-random", "to-one-byte" };
  static const char *const peers[] = { "here", "forked" };

  for (guint cut = 0; cut < 2; cut++)
    for (guint peer = 0; peer < 2; peer++)
      {
        g_autofree char *name = g_strdup_printf ("/short-transfers/%s/%s/%s", traffic->name, cuts[cut], peers[peer]);
        Case *test_case = cases++;

        *test_case = (Case) { traffic, cut == 1, peer == 1 };
        test_add_data (name, test_case, test_traffic);
      }
}

int
main (int argc, char **argv)
{
  static Traffic messages[G_N_ELEMENTS (kinds)];
  static Case cases[(G_N_ELEMENTS (traffics) + G_N_ELEMENTS (kinds)) * N_VARIANTS];
  Case *next = cases;

  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (traffics); i++, next += N_VARIANTS)
    add_cases (next, &traffics[i]);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++, next += N_VARIANTS)
    {
      messages[i] = (Traffic) { kinds[i].name, &kinds[i], send_messages, receive_messages };
      add_cases (next, &messages[i]);
    }

  return g_test_run ();
}
