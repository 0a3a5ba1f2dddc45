/* SPDX-License-Identifier: LGPL-2.1-or-later */
/** @file virt-uv.h
 * @brief libvirt's events in a libuv loop: see virt-uv(7), which is the comment below
 */
/** @page virt-uv libvirt's events in a libuv loop
 *
 * # Description
 *
 * Each function of `<virt-uv/virt-uv.h>` has a manual page, made of the comments in it: virt_uv_attach(3), and so on.
 *
 *     uv_loop_t *loop = uv_default_loop();
 *     int err = virt_uv_attach(loop, NULL);      // before the first virConnectOpen
 *     if (err < 0) return err;                   // uv_strerror(err) names it
 *     ... virConnectOpen, virConnectDomainEventRegisterAny, uv_run(loop, UV_RUN_DEFAULT) ...
 *
 * The host ignores SIGPIPE, which libvirt's sockets raise when a peer has gone. It makes no call
 * of libvirt's that waits for another machine in the loop's thread, virConnectOpen() above all: everything else in the
 * loop would wait too. It deregisters its events and closes its connections before it waits for virt_uv_drain().
 *
 * There is one instance for each process, because libvirt has one event loop for each process. libvirt keeps the
 * six functions for good (there is no unregister), so this library is never unloaded.
 *
 * # Threads
 *
 * Here "the loop's thread" is the thread that runs the loop, or, while none does, one thread that owns it.
 * Each function says which threads may call it. Functions marked "any thread" may be called with any lock held: they
 * never wait for the loop, wait for a lock of the library for a bounded time only, and call nothing of the caller's
 * except the log function. A function that is for the loop's thread fails with UV_EPERM, and a line in the log, where
 * it is noticed that another thread is running the loop.
 *
 * A loop may be passed to another thread between two runs. The thread that ran it last must not register anything with
 * libvirt while the new one begins to run it: until the first callback of the new run, or until the new one has called
 * virt_uv_take_loop().
 *
 * # Errors
 *
 * Errors are negative libuv codes: uv_strerror() and uv_err_name() name them. Where a function fails, none of its
 * out-parameters is touched. Every refusal has a line in the log.
 *
 * # Handles on the loop
 *
 * Their `data` is NULL for their whole life. A host that walks its loop must leave handles
 * alone that are not its own. One that closes them all the same loses libvirt's events, and nothing else: it is noticed
 * and logged before the handle is needed next, and virt_uv_loop() is NULL from then on. What is registered goes on at
 * the next attach.
 *
 * # Callbacks
 *
 * An exception ends in the library, which logs it. pthread_exit and pthread_cancel unwind through it, except
 * out of the log function. A callback that leaves by longjmp skips frames of libuv, which may lose what libuv has at
 * hand in that iteration; the library itself goes on with the next. libuv does not allow uv_run() within a callback;
 * where a host does it all the same, the order of callbacks is not promised, and the `ff` of what is being called waits
 * until its callback has returned.
 *
 * # Fork
 *
 * Where a loop was attached at the fork, or was being attached or detached, the child may call exec and _exit,
 * and of this library nothing: attach, detach and drain return UV_EPERM, add and remove -1, update does nothing, the
 * first call is logged, no callback is called, and the parent's loop is not touched. Where no loop was attached, the
 * child may attach: what the parent had registered is not the child's.
 *
 * # What cannot fail cleanly
 *
 * libuv itself aborts the process when memory runs out while it enlarges its table of fds,
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

#define VIRT_UV_VERSION_MAJOR 0 /**< of these headers */
#define VIRT_UV_VERSION_MINOR 2 /**< of these headers */
#define VIRT_UV_VERSION_MICRO 0 /**< of these headers */
/** @brief As libvirt's LIBVIR_VERSION_NUMBER: major * 1,000,000 + minor * 1,000 + micro. */
#define VIRT_UV_VERSION_NUMBER (VIRT_UV_VERSION_MAJOR * 1000000 + VIRT_UV_VERSION_MINOR * 1000 + VIRT_UV_VERSION_MICRO)

/** @brief Called once, on the loop's thread, on a clean stack: from no callback of libvirt's and with no lock held. It
 * may call any function of this header. */
typedef void (*virt_uv_cb)(void *opaque);

/** @brief How much a line of the log matters. */
typedef enum virt_uv_log_level {
  VIRT_UV_LOG_ERROR = 1, /**< something that was asked for will not happen */
  VIRT_UV_LOG_WARN = 2,  /**< a caller's mistake, or a callback that holds the loop for long */
  VIRT_UV_LOG_INFO = 3,  /**< attached, detached */
  VIRT_UV_LOG_DEBUG = 4  /**< each watch and timeout, as it comes and goes */
} virt_uv_log_level;

/** @brief One line of text without a newline. Called from any thread, libvirt's own locks possibly held: it must not
 * call libvirt, nor wait for a thread that does. It may call this library; a line that such a call causes goes to
 * stderr. `message` is valid for the call only. An exception it lets out is dropped. */
typedef void (*virt_uv_log_cb)(virt_uv_log_level level, const char *message, void *opaque);

/** @brief For virt_uv_attach(). Start from VIRT_UV_OPTIONS_INIT: a later version may have more members. */
typedef struct virt_uv_options {
  size_t size;    /**< sizeof(virt_uv_options): VIRT_UV_OPTIONS_INIT sets it */
  unsigned flags; /**< none is defined: 0 */
  /** Takes every log line of level info and up, and of debug too when VIRT_UV_LOG=debug. NULL: lines go to stderr, as
   * far as the environment variable VIRT_UV_LOG says: none, error, warn, info or debug; warn if it is unset. It
   * and `log_opaque` must stay valid until the `done` of virt_uv_detach, or until it returns UV_ECONNABORTED, and until
   * calls have returned that another thread was in by then. */
  virt_uv_log_cb log;
  void *log_opaque; /**< passed to `log` */
  /** Milliseconds: warn when a callback of libvirt's holds the loop for this long or longer, and measure the longest
   * call of each watch and timeout for virt_uv_walk. 0: neither, which saves two clock readings a callback; unless the
   * environment variable VIRT_UV_SLOW_CALLBACK_MS has a number at attach. */
  unsigned slow_callback_ms;
} virt_uv_options;

/** @brief The default options. */
#define VIRT_UV_OPTIONS_INIT \
  { sizeof(virt_uv_options), 0, NULL, NULL, 0 }

/** @brief Makes `loop` the loop that libvirt's events come in, for the whole process.
 *
 * Call it on the loop's thread, before the first libvirt connection is opened: connections opened with no event loop
 * registered have no events. It calls virInitialize(), registers with virEventRegisterImpl() if that was not done yet,
 * and proves that the registration leads here. Watches and timeouts registered before, also while another loop was
 * attached, go on in this one. The loop stays the caller's; the library keeps a few handles and three fds on it until
 * virt_uv_detach() is done.
 *
 * What is registered keeps uv_run() from returning, as a socket would: see virt_uv_unref().
 *
 * An attach that fails changes nothing; its lines in the log go to the log function of `options`.
 *
 * @param loop the host's; NULL: uv_default_loop()
 * @param options NULL: the default ones
 * @return 0, also when it is attached to this loop already (`options` are then taken over), or an error
 * @retval UV_EINVAL options: size too small, a flag unknown to this version, or non-zero bytes beyond what it knows
 * @retval UV_EBUSY another loop is attached, a detach has not finished, or another event loop is registered with
 * libvirt
 * @retval UV_ENOTSUP the libuv in this process is not one that this library can drive (the log says which and why)
 * @retval UV_EIO libvirt could not be initialised
 * @retval UV_EPERM in a forked child, or on another thread than the loop's
 * @retval UV_ENOMEM no memory
 * @retval UV_EMFILE no fds, and so is UV_ENFILE: it keeps three, and needs up to ten for the moment in which it tries
 * out libuv
 * @retval UV_ENOSPC no room in epoll */
VIRT_UV_EXPORT int virt_uv_attach(uv_loop_t *loop, const virt_uv_options *options);

/** @brief Gives the loop back: closes every handle that the library has on it.
 *
 * `done(opaque)` runs in the loop once the last one is closed, so the loop must run until then; after that
 * uv_loop_close() finds none of the library's. The handles of 256 watches at most are closed in an iteration, so that
 * the loop does not stand still with thousands.
 *
 * Call it on the loop's thread; inside a callback of libvirt's is allowed. What is registered stays so, and silent,
 * until the next attach: libvirt may go on calling; calls are kept. What had been removed by the time of the call is
 * freed before `done`. Close connections and virt_uv_drain() first where nothing is to be left over.
 *
 * @param done may be NULL
 * @param opaque passed to `done`
 * @return 0 or an error
 * @retval UV_ENOTCONN no loop is attached
 * @retval UV_EALREADY a detach is under way
 * @retval UV_ECONNABORTED the host had closed our handles itself (a uv_walk that closes everything): the loop is given
 * up, `done` is not called, the log function is not called any more, and the memory of those handles is left alone for
 * good
 * @retval UV_EPERM in a forked child, or on another thread than the loop's */
VIRT_UV_EXPORT int virt_uv_detach(virt_uv_cb done, void *opaque);

/** @brief Calls `idle(opaque)` in the loop, once, as soon as nothing is registered and nothing waits to be freed.
 *
 * After virConnectClose() of the last connection, that is the moment when its socket has been closed. Never from within
 * this call. Several may wait. One that waits when the loop is detached waits on, for the next attach. After five
 * seconds of waiting, one line of level warn says what is still registered: most often a registered event, or an object
 * such as a virDomainPtr, which keeps its connection open.
 *
 * Call it on the loop's thread.
 *
 * @param idle not NULL
 * @param opaque passed to `idle`
 * @return 0 or an error
 * @retval UV_EINVAL `idle` is NULL
 * @retval UV_ENOTCONN no loop is attached
 * @retval UV_ENOMEM no memory
 * @retval UV_EPERM in a forked child, or on another thread than the loop's */
VIRT_UV_EXPORT int virt_uv_drain(virt_uv_cb idle, void *opaque);

/** @brief The loop that is attached.
 *
 * Any thread.
 *
 * @return the loop; NULL: there is none, or a detach is under way, or the host closed our handles */
VIRT_UV_EXPORT uv_loop_t *virt_uv_loop(void);

/** @brief Makes the calling thread the loop's thread, as the first callback of a run on another thread does.
 *
 * Call it on a thread that is going to run a loop which another thread ran before or attached, where that other one may
 * be registering with libvirt meanwhile: once this has returned, it no longer touches the loop. No thread may be
 * running the loop. It is cheap where the calling thread is the loop's already, so it may come before each run.
 *
 * Any thread.
 *
 * @return 0 or an error
 * @retval UV_ENOTCONN no loop is attached
 * @retval UV_EPERM in a forked child, or another thread is running the loop */
VIRT_UV_EXPORT int virt_uv_take_loop(void);

/** @brief Has what is registered keep uv_run() from returning, as uv_ref() does. It is the default.
 *
 * It is for all that is registered, as one: a disabled timeout and a watch with mask 0, a free or a drain that is
 * waited for included. Idempotent; may be called before attach, and holds across detach and attach. Call it on the
 * loop's thread.
 *
 * A loop whose uv_run() has returned because nothing was registered is made alive again by a registration on the thread
 * that last ran it, before another thread runs it. One from another thread cannot do that (libuv has no call for it):
 * call virt_uv_ref() on the loop's thread then, before uv_run(). */
VIRT_UV_EXPORT void virt_uv_ref(void);

/** @brief Lets uv_run() return while something is registered, as uv_unref() does.
 *
 * The opposite of virt_uv_ref(), and called as that is. */
VIRT_UV_EXPORT void virt_uv_unref(void);

/** @brief Counts since the process began, except the first three. */
typedef struct virt_uv_stats {
  size_t size;            /**< sizeof(virt_uv_stats): VIRT_UV_STATS_INIT sets it; only so much is written */
  uint64_t watches;       /**< registered now */
  uint64_t timeouts;      /**< registered now */
  uint64_t frees_pending; /**< removed, and `ff` not called yet */
  uint64_t adds;  /**< successful adds of watches and timeouts; adds == watches + timeouts + frees_pending + frees */
  uint64_t frees; /**< removed and done with: `ff`, where there is one, has been called */
  uint64_t callbacks;      /**< calls of libvirt's callbacks */
  uint64_t dropped;        /**< events that came for a mask that no longer wanted them */
  uint64_t inspections;    /**< events whose bits were asked of poll(2) */
  uint64_t wakeups;        /**< times another thread (or the host's own code) had to wake the loop */
  uint64_t failures;       /**< adds that failed, and what could not be armed or started at the first try */
  uint64_t slow_callbacks; /**< callbacks that took slow_callback_ms or longer */
  uint64_t exceptions;     /**< C++ exceptions that a callback let out */
  uint64_t longest_us;     /**< the longest call of a callback in microseconds; 0 while slow_callback_ms is 0 */
  uint64_t most_watches;   /**< that were registered at one time */
  uint64_t most_timeouts;  /**< that were registered at one time */
} virt_uv_stats;

/** @brief For virt_uv_get_stats(). */
#define VIRT_UV_STATS_INIT \
  { sizeof(virt_uv_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** @brief Fills in `*ret`, whose `size` says how much of it there is.
 *
 * Any thread; counts are each exact, but not taken at one moment while other threads are at work.
 *
 * @param ret start from VIRT_UV_STATS_INIT
 * @return 0 or an error
 * @retval UV_EINVAL `ret` is NULL, or its size is less than that of a size_t */
VIRT_UV_EXPORT int virt_uv_get_stats(virt_uv_stats *ret);

/** @brief One watch or timeout. */
typedef struct virt_uv_entry {
  size_t size;         /**< of this struct, as the library knows it */
  int is_timeout;      /**< 0: a watch, with fd and events; 1: a timeout, with frequency */
  int id;              /**< as add returned it: watches and timeouts are numbered apart */
  int fd;              /**< as it was given to add; -1 for a timeout */
  int events;          /**< virEventHandleType bits as they were last asked for; 0: silent */
  int frequency;       /**< milliseconds; 0: every iteration; negative: disabled */
  uint64_t fired;      /**< calls of its callback */
  uint64_t last_ms;    /**< uv_now() of the loop when it was last called; 0: never */
  uint64_t longest_us; /**< its longest call in microseconds, rounded up to ten, at most 167 s; 0 while slow_callback_ms
                          is 0 */
} virt_uv_entry;

/** @brief Called by virt_uv_walk(), with no lock held: it may call anything. `entry` is valid for the call only. */
typedef void (*virt_uv_walk_cb)(const virt_uv_entry *entry, void *opaque);

/** @brief Calls `cb` for each watch and timeout that is registered when it is called.
 *
 * Any thread.
 *
 * @param cb not NULL
 * @param opaque passed to `cb`
 * @return their number, or an error
 * @retval UV_EINVAL `cb` is NULL
 * @retval UV_ENOMEM no memory */
VIRT_UV_EXPORT int virt_uv_walk(virt_uv_walk_cb cb, void *opaque);

/** @brief VIRT_UV_VERSION_NUMBER of the library that is loaded.
 *
 * Any thread.
 *
 * @return the number */
VIRT_UV_EXPORT unsigned virt_uv_version(void);

/** @brief The version of the library that is loaded.
 *
 * Any thread.
 *
 * @return "major.minor.micro", which stays valid */
VIRT_UV_EXPORT const char *virt_uv_version_string(void);

/** @name The six functions
 *
 * The six functions that libvirt calls, for hosts that register a loop of their own with virEventRegisterImpl() and
 * pass calls on to this one. Any thread; allowed before attach and after detach, when calls are kept for the next
 * attach.
 *
 * - add returns an id of at least 1, which is not used again before 2^31 others, or -1, and the log says why: `fd` is
 *   not an open fd, `cb` is NULL, no memory, no free fd, or a million are registered. When it returns -1, `ff` is never
 *   called. `cb` is called in the loop, never by add itself.
 * - `events` are virEventHandleType bits; others are ignored. 0: registered but silent.
 * - `frequency` is in milliseconds, and repeats. 0: in every iteration. Negative: disabled.
 * - update of an id that is not registered is silently ignored, as libvirt relies on. update_timeout restarts the
 *   countdown.
 * - remove returns 0, or -1 for an id that is not registered. It does not wait for a callback that is running.
 * - `ff(opaque)` (may be NULL) is called once, in the loop, after the last callback, on a clean stack, no lock held.
 *
 * Each watch polls a duplicate of `fd`, so the caller may close or reuse the number at any time; but the peer sees the
 * end only once the watch is removed. The number of a removed watch stays open for the next one, with an eventfd behind
 * it, for about two seconds of the loop; such numbers are an eighth at most of RLIMIT_NOFILE. A file that epoll
 * refuses (a regular file, /dev/null) is watched under the caller's number, as closing a duplicate would release the
 * record locks that the process holds on it: remove its watch before closing it. @{ */

/** @brief Watches an fd.
 *
 * Any thread, before attach and after detach too. The watch polls a duplicate of the fd, so the caller may close or
 * reuse the number at any time. virt-uv.h(3) has what holds for all six functions.
 *
 * @param fd an open fd: it stays the caller's
 * @param events virEventHandleType bits; 0: registered but silent
 * @param cb not NULL; called in the loop, never by this function
 * @param opaque passed to `cb` and `ff`
 * @param ff may be NULL; called once, in the loop, after the watch was removed
 * @return an id of at least 1; or -1, and then the log says why, and `ff` is never called */
VIRT_UV_EXPORT int virt_uv_add_handle(int fd, int events, virEventHandleCallback cb, void *opaque, virFreeCallback ff);

/** @brief Replaces the events of a watch.
 *
 * Any thread, in any callback too. An event that the new mask does not have is not delivered any more.
 *
 * @param watch the id; one that is not registered is silently ignored
 * @param events virEventHandleType bits; 0: silent */
VIRT_UV_EXPORT void virt_uv_update_handle(int watch, int events);

/** @brief Removes a watch.
 *
 * It does not wait for a callback that is running. `ff` is called later, in the loop. Any thread.
 *
 * @param watch the id
 * @return 0, or -1: it is not registered */
VIRT_UV_EXPORT int virt_uv_remove_handle(int watch);

/** @brief Calls `cb` every `frequency` milliseconds.
 *
 * Any thread, before attach and after detach too.
 *
 * @param frequency milliseconds; 0: in every iteration; negative: disabled
 * @param cb not NULL; called in the loop, never by this function
 * @param opaque passed to `cb` and `ff`
 * @param ff may be NULL; called once, in the loop, after the timeout was removed
 * @return an id of at least 1, numbered apart from watches; or -1, and then the log says why, and `ff` is never called
 */
VIRT_UV_EXPORT int virt_uv_add_timeout(int frequency, virEventTimeoutCallback cb, void *opaque, virFreeCallback ff);

/** @brief Replaces the frequency of a timeout, and restarts the countdown.
 *
 * Any thread, in any callback too.
 *
 * @param timer the id; one that is not registered is silently ignored
 * @param frequency milliseconds; 0: in every iteration; negative: disabled */
VIRT_UV_EXPORT void virt_uv_update_timeout(int timer, int frequency);

/** @brief Removes a timeout.
 *
 * It does not wait for a callback that is running. `ff` is called later, in the loop. Any thread.
 *
 * @param timer the id
 * @return 0, or -1: it is not registered */
VIRT_UV_EXPORT int virt_uv_remove_timeout(int timer);

/** @} */

/** @brief For language bindings: logs that a callback let an exception out and counts it in virt_uv_stats.
 *
 * Any thread.
 *
 * @param what may be NULL */
VIRT_UV_EXPORT void virt_uv_report_exception(const char *what);

#ifdef __cplusplus
}
#endif

#endif
