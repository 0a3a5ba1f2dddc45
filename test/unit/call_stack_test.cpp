// SPDX-License-Identifier: LGPL-2.1-or-later
//
// core/call_stack.hpp: which of the loop's calls are running, by frames of the stack.
#include <setjmp.h>

#include <functional>
#include <memory>

#include "catch.hpp"
#include "core/call_stack.hpp"

namespace {

using virt_uv::core::CallStack;

int slots[20];

// A callback of that slot, in a frame of its own.
[[gnu::noinline]] void dispatch(CallStack &stack, const void *slot, const std::function<void()> &callback) {
  const CallStack::Scope scope(stack, slot);
  callback();
}

[[gnu::noinline]] void begin_iteration(CallStack &stack) { stack.begin_iteration(); }

[[gnu::noinline]] bool is_entered(const CallStack &stack) { return stack.has_entered_caller(); }

// Asks far below the frames of the calls that a test case makes.
[[gnu::noinline]] bool is_entered_below(const CallStack &stack) {
  volatile char deep[4096];
  deep[0] = 0;
  return is_entered(stack) || deep[0] != 0;
}

}  // namespace

TEST_CASE("a slot is being dispatched until its callback has returned, at any depth") {
  CallStack stack;
  CHECK_FALSE(stack.dispatches(&slots[0]));
  dispatch(stack, &slots[0], [&] {
    CHECK(stack.dispatches(&slots[0]));
    CHECK_FALSE(stack.dispatches(&slots[1]));
    dispatch(stack, &slots[1], [&] {
      CHECK(stack.dispatches(&slots[0]));
      CHECK(stack.dispatches(&slots[1]));
    });
    CHECK(stack.dispatches(&slots[0]));
    CHECK_FALSE(stack.dispatches(&slots[1]));
  });
  CHECK_FALSE(stack.dispatches_any());
}

TEST_CASE("a call that dispatches nothing is a call, and no dispatch") {
  CallStack stack;
  dispatch(stack, nullptr, [&] {
    CHECK(is_entered(stack));
    CHECK_FALSE(stack.dispatches_any());
  });
  CHECK_FALSE(is_entered(stack));
}

TEST_CASE("beyond sixteen calls every slot counts as being dispatched") {
  CallStack stack;
  std::function<void(int)> nest = [&](int depth) {
    dispatch(stack, &slots[depth], [&] {
      CHECK(stack.dispatches(&slots[19]) == (depth >= 16));
      if (depth < 18) nest(depth + 1);
      CHECK(stack.dispatches(&slots[depth]));
    });
  };
  nest(0);
  CHECK_FALSE(stack.dispatches_any());
}

TEST_CASE("a callback that was left by longjmp is no longer dispatched") {
  auto stack = std::make_unique<CallStack>();  // a local would be indeterminate after longjmp
  jmp_buf out;
  if (setjmp(out) == 0) {
    dispatch(*stack, &slots[0], [&] { longjmp(out, 1); });
  }
  CHECK_FALSE(stack->dispatches(&slots[0]));
  CHECK_FALSE(is_entered(*stack));
}

TEST_CASE("within an iteration that a callback runs, its caller is in none of the loop's calls") {
  CallStack stack;
  dispatch(stack, &slots[0], [&] {
    CHECK(is_entered(stack));
    begin_iteration(stack);
    CHECK_FALSE(is_entered(stack));
    CHECK(stack.dispatches(&slots[0]));
    dispatch(stack, &slots[1], [&] { CHECK(is_entered(stack)); });
    CHECK_FALSE(is_entered(stack));
  });
  dispatch(stack, &slots[0], [&] { CHECK_FALSE(stack.is_entered()); });  // the next iteration has not begun
  stack.begin_iteration();
  dispatch(stack, &slots[0], [&] { CHECK(is_entered(stack)); });
}

TEST_CASE("once a call has returned, nothing that its caller calls is within it") {
  CallStack stack;
  dispatch(stack, &slots[0], [&] { CHECK(is_entered_below(stack)); });
  CHECK_FALSE(is_entered_below(stack));
}

TEST_CASE("a caller at the height of a callback that was left by longjmp is not within it") {
  auto stack = std::make_unique<CallStack>();
  jmp_buf out;
  if (setjmp(out) == 0) {
    dispatch(*stack, &slots[0], [&] { longjmp(out, 1); });
  }
  CHECK_FALSE(is_entered(*stack));
}

TEST_CASE("an iteration forgets the callback that was left by longjmp before it, and its own calls are entered") {
  auto stack = std::make_unique<CallStack>();
  jmp_buf out;
  if (setjmp(out) == 0) {
    dispatch(*stack, &slots[0], [&] { longjmp(out, 1); });
  }
  begin_iteration(*stack);
  dispatch(*stack, &slots[1], [&] {
    CHECK(stack->is_entered());
    CHECK(is_entered(*stack));
  });
}

TEST_CASE("a stack that is cleared is as a new one") {
  CallStack stack;
  dispatch(stack, &slots[0], [&] {
    begin_iteration(stack);
    stack.clear();
    CHECK_FALSE(stack.dispatches_any());
    dispatch(stack, &slots[1], [&] { CHECK(is_entered(stack)); });
  });
}
