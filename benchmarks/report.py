"""What was measured, as two tables: what every process took, and what that makes of each figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measure import Ratio, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.measure import Usage

DIGITS = {"cpu": 3, "wall": 3, "peak": 1}
UNITS = {"cpu": "s", "wall": "s", "peak": "MiB"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result: both sides, what was to be reached, and whether it was."""

    name: str
    ours: str
    bare: str
    target: str
    reached: bool
    ratio: Ratio | None = None


def figure(name: str, quantity: str, at_most: float, sides: Mapping[str, Sequence[Usage]]) -> Figure:
    """Judge one quantity of a scenario.

    Args:
        name: the scenario's.
        quantity: `cpu`, `wall` or `peak`.
        at_most: the most that the ratio of the medians may be; where there is no bare side, our own median.
        sides: what was measured, `ours` and perhaps `bare`.
    """
    values = {side: [getattr(usage, quantity) for usage in usages] for side, usages in sides.items()}
    shown = {side: f"{Summary.of(each).median:.{DIGITS[quantity]}f}" for side, each in values.items()}
    unit, title = UNITS[quantity], f"{name}: {'peak memory' if quantity == 'peak' else 'CPU'}"
    if "bare" not in values:
        ours = Summary.of(values["ours"]).median
        return Figure(title, f"{shown['ours']} {unit}", "", f"<= {at_most:.1f} {unit}", reached=ours <= at_most)
    ratio = Ratio.of(values["ours"], values["bare"])
    reached = ratio.of_medians <= at_most
    return Figure(
        title, f"{shown['ours']} {unit}", f"{shown['bare']} {unit}", f"<= {at_most:.2f}", reached=reached, ratio=ratio
    )


def usage_table(measured: Mapping[str, Mapping[str, Sequence[Usage]]]) -> Iterator[str]:
    """Lowest, median and highest of every quantity, a row for each side of each scenario.

    A command alone is shown without its memory: `verify` and `--help` are too small for `Usage.peak`.
    """
    rows = [["", "", *(cell for name, unit in UNITS.items() for cell in (f"{name} ({unit}) min", "median", "max"))]]
    for name, sides in measured.items():
        for side, usages in sides.items():
            cells = []
            for quantity, digits in DIGITS.items():
                if quantity == "peak" and len(sides) == 1:
                    cells += ["-"] * 3
                else:
                    cells += Summary.of([getattr(usage, quantity) for usage in usages]).shown(digits)
            rows.append([name, side, *cells])
    return aligned(rows, left=2)


def figure_table(figures: Sequence[Figure]) -> Iterator[str]:
    """Every figure with both sides, the ratio where it has one, its target, and whether it was reached."""
    rows = [["", "ours", "bare", "ratio of medians", "median of ratios", "target", "reached"]]
    for each in figures:
        ratios = [f"{each.ratio.of_medians:.3f}", f"{each.ratio.of_pairs:.3f}"] if each.ratio else ["", ""]
        rows.append([each.name, each.ours, each.bare, *ratios, each.target, "yes" if each.reached else "NO"])
    return aligned(rows, left=1)


def aligned(rows: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """The rows as lines of equal columns, the first `left` to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
