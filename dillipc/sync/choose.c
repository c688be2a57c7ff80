/* choose.c: passing values through channels, which hold none.
 *
 * A sender looks for a receiver at the other end, and the other way round.  Who finds nobody waits, with a clause in
 * the queue of each end that it may act on.  The first partner performs one of them on its behalf, copying the value to
 * or from the waiter's stack, and takes all of them out of their queues.  So does whatever else ends the wait, a
 * time-out, a cancellation, or the end of the stack: hence the first clause in a queue always is one that can be
 * performed.
 *
 * A choice looks for partners before it puts clauses of its own into queues, and so never meets itself.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/wait.h"
#include "sync/channel.h"
#include <dillipc/dill-channel.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Clauses that need no memory of their own. */
#define N_CLAUSES_ON_STACK 8

/* In place of an errno: there is no partner. */
#define NOBODY (-1)

struct choice;

/* One clause of a choice that waits, or is about to. */
struct clause
{
  struct dill_list link; /* in a queue of its end */
  struct choice *choice;
  struct dill_channel_end *end;
  void *val;
  size_t len;
  int index; /* among the clauses of its choice */
  bool is_send;
};

struct choice
{
  struct dill_wait wait;
  struct clause *clauses; /* NULL once the wait is over */
  int n_clauses;
  int chosen; /* index of the clause that was performed or has failed */
  int error;  /* its errno, 0 for success */
};

static int
take_clauses (struct choice *choice, struct clause *on_stack, int n_clauses)
{
  choice->n_clauses = n_clauses;
  choice->clauses = on_stack;
  if (n_clauses <= N_CLAUSES_ON_STACK)
    return 0;

  choice->clauses = calloc ((size_t) n_clauses, sizeof *choice->clauses);
  if (choice->clauses != NULL)
    return 0;

  errno = ENOMEM;
  return -1;
}

static void
free_clauses (struct choice *choice)
{
  if (choice->n_clauses > N_CLAUSES_ON_STACK)
    free (choice->clauses);
  choice->clauses = NULL;
}

/* The wait is over, or its stack vanishes. */
static void
withdraw (struct dill_wait *wait)
{
  struct choice *choice = dill_container_of (wait, struct choice, wait);

  for (int i = 0; i < choice->n_clauses; i++)
    dill_list_remove (&choice->clauses[i].link);
  free_clauses (choice);
}

/* The choice that waits with CLAUSE is made. */
static void
decide (struct clause *clause, int error)
{
  struct choice *choice = clause->choice;

  choice->chosen = clause->index;
  choice->error = error;
  dill_wait_wake (&choice->wait, DILL_READY);
}

void
dill_channel_fail_all (struct dill_list *queue, int error)
{
  while (!dill_list_is_empty (queue))
    decide (dill_container_of (queue->next, struct clause, link), error);
}

/* Finds the end and checks the clause: 0 or an errno. */
static inline int
prepare (struct clause *clause, int op, int ch, void *val, size_t len)
{
  clause->end = dill_channel_get (ch);
  if (clause->end == NULL)
    return errno;

  if ((op != DILL_CHSEND && op != DILL_CHRECV) || (val == NULL && len > 0))
    return EINVAL;

  clause->val = val;
  clause->len = len;
  clause->is_send = op == DILL_CHSEND;
  return 0;
}

/* The value goes from SENDER to RECEIVER, of equal size.  They may share their memory. */
static void
copy (const struct clause *sender, const struct clause *receiver)
{
  /* Most values are numbers, handles and pointers. */
  if (sender->len == sizeof (uint64_t))
    {
      uint64_t value;

      memcpy (&value, sender->val, sizeof value);
      memcpy (receiver->val, &value, sizeof value);
    }
  else if (sender->len == sizeof (uint32_t))
    {
      uint32_t value;

      memcpy (&value, sender->val, sizeof value);
      memcpy (receiver->val, &value, sizeof value);
    }
  else if (sender->len > 0)
    memmove (receiver->val, sender->val, sender->len);
}

/* Performs CLAUSE if that is possible now.  Returns 0, an errno with which it has failed, or NOBODY. */
static inline int
perform (struct clause *clause)
{
  struct dill_channel_end *other = clause->end->other;
  struct dill_list *partners = clause->is_send ? &other->receivers : &other->senders;
  struct clause *partner;
  int error;

  if (other->is_closed || (clause->is_send ? clause->end->is_done : other->is_done))
    return EPIPE;

  if (dill_list_is_empty (partners))
    return NOBODY;

  partner = dill_container_of (partners->next, struct clause, link);
  error = partner->len == clause->len ? 0 : EMSGSIZE;
  if (error == 0)
    copy (clause->is_send ? clause : partner, clause->is_send ? partner : clause);
  decide (partner, error);
  return error;
}

/* The same for one that is to be, number INDEX of CHOICE. */
static inline int
attempt (struct choice *choice, struct clause *clause, int index, int op, int ch, void *val, size_t len)
{
  int error = prepare (clause, op, ch, val, len);

  clause->choice = choice;
  clause->index = index;
  return error == 0 ? perform (clause) : error;
}

/* Tries the clauses in their order.  Returns whether one was performed or has failed. */
static bool
try_all (struct choice *choice, const struct dill_chclause *wanted)
{
  for (int i = 0; i < choice->n_clauses; i++)
    {
      int error = attempt (choice, &choice->clauses[i], i, wanted[i].op, wanted[i].ch, wanted[i].val, wanted[i].len);

      if (error != NOBODY)
        {
          choice->chosen = i;
          choice->error = error;
          return true;
        }
    }

  return false;
}

static inline void
enqueue (struct clause *clause)
{
  dill_list_append (clause->is_send ? &clause->end->senders : &clause->end->receivers, &clause->link);
}

/* Waits for a partner of any clause.  Returns 0, or -1 with errno. */
static int
wait_for_any (struct choice *choice, int64_t deadline)
{
  if (dill_wait_begin (&choice->wait, "choose", deadline) < 0)
    {
      int saved_errno = errno;

      free_clauses (choice);
      errno = saved_errno;
      return -1;
    }

  for (int i = 0; i < choice->n_clauses; i++)
    enqueue (&choice->clauses[i]);

  choice->wait.withdraw = withdraw;
  return dill_wait_result (dill_wait_block (&choice->wait));
}

int
dill_choose (struct dill_chclause *clauses, int nclauses, int64_t deadline)
{
  struct clause on_stack[N_CLAUSES_ON_STACK];
  struct choice choice;

  if (nclauses < 0 || (clauses == NULL && nclauses > 0))
    {
      errno = EINVAL;
      return -1;
    }

  if (dill_wait_allowed () < 0 || take_clauses (&choice, on_stack, nclauses) < 0)
    return -1;

  if (try_all (&choice, clauses))
    {
      free_clauses (&choice);
      if (choice.error == 0)
        dill_wait_fairly (0, deadline);
    }
  else if (wait_for_any (&choice, deadline) < 0)
    {
      return -1;
    }

  errno = choice.error;
  return choice.chosen;
}

/* A choice of one clause. */
struct single
{
  struct choice choice;
  struct clause clause;
};

static void
withdraw_single (struct dill_wait *wait)
{
  dill_list_remove (&dill_container_of (wait, struct single, choice.wait)->clause.link);
}

/* Not with the clause as a struct, which would be read in larger pieces than it was just written in: that is slow.
 * And one place for both operations: a sender often goes on where a receiver was expected to return, and the other
 * way round. */
__attribute__ ((noinline)) static int
act (const char *what, int op, int ch, void *val, size_t len, int64_t deadline)
{
  struct dill_thread *thread = dill_wait_get_thread ();
  struct single single;
  int error;

  if (thread == NULL)
    return -1;

  error = attempt (&single.choice, &single.clause, 0, op, ch, val, len);
  if (error == 0)
    return (int) dill_wait_fairly (0, deadline);

  if (error == NOBODY)
    {
      if (dill_wait_begin_in (thread, &single.choice.wait, what, deadline) < 0)
        return -1;

      enqueue (&single.clause);
      single.choice.wait.withdraw = withdraw_single;
      if (dill_wait_result (dill_wait_block (&single.choice.wait)) < 0)
        return -1;
      error = single.choice.error;
    }

  if (error == 0)
    return 0;

  errno = error;
  return -1;
}

int
dill_chsend (int ch, const void *val, size_t len, int64_t deadline)
{
  return act ("chsend", DILL_CHSEND, ch, (void *) val, len, deadline);
}

int
dill_chrecv (int ch, void *val, size_t len, int64_t deadline)
{
  return act ("chrecv", DILL_CHRECV, ch, val, len, deadline);
}
