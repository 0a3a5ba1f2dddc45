# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private libvirtd with the QEMU and storage drivers (`qemu:///system`), and domains without a disk for it.

Such a daemon reads and writes at fixed places: /etc/libvirt, /run/libvirt, /var/lib/libvirt, … Here these are in the
daemon's own folder, through mounts in a namespace of its own. Its processes have a namespace too, so the domains end
with it, and nothing is left on the machine.
"""

import glob
import os

from libvirtd import Libvirtd

DRIVERS = ["qemu", "storage"]

# Debian's libvirt-daemon-system makes this user, and the QEMU driver does not start without it.
ACCOUNTS = {"passwd": "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin\n", "group": "libvirt-qemu:x:64055:\n"}

# No confinement, and no help from services of the system's.
CONFIGURATION = """\
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""

# The shell is process 1 and reaps: a QEMU that nobody reaps looks alive to libvirtd.
START = """
set -e
cd "$0"
for place in etc/libvirt run/libvirt var/lib/libvirt var/cache/libvirt var/log/libvirt; do
  mkdir -p "$place" "/$place"
  mount --bind "$place" "/$place"
done
mount --bind passwd /etc/passwd
mount --bind group /etc/group
"$@" &
wait
"""

# SeaBIOS writes to the serial console, finds nothing to boot, and restarts at Ctrl-Alt-Del.
DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>16</memory>
  <os><type machine='pc'>hvm</type><bios useserial='yes'/></os>
  <features><acpi/></features>
  <devices>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='pty'><log file='{log}'/></serial>
  </devices>
</domain>
"""
CTRL_ALT_DEL = "KEY_LEFTCTRL KEY_LEFTALT KEY_DELETE"


def module(driver):
    found = glob.glob(f"/usr/lib/*/libvirt/connection-driver/libvirt_driver_{driver}.so")
    if not found:
        raise RuntimeError(f"libvirt's {driver} driver is not installed: run tools/deps.sh test")
    return found[0]


class QemuLibvirtd(Libvirtd):
    def __init__(self, launcher=()):
        """`launcher`: words before the daemon's command."""
        super().__init__()
        self._launcher = launcher

    def start(self):
        for driver in DRIVERS:
            os.symlink(module(driver), self._path(f"drivers/libvirt_driver_{driver}.so"))
        os.makedirs(self._path("etc/libvirt"))
        with open(self._path("etc/libvirt/qemu.conf"), "w") as configuration:
            configuration.write(CONFIGURATION)
        for file, line in ACCOUNTS.items():
            with open(f"/etc/{file}") as existing, open(self._path(file), "w") as accounts:
                accounts.write(existing.read() + line)
        super().start()

    def _command(self):
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                "bash", "-c", START, self.folder, *self._launcher, *super()._command()]

    def loaded(self):
        """The files that the daemon's process has mapped."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")) != "libvirtd":
                    continue
                with open(f"/proc/{pid}/cmdline") as words, open(f"/proc/{pid}/maps") as maps:
                    if self.folder in words.read():
                        return maps.read()
            except OSError:  # the process has ended meanwhile, or is the kernel's
                continue
        raise RuntimeError("libvirtd is not there")

    @staticmethod
    def uri_of(path):
        return f"qemu+unix:///system?socket={path}"

    def xml_of(self, name):
        return DOMAIN.format(name=name, log=self.console_log(name))

    def console_log(self, name):
        """QEMU itself writes into this file what the domain writes to its console."""
        return self._path(f"{name}.console")

    def make_pool(self, name):
        os.mkdir(self._path(name))
        self.virsh(f"pool-create-as {name} dir --target {self._path(name)}")
