"""The plots of a page, each of the numbers of its table; ids begin with the name of the plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from artifact_pipeline.reports.page.drawing import BAND, BLUE, FAINT, GREY, INK, ORANGE, label, open_drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from artifact_pipeline.metrics import curves


class Range(NamedTuple):
    """A figure with the ends of its interval, and the bounds that are marked beside it."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    chance: float | None = None


def ranges(name: str, rows: Sequence[Range]) -> Markup:
    """Draw figures with their intervals, the first one at the top.

    A bound of the gate is a bar, and the majority's share a dotted line.
    """
    with open_drawing(name, width=6.2, height=0.95 + 0.36 * len(rows)) as drawing:
        axes = drawing.axes
        for place, row in enumerate(rows):
            low, high = (row.value if end is None else end for end in (row.low, row.high))
            axes.plot([low, high], [place, place], color=BLUE, linewidth=2.5, solid_capstyle="round")
            axes.plot([row.value], [place], "o", color=BLUE, markersize=7)
            for x, colour, style in ((row.bound, ORANGE, "-"), (row.chance, GREY, (0, (2, 2)))):
                if x is not None:
                    axes.plot([x, x], [place - 0.33, place + 0.33], color=colour, linewidth=2, linestyle=style)
        marks = [("o-", BLUE, "measured, 95 % interval", "-")]
        if any(row.bound is not None for row in rows):
            marks.append(("", ORANGE, "the gate asks for", "-"))
        if any(row.chance is not None for row in rows):
            marks.append(("", GREY, "majority share", ":"))
        for marker, colour, words, style in marks:
            axes.plot([], [], marker or style, color=colour, label=words, linewidth=2)
        axes.set_yticks(range(len(rows)), [label(row.name, 42) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="x")
        if len(marks) > 1:
            axes.legend(
                loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=len(marks), handlelength=1.6, columnspacing=1.4
            )
        return drawing.svg()


def class_bars(name: str, classes: Sequence[tuple[str, float, float, float]]) -> Markup:
    """Draw precision, recall and F1, which follow the label of each class: a bar of F1, and a mark for either other."""
    with open_drawing(name, height=0.9 + 0.27 * len(classes)) as drawing:
        axes, places = drawing.axes, range(len(classes))
        f1 = [each[3] for each in classes]
        axes.barh(places, f1, 0.55, color=BAND, label="F1")
        axes.plot([each[1] for each in classes], places, "o", color=BLUE, markersize=5.5, label="precision")
        axes.plot([each[2] for each in classes], places, "D", color=ORANGE, markersize=4.5, label="recall")
        least = min(min(each[1:]) for each in classes)
        axes.set_xlim(max(0.0, least - 0.06) if least > 0.5 else 0, 1.005)
        axes.set_yticks(places, [label(each[0]) for each in classes])
        axes.set_ylim(len(classes) - 0.5, -0.5)
        axes.grid(axis="x")
        axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=3, handlelength=1.2)
        return drawing.svg()


def reliability(name: str, found: curves.Reliability, x_label: str) -> Markup:
    """Draw how often an event occurs against its probability; `x_label` names the probability."""
    with open_drawing(name, width=4.6, height=4.0) as drawing:
        axes = drawing.axes
        axes.fill_between(
            found.probability, found.low, found.high, color=BAND, linewidth=0, label="if it is calibrated (95 %)"
        )
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.plot(found.probability, found.share, color=BLUE, linewidth=1.8, label="observed (CORP)")
        # Of a share of 0 or 1 the interval ends there, but for the last bit.
        lows = [max(0.0, each.share - each.low) for each in found.bins]
        highs = [max(0.0, each.high - each.share) for each in found.bins]
        axes.errorbar(
            [each.probability for each in found.bins], [each.share for each in found.bins], [lows, highs], fmt="o",
            color=ORANGE, markersize=4, linewidth=1.2, label="in bins, 95 % interval",
        )  # fmt: skip
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel(label(x_label, 48))
        axes.set_ylabel("share that came true")
        axes.grid()
        axes.legend(loc="upper left", handlelength=1.4)
        return drawing.svg()


def curve(
    name: str, x: Sequence[float], y: Sequence[float], *, axis: tuple[str, str], chance: tuple[float, float]
) -> Markup:
    """Draw a curve between 0 and 1; `chance` has the ordinates, at 0 and at 1, of what guessing gives."""
    with open_drawing(name, width=4.2, height=3.8) as drawing:
        axes = drawing.axes
        axes.plot([0, 1], chance, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)), label="guessing")
        axes.plot(x, y, color=BLUE, linewidth=2, label="the model", drawstyle="steps-post")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel(label(axis[0], 48))
        axes.set_ylabel(label(axis[1], 48))
        axes.grid()
        axes.legend(loc="lower right" if chance[1] else "lower left")
        return drawing.svg()


def thinned(found: curves.Thresholds, most: int = 150) -> list[int]:
    """The positions of at most so many thresholds: the first, the last, and others evenly between them."""
    places = np.linspace(0, len(found.recall) - 1, min(most, len(found.recall))).astype(np.int64)
    kept: list[int] = np.unique(places).tolist()
    return kept


def signed_bars(name: str, bars: Sequence[Range], axis: str) -> Markup:
    """Draw bars to either side of 0, the first one at the top, with intervals where they have one."""
    with open_drawing(name, width=6.2, height=0.9 + 0.27 * len(bars)) as drawing:
        axes, places = drawing.axes, range(len(bars))
        colours = [BLUE if each.value >= 0 else ORANGE for each in bars]
        axes.barh(places, [each.value for each in bars], 0.62, color=colours)
        for place, each in enumerate(bars):
            if each.low is not None and each.high is not None:
                axes.plot([each.low, each.high], [place, place], color=INK, linewidth=1.2)
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.set_yticks(places, [label(each.name, 34) for each in bars])
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.set_xlabel(label(axis, 48))
        axes.grid(axis="x")
        return drawing.svg()


def heat_map(name: str, shares: Sequence[Sequence[float]]) -> Markup:
    """Draw a confusion matrix, a row for each actual class, as a picture, darker for a greater share of that class."""
    with open_drawing(name, width=5.4, height=5.2) as drawing:
        axes = drawing.axes
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xlabel("predicted class, by its position")
        axes.set_ylabel("actual class, by its position")
        for side in axes.spines.values():
            side.set_color(FAINT)
        return drawing.svg()
