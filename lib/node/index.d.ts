// SPDX-License-Identifier: LGPL-2.1-or-later

import { EventEmitter } from 'events';
import { ConnectionRecord, LibvirtEvent, WatchEvent, WatchRecord } from './records';

export * from './records';

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
 * {@link drain} first. Rejected with ENOTCONN if this thread is not attached, and with EBUSY while a watcher is open. A
 * second call during a detach is fulfilled together with the first.
 */
export function detach(): Promise<void>;

/**
 * Fulfilled when nothing is registered and nothing waits to be freed. After the last connection was closed, this is
 * the moment when its socket is closed too. The connections of open watchers count. Rejected with ECANCELED if a detach
 * comes first, and with ENOTCONN if this thread is not attached.
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

export interface WatchOptions {
  /**
   * Kinds of events, as `virt-uv-events --list` names them, and globs: 'lifecycle', 'network-*'. Default: every kind
   * that the driver offers. One that is named and not offered is a warning.
   */
  events?: LibvirtEvent['event'] | (string & {}) | ReadonlyArray<LibvirtEvent['event'] | (string & {})>;
  /** A record with the present state of each domain whenever a connection is opened, before the events. */
  state?: boolean;
  /**
   * Ask a silent host for a sign of life every `interval` seconds, and take the connection for lost after `count`
   * questions without an answer. Default: { interval: 5, count: 6 }. false: never.
   */
  keepalive?: { interval: number; count: number } | false;
  /** false: a connection that cannot be opened, or is lost, is an error, and not tried again. */
  reconnect?: boolean;
  /** The bound of the queue, in bytes of JSON: at least 4096. Default: 4194304, some 30,000 events. */
  queueBytes?: number;
  /** Closes the watcher when it is aborted. */
  signal?: AbortSignal;
}

/** What listeners of `error` and `warning` are called with, and the iterator is rejected with. */
export interface WatchError extends Error {
  /** EINVAL: libvirt cannot read the URI. EIO: what libvirt or the host reports. Others: as of attach(). */
  code?: string;
  uri?: string;
}

interface WatcherEvents {
  /** An event of libvirt's, a domain's state, or the count of what the full queue has dropped. */
  event: (event: WatchEvent) => void;
  connection: (connection: ConnectionRecord) => void;
  /**
   * Something that was asked for does not come: a URI that libvirt cannot read, an event that it refuses, a connection
   * that is not tried again. The other connections go on. With no listener the iterator is rejected, which closes the
   * watcher; where records are emitted and there is no iterator, it is an uncaught exception.
   */
  error: (error: WatchError) => void;
  /** A connection cannot be opened, or is lost, and will be tried again; an event that its driver does not offer. */
  warning: (warning: WatchError) => void;
}

/**
 * Records are the objects that `virt-uv-events --json` prints, in the order in which they came. They wait in one
 * bounded queue until they are read: by the listeners of `event` and `connection`, at once, or, while there is an
 * iterator, by the iterator alone, at its own pace; listeners are then called for what it has read. When the queue is
 * full, records are dropped until it is half empty, and one record says how many.
 */
export interface Watcher extends EventEmitter {
  on<K extends keyof WatcherEvents>(name: K, listener: WatcherEvents[K]): this;
  once<K extends keyof WatcherEvents>(name: K, listener: WatcherEvents[K]): this;
  off<K extends keyof WatcherEvents>(name: K, listener: WatcherEvents[K]): this;
  addListener<K extends keyof WatcherEvents>(name: K, listener: WatcherEvents[K]): this;
  removeListener<K extends keyof WatcherEvents>(name: K, listener: WatcherEvents[K]): this;

  /**
   * Ends the watching: nothing more is emitted, and the iterator is done. Fulfilled when the connections are closed and
   * the attachment has been given back. A host that does not answer is not waited for longer than 0.7 s: a thread
   * closes its connection when libvirt returns.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;

  /** One iterator, however often it is asked for. Leaving `for await` closes the watcher. */
  [Symbol.asyncIterator](): AsyncIterableIterator<WatchRecord>;
}

/**
 * Watches libvirt connections, with no binding of libvirt. Connections are opened and closed in threads of their own,
 * are read-only, and are opened again when they are lost, after pauses that grow from 1 s to 60 s.
 *
 * It attaches this thread unless that has been done, and the last watcher that is closed detaches it, unless attach()
 * has been called. detach() is EBUSY while a watcher is open. A watcher keeps the process alive until it is closed; it
 * ends with its worker.
 *
 * The first call in a process takes libvirt's error function (virSetErrorFunc), which would print on stderr.
 *
 * @param uris libvirt URIs: at least one
 * @throws EINVAL a bad option, or an event that the libvirt of the addon does not have
 * @throws EBUSY another thread is attached, and the other errors of {@link attach}
 */
export function watch(uris: string | readonly string[], options?: WatchOptions): Watcher;

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
