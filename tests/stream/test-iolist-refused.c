/* test-iolist-refused.c: bsendl () and brecvl () refuse a bad list before anything is touched.
 *
 * A list that is NULL, does not lead from its first to its last item, goes on behind that, or runs in a circle of any
 * length is EINVAL, and so is one with a bad item or of too many bytes.  Nothing is sent or received then, and the list
 * is as it was.
 *
 * Relies on IPC connections as the streams.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "iolist-utils.h"

#include <limits.h>

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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add ("/iolist-refused/faults", test_faults);
  test_add ("/iolist-refused/circles", test_circles);
  test_add ("/iolist-refused/long-circle", test_long_circle);
  return g_test_run ();
}
