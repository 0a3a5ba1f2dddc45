// SPDX-License-Identifier: LGPL-2.1-or-later
#include "polls.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "callout.hpp"
#include "clock.hpp"
#include "counters.hpp"
#include "log.hpp"

namespace virt_uv {
namespace {

constexpr std::uint64_t kRetryMs = 100;
constexpr int kReadWrite = kReadable | kWritable;

[[gnu::always_inline]] inline void call(Watch &watch, std::uint64_t word, int events, uv_loop_t *loop) {
  const int id = id_of(word);
  call_back({"watch", id}, watch.tally, uv_now(loop), [&] { watch.cb(id, watch.fd, events, watch.opaque); });
}

std::uint64_t load(const Watch &watch) noexcept { return watch.word.load(std::memory_order_acquire); }

}  // namespace

Polls::Polls(uv_loop_t *loop, Watches &watches, Waker &waker, HandleCount &handles) noexcept
    : loop_(loop), watches_(watches), waker_(waker), handles_(handles), put_off_(watches.table) {}

Polls &Polls::owner_of(uv_poll_t *poll, const Watch &watch) noexcept {
  const std::uint32_t position = SlotTable<Watch>::index_of(watch) & (SlotTable<Watch>::kChunkSize - 1);
  return *reinterpret_cast<Chunk *>(poll - position)->owner;
}

uv_poll_t *Polls::poll_of(const Watch &watch) const noexcept {
  const std::uint32_t index = SlotTable<Watch>::index_of(watch);
  return &chunks_[index >> SlotTable<Watch>::kChunkBits]->polls[index & (SlotTable<Watch>::kChunkSize - 1)];
}

int Polls::open() noexcept {
  if (const int err = stand_in_.open()) return err;
  watches_.masks.open(uv_backend_fd(loop_));
  return 0;
}

// --- Reconciling ---

void Polls::reconcile() noexcept {
  if (watches_.dirty.empty()) return;
  watches_.dirty.consume([this](Watch &watch) { reconcile(watch); });
}

void Polls::reconcile(Watch &watch) noexcept {
  std::uint64_t word = load(watch);
  std::uint64_t next;
  do {
    if (!is_live(word)) {
      release(watch);
      watches_.to_free.push(watch);
      return;
    }
    next = word & ~kDirty;
    if (!covers(armed_of(word), wanted_of(word))) next = with_armed(next, wanted_of(word)) | kLoops;
    // model: RECONCILE_SWAP
  } while (!watch.word.compare_exchange_weak(word, next, std::memory_order_acq_rel, std::memory_order_acquire));
  if (armed_of(next) != armed_of(word)) arm(watch, armed_of(next));
}

void Polls::arm(Watch &watch, int armed) noexcept {
  const int err = try_arm(watch, armed);
  if (err == 0) return;
  if (!retrying_) {
    counters.failures.raise();
    log::error("watch {} (fd {}) cannot be armed: {}; trying again every {} ms",
               id_of(watch.word.load(std::memory_order_relaxed)), watch.fd, uv_strerror(err), kRetryMs);
  }
  put_off(watch);
}

int Polls::try_arm(Watch &watch, int armed) noexcept {
  if (watch.kind == FdKind::kUnknown)
    if (const int err = find_kind(watch)) return err;
  if (watch.kind == FdKind::kAlwaysReady) return (armed & kReadWrite) != 0 ? list_always_ready(watch) : 0;
  if (!watch.has_poll)
    if (const int err = open_poll(watch)) return err;
  uv_poll_t *poll = poll_of(watch);
  if (uv_is_closing(reinterpret_cast<uv_handle_t *>(poll))) return UV_ECANCELED;  // the host's doing
  watches_.masks.leave_to_libuv(watch);
  return uv_poll_start(poll, uv_events_for(armed, watch.kind), on_poll);
}

int Polls::find_kind(Watch &watch) noexcept {
  const int fd = watch.dup.load(std::memory_order_relaxed);
  const int epoll_fd = uv_backend_fd(loop_);
  epoll_event probe{};
  probe.data.fd = fd;
  // libuv aborts when the kernel refuses an fd that it polls, so the question is asked before.
  const bool taken = epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &probe) == 0;
  if (!taken && errno != EPERM) return uv_translate_sys_error(errno);
  if (taken) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, &probe);
  watch.kind = fd_kind(fd, !taken);
  return 0;
}

int Polls::open_poll(Watch &watch) noexcept {
  std::unique_ptr<Chunk> &chunk = chunks_[SlotTable<Watch>::index_of(watch) >> SlotTable<Watch>::kChunkBits];
  if (chunk == nullptr) {
    chunk.reset(new (std::nothrow) Chunk);
    if (chunk == nullptr) return UV_ENOMEM;
    chunk->owner = this;
  }
  uv_poll_t *poll = poll_of(watch);
  if (const int err = stand_in_.init_poll(loop_, poll, watch.dup.load(std::memory_order_relaxed))) return err;
  poll->data = &watch;
  uv_unref(reinterpret_cast<uv_handle_t *>(poll));  // one handle speaks for all: see Reconciler
  watch.has_poll = true;
  handles_.opened();
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
  if (!watch.has_poll) return;
  watches_.masks.leave_to_libuv(watch);
  uv_poll_stop(poll_of(watch));
}

// Disarms the watch and looks at it again some time later. It is dirty for so long, and in no other list.
void Polls::put_off(Watch &watch) noexcept {
  stop(watch);
  std::uint64_t word = load(watch);
  std::uint64_t next;
  do {
    next = with_armed(word, 0) | kDirty;
    // model: PUT_OFF_SWAP
  } while (!watch.word.compare_exchange_weak(word, next, std::memory_order_acq_rel, std::memory_order_acquire));
  if ((word & kDirty) != 0) return;  // it was pushed meanwhile, and is looked at even sooner
  put_off_.push(watch);
  retry_due_ = std::min(retry_due_, milliseconds_rounded_up(uv_hrtime()) + kRetryMs);
  waker_.remind();  // a timer is to be set
}

void Polls::retry() noexcept {
  retry_due_ = kNever;
  retrying_ = true;
  put_off_.consume([this](Watch &watch) { reconcile(watch); });
  retrying_ = false;
}

// --- Dispatching ---

void Polls::on_poll(uv_poll_t *poll, int status, int uv_events) {
  Watch &watch = *static_cast<Watch *>(poll->data);
  Polls &self = owner_of(poll, watch);
  self.waker_.enter();
  int events = uv_events;
  const bool exact = status == 0 && watch.kind != FdKind::kInspected && (uv_events & ~kReadWrite) == 0;
  if (__builtin_expect(!exact, 0)) events = self.true_events(watch, status, uv_events);
  const std::uint64_t word = load(watch);  // model: DISPATCH
  events &= wanted_of(word);
  if (__builtin_expect(events != 0, 1))
    call(watch, word, events, poll->loop);
  else
    self.settle(watch, uv_events);
  self.waker_.leave();
}

int Polls::true_events(Watch &watch, int status, int uv_events) noexcept {
  counters.inspections.raise();
  const std::uint64_t word = load(watch);  // model: REARM_LOAD
  if ((uv_events & UV_DISCONNECT) != 0) watch.kind = FdKind::kInspected;
  // A POLLERR has made libuv stop the handle (uv__poll_io); a tripwire that has tripped is to be taken out. What is
  // started again is what the word says is armed, not what is wanted by now: update() counts on it.
  const bool start_again = status < 0 || (uv_events & UV_DISCONNECT) != 0;
  if (start_again && is_live(word) && armed_of(word) != 0) arm(watch, armed_of(word));
  return inspect(watch.dup.load(std::memory_order_relaxed), armed_of(word));
}

void Polls::settle(Watch &watch, int uv_events) noexcept {
  if (mute(watch)) return counters.dropped.raise();
  std::uint64_t word = load(watch);
  do {
    if (!is_live(word)) return;  // removed: the next reconcile releases it
    if (armed_of(word) == wanted_of(word)) {
      // Nothing is there after all: another thread has read it. Or urgent data keeps UV_PRIORITIZED, which stands for
      // ERROR and HANGUP here, awake for as long as nobody reads it: looking again now and then is better than
      // spinning.
      if ((uv_events & UV_PRIORITIZED) != 0) put_off(watch);
      return;
    }
    // model: SETTLE_SWAP
  } while (!watch.word.compare_exchange_weak(word, with_armed(word, wanted_of(word)), std::memory_order_acq_rel,
                                             std::memory_order_acquire));
  counters.dropped.raise();
  if (wanted_of(word) != 0)
    arm(watch, wanted_of(word));
  else
    stop(watch);
}

// False: to be settled otherwise. It was muted already: this is POLLHUP or POLLERR, or it came before.
bool Polls::mute(Watch &watch) noexcept {
  if (watch.kind != FdKind::kSocket) return false;
  std::uint64_t word = load(watch);
  do {
    if (!is_live(word) || wanted_of(word) != 0 || armed_of(word) == 0) return false;
    // model: MUTE_SWAP
  } while (
      !watch.word.compare_exchange_weak(word, word | kDirect, std::memory_order_acq_rel, std::memory_order_acquire));
  return watches_.masks.follow(watch, id_of(word));
}

void Polls::dispatch_always_ready() noexcept {
  for (std::size_t i = 0; i < always_ready_.size(); ++i) {  // a callback may give up the loop, and empty the list
    Watch *watch = always_ready_[i];
    if (watch == nullptr) continue;
    const std::uint64_t word = load(*watch);
    const int events = inspect(watch->dup.load(std::memory_order_relaxed), wanted_of(word)) & wanted_of(word);
    if (events != 0)
      call(*watch, word, events, loop_);
    else
      settle(*watch, 0);
  }
  const auto is_idle = [](Watch *watch) {
    return watch == nullptr || (armed_of(watch->word.load(std::memory_order_relaxed)) & kReadWrite) == 0;
  };
  always_ready_.erase(std::remove_if(always_ready_.begin(), always_ready_.end(), is_idle), always_ready_.end());
}

// --- Letting go ---

void Polls::release(Watch &watch) noexcept {
  if (watch.kind == FdKind::kAlwaysReady)
    std::replace(always_ready_.begin(), always_ready_.end(), &watch, static_cast<Watch *>(nullptr));
  watches_.masks.leave_to_libuv(watch);
  close_poll(watch);
  close_duplicate(watch);
}

void Polls::close_duplicate(Watch &watch) noexcept {
  if ((watch.word.load(std::memory_order_relaxed) & kLoops) == 0) return;  // whoever removed it has closed the fd
  const int fd = watch.dup.exchange(-1, std::memory_order_relaxed);
  if (fd >= 0) close(fd);
}

// libuv may be about to tell the kernel of a mask that was changed: it puts the stand-in into epoll then, whose events
// are dropped. It would abort if it wanted to modify what is not there; but uv_poll_start() takes the fd out before it
// is to be put in again.
void Polls::release_file(Watch &watch) noexcept {
  watches_.masks.leave_to_libuv(watch);
  if (!watch.has_poll) return close_duplicate(watch);
  const int fd = watch.dup.load(std::memory_order_relaxed);
  epoll_event ignored{};
  epoll_ctl(uv_backend_fd(loop_), EPOLL_CTL_DEL, fd, &ignored);
  stand_in_.replace(fd);
}

// The fd is not in epoll any more when this returns, so whoever's it is may close it.
void Polls::close_poll(Watch &watch) noexcept {
  if (!watch.has_poll) return;
  auto *poll = reinterpret_cast<uv_handle_t *>(poll_of(watch));
  if (uv_is_closing(poll)) return;
  uv_close(poll, on_closed);
  // libuv 1.45 and 1.46 may only queue the EPOLL_CTL_DEL (io_uring), and the kernel would run it on a closed fd. The
  // caller's fd keeps the file open, so epoll would then report it for ever, under a number that is nobody's.
  epoll_event ignored{};
  epoll_ctl(uv_backend_fd(loop_), EPOLL_CTL_DEL, watch.dup.load(std::memory_order_relaxed), &ignored);
}

void Polls::on_closed(uv_handle_t *handle) {
  Watch &watch = *static_cast<Watch *>(handle->data);
  Polls &self = owner_of(reinterpret_cast<uv_poll_t *>(handle), watch);
  HandleCount &handles = self.handles_;
  watch.has_poll = false;          // model: ON_CLOSED
  self.watches_.give_back(watch);  // model: GIVE_CLOSED
  handles.closed();                // last: it may be the end of *this
}

void Polls::give_up(bool on_loop) noexcept {
  always_ready_.clear();
  put_off_.consume([this](Watch &watch) { watches_.dirty.push(watch); });  // model: GIVE_UP_PUT_OFF
  retry_due_ = kNever;
  watches_.masks.close();           // then its lock need not be taken with the table's held
  if (!on_loop) stand_in_.close();  // nobody deletes *this
  Lock lock(watches_.table.mutex());
  watches_.table.for_each([this, on_loop](Watch &watch) {
    if (!on_loop) forget(watch);
    make_dirty_again(watch);
  });
}

// Its handle is the host's now: if the slot waited for that alone, it waits no longer.
void Polls::forget(Watch &watch) noexcept {
  if (!watch.has_poll) return;
  watch.has_poll = false;
  if (watch.freed) watches_.table.give(watch);
}

void Polls::make_dirty_again(Watch &watch) noexcept {
  close_poll(watch);  // before the fd is anybody else's to close
  watch.word.fetch_and(~kDirect, std::memory_order_acq_rel);
  watch.muted = false;
  std::uint64_t word = load(watch);
  std::uint64_t next;
  do {
    if (!is_live(word)) {
      release(watch);
      return;
    }
    next = with_armed(word, 0) & ~kLoops;
    if (wanted_of(word) != 0) next |= kDirty;
    // model: GIVE_UP_SWAP
  } while (!watch.word.compare_exchange_weak(word, next, std::memory_order_acq_rel, std::memory_order_acquire));
  if ((next & ~word & kDirty) != 0) watches_.dirty.push(watch);  // model: GIVE_UP_PUSH
}

}  // namespace virt_uv
