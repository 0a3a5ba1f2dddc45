// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop/rests.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>

namespace virt_uv::loop {

using core::Watch;
using core::WatchWord;

namespace {

// Values of Watch::rounds: which event since the mask was changed elsewhere is this?
constexpr unsigned kNotLookedAt = 0;  // it was not, or the callback has read or written something since
constexpr unsigned kNone = 1;
constexpr unsigned kFirst = 2;  // not looked at: mostly there is no other
constexpr unsigned kLast = 4;

// A request that fails leaves 0: a listening socket has neither.
Rests::Queues queues_of(const Watch &watch, const WatchWord &word) noexcept {
  const int fd = watch.dup.load(std::memory_order_relaxed);
  Rests::Queues queues{0, 0};
  ioctl(fd, SIOCINQ, &queues.unread);
  if ((word.wanted() & core::kWritable) != 0) ioctl(fd, SIOCOUTQ, &queues.unsent);
  return queues;
}

}  // namespace

void Rests::before_call(Watch &watch, const WatchWord &word) noexcept {
  if (word.has(WatchWord::kElsewhere)) {
    watch.state.end_elsewhere();
    watch.rounds = kNone;
  }
  if (watch.rounds == kNotLookedAt || looks_ == kMost) return;
  if (watch.rounds < kLast) ++watch.rounds;
  if (watch.rounds == kFirst) return;
  look_[looks_++] = {&watch, word, queues_of(watch, word)};
  waker_.request_check();
}

void Rests::look_and_end(std::uint64_t now) noexcept {
  for (std::size_t i = 0; i < looks_; ++i) judge(look_[i]);
  looks_ = 0;
  end(now);
}

void Rests::judge(const Look &look) noexcept {
  Watch &watch = *look.watch;
  const int id = look.word.id();
  if (!watch.state.load().is_live_as(id)) return;
  const Queues queues = queues_of(watch, look.word);
  const bool has_moved = queues.unread < look.queues.unread || queues.unsent > look.queues.unsent;
  const bool is_same = queues.unread == look.queues.unread && queues.unsent == look.queues.unsent;
  const bool has_something = queues.unread > 0 || (look.word.wanted() & core::kWritable) != 0;
  if (has_moved)
    watch.rounds = kNotLookedAt;
  else if (!is_same || !has_something)
    watch.rounds = kFirst;  // the peer has moved something: it cannot be told
  else if (watch.rounds == kLast)
    begin(watch, id);
}

// One that a change of the mask has ended is forgotten: it would end this one.
void Rests::begin(Watch &watch, int id) noexcept {
  const auto is_earlier = [&](const Rest &rest) { return rest.watch == &watch; };
  rests_ = std::remove_if(rest_.begin(), rest_.begin() + rests_, is_earlier) - rest_.begin();
  if (rests_ == kMost || !kernel_mask_.withhold_all(watch, id)) return;
  watch.rounds = kNone;
  rest_[rests_++] = {&watch, id, core::deadline_in(0)};
}

void Rests::end(std::uint64_t now) noexcept {  // model: END_REST
  std::size_t ended = 0;
  for (; ended < rests_ && rest_[ended].due <= now; ++ended)
    kernel_mask_.bring_in_line(*rest_[ended].watch, rest_[ended].id);
  std::copy(rest_.begin() + ended, rest_.begin() + rests_, rest_.begin());
  rests_ -= ended;
}

}  // namespace virt_uv::loop
