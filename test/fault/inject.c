/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Makes calls fail that libvirt-uv.so makes of anything that can fail, the Nth, or each of one name: allocations,
 * system calls, and libuv's and libvirt's functions. It is linked into the test program, whose definitions come before
 * those of the libraries.
 *
 * Who calls is told by the return address: only calls from within libvirt-uv.so's own mapping count. What libuv calls
 * is left alone: virt-uv.h names what it does when that fails. imports.sh holds the list of what the library calls at
 * all.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libvirt/libvirt.h>
#include <uv.h>

#include "caller.h"
#include "inject.h"

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_long calls;   /* that could fail, since inject_start() */
static atomic_long fail_at; /* 0: none */
static const char *_Atomic failed_call;
static const char *_Atomic failing; /* every call of this fails; NULL: none */
static atomic_long failures;

static int must_fail(const char *name, uintptr_t caller) { return inject_must_fail(name, caller); }

int inject_must_fail(const char *name, uintptr_t caller) {
  const char *all = atomic_load(&failing);
  if (all != NULL) {
    if (strcmp(all, name) != 0 || !is_in_library(caller)) return 0;
    atomic_fetch_add(&failures, 1);
    return 1;
  }
  if (atomic_load(&fail_at) == 0 || !is_in_library(caller)) return 0;
  if (atomic_fetch_add(&calls, 1) + 1 != atomic_load(&fail_at)) return 0;
  failed_call = name;
  return 1;
}

/* --- System calls --- */

/* The library's last eventfd, and the two numbers of the one that it has duplicated, the placeholder. */
static int last_eventfd = -1, placeholder = -1, second = -1;

int fcntl(int fd, int command, ...) {
  static int (*next)(int, int, ...);
  va_list arguments;
  va_start(arguments, command);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  if (next == NULL) next = NEXT(fcntl);
  if (must_fail("fcntl", CALLER)) return errno = EMFILE, -1;
  const int ret = next(fd, command, argument);
  if (is_in_library(CALLER) && fd == last_eventfd) placeholder = fd, second = ret;
  return ret;
}

int eventfd(unsigned value, int flags) {
  static int (*next)(unsigned, int);
  if (next == NULL) next = NEXT(eventfd);
  if (must_fail("eventfd", CALLER)) return errno = ENFILE, -1;
  const int ret = next(value, flags);
  if (is_in_library(CALLER)) last_eventfd = ret;
  return ret;
}

int pipe2(int ends[2], int flags) {
  static int (*next)(int[2], int);
  if (next == NULL) next = NEXT(pipe2);
  if (must_fail("pipe2", CALLER)) return errno = EMFILE, -1;
  return next(ends, flags);
}

int epoll_create1(int flags) {
  static int (*next)(int);
  if (next == NULL) next = NEXT(epoll_create1);
  if (must_fail("epoll_create1", CALLER)) return errno = EMFILE, -1;
  return next(flags);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
  static int (*next)(int, int, int, struct epoll_event *);
  if (next == NULL) next = NEXT(epoll_ctl);
  /* Only putting an fd in needs anything of the kernel that it could lack, and it looks first whether it takes the
     file. */
  const int ret = next(epoll, operation, fd, event);
  if (ret < 0 || operation != EPOLL_CTL_ADD || !must_fail("epoll_ctl", CALLER)) return ret;
  next(epoll, EPOLL_CTL_DEL, fd, event);
  return errno = ENOSPC, -1;
}

/* Placeholder::init_poll() puts a file behind the placeholder's second number, the placeholder in the file's place, and
 * then both back. The kernel refuses neither of the two last where it took the two first: they name the same open fds.
 * So only the first two can fail; and for the same reason not Placeholder::replace(), which puts the placeholder behind
 * an open fd. The file of an add that takes a kept handle can. */
int dup3(int old, int new, int flags) {
  static int (*next)(int, int, int);
  static int exchanges = 0;
  if (next == NULL) next = NEXT(dup3);
  const int ends = old == placeholder && new == second;
  const int replaces = old == placeholder && !exchanges;
  const int cannot_fail = ends || replaces || old == second;
  if (!cannot_fail && must_fail("dup3", CALLER)) return errno = EBADF, -1;
  if (new == second) exchanges = !ends;
  return next(old, new, flags);
}

int poll(struct pollfd *fds, nfds_t count, int timeout) {
  static int (*next)(struct pollfd *, nfds_t, int);
  if (next == NULL) next = NEXT(poll);
  if (must_fail("poll", CALLER)) return errno = ENOMEM, -1;
  return next(fds, count, timeout);
}

int fstat(int fd, struct stat *ret) {
  static int (*next)(int, struct stat *);
  if (next == NULL) next = NEXT(fstat);
  if (must_fail("fstat", CALLER)) return errno = ENOMEM, -1;
  return next(fd, ret);
}

ssize_t readlink(const char *path, char *ret, size_t size) {
  static ssize_t (*next)(const char *, char *, size_t);
  if (next == NULL) next = NEXT(readlink);
  if (must_fail("readlink", CALLER)) return errno = ENOMEM, -1;
  return next(path, ret, size);
}

/* --- libuv and libvirt --- */

int uv_loop_init(uv_loop_t *loop) {
  static int (*next)(uv_loop_t *);
  if (next == NULL) next = NEXT(uv_loop_init);
  return must_fail("uv_loop_init", CALLER) ? UV_EMFILE : next(loop);
}

int uv_poll_init(uv_loop_t *loop, uv_poll_t *handle, int fd) {
  static int (*next)(uv_loop_t *, uv_poll_t *, int);
  if (next == NULL) next = NEXT(uv_poll_init);
  return must_fail("uv_poll_init", CALLER) ? UV_ENOMEM : next(loop, handle, fd);
}

int virInitialize(void) {
  static int (*next)(void);
  if (next == NULL) next = NEXT(virInitialize);
  return must_fail("virInitialize", CALLER) ? -1 : next();
}

/* --- For the test --- */

void inject_start(long nth) {
  failed_call = NULL;
  calls = 0;
  fail_at = nth;
}

void inject_every(const char *call) {
  failures = 0;
  failing = call;
}

long inject_failures(void) { return failures; }

const char *inject_stop(void) {
  fail_at = 0;
  failing = NULL;
  return failed_call;
}
