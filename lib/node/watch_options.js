// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The arguments of watch(), checked, as the addon takes them. Which events there are is checked by the addon.
'use strict';

const KNOWN = ['events', 'state', 'keepalive', 'reconnect', 'queueBytes', 'signal'];
const LEAST_QUEUE_BYTES = 4096;
const LARGEST = 0x7fffffff;

function invalid(message) {
  return Object.assign(new TypeError(`virt-uv: watch: ${message}`), { code: 'EINVAL' });
}

const isObject = (value) => typeof value === 'object' && value !== null;
const isNumber = (value, least) => Number.isInteger(value) && value >= least && value <= LARGEST;

function strings(value, name, isGood = (word) => word !== '' && !word.includes('\0')) {
  const list = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || list.length === 0 || !list.every((word) => typeof word === 'string' && isGood(word)))
    throw invalid(`${name} must be a string, or an array of at least one, none of them empty`);
  return list;
}

function boolean(value, name) {
  if (typeof value !== 'boolean') throw invalid(`${name} must be true or false, and is ${String(value)}`);
  return value;
}

function keepalive(value) {
  if (value === false) return { interval: 0, count: 0 };
  const { interval, count } = isObject(value) ? value : {};
  if (!isNumber(interval, 1) || !isNumber(count, 0))
    throw invalid('keepalive must be false, or { interval, count }: seconds, and questions without an answer');
  return { interval, count };
}

function queueBytes(value) {
  if (!isNumber(value, LEAST_QUEUE_BYTES)) throw invalid(`queueBytes must be a whole number from ${LEAST_QUEUE_BYTES}`);
  return value;
}

function checkSignal(signal) {
  if (signal !== undefined && !(isObject(signal) && typeof signal.addEventListener === 'function'))
    throw invalid('signal must be an AbortSignal');
  return signal;
}

// { settings, signal }: the settings as JSON.
function watchOptions(uris, options = {}) {
  if (!isObject(options)) throw invalid('options must be an object');
  const unknown = Object.keys(options).find((key) => !KNOWN.includes(key));
  if (unknown !== undefined) throw invalid(`unknown option "${unknown}"; there are ${KNOWN.join(', ')}`);
  const { events, state = false, reconnect = true } = options;
  const settings = {
    uris: strings(uris, 'uris'),
    state: boolean(state, 'state'),
    reconnect: boolean(reconnect, 'reconnect'),
  };
  if (events !== undefined) settings.events = strings(events, 'events');
  if (options.keepalive !== undefined) settings.keepalive = keepalive(options.keepalive);
  if (options.queueBytes !== undefined) settings.queueBytes = queueBytes(options.queueBytes);
  return { settings: JSON.stringify(settings), signal: checkSignal(options.signal) };
}

module.exports = { watchOptions };
