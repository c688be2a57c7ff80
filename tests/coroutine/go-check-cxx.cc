/* go-check-cxx.cc: dill_go () in C++, where the call becomes a lambda: with every means that the language has to pass
 * something, in functions of every kind.
 *
 * Needs C++11 only.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "go-runtime.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace
{

int n_right;
int n_alive;

/* Counts its copies, and is passed by address. */
struct Counted
{
  explicit Counted (int n_) : n (n_), text (100, 'c')
  {
    n_alive++;
  }
  Counted (const Counted &other) : n (other.n), text (other.text)
  {
    n_alive++;
  }
  ~Counted ()
  {
    n_alive--;
  }
  Counted &operator= (const Counted &) = delete;

  int n;
  std::string text;
};

/* --- Arguments, looked at when the starter has returned --- */

dill_coroutine void
take_values (int a, double b, long double c, std::string d, Counted e, std::vector<int> f)
{
  flow_pause ();
  n_right += a == 1 && b == 2.5 && c == 3.5L && d == "four" && e.n == 5 && e.text.size () == 100 && f.size () == 6;
}

dill_coroutine void
take_many (int a, int b, int c, int d, int e, int f, int g, int h, int i, double j, double k, double l, double m,
           double n, double o, double p, double q, double r, double s, Counted t)
{
  flow_pause ();
  n_right += a + b + c + d + e + f + g + h + i == 45 && j + k + l + m + n + o + p + q + r + s == 55.0 && t.n == 7;
}

dill_coroutine void
take_moved (std::unique_ptr<Counted> pointer)
{
  flow_pause ();
  n_right += pointer->n == 8;
}

__attribute__ ((noinline)) int
start_values (int n)
{
  Counted counted (n + 4);

  return dill_go (take_values (n, n + 1.5, n + 2.5L, std::string ("four"), counted, std::vector<int> (6, n)));
}

__attribute__ ((noinline)) int
start_many (int n)
{
  return dill_go (take_many (n, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, Counted (n + 6)));
}

__attribute__ ((noinline)) int
start_moved (int n)
{
  std::unique_ptr<Counted> pointer (new Counted (n + 7));

  return dill_go (take_moved (std::move (pointer)));
}

/* A temporary object whose inside is passed. */
dill_coroutine void
take_text (const char *text)
{
  flow_pause ();
  n_right += std::string (text) == "a text that is too long to be kept in the object";
}

__attribute__ ((noinline)) int
start_temporary (int n)
{
  std::string end (n == 1 ? "the object" : "");

  return dill_go (take_text (("a text that is too long to be kept in " + end).c_str ()));
}

void
check_arguments ()
{
  int (*const starters[]) (int) = { start_values, start_many, start_moved, start_temporary };
  volatile int one = 1;

  n_right = 0;
  for (int (*start) (int) : starters)
    {
      int handle = start (one);

      go_overwrite_stack ();
      go_resume_to_end (handle);
    }
  check (n_right == 4, "C++: arguments outlive the starter");
  check (n_alive == 0, "C++: and are destroyed with the coroutine");
}

/* --- References and members --- */

dill_coroutine void
write_reference (int &number, std::string &text)
{
  number = 1;
  flow_pause ();
  number += 10;
  text += " later";
}

void
check_references (int parameter)
{
  std::string text = "text";
  int handle = dill_go (write_reference (parameter, text));
  bool right = parameter == 1 && text == "text";

  parameter = 100;
  go_resume_to_end (handle);
  check (right && parameter == 110 && text == "text later", "C++: a coroutine writes to its starter's variables");
}

template <typename Value>
class Object
{
public:
  explicit Object (Value value_) : value (value_)
  {
  }
  virtual ~Object ()
  {
  }

  int
  start (Value step)
  {
    return dill_go (run (step));
  }

  Value value;

private:
  virtual dill_coroutine void
  run (Value step)
  {
    flow_pause ();
    value += step;
  }
};

template <typename... Arguments>
int
start_all (void (*function) (Arguments...), Arguments... arguments)
{
  return dill_go (function (arguments...));
}

dill_coroutine void
take_pack (int a, double b, const char *c)
{
  flow_pause ();
  n_right += a == 1 && b == 2 && c[0] == 't';
}

void
check_templates ()
{
  Object<int> number (1);
  Object<std::string> text ("one");
  int handles[] = { number.start (10), text.start (" ten"), start_all (take_pack, 1, 2.0, "three") };
  auto lambda = [&] (int n) { number.value += n; };

  n_right = 0;
  for (int handle : handles)
    go_resume_to_end (handle);
  handles[0] = dill_go (lambda (100));
  check (number.value == 111 && text.value == "one ten" && n_right == 1, "C++: members, templates and lambdas");
}

/* --- Exceptions, within the coroutine and in the starter --- */

dill_coroutine void
catch_own (bool *caught)
{
  Counted counted (1);

  try
    {
      flow_pause ();
      throw std::runtime_error ("thrown in a coroutine");
    }
  catch (const std::runtime_error &)
    {
      flow_pause ();
      *caught = true;
    }
}

int
throw_after_start (bool *caught)
{
  Counted counted (2);
  int handle = dill_go (catch_own (caught));

  throw handle;
}

void
check_exceptions ()
{
  bool caught = false;
  int handle = -1;

  try
    {
      throw_after_start (&caught);
    }
  catch (int thrown)
    {
      handle = thrown;
    }
  go_overwrite_stack ();
  go_resume_to_end (handle);
  check (caught && n_alive == 0, "C++: exceptions of the starter and of the coroutine are each one's own");
}

/* --- Loops, nesting, refusal --- */

long sum;

dill_coroutine void
add (long value)
{
  sum += value;
  flow_pause ();
  sum += value;
}

dill_coroutine void
resume_other (int other)
{
  go_resume_to_end (other);
}

void
check_places ()
{
  int handles[20];

  sum = 0;
  for (int i = 0; i < 20; i++)
    handles[i] = dill_go (add (i));
  for (int handle : handles)
    go_resume_to_end (handle);
  check (sum == 2 * 190, "C++: a loop starts 20 of them");

  sum = 0;
  dill_go (resume_other (dill_go (add (7))));
  check (sum == 14, "C++: a start among the arguments of a start");

  go_refuses = true;
  handles[0] = dill_go (add (1));
  go_refuses = false;
  check (handles[0] == -1 && sum == 14, "C++: a start that fails");
}

}

int
main ()
{
  flow_begin ();
  check_arguments ();
  check_references (0);
  check_templates ();
  check_exceptions ();
  check_places ();
  check (flow_finish (), "C++: nothing was written beyond the ends of the stacks");
  return check_result ();
}
