# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the runs of one workload at one size amount to: medians, spreads, ratios, and how virt-uv stands to its targets.

A median whose runs lie too far apart is no result: it is not shown, and neither is what would be computed from it. The
runs' values stay in the JSON.
"""

import statistics
from dataclasses import dataclass, field

from workloads import OURS, Workload

LARGEST_SPREAD = 0.3


@dataclass(frozen=True)
class Series:
    """The runs' values of one figure of one loop."""
    runs: tuple

    @property
    def median(self):
        return statistics.median(self.runs)

    @property
    def spread(self):
        """Half of the distance between the least and the greatest, as a share of the median."""
        return (max(self.runs) - min(self.runs)) / 2 / self.median if self.median else 0

    @property
    def is_result(self):
        return self.spread <= LARGEST_SPREAD


@dataclass(frozen=True)
class Verdict:
    wanted: str  # ">= 1.5 of default"
    reached: float  # None: no result
    met: bool  # None: no result


@dataclass
class Measurement:
    workload: Workload
    size: int
    runs: dict = field(default_factory=dict)  # by loop and figure, the values
    failures: dict = field(default_factory=dict)  # by loop: why a run gave nothing

    def add(self, loop, figures):
        for figure, value in figures.items():
            self.runs.setdefault((loop, figure), []).append(value)

    def series(self, loop, figure):
        """None where the loop has no such figure."""
        runs = self.runs.get((loop, figure.name))
        return Series(tuple(runs)) if runs else None

    def result(self, loop, figure):
        """None where the median is missing, or no result."""
        series = self.series(loop, figure)
        return series.median if series and series.is_result else None

    def ratio(self, loop, other, figure, above=""):
        """One loop's median to another's, both less what the loop `above` has. None where a median is no result, or
        nothing is left of the other's."""
        of, to = self.result(loop, figure), self.result(other, figure)
        base = self.result(above, figure) if above else 0
        if of is None or to is None or base is None or to - base <= 0:
            return None
        return (of - base) / (to - base)

    def verdicts(self, figure):
        """One for each target of the figure at this size."""
        wanted = [each for each in self.workload.targets if (each.size, each.figure) == (self.size, figure.name)]
        return [self._verdict(figure, target) for target in wanted if self.series(OURS, figure)]

    def _verdict(self, figure, target):
        sign, of = (">=" if figure.higher_is_better else "<="), (f" of {target.of}" if target.of else "")
        of += f", above the {target.above}" if target.above else ""
        reached = self._reached(figure, target)
        met = None
        if reached is not None:
            met = reached >= target.bound if figure.higher_is_better else reached <= target.bound
        return Verdict(f"{sign} {target.bound:g}{of}", reached, met)

    def _reached(self, figure, target):
        if target.of:
            return self.ratio(OURS, target.of, figure, target.above)
        return self.result(OURS, figure)
