/* dill-go.h: how DILL_GO_ () starts a call on another stack.
 *
 * The call becomes a function of its own that refers to the variables of the starter, so that the arguments are
 * evaluated in a frame on the new stack, and compilers know that the variables are in other hands now:
 *
 *  - in C++ a lambda, which dill_go_function () starts like any function;
 *  - in C with gcc a nested function.  Its address is never taken, since that would need an executable stack;
 *  - in C with clang what "#pragma clang __debug captured" makes of the statement that follows it, just as it makes the
 *    parallel regions of OpenMP, only that no library is called for it.
 *
 * In C such a function can only be called from the place where it stands.  This is why there is a second one around it,
 * in which dill_go_begin () returns twice: first on the new stack, where it calls the first one, then, when the
 * coroutine waits or has ended, on the starter's.  The first time the frame pointer still is the old one, by which it
 * finds what it has to pass on; it holds an array of a length unknown to the compiler, which forces it to use a frame
 * pointer.  A coroutine that has ended without a wait may return from there, and calls dill_go_begin () again.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#ifndef DILL_GO_H
#define DILL_GO_H

#include <dillipc/dill-coroutine.h>

#if !defined(__cplusplus)
DILL_EXPORT int dill_go_begin (int *handle, const struct dill_go_site *site, int bundle, void *mem, size_t len)
    DILL_RETURNS_TWICE;
DILL_EXPORT void dill_go_end (void);
#endif

/* No warnings of what happens in here: go () may stand among the arguments of go ().  Before gcc 12 pragmas may not. */
#if defined(__clang__) || !defined(__GNUC__) || __GNUC__ >= 12
#define DILL_GO_QUIET_                                                                                                 \
  _Pragma ("GCC diagnostic push") _Pragma ("GCC diagnostic ignored \"-Wshadow\"")                                      \
    _Pragma ("GCC diagnostic ignored \"-Wvla\"")
#define DILL_GO_LOUD_ _Pragma ("GCC diagnostic pop")
#define DILL_GO_FRAME_(name, length) char name[length]
#else
#define DILL_GO_QUIET_
#define DILL_GO_LOUD_
#define DILL_GO_FRAME_(name, length) char *name = (char *) __builtin_alloca ((size_t) length)
#endif

/* Processors with a dill_go_begin (), and what each calls the return address of a function. */
#if defined(__x86_64__) && !defined(__ILP32__)
#define DILL_GO_RETURN_ADDRESS_ "rip"
#elif defined(__i386__)
#define DILL_GO_RETURN_ADDRESS_ "eip"
#elif defined(__aarch64__) && !defined(__ILP32__)
#define DILL_GO_RETURN_ADDRESS_ "x30"
#define DILL_GO_LINK_REGISTER_ "x30"
#elif defined(__arm__)
#define DILL_GO_RETURN_ADDRESS_ "lr"
#define DILL_GO_LINK_REGISTER_ "lr"
#elif defined(__riscv) && __riscv_xlen == 64
#define DILL_GO_RETURN_ADDRESS_ "ra"
#define DILL_GO_LINK_REGISTER_ "ra"
#endif

/* Whoever pretends to be gcc, and has no nested functions. */
#if defined(__EDG__) || defined(__INTEL_COMPILER) || defined(__TINYC__) || defined(__PCC__) || defined(__SUNPRO_C)
#define DILL_GO_NOT_GCC_
#endif

/* Why there can be no dill_go () here: the message with which its use does not compile. */
#if defined(__has_feature)
#if __has_feature(safe_stack)
#define DILL_GO_REFUSED_ "dill_go() cannot switch SafeStack's stack: use dill_spawn(), for code compiled without it"
#elif __has_feature(shadow_call_stack)
#define DILL_GO_REFUSED_ "dill_go() cannot switch shadow call stacks: use dill_spawn(), for code compiled without them"
#endif
#endif
#if defined(DILL_GO_REFUSED_)
#elif defined(__cplusplus)
#if __cplusplus < 201103L
#define DILL_GO_REFUSED_ "dill_go() needs C++11: use dill_spawn()"
#endif
#elif !defined(DILL_GO_RETURN_ADDRESS_)
#define DILL_GO_REFUSED_ "dill_go() is not available in C for this processor: use dill_spawn()"
#elif !defined(__clang__) && (!defined(__GNUC__) || __GNUC__ < 8 || defined(DILL_GO_NOT_GCC_))
#define DILL_GO_REFUSED_ "dill_go() needs gcc 8 or clang in C: use dill_spawn()"
#endif

#if defined(DILL_GO_REFUSED_)

#if !defined(__cplusplus)
#define DILL_GO_REFUSE_ _Static_assert (0, DILL_GO_REFUSED_)
#elif __cplusplus >= 201103L
#define DILL_GO_REFUSE_ static_assert (false, DILL_GO_REFUSED_)
#else
#define DILL_GO_REFUSE_ int dill_go_needs_cxx11_use_dill_spawn[-1]
#endif
#define DILL_GO_(flags, bundle, mem, len, call)                                                                        \
  __extension__({                                                                                                      \
    DILL_GO_REFUSE_;                                                                                                   \
    -1;                                                                                                                \
  })

#elif defined(__cplusplus)

/* Some include every header of a C library as C. */
extern "C++" {

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

}

#define DILL_GO_(flags, bundle, mem, len, call)                                                                        \
  ([&] () -> int {                                                                                                     \
    DILL_GO_QUIET_ static const struct dill_go_site dill_site_ = { #call, __FILE__, __LINE__, (flags) };               \
    DILL_GO_LOUD_ return dill_go_lambda_ (&dill_site_, (bundle), (mem), (len), [&] { call; });                         \
  }())

#else

/* Back-traces end in the function that has this.  Its caller's frame could be found, but that is on the starter's
 * stack, where anything may stand by then.  A return address that came in a register has to be saved first. */
#if !defined(__GCC_HAVE_DWARF2_CFI_ASM)
#define DILL_GO_OUTERMOST_(unknown) __asm__ volatile ("" : "+r"(unknown) : : "memory")
#elif !defined(DILL_GO_LINK_REGISTER_)
#define DILL_GO_OUTERMOST_(unknown)                                                                                    \
  __asm__ volatile (".cfi_undefined " DILL_GO_RETURN_ADDRESS_ : "+r"(unknown) : : "memory")
#else
#define DILL_GO_OUTERMOST_(unknown)                                                                                    \
  __asm__ volatile (".cfi_undefined " DILL_GO_RETURN_ADDRESS_ : "+r"(unknown) : : "memory", DILL_GO_LINK_REGISTER_)
#endif

/* The function that makes the call.  To the compiler it looks as if it might return without making it; and the other
 * thing that it might do is what no compiler inlines. */
#define DILL_GO_CALL_(call)                                                                                            \
  {                                                                                                                    \
    DILL_GO_QUIET_ int dill_never_ = 0;                                                                                \
    DILL_GO_LOUD_ DILL_GO_OUTERMOST_ (dill_never_);                                                                    \
    if (dill_never_)                                                                                                   \
      dill_go_begin (NULL, NULL, 0, NULL, 0);                                                                          \
    else                                                                                                               \
      {                                                                                                                \
        call;                                                                                                          \
        dill_go_end ();                                                                                                \
        __asm__ volatile ("" : : : "memory");                                                                          \
      }                                                                                                                \
  }

/* The function that comes to be on both stacks. */
#define DILL_GO_SWITCH_(bundle, mem, len, make_call)                                                                   \
  volatile int dill_length_ = 1;                                                                                       \
  DILL_GO_FRAME_ (dill_frame_, dill_length_);                                                                          \
  __asm__ volatile ("" : : "r"(dill_frame_) : "memory");                                                               \
  while (dill_go_begin (&dill_handle_, &dill_site_, (bundle), (mem), (len)))                                           \
    make_call

#if defined(__clang__)

/* The label is there twice, which is an error unless there are two functions: that is, unless clang did what it was
 * told to do by that pragma, which its manual does not mention. */
#define DILL_GO_(flags, bundle, mem, len, call)                                                                        \
  __extension__({                                                                                                      \
    __label__ clang_cannot_outline_this_use_dill_spawn;                                                                \
    DILL_GO_QUIET_                                                                                                     \
    static const struct dill_go_site dill_site_ = { #call, __FILE__, __LINE__, (flags) };                              \
    int dill_bundle_ = (bundle);                                                                                       \
    void *dill_mem_ = (mem);                                                                                           \
    size_t dill_len_ = (len);                                                                                          \
    int dill_handle_ = -1;                                                                                             \
    clang_cannot_outline_this_use_dill_spawn: __attribute__ ((unused));                                                \
    _Pragma ("clang __debug captured")                                                                                 \
    {                                                                                                                  \
      DILL_GO_SWITCH_ (dill_bundle_, dill_mem_, dill_len_,                                                             \
                       DILL_GO_LOUD_ _Pragma ("clang __debug captured") DILL_GO_CALL_ (call))                          \
      clang_cannot_outline_this_use_dill_spawn: __attribute__ ((unused));                                              \
    }                                                                                                                  \
    dill_handle_;                                                                                                      \
  })

#else

#define DILL_GO_(flags, bundle, mem, len, call)                                                                        \
  __extension__({                                                                                                      \
    DILL_GO_QUIET_                                                                                                     \
    auto __attribute__ ((noipa)) void dill_go_call_ (void);                                                            \
    __attribute__ ((noipa)) int dill_go_switch_ (int dill_bundle_, void *dill_mem_, size_t dill_len_)                  \
    {                                                                                                                  \
      static const struct dill_go_site dill_site_ = { #call, __FILE__, __LINE__, (flags) };                            \
      int dill_handle_ = -1;                                                                                           \
      DILL_GO_SWITCH_ (dill_bundle_, dill_mem_, dill_len_, dill_go_call_ ();)                                          \
      return dill_handle_;                                                                                             \
    }                                                                                                                  \
    DILL_GO_LOUD_                                                                                                      \
    __attribute__ ((noipa)) void dill_go_call_ (void) DILL_GO_CALL_ (call)                                             \
    dill_go_switch_ ((bundle), (mem), (len));                                                                          \
  })

#endif

#endif

#endif
