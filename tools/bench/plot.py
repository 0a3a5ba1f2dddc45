# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plots by gnuplot, as SVG that can be read on a light page and on a dark one: what gnuplot draws in black gets the
page's colour of text. In an <img>, which does not inherit it, it is chosen by the reader's colour scheme."""

import re
import subprocess
from pathlib import Path

STYLE = "<style>svg { color: #1f2328 } @media (prefers-color-scheme: dark) { svg { color: #e6edf3 } }</style>"


def write_svg(path, title, size, script):
    """`script`: gnuplot's commands, without the terminal and the output. `title`: for those who do not see it."""
    width, height = size
    done = subprocess.run(["gnuplot"], text=True, check=True, stdout=subprocess.PIPE,
                          input=f"set terminal svg size {width},{height} font 'sans,13'\n{script}\n")
    svg = re.sub(r"""(stroke|fill|color)=(["'])black\2""", r"\1=\2currentColor\2", done.stdout)
    Path(path).write_text(svg.replace("<title>Gnuplot</title>", f"<title>{title}</title>\n{STYLE}"), encoding="utf-8")
