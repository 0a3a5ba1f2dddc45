#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private libvirtd, and virsh to make its test driver do things.

It has a folder, sockets and a configuration of its own, and no driver modules (LIBVIRT_DRIVER_DIR is an empty folder):
the test driver is within libvirt.so, and no other may touch the machine. Two libvirtds on one machine collide on
/run/libvirt; a lock keeps them apart. Should the thread that started it end, the kernel kills the daemon.

A Python program uses the class. Others start this file as a program: it prints the URI, carries out each line of stdin
(kill, pause, start) and prints `done` for it, and ends the daemon at the end of stdin.
"""

import contextlib
import itertools
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

from program import LIMIT, Program, run

LOCK = "/tmp/virt-uv-libvirtd.lock"
CONFIGURATION = """\
unix_sock_dir = "{folder}"
auth_unix_ro = "none"
auth_unix_rw = "none"
listen_tls = 0
listen_tcp = 0
"""
UCRED = struct.Struct("3i")  # the sender's process, user and group: unix(7)


def take_lock():
    """Waits for every other libvirtd of the tests and of the benchmark to end. The lock is held until the file is
    closed."""
    lock = open(LOCK, "w")
    # flock(1) locks the open file that it inherits, and has a limit, which flock(2) has not.
    locked = subprocess.run(["flock", "--timeout", str(5 * LIMIT), str(lock.fileno())], pass_fds=[lock.fileno()])
    if locked.returncode != 0:
        lock.close()
        raise TimeoutError(f"another libvirtd of the tests holds {LOCK} for too long")
    return lock


class Machine:
    """Where daemons live, for as long as the `with` block lasts: a folder of their own."""

    def __enter__(self):
        if os.geteuid() != 0:
            raise RuntimeError("a private libvirtd needs root: run the tests as root")
        self._lock = take_lock()
        self.folder = tempfile.mkdtemp(prefix="virt-uv-libvirtd-")
        os.mkdir(self.path("drivers"))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)
        self._lock.close()

    def path(self, name):
        return os.path.join(self.folder, name)

    def sockets(self):
        """The folder in which daemons have their sockets."""
        return self.folder

    def command(self, *words):
        """These words, to be run in it."""
        return words


class Libvirtd:
    def __init__(self, configuration="", launcher=(), machine=None, program="libvirtd"):
        """`configuration`: more lines for its file. `launcher`: words before the daemon's own. `machine`: one that
        has been entered; it may be shared. `program`: another daemon of libvirt's, which is the same for its driver."""
        self.program = program
        self._configuration = CONFIGURATION + configuration
        self._launcher = launcher
        self._machine = machine
        self._own = contextlib.ExitStack()
        self._marks = itertools.count()  # a domain may be there still after a restart

    def __enter__(self):
        if self._machine is None:
            self._machine = self._own.enter_context(self.make_machine())
        self.folder = self._machine.sockets()
        prefix = "libvirt" if self.program in ("libvirtd", "virtproxyd") else self.program
        self.socket, self.admin_socket = (os.path.join(self.folder, f"{prefix}{kind}-sock") for kind in ("", "-admin"))
        self.uri = self.uri_of(self.socket)
        self.process = None
        with open(self._path(f"{self.program}.conf"), "w") as configuration:
            configuration.write(self._configuration.replace("{folder}", self.folder))
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        self._own.close()

    def _path(self, name):
        return self._machine.path(name)

    @staticmethod
    def make_machine():
        return Machine()

    @staticmethod
    def uri_of(path):
        return f"test+unix:///default?socket={path}"

    def start(self):
        """Returns once the daemon listens: it says so to the socket that $NOTIFY_SOCKET names, as to systemd."""
        path = self._path("notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(self._path("log"), "a") as log:
            ready.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            ready.bind(path)
            self.pid = None
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._machine.command(*self._launcher, *self._command())],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(os.environ, LIBVIRT_DRIVER_DIR=self._path("drivers"), LC_ALL="C.UTF-8", NOTIFY_SOCKET=path))
            self.pid = self._wait_for(ready)
        os.unlink(path)
        if self.pid is None:
            self.kill()
            with open(self._path("log")) as said:
                raise RuntimeError(f"{self.program} does not answer:\n" + said.read())

    def _command(self):
        return [self.program, "-f", self._path(f"{self.program}.conf"), "-p", self._path(f"{self.program}.pid")]

    def _wait_for(self, ready):
        """The number of the daemon's process, which says that it is ready; None: it has ended, or takes too long. What
        was started may be another process, which waits for the daemon."""
        ended = os.pidfd_open(self.process.pid)
        try:
            if select.select([ready, ended], [], [], LIMIT)[0] != [ready]:
                return None
            _, [(_, _, credentials)], _, _ = ready.recvmsg(4096, socket.CMSG_SPACE(UCRED.size))
            return UCRED.unpack(credentials)[0]
        finally:
            os.close(ended)

    def signal(self, number):
        os.kill(self.pid, number)

    def mapped(self):
        """The lines of what the daemon's process has mapped, such as its program's file and libraries."""
        with open(f"/proc/{self.pid}/maps") as maps:
            return maps.read().splitlines()

    def end(self):
        """As a service manager ends it. Returns its exit status."""
        self.signal(signal.SIGTERM)
        return self.process.wait(LIMIT)

    def pause(self):
        """As a host that hangs: its sockets stay, and nothing comes of what is sent to them."""
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """As a host that loses its power: nobody is told."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.pid or self.process.pid, signal.SIGKILL)
            self.process.wait()

    def virsh(self, *commands):
        """Runs the commands one after the other in one virsh. Each must succeed."""
        status, _, said = run("virsh", "--quiet", "-c", self.uri, ";".join(commands))
        assert status == 0, f"virsh {commands}: {said}"

    def storm(self, *commands):
        """Does the commands over and over, for as long as the `with` block lasts."""
        virsh = Program("virsh", "--quiet", "-c", self.uri, stdin=subprocess.PIPE,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        threading.Thread(target=_feed, args=(virsh.process.stdin, "\n".join(commands) + "\n"), daemon=True).start()
        return virsh

    def define(self, name, uuid=None):
        """Defines a domain, which is an event with its name in it."""
        path = self._path(f"{name}.xml")
        with open(path, "w") as xml:
            identity = f"</name><uuid>{uuid}</uuid>" if uuid else "</name>"
            xml.write(self.xml_of(name).replace("</name>", identity))
        self.virsh(f"define {path}")

    def xml_of(self, name):
        return f"<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os></domain>"

    def reach(self, *programs, limit=LIMIT):
        """Makes events until each program has printed one: from then on it misses none. Returns the last domain's name,
        whose definition each program has printed."""
        for number in itertools.islice(self._marks, 10_000):
            name = f"mark-{os.getpid()}-{number}"
            self.define(name)
            if all(_prints(program, f"'{name}'") for program in programs):
                return name
        raise AssertionError("some program prints no events")


def _feed(stdin, text):
    try:
        with stdin:
            while True:
                stdin.write(text)
    except BrokenPipeError:
        pass  # virsh was ended


def _prints(program, part):
    """Within a second: a program that is not ready yet will print another."""
    try:
        return program.expect(part, limit=1)
    except AssertionError:
        if program.process.poll() is not None:
            raise
        return None


def serve():
    with Libvirtd() as libvirtd:
        commands = {"kill": libvirtd.kill, "pause": libvirtd.pause, "start": libvirtd.start}
        print(libvirtd.uri, flush=True)
        for line in sys.stdin:
            commands[line.strip()]()
            print("done", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the daemon and its folder go too
    serve()
