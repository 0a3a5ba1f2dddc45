# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measurements as text, one block for each as it is made, and all of them as JSON."""

import contextlib
import sys

from workloads import DEFAULT, LIMIT, WORKLOADS

NO_RESULT = "no result"


def json_output(path):
    """Opened before the first run, lest ten minutes of figures have nowhere to go. None where none is wanted."""
    if path == "-":
        return contextlib.nullcontext(sys.stdout)
    return open(path, "w", encoding="utf-8") if path else contextlib.nullcontext()


def platform(document):
    return document["machine"]["system"].replace(" GNU/Linux", "")


def number(value):
    """Three digits or more, with the thousands separated."""
    if abs(value) < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def ratio(value, missing="-"):
    if value is None:
        return missing
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def verdict_text(verdict):
    if verdict.met is None:
        return f"{NO_RESULT}, target {verdict.wanted}"
    return f"{ratio(verdict.reached)}, target {verdict.wanted}: {'met' if verdict.met else 'MISSED'}"


def list_text():
    return "".join(f"{each.name:<13} {each.what} (N: {', '.join(map(str, each.sizes))}; {', '.join(each.loops)})\n"
                   for each in WORKLOADS.values())


def _row(measurement, loop, figure):
    series = measurement.series(loop, figure)
    if not series:
        return []
    median = number(series.median) if series.is_result else NO_RESULT
    to_default, to_limit = (ratio(measurement.ratio(loop, other, figure)) for other in (DEFAULT, LIMIT))
    return [f"  {loop:<12}{median:>14} {figure.unit:<9}+-{series.spread:>6.1%}{to_default:>12}{to_limit:>10}"]


def measurement_text(measurement):
    workload = measurement.workload
    lines = [f"{workload.name}/{measurement.size}: {workload.what}"]
    for figure in workload.figures:
        lines.append(f"  {figure.name:<12}{'median':>14} {'':<9}{'spread':>8}{'to default':>12}{'to uv':>10}")
        for loop in workload.loops:
            lines += _row(measurement, loop, figure)
        lines += [f"  virt-uv: {verdict_text(verdict)}" for verdict in measurement.verdicts(figure)]
    lines += [f"  {loop}: NOT MEASURED: {why}" for loop, why in measurement.failures.items()]
    return "\n".join(lines) + "\n"


def targets_text(measurements):
    """How many targets were met, and each that was not."""
    verdicts = [(f"{each.workload.name}/{each.size} {figure.name}", verdict)
                for each in measurements for figure in each.workload.figures for verdict in each.verdicts(figure)]
    lines = [f"targets met: {sum(verdict.met is True for _, verdict in verdicts)}"]
    lines += [f"{name}: {verdict_text(verdict)}" for name, verdict in verdicts if not verdict.met]
    return "\n".join(lines) + "\n"


def _loop(measurement, loop, figure):
    series = measurement.series(loop, figure)
    return {"median": series.median, "spread": series.spread, "result": series.is_result,
            "to_default": measurement.ratio(loop, DEFAULT, figure),
            "to_uv": measurement.ratio(loop, LIMIT, figure),
            "runs": list(series.runs)}


def _figure(measurement, figure):
    loops = {loop: _loop(measurement, loop, figure)
             for loop in measurement.workload.loops if measurement.series(loop, figure)}
    return {"name": figure.name, "unit": figure.unit, "better": "higher" if figure.higher_is_better else "lower",
            "loops": loops, "targets": [vars(verdict) for verdict in measurement.verdicts(figure)]}


def _measurement(measurement):
    workload = measurement.workload
    return {"workload": workload.name, "what": workload.what, "size": measurement.size,
            "figures": [_figure(measurement, figure) for figure in workload.figures],
            "failures": measurement.failures}


def document(machine, settings, measurements):
    return {"machine": machine, **settings, "measurements": [_measurement(each) for each in measurements]}
