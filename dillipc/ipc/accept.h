/* accept.h: how waiting acceptors are served.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

struct dill_watch;

/* The listener's watch calls this when connections are there: they are given to those who wait, in their order. */
void dill_accept_notify (struct dill_watch *watch, unsigned directions);
