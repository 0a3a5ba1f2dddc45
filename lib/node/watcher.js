// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What watch() returns: an event emitter and an async iterator over one queue, which the addon keeps.
//
// Records are read from the queue in batches, each the text of a JSON array, and only when somebody wants them: a
// listener of `event` or `connection`, to which they are emitted as they come, or an iterator, which takes one at a
// time. While there is an iterator it alone reads, at its own pace; listeners are called for what it reads. What nobody
// reads waits in the queue, which drops and counts what does not fit.
//
// Listeners are called from process.nextTick() and setImmediate(), never from within the addon. So what they throw is
// an uncaught exception like any other, and the next records come all the same.
'use strict';

const { EventEmitter } = require('events');

const typeOf = (record) => (record.event === 'connection' ? 'connection' : 'event');
const toError = ({ code, uri, message }) => Object.assign(new Error(`virt-uv: ${message}`), { code, uri });

class Watcher extends EventEmitter {
  #addon;
  #number; // by which the addon knows it
  #batch = [];
  #next = 0; // of the batch
  #isResting = false; // from one batch to the next: the loop has other things to do
  #iterator;
  #readers = []; // the iterator's promises that wait for a record
  #failures = []; // errors that nobody has been told of
  #hasEnded = false; // the last connection has ended: nothing comes any more
  #isClosed = false; // nothing is read any more
  #closing; // fulfilled when the addon has closed it
  #unsubscribe = () => {};

  constructor(addon, settings, signal) {
    super();
    this.#addon = addon;
    if (signal?.aborted) {
      this.#isClosed = true;
      this.#closing = Promise.resolve();
      return;
    }
    this.#number = addon.watch(settings, (notices) => process.nextTick(() => this.#hear(JSON.parse(notices))));
    this.on('newListener', () => process.nextTick(() => this.#serve()));
    const abort = () => this.close();
    signal?.addEventListener('abort', abort, { once: true });
    this.#unsubscribe = () => signal?.removeEventListener('abort', abort);
  }

  close() {
    this.#isClosed = true;
    this.#batch = [];
    this.#failures = [];
    this.#next = 0;
    this.#giveBack();
    this.#answerReaders();
    return this.#closing;
  }

  [Symbol.asyncIterator]() {
    this.#iterator ??= {
      next: () => this.#nextResult(),
      return: async (value) => {
        await this.close();
        return { done: true, value };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
    return this.#iterator;
  }

  #giveBack() {
    this.#unsubscribe();
    this.#closing ??= new Promise((resolve) => this.#addon.unwatch(this.#number, resolve));
  }

  #hear(notices) {
    if (this.#isClosed) return;
    for (const notice of notices) {
      if (notice.severity === 'end') this.#end();
      else if (notice.severity === 'error') this.#failures.push(toError(notice));
      else process.nextTick(() => this.emit('warning', toError(notice)));
    }
    this.#serve();
  }

  // What waits is read from here, and the addon's part is closed.
  #end() {
    this.#hasEnded = true;
    this.#batch = this.#batch.slice(this.#next);
    this.#next = 0;
    for (let text = this.#addon.take(this.#number); text; text = this.#addon.take(this.#number))
      this.#batch = this.#batch.concat(JSON.parse(text));
    this.#giveBack();
  }

  // The oldest record that waits; undefined: there is none, or the loop goes first.
  #read() {
    if (this.#next < this.#batch.length) return this.#batch[this.#next++];
    if (this.#isResting || this.#closing) return undefined;
    const text = this.#addon.take(this.#number);
    if (text === '') return undefined;
    this.#batch = JSON.parse(text);
    this.#next = 1;
    this.#isResting = true;
    setImmediate(() => {
      this.#isResting = false;
      this.#serve();
    });
    return this.#batch[0];
  }

  #serve() {
    if (this.#isClosed) return;
    this.#emitRecords();
    this.#tellFailures();
    this.#answerReaders();
  }

  // With no listener of `error`, an iterator is rejected, or, where records are emitted, the exception is uncaught.
  #tellFailures() {
    while (this.#failures.length > 0 && (this.listenerCount('error') > 0 || this.#isEmitting())) {
      const failure = this.#failures.shift();
      process.nextTick(() => this.emit('error', failure));
    }
  }

  #isEmitting() {
    return !this.#isClosed && !this.#iterator && this.listenerCount('event') + this.listenerCount('connection') > 0;
  }

  #emitRecords() {
    let record;
    try {
      while (this.#isEmitting() && (record = this.#read())) this.emit(typeOf(record), record);
    } catch (thrownByListener) {
      setImmediate(() => this.#serve());
      throw thrownByListener;
    }
  }

  #nextResult() {
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
      this.#answerReaders();
    });
  }

  #answerReaders() {
    while (this.#readers.length > 0) {
      const record = this.#isClosed ? undefined : this.#read();
      if (record) {
        this.#readers.shift().resolve({ done: false, value: record });
        if (this.listenerCount(typeOf(record)) > 0) process.nextTick(() => this.emit(typeOf(record), record));
      } else if (this.#failures.length > 0 && !this.#isResting) {
        this.#readers.shift().reject(this.#failures.shift());
        this.close();
      } else if (this.#isClosed || this.#hasEnded) {
        this.#readers.shift().resolve({ done: true, value: undefined });
      } else {
        return;
      }
    }
  }
}

// Node has it since 18.18.
if (Symbol.asyncDispose) {
  Object.defineProperty(Watcher.prototype, Symbol.asyncDispose, {
    value() {
      return this.close();
    },
  });
}

module.exports = { Watcher };
