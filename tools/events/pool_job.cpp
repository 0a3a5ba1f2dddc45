/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool_job.hpp"

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

namespace events {
namespace {

struct Job {
  uv_work_t request;
  std::function<void()> work;
  std::function<void()> done;
};

Job *job_of(uv_work_t *request) { return static_cast<Job *>(request->data); }

void work(uv_work_t *request) noexcept { job_of(request)->work(); }

void done(uv_work_t *request, int) noexcept {
  std::unique_ptr<Job> job(job_of(request));
  job->done();
}

}  // namespace

void set_pool_size(unsigned jobs_at_a_time) { setenv("UV_THREADPOOL_SIZE", std::to_string(jobs_at_a_time).c_str(), 1); }

void run_on_pool(uv_loop_t *loop, std::function<void()> to_work, std::function<void()> when_done) {
  auto job = std::make_unique<Job>(Job{{}, std::move(to_work), std::move(when_done)});
  job->request.data = job.get();
  uv_queue_work(loop, &job.release()->request, work, done); /* fails for a missing callback only */
}

}  // namespace events
