# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drives programs by what they print.

A test waits for a line, never for a time. Each wait has a limit, which is no part of what is tested: it only turns a
test that would hang into one that fails, and says what the program had printed by then.
"""

import os
import queue
import signal
import subprocess
import threading
import time

LIMIT = 60 * int(os.environ.get("VIRT_UV_TEST_PATIENCE", "1"))
# Of the records that virt-uv-events prints, and of its lines on stderr.
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
READY = ": open, "  # a connection is open and subscribed
STDIO = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


class Lines:
    """The lines of one stream, as they come."""

    def __init__(self, stream):
        self.seen = []
        self._queue = queue.Queue()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream):
        with stream:
            for line in stream:
                self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def next(self, deadline):
        """The next line; None at the end of the stream; raises queue.Empty at the deadline."""
        line = self._queue.get(timeout=max(0, deadline - time.monotonic()))
        if line is not None:
            self.seen.append(line)
        return line

    def arrived(self):
        """All lines so far."""
        while True:
            try:
                self.next(0)
            except queue.Empty:
                return self.seen

    def rest(self, deadline):
        while self.next(deadline) is not None:
            pass
        return self.seen


class Program:
    """A process that ends with the `with` block at the latest."""

    def __init__(self, *command, env=None, **options):
        self.command = [str(word) for word in command]
        environment = dict(os.environ, LC_ALL="C.UTF-8", **(env or {}))
        # nohup, under which the tests may run, has it ignored.
        options.setdefault("preexec_fn", lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
        self.process = subprocess.Popen(self.command, text=True, env=environment, **{**STDIO, **options})
        self.stdout = Lines(self.process.stdout) if self.process.stdout else None
        self.stderr = Lines(self.process.stderr) if self.process.stderr else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _fail(self, what):
        texts = [f"{name}:\n  " + "\n  ".join(lines.seen[-40:]) for name, lines in
                 (("stdout", self.stdout), ("stderr", self.stderr)) if lines]
        raise AssertionError(f"{what}: {' '.join(self.command)}\n" + "\n".join(texts))

    def expect(self, *parts, stream=None, limit=LIMIT):
        """Waits for a line with all these parts in it and returns it."""
        stream = stream or self.stdout
        deadline = time.monotonic() + limit
        while True:
            try:
                line = stream.next(deadline)
            except queue.Empty:
                self._fail(f"no line with {parts} came")
            if line is None:
                self._fail(f"the output ended before a line with {parts}")
            if all(part in line for part in parts):
                return line

    def expect_said(self, *parts):
        return self.expect(*parts, stream=self.stderr)

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, number=None):
        """Sends the signal, if one is given, waits for the end, and returns the exit status (-N: killed by signal
        N)."""
        if number is not None:
            self.signal(number)
        deadline = time.monotonic() + LIMIT
        try:
            status = self.process.wait(LIMIT)
            for lines in filter(None, (self.stdout, self.stderr)):
                lines.rest(deadline)
        except (subprocess.TimeoutExpired, queue.Empty):
            self._fail("it did not end")
        return status


def events(*arguments, **options):
    """virt-uv-events, started."""
    return Program(os.environ["VIRT_UV_EVENTS"], *arguments, **options)


def domain_kinds():
    """The kinds of events that are about a domain: --list has them before the others."""
    _, kinds, _ = run_events("--list")
    return kinds[:kinds.index("network-lifecycle")]


def run(*command, **options):
    """A program that ends by itself: (status, lines of stdout, lines of stderr)."""
    with Program(*command, **options) as program:
        status = program.end()
        return status, program.stdout and program.stdout.seen, program.stderr and program.stderr.seen


def run_events(*arguments, **options):
    return run(os.environ["VIRT_UV_EVENTS"], *arguments, **options)


INTERRUPT, TERMINATE = signal.SIGINT, signal.SIGTERM
