/* test-errnos.h: which errnos tests have seen the library's functions set.
 *
 * With TEST_ERRNOS in the environment each is printed, as "# errno dill_brecv EPIPE", before the "ok" of the test case
 * that has seen it.  tests/docs/test-errors.py makes docs/errors.md of that, and checks it.  test_assert_errno () notes
 * what it has seen; those who look at errno in another way do it themselves, with test_errnos_note ().
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Notes that CALL has set errno to ERROR.  CALL is an expression as text, or a name; it counts if it begins with the
 * name of a function of the library.  Keeps errno, and needs no more than a little stack. */
void test_errnos_note (const char *call, int error);

/* What is noted in the rest of this test case need not be the kernel's doing: "# errno injection" is printed. */
void test_errnos_note_injection (void);

G_END_DECLS
