# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private daemons with libvirt's hypervisor and network drivers, and domains without a disk for them.

Such daemons read and write at fixed places: /etc/libvirt, /run/libvirt, /var/lib/libvirt, … Here these are in a folder
of their own, through mounts in a namespace of their own. Their processes have a namespace too: domains outlive their
daemon, as on any machine, and end with the `with` block, so nothing is left.
"""

import glob
import os
import subprocess

from libvirtd import Libvirtd, Machine

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
stdio_handler = "{stdio_handler}"
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
sleep infinity &
echo ready
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


class QemuMachine(Machine):
    def __init__(self, drivers=("qemu", "storage"), stdio_handler="file"):
        """`stdio_handler`: what writes the logs of domains, QEMU itself (file) or virtlogd (logd)."""
        self._drivers = drivers
        self._configuration = CONFIGURATION.format(stdio_handler=stdio_handler)

    def __enter__(self):
        modules = [module(driver) for driver in self._drivers]
        super().__enter__()
        for file in modules:
            os.symlink(file, self.path(f"drivers/{os.path.basename(file)}"))
        os.makedirs(self.path("etc/libvirt"))
        with open(self.path("etc/libvirt/qemu.conf"), "w") as configuration:
            configuration.write(self._configuration)
        for file, line in ACCOUNTS.items():
            with open(f"/etc/{file}") as existing, open(self.path(file), "w") as accounts:
                accounts.write(existing.read() + line)
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "bash", "-c", START, self.folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self._process.stdout.readline() != "ready\n":
            self.__exit__()
            raise RuntimeError("no namespace for libvirt's daemons: see above")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        super().__exit__()

    def sockets(self):
        return self.path("run/libvirt")

    def command(self, *words):
        own = f"/proc/{self._process.pid}"
        return ("nsenter", f"--mount={own}/ns/mnt", f"--pid={own}/ns/pid_for_children", f"--root={own}/root", *words)


class QemuLibvirtd(Libvirtd):
    @staticmethod
    def make_machine():
        return QemuMachine()

    @staticmethod
    def uri_of(path):
        return f"qemu+unix:///system?socket={path}"

    def xml_of(self, name):
        return DOMAIN.format(name=name, log=self.console_log(name))

    def console_log(self, name):
        """Into this file goes what the domain writes to its console."""
        return self._path(f"{name}.console")

    def domain_process(self, name):
        """Its QEMU's number, among the machine's processes."""
        with open(self._path(f"run/libvirt/qemu/{name}.pid")) as number:
            return int(number.read())

    def make_pool(self, name):
        os.mkdir(self._path(name))
        self.virsh(f"pool-create-as {name} dir --target {self._path(name)}")
