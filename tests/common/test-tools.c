/* test-tools.c: the tools that test programs run under.
 *
 * The sanitizers are known when this is compiled, with the same flags as the programs.  For Valgrind the client request
 * needs its header; a build without that takes Valgrind for a slow machine.  An emulator does its best not to be
 * noticed: Meson tells of it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "test-tools.h"

#if defined(HAVE_VALGRIND_H)
#include <valgrind/valgrind.h>
#endif

const char *
test_emulator (void)
{
  const char *wrapper = g_getenv ("MESON_EXE_WRAPPER");

  return wrapper != NULL && *wrapper != '\0' ? wrapper : NULL;
}

guint
test_tool (void)
{
  if (HAVE_ADDRESS_SANITIZER)
    return TEST_UNDER_ASAN;
  if (HAVE_THREAD_SANITIZER)
    return TEST_UNDER_TSAN;
#if defined(HAVE_VALGRIND_H)
  if (RUNNING_ON_VALGRIND)
    return TEST_UNDER_VALGRIND;
#endif
  if (test_emulator () != NULL)
    return TEST_UNDER_EMULATOR;
  return 0;
}

static const char *
tool_name (guint tool)
{
  switch (tool)
    {
    case TEST_UNDER_ASAN:
      return "AddressSanitizer";
    case TEST_UNDER_TSAN:
      return "ThreadSanitizer";
    case TEST_UNDER_VALGRIND:
      return "Valgrind";
    case TEST_UNDER_EMULATOR:
      return "an emulator";
    default:
      g_return_val_if_reached ("no tool");
    }
}

gboolean
test_skip_under (guint tools, const char *reason)
{
  g_autofree char *message = NULL;

  if ((test_tool () & tools) == 0)
    return FALSE;

  message = g_strdup_printf ("under %s: %s", tool_name (test_tool ()), reason);
  g_test_skip (message);
  return TRUE;
}

void
test_tool_begin_child (void)
{
#if defined(HAVE_VALGRIND_H) && defined(VALGRIND_CLO_CHANGE)
  VALGRIND_CLO_CHANGE ("--leak-check=no");
#endif
}

/* By experience, and on the safe side. */
guint
test_slowdown (void)
{
  switch (test_tool ())
    {
    case TEST_UNDER_ASAN:
      return 3;
    case TEST_UNDER_TSAN:
    case TEST_UNDER_EMULATOR:
      return 5;
    case TEST_UNDER_VALGRIND:
      return 20;
    default:
      return 1;
    }
}
