# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every example of a host does: it prints the domains' events of a connection until it is interrupted."""

from libvirtd import Libvirtd
from program import INTERRUPT, Program


def check_example(case, *command, env=None):
    """Runs it beside a private libvirtd, whose domain virsh suspends and resumes. It must end in order, and say
    nothing on stderr."""
    with Libvirtd() as libvirtd, Program(*command, libvirtd.uri, env=env) as program:
        program.expect("watching")
        for _ in range(10):
            libvirtd.virsh("suspend test", "resume test")
            program.expect("test: suspended")
            program.expect("test: resumed")
        case.assertEqual(program.end(INTERRUPT), 0)
        case.assertEqual(program.stderr.seen, [])
