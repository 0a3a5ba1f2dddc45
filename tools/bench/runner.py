# SPDX-License-Identifier: LGPL-2.1-or-later
"""The runs. Each is a process: one workload, one size, one loop.

The loops take turns run by run, so that a machine that drifts hurts none of them more than another. Runs that only wait
go side by side.
"""

import contextlib
import json
import math
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from daemon import Libvirtd
from measurement import Measurement
from workloads import DEFAULT, GLIB, LIMIT, OURS, PYTHON


@dataclass(frozen=True)
class Programs:
    """Of the build tree."""
    workloads: str
    launcher: str  # virt-uv-run
    events: str  # virt-uv-events


SMOKE_SECONDS = 0.05
SET_UP_SECONDS = 120  # above all to open 500 connections on a loaded machine

# The system calls by which a loop waits. To virt-uv, poll(2) is how it looks at an fd.
POLL_WAITS = ("poll", "ppoll")
EPOLL_WAITS = ("epoll_wait", "epoll_pwait")
WAITS = {DEFAULT: POLL_WAITS, GLIB: POLL_WAITS, OURS: EPOLL_WAITS, LIMIT: EPOLL_WAITS}

# For 1,000 connections at a time and the next 1,000 while those of the last run are still being closed. The daemon's
# own keepalive is off, so that an idle connection stays idle.
CONFIGURATION = """\
max_clients = 4000
max_queued_clients = 4000
max_anonymous_clients = 4000
max_client_requests = 20
keepalive_interval = -1
"""


class Runner(contextlib.ExitStack):
    """Ends the private libvirtd, which the first workload that needs one starts."""

    def __init__(self, programs, runs, seconds, smoke=False):
        super().__init__()
        self._program = programs.workloads
        self._events = programs.events
        self._runs = 1 if smoke else runs
        self._seconds = seconds
        self._smoke = smoke
        self._daemon = None
        self._description = json.loads(self._output([self._program, "--describe"], SET_UP_SECONDS))

    def machine(self):
        return machine(self._description["libvirt"], self._description["libuv"])

    def measure(self, workload, size):
        if workload.needs_daemon and not self._daemon:
            self._daemon = self.enter_context(Libvirtd(CONFIGURATION))
        ret = Measurement(workload, size)
        loops = [loop for loop in workload.loops if loop in (PYTHON, *self._description["loops"])]
        if workload.fixed_seconds:
            self._measure_side_by_side(ret, loops)
        else:
            self._measure_in_turn(ret, loops)
        return ret

    def _measure_side_by_side(self, ret, loops):
        with contextlib.ExitStack() as processes:
            for loop, process in [(loop, processes.enter_context(self._start(ret, loop))) for loop in loops]:
                self._collect(ret, loop, lambda: self._finish(ret.workload, process))

    def _measure_in_turn(self, ret, loops):
        run = self._count_system_calls if ret.workload.strace else self._run
        # A second count shows whether the number is the same each time, and strace(1) makes thousands of watches slow.
        for _ in range(min(self._runs, 2) if ret.workload.strace else self._runs):
            for loop in loops:
                if loop not in ret.failures:
                    self._collect(ret, loop, lambda: run(ret, loop))

    def _collect(self, ret, loop, run):
        """A run that fails, or that gives no figure or one that cannot be, is a failure of its loop."""
        try:
            figures = run()
            self._check(ret.workload, figures)
            ret.add(loop, figures)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            ret.failures[loop] = str(error)

    def _check(self, workload, figures):
        for figure in workload.figures:
            value = figures.get(figure.name)
            if value is None or not math.isfinite(value):
                raise RuntimeError(f"gave no '{figure.name}'")
            # In a smoke run what is measured may be less than the noise.
            if value < 0 and not self._smoke:
                raise RuntimeError(f"gave {value:g} {figure.unit} for '{figure.name}'")

    def _seconds_of(self, workload):
        if self._smoke:
            return SMOKE_SECONDS
        return workload.fixed_seconds or self._seconds * workload.seconds_factor

    def _size(self, measurement):
        return min(measurement.size, measurement.workload.largest_smoke_size) if self._smoke else measurement.size

    def _command(self, measurement, loop):
        workload = measurement.workload
        if workload.is_about_the_tool:
            command = [*_python("tool_workload.py"), "--loop", loop, "--events", self._events]
        elif loop == PYTHON:
            command = _python("libvirtaio_workloads.py")
        else:
            command = [self._program, "--loop", loop]
        command += [workload.name, "--size", str(self._size(measurement)),
                    "--seconds", str(self._seconds_of(workload))]
        return command + ["--uri", self._daemon.uri] if workload.needs_daemon else command

    def _start(self, measurement, loop, *more, **kwargs):
        return subprocess.Popen([*self._command(measurement, loop), *more], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, text=True, **kwargs)

    def _run(self, measurement, loop):
        if measurement.workload.needs_trigger:
            return self._run_with_trigger(measurement, loop)
        with self._start(measurement, loop) as process:
            return self._finish(measurement.workload, process)

    def _run_with_trigger(self, measurement, loop):
        """The trigger ends when the last writer to its input has: the workload."""
        with subprocess.Popen([self._program, "--trigger", self._daemon.uri],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as trigger:
            pipes = trigger.stdin.fileno(), trigger.stdout.fileno()
            with self._start(measurement, loop, "--trigger-input", str(pipes[0]), "--trigger-output", str(pipes[1]),
                             pass_fds=pipes) as process:
                trigger.stdin.close()
                trigger.stdout.close()
                return self._finish(measurement.workload, process)

    def _finish(self, workload, process):
        return json.loads(_output_of(process, self._seconds_of(workload) * 2 + SET_UP_SECONDS))

    def _count_system_calls(self, measurement, loop):
        """What `more` calls for above `less`, so that start-up, and what both do, fall out."""
        strace = measurement.workload.strace
        more, less = (self._strace(strace, loop, size if size is not None else self._size(measurement), iterations)
                      for size, iterations in (strace.more, strace.less))
        return {"calls": (more[0] - less[0]) / (more[1] - less[1])}

    def _strace(self, strace, loop, size, iterations):
        """The number of system calls, without those that wait for an event, and of what was done."""
        out = self._output(["strace", "-f", "-c", "-U", "calls,name", "-o", "/dev/fd/1", self._program, strace.workload,
                            "--loop", loop, "--size", str(size), "--iterations", str(iterations)], SET_UP_SECONDS)
        figures = next(line for line in out.splitlines() if line.startswith("{"))
        counts = {name: int(count) for count, name in re.findall(r"^ *(\d+) +(\w+)$", out, re.M)}
        if "total" not in counts:
            raise RuntimeError("strace printed no total")
        waits = sum(counts.get(name, 0) for name in WAITS[loop])
        return counts["total"] - waits, json.loads(figures)[strace.done]

    @staticmethod
    def _output(command, limit_seconds):
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
            return _output_of(process, limit_seconds)


def _python(script):
    return ["/usr/bin/python3", str(Path(__file__).with_name(script))]  # Debian's, which has python3-libvirt


def _output_of(process, limit_seconds):
    name = os.path.basename(process.args[0])
    try:
        out, _ = process.communicate(timeout=limit_seconds)
    except BaseException as error:
        process.kill()
        if isinstance(error, subprocess.TimeoutExpired):
            raise RuntimeError(f"{name} did not end within {limit_seconds:g} s") from None
        raise
    if process.returncode != 0:
        raise RuntimeError(f"{name} failed (status {process.returncode})")
    return out


def machine(libvirt, libuv):
    """With the versions of the two that were measured."""
    return {"system": platform.freedesktop_os_release()["PRETTY_NAME"], "processor": _processor(),
            "cores": os.cpu_count(), "kernel": platform.release(), "libvirt": libvirt, "libuv": libuv}


def _processor():
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: (.*)$", info, re.M)
    return model[1] if model else "unknown"
