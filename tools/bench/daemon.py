# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private libvirtd in a folder of its own, with the test driver behind it.

libvirtd keeps its state in /run/libvirt wherever its socket is, so there is one at a time on a machine: a lock, which
the tests' daemons take too, is held meanwhile. It has to be started by root.
"""

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

LOCK = "/tmp/virt-uv-libvirtd.lock"
START_SECONDS = 30
CONFIGURATION = """\
unix_sock_dir = "{folder}"
auth_unix_rw = "none"
listen_tls = 0
listen_tcp = 0
"""


class Libvirtd:
    def __init__(self, configuration):
        """`configuration`: more lines for libvirtd.conf."""
        self._configuration = CONFIGURATION + configuration

    def __enter__(self):
        if os.geteuid() != 0:
            raise RuntimeError("a private libvirtd has to be started by root")
        self._lock = open(LOCK, "w", encoding="utf-8")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._folder = Path(tempfile.mkdtemp(prefix="virt-uv-bench-"))
        self._socket = self._folder / "libvirt-sock"
        self.uri = f"test+unix:///default?socket={self._socket}"
        self._process = self._start()
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder)
        self._lock.close()

    def _start(self):
        """The test driver is part of libvirt itself. An empty folder of drivers keeps QEMU's and the others, which need
        users, D-Bus and more, from being started. The kernel ends the daemon should this program be killed."""
        drivers, configuration = self._folder / "drivers", self._folder / "libvirtd.conf"
        drivers.mkdir()
        configuration.write_text(self._configuration.format(folder=self._folder), encoding="utf-8")
        with open(self._folder / "log", "w", encoding="utf-8") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ, LIBVIRT_DRIVER_DIR=str(drivers)))

    def command(self):
        return ["libvirtd", "-f", self._folder / "libvirtd.conf", "-p", self._folder / "pid"]

    def _wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("libvirtd does not listen: " + (self._folder / "log").read_text(encoding="utf-8"))
            time.sleep(0.02)

    def _listens(self):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self._socket)) == 0
