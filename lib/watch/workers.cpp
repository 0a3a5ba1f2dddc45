/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "workers.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace virt_uv::watch {
namespace {

constexpr std::size_t kIdleKept = 2;

struct Job {
  std::function<void()> work, done;
};

}  // namespace

struct Workers::Shared {
  uv_async_t wake; /* freed with the rest, once libuv has closed it */

  std::mutex mutex;
  std::condition_variable job_added;
  std::deque<Job> jobs;
  std::vector<std::function<void()>> posted;
  std::condition_variable thread_left;
  std::size_t threads = 0, idle = 0;
  bool open = false;  /* `wake` may be sent to; written by the loop's thread */
  bool ended = false; /* threads that are idle end */

  /* The loop's thread only. */
  Limited limited;
  bool told_limited = false;
  std::function<void()> closed;
  std::shared_ptr<Shared> until_closed;

  void post(std::function<void()> call) {
    std::lock_guard<std::mutex> guard(mutex);
    if (!open) return;
    posted.push_back(std::move(call));
    uv_async_send(&wake);
  }

  void run_posted() {
    std::vector<std::function<void()>> calls;
    {
      std::lock_guard<std::mutex> guard(mutex);
      calls.swap(posted);
    }
    for (auto &call : calls)
      if (open) call();
  }
};

namespace {

/* A thread's life. It returns from `work` only to take the next job or to end. */
template <typename Shared>
void serve(const std::shared_ptr<Shared> &shared) {
  std::unique_lock<std::mutex> lock(shared->mutex);
  while (true) {
    if (shared->jobs.empty()) {
      if (shared->ended || shared->idle >= kIdleKept) break;
      ++shared->idle;
      shared->job_added.wait(lock, [&] { return shared->ended || !shared->jobs.empty(); });
      --shared->idle;
      shared->thread_left.notify_all();
      continue;
    }
    Job job = std::move(shared->jobs.front());
    shared->jobs.pop_front();
    lock.unlock();
    job.work();
    shared->post(std::move(job.done));
    job = {};
    lock.lock();
  }
  --shared->threads;
  shared->thread_left.notify_all();
}

}  // namespace

Workers::Workers() : shared_(std::make_shared<Shared>()) {}

/* Threads that are at work are left behind. */
Workers::~Workers() {
  std::unique_lock<std::mutex> lock(shared_->mutex);
  shared_->ended = true;
  shared_->job_added.notify_all();
  shared_->thread_left.wait(lock, [this] { return shared_->idle == 0; });
}

int Workers::start(uv_loop_t *loop, Limited limited) {
  int error =
      uv_async_init(loop, &shared_->wake, [](uv_async_t *wake) { static_cast<Shared *>(wake->data)->run_posted(); });
  if (error < 0) return error;
  shared_->wake.data = shared_.get();
  shared_->limited = std::move(limited);
  std::lock_guard<std::mutex> guard(shared_->mutex);
  shared_->open = true;
  return 0;
}

bool Workers::run(std::function<void()> work, std::function<void()> done) {
  std::string refused;
  std::size_t threads;
  {
    std::lock_guard<std::mutex> guard(shared_->mutex);
    shared_->jobs.push_back({std::move(work), std::move(done)});
    if (shared_->jobs.size() > shared_->idle) {
      try {
        std::thread([shared = shared_] { serve(shared); }).detach();
        ++shared_->threads;
      } catch (const std::system_error &error) {
        refused = error.code().message();
      }
    }
    threads = shared_->threads;
    if (threads == 0) shared_->jobs.pop_back();
    shared_->job_added.notify_one();
  }
  if (!refused.empty() && !std::exchange(shared_->told_limited, true)) shared_->limited(threads, refused);
  return threads > 0;
}

void Workers::post(std::function<void()> call) { shared_->post(std::move(call)); }

std::function<void(std::function<void()>)> Workers::poster() const {
  return [shared = shared_](std::function<void()> call) { shared->post(std::move(call)); };
}

void Workers::close(std::function<void()> closed) {
  std::vector<std::function<void()>> dropped; /* they may hold `shared_`, and are destroyed without the lock */
  {
    std::lock_guard<std::mutex> guard(shared_->mutex);
    shared_->open = false;
    dropped.swap(shared_->posted);
  }
  shared_->closed = std::move(closed);
  shared_->until_closed = shared_;
  uv_close(reinterpret_cast<uv_handle_t *>(&shared_->wake), [](uv_handle_t *wake) {
    std::shared_ptr<Shared> shared = std::move(static_cast<Shared *>(wake->data)->until_closed);
    shared->closed();
  });
}

}  // namespace virt_uv::watch
