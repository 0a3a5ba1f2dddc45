# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plot of two lines on logarithmic axes, as SVG: virt-uv, and below it what it is compared with.

Each line's label is at its end. An arrow between the two says how far they are apart at one place. The picture brings
its background along, and is dark where the reader's system is: a page shows an SVG as an image, which knows no colour
of the page's.
"""

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

from report import ratio

WIDTH, HEIGHT = 930, 430
LEFT, RIGHT, TOP, BOTTOM = 100, 230, 64, 62  # of the axes, from the edges
STYLE = """\
  <style>
    text { font: 15px system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; fill: #1f2328 }
    .title { font-size: 18px; font-weight: 600 }
    .gap { font-weight: 700; paint-order: stroke; stroke: #ffffff; stroke-width: 6px }
    .large { font-size: 30px }
    .back { fill: #ffffff }
    .grid { stroke: #d1d9e0 }
    .arrow { stroke: #1f2328; stroke-width: 1.5; fill: none }
    .line { fill: none; stroke-width: 3.5; stroke-linejoin: round; stroke-linecap: round }
    .label { font-weight: 600 }
    .line.ours { stroke: #1a7f37 } .label.ours { fill: #1a7f37 }
    .line.other { stroke: #cf222e } .label.other { fill: #cf222e }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .gap { stroke: #0d1117 }
      .back { fill: #0d1117 }
      .grid { stroke: #3d444d }
      .arrow { stroke: #e6edf3 }
      .line.ours { stroke: #3fb950 } .label.ours { fill: #3fb950 }
      .line.other { stroke: #ff7b72 } .label.other { fill: #ff7b72 }
    }
  </style>"""


@dataclass(frozen=True)
class Line:
    points: tuple  # (x, y), in the order of x
    label: str
    note: str = ""  # below the label

    def at(self, x):
        return dict(self.points)[x]

    def drawn(self, style, x, y):
        places = [f"{x(at):.1f} {y(value):.1f}" for at, value in self.points]
        yield f'  <path class="line {style}" d="M{"L".join(places)}"/>'
        at, value = self.points[-1]
        yield _text(x(at) + 12, y(value) + 5, self.label, f"label {style}")
        yield _text(x(at) + 12, y(value) + 25, self.note)


@dataclass(frozen=True)
class Plot:
    title: str
    x_title: str
    ours: Line
    other: Line
    gap_at: int  # the arrow's x
    gap_unit: str  # what an x of it counts

    def svg(self):
        points = self.ours.points + self.other.points
        xs, ys = ([point[axis] for point in points] for axis in (0, 1))
        x = _Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
        y = _Axis(10 ** math.floor(math.log10(min(ys))), 2 * max(ys), HEIGHT - BOTTOM, TOP)
        ours, other = self.ours.at(self.gap_at), self.other.at(self.gap_at)
        gap, unit = f"{ratio(ours / other)} ×", f"with {self.gap_at:,} {self.gap_unit}"
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" role="img">',
            f"  <title>{escape(self.title)}: {gap} {unit}</title>",
            STYLE,
            f'  <rect class="back" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
            _text(LEFT, 34, self.title, "title"),
            *_grid(x, y),
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, self.x_title, anchor="middle"),
            *self.other.drawn("other", x, y),
            *self.ours.drawn("ours", x, y),
            *_arrow(x(self.gap_at), y(ours), y(other), gap, unit),
            "</svg>\n"])


class _Axis:
    """From values to places, by their logarithms."""

    def __init__(self, least, most, begin, end):
        self._least, self._most, self._begin = least, most, begin
        self._scale = (end - begin) / math.log(most / least)

    def __call__(self, value):
        return self._begin + math.log(value / self._least) * self._scale

    def ticks(self):
        """Powers of ten; where there are few, 2 and 5 of each too."""
        decades = range(math.floor(math.log10(self._least)), math.ceil(math.log10(self._most)) + 1)
        steps = (1,) if self._most / self._least >= 100 else (1, 2, 5)
        values = [step * 10 ** decade for decade in decades for step in steps]
        return [value for value in values if self._least <= value <= self._most]


def _text(x, y, text, style="", anchor="start"):
    return f'  <text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'


def _grid(x, y):
    for value in y.ticks():
        yield f'  <path class="grid" d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}"/>'
        yield _text(LEFT - 10, y(value) + 5, f"{value:,}", anchor="end")
    for value in x.ticks():
        yield f'  <path class="grid" d="M{x(value):.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield _text(x(value), HEIGHT - BOTTOM + 22, f"{value:,}", anchor="middle")


def _arrow(x, top, bottom, gap, unit):
    """With its two lines of text at its right, where it stands above the falling line."""
    top, bottom, middle = top + 8, bottom - 8, (top + bottom) / 2
    yield (f'  <path class="arrow" d="M{x:.1f} {top:.1f}V{bottom:.1f}M{x - 5:.1f} {top + 8:.1f}l5 -8l5 8'
           f'M{x - 5:.1f} {bottom - 8:.1f}l5 8l5 -8"/>')
    yield _text(x + 14, middle, gap, "gap large")
    yield _text(x + 14, middle + 22, unit, "gap")
