// SPDX-License-Identifier: LGPL-2.1-or-later

/** Errors thrown and rejected with are Errors whose `code` is the name of a libuv error. */
export interface VirtUvError extends Error {
  code: 'EBUSY' | 'ENOTCONN' | 'ECANCELED' | 'ENOTSUP' | 'EINVAL' | 'EIO' | 'EPERM' | 'ENOMEM' | 'EMFILE' | 'ENFILE' | 'ECONNABORTED';
}

export interface AttachOptions {
  /** Warn in the log when a libvirt callback holds the loop for this many milliseconds or longer, and measure each one's longest call. 0, the default: neither. */
  slowCallbackMs?: number;
}

/**
 * Makes this thread's event loop the one that libvirt's events come in, for the whole process. Call it before the first
 * libvirt connection is opened. Attached already: the options are taken over. Watches and timeouts that were registered while
 * another thread was attached go on here.
 *
 * Open connections then keep the process alive, as sockets do: see {@link unref}. When a worker ends, whichever way, it detaches by itself.
 *
 * @throws EBUSY another thread is attached, a detach has not finished, or another event loop is registered with libvirt
 * @throws ENOTSUP the libuv of this process cannot be driven: the log says why
 * @throws EINVAL a bad option
 * @throws EIO libvirt could not be initialised
 * @throws EMFILE, ENFILE, ENOMEM no fds or no memory
 */
export function attach(options?: AttachOptions): void;

/**
 * Gives the loop back; fulfilled when none of our handles is on it. What is registered stays so, silent, until
 * the next attach, in this thread or another. To leave nothing over, close connections and await {@link drain} first.
 * Rejected with ENOTCONN when this thread is not attached.
 */
export function detach(): Promise<void>;

/**
 * Fulfilled when nothing is registered and nothing waits to be freed: after the last connection was closed, that is
 * when its socket is closed too. Rejected with ECANCELED when a detach comes first, ENOTCONN when this thread is not attached.
 */
export function drain(): Promise<void>;

/**
 * Does what is registered keep the process (or worker) alive? From each attach on it does; after unref() it does not.
 * @throws ENOTCONN this thread is not attached
 */
export function ref(): void;
export function unref(): void;

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/**
 * Calls `listener` in this thread for each log line ("debug" ones when VIRT_UV_LOG=debug is in the environment), in place of the one before; null: nobody. Without a listener
 * lines go to stderr when VIRT_UV_LOG is error, warn, info or debug. May be called before attach, to hear why it fails.
 */
export function onLog(listener: ((level: LogLevel, message: string) => void) | null): void;

/** Counts since the process began, but for the first three. From any thread, attached or not. */
export interface Stats {
  /** Registered now. */
  watches: number;
  /** Registered now. */
  timeouts: number;
  /** Removed, and not freed yet. */
  freesPending: number;
  adds: number;
  frees: number;
  /** Calls of libvirt's callbacks. */
  callbacks: number;
  /** Events that came for a mask that no longer wanted them. */
  dropped: number;
  /** Events whose bits were asked of poll(2). */
  inspections: number;
  /** Times another thread had to wake the loop. */
  wakeups: number;
  /** Adds that failed, and watches that could not be armed at the first try. */
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
  /** The loop's time of its last call in milliseconds; 0: never. */
  lastMs: number;
  /** Its longest call in microseconds; 0 while slowCallbackMs is 0. */
  longestUs: number;
}

export interface Watch extends Entry {
  type: 'watch';
  /** As libvirt gave it. */
  fd: number;
  /** virEventHandleType bits asked for; 0: silent. */
  events: number;
}

export interface Timeout extends Entry {
  type: 'timeout';
  /** Milliseconds; 0: in every iteration; negative: disabled. */
  frequency: number;
}

/** Each watch and timeout that is registered. From any thread, attached or not. */
export function watches(): Array<Watch | Timeout>;

/** Of the library inside: "major.minor.micro". */
export const version: string;
