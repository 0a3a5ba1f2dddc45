// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Lets sockets rest whose callback neither reads nor writes. The loop's thread only.
//
// libvirt hands a connection's socket from one waiting thread to the next, and puts READABLE on it in between, and
// WRITABLE too, where that thread has something to send (virNetClientIO). Until the thread runs, the callback returns
// at once (virNetClientIncomingEvent), and a loop that calls it again takes the core that the thread waits for.
// Measured with four threads on two cores: ten iterations a call, and none of them of use.
//
// So a callback that has left as many bytes unread, and unsent, as it found, twice in a row, is not called again until
// the mask changes, or a millisecond has passed: level-triggered still (doc/contract.md, row 6), at a lower rate.
//
// Looked at is a direct watch whose mask another thread has changed: from the second event after that on, and until
// one that moves something. So a socket that the loop's thread alone uses is never kept waiting, nor a row of messages
// that are read one by one, unless twice in a row just as much comes as is read; and the price is some ioctls for a
// change that more than one event follows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/clock.hpp"
#include "core/watches.hpp"
#include "loop/kernel_mask.hpp"
#include "loop/waker.hpp"

namespace virt_uv::loop {

class Rests {
 public:
  // The socket's, in bytes (unix(7), tcp(7)).
  struct Queues {
    int unread;
    int unsent;  // where WRITABLE is wanted
  };

  Rests(KernelMask &kernel_mask, Waker &waker) noexcept : kernel_mask_(kernel_mask), waker_(waker) {}

  // Before the callback of a direct watch is called.
  void before_call(core::Watch &watch, const core::WatchWord &word) noexcept;

  // Looks at what the callbacks have left, and ends the rests that are due. `now` is the loop's own time: so none ends
  // in the iteration in which it begins.
  void reconcile(std::uint64_t now) noexcept {
    if (looks_ + rests_ > 0) look_and_end(now);
  }

  // In the loop's milliseconds.
  std::uint64_t due() const noexcept { return rests_ > 0 ? rest_[0].due : core::kNever; }

 private:
  // Each is a socket that a thread waits for: there are never many at a time. What has no place is called on.
  static constexpr std::size_t kMost = 32;

  struct Look {
    core::Watch *watch;
    core::WatchWord word{0};
    Queues queues;
  };
  struct Rest {
    core::Watch *watch;
    int id;
    std::uint64_t due;
  };

  void look_and_end(std::uint64_t now) noexcept;
  void judge(const Look &look) noexcept;
  void begin(core::Watch &watch, int id) noexcept;
  void end(std::uint64_t now) noexcept;

  KernelMask &kernel_mask_;
  Waker &waker_;
  std::array<Look, kMost> look_;
  std::size_t looks_ = 0;
  std::array<Rest, kMost> rest_;  // the first to end first
  std::size_t rests_ = 0;
};

}  // namespace virt_uv::loop
