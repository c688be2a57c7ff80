/* test-stack-use.c: what the library's own calls take of a stack.
 *
 * As the manual says of x86-64: up to 2 KiB below the function that makes the call, however long that waits; up to 4
 * where a socket file needs a detour.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "stack-area.h"
#include "stack-calls.h"

#define STACK_SIZE 65536

static dill_coroutine void
make_call (const StackCall *call, Things *things, guint8 **frame)
{
  *frame = __builtin_frame_address (0);
  call->make (things);
}

static void
test_call (Things *things, gconstpointer data)
{
  const StackCall *call = data;
  guint8 *frame = NULL;
  StackArea area;
  gsize used;
  int h;

  stack_area_init (&area, STACK_SIZE, 0);
  h = test_assert_ok (dill_go_mem (make_call (call, things, &frame), area.stack, area.size));
  g_assert_no_errno (dill_bundle_wait (h, soon ()));
  g_assert_no_errno (dill_hclose (h));
  used = stack_area_check (&area) - (gsize) (area.stack + area.size - frame);
  g_test_message ("%s: %" G_GSIZE_FORMAT " bytes", call->name, used);
  g_assert_cmpuint (used, >, 0);
  g_assert_cmpuint (used, <=, call->size_max);
  stack_area_clear (&area);
}

#if defined(__x86_64__) && defined(__OPTIMIZE__) && !HAVE_SANITIZER
#define CAN_COMPARE 1
#else
#define CAN_COMPARE 0
#endif

static void
skip_comparison (void)
{
  g_test_skip ("the manual speaks of x86-64, optimised code, and no sanitizer");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; CAN_COMPARE && i < G_N_ELEMENTS (stack_calls); i++)
    {
      g_autofree char *path = g_strconcat ("/stack-use/", stack_calls[i].name, NULL);

      g_test_add (path, Things, &stack_calls[i], things_set_up, test_call, things_tear_down);
    }
  if (!CAN_COMPARE)
    g_test_add_func ("/stack-use", skip_comparison);
  return g_test_run ();
}
