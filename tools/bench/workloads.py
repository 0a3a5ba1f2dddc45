# SPDX-License-Identifier: LGPL-2.1-or-later
"""The workloads: sizes, figures with their units, the project's targets for them, and the loops that can do the work.

The work itself is done by workloads/*.cpp, and for Python's loop by libvirtaio_workloads.py, under the same names; that
of `tool` by tool_workload.py.
"""

from dataclasses import dataclass

DEFAULT, GLIB, PYTHON, OURS, LIMIT, FLOOR = "default", "glib", "libvirtaio", "virt-uv", "uv", "floor"
ALL = (DEFAULT, GLIB, PYTHON, OURS, LIMIT)
REGISTERED = (DEFAULT, GLIB, PYTHON, OURS)  # with libvirt
NATIVE = (DEFAULT, GLIB, OURS)
NATIVE_AND_LIMIT = (DEFAULT, GLIB, OURS, LIMIT)


@dataclass(frozen=True)
class Figure:
    name: str
    unit: str
    higher_is_better: bool = True


@dataclass(frozen=True)
class Target:
    """What virt-uv is to reach at one size: as a ratio to another loop's figure, or as it stands."""
    size: int
    figure: str
    bound: float
    of: str = ""
    above: str = ""  # a loop whose figure is first taken off both


@dataclass(frozen=True)
class Workload:
    name: str
    what: str
    sizes: tuple
    figures: tuple
    loops: tuple
    targets: tuple = ()
    needs_daemon: bool = False
    needs_trigger: bool = False  # the process that changes the test domain
    seconds_factor: float = 1  # of --seconds
    fixed_seconds: float = 0  # instead of --seconds, and all loops side by side, once: for runs that only wait
    largest_smoke_size: int = 100
    is_about_the_tool: bool = False  # and what stands for the loops is said in tool_workload.py
    strace: object = None  # a Strace: system calls are counted instead


@dataclass(frozen=True)
class Strace:
    """A run of `workload` under strace, less a shorter one; `done` names the figure that says how much it did."""
    workload: str
    done: str
    more: tuple  # (size, iterations); None: the measured size
    less: tuple


def less(name, unit):
    return Figure(name, unit, higher_is_better=False)


def targets(size, figure, default=None, uv=None, absolute=None):
    given = ((default, DEFAULT), (uv, LIMIT), (absolute, ""))
    return tuple(Target(size, figure, bound, of) for bound, of in given if bound is not None)


def above_floor(size, figure, bound):
    return (Target(size, figure, bound, DEFAULT, above=FLOOR),)


_WORKLOADS = (
    Workload("wake", "one busy eventfd among N idle watches", (1, 10, 100, 1000, 8000),
             (Figure("wakes", "1/s"),), ALL,
             targets(1, "wakes", 1.5, 0.95) + targets(8000, "wakes", 400, 0.95)),
    Workload("wake-timers", "one busy eventfd among N idle timeouts", (1, 1000, 10000),
             (Figure("wakes", "1/s"),), ALL),
    Workload("active", "N eventfds ready in every iteration", (1, 10, 100, 1000, 8000),
             (Figure("callbacks", "1/s"),), ALL,
             targets(100, "callbacks", 8, 0.9) + targets(8000, "callbacks", 100, 0.9)),
    Workload("churn", "N watches added, then removed, in every iteration, their ff included", (100,),
             (Figure("pairs", "1/s"),), (DEFAULT, PYTHON, OURS, LIMIT), targets(100, "pairs", 2, 3)),
    Workload("life", "N watches added, fired once, removed and freed", (1, 100, 2000),
             (Figure("lives", "1/s"),), NATIVE_AND_LIMIT,
             targets(1, "lives", uv=0.9) + targets(100, "lives", uv=0.9) + targets(2000, "lives", uv=0.9)),
    Workload("timers", "update one of N timeouts at random, 100 in every iteration", (1000, 10000),
             (Figure("updates", "1/s"),), ALL, targets(1000, "updates", 10, 1) + targets(10000, "updates", 50, 1)),
    Workload("idle", "N timeouts of frequency 0", (1, 100),
             (Figure("callbacks", "1/s"),), ALL,
             targets(1, "callbacks", 1.5, 0.9) + targets(100, "callbacks", 8, 0.9)),
    Workload("cross-thread", "update(0), update(READABLE) pairs from N threads while the loop runs", (1, 4),
             (Figure("pairs", "1/s"),), NATIVE, targets(1, "pairs", 100) + targets(4, "pairs", 50)),
    Workload("ids", "iterations, after N ids have been used", (100, 1000000),
             (Figure("iterations", "1/s"),), (OURS,)),
    Workload("unused", "an iteration of a host's loop with nothing of libvirt's in it", (1,),
             (less("iteration", "ns"),), (OURS, LIMIT)),
    Workload("memory", "memory for each of N watches", (8000,),
             (less("heap", "bytes"), less("resident", "bytes")), NATIVE_AND_LIMIT,
             targets(8000, "heap", 0.75, 1.05) + targets(8000, "resident", 0.75, 1.05)),
    Workload("attach", "longest pauses while a loop is attached to, and detached from, N watches", (19000,),
             (less("attach", "ms"), less("detach", "ms"), less("iteration", "ms"), less("call", "ms"),
              less("armed", "ms")), (OURS,),
             targets(19000, "attach", absolute=2) + targets(19000, "detach", absolute=2)
             + targets(19000, "iteration", absolute=2) + targets(19000, "call", absolute=2)),
    Workload("syscalls", "system calls for each add and remove within one iteration", (100,),
             (less("calls", "calls"),), NATIVE_AND_LIMIT, targets(100, "calls", absolute=2),
             strace=Strace("churn", "pairs", more=(None, 200), less=(0, 200))),
    Workload("life-syscalls", "system calls for each watch added, fired once, removed and freed", (1, 100, 2000),
             (less("calls", "calls"),), NATIVE_AND_LIMIT,
             targets(1, "calls", absolute=8) + targets(100, "calls", absolute=8) + targets(2000, "calls", absolute=8),
             strace=Strace("life", "lives", more=(None, 20), less=(None, 10))),
    Workload("remote", "remote calls from N worker threads, real libvirtd, keepalive on", (1, 4),
             (Figure("calls", "1/s"), less("cpu", "us/call"), less("wake-ups", "1/call")), REGISTERED,
             targets(1, "calls", 1.15) + targets(4, "calls", 1.25) + targets(1, "cpu", 0.75) + targets(4, "cpu", 0.7)
             + targets(1, "wake-ups", 0.5) + targets(4, "wake-ups", 0.5),
             needs_daemon=True, seconds_factor=2),
    Workload("connect", "connections opened, registered, deregistered and closed by N worker threads, real libvirtd",
             (1, 4), (Figure("connections", "1/s"), less("cpu", "us")), NATIVE,
             targets(1, "connections", 1) + targets(4, "connections", 1.1) + targets(1, "cpu", 0.9)
             + targets(4, "cpu", 0.9),
             needs_daemon=True, seconds_factor=4),
    Workload("latency", "from a change in another process to its event's callback, real libvirtd", (1,),
             (less("p50", "us"), less("p99", "us"), less("cpu-event", "us/event")), (*REGISTERED, FLOOR),
             targets(1, "p50", 0.9) + above_floor(1, "p50", 0.8) + targets(1, "p99", 0.9)
             + above_floor(1, "p99", 0.8),
             needs_daemon=True, needs_trigger=True, seconds_factor=3),
    Workload("crowd", "event latency and remote calls beside N idle connections, real libvirtd", (500,),
             (less("p50", "us"), less("cpu-event", "us/event"), less("cpu-call", "us/call")), (*NATIVE, FLOOR),
             targets(500, "p50", 0.55) + above_floor(500, "p50", 0.8) + targets(500, "cpu-event", 0.2)
             + targets(500, "cpu-call", 0.4),
             needs_daemon=True, needs_trigger=True, seconds_factor=2, largest_smoke_size=20),
    Workload("fleet", "from one change to the callbacks of N connections of one process, real libvirtd", (500,),
             (less("all-told", "ms"), less("cpu-event", "us/event")), REGISTERED,
             targets(500, "all-told", 0.75) + targets(500, "cpu-event", 0.6),
             needs_daemon=True, needs_trigger=True, seconds_factor=2, largest_smoke_size=20),
    Workload("tool", "virt-uv-events on N hosts (virt-uv) beside N of `virsh event` (default), real libvirtd", (1000,),
             (less("memory", "MB"), less("cpu-event", "us/event")), (DEFAULT, OURS),
             targets(1000, "memory", 0.05) + targets(1000, "cpu-event", 0.5),
             needs_daemon=True, needs_trigger=True, seconds_factor=10, largest_smoke_size=5, is_about_the_tool=True),
    Workload("quiet", "wake-ups in a minute of an idle connection, real libvirtd, keepalive off", (1,),
             (less("wake-ups", "1/min"),), NATIVE, needs_daemon=True, fixed_seconds=60),
)

WORKLOADS = {workload.name: workload for workload in _WORKLOADS}
