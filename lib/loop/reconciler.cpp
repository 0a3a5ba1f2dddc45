// SPDX-License-Identifier: LGPL-2.1-or-later
#include "loop/reconciler.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>

#include <fmt/format.h>

#include "core/call_out.hpp"
#include "core/probes.hpp"

namespace virt_uv::loop {

using core::kNever;

// The object is in use by one of the loop's calls for as long as this lives: a callback may detach and run the loop
// until the last handle has closed.
class Reconciler::Entry {
 public:
  explicit Entry(Reconciler &self) noexcept : self_(self) { ++self.entries_; }
  ~Entry() {
    if (--self_.entries_ == 0 && self_.is_finished_) delete &self_;
  }
  Entry(const Entry &) = delete;
  Entry &operator=(const Entry &) = delete;

 private:
  Reconciler &self_;
};

Reconciler::Reconciler(uv_loop_t *loop, const Parts &parts, const Callbacks &callbacks) noexcept
    : loop_(loop),
      context_(parts.context),
      watches_(parts.watches),
      timeouts_(parts.timeouts),
      drains_(parts.drains),
      waker_(parts.waker),
      callbacks_(callbacks),
      polls_(loop, {parts.context, parts.watches, parts.kernel_mask, parts.waker}, closing_handles_) {}

Reconciler::~Reconciler() {
  if (list_ == nullptr) return;
  while (*list_ != this) list_ = &(*list_)->kept_behind_;
  *list_ = kept_behind_;
}

// --- Life ---

template <typename Handle, typename Init, typename... Args>
int Reconciler::init(Owned<Handle, Reconciler *> &handle, Init init, Args... args) noexcept {
  const int err = init(loop_, &handle.handle, args...);
  if (err < 0) return err;
  handle.handle.data = nullptr;
  handle.owner = this;
  uv_unref(handle.base());
  return 0;
}

int Reconciler::open(bool referenced) noexcept {
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) return uv_translate_sys_error(errno);
  int err = polls_.open();
  if (err == 0) err = init(wake_poll_, uv_poll_init, wake_fd_);
  if (err < 0) {
    ::close(wake_fd_);
    return err;
  }
  // These four can't fail.
  init(prepare_, uv_prepare_init);
  init(check_, uv_check_init);
  init(idle_, uv_idle_init);
  init(timer_, uv_timer_init);
  uv_poll_start(&wake_poll_.handle, UV_READABLE, on_wake);
  uv_prepare_start(&prepare_.handle, on_prepare);
  // Alive at first, so that uv_run() comes to the first prepare, which finds out.
  uv_ref(prepare_.base());
  referenced_ = referenced;
  waker_.open({wake_fd_, &wake_poll_.handle, &check_.handle, on_check});
  return 0;
}

void Reconciler::close() noexcept {
  // What was removed so far is freed before `closed`.
  reconcile();
  closing_ = true;
  waker_.close();
  polls_.leave();
  polls_.leave_next();
  closing_handles_.when_none_left(on_none_left, this);
  closing_handles_.close(wake_poll_.base(), on_closed<uv_poll_t>);
  closing_handles_.close(prepare_.base(), on_closed<uv_prepare_t>);
  closing_handles_.close(check_.base(), on_closed<uv_check_t>);
  closing_handles_.close(idle_.base(), on_closed<uv_idle_t>);
  closing_handles_.close(timer_.base(), on_closed<uv_timer_t>);
}

template <typename Handle>
void Reconciler::on_closed(uv_handle_t *handle) {
  Reconciler &self = *Owned<Handle, Reconciler *>::of(handle).owner;
  if (!self.is_barred()) self.closing_handles_.closed();
}

void Reconciler::on_none_left(void *opaque) {
  Reconciler &self = *static_cast<Reconciler *>(opaque);
  const Entry entry(self);
  while (self.polls_.leave_next())
    if (self.closing_handles_.any()) return;
  self.run_frees();
  ::close(self.wake_fd_);
  self.is_finished_ = !self.polls_.is_lost();
  self.callbacks_.closed(self.callbacks_.opaque);
}

// --- A loop whose host closes our handles ---

bool Reconciler::is_lost() const noexcept {
  return is_closing(timer_.handle) || is_closing(idle_.handle) || is_closing(check_.handle) ||
         is_closing(wake_poll_.handle) || is_closing(prepare_.handle) || polls_.is_lost();
}

// Enough where nothing is to be done: a handle that is not active is looked at before it is used.
[[gnu::always_inline]] inline bool Reconciler::has_lost_active() const noexcept {
  const bool may_be = timer_due_ != kNever || idle_active_ || polls_.is_lost();
  return __builtin_expect(may_be, 0) && is_lost();
}

bool Reconciler::abandon_if_lost() noexcept {
  if (__builtin_expect(closing_ || !is_lost(), 1)) return false;
  abandon();
  return true;
}

void Reconciler::abandon() noexcept {
  closing_ = true;
  waker_.close();
  polls_.abandon();
  if (!is_closing(wake_poll_.handle)) {
    epoll_event ignored{};
    uv_close(wake_poll_.base(), nullptr);
    epoll_ctl(uv_backend_fd(loop_), EPOLL_CTL_DEL, wake_fd_, &ignored);
  }
  for (uv_handle_t *handle : {prepare_.base(), check_.base(), idle_.base(), timer_.base()})
    if (!uv_is_closing(handle)) uv_close(handle, nullptr);
  ::close(wake_fd_);
  callbacks_.lost(callbacks_.opaque);
}

// --- Phases ---

void Reconciler::on_timer(uv_timer_t *timer) {
  Reconciler &self = *Owned<uv_timer_t, Reconciler *>::of(timer).owner;
  if (self.is_barred()) return;
  self.waker_.find_thread();
  if (self.abandon_if_lost()) return;
  const Entry entry(self);
  core::CallStack::Scope scope(self.context_.calls);
  self.timer_due_ = kNever;
  self.waker_.request_check();  // the timer is to be set again
  if (self.drains_.warn_due() <= core::milliseconds_now()) self.warn_of_drain();
  self.timeouts_.run_due({scope, uv_now(self.loop_), self.closing_});
  self.reconcile();  // in libuv 1.45 and later no prepare need follow before the host sleeps
}

void Reconciler::on_idle(uv_idle_t *idle) {
  Reconciler &self = *Owned<uv_idle_t, Reconciler *>::of(idle).owner;
  if (self.is_barred()) {
    uv_idle_stop(idle);
    return;
  }
  self.waker_.find_thread();
  const Entry entry(self);
  core::CallStack::Scope scope(self.context_.calls);
  self.timeouts_.run_list({scope, uv_now(self.loop_), self.closing_});
  if (!self.closing_ && !self.timeouts_.has_list()) self.waker_.request_check();  // the idle handle is to stop
}

void Reconciler::on_prepare(uv_prepare_t *prepare) {
  VIRT_UV_PROBE(iteration);
  Reconciler &self = *Owned<uv_prepare_t, Reconciler *>::of(prepare).owner;
  if (__builtin_expect(self.is_barred(), 0)) {
    uv_unref(self.prepare_.base());  // what the parent has registered does not keep its child's loop running
    return;
  }
  self.waker_.find_thread();
  self.context_.calls.begin_iteration();
  // The wake-up would come to check without this; so what is wanted by now holds in this iteration.
  if (self.waker_.has_request()) return self.reconcile();  // model: PREPARE
  if (self.has_lost_active()) self.abandon();
}

// The check of the same iteration reconciles.
void Reconciler::on_wake(uv_poll_t *poll, int, int) {
  Reconciler &self = *Owned<uv_poll_t, Reconciler *>::of(poll).owner;
  if (self.is_barred() || self.abandon_if_lost()) return;
  eventfd_t ignored;
  eventfd_read(self.wake_fd_, &ignored);  // fails only where there is nothing to read
  self.waker_.request_check();
}

void Reconciler::on_check(uv_check_t *check) {
  Reconciler &self = *Owned<uv_check_t, Reconciler *>::of(check).owner;
  if (self.is_barred() || self.abandon_if_lost()) return;
  const Entry entry(self);
  core::CallStack::Scope scope(self.context_.calls);
  self.polls_.dispatch_always_ready();
  self.reconcile();
  self.run_frees();
  self.reconcile();
  if (self.is_drained()) self.drains_.run();
  self.reconcile();
}

// --- What the handles stand for ---

void Reconciler::reconcile() noexcept {
  if (closing_ || abandon_if_lost()) return;
  waker_.acknowledge();
  polls_.reconcile();
  timeouts_.reconcile();
  if (closing_ || (polls_.is_lost() && abandon_if_lost())) return;  // noticed by now; or a log function has detached
  set_timer();
  const bool needs_check = polls_.has_always_ready() || polls_.has_backlog() || has_frees() || is_drained();
  set_check(needs_check);
  set_idle(needs_check || timeouts_.has_list());
  set_alive();
}

void Reconciler::set_timer() noexcept {
  const std::uint64_t due = std::min(
      {timeouts_.next_due(), watches_.deferred().due(), polls_.trim_due(), polls_.rest_due(), drains_.warn_due()});
  if (due == timer_due_) return;
  timer_due_ = due;
  const std::uint64_t now = uv_now(loop_);
  if (due == kNever)
    uv_timer_stop(&timer_.handle);
  else
    uv_timer_start(&timer_.handle, on_timer, due > now ? due - now : 0, 0);
}

void Reconciler::set_check(bool active) noexcept {
  if (active)
    uv_check_start(&check_.handle, on_check);
  else
    uv_check_stop(&check_.handle);
}

void Reconciler::set_idle(bool active) noexcept {
  if (active == idle_active_) return;
  idle_active_ = active;
  if (active)
    uv_idle_start(&idle_.handle, on_idle);
  else
    uv_idle_stop(&idle_.handle);
}

void Reconciler::set_alive() noexcept {
  const bool alive = referenced_ && (context_.counters.busy() || !drains_.empty());
  if (alive == alive_ || is_closing(prepare_.handle)) return;
  alive_ = alive;
  if (alive)
    uv_ref(prepare_.base());
  else
    uv_unref(prepare_.base());
}

void Reconciler::set_referenced(bool referenced) noexcept {
  referenced_ = referenced;
  set_alive();
}

// --- Frees and drains ---

void Reconciler::run_frees() {
  watches_.run_frees();
  timeouts_.run_frees();
}

bool Reconciler::has_frees() const noexcept { return watches_.has_frees() || timeouts_.has_frees(); }

bool Reconciler::is_drained() const noexcept { return !closing_ && !drains_.empty() && !context_.counters.busy(); }

// A watch whose fd the host has closed is the likeliest mistake of all: it keeps the peer from seeing the end.
void Reconciler::warn_of_drain() noexcept {
  drains_.warned();
  unsigned watches = 0, closed = 0;
  int first_id = 0, first_fd = -1;
  const auto look = [&](const core::Watch &watch) {
    if (!watch.state.load().is_live()) return;
    const bool is_closed = fcntl(watch.fd, F_GETFD) < 0 && errno == EBADF;
    if (++watches == 1 || (is_closed && closed == 0)) first_id = watch.slot_id(), first_fd = watch.fd;
    closed += is_closed ? 1 : 0;
  };
  watches_.table().for_each(look, [] {});
  char example[96] = "";
  if (watches > 0)
    fmt::format_to_n(example, sizeof example - 1, " (watch {} of fd {}{})", first_id, first_fd,
                     closed > 0 ? ", which was closed without virEventRemoveHandle" : "");
  const core::Counters &counters = context_.counters;
  const std::uint64_t timeouts = counters.timeouts.added() - counters.timeouts.removed();
  context_.log.warn(
      "a drain has waited for {} ms: watches: {}{}, timeouts: {}; deregister the events, close each connection, and "
      "free each object that holds one (virDomainFree)",
      core::Drains::kPatienceMs, watches, example, timeouts);
}

}  // namespace virt_uv::loop
