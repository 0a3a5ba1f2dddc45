/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * virt-uv: libvirt's events in a libuv loop.
 *
 *     uv_loop_t *loop = uv_default_loop();
 *     int err = virt_uv_attach(loop, NULL);      // before the first virConnectOpen
 *     if (err < 0) { fprintf(stderr, "%s\n", uv_strerror(err)); return 1; }
 *     ... virConnectOpen, virConnectDomainEventRegisterAny, uv_run(loop, UV_RUN_DEFAULT) ...
 *
 * There is one instance for each process, because libvirt has one event loop for each process. libvirt keeps the
 * six functions for good (there is no unregister), so this library is never unloaded.
 *
 * Threads. "The loop's thread" is the thread that runs the loop, or, while none does, one thread that owns it.
 * Each function says which threads may call it. Functions marked "any thread" may be called with any lock held: they
 * never wait for the loop, and call nothing of the caller's but the log function.
 *
 * Errors are negative libuv codes: uv_strerror() and uv_err_name() name them. Where a function fails, none of its
 * out-parameters is touched.
 *
 * fork(): a child that did not exec may call exec, _exit, and of this library nothing: there, attach and
 * detach answer UV_EPERM, add answers -1, remove -1, update does nothing, and the parent's loop is not touched.
 *
 * What cannot fail cleanly: libuv itself aborts the process when memory runs out while it enlarges its table of fds,
 * and when the kernel refuses an epoll_ctl for want of memory or of fs.epoll.max_user_watches.
 */
#ifndef VIRT_UV_H
#define VIRT_UV_H

#include <stddef.h>
#include <stdint.h>

#include <libvirt/libvirt.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define VIRT_UV_EXPORT __attribute__((visibility("default")))
#else
#define VIRT_UV_EXPORT
#endif

#define VIRT_UV_VERSION_MAJOR 0
#define VIRT_UV_VERSION_MINOR 1
#define VIRT_UV_VERSION_MICRO 0
/* As libvirt's LIBVIR_VERSION_NUMBER: major * 1,000,000 + minor * 1,000 + micro. */
#define VIRT_UV_VERSION_NUMBER (VIRT_UV_VERSION_MAJOR * 1000000 + VIRT_UV_VERSION_MINOR * 1000 + VIRT_UV_VERSION_MICRO)

/* Called once, on the loop's thread, on a clean stack: from no callback of libvirt's and with no lock held. It may call
 * any function of this header. */
typedef void (*virt_uv_cb)(void *opaque);

typedef enum virt_uv_log_level {
  VIRT_UV_LOG_ERROR = 1, /* something that was asked for will not happen */
  VIRT_UV_LOG_WARN = 2,  /* a caller's mistake, or a callback that holds the loop for long */
  VIRT_UV_LOG_INFO = 3,  /* attached, detached */
  VIRT_UV_LOG_DEBUG = 4  /* each watch and timeout, as it comes and goes */
} virt_uv_log_level;

/* One line of text without a newline. Called from any thread, libvirt's own locks possibly held: it must not call
 * libvirt, nor wait for a thread that does. `message` is valid for the call only. An exception it lets out is dropped.
 */
typedef void (*virt_uv_log_cb)(virt_uv_log_level level, const char *message, void *opaque);

typedef struct virt_uv_options {
  size_t size;    /* sizeof(virt_uv_options): VIRT_UV_OPTIONS_INIT sets it */
  unsigned flags; /* none is defined: 0 */
  /* Takes every log line of level info and up, and of debug too when VIRT_UV_LOG=debug. NULL: lines go to stderr
   * when the environment variable VIRT_UV_LOG is error, warn, info or debug, and nowhere otherwise. Both
   * must stay valid until the `done` of virt_uv_detach, and until calls have returned that another thread was in by
   * then. */
  virt_uv_log_cb log;
  void *log_opaque;
  /* Milliseconds: warn when a callback of libvirt's holds the loop for this long or longer, and measure the longest
   * call of each watch and timeout for virt_uv_walk. 0: neither; this saves two clock readings a callback. */
  unsigned slow_callback_ms;
} virt_uv_options;

#define VIRT_UV_OPTIONS_INIT \
  { sizeof(virt_uv_options), 0, NULL, NULL, 0 }

/* Makes `loop` (NULL: uv_default_loop()) the loop that libvirt's events come in, for the whole process.
 *
 * Call it on the loop's thread, before the first libvirt connection is opened: connections opened with no event loop
 * registered have no events. It calls virInitialize(), registers with virEventRegisterImpl() if that was not done yet,
 * and proves that the registration leads here. Watches and timeouts registered before, also while another loop was
 * attached, go on in this one. The loop stays the caller's; the library keeps a few handles and three fds on it until
 * virt_uv_detach() is done.
 *
 * What is registered keeps uv_run() from returning, as a socket would: see virt_uv_unref().
 *
 * Returns 0, also when it is attached to this loop already (`options` are then taken over), or
 *   UV_EINVAL   options: size too small, a flag unknown to this version, or non-zero bytes beyond what it knows;
 *   UV_EBUSY    another loop is attached, a detach has not finished, or another event loop is registered with libvirt;
 *   UV_ENOTSUP  the libuv in this process is not one that this library can drive (the log says which and why);
 *   UV_EIO      libvirt could not be initialised;
 *   UV_EPERM    in a forked child;
 *   UV_ENOMEM, UV_EMFILE, UV_ENFILE  no memory, or no fds (it needs three). */
VIRT_UV_EXPORT int virt_uv_attach(uv_loop_t *loop, const virt_uv_options *options);

/* Gives the loop back: closes every handle that the library has on it. `done(opaque)` (may be NULL) runs in the loop
 * once the last one is closed, so the loop must turn until then; after that uv_loop_close() finds none of ours.
 *
 * Call it on the loop's thread; inside a callback of libvirt's is allowed. What is registered stays so, and silent,
 * until the next attach: libvirt may go on calling; calls are kept. What had been removed by the time of the call is
 * freed before `done`. Close connections and virt_uv_drain() first where nothing is to be left over.
 *
 * Returns 0, or
 *   UV_ENOTCONN      no loop is attached;
 *   UV_EALREADY      a detach is under way;
 *   UV_ECONNABORTED  the host had closed our handles itself (a uv_walk that closes everything): the loop is
 *                    given up, `done` is not called, and the memory of those handles is left alone for good;
 *   UV_EPERM         in a forked child. */
VIRT_UV_EXPORT int virt_uv_detach(virt_uv_cb done, void *opaque);

/* Calls `idle(opaque)` (not NULL) in the loop, once, as soon as nothing is registered and nothing waits to be freed:
 * after virConnectClose() of the last connection, that is the moment when its socket has been closed. Never from within
 * this call. Several may wait. One that waits when the loop is detached waits on, for the next attach.
 *
 * Call it on the loop's thread. Returns 0, UV_EINVAL (idle is NULL), UV_ENOTCONN (no loop is attached), UV_ENOMEM, or
 * UV_EPERM (in a forked child). */
VIRT_UV_EXPORT int virt_uv_drain(virt_uv_cb idle, void *opaque);

/* The loop attached, or NULL: none, or a detach is under way, or the host closed our handles. Any thread. */
VIRT_UV_EXPORT uv_loop_t *virt_uv_loop(void);

/* As uv_ref() and uv_unref() for all that is registered, as one: does it (a disabled timeout and a watch with mask 0, a
 * free or a drain that is waited for included) keep uv_run() from returning? By default it does. Idempotent; may be
 * called before attach, and holds across detach and attach. Call them on the loop's thread.
 *
 * A loop whose uv_run() has returned because nothing was registered is made alive again by a registration on the thread
 * that last ran it, before another thread runs it; one from another thread can't do that (libuv has no call for it). */
VIRT_UV_EXPORT void virt_uv_ref(void);
VIRT_UV_EXPORT void virt_uv_unref(void);

/* Counts since the process began, but for the first three. */
typedef struct virt_uv_stats {
  size_t size;            /* sizeof(virt_uv_stats): VIRT_UV_STATS_INIT sets it; only so much is written */
  uint64_t watches;       /* registered now */
  uint64_t timeouts;      /* registered now */
  uint64_t frees_pending; /* removed, and `ff` not called yet */
  uint64_t adds;      /* successful adds of watches and timeouts; adds == watches + timeouts + frees_pending + frees */
  uint64_t frees;     /* removed and done with: `ff`, where there is one, has returned */
  uint64_t callbacks; /* calls of libvirt's callbacks */
  uint64_t dropped;   /* events that came for a mask that no longer wanted them */
  uint64_t inspections;    /* events whose bits were asked of poll(2) */
  uint64_t wakeups;        /* times another thread (or the host's own code) had to wake the loop */
  uint64_t failures;       /* adds that failed, and what could not be armed or started at the first try */
  uint64_t slow_callbacks; /* callbacks that took slow_callback_ms or longer */
  uint64_t exceptions;     /* C++ exceptions that a callback let out */
} virt_uv_stats;

#define VIRT_UV_STATS_INIT \
  { sizeof(virt_uv_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Fills in *ret, whose `size` says how much of it there is. Any thread; counts are each exact, but not taken at one
 * moment while other threads are at work. Returns 0, or UV_EINVAL (ret is NULL, or its size is less than that of a
 * size_t). */
VIRT_UV_EXPORT int virt_uv_get_stats(virt_uv_stats *ret);

/* One watch or timeout. */
typedef struct virt_uv_entry {
  size_t size;         /* of this struct, as the library knows it */
  int is_timeout;      /* 0: a watch, with fd and events; 1: a timeout, with frequency */
  int id;              /* as add returned it: watches and timeouts are numbered apart */
  int fd;              /* as it was given to add; -1 for a timeout */
  int events;          /* virEventHandleType bits as they were last asked for; 0: silent */
  int frequency;       /* milliseconds; 0: every iteration; negative: disabled */
  uint64_t fired;      /* calls of its callback */
  uint64_t last_ms;    /* uv_now() of the loop when it was last called; 0: never */
  uint64_t longest_us; /* its longest call in microseconds, rounded up to ten, at most 167 s; 0 while slow_callback_ms
                          is 0 */
} virt_uv_entry;

typedef void (*virt_uv_walk_cb)(const virt_uv_entry *entry, void *opaque);

/* Calls `cb` for each watch and timeout that is registered when it is called, with no lock held: it may call anything.
 * `entry` is valid for the call only. Any thread. Returns their number, UV_EINVAL (cb is NULL) or UV_ENOMEM. */
VIRT_UV_EXPORT int virt_uv_walk(virt_uv_walk_cb cb, void *opaque);

/* VIRT_UV_VERSION_NUMBER and "major.minor.micro" of the library that is loaded. Any thread. */
VIRT_UV_EXPORT unsigned virt_uv_version(void);
VIRT_UV_EXPORT const char *virt_uv_version_string(void);

/* The six functions that libvirt calls, for hosts that register a loop of their own with virEventRegisterImpl() and
 * pass calls on to this one. Any thread; allowed before attach and after detach, when calls are kept for the next
 * attach.
 *
 * add:     returns an id of at least 1 (rarely reused: not before 2^31 others), or -1, and the log says why: `fd` is
 * not an open fd, `cb` is NULL, no memory, no fd free (each watch polls its own duplicate of `fd`, so the caller may
 * close or reuse the number at any time). When it returns -1, `ff` is never called. `cb` is called in the loop, never
 * by add itself. `events` are virEventHandleType bits; others are ignored. 0: registered but silent. `frequency`:
 * milliseconds, repeating; 0: in every iteration; negative: disabled. update:  an id that is not registered is silently
 * ignored, as libvirt relies on. update_timeout restarts the countdown. remove:  returns 0, or -1 for an id that is not
 * registered. Does not wait for a callback that is running. `ff(opaque)` (may be NULL) is called once, in the loop,
 * after the last callback, on a clean stack with no lock held. */
VIRT_UV_EXPORT int virt_uv_add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff);
VIRT_UV_EXPORT void virt_uv_update_handle(int watch, int events);
VIRT_UV_EXPORT int virt_uv_remove_handle(int watch);
VIRT_UV_EXPORT int virt_uv_add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff);
VIRT_UV_EXPORT void virt_uv_update_timeout(int timer, int frequency);
VIRT_UV_EXPORT int virt_uv_remove_timeout(int timer);

/* For language bindings: logs that a callback let an exception out and counts it in virt_uv_stats. `what` may be
 * NULL. Any thread. */
VIRT_UV_EXPORT void virt_uv_report_exception(const char *what);

#ifdef __cplusplus
}
#endif

#endif
