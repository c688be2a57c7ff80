/* outstanding.c: addresses that somebody will call back with, though nobody waits there any more.
 *
 * Uses GLib's containers, whose allocations abort where there is no memory.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/outstanding.h"
#include "engine/lock.h"
#include <glib.h>
#include <stdatomic.h>

static atomic_size_t last_number;

/* For those who need not take the lock: how many addresses are in owed. */
static atomic_size_t n_owed;

/* HOLDS: dill_lock_take () */
static GTree *owed;         /* number of callbacks by address, none of them 0 */
static GHashTable *settled; /* the last record that was made before the last owed callback came, by address */

size_t
dill_outstanding_number (void)
{
  return atomic_fetch_add_explicit (&last_number, 1, memory_order_relaxed) + 1;
}

static int
compare_addresses (gconstpointer a, gconstpointer b)
{
  return (guintptr) a < (guintptr) b ? -1 : (guintptr) a > (guintptr) b;
}

static size_t
count_owed (const void *address)
{
  return owed != NULL ? GPOINTER_TO_SIZE (g_tree_lookup (owed, address)) : 0;
}

static void
set_owed (const void *address, size_t n_callbacks)
{
  if (owed == NULL)
    owed = g_tree_new (compare_addresses);

  if (n_callbacks > 0)
    g_tree_replace (owed, (gpointer) address, GSIZE_TO_POINTER (n_callbacks));
  else
    g_tree_remove (owed, address);
  atomic_store_explicit (&n_owed, (size_t) g_tree_nnodes (owed), memory_order_relaxed);
}

void
dill_outstanding_add_unlocked (const void *address)
{
  set_owed (address, count_owed (address) + 1);
}

bool
dill_outstanding_settle_unlocked (const void *address)
{
  size_t n_callbacks = count_owed (address);

  if (n_callbacks == 0)
    return false;

  if (settled == NULL)
    settled = g_hash_table_new (NULL, NULL);
  g_hash_table_replace (settled, (gpointer) address,
                        GSIZE_TO_POINTER (atomic_load_explicit (&last_number, memory_order_relaxed)));
  set_owed (address, n_callbacks - 1);
  return true;
}

bool
dill_outstanding_is_clear_unlocked (const void *address, size_t number)
{
  gpointer last;

  if (count_owed (address) > 0)
    return false;

  if (settled == NULL || !g_hash_table_lookup_extended (settled, address, NULL, &last))
    return true;

  if (GPOINTER_TO_SIZE (last) >= number)
    return false;

  /* Where a newer record stands there is no older one. */
  g_hash_table_remove (settled, address);
  return true;
}

/* A piece of memory. */
struct range
{
  guintptr base;
  size_t size;
};

static int
compare_with_range (gconstpointer address, gconstpointer data)
{
  const struct range *range = data;

  if ((guintptr) address < range->base)
    return 1;

  return (guintptr) address - range->base < range->size ? 0 : -1;
}

bool
dill_outstanding_is_within (const void *base, size_t size)
{
  const struct range range = { (guintptr) base, size };
  bool is_within;

  if (atomic_load_explicit (&n_owed, memory_order_relaxed) == 0)
    return false;

  dill_lock_take ();
  is_within = g_tree_search (owed, compare_with_range, &range) != NULL;
  dill_lock_release ();
  return is_within;
}
