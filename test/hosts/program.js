// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Runs a function as the main program of a Node process of its own: how a process ends can only be seen from outside.
// Such a function stands for its source text, and sees the globals of program_globals.js only.
'use strict';

const { spawn } = require('child_process');
const path = require('path');

const LIMIT_MS = 110000;

const asSource = (main, args) => `
  require(${JSON.stringify(path.join(__dirname, 'program_globals.js'))});
  (${main})(...${JSON.stringify(args)});`;

// { code, signal, stdout, stderr } of a process that ran `main(...args)`. At the limit it is killed and the promise
// rejected.
function runProgram(main, { args = [], env = {}, limitMs = LIMIT_MS } = {}) {
  const child = spawn(process.execPath, ['-e', asSource(main, args)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => (output.stdout += data));
  child.stderr.on('data', (data) => (output.stderr += data));
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the program still ran after ${limitMs} ms; it said:\n${output.stdout}${output.stderr}`));
    }, limitMs);
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      resolve({ ...output, code, signal });
    });
  });
}

const ended = (stdout, code = 0) => ({ stdout, stderr: '', code, signal: null });

module.exports = { runProgram, ended, asSource };
