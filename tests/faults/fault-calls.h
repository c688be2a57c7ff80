/* fault-calls.h: a call of libc that can be made to fail, in its usual form.
 *
 * Relies on: generate.py for the names, calls.txt for what can be made to fail.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "fault-plan.h"

/* One that returns FAILURE, with errno, when it fails. */
#define WRAP(type, name, parameters, arguments, failure)                                                               \
  type fault_##name parameters;                                                                                        \
  type fault_##name parameters                                                                                         \
  {                                                                                                                    \
    return fault_strikes (FAULT_##name) ? failure : name arguments;                                                    \
  }
