/* source-name.h: names for sources, as debuggers and profilers show them.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>

/* NAME must stay for ever. */
static inline void
dill_source_set_name (GSource *source, const char *name)
{
#if GLIB_CHECK_VERSION(2, 70, 0)
  G_GNUC_BEGIN_IGNORE_DEPRECATIONS
  g_source_set_static_name (source, name);
  G_GNUC_END_IGNORE_DEPRECATIONS
#else
  g_source_set_name (source, name);
#endif
}
