/* test-iolist.c: bsendl () and brecvl () carry exact bytes through lists of any shape, never write into a list, and
 * fail as calls with a single buffer do.
 *
 * A stream of the program's own gets the lists as they are, and never a bad one.  Which lists are bad is in
 * test-iolist-refused.c.
 *
 * Relies on IPC connections as the streams.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "iolist-utils.h"

#include <dillipc/dill-stream.h>
#include <limits.h>

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
  test_add ("/iolist/own-stream", test_own_stream);
  test_add ("/iolist/failures", test_failures);
  return g_test_run ();
}
