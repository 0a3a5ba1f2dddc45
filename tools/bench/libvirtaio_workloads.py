#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The workloads of virt-uv-bench on Python's libvirtaio: one run, whose figures are printed as a line of JSON.

virt-uv-bench starts it in turn with the other loops, with the arguments of workloads-program. What a workload does is
said in tools/bench/workloads/; here is the same with libvirt's Python calls and the same callbacks, as far as asyncio's
rules allow: it has no cross-thread updates, because one thread only may touch its loop.

For python_ratio.py: with --uvloop libvirtaio runs in uvloop, and with --virt-uv it is virt-uv, in uvloop too.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import signal
import struct
import sys
import threading
import time

import libvirt
import libvirtaio

WARM_UP_SHARE = 0.2
READABLE = libvirt.VIR_EVENT_HANDLE_READABLE


class Window:
    """The measured time, as in window.hpp: alarms end the warm-up and the time that counts."""

    def __init__(self, done, seconds):
        self.done = done
        self.seconds = seconds
        self.rang = False
        self.start = None
        self.rate = None
        signal.signal(signal.SIGALRM, self.on_alarm)
        signal.setitimer(signal.ITIMER_REAL, seconds * WARM_UP_SHARE)

    def on_alarm(self, _signal, _frame):
        self.rang = True

    def iteration(self, count):
        if self.rang:
            self.mark(count)

    def mark(self, count):
        self.rang = False
        if self.start is None:
            self.start = (time.thread_time(), count)
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
        elif self.rate is None:
            self.rate = (count - self.start[1]) / (time.thread_time() - self.start[0])
            self.done.set()


class Busy:
    """A callback once in each iteration, which counts."""

    def __init__(self, done, seconds):
        self.window = Window(done, seconds)
        self.count = 0

    def on_watch(self, _watch, _fd, _events, _opaque):
        self.count += 1
        self.window.iteration(self.count)

    def on_timeout(self, _timer, _opaque):
        self.count += 1
        self.window.iteration(self.count)


def eventfds(count, ready):
    return [os.eventfd(1 if ready else 0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(count)]


def on_never(*_):
    sys.exit("a callback came that nothing had caused")


def watch(fd, callback):
    return libvirt.virEventAddHandle(fd, READABLE, callback, None)


async def wake(args, done):
    for fd in eventfds(args.size, False):
        watch(fd, on_never)
    return await measure_wakes(args, done)


async def wake_timers(args, done):
    for i in range(args.size):
        libvirt.virEventAddTimeout(3600 * 1000 + i, on_never, None)
    return await measure_wakes(args, done)


async def measure_wakes(args, done):
    busy = Busy(done, args.seconds)
    watch(eventfds(1, True)[0], busy.on_watch)
    await done.wait()
    return {"wakes": busy.window.rate}


async def active(args, done):
    busy = Busy(done, args.seconds)

    def on_ready(_watch, _fd, _events, _opaque):
        busy.count += 1

    for i, fd in enumerate(eventfds(args.size, True)):
        watch(fd, busy.on_watch if i == 0 else on_ready)
    await done.wait()
    return {"callbacks": busy.window.rate}


async def churn(args, done):
    impl = libvirtaio.getCurrentImpl()
    fds = eventfds(args.size, False)
    window = Window(done, args.seconds)
    added = 0

    def on_iteration(_watch, _fd, _events, _opaque):
        nonlocal added
        window.iteration(added)
        for added_watch in [watch(fd, on_never) for fd in fds]:
            libvirt.virEventRemoveHandle(added_watch)
        added += args.size

    watch(eventfds(1, True)[0], on_iteration)
    await done.wait()
    if impl._pending > 4 * args.size:
        sys.exit("frees fell behind removes")
    return {"pairs": window.rate}


async def timers(args, done):
    window = Window(done, args.seconds)
    interval = [60 * 1000 + i % 1000 for i in range(args.size)]
    ids = [libvirt.virEventAddTimeout(ms, on_never, None) for ms in interval]
    updates = 0

    def on_iteration(_watch, _fd, _events, _opaque):
        nonlocal updates
        window.iteration(updates)
        for _ in range(100):
            i = random.randrange(args.size)
            libvirt.virEventUpdateTimeout(ids[i], interval[i])
        updates += 100

    watch(eventfds(1, True)[0], on_iteration)
    await done.wait()
    return {"updates": window.rate}


async def idle(args, done):
    busy = Busy(done, args.seconds)

    def on_timeout(_timer, _opaque):
        busy.count += 1

    for i in range(args.size):
        libvirt.virEventAddTimeout(0, busy.on_timeout if i == 0 else on_timeout, None)
    await done.wait()
    return {"callbacks": busy.window.rate}


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def count_iterations(loop):
    """asyncio's loop calls select once in each iteration. uvloop does not tell."""
    iterations = [0]
    if not hasattr(loop, "_selector"):
        return iterations
    select = loop._selector.select

    def counted(timeout=None):
        ret = select(timeout)
        iterations[0] += 1
        return ret

    loop._selector.select = counted
    return iterations


async def remote(args, _done):
    connection = libvirt.open(args.uri)
    connection.setKeepAlive(5, 5)
    iterations = count_iterations(asyncio.get_running_loop())
    counts = [0] * args.size
    over = False

    def work(worker):
        while not over:
            connection.getLibVersion()
            counts[worker] += 1

    def so_far():
        return (time.monotonic(), cpu_seconds(), sum(counts), iterations[0])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(args.size)]
    for thread in threads:
        thread.start()
    await asyncio.sleep(args.seconds * WARM_UP_SHARE)
    start = so_far()
    await asyncio.sleep(args.seconds)
    seconds, cpu, calls, wake_ups = (b - a for a, b in zip(start, so_far()))
    over = True
    await asyncio.get_running_loop().run_in_executor(None, lambda: [thread.join() for thread in threads])
    return {"calls": calls / seconds, "cpu": cpu * 1e6 / calls, "wake-ups": wake_ups / calls}


class EventRounds:
    """As in event_rounds.hpp: another process makes a change as soon as all have had the callback of the last."""

    WARM_UP_ROUNDS = 3
    FEWEST_ROUNDS = 5

    def __init__(self, args, done):
        self.done = done
        self.size = args.size
        self.seconds = args.seconds
        self.trigger_input = args.trigger_input
        self.trigger_output = args.trigger_output
        self.events = 0
        self.warm_up = self.WARM_UP_ROUNDS
        self.samples = []
        self.started = 0
        self.cpu = 0

    def fire(self):
        os.write(self.trigger_input, b"!")

    def on_lifecycle(self, _conn, _dom, _event, _detail, _opaque):
        self.events += 1
        if self.events < self.size or self.done.is_set():
            return
        self.events = 0
        took = time.monotonic() - struct.unpack("d", os.read(self.trigger_output, 8))[0]
        if self.warm_up > 0:
            self.warm_up -= 1
            if self.warm_up == 0:
                self.started, self.cpu = time.monotonic(), cpu_seconds()
        else:
            self.samples.append(took * 1e6)
            if len(self.samples) >= self.FEWEST_ROUNDS and time.monotonic() - self.started >= self.seconds:
                self.cpu = cpu_seconds() - self.cpu
                self.done.set()
                return
        self.fire()

    def quantile(self, share):
        return sorted(self.samples)[int(share * (len(self.samples) - 1))]

    def cpu_us_per_event(self):
        return self.cpu * 1e6 / (len(self.samples) * self.size)


async def measure_event_rounds(args, done):
    connections = [libvirt.open(args.uri) for _ in range(args.size)]
    rounds = EventRounds(args, done)
    for connection in connections:
        connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, rounds.on_lifecycle, None)
    rounds.fire()
    await done.wait()
    return rounds


async def latency(args, done):
    rounds = await measure_event_rounds(args, done)
    return {"p50": rounds.quantile(0.5), "p99": rounds.quantile(0.99), "cpu-event": rounds.cpu_us_per_event()}


async def fleet(args, done):
    rounds = await measure_event_rounds(args, done)
    return {"all-told": rounds.quantile(0.5) / 1000, "cpu-event": rounds.cpu_us_per_event()}


WORKLOADS = {
    "wake": wake,
    "wake-timers": wake_timers,
    "active": active,
    "churn": churn,
    "timers": timers,
    "idle": idle,
    "remote": remote,
    "latency": latency,
    "fleet": fleet,
}


async def run(args, register):
    register()
    print(json.dumps(await WORKLOADS[args.workload](args, asyncio.Event())), flush=True)
    os._exit(0)  # else what is registered would be taken down piece by piece


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--uri")
    parser.add_argument("--trigger-input", type=int)
    parser.add_argument("--trigger-output", type=int)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--virt-uv", action="store_true")
    args = parser.parse_args()
    loop_factory, register = None, libvirtaio.virEventRegisterAsyncIOImpl
    if args.uvloop or args.virt_uv:
        import uvloop
        loop_factory = uvloop.new_event_loop
    if args.virt_uv:
        import virt_uv
        register = virt_uv.attach
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run(args, register))


if __name__ == "__main__":
    main()
