// SPDX-License-Identifier: LGPL-2.1-or-later

/** What the functions throw, and promises are rejected with. `code` is the name of a libuv error. */
export interface VirtUvError extends Error {
  code:
    | 'EBUSY'
    | 'ENOTCONN'
    | 'ECANCELED'
    | 'ENOTSUP'
    | 'EINVAL'
    | 'EIO'
    | 'EPERM'
    | 'ENOMEM'
    | 'EMFILE'
    | 'ENFILE'
    | 'ECONNABORTED';
}

export interface AttachOptions {
  /**
   * Log a warning when one of libvirt's callbacks holds the loop for this many milliseconds or longer, and measure the
   * longest call of each. 0, the default: neither.
   */
  slowCallbackMs?: number;
}

/**
 * Makes this thread's event loop the one in which libvirt's events are delivered, for the whole process. Call it before
 * the first libvirt connection is opened. If this thread is attached already, only the options change. Watches and
 * timeouts that were registered while another thread was attached continue here.
 *
 * Open connections then keep the process alive, as sockets do: see {@link unref}. A worker that ends, in any way,
 * detaches by itself.
 *
 * @throws EBUSY another thread is attached, a detach has not finished, or another event loop is registered with libvirt
 * @throws ENOTSUP virt-uv cannot use the libuv of this process: the log says why; or this is bun or Deno
 * @throws EINVAL a bad option
 * @throws EIO libvirt could not be initialised
 * @throws EMFILE, ENFILE, ENOMEM no fds or no memory
 */
export function attach(options?: AttachOptions): void;

/**
 * Takes the library's handles off the loop; fulfilled when none is left. What is registered stays registered, silent,
 * until the next attach, in this thread or another. If nothing is to be left, close connections and await
 * {@link drain} first. Rejected with ENOTCONN if this thread is not attached. A
 * second call during a detach is fulfilled together with the first.
 */
export function detach(): Promise<void>;

/**
 * Fulfilled when nothing is registered and nothing waits to be freed. After the last connection was closed, this is
 * the moment when its socket is closed too. Rejected with ECANCELED if a detach comes first, and with ENOTCONN if this
 * thread is not attached.
 */
export function drain(): Promise<void>;

/**
 * Whether what is registered keeps the process (or worker) alive. After each attach it does, after unref() it does not.
 * @throws ENOTCONN this thread is not attached
 */
export function ref(): void;
export function unref(): void;

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/**
 * Calls `listener` in this thread for each log line, and no longer calls the previous listener. null: no listener.
 * Lines of level "debug" come only if VIRT_UV_LOG=debug is in the environment. Without a listener, lines go to stderr
 * if VIRT_UV_LOG is error, warn, info or debug. It may be called before attach, to learn why attach fails.
 */
export function onLog(listener: ((level: LogLevel, message: string) => void) | null): void;

/** Counts since the start of the process, except the first three. Any thread, attached or not. */
export interface Stats {
  /** Registered now. */
  watches: number;
  /** Registered now. */
  timeouts: number;
  /** Removed and not freed yet. */
  freesPending: number;
  adds: number;
  frees: number;
  /** Calls of libvirt's callbacks. */
  callbacks: number;
  /** Events that came when the mask no longer wanted them. */
  dropped: number;
  /** Events whose bits were read by poll(2). */
  inspections: number;
  /** How often another thread, or the host's own code, had to wake the loop. */
  wakeups: number;
  /** Adds that failed, and watches and timeouts that could not be started at the first try. */
  failures: number;
  slowCallbacks: number;
  exceptions: number;
}

export function stats(): Stats;

interface Entry {
  /** Watches and timeouts are numbered apart. */
  id: number;
  /** Calls of its callback. */
  fired: number;
  /** The loop's time at its last call, in milliseconds; 0: never. */
  lastMs: number;
  /** Its longest call in microseconds; 0 while slowCallbackMs is 0. */
  longestUs: number;
}

export interface Watch extends Entry {
  type: 'watch';
  /** As libvirt passed it. */
  fd: number;
  /** The virEventHandleType bits that are asked for; 0: silent. */
  events: number;
}

export interface Timeout extends Entry {
  type: 'timeout';
  /** Milliseconds; 0: in every iteration; negative: disabled. */
  frequency: number;
}

/** Each watch and timeout that is registered. Any thread, attached or not. */
export function watches(): Array<Watch | Timeout>;

/** The version of the library inside: "major.minor.micro". */
export const version: string;
