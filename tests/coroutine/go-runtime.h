/* go-runtime.h: what stands for the library behind dill_go () in the programs here, and what their checks share.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <dillipc/dill-coroutine.h>
#include <stdbool.h>

DILL_BEGIN_DECLS

#ifdef __cplusplus
/* flow.h is for C: an empty struct has another size there.  This is what C++ needs of it. */
void flow_begin (void);
bool flow_finish (void);
void flow_pause (void);
void check (bool condition, const char *what);
int check_result (void);
#else
#include "flow.h"
#endif

/* As if there were no memory. */
extern bool go_refuses;

/* A handle is the index of a flow. */
void go_resume_to_end (int handle);

/* Fills the part of the stack that a function has left. */
void go_overwrite_stack (void);

/* In files of their own. */
void check_go_arguments (void);
void check_go_starters (void);

DILL_END_DECLS
