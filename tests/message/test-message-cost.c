/* test-message-cost.c: what a message costs, what a flood of them leaves to the others, and message sockets of the
 * program's own.
 *
 * Relies on message-utils.h.  This program stands between the library and recvmsg () and malloc (), to count them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "malloc-utils.h"
#include "message-utils.h"
#include <sys/syscall.h>

static guint n_recvmsg;

ssize_t
recvmsg (int fd, struct msghdr *message, int flags)
{
  n_recvmsg++;
  return syscall (SYS_recvmsg, fd, message, flags);
}

static void
test_system_calls (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  enum { N = 200 }; /* as many as the kernel holds of such small ones */
  char buffer[100] = { 0 };
  int s[2];

  make_message_pair (data, s);
  for (guint i = 0; i < 10; i++)
    {
      g_assert_no_errno (dill_msend (s[0], "a message of some length", 24, 0));
      n_recvmsg = 0;
      g_assert_cmpint (dill_mrecv (s[1], buffer, sizeof buffer, 0), ==, 24);
      g_assert_cmpuint (n_recvmsg, ==, 1);
    }

  for (guint i = 0; i < N; i++)
    g_assert_no_errno (dill_msend (s[0], buffer, 24, 0));
  n_recvmsg = 0;
  for (guint i = 0; i < N; i++)
    g_assert_cmpint (dill_mrecv (s[1], buffer, sizeof buffer, 0), ==, 24);
  g_assert_cmpuint (n_recvmsg, <=, 2);
  close_pair (s);
}

static void
test_no_allocation (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  char buffer[100] = { 0 };
  int s[2];

  if (malloc_skip_test (false))
    return;

  make_message_pair (data, s);
  for (guint i = 0; i < 100; i++)
    {
      if (i == 1)
        n_malloc = 0; /* the first one fills the pool of buffers */
      g_assert_no_errno (dill_msend (s[0], buffer, 24, 0));
      (void) dill_mrecv (s[1], buffer, i % 2 == 0 ? sizeof buffer : 3, 0);
    }
  g_assert_cmpuint (n_malloc, ==, 0);
  close_pair (s);
}

typedef struct
{
  int s;
  gsize length;
  guint n;
} Messages;

static void
flood (void *data)
{
  Messages *messages = data;

  while (dill_msend (messages->s, "x", 1, -1) == 0)
    continue;
}

static void
drain (void *data)
{
  Messages *messages = data;
  char byte;

  while (dill_mrecv (messages->s, &byte, 1, -1) == 1)
    messages->n++;
}

static gboolean
tick (gpointer data)
{
  ++*(guint *) data;
  return G_SOURCE_CONTINUE;
}

/* Messages without end, and one message without end, leave the others their turn. */
static void
test_flood (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  Messages out = { .n = 0 }, in = { .n = 0 };
  guint ticks = 0, id = g_timeout_add (1, tick, &ticks);
  int s[2], sender, receiver;

  make_message_pair (data, s);
  out.s = s[0];
  in.s = s[1];
  sender = test_assert_ok (dill_spawn (flood, &out));
  receiver = test_assert_ok (dill_spawn (drain, &in));
  test_iterate_until (ticks >= 20 && in.n > 100);
  g_assert_no_errno (dill_hclose (sender));
  g_assert_no_errno (dill_hclose (receiver));
  g_source_remove (id);
  close_pair (s);
}

/* A message socket of the program's own. */
typedef struct
{
  struct dill_hvfs handle;
  struct dill_msock_vfs messages;
  char kept[10];
  gsize length;
} Mailbox;

static Mailbox *
mailbox_of (struct dill_msock_vfs *messages)
{
  return (Mailbox *) (void *) ((char *) messages - offsetof (Mailbox, messages));
}

static int
mailbox_msendl (struct dill_msock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  Mailbox *mailbox = mailbox_of (vfs);

  g_assert_true (first == last);
  g_assert_cmpint (deadline, ==, 77);
  mailbox->length = first->iol_len;
  memcpy (mailbox->kept, first->iol_base, first->iol_len);
  return 0;
}

static ssize_t
mailbox_mrecvl (struct dill_msock_vfs *vfs, struct dill_iolist *first, struct dill_iolist *last, int64_t deadline)
{
  Mailbox *mailbox = mailbox_of (vfs);

  g_assert_true (first == last);
  g_assert_cmpint (deadline, ==, 78);
  memcpy (first->iol_base, mailbox->kept, mailbox->length);
  return (ssize_t) mailbox->length;
}

static void *
mailbox_query (struct dill_hvfs *handle, const void *type)
{
  if (type == dill_msock_type)
    return &((Mailbox *) handle)->messages;
  errno = ENOTSUP;
  return NULL;
}

static void
mailbox_close (struct dill_hvfs *handle)
{
  ((Mailbox *) handle)->length = 1000;
}

static void
test_own_messages (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Mailbox mailbox = { { mailbox_query, mailbox_close }, { mailbox_msendl, mailbox_mrecvl }, "", 0 };
  char buffer[10];
  int s = test_assert_ok (dill_hmake (&mailbox.handle));

  g_assert_no_errno (dill_msend (s, "mine", 4, 77));
  g_assert_cmpint (dill_mrecv (s, buffer, sizeof buffer, 78), ==, 4);
  g_assert_cmpmem (buffer, 4, "mine", 4);
  test_assert_errno (dill_msend (s, NULL, 1, 77), EINVAL);
  test_assert_errno (dill_prefix_detach (s), ENOTSUP);
  test_assert_errno (dill_suffix_detach (s, -1), ENOTSUP);
  g_assert_no_errno (dill_hclose (s));
  g_assert_cmpuint (mailbox.length, ==, 1000);
}

/* One that has a message at any time, and each is too long. */
static ssize_t
flood_mrecvl (struct dill_msock_vfs *vfs G_GNUC_UNUSED, struct dill_iolist *first G_GNUC_UNUSED,
              struct dill_iolist *last G_GNUC_UNUSED, int64_t deadline G_GNUC_UNUSED)
{
  errno = EMSGSIZE;
  return -1;
}

static void
skip_until_done (void *data)
{
  Messages *messages = data;

  while (messages->n == 0)
    test_assert_errno (dill_mrecv (messages->s, NULL, 0, -1), EMSGSIZE);
}

static void
test_flood_too_long (TestDir *test G_GNUC_UNUSED, gconstpointer data G_GNUC_UNUSED)
{
  Mailbox mailbox = { { mailbox_query, mailbox_close }, { mailbox_msendl, flood_mrecvl }, "", 0 };
  Messages messages = { .s = test_assert_ok (dill_hmake (&mailbox.handle)) };
  guint ticks = 0, id = g_timeout_add (1, tick, &ticks);
  int receiver = test_assert_ok (dill_spawn (skip_until_done, &messages));

  test_iterate_until (ticks >= 10);
  messages.n = 1;
  g_assert_no_errno (dill_bundle_wait (receiver, soon ()));
  g_assert_no_errno (dill_hclose (receiver));
  g_assert_no_errno (dill_hclose (messages.s));
  g_source_remove (id);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add_data ("/message/system-calls/prefix", &kinds[0], test_system_calls);
  test_add_data ("/message/system-calls/suffix", &kinds[3], test_system_calls);
  add_for_kinds ("/message/no-allocation", test_no_allocation);
  add_for_kinds ("/message/flood", test_flood);
  test_add ("/message/own-protocol/exchange", test_own_messages);
  test_add ("/message/own-protocol/flood-too-long", test_flood_too_long);
  return g_test_run ();
}
