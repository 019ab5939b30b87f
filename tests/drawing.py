"""Digits drawn by a pen that varies as hands do, and pictures of them as files."""

from __future__ import annotations

import io
from math import cos, hypot, pi, sin
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 280
"""Pixels a side of a drawing, unless it is asked otherwise: the usual canvas of a drawing page."""
FINER = 3
"""Strokes are drawn so many times larger, and shrunk: their edges are smooth."""

Point = tuple[float, float]
Stroke = list[Point]


def arc(centre: Point, radii: Point, start: float, end: float) -> Stroke:
    """Points along an ellipse, from `start` to `end` in degrees: 0 is right, 90 is down."""
    steps = max(3, round(abs(end - start) / 40))
    angles = [(start + (end - start) * step / steps) * pi / 180 for step in range(steps + 1)]
    return [(centre[0] + radii[0] * cos(angle), centre[1] + radii[1] * sin(angle)) for angle in angles]


def corners(*points: Point) -> Stroke:
    """Straight lines from point to point: a point that stands twice is a corner."""
    return [point for point in points for _ in range(2)]


# How people write each digit, in a box from (0, 0) at the top left to (1, 1) at the bottom right.
STYLES: dict[int, list[list[Stroke]]] = {
    0: [
        [arc((0.5, 0.5), (0.5, 0.5), -90, -450)],
        [arc((0.5, 0.5), (0.4, 0.5), -70, -440)],  # the ends pass each other
        [arc((0.5, 0.5), (0.46, 0.5), -60, -405)],  # the ends do not quite meet
        [[(0.6, 0.02), (0.2, 0.12), (0.02, 0.5), (0.2, 0.92), (0.55, 1), (0.9, 0.8), (0.98, 0.4), (0.75, 0.06), (0.5, 0)]],
    ],
    1: [
        [[(0.5, 0), (0.5, 1)]],  # a bare stem
        [corners((0.2, 0.25), (0.5, 0), (0.5, 1))],  # with a flag
        [corners((0.1, 0.38), (0.55, 0), (0.55, 1))],  # with a long flag
        [corners((0.22, 0.22), (0.5, 0), (0.5, 1)), [(0.2, 1), (0.8, 1)]],  # with flag and foot
    ],
    2: [
        [[(0.05, 0.25), (0.25, 0.03), (0.6, 0), (0.88, 0.2), (0.8, 0.48), (0.45, 0.75), *corners((0.05, 1)), (0.95, 1)]],
        [[(0.08, 0.2), (0.4, 0), (0.85, 0.12), (0.85, 0.42), (0.5, 0.7), (0.12, 0.95), (0.1, 0.82), (0.35, 0.82), (0.65, 0.97), (1, 0.93)]],
        [[(0.1, 0.15), (0.45, 0), (0.8, 0.15), (0.75, 0.45), (0.4, 0.8), *corners((0, 0.97)), (0.4, 0.92), (0.95, 1)]],
        [[(0.0, 0.1), (0.5, 0), (0.82, 0.2), (0.65, 0.55), *corners((0.08, 0.98)), (0.9, 0.98)]],
    ],
    3: [
        [[(0.08, 0.12), (0.45, 0), (0.85, 0.15), (0.75, 0.4), *corners((0.4, 0.47)), (0.8, 0.57), (0.95, 0.78), (0.6, 1), (0.05, 0.92)]],
        [[*corners((0.08, 0), (0.9, 0), (0.42, 0.4)), (0.85, 0.5), (0.95, 0.75), (0.6, 1), (0.05, 0.93)]],  # a flat top
        [[(0.05, 0.15), (0.4, 0), (0.8, 0.1), (0.8, 0.35), (0.45, 0.5), (0.35, 0.46), (0.5, 0.45), (0.9, 0.6), (0.88, 0.85), (0.45, 1), (0, 0.85)]],
        [[(0.15, 0.05), (0.6, 0), (0.85, 0.2), *corners((0.35, 0.45)), (0.85, 0.6), (0.85, 0.85), (0.4, 1), (0.1, 0.95)]],
    ],
    4: [
        [corners((0.3, 0), (0.02, 0.6), (1, 0.6)), [(0.72, 0.3), (0.68, 1)]],  # open
        [corners((0.2, 0), (0.12, 0.5), (0.9, 0.5)), [(0.8, 0), (0.75, 1)]],  # open, with two upright strokes
        [corners((0.7, 1), (0.7, 0), (0.02, 0.68), (1, 0.68))],  # closed
        [corners((0.6, 0), (0, 0.62), (0.98, 0.6)), [(0.7, 0.35), (0.6, 1)]],
        [[(0.35, 0), (0.15, 0.3), (0.05, 0.52), (0.3, 0.58), (0.9, 0.48)], [(0.85, 0.1), (0.62, 1)]],  # round
    ],
    5: [
        [[(0.12, 0.02), (0.9, 0)], [*corners((0.12, 0.02), (0.1, 0.42)), (0.5, 0.36), (0.92, 0.6), (0.8, 0.9), (0.4, 1), (0.02, 0.9)]],
        [[*corners((0.9, 0), (0.2, 0.02), (0.12, 0.45)), (0.6, 0.4), (0.9, 0.65), (0.7, 0.93), (0.3, 1), (0, 0.92)]],
        [[(0.95, 0.03), (0.5, 0), (0.15, 0.12), (0.18, 0.38), (0.6, 0.48), (0.9, 0.7), (0.65, 0.97), (0.05, 0.95)]],  # as an S
        [[(0.3, 0.06), (0.95, 0.02)], [*corners((0.22, 0.1), (0.15, 0.45)), (0.55, 0.42), (0.85, 0.65), (0.65, 0.95), (0, 0.98)]],
    ],
    6: [
        [[(0.75, 0), (0.35, 0.2), (0.05, 0.6), (0.15, 0.92), (0.55, 1), (0.9, 0.8), (0.75, 0.55), (0.35, 0.55), (0.08, 0.75)]],
        [[(0.6, 0), (0.2, 0.4), (0.05, 0.75), (0.35, 1), (0.8, 0.92), (0.9, 0.65), (0.55, 0.5), (0.1, 0.68)]],
        [[(0.85, 0.08), (0.5, 0), (0.15, 0.3), (0.03, 0.7), (0.4, 1), (0.88, 0.85), (0.8, 0.5), (0.4, 0.45), (0.07, 0.6)]],
        [[(0.3, 0), (0.1, 0.4), (0.05, 0.8), (0.4, 1), (0.85, 0.9), (0.85, 0.65), (0.5, 0.52), (0.08, 0.72)]],  # upright
    ],
    7: [
        [corners((0.02, 0.02), (0.95, 0), (0.35, 1))],
        [corners((0.05, 0.02), (0.92, 0), (0.4, 1)), [(0.25, 0.52), (0.85, 0.48)]],  # with a bar
        [corners((0.05, 0.2), (0.05, 0.02), (0.9, 0.03), (0.4, 1))],  # with a serif
        [[*corners((0.05, 0.05), (0.95, 0)), (0.6, 0.4), (0.42, 1)]],  # with a bent leg
        [[(0, 0.12), (0.3, 0.02), (0.55, 0.06), *corners((0.95, 0.02)), (0.55, 0.5), (0.4, 1)], [(0.2, 0.55), (0.8, 0.48)]],
    ],
    8: [
        [[(0.85, 0.12), (0.5, 0), (0.15, 0.15), (0.25, 0.4), (0.7, 0.58), (0.92, 0.8), (0.5, 1), (0.1, 0.82), (0.3, 0.58), (0.75, 0.38), (0.88, 0.15)]],
        [arc((0.5, 0.24), (0.36, 0.24), 90, 450), arc((0.5, 0.74), (0.46, 0.26), -90, 270)],
        [[(0.5, 0.46), (0.2, 0.25), (0.5, 0), (0.8, 0.22), (0.5, 0.46), (0.1, 0.75), (0.5, 1), (0.9, 0.75), (0.5, 0.46)]],
        [[(0.75, 0.05), (0.35, 0.02), (0.15, 0.22), (0.5, 0.45), (0.85, 0.7), (0.6, 0.98), (0.2, 0.9), (0.25, 0.65), (0.6, 0.42), (0.9, 0.08)]],
    ],
    9: [
        [[(0.88, 0.15), (0.5, 0), (0.1, 0.2), (0.2, 0.45), (0.55, 0.48), (0.88, 0.2), (0.86, 0.5), (0.82, 1)]],  # a straight leg
        [[(0.85, 0.15), (0.5, 0), (0.1, 0.22), (0.3, 0.47), (0.7, 0.4), (0.88, 0.15), (0.88, 0.6), (0.7, 0.92), (0.25, 1)]],
        [[(0.85, 0.2), (0.5, 0), (0.1, 0.2), (0.3, 0.47), (0.85, 0.25), (0.9, 0.7), (0.6, 1), (0.1, 0.92), (0.03, 0.8)]],  # a hook
        [[*arc((0.5, 0.27), (0.4, 0.27), -20, -360), *corners((0.9, 0.27)), (0.55, 1)]],  # a leaning leg
    ],
}


def draw_digit(
    digit: int,
    random: np.random.Generator,
    *,
    side: int = SIDE,
    light_on_dark: bool = False,
    noise: float = 0.0,
    ink: int = 0,
    paper: int = 255,
) -> NDArray[np.uint8]:
    """A digit by one hand, which is drawn anew each time: style, size, place, proportions, slant, pen and tremor.

    Args:
        digit: 0 to 9.
        random: where the hand comes from.
        side: pixels a side.
        light_on_dark: exchange light and dark.
        noise: standard deviation of each pixel, in grey values.
        ink: grey value of the ink.
        paper: grey value of the paper.
    """
    strokes = STYLES[digit][random.integers(len(STYLES[digit]))]
    height = side * random.uniform(0.35, 0.85)
    pen = max(1.5, height * random.uniform(0.03, 0.13))
    lines = _placed(_written(strokes, random), height, side - pen - 4, random)
    image = Image.new("L", (side * FINER, side * FINER), 0)
    draw = ImageDraw.Draw(image)
    for line in lines:
        _stroke(draw, (line + pen / 2 + 2) * FINER, pen * FINER, random)
    cover = np.asarray(image.reduce(FINER), dtype=np.float64) / 255
    grey = paper + (ink - paper) * cover
    if light_on_dark:
        grey = 255 - grey
    return np.clip(np.round(grey + random.normal(0, noise, grey.shape)), 0, 255).astype(np.uint8)


def draw_digits(count: int, seed: int, **how: float) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64]]:
    """So many drawings, each digit equally often, every second light on dark; and what they show."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    return [draw_digit(int(d), random, light_on_dark=bool(i // 10 % 2), **how) for i, d in enumerate(labels)], labels


def print_digit(digit: int, *, side: int = SIDE, size: int = 200) -> NDArray[np.uint8]:
    """A digit in the typeface that Pillow ships."""
    image = Image.new("L", (side, side), 255)
    font = ImageFont.load_default(size=size)
    ImageDraw.Draw(image).text((side / 2, side / 2), str(digit), fill=0, font=font, anchor="mm")
    return np.asarray(image)


def encode(picture: NDArray[np.uint8] | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The picture as the bytes of a file."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _written(strokes: list[Stroke], random: np.random.Generator) -> list[NDArray[np.float64]]:
    """The strokes as smooth lines, by a hand that does not hit each point, and whose proportions wander."""
    tremor = random.uniform(0.005, 0.03)
    moved = {point: random.normal(point, tremor) for stroke in strokes for point in stroke}  # strokes that meet, meet
    bend, phase = random.normal(0, 0.025, (2, 2)), random.uniform(0, 2 * pi, (2, 2))
    lines = []
    for stroke in strokes:
        line = _smooth(np.array([moved[point] for point in stroke]))
        waves = np.sin(pi * line[:, None, :] + phase) * bend  # of each coordinate, along each coordinate
        lines.append(line + waves.sum(axis=2))
    return lines


def _placed(
    lines: list[NDArray[np.float64]], height: float, room: float, random: np.random.Generator
) -> list[NDArray[np.float64]]:
    """The lines in pixels: proportions, slant, a little turn, and a place where all of it has room."""
    slant, turn = random.normal(0.08, 0.14), random.normal(0, 0.05)
    width = random.uniform(0.45, 0.8)
    shape = np.array([[width, -slant], [0, 1]])
    rotation = np.array([[cos(turn), -sin(turn)], [sin(turn), cos(turn)]])
    lines = [line @ (rotation @ shape).T * height for line in lines]
    low = np.min([line.min(axis=0) for line in lines], axis=0)
    extent = np.max([line.max(axis=0) for line in lines], axis=0) - low
    scale = min(1.0, room / extent.max())
    corner = random.uniform(0, 1, 2) * (room - extent * scale)
    return [(line - low) * scale + corner for line in lines]


def _smooth(points: NDArray[np.float64], steps: int = 12) -> NDArray[np.float64]:
    """A Catmull-Rom curve through the points."""
    p = np.vstack([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = [
        p[i] + t * ((p[i + 1] - p[i - 1]) / 2)
        + t**2 * (p[i - 1] - 2.5 * p[i] + 2 * p[i + 1] - p[i + 2] / 2)
        + t**3 * ((p[i + 2] - p[i - 1]) / 2 + 1.5 * (p[i] - p[i + 1]))
        for i in range(1, len(p) - 2)
    ]
    return np.vstack([*pieces, points[-1:]])


def _stroke(draw: ImageDraw.ImageDraw, line: NDArray[np.float64], pen: float, random: np.random.Generator) -> None:
    """One stroke of a round pen, whose pressure changes along the way."""
    pressure = pen * (1 + random.uniform(0, 0.15) * np.sin(np.linspace(0, pi, len(line)) + random.uniform(0, pi)))
    for (x0, y0), (x1, y1), width in zip(line[:-1], line[1:], pressure[1:], strict=True):
        dots = max(1, round(hypot(x1 - x0, y1 - y0) / (width / 4)))
        for x, y in zip(np.linspace(x0, x1, dots + 1), np.linspace(y0, y1, dots + 1), strict=True):
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
