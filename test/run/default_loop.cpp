// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A program on libvirt's default event loop, which knows of no other. Each case prints what it saw; run_test.py
// compares what it prints by itself, and under virt-uv-run.
//
//     default-loop CASE
#include <glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <string>
#include <thread>

namespace {

void ignore(void *, virErrorPtr) {}

int add_timeout(int frequency, void (*call)(int timer, void *opaque), void *opaque = nullptr) {
  return virEventAddTimeout(frequency, call, opaque, nullptr);
}

void say_timeout(int timer, void *) {
  std::puts("timeout");
  virEventRemoveTimeout(timer);
}

void say_readable(int watch, int, int events, void *) {
  std::printf("watch: events %d\n", events);
  virEventRemoveHandle(watch);
}

// Runs iterations until *done.
void run_until(const std::atomic<bool> &done) {
  while (!done)
    if (virEventRunDefaultImpl() < 0) std::puts("an iteration failed");
}

void note_timeout(int timer, void *opaque) {
  *static_cast<std::atomic<bool> *>(opaque) = true;
  virEventRemoveTimeout(timer);
}

// Is the thread asleep in a system call?
bool is_asleep(pid_t thread) {
  const std::string path = "/proc/self/task/" + std::to_string(thread) + "/stat";
  std::FILE *file = std::fopen(path.c_str(), "r");
  char state = '?';
  if (std::fscanf(file, "%*d (%*[^)]) %c", &state) != 1) state = '?';
  std::fclose(file);
  return state == 'S';
}

// For as long as it is not asleep; a thread that sleeps on a mutex for a moment is asked again.
void wait_until_asleep(const std::atomic<pid_t> &thread) {
  for (int times = 0; times < 20; times = thread != 0 && is_asleep(thread) ? times + 1 : 0) {
    const timespec pause = {0, 1000000};
    nanosleep(&pause, nullptr);
  }
}

// Another thread runs iterations. Once that sleeps, this one calls `act`, and has it end by a timeout.
void on_another_thread(void (*act)()) {
  std::atomic<bool> done{false};
  std::atomic<pid_t> runner{0};
  std::thread other([&] {
    runner = gettid();
    run_until(done);
  });
  wait_until_asleep(runner);
  act();
  add_timeout(0, note_timeout, &done);
  other.join();
  std::puts("ended");
}

void an_iteration_waits_for_a_timeout() {
  virEventRegisterDefaultImpl();
  add_timeout(30, say_timeout);
  std::printf("result %d\n", virEventRunDefaultImpl());
}

void a_watch_that_is_ready_is_called() {
  virEventRegisterDefaultImpl();
  const int fd = eventfd(1, 0);
  virEventAddHandle(fd, VIR_EVENT_HANDLE_READABLE, say_readable, nullptr, nullptr);
  std::printf("result %d\n", virEventRunDefaultImpl());
}

volatile sig_atomic_t signalled;

void a_signal_ends_the_iteration() {
  virEventRegisterDefaultImpl();
  struct sigaction action {};
  action.sa_handler = [](int) { signalled = 1; };
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  for (int i = 0; i < 3; ++i) {
    signalled = 0;
    const itimerval soon = {{0, 0}, {0, 50000}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    while (!signalled) virEventRunDefaultImpl();
    std::puts("signalled");
  }
}

void an_error_of_before_is_gone() {
  virEventRegisterDefaultImpl();
  virSetErrorFunc(nullptr, ignore);
  virConnectGetLibVersion(nullptr, nullptr);
  std::printf("error before: %d\n", virGetLastErrorCode() != 0);
  add_timeout(0, say_timeout);
  std::printf("result %d\n", virEventRunDefaultImpl());
  std::printf("error after: %d\n", virGetLastErrorCode() != 0);
  virConnectGetLibVersion(nullptr, nullptr);
  std::printf("result %d\n", virEventRegisterDefaultImpl());
  std::printf("error after registering: %d\n", virGetLastErrorCode() != 0);
}

void registered_on_one_thread_and_run_on_another() {
  virEventRegisterDefaultImpl();
  on_another_thread([] {});
}

// Four threads run iterations; each waits while another one does. They are not joined: GLib (2.74) takes the first of
// several waiters off its list and signals the one condition of all, which may wake another, so that the first sleeps
// for ever once the others have ended.
void threads_run_it_one_at_a_time() {
  static std::atomic<int> iterations{0}, inside{0}, most{0}, calls{0};
  virEventRegisterDefaultImpl();
  const auto call = [](int, void *) {
    const int now = ++inside;
    if (now > most) most = now;
    ++calls;
    --inside;
  };
  const int timer = add_timeout(0, call, nullptr);
  for (int i = 0; i < 4; ++i)
    std::thread([] {
      for (; iterations < 8000; ++iterations) {
        virEventRunDefaultImpl();
        virEventRemoveTimeout(virEventAddTimeout(-1, say_timeout, nullptr, nullptr));
      }
    }).detach();
  while (iterations < 8000) std::this_thread::yield();
  virEventRemoveTimeout(timer);
  std::printf("called: %d, at a time: %d\n", calls > 0, most.load());
}

void run_before_it_is_registered() {
  virInitialize();
  on_another_thread([] { virEventRegisterDefaultImpl(); });
}

void registered_twice() {
  std::printf("result %d\n", virEventRegisterDefaultImpl());
  const int first = add_timeout(0, say_timeout);
  std::printf("result %d\n", virEventRegisterDefaultImpl());
  const int second = add_timeout(0, say_timeout);
  std::printf("another id: %d\n", first != second);
  std::printf("result %d\n", virEventRunDefaultImpl());
}

void a_fork_after_registering() {
  virEventRegisterDefaultImpl();
  const int fd = eventfd(1, 0);
  std::atomic<bool> done{false};
  virEventAddHandle(fd, VIR_EVENT_HANDLE_READABLE, say_readable, nullptr, nullptr);
  std::fflush(stdout);
  if (fork() == 0) {
    std::puts("child");
    std::printf("result %d\n", virEventRunDefaultImpl());
    add_timeout(0, note_timeout, &done);
    run_until(done);
    std::exit(0);
  }
  int status = -1;
  wait(&status);
  std::printf("parent: %d\n", status);
  std::printf("result %d\n", virEventRunDefaultImpl());
  add_timeout(0, note_timeout, &done);
  run_until(done);
}

// GDBus and others of libvirt's daemons have sources in this context.
void sources_of_glib_go_on() {
  virEventRegisterDefaultImpl();
  std::atomic<bool> done{false};
  g_idle_add(
      [](gpointer opaque) -> gboolean {
        std::puts("idle source");
        *static_cast<std::atomic<bool> *>(opaque) = true;
        return FALSE;
      },
      &done);
  run_until(done);
}

void a_glib_main_loop_runs_it() {
  virEventRegisterDefaultImpl();
  GMainLoop *loop = g_main_loop_new(nullptr, FALSE);
  const auto quit = [](int timer, void *opaque) {
    say_timeout(timer, nullptr);
    g_main_loop_quit(static_cast<GMainLoop *>(opaque));
  };
  add_timeout(10, quit, loop);
  g_main_loop_run(loop);
  g_main_loop_unref(loop);
}

void run_within_a_callback() {
  virEventRegisterDefaultImpl();
  const auto nested = [](int timer, void *) {
    virEventRemoveTimeout(timer);
    add_timeout(0, say_timeout);
    std::printf("nested result %d\n", virEventRunDefaultImpl());
  };
  std::atomic<bool> done{false};
  add_timeout(0, nested);
  std::printf("result %d\n", virEventRunDefaultImpl());
  add_timeout(10, note_timeout, &done);
  run_until(done);
}

// --- What the default loop has no counterpart of ---

void say_failed_iteration() {
  const int result = virEventRunDefaultImpl();
  std::printf("result %d, %s\n", result, virGetLastErrorMessage());
}

void no_fds_are_left() {
  virEventRegisterDefaultImpl();
  virSetErrorFunc(nullptr, ignore);
  add_timeout(0, say_timeout);
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = static_cast<rlim_t>(dup(0)) + 1;
  setrlimit(RLIMIT_NOFILE, &limit);
  say_failed_iteration();
  limit.rlim_cur = before;
  setrlimit(RLIMIT_NOFILE, &limit);
  std::printf("result %d\n", virEventRunDefaultImpl());
}

void a_fork_after_running() {
  virEventRegisterDefaultImpl();
  virSetErrorFunc(nullptr, ignore);
  add_timeout(0, say_timeout);
  virEventRunDefaultImpl();
  std::fflush(stdout);
  if (fork() == 0) {
    say_failed_iteration();
    std::fflush(stdout);
    _exit(0);
  }
  wait(nullptr);
  add_timeout(0, say_timeout);
  std::printf("parent: result %d\n", virEventRunDefaultImpl());
}

// --- An implementation of the program's own ---

int added = 0;

void an_implementation_of_its_own() {
  virEventRegisterImpl([](int, int, virEventHandleCallback, void *, virFreeCallback) { return ++added; },
                       [](int, int) {}, [](int) { return 0; },
                       [](int, virEventTimeoutCallback, void *, virFreeCallback) { return ++added; }, [](int, int) {},
                       [](int) { return 0; });
  std::printf("result %d\n", virEventRegisterDefaultImpl());
  const int before = added;
  add_timeout(0, say_timeout);
  std::printf("arrived: %d\n", added - before);
}

// Ends by SIGUSR2 unless that is handled.
void raises_sigusr2() {
  virEventRegisterDefaultImpl();
  std::atomic<bool> done{false};
  add_timeout(0, note_timeout, &done);
  run_until(done);
  raise(SIGUSR2);
  done = false;
  add_timeout(10, note_timeout, &done);
  run_until(done);
  std::puts("ended");
}

void handles_sigusr2() {
  signal(SIGUSR2, [](int) { (void)!write(STDOUT_FILENO, "its own handler\n", 16); });
  raises_sigusr2();
}

const std::map<std::string, void (*)()> cases = {
#define CASE(name) \
  { #name, name }
    CASE(an_iteration_waits_for_a_timeout),
    CASE(a_watch_that_is_ready_is_called),
    CASE(a_signal_ends_the_iteration),
    CASE(an_error_of_before_is_gone),
    CASE(registered_on_one_thread_and_run_on_another),
    CASE(threads_run_it_one_at_a_time),
    CASE(run_before_it_is_registered),
    CASE(registered_twice),
    CASE(a_fork_after_registering),
    CASE(sources_of_glib_go_on),
    CASE(a_glib_main_loop_runs_it),
    CASE(run_within_a_callback),
    CASE(no_fds_are_left),
    CASE(a_fork_after_running),
    CASE(an_implementation_of_its_own),
    CASE(raises_sigusr2),
    CASE(handles_sigusr2),
#undef CASE
};

}  // namespace

int main(int argc, char **argv) {
  const auto found = argc == 2 ? cases.find(argv[1]) : cases.end();
  if (found == cases.end()) return 2;
  found->second();
  return 0;
}
