// SPDX-License-Identifier: LGPL-2.1-or-later
#include "program.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "contract.hpp"
#include "virt-uv/virt-uv.h"

namespace {

constexpr int kPlaces = 8;
constexpr int kFds = 5;
constexpr int kLoops = 2;
constexpr std::size_t kLongest = 512;
constexpr int kTurnsToEnd = 100;

void require(bool holds, const char *promise) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", promise);
  std::abort();
}

class Program;

struct Record : support::Registration {
  Record(Program &in_program, bool timeout, int watched_fd, int wanted_first)
      : Registration(timeout ? "timeout" : "watch", timeout, watched_fd, wanted_first), program(in_program) {}
  Program &program;
};

// An instruction that is to be run in the next callback.
struct Inner {
  bool wanted = false;
  std::uint8_t what = 0, with = 0;
};

class Program {
 public:
  Program() {
    std::signal(SIGPIPE, SIG_IGN);  // a program may write to a socket that it has shut down
    for (uv_loop_t &loop : loops_) require(uv_loop_init(&loop) == 0, "a loop can be had");
    fds_[0] = eventfd(0, EFD_NONBLOCK);
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds_ + 1) == 0, "a pair of sockets can be had");
    fds_[3] = open("/dev/null", O_RDWR);
    fds_[4] = eventfd(1, EFD_NONBLOCK);
  }

  void run(const std::uint8_t *data, std::size_t size) {
    for (std::size_t i = 0; i + 1 < size; i += 2) {
      step(data[i], data[i + 1]);
      require_contract();
    }
  }

  // Everything is given back, and every promise about it has been kept.
  void end() {
    inner_ = {};
    virt_uv_ref();  // else uv_run() would find nothing to do
    end_detach();
    require(virt_uv_attach(&loops_[0], nullptr) == 0, "attach works once a detach is done");
    for (Record *record : records_) remove(*record);
    bool idle = false;
    require(virt_uv_drain([](void *opaque) { *static_cast<bool *>(opaque) = true; }, &idle) == 0, "drain is accepted");
    for (int i = 0; i < kTurnsToEnd && !idle; ++i) uv_run(&loops_[0], UV_RUN_NOWAIT);
    require(idle, "drain calls back once nothing is registered");
    detach();
    end_detach();
    for (Record *record : records_) {
      contract_.judge_end(*record);
      require_contract();
      delete record;
    }
    virt_uv_stats stats = VIRT_UV_STATS_INIT;
    require(virt_uv_get_stats(&stats) == 0, "get_stats answers");
    require(stats.watches + stats.timeouts + stats.frees_pending == 0, "nothing is left registered");
    require(stats.adds == stats.frees, "adds == frees");
    for (uv_loop_t &loop : loops_) require(uv_loop_close(&loop) == 0, "no handle of the library is left on a loop");
    for (const int fd : fds_) close(fd);
  }

 private:
  void require_contract() {
    for (const std::string &violation : contract_.violations()) require(false, violation.c_str());
  }

  void step(std::uint8_t what, std::uint8_t with) {
    switch (what % 16) {
      case 0:
      case 1:
        return add_watch(with);
      case 2:
        return add_timeout(with);
      case 3:
        return update(places_[with % kPlaces], with / kPlaces);
      case 4:
        return remove_place(with % kPlaces);
      case 5:
        return run_loop(with);
      case 6:
        return flip_fd(with);
      case 7:
        inner_ = {true, static_cast<std::uint8_t>(with % 16), with};
        return;
      case 8:
        return attach(with);
      case 9:
        return detach();
      case 10:
        with % 2 != 0 ? virt_uv_ref() : virt_uv_unref();
        return;
      case 11:
        return stray(with);
      case 12:
        virt_uv_walk([](const virt_uv_entry *, void *) {}, nullptr);
        return;
      case 13:
        virt_uv_drain([](void *) {}, nullptr);
        return;
      case 14:
        uv_stop(&loops_[with % kLoops]);
        return;
      default:
        return run_loop(1);
    }
  }

  static int frequency(int with) { return with % 5 == 4 ? INT_MAX : with % 5 - 1; }

  template <typename Call>
  void add(Record *record, int place, Call &&call) {
    if (contract_.add(*record, call) == -1) {
      delete record;
      return;
    }
    records_.push_back(record);
    places_[place % kPlaces] = record;
  }

  void add_watch(int with) {
    const int fd = fds_[with % kFds], events = with >> 3 & 0xf;
    auto *record = new Record(*this, false, fd, events);
    add(record, with, [&] { return virt_uv_add_handle(fd, events, on_event, record, on_free); });
  }

  void add_timeout(int with) {
    const int milliseconds = frequency(with >> 3);
    auto *record = new Record(*this, true, -1, milliseconds);
    add(record, with, [&] { return virt_uv_add_timeout(milliseconds, on_timeout, record, on_free); });
  }

  void update(Record *record, int with) {
    if (record == nullptr) return;
    const int wanted = record->is_timeout ? frequency(with) : with & 0xf;
    contract_.update(*record, wanted, [&] {
      record->is_timeout ? virt_uv_update_timeout(record->id, wanted) : virt_uv_update_handle(record->id, wanted);
    });
  }

  void remove(Record &record) {
    contract_.remove(record, [&] {
      return record.is_timeout ? virt_uv_remove_timeout(record.id) : virt_uv_remove_handle(record.id);
    });
  }

  void remove_place(int place) {
    if (places_[place] != nullptr) remove(*places_[place]);
  }

  void run_loop(int with) {
    for (int i = 0; i < 1 + with % 3; ++i) uv_run(&loops_[with / 3 % kLoops], UV_RUN_NOWAIT);
  }

  void flip_fd(int with) {
    char bytes[8] = {1};
    const int fd = fds_[with % kFds];
    const ssize_t moved = (with & 8) != 0 ? read(fd, bytes, sizeof bytes) : write(fd, bytes, sizeof bytes);
    if (moved < 0 && (with & 0xf0) == 0xf0 && fd == fds_[1]) shutdown(fd, SHUT_RDWR);
  }

  void attach(int with) {
    const int err = virt_uv_attach(&loops_[with % kLoops], nullptr);
    require(err == 0 || err == UV_EBUSY, "attach answers 0 or UV_EBUSY");
  }

  void detach() {
    const int err = virt_uv_detach([](void *opaque) { --*static_cast<int *>(opaque); }, &detaching_);
    require(err == 0 || err == UV_ENOTCONN || err == UV_EALREADY, "detach answers as documented");
    if (err == 0) ++detaching_;
  }

  // From attached or half detached to detached.
  void end_detach() {
    detach();
    for (int i = 0; i < kTurnsToEnd && detaching_ > 0; ++i)
      for (uv_loop_t &loop : loops_) uv_run(&loop, UV_RUN_NOWAIT);
    require(detaching_ == 0, "done is called once for each detach");
  }

  void stray(int with) {
    const int ids[] = {0, -1, INT_MIN, INT_MAX, with << 20, with << 8};
    virt_uv_update_handle(ids[with % 4], with);
    virt_uv_update_timeout(ids[with % 4], with);
    require(virt_uv_remove_handle(ids[with % 4]) == -1, "no such watch");
    require(virt_uv_remove_timeout(ids[with % 4]) == -1, "no such timeout");
    require(virt_uv_add_handle(-1 - with, 1, on_event, nullptr, on_free) == -1, "no such fd");
  }

  // A callback runs the instruction that was noted for it.
  void called(Record &record, int id, int fd, int events) {
    const support::Contract::InCallback call(contract_, record, id, fd, events);
    const Inner inner = inner_;
    inner_ = {};
    if (!inner.wanted) return;
    if (inner.what == 5 || inner.what == 15) return remove(record);  // a loop is not run inside itself
    step(inner.what, inner.with);
  }

  static void on_event(int watch, int fd, int events, void *opaque) {
    Record &record = *static_cast<Record *>(opaque);
    record.program.called(record, watch, fd, events);
  }
  static void on_timeout(int timer, void *opaque) { on_event(timer, -1, 0, opaque); }
  static void on_free(void *opaque) {
    Record &record = *static_cast<Record *>(opaque);
    const support::Contract::InFree free(record.program.contract_, record);
  }

  support::Contract contract_;
  uv_loop_t loops_[kLoops];
  int fds_[kFds];
  std::vector<Record *> records_;
  Record *places_[kPlaces] = {};
  Inner inner_;
  int detaching_ = 0;
};

}  // namespace

void run_program(const std::uint8_t *data, std::size_t size) {
  Program program;
  program.run(data, size < kLongest ? size : kLongest);
  program.end();
}
