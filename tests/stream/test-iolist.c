/* test-iolist.c: bsendl () and brecvl () carry exact bytes through lists of any shape, never write into a list, and
 * refuse a bad one before anything is touched.
 *
 * Relies on IPC connections as the streams.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "connection-utils.h"

#include <dillipc/dill-stream.h>
#include <limits.h>

#define N_ITEMS_MAX 5000

/* A list over consecutive bytes, with guards behind them. */
typedef struct
{
  struct dill_iolist *items;
  struct dill_iolist *saved; /* what the items must still be afterwards */
  guint n_items;
  guint8 *bytes;
  gsize length;
} List;

static void *
copy_of (const void *memory, gsize size)
{
  return memcpy (g_malloc (size), memory, size);
}

/* Items some of which have no length and, with MAY_SKIP, some no buffer. */
static void
list_init (List *list, guint n_items, gsize item_max, bool may_skip)
{
  list->n_items = n_items;
  list->items = g_new0 (struct dill_iolist, n_items);
  list->bytes = g_malloc0 (n_items * item_max + 1);
  list->length = 0;
  for (guint i = 0; i < n_items; i++)
    {
      struct dill_iolist *item = &list->items[i];

      item->iol_len = g_test_rand_bit () ? (gsize) g_test_rand_int_range (0, (gint) item_max + 1) : 0;
      item->iol_base = may_skip && g_test_rand_int_range (0, 4) == 0 ? NULL : list->bytes + list->length;
      if (item->iol_len == 0 && g_test_rand_bit ())
        item->iol_base = NULL;
      item->iol_next = i + 1 < n_items ? item + 1 : NULL;
      list->length += item->iol_len;
    }
  list->saved = copy_of (list->items, n_items * sizeof *list->items);
}

static void
list_check_unchanged (const List *list)
{
  g_assert_true (memcmp (list->items, list->saved, list->n_items * sizeof *list->items) == 0);
}

static void
list_clear (List *list)
{
  g_free (list->items);
  g_free (list->saved);
  g_free (list->bytes);
}

typedef struct
{
  int s;
  List *list;
} Sending;

static void
send_list (void *data)
{
  Sending *sending = data;
  List *list = sending->list;

  g_assert_no_errno (dill_bsendl (sending->s, &list->items[0], &list->items[list->n_items - 1], soon ()));
  g_assert_no_errno (dill_ipc_done (sending->s, -1));
}

/* Receives the stream of LENGTH bytes through lists, and the rest as one piece. */
static void
receive_lists (int s, gsize length, guint n_items, gsize item_max)
{
  gsize done = 0;

  for (;;)
    {
      gsize place;
      List list;

      list_init (&list, n_items, item_max, true);
      if (done + list.length > length)
        {
          list_clear (&list);
          break;
        }

      g_assert_no_errno (dill_brecvl (s, &list.items[0], &list.items[n_items - 1], soon ()));
      list_check_unchanged (&list);
      place = 0;
      for (guint i = 0; i < n_items; i++)
        {
          if (list.items[i].iol_base != NULL)
            check_bytes (list.items[i].iol_base, list.items[i].iol_len, done + place);
          else
            for (gsize k = 0; k < list.items[i].iol_len; k++)
              g_assert_cmpuint (list.bytes[place + k], ==, 0); /* skipped: nobody wrote here */
          place += list.items[i].iol_len;
        }
      g_assert_cmpuint (list.bytes[list.length], ==, 0);
      done += list.length;
      list_clear (&list);
      if (done == length)
        break;
    }

  if (done < length)
    {
      g_autofree guint8 *rest = g_malloc (length - done);

      g_assert_no_errno (dill_brecv (s, rest, length - done, soon ()));
      check_bytes (rest, length - done, done);
    }
  test_assert_errno (dill_brecv (s, NULL, 1, soon ()), EPIPE);
}

static void
test_shapes (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  static const guint n_items[] = { 1, 2, 3, 15, 16, 17, 31, 33, 100, IOV_MAX, IOV_MAX + 1, N_ITEMS_MAX };
  static const gsize item_max[] = { 1, 5, 300 };

  for (guint i = 0; i < G_N_ELEMENTS (n_items); i++)
    for (guint k = 0; k < G_N_ELEMENTS (item_max); k++)
      {
        guint n_other = n_items[g_test_rand_int_range (0, G_N_ELEMENTS (n_items))];
        Sending sending;
        int s[2], sender;
        List list;

        make_pair (s);
        list_init (&list, n_items[i], item_max[k], false);
        fill_bytes (list.bytes, list.length, 0);
        sending = (Sending) { s[0], &list };
        sender = test_assert_ok (dill_spawn (send_list, &sending));
        receive_lists (s[1], list.length, n_other, 100);
        list_check_unchanged (&list);
        check_bytes (list.bytes, list.length, 0);
        g_assert_no_errno (dill_hclose (sender));
        list_clear (&list);
        close_pair (s);
      }
}

/* Large items among small ones, so that system calls end in the middle of any of them. */
static void
test_large_items (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Sending sending;
  int s[2], sender;
  List list;

  make_pair (s);
  list_init (&list, 40, 400 * 1000, false);
  fill_bytes (list.bytes, list.length, 0);
  sending = (Sending) { s[0], &list };
  sender = test_assert_ok (dill_spawn (send_list, &sending));
  receive_lists (s[1], list.length, 20, 100 * 1000);
  list_check_unchanged (&list);
  g_assert_no_errno (dill_hclose (sender));
  list_clear (&list);
  close_pair (s);
}

/* A stack of items that all are good: a test makes one of them bad. */
typedef struct
{
  struct dill_iolist items[6];
  char bytes[6];
} Short;

static void
short_init (Short *list)
{
  memset (list, 0, sizeof *list);
  for (guint i = 0; i < 6; i++)
    {
      list->items[i].iol_base = &list->bytes[i];
      list->items[i].iol_len = 1;
      list->items[i].iol_next = i < 5 ? &list->items[i + 1] : NULL;
    }
}

static void
check_refused (int s[2], Short *list, struct dill_iolist *first, struct dill_iolist *last, bool also_on_receive)
{
  g_autofree Short *saved = copy_of (list, sizeof *list);

  test_assert_errno (dill_bsendl (s[0], first, last, soon ()), EINVAL);
  test_assert_errno (dill_bsendl (s[0], first, last, 0), EINVAL);
  if (also_on_receive)
    {
      /* With bytes there that it could take. */
      g_assert_no_errno (dill_bsend (s[0], "abc", 3, 0));
      test_assert_errno (dill_brecvl (s[1], first, last, soon ()), EINVAL);
      g_assert_true (memcmp (saved, list, sizeof *list) == 0);
      g_assert_no_errno (dill_brecv (s[1], list->bytes, 3, 0));
      g_assert_cmpmem (list->bytes, 3, "abc", 3);
      memcpy (list->bytes, saved->bytes, sizeof list->bytes);
    }
  g_assert_true (memcmp (saved, list, sizeof *list) == 0);

  /* Nothing was sent: the stream is exactly what good lists make of it. */
  g_assert_no_errno (dill_bsend (s[0], "xyz", 3, 0));
  g_assert_no_errno (dill_brecv (s[1], list->bytes, 3, 0));
  g_assert_cmpmem (list->bytes, 3, "xyz", 3);
  test_assert_errno (dill_brecv_some (s[1], list->bytes, 1, 0), ETIMEDOUT);
}

static void
test_faults (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Short list, other;
  struct dill_iolist *items = list.items;
  int s[2];

  make_pair (s);

  short_init (&list);
  check_refused (s, &list, NULL, &items[5], true);
  check_refused (s, &list, &items[0], NULL, true);
  check_refused (s, &list, NULL, NULL, true);
  check_refused (s, &list, &items[0], &items[4], true); /* the last one has a successor */
  check_refused (s, &list, &items[1], &items[0], true);

  short_init (&other);
  check_refused (s, &list, &items[0], &other.items[5], true); /* is not reached */

  for (guint bad = 0; bad < 6; bad++)
    {
      short_init (&list);
      items[bad].iol_rsvd = 1;
      check_refused (s, &list, &items[0], &items[5], true);

      short_init (&list);
      items[bad].iol_rsvd = -1;
      check_refused (s, &list, &items[0], &items[5], true);

      short_init (&list);
      items[bad].iol_base = NULL;
      check_refused (s, &list, &items[0], &items[5], false); /* on receive it skips a byte */

      short_init (&list);
      items[bad].iol_len = (size_t) SSIZE_MAX - 4;
      check_refused (s, &list, &items[0], &items[5], true);

      short_init (&list);
      items[bad].iol_len = SIZE_MAX;
      check_refused (s, &list, &items[0], &items[5], true);
    }
  close_pair (s);
}

/* Each item in turn leads back to each that comes before it, or to itself. */
static void
test_circles (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  struct dill_iolist last = { .iol_base = NULL };
  int s[2];

  make_pair (s);
  for (guint from = 0; from < 6; from++)
    for (guint to = 0; to <= from; to++)
      {
        Short list;

        short_init (&list);
        list.items[from].iol_next = &list.items[to];
        check_refused (s, &list, &list.items[0], &last, true);
        check_refused (s, &list, &list.items[0], &list.items[from], true);
        if (from < 5)
          check_refused (s, &list, &list.items[0], &list.items[5], true);
      }
  close_pair (s);
}

static void
test_long_circle (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  struct dill_iolist last = { .iol_base = NULL };
  List list;
  int s[2];

  make_pair (s);
  for (guint to = 0; to < N_ITEMS_MAX; to += 617)
    {
      list_init (&list, N_ITEMS_MAX, 1, false);
      list.items[N_ITEMS_MAX - 1].iol_next = list.saved[N_ITEMS_MAX - 1].iol_next = &list.items[to];
      test_assert_errno (dill_bsendl (s[0], &list.items[0], &last, soon ()), EINVAL);
      test_assert_errno (dill_brecvl (s[0], &list.items[0], &last, soon ()), EINVAL);
      list_check_unchanged (&list);
      list_clear (&list);
    }
  test_assert_errno (dill_brecv_some (s[1], &last, 1, 0), ETIMEDOUT);
  close_pair (s);
}

/* A stream of a program's own gets good lists, as they are, and never a bad one. */
typedef struct
{
  struct dill_hvfs hvfs;
  struct dill_bsock_vfs bsock;
  guint n_calls;
  struct dill_iolist *first;
  struct dill_iolist *last;
  int64_t deadline;
} Own;

static void *
own_query (struct dill_hvfs *hvfs, const void *type)
{
  if (type == dill_bsock_type)
    return &((Own *) hvfs)->bsock;
  errno = ENOTSUP;
  return NULL;
}

static void
own_close (struct dill_hvfs *hvfs)
{
  ((Own *) hvfs)->n_calls = 100;
}

static int
own_transfer (struct dill_bsock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  Own *own = (Own *) ((char *) vfs - G_STRUCT_OFFSET (Own, bsock));

  own->n_calls++;
  own->first = first;
  own->last = last;
  own->deadline = deadline;
  errno = EXDEV;
  return -1;
}

static void
test_own_stream (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Own own = { .hvfs = { own_query, own_close }, .bsock = { own_transfer, own_transfer } };
  int h = test_assert_ok (dill_hmake (&own.hvfs));
  int64_t deadline = soon ();
  Short list;

  short_init (&list);
  test_assert_errno (dill_bsendl (h, &list.items[0], &list.items[5], deadline), EXDEV);
  g_assert_true (own.first == &list.items[0] && own.last == &list.items[5] && own.deadline == deadline);
  test_assert_errno (dill_brecvl (h, &list.items[1], &list.items[5], -1), EXDEV);
  g_assert_true (own.first == &list.items[1] && own.last == &list.items[5] && own.deadline == -1);
  test_assert_errno (dill_bsend (h, "abc", 3, deadline), EXDEV);
  g_assert_true (own.first == own.last);
  test_assert_errno (dill_brecv (h, NULL, 3, deadline), EXDEV);
  g_assert_cmpuint (own.n_calls, ==, 4);

  list.items[2].iol_rsvd = 1;
  test_assert_errno (dill_bsendl (h, &list.items[0], &list.items[5], deadline), EINVAL);
  test_assert_errno (dill_brecvl (h, &list.items[0], &list.items[5], deadline), EINVAL);
  test_assert_errno (dill_bsend (h, NULL, 3, deadline), EINVAL);
  g_assert_cmpuint (own.n_calls, ==, 4);

  /* It is no IPC connection. */
  test_assert_errno (dill_brecv_some (h, &list, 1, deadline), ENOTSUP);
  test_assert_errno (dill_ipc_sendfd (h, STDIN_FILENO, deadline), ENOTSUP);
  g_assert_cmpuint (own.n_calls, ==, 4);
  g_assert_no_errno (dill_hclose (h));
  g_assert_cmpuint (own.n_calls, ==, 100);
}

/* Lists fail as single buffers do. */
static void
test_failures (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Short list;
  int s[2];

  short_init (&list);
  make_pair (s);
  g_assert_no_errno (dill_bsend (s[1], "ab", 2, 0));
  test_assert_errno (dill_brecvl (s[0], &list.items[0], &list.items[5], dill_now () + 2), ETIMEDOUT);
  test_assert_errno (dill_brecvl (s[0], &list.items[0], &list.items[5], soon ()), ECONNRESET);

  g_assert_no_errno (dill_ipc_done (s[0], soon ()));
  test_assert_errno (dill_bsendl (s[0], &list.items[0], &list.items[5], soon ()), EPIPE);
  test_assert_errno (dill_brecvl (s[1], &list.items[0], &list.items[5], soon ()), EPIPE);
  g_assert_no_errno (dill_hclose (s[0]));
  test_assert_errno (dill_bsendl (s[1], &list.items[0], &list.items[5], soon ()), ECONNRESET);
  g_assert_no_errno (dill_hclose (s[1]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/iolist/shapes", test_shapes);
  test_add ("/iolist/large-items", test_large_items);
  test_add ("/iolist/faults", test_faults);
  test_add ("/iolist/circles", test_circles);
  test_add ("/iolist/long-circle", test_long_circle);
  test_add ("/iolist/own-stream", test_own_stream);
  test_add ("/iolist/failures", test_failures);
  return g_test_run ();
}
