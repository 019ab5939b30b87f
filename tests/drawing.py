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

# How people write each digit: strokes, and the points that each passes through, in hundredths of the digit's width and
# height from its top left. At a point with `!` the pen turns sharply.
STYLES: dict[int, tuple[str, ...]] = {
    0: (
        "50,0 18,12 1,41 7,75 33,97 67,97 93,75 99,41 82,12 50,0",  # a ring
        "64,3 36,3 15,27 11,62 27,91 54,100 79,84 90,52 81,19 57,1",  # the ends pass each other
        "73,7 43,1 17,16 4,46 12,77 36,97 66,97 89,76 96,44 83,15",  # the ends do not quite meet
        "60,2 20,12 2,50 20,92 55,100 90,80 98,40 75,6 50,0",  # an egg
    ),
    1: (
        "50,0 50,100",  # a bare stem
        "20,25! 50,0! 50,100!",  # with a flag
        "10,38! 55,0! 55,100!",  # with a long flag
        "22,22! 50,0! 50,100! / 20,100 80,100",  # with flag and foot
    ),
    2: (
        "5,25 25,3 60,0 88,20 80,48 45,75 5,100! 95,100",
        "8,20 40,0 85,12 85,42 50,70 12,95 10,82 35,82 65,97 100,93",  # with a loop
        "10,15 45,0 80,15 75,45 40,80 0,97! 40,92 95,100",  # with a wave
        "0,10 50,0 82,20 65,55 8,98! 90,98",
    ),
    3: (
        "8,12 45,0 85,15 75,40 40,47! 80,57 95,78 60,100 5,92",
        "8,0! 90,0! 42,40! 85,50 95,75 60,100 5,93",  # a flat top
        "5,15 40,0 80,10 80,35 45,50 35,46 50,45 90,60 88,85 45,100 0,85",  # with a loop
        "15,5 60,0 85,20 35,45! 85,60 85,85 40,100 10,95",
    ),
    4: (
        "30,0! 2,60! 100,60! / 72,30 68,100",  # open
        "20,0! 12,50! 90,50! / 80,0 75,100",  # open, with two upright strokes
        "70,100! 70,0! 2,68! 100,68!",  # closed
        "60,0! 0,62! 98,60! / 70,35 60,100",  # with a short stem
        "35,0 15,30 5,52 30,58 90,48 / 85,10 62,100",  # round
    ),
    5: (
        "12,2 90,0 / 12,2! 10,42! 50,36 92,60 80,90 40,100 2,90",  # in two strokes
        "90,0! 20,2! 12,45! 60,40 90,65 70,93 30,100 0,92",  # in one stroke
        "95,3 50,0 15,12 18,38 60,48 90,70 65,97 5,95",  # as an S
        "30,6 95,2 / 22,10! 15,45! 55,42 85,65 65,95 0,98",  # with a bar that hangs off
    ),
    6: (
        "75,0 35,20 5,60 15,92 55,100 90,80 75,55 35,55 8,75",
        "60,0 20,40 5,75 35,100 80,92 90,65 55,50 10,68",
        "85,8 50,0 15,30 3,70 40,100 88,85 80,50 40,45 7,60",  # with a hook
        "30,0 10,40 5,80 40,100 85,90 85,65 50,52 8,72",  # upright
    ),
    7: (
        "2,2! 95,0! 35,100!",
        "5,2! 92,0! 40,100! / 25,52 85,48",  # with a bar
        "5,20! 5,2! 90,3! 40,100!",  # with a serif
        "5,5! 95,0! 60,40 42,100",  # with a bent leg
        "0,12 30,2 55,6 95,2! 55,50 40,100 / 20,55 80,48",  # with a wave and a bar
    ),
    8: (
        "85,12 50,0 15,15 25,40 70,58 92,80 50,100 10,82 30,58 75,38 88,15",  # in one stroke, from the top right
        "50,48 15,28 19,12 50,0 81,12 85,28 50,48 / 50,48 95,69 90,87 50,100 10,87 5,69 50,48",  # of two rings
        "50,46 20,25 50,0 80,22 50,46 10,75 50,100 90,75 50,46",  # in one stroke, from the middle
        "75,5 35,2 15,22 50,45 85,70 60,98 20,90 25,65 60,42 90,8",
    ),
    9: (
        "88,15 50,0 10,20 20,45 55,48 88,20 86,50 82,100",  # a straight leg
        "85,15 50,0 10,22 30,47 70,40 88,15 88,60 70,92 25,100",  # a curved leg
        "85,20 50,0 10,20 30,47 85,25 90,70 60,100 10,92 3,80",  # a hook
        "88,18 68,3 40,1 16,12 11,32 26,48 53,54 79,45 90,27! 55,100",  # a leaning leg
    ),
}


def strokes_of(style: str) -> list[Stroke]:
    """The strokes of a style, as points in a box from (0, 0) to (1, 1); a point that stands twice is a corner."""
    strokes = []
    for stroke in style.replace("!", " !").split("/"):
        points: Stroke = []
        for word in stroke.split():
            x, y = points[-1] if word == "!" else (int(percent) / 100 for percent in word.split(","))
            points.append((x, y))
        strokes.append(points)
    return strokes


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
    strokes = strokes_of(STYLES[digit][random.integers(len(STYLES[digit]))])
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
        p[i]
        + t * ((p[i + 1] - p[i - 1]) / 2)
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
