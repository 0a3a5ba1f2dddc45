// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Passes every probe in an order that is known: a program to be traced by probes_test.py. With an argument it first
// reads a line, so that a tracer can be attached. It prints the ids that it was given.
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include <cstdio>
#include <ctime>
#include <thread>

#include "virt-uv/virt-uv.h"

extern "C" {

void on_handle(int watch, int, int, void *) { virt_uv_remove_handle(watch); }

void on_timeout(int timer, void *) {
  const timespec while_held{0, 30'000'000};
  nanosleep(&while_held, nullptr);
  virt_uv_remove_timeout(timer);
}

void on_free(void *) {}
}

int main(int argc, char **) {
  uv_loop_t loop;
  if (uv_loop_init(&loop) != 0 || virt_uv_attach(&loop, nullptr) != 0) return 1;
  uv_run(&loop, UV_RUN_NOWAIT);  // attach itself has woken it
  const bool waits = argc > 1;
  if (waits) {
    std::puts("ready");
    std::fflush(stdout);
    if (std::getchar() == EOF) return 1;
  }
  int watch = -1, timer = -1;
  const int fd = eventfd(1, EFD_CLOEXEC);
  std::thread([&] { watch = virt_uv_add_handle(fd, 0, on_handle, nullptr, on_free); }).join();
  virt_uv_update_handle(watch, VIR_EVENT_HANDLE_READABLE);
  timer = virt_uv_add_timeout(-1, on_timeout, nullptr, nullptr);
  virt_uv_update_timeout(timer, 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  if (virt_uv_detach(nullptr, nullptr) != 0) return 1;
  uv_run(&loop, UV_RUN_DEFAULT);
  close(fd);
  std::printf("watch %d, timeout %d, fd %d\n", watch, timer, fd);
  while (waits && std::getchar() != EOF) continue;
  return uv_loop_close(&loop);
}
