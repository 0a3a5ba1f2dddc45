// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop/polls.hpp"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "core/call_out.hpp"
#include "core/probes.hpp"
#include "loop/fd_kind.hpp"

namespace virt_uv::loop {

using core::FdKind;
using core::kReadWrite;
using core::Watch;
using core::WatchChange;
using core::WatchWord;
using Table = core::SlotTable<Watch>;

namespace {

constexpr std::uint64_t kTrimIntervalMs = 1000;
constexpr unsigned kMostOpened = 16;  // each takes about 15 us, and an iteration may reconcile four times

// An eighth of the fds that the process may have open: the rest is the host's.
std::size_t most_warm() noexcept {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 0;
  return std::min<std::size_t>(limit.rlim_cur / 8, Table::kMaxIndex);
}

}  // namespace

// --- Handles and their places ---

Polls::Polls(uv_loop_t *loop, const Parts &parts, ClosingHandles &closing) noexcept
    : loop_(loop),
      context_(parts.context),
      watches_(parts.watches),
      kernel_mask_(parts.kernel_mask),
      waker_(parts.waker),
      closing_(closing),
      rests_(parts.kernel_mask, parts.waker) {}

int Polls::open() noexcept {
  if (const int err = placeholder_.open()) return err;
  watches_.set_most_warm(most_warm());
  kernel_mask_.open(uv_backend_fd(loop_));
  return 0;
}

std::unique_ptr<Polls::Chunk> &Polls::chunk_of(const Watch &watch) noexcept {
  return chunks_[Table::index_of(watch) >> Table::kChunkBits];
}

Polls::Poll &Polls::poll_of(const Watch &watch) noexcept {
  return chunk_of(watch)->polls[Table::index_of(watch) & (Table::kChunkSize - 1)];
}

bool Polls::has_closed(const Poll &poll) noexcept {
  if (!is_closing(poll.handle)) return false;
  is_lost_ = true;
  return true;
}

// --- Reconciling ---

void Polls::reconcile() noexcept {
  rests_.reconcile(uv_now(loop_));
  if (watches_.deferred().is_due()) retry();
  if (trim_due_ != core::kNever && trim_due_ <= core::milliseconds_now()) trim();
  opened_ = 0;
  while (!backlog_.empty() && opened_ < kMostOpened) reconcile(backlog_.pop());
  if (!watches_.has_dirty()) return;
  watches_.consume_dirty([this](Watch &watch) { has_to_wait(watch) ? backlog_.push(watch) : reconcile(watch); });
}

bool Polls::has_to_wait(const Watch &watch) const noexcept {
  if (opened_ < kMostOpened || is_silent_) return false;
  return !watch.has_poll && watch.has_duplicate() && watch.state.load_relaxed().wanted() != 0;
}

void Polls::retry() noexcept {
  watches_.deferred().consume([this](Watch &watch) { reconcile(watch); });
}

void Polls::reconcile(Watch &watch) noexcept {
  if (is_silent_) {  // a log function has detached meanwhile
    watch.state.make_dirty();
    return watches_.push_dirty(watch);
  }
  const WatchChange change = watch.state.reconcile(watch.kind == FdKind::kSocket);
  if (!change.made) {
    release(watch);
    watches_.push_free(watch);
    return;
  }
  if (change.after.armed() != change.before.armed()) return arm(watch, change.after.armed());
  if (change.became(WatchWord::kDirect)) kernel_mask_.bring_in_line(watch, change.after.id());
}

void Polls::arm(Watch &watch, int armed) noexcept {
  const int err = try_arm(watch, armed);
  if (err == 0) {
    watch.failed_to_arm = false;
    return;
  }
  defer(watch);
  if (watch.failed_to_arm || is_lost_) return;
  watch.failed_to_arm = true;
  context_.counters.failures.increment();
  context_.log.error("watch {} (fd {}) cannot be armed: {}; trying again every {} ms", watch.slot_id(), watch.fd,
                     uv_strerror(err), core::RetryList<Table>::kIntervalMs);
}

int Polls::try_arm(Watch &watch, int armed) noexcept {
  const int uv_events = uv_events_for(armed, watch.kind);
  if (watch.has_duplicate()) {
    if (!watch.has_poll)
      if (const int err = open_poll(watch)) return err;
    if (has_closed(poll_of(watch))) return UV_ECANCELED;
    if (!watch.is_pollable && watch.kind != FdKind::kAlwaysReady) {
      if (const int err = put_into_epoll(watch, uv_events)) return err;
      if (watch.is_pollable && is_started_for(watch, uv_events)) return 0;
    }
  }
  if (watch.kind == FdKind::kAlwaysReady) return (armed & kReadWrite) != 0 ? list_always_ready(watch) : 0;
  kernel_mask_.leave_to_libuv(watch);
  const int err = uv_poll_start(&poll_of(watch).handle, uv_events, on_poll);
  if (err == 0) watch.started_for = uv_events & 0xf;
  finish_taking_out(watch);
  return err;
}

bool Polls::is_started_for(const Watch &watch, int uv_events) noexcept {
  return uv_is_active(poll_of(watch).base()) != 0 && watch.started_for == uv_events;
}

// libuv aborts when the kernel refuses an fd that it polls, so this is done before. uv_poll_start() takes the fd out
// before it is to be put in again; a kept handle that is started for the same need not be told.
int Polls::put_into_epoll(Watch &watch, int uv_events) noexcept {
  const int fd = watch.dup.load(std::memory_order_relaxed);
  epoll_event event{};
  event.events = epoll_events(uv_events);
  event.data.fd = fd;
  if (epoll_ctl(uv_backend_fd(loop_), EPOLL_CTL_ADD, fd, &event) == 0)
    watch.is_pollable = true;
  else if (errno == EPERM)
    watch.kind = FdKind::kAlwaysReady;
  else
    return uv_translate_sys_error(errno);
  return 0;
}

int Polls::open_poll(Watch &watch) noexcept {
  std::unique_ptr<Chunk> &chunk = chunk_of(watch);
  if (chunk == nullptr) {
    chunk.reset(new (std::nothrow) Chunk);
    if (chunk == nullptr) return UV_ENOMEM;
  }
  Poll &poll = poll_of(watch);
  if (const int err = placeholder_.init_poll(loop_, &poll.handle, watch.dup.load(std::memory_order_relaxed)))
    return err;
  poll.handle.data = nullptr;
  poll.owner = {this, &watch};
  uv_unref(poll.base());  // one handle speaks for all: see Reconciler
  watch.has_poll = true;
  watch.is_closing = false;
  ++chunk->in_use;
  ++opened_;
  return 0;
}

int Polls::list_always_ready(Watch &watch) noexcept {
  if (std::find(always_ready_.begin(), always_ready_.end(), &watch) != always_ready_.end()) return 0;
  try {
    always_ready_.push_back(&watch);
  } catch (const std::bad_alloc &) {
    return UV_ENOMEM;
  }
  return 0;
}

void Polls::stop(Watch &watch) noexcept {
  if (!watch.has_poll || has_closed(poll_of(watch))) return;
  kernel_mask_.leave_to_libuv(watch);
  uv_poll_stop(&poll_of(watch).handle);
  finish_taking_out(watch);
}

// What libuv does when it stops a handle, and before it starts one. libuv 1.45 and later may only queue it within a
// poll callback (io_uring): the number would still be in epoll meanwhile, where KernelMask would find it, and once it
// is closed, the queue's entry would miss the file, which the caller's fd keeps open; epoll would report it for ever,
// under a number that is nobody's. The later entry fails, which libuv ignores.
void Polls::finish_taking_out(const Watch &watch) noexcept {
  if (deletes_late_) take_out_of_epoll(watch);
}

// False: it was not in epoll.
bool Polls::take_out_of_epoll(const Watch &watch) noexcept {
  epoll_event ignored{};
  return epoll_ctl(uv_backend_fd(loop_), EPOLL_CTL_DEL, watch.dup.load(std::memory_order_relaxed), &ignored) == 0;
}

// Disarms the watch and looks at it again some time later, or when it has changed.
void Polls::defer(Watch &watch) noexcept {
  stop(watch);
  if (!watch.state.defer().became(WatchWord::kDeferred)) return;  // it is dirty, and is looked at even sooner
  watches_.deferred().push(watch);
  waker_.request_check();  // a timer is to be set
}

// --- Dispatching ---

[[gnu::always_inline]] inline void Polls::call(Watch &watch, int id, int events) {
  const std::uint64_t now_ms = uv_now(loop_);
  VIRT_UV_PROBE(dispatch_handle, id, watch.fd, events, watch.cb);
  core::call_back(context_, {"watch", id}, watch.stats, now_ms, watch.cb, watch.fd, events, watch.opaque);
  VIRT_UV_PROBE(dispatched_handle);
}

void Polls::on_poll(uv_poll_t *handle, int status, int uv_events) {
  const auto [polls, owner] = Poll::of(handle).owner;
  Polls &self = *polls;
  Watch &watch = *owner;
  if (__builtin_expect(self.is_silent_, 0)) return;
  core::CallStack::Scope scope(self.context_.calls, &watch);
  const WatchWord word = watch.state.load();  // model: DISPATCH
  const bool is_plain = is_exact(watch, word, status, uv_events) && (uv_events & ~word.wanted()) == 0;
  if (__builtin_expect(is_plain && !word.has(WatchWord::kDirect), 1)) return self.call(watch, word.id(), uv_events);
  self.dispatch(watch, word, status, uv_events);
}

// Are libuv's bits those of poll(2)?
bool Polls::is_exact(const Watch &watch, const WatchWord &word, int status, int uv_events) noexcept {
  return status == 0 && core::is_believed(watch.kind) && (uv_events & ~(word.armed() & kReadWrite)) == 0;
}

void Polls::dispatch(Watch &watch, WatchWord word, int status, int uv_events) {
  int events = uv_events;
  if (!is_exact(watch, word, status, uv_events)) {
    events = true_events(watch, status, uv_events);
    word = watch.state.load();
  }
  events &= word.wanted();
  if (events == 0) return narrow(watch);
  if (word.has(WatchWord::kDirect)) rests_.before_call(watch, word);
  call(watch, word.id(), events);
}

int Polls::true_events(Watch &watch, int status, int uv_events) noexcept {
  context_.counters.inspections.increment();
  const WatchWord word = watch.state.load();  // model: REARM_LOAD
  if (watch.kind == FdKind::kAnonymous && watch.stats.count() > 0)
    watch.kind = kind_by_name(watch.dup.load(std::memory_order_relaxed));
  const bool has_tripped = (uv_events & UV_DISCONNECT) != 0 && watch.kind == FdKind::kSocket;
  if (has_tripped) watch.kind = FdKind::kInspected;
  // A POLLERR has made libuv stop the handle (uv__poll_io); a tripwire that has tripped is to be taken out. What is
  // started again is what the word says is armed, not what is wanted by now: update() counts on it.
  if ((status < 0 || has_tripped) && word.is_live() && word.armed() != 0) arm(watch, word.armed());
  return inspect(watch.dup.load(std::memory_order_relaxed), word.armed());
}

void Polls::narrow(Watch &watch) noexcept {
  if (withhold(watch)) return context_.counters.dropped.increment();
  const WatchChange change = watch.state.narrow();
  if (!change.made) {
    // Removed: the next reconcile releases it. Else nothing is there after all, as another thread has read it; or
    // urgent data keeps UV_PRIORITIZED, which stands for ERROR and HANGUP here, awake until it is read: looking again
    // now and then is better than spinning.
    const bool may_be_urgent = change.before.armed() != 0 && (change.before.armed() & kReadWrite) == 0;
    if (change.before.is_live() && may_be_urgent) defer(watch);
    return;
  }
  context_.counters.dropped.increment();
  if (change.after.wanted() != 0)
    arm(watch, change.after.wanted());
  else
    stop(watch);
}

// False: to be narrowed.
bool Polls::withhold(Watch &watch) noexcept {
  if (watch.kind != FdKind::kSocket) return false;
  const WatchChange change = watch.state.make_direct();
  return change.made && kernel_mask_.tell_again(watch, change.after.id());
}

void Polls::dispatch_always_ready() {
  for (std::size_t i = 0; i < always_ready_.size(); ++i) {  // a callback may give up the loop, and empty the list
    Watch *watch = always_ready_[i];
    if (watch == nullptr) continue;
    core::CallStack::Scope scope(context_.calls, watch);
    const WatchWord word = watch->state.load();
    const int events = inspect(watch->dup.load(std::memory_order_relaxed), word.wanted()) & word.wanted();
    if (events != 0)
      call(*watch, word.id(), events);
    else
      narrow(*watch);
  }
  if (context_.calls.dispatches_any())
    return;  // a callback runs the loop: the entries are those of a dispatch further up
  const auto is_idle = [](Watch *watch) {
    return watch == nullptr || (watch->state.load_relaxed().armed() & kReadWrite) == 0;
  };
  always_ready_.erase(std::remove_if(always_ready_.begin(), always_ready_.end(), is_idle), always_ready_.end());
}

// --- Letting go ---

void Polls::release(Watch &watch) noexcept {
  if (watch.is_warm) return;
  if (watch.kind == FdKind::kAlwaysReady)
    std::replace(always_ready_.begin(), always_ready_.end(), &watch, static_cast<Watch *>(nullptr));
  kernel_mask_.leave_to_libuv(watch);
  if (keep(watch)) return;
  close_poll(watch);
  close_duplicate(watch);
}

// Keeps the handle of a watch that is let go. False: it is to be closed.
//
// libuv is not told: it tells epoll nothing of a handle until it is started or stopped again (design.md, fact 3). Only
// where it has not put the fd into epoll yet is the handle stopped, as libuv would put the placeholder there.
bool Polls::keep(Watch &watch) noexcept {
  if (is_silent_ || !watch.has_poll || watch.is_closing || has_closed(poll_of(watch))) return false;
  if (!watches_.make_warm(watch)) return false;
  if (watch.is_pollable && !take_out_of_epoll(watch)) stop(watch);
  watch.is_pollable = false;
  placeholder_.replace(watch.dup.load(std::memory_order_relaxed));
  if (trim_due_ == core::kNever) trim_due_ = core::deadline_in(kTrimIntervalMs);
  return true;
}

void Polls::trim() noexcept {
  watches_.take_unneeded([this](Watch &watch) {  // model: TRIM
    close_poll(watch);
    close_duplicate(watch);
  });
  trim_due_ = watches_.has_warm() ? core::deadline_in(kTrimIntervalMs) : core::kNever;
}

void Polls::close_duplicate(Watch &watch) noexcept {
  if (!watch.has_duplicate() || !watch.state.load_relaxed().has(WatchWord::kPolled))
    return;  // the remover has closed it
  const int fd = watch.dup.exchange(-1, std::memory_order_relaxed);
  if (fd >= 0) close(fd);
}

// libuv may be about to tell the kernel of a mask that was changed: it puts the placeholder into epoll then, whose
// events are dropped. It would abort if it wanted to modify what is not there; but uv_poll_start() takes the fd out
// before it is to be put in again.
void Polls::release_file(Watch &watch) noexcept {
  kernel_mask_.leave_to_libuv(watch);
  if (!watch.has_poll) return close_duplicate(watch);
  if (take_out_of_epoll(watch)) watch.is_pollable = false;
  placeholder_.replace(watch.dup.load(std::memory_order_relaxed));
}

// The fd is not in epoll any more when this returns, so its owner may close it.
void Polls::close_poll(Watch &watch) noexcept {
  if (!watch.has_poll || watch.is_closing) return;
  Poll &poll = poll_of(watch);
  if (has_closed(poll)) return;
  watch.is_closing = true;
  closing_.close(poll.base(), on_closed);
  finish_taking_out(watch);
}

void Polls::on_closed(uv_handle_t *handle) {
  const auto [polls, owner] = Poll::of(handle).owner;
  Polls &self = *polls;
  if (owner == nullptr || self.context_.is_barred.load(std::memory_order_relaxed)) return;
  Watch &watch = *owner;
  ClosingHandles &closing = self.closing_;
  watch.has_poll = false;  // model: ON_CLOSED
  watch.is_closing = false;
  std::unique_ptr<Chunk> &chunk = self.chunk_of(watch);
  const bool is_first = &chunk == &self.chunks_.front();  // kept, so that a loop with few watches does not allocate
  if (--chunk->in_use == 0 && !is_first) chunk.reset();
  self.watches_.give_back(watch);  // model: GIVE_CLOSED
  closing.closed();                // last: it may be the end of *this
}

// The watches without a handle are the next loop's to look at; those of them that are removed are let go.
void Polls::pass_on() noexcept {
  const auto pass = [this](Watch &watch) {
    watch.state.make_dirty();
    watches_.push_dirty(watch);
  };
  watches_.deferred().consume(pass);
  backlog_.consume([&](Watch &watch) { watch.state.load().is_live() ? pass(watch) : watches_.push_free(watch); });
}

void Polls::leave() noexcept {
  is_silent_ = true;
  always_ready_.clear();
  pass_on();
  watches_.end_parking();
  kernel_mask_.close();  // then its lock need not be taken with the table's held
}

bool Polls::leave_next() noexcept {
  return watches_.table().for_each_in(left_chunks_++, [this](Watch &watch) VIRT_UV_UNCHECKED_LOCKING { leave(watch); });
}

void Polls::leave(Watch &watch) noexcept {
  if (watch.has_poll && !watch.is_closing && has_closed(poll_of(watch))) abandon_poll(watch);
  watch.is_warm = false;
  close_poll(watch);  // before the fd is anybody else's to close
  watch.withheld = 0;
  const WatchChange change = watch.state.leave_loop();
  if (!change.made) {
    watch.state.end_direct();
    release(watch);
  } else if (change.became(WatchWord::kDirty)) {
    watches_.push_dirty(watch);  // model: LEAVE_PUSH
  }
}

void Polls::abandon() noexcept {
  leave();
  watches_.table().for_each(
      [this](Watch &watch) VIRT_UV_UNCHECKED_LOCKING {
        abandon_poll(watch);
        leave(watch);
      },
      [] {});
  placeholder_.close();
}

// The handle's memory is left alone for good: if the slot waited for that alone, it waits no longer. A close that has
// begun still ends, when the watch may have another handle, or its slot another watch: so the handle forgets it.
void Polls::abandon_poll(Watch &watch) noexcept {
  if (!watch.has_poll) return;
  Poll &poll = poll_of(watch);
  poll.owner.watch = nullptr;
  if (!is_closing(poll.handle)) {
    uv_close(poll.base(), nullptr);
    finish_taking_out(watch);
  }
  watch.has_poll = false;
  watch.is_closing = false;
  watch.is_warm = false;
  if (!watch.freed) return;
  close_duplicate(watch);
  watches_.table().free(watch);
}

}  // namespace virt_uv::loop
