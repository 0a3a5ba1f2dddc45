#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private libvirtd, and virsh to make its test driver do things.

It has a folder, sockets and a configuration of its own, and no driver modules (LIBVIRT_DRIVER_DIR is an empty folder):
the test driver is within libvirt.so, and no other may touch the machine. Two libvirtds on one machine collide on
/run/libvirt; a lock keeps them apart. Should the thread that started it end, the kernel kills the daemon.

A Python program uses the class. Others start this file as a program: it prints the URI, carries out each line of stdin
(kill, pause, start) and prints `done` for it, and ends the daemon at the end of stdin.
"""

import fcntl
import os
import select
import shutil
import signal
import socket
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


class Libvirtd:
    def __init__(self, configuration=""):
        """`configuration`: more lines for libvirtd.conf."""
        self._configuration = CONFIGURATION + configuration

    def __enter__(self):
        if os.geteuid() != 0:
            raise RuntimeError("a private libvirtd needs root: run the tests as root")
        self._lock = take_lock()
        self.folder = tempfile.mkdtemp(prefix="virt-uv-libvirtd-")
        self.socket = os.path.join(self.folder, "libvirt-sock")
        self.uri = self.uri_of(self.socket)
        self.process = None
        os.mkdir(self._path("drivers"))
        with open(self._path("libvirtd.conf"), "w") as configuration:
            configuration.write(self._configuration.replace("{folder}", self.folder))
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder)
        self._lock.close()

    def _path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def uri_of(path):
        return f"test+unix:///default?socket={path}"

    def start(self):
        """Returns once the daemon listens: it says so to the socket that $NOTIFY_SOCKET names, as to systemd."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(self._path("log"), "a") as log:
            ready.bind(self._path("notify"))
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._command()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(os.environ, LIBVIRT_DRIVER_DIR=self._path("drivers"), LC_ALL="C.UTF-8",
                         NOTIFY_SOCKET=self._path("notify")))
            is_ready = self._wait_for(ready)
        os.unlink(self._path("notify"))
        if not is_ready:
            self.kill()
            with open(self._path("log")) as said:
                raise RuntimeError("libvirtd does not answer:\n" + said.read())

    def _command(self):
        return ["libvirtd", "-f", self._path("libvirtd.conf"), "-p", self._path("pid")]

    def _wait_for(self, ready):
        """False: the daemon has ended, or takes too long."""
        ended = os.pidfd_open(self.process.pid)
        try:
            return select.select([ready, ended], [], [], LIMIT)[0] == [ready]
        finally:
            os.close(ended)

    def pause(self):
        """As a host that hangs: its sockets stay, and nothing comes of what is sent to them."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """As a host that loses its power: nobody is told."""
        if self.process is not None:
            self.process.kill()
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
        for number in range(10_000):
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
