# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private libvirtd, and virsh to make its test driver do things.

It has a folder, sockets and a configuration of its own, and no driver modules (LIBVIRT_DRIVER_DIR is an empty folder):
the test driver is within libvirt.so, and no other is to touch the machine. Two libvirtds on one machine collide on
/run/libvirt; a lock keeps them apart, the benchmark's too.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from program import LIMIT, Program, run

LOCK = "/tmp/virt-uv-libvirtd.lock"
CONFIGURATION = """\
unix_sock_dir = "{folder}"
auth_unix_ro = "none"
auth_unix_rw = "none"
listen_tls = 0
"""


def take_lock():
    lock = open(LOCK, "w")
    deadline = time.monotonic() + 3 * LIMIT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"another libvirtd of the tests holds {LOCK} for too long") from None
            time.sleep(0.1)


class Libvirtd:
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
            configuration.write(CONFIGURATION.format(folder=self.folder))
        self.start()
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
        log = open(self._path("log"), "a")
        self.process = subprocess.Popen(
            ["libvirtd", "-f", self._path("libvirtd.conf"), "-p", self._path("pid")],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=dict(os.environ, LIBVIRT_DRIVER_DIR=self._path("drivers"), LC_ALL="C.UTF-8"))
        log.close()
        deadline = time.monotonic() + LIMIT
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                with open(self._path("log")) as said:
                    raise RuntimeError("libvirtd does not answer:\n" + said.read())
            time.sleep(0.02)

    def _answers(self):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.socket) == 0

    def kill(self):
        """As a host that loses its power: nobody is told."""
        self.process.send_signal(signal.SIGCONT)
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

    def define(self, name):
        """Defines a domain, which is an event with its name in it."""
        path = self._path(f"{name}.xml")
        with open(path, "w") as xml:
            xml.write(f"<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os></domain>")
        self.virsh(f"define {path}")

    def reach(self, *programs, limit=LIMIT):
        """Makes events until each program has printed one: from then on it misses none. Returns the last domain's name, whose
        definition each program has printed."""
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
