/* test-long-messages.c: messages of many parts over a byte stream of the program's that never has to wait.
 *
 * Who has no time from the beginning on gets the whole message over, since the stream takes it, or has it; others look
 * at their deadline between the parts.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "message-utils.h"

#define N_ITEMS 200
#define ITEM_LENGTH ((gsize) 64 * 1024)
#define LENGTH (N_ITEMS * ITEM_LENGTH)
#define HEADER_LENGTH 4

/* Takes everything, and gives the header of a message of LENGTH bytes, and zeros. */
typedef struct
{
  struct dill_hvfs handle;
  struct dill_bsock_vfs stream;
  gsize n_sent;
  gsize n_received;
  gint64 deadline; /* the first call takes until it has passed; 0: no time */
} Store;

static Store *
store_of (struct dill_bsock_vfs *stream)
{
  return (Store *) (void *) ((char *) stream - offsetof (Store, stream));
}

static void
pass_time (const Store *store)
{
  while (dill_now () <= store->deadline)
    continue;
}

static int
store_bsendl (struct dill_bsock_vfs *stream, struct dill_iolist *first, struct dill_iolist *last G_GNUC_UNUSED,
              int64_t deadline G_GNUC_UNUSED)
{
  Store *store = store_of (stream);

  pass_time (store);
  for (; first != NULL; first = first->iol_next)
    store->n_sent += first->iol_len;
  return 0;
}

static int
store_brecvl (struct dill_bsock_vfs *stream, struct dill_iolist *first, struct dill_iolist *last G_GNUC_UNUSED,
              int64_t deadline G_GNUC_UNUSED)
{
  static const guint8 header[HEADER_LENGTH] = { LENGTH >> 24, LENGTH >> 16 & 0xFF, LENGTH >> 8 & 0xFF, LENGTH & 0xFF };
  Store *store = store_of (stream);

  pass_time (store);
  for (; first != NULL; first = first->iol_next)
    {
      char *bytes = first->iol_base;

      for (gsize i = 0; bytes != NULL && i < first->iol_len; i++)
        bytes[i] = (char) (store->n_received + i < HEADER_LENGTH ? header[store->n_received + i] : 0);
      store->n_received += first->iol_len;
    }
  return 0;
}

static void *
store_query (struct dill_hvfs *handle, const void *type)
{
  if (type == dill_bsock_type)
    return &((Store *) handle)->stream;

  errno = ENOTSUP;
  return NULL;
}

static void
store_close (struct dill_hvfs *handle G_GNUC_UNUSED)
{
}

/* --- One message --- */

typedef enum
{
  ZERO,
  PAST,
  CANCELED,
  SLOW /* time runs out in the middle */
} When;

typedef struct
{
  When when;
  Store store;
  int s;
  struct dill_iolist items[N_ITEMS];
  gint64 result;
  int error;
} Message;

static void
message_init (Message *message, When when, bool is_suffix)
{
  static char bytes[ITEM_LENGTH];

  *message = (Message) { .when = when };
  message->store = (Store) { { store_query, store_close }, { store_bsendl, store_brecvl }, 0, 0, 0 };
  repeat_item (message->items, N_ITEMS, bytes, ITEM_LENGTH);
  message->s = test_assert_ok (dill_hmake (&message->store.handle));
  message->s = is_suffix ? test_assert_ok (dill_suffix_attach (message->s, "\n", 1))
                         : test_assert_ok (dill_prefix_attach (message->s, HEADER_LENGTH, 0));
}

/* Before the first part goes over, all of the message is looked at. */
#define SLOW_MS (100 * test_slowdown ())

/* Makes what the deadline is of the time when the call is made. */
static gint64
deadline_for (Message *message)
{
  switch (message->when)
    {
    case ZERO:
      return 0;
    case PAST:
      return dill_now () - 1;
    case CANCELED:
      test_assert_errno (dill_msleep (-1), ECANCELED);
      return -1;
    case SLOW:
    default:
      return message->store.deadline = dill_now () + SLOW_MS;
    }
}

static void
send_message (void *data)
{
  Message *message = data;
  gint64 deadline = deadline_for (message);

  message->result = dill_msendl (message->s, &message->items[0], &message->items[N_ITEMS - 1], deadline);
  message->error = errno;
}

static void
receive_message (void *data)
{
  Message *message = data;
  gint64 deadline = deadline_for (message);

  message->result = dill_mrecvl (message->s, &message->items[0], &message->items[N_ITEMS - 1], deadline);
  message->error = errno;
}

static void
run (Message *message, DillFunc func)
{
  if (message->when == CANCELED)
    g_assert_no_errno (dill_hclose (test_assert_ok (dill_spawn (func, message))));
  else
    func (message);
}

static void
check (Message *message, gint64 result, gsize moved, gsize length)
{
  if (message->when == SLOW)
    {
      g_assert_cmpint (message->result, ==, -1);
      g_assert_cmpint (message->error, ==, ETIMEDOUT);
      g_assert_cmpuint (moved, <, length);
    }
  else
    {
      g_assert_cmpint (message->result, ==, result);
      g_assert_cmpuint (moved, ==, length);
    }
  g_assert_no_errno (dill_hclose (message->s));
}

static void
test_send (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  g_autofree Message *message = g_new (Message, 1);

  message_init (message, GPOINTER_TO_SIZE (data), true);
  run (message, send_message);
  check (message, 0, message->store.n_sent, LENGTH + 1);
}

static void
test_receive (TestDir *test G_GNUC_UNUSED, gconstpointer data)
{
  g_autofree Message *message = g_new (Message, 1);

  message_init (message, GPOINTER_TO_SIZE (data), false);
  run (message, receive_message);
  check (message, LENGTH, message->store.n_received, HEADER_LENGTH + LENGTH);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_add_data ("/long-messages/send/no-time", GSIZE_TO_POINTER (ZERO), test_send);
  test_add_data ("/long-messages/send/past", GSIZE_TO_POINTER (PAST), test_send);
  test_add_data ("/long-messages/send/canceled", GSIZE_TO_POINTER (CANCELED), test_send);
  test_add_data ("/long-messages/send/slow", GSIZE_TO_POINTER (SLOW), test_send);
  test_add_data ("/long-messages/receive/no-time", GSIZE_TO_POINTER (ZERO), test_receive);
  test_add_data ("/long-messages/receive/past", GSIZE_TO_POINTER (PAST), test_receive);
  test_add_data ("/long-messages/receive/slow", GSIZE_TO_POINTER (SLOW), test_receive);
  return g_test_run ();
}
