/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Threads for calls that block, and the way back from any thread to the loop.
 *
 * A call that waits for a dead host holds its thread for minutes, so no job may wait for another: a thread is started
 * for each job that finds none idle. libuv's own pool is not used: it has four threads, which belong to the host, and
 * it aborts the process when it cannot start one. Here a thread that cannot be started means that jobs wait for one
 * another, and `limited` is told. A few idle threads are kept, and the others end.
 *
 * What threads and loop share outlives both: a thread that is still blocked when the loop goes is left behind. */
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>

namespace virt_uv::watch {

class Workers {
 public:
  /* `limited` is called in the loop, once, when the system refuses a thread: with how many there are, and the reason.
   */
  using Limited = std::function<void(std::size_t threads, const std::string &why)>;

  Workers();
  Workers(const Workers &) = delete;
  Workers &operator=(const Workers &) = delete;
  ~Workers();

  /* On the loop's thread, before anything else. Returns 0, or libuv's error. */
  int start(uv_loop_t *loop, Limited limited);

  /* Runs `work` on a thread, then `done` in the loop. Returns false where there is no thread and none can be started:
   * then neither is called. Once it has returned true, it always does. On the loop's thread. */
  bool run(std::function<void()> work, std::function<void()> done);

  /* Runs `call` in the loop; calls are run in the order in which they were posted. Any thread. */
  void post(std::function<void()> call);

  /* post() as a function that may outlive this. */
  std::function<void(std::function<void()>)> poster() const;

  /* Closes the handle in the loop; `closed` runs once it is. Calls that have not run by then are dropped. On the loop's
   * thread. */
  void close(std::function<void()> closed);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace virt_uv::watch
