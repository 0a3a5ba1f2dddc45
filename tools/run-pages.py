#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does in another Debian, word for word and in order, what pages of this repository tell their readers to do.

    run-pages.py ROOT CLONE PAGE...

tools/blocks.py says what a block of a page is. The commands of a block run in one shell, on a terminal; it ends at the
first that fails. A block must end by itself, or be one that mentions Ctrl-C, which is then sent when all is printed
that the page shows. Times in what is shown may be others.

The shells of all pages share one namespace of processes, so what a page starts in the background goes on, up to the
end. Prints a line for each block, and last `N passed, N failed, N skipped`, in blocks; a `console` block is skipped.
After a block that failed, the rest of its page is not run, and has failed as well.
"""

import fcntl
import os
import pathlib
import re
import select
import subprocess
import sys
import termios
import time

from blocks import blocks

TOOLS = pathlib.Path(__file__).resolve().parent
LIMIT_SECONDS = 3600  # a command may build for so long in silence, on a busy machine too
END_SECONDS = 30
TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|took \d+ ms")
INTERRUPT = b"\x03"


class Failed(Exception):
    pass


class Root:
    """Another Debian, with processes of its own for as long as this is open."""

    def __init__(self, root, clone):
        self.folder, self._clone = pathlib.Path(root + clone), clone
        self._session = subprocess.Popen(
            [TOOLS / "in-root.sh", root, "/bin/sh", "-c", "echo ready; exec sleep infinity"],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        if self._session.stdout.readline() != "ready\n":
            raise Failed(f"{root} cannot be entered")
        self._first, = pathlib.Path(f"/proc/{self._session.pid}/task/{self._session.pid}/children").read_text().split()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._session.kill()  # and with it all that runs there
        self._session.wait()

    def shell(self, commands):
        """A Terminal on which a shell runs these."""
        environment = pathlib.Path(f"/proc/{self._first}/environ").read_bytes().split(b"\0")
        return Terminal(
            ["nsenter", f"--target={self._first}", "--mount", "--pid", "--root", f"--wd=/proc/{self._first}/root",
             "/bin/bash", "-ec", f"cd {self._clone}\n{commands}"],
            dict(entry.split(b"=", 1) for entry in environment if entry))


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, command, environment):
        self._terminal, other_end = os.openpty()

        def have_terminal():
            fcntl.ioctl(other_end, termios.TIOCSCTTY, 0)

        self._process = subprocess.Popen(command, env=environment, stdin=other_end, stdout=other_end, stderr=other_end,
                                         start_new_session=True, preexec_fn=have_terminal)
        os.close(other_end)
        self.printed = ""

    def read(self, seconds):
        """Adds what it prints to `printed`. False: nothing more comes."""
        if not select.select([self._terminal], [], [], seconds)[0]:
            raise Failed(f"it printed nothing for {seconds} s, and did not end")
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # what a terminal says that nobody writes to any more
            data = b""
        self.printed += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def interrupt(self):
        os.write(self._terminal, INTERRUPT)

    def wait(self):
        status = self._process.wait(END_SECONDS)
        os.close(self._terminal)
        return status


def is_printed(shown, printed):
    """Are these lines among those, in this order?"""
    lines = iter(TIMES.sub("TIME", line.rstrip()) for line in printed.splitlines())
    return all(TIMES.sub("TIME", line) in lines for line in shown.splitlines())


def run_commands(root, commands, shown):
    goes_on, interrupted = "Ctrl-C" in commands, False
    if goes_on and not shown:
        raise Failed("the page does not show what is printed before Ctrl-C")
    terminal = root.shell(commands)
    try:
        while terminal.read(LIMIT_SECONDS):
            if goes_on and not interrupted and is_printed(shown, terminal.printed):
                terminal.interrupt()
                interrupted = True
        status = terminal.wait()
        if goes_on != interrupted or not is_printed(shown, terminal.printed):
            raise Failed(f"it ended, and the page shows:\n{shown}")
        if status != 0 and not interrupted:
            raise Failed(f"status {status}")
    except (Failed, subprocess.TimeoutExpired) as failure:
        raise Failed(f"{terminal.printed[-6000:]}\n{failure}") from failure


def run_block(root, block, after):
    if block.language == "sh":
        run_commands(root, block.text, after.text if after and after.language == "text" else "")
        return
    if not block.name:
        raise Failed("its first line does not name the file that it is")
    file = root.folder / block.name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(block.text, encoding="utf-8")


def run_page(root, page):
    """The numbers of blocks that passed, failed, and were skipped."""
    of_page = blocks(page)
    passed = skipped = 0
    for number, (block, after) in enumerate(zip(of_page, [*of_page[1:], None])):
        place = f"{page}:{block.line}"
        if block.language == "text":
            continue
        if block.language == "console":
            print(f"{place}: not run here")
            skipped += 1
            continue
        began = time.monotonic()
        try:
            run_block(root, block, after)
        except Failed as failure:
            print(f"{failure}\n{place}: this failed:\n{block.text}", flush=True)
            return passed, sum(block.language not in ("text", "console") for block in of_page[number:]), skipped
        print(f"{place}: {block.name or block.language} ({time.monotonic() - began:.0f} s)", flush=True)
        passed += 1
    return passed, 0, skipped


def main(root, clone, *pages):
    with Root(root, clone) as opened:
        passed, failed, skipped = (sum(figures) for figures in zip(*(run_page(opened, page) for page in pages)))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
