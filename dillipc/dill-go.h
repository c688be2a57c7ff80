/* dill-go.h: how DILL_GO_ () starts a call on another stack.
 *
 * In C++ the call becomes a lambda, started by an ordinary function call on the new stack.
 *
 * In C, dill_go_begin () returns twice: first on the new stack, where the call is made, then, once the coroutine waits or
 * has ended, on the caller's.  The first time the frame pointer still is the caller's, so that the arguments are read
 * from where they are; this is why the block holds an array of a length unknown to the compiler, which forces it to
 * address its locals by a frame pointer.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_GO_H
#define DILL_GO_H

#include <dillipc/dill-coroutine.h>

#ifdef __cplusplus

template <typename DillCall>
inline int
dill_go_lambda_ (const struct dill_go_site *site, int bundle, void *mem, size_t len, DillCall call)
{
  struct trampoline
  {
    static void
    run (void *data)
    {
      (*static_cast<DillCall *> (data)) ();
    }
  };

  return dill_go_function (site, bundle, mem, len, trampoline::run, &call);
}

#define DILL_GO_(flags, bundle, mem, len, call)                                                                        \
  ([&] () -> int {                                                                                                     \
    static const struct dill_go_site dill_site_ = { #call, __FILE__, __LINE__, (flags) };                              \
    return dill_go_lambda_ (&dill_site_, (bundle), (mem), (len), [&] { call; });                                       \
  }())

/* For 64-bit RISC-V, gcc 12 stores unsigned locals of the caller once more after the call, where the caller may have
 * changed them, or returned, while the coroutine waited. */
#elif (defined(__x86_64__) && !defined(__ILP32__)) || (defined(__aarch64__) && !defined(__ILP32__))                    \
    || defined(__i386__) || defined(__arm__) || (defined(__riscv) && __riscv_xlen == 64 && defined(__clang__))

#if !defined(__clang__)
/* gcc's -Wextra warns of locals around a function that returns twice, as setjmp () leaves them in doubt.  Here the caller
 * stands still between the two returns: none of its locals changes but through pointers, and the warning is never true.
 * It is given for the whole function, so it can only be silenced for the whole file. */
#pragma GCC diagnostic ignored "-Wclobbered"
#endif

DILL_EXPORT int dill_go_begin (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len)
    DILL_RETURNS_TWICE;
DILL_EXPORT void dill_go_end (void);

#define DILL_GO_(flags, bundle, mem, len, call)                                                                        \
  __extension__({                                                                                                      \
    static const struct dill_go_site dill_site_ = { #call, __FILE__, __LINE__, (flags) };                              \
    int dill_handle_ = -1;                                                                                             \
    int dill_length_ = 1;                                                                                              \
    __asm__ volatile ("" : "+r"(dill_length_));                                                                        \
    _Pragma ("GCC diagnostic push") _Pragma ("GCC diagnostic ignored \"-Wvla\"") char dill_frame_[dill_length_];       \
    _Pragma ("GCC diagnostic pop") __asm__ volatile ("" : : "r"(dill_frame_) : "memory");                              \
    while (dill_go_begin (&dill_handle_, &dill_site_, (bundle), (mem), (len)))                                         \
      {                                                                                                                \
        call;                                                                                                          \
        dill_go_end ();                                                                                                \
      }                                                                                                                \
    dill_handle_;                                                                                                      \
  })

#else

#define DILL_GO_MISSING_ 1
#define DILL_GO_(flags, bundle, mem, len, call)                                                                        \
  __extension__({                                                                                                      \
    _Static_assert (0, "dill_go() is not available in C from this compiler for this processor: use dill_spawn()");                      \
    -1;                                                                                                                \
  })

#endif

#endif
