"""A picture of a handwritten digit becomes a row of the digits, by the recipe that the data set was made with.

The rows of the digits come from a program of NIST (NISTIR 5469): the ink's box is stretched to 32 rows, strokes are
made thicker or thinner, and the digit is sheared until its top and its bottom begin in one column; then the ink in
each of 8x8 blocks is counted. Place, size, pen and polarity decide nothing.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from math import ceil
from typing import TYPE_CHECKING

from artifact_pipeline.digits.containers import FORMATS, check_size, pixels_alone, refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

_WORK = 1024
"""Pixels of the longer side at most: larger pictures are shrunk before the ink is looked for."""
MIN_SIDE, MIN_INK, MIN_CONTRAST, MAX_PIECES = 8, 5, 8, 6
"""Pixels of each side, pixels of the ink's longer side, grey values between ink and paper; pieces of ink at most."""

_FINE = 4
"""The bitmap of 32x32 pixels is so many times finer here: a pen's width is set in quarters of a pixel."""
MARGIN, REACH = 4 * _FINE, 5 * _FINE
"""Beyond the bitmap, and of strokes that grow."""
HEIGHT, WIDTH = 31, 19
"""Pixels of the bitmap that a digit fills: NIST's 32x20, less what its erosion takes on the average."""
_STRETCH = ((0, 0.2, 0.5), (0, 6.4, WIDTH))
"""The ink's width by its height, and the width that it gets: a stroke alone is not stretched to a block."""
PEN, MEAN = 3.5, 4.88
"""Pixels of stroke that a digit is fitted with, as from NIST's pens; then its 64 values get the digits' mean."""
_BAND = 3  # pixels at the top and at the bottom in which a digit may begin


def digit_from_image(data: bytes, *, place: str) -> NDArray[np.float64]:
    """Return a picture of one digit, dark on light or light on dark, as a row: 64 whole numbers from 0 to 16.

    Args:
        data: the bytes of a PNG (its first frame counts) or JPEG file.
        place: the name of the picture in a refusal.

    Raises:
        DataRejected: the picture cannot be decoded whole, is too large, or shows no ink.
    """
    from PIL import Image, ImageOps

    try:
        image = Image.open(io.BytesIO(pixels_alone(data, place)), formats=FORMATS)
        check_size(*image.size, place)
        image.draft(image.mode, (_WORK, _WORK))  # a JPEG is decoded at the size that is needed
        ImageOps.exif_transpose(image, in_place=True)
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error) as error:
        reason = "it is cut off" if isinstance(error, struct.error) else re.split(" <|\n", str(error))[0][:200]
        raise refused(place, "image-unreadable", f"cannot be decoded: {reason}") from error
    if image.mode == "P" and image.palette is None:
        raise refused(place, "image-unreadable", "has no palette")
    return _row_of_grey(_grey(image), place)


def _grey(image: Image.Image) -> NDArray[np.float32]:
    """Return grey values, of the colour in which ink and paper differ most; the longer side is at most `_WORK`."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits: Pillow would clip them, not scale them
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = image.convert("RGBA" if image.has_transparency_data else "L" if image.mode in {"1", "L"} else "RGB")
    image = image.reduce(max(1, ceil(max(image.size) / _WORK)))
    colours = np.atleast_3d(np.asarray(image, dtype=np.float32))
    if image.mode == "RGBA":
        colours, cover = colours[..., :3], colours[..., 3:] / 255
        solid = colours[cover[..., 0] > 0.99]
        # White shows through, unless all that is drawn is light.
        paper = 0 if solid.size and np.quantile(solid.mean(axis=1), 0.005) > 127 else 255
        colours = np.round(colours * cover + paper * (1 - cover))
    return np.ascontiguousarray(colours[..., int(colours.var(axis=(0, 1)).argmax())])


# Ink: what stands out from the paper, in one piece


def _row_of_grey(grey: NDArray[np.float32], place: str) -> NDArray[np.float64]:
    import numpy as np
    from PIL import Image, ImageFilter

    if min(grey.shape) < MIN_SIDE:
        raise refused(place, "image-no-ink", f"is smaller than {MIN_SIDE} x {MIN_SIDE} pixels")
    ink = _ink(grey, place)
    three = ink[:-2].astype(np.uint8) + ink[1:-1] + ink[2:]
    alone = ink[1:-1, 1:-1] & (three[:, :-2] + three[:, 1:-1] + three[:, 2:] == 1)
    if alone.sum() > 0.01 * ink.sum():  # salt and pepper
        cleaned = Image.fromarray(grey.astype(np.uint8)).filter(ImageFilter.MedianFilter(3))
        ink = _ink(np.asarray(cleaned, dtype=np.float32), place)
    return _count_blocks(_fit(_without_specks(ink, place)))


def _ink(grey: NDArray[np.float32], place: str) -> NDArray[np.bool_]:
    """Return which pixels are ink: those that differ from the paper to its rarer side, by Otsu's threshold."""
    import numpy as np
    from PIL import Image, ImageFilter

    if np.median(np.abs(np.diff(grey, axis=1))) > 2:  # noise: half of all neighbours differ
        soft = ImageFilter.GaussianBlur(max(1, max(grey.shape) / 256))
        grey = np.asarray(Image.fromarray(grey.astype(np.uint8)).filter(soft), dtype=np.float32)
    stands_out = grey - _paper(grey)
    stands_out *= np.sign((stands_out**3).sum())
    depth = np.clip(np.round(stands_out), 0, 255).astype(np.int64)
    count = np.bincount(depth.ravel(), minlength=256).astype(np.float64)
    below, total = count.cumsum(), (count * np.arange(256)).cumsum()
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    ink = depth > int(np.nan_to_num(between).argmax())
    noise = 1.5 * float(np.median(np.abs(stands_out)))  # of the paper: less than half of a picture is ink
    contrast = float(np.median(depth[ink])) if ink.any() else 0.0
    if contrast < max(MIN_CONTRAST, 4 * noise):
        raise refused(place, "image-no-ink", "shows nothing that stands out from its background")
    return ink


def _paper(grey: NDArray[np.float32]) -> NDArray[np.float32] | float:
    """Return the grey of the paper: one value, or a curved surface where the light is uneven."""
    import numpy as np
    from PIL import Image

    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    even = float(np.median(border))
    if np.mean(np.abs(grey - even) <= MIN_CONTRAST) >= 0.5 or np.mean(np.abs(border - even) <= MIN_CONTRAST) >= 0.9:
        return even
    small = np.asarray(Image.fromarray(grey).resize((32, 32), Image.Resampling.BOX), dtype=np.float64)
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y]).reshape(6, -1).T
    outer = np.where(np.maximum(np.abs(x), np.abs(y)) > 0.9, 3.0, 1.0).ravel()
    weight, fit = outer, np.zeros(6)
    for _ in range(15):  # least absolute differences: ink does not pull the paper towards it
        weighted = (terms * weight[:, None]).T
        fit = np.linalg.solve(weighted @ terms, weighted @ small.ravel())
        weight = outer / np.maximum(np.abs(terms @ fit - small.ravel()), 1)
    surface = Image.fromarray((terms @ fit).reshape(32, 32).astype(np.float32))
    return np.asarray(surface.resize(grey.shape[::-1], Image.Resampling.BICUBIC))


def _without_specks(ink: NDArray[np.bool_], place: str) -> NDArray[np.bool_]:
    """Return the ink's box without specks: the largest piece, and those of at least a tenth of it."""
    import numpy as np

    cell = max(1, ceil(max(ink.shape) / 96))
    ink = np.pad(ink, [(0, -side % cell) for side in ink.shape])
    cells = ink.reshape(len(ink) // cell, cell, -1, cell).sum(axis=(1, 3))
    sizes, pieces = [0], np.zeros_like(cells)
    left = set(zip(*map(np.ndarray.tolist, np.nonzero(cells)), strict=True))
    while left:
        reached = [left.pop()]
        for row, column in reached:
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            reached += near
        at = tuple(np.array(reached).T)
        pieces[at] = len(sizes)
        sizes.append(int(cells[at].sum()))
    large = np.array(sizes) >= max(1, max(sizes) / 10)
    pieces = pieces.repeat(cell, axis=0).repeat(cell, axis=1)
    kept, stroke = ink & large[pieces], max(_box(ink & (pieces == np.argmax(sizes))).shape)
    if large.sum() > MAX_PIECES or kept.sum() < 0.5 * ink.sum() or stroke < max(MIN_INK, max(ink.shape) / 40):
        raise refused(place, "image-no-ink", "shows specks, and no stroke")
    return _box(kept)


def _box(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    ink = ink[ink.any(axis=1).argmax() : len(ink) - ink[::-1].any(axis=1).argmax()]
    return ink[:, ink.any(axis=0).argmax() : ink.shape[1] - ink[:, ::-1].any(axis=0).argmax()]


# The recipe, on a bitmap of 32x32 pixels that is `_FINE` times finer


def _fit(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Stretch the digit to its rows, over the bitmap's whole width, with the pen and the ink of the digits."""
    import numpy as np

    height, width = HEIGHT * _FINE, round(float(np.interp(ink.shape[1] / ink.shape[0], *_STRETCH)) * _FINE)
    edge = _edge(_resize(ink, (max(_FINE, width), height), 0.25))  # a quarter covered is ink: hair lines stay
    pen = -4 * float(edge[edge < 0].mean())  # on the average, a point of a stroke is a quarter of it from its edge
    drawn = edge <= max((PEN * _FINE - pen) / 2, 0.8 * float(edge.min()))  # an eraser leaves something
    edge = _edge(_resize(_box(drawn), (max(_FINE, width), height), 0.5))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    drawn = edge <= np.sort(edge, axis=None)[round(MEAN * 64 * _FINE**2 * 32 / HEIGHT)]
    return _resize(drawn[drawn.any(axis=1)], (32 * _FINE, height), 0.5)


def _edge(ink: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return each point's distance to the ink's edge, negative inside; the ink is in the middle of a margin."""
    import numpy as np

    side = 32 * _FINE + 2 * MARGIN
    canvas = np.pad(ink, [((side - size) // 2, (side - size + 1) // 2) for size in ink.shape])
    return np.where(canvas, 0.5 - _distance(~canvas), _distance(canvas) - 0.5)


def _distance(to: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return each point's distance to the nearest that is true, exact up to `REACH`: down the columns, then across."""
    import numpy as np

    row, far = np.arange(len(to))[:, None], 10 * len(to)
    above = np.maximum.accumulate(np.where(to, row, -far), axis=0)
    below = np.minimum.accumulate(np.where(to, row, far)[::-1], axis=0)[::-1]
    down = np.minimum(row - above, below - row).astype(np.float32) ** 2
    nearest = down.copy()
    for step in range(1, REACH + 1):
        np.minimum(nearest[:, step:], down[:, :-step] + step**2, out=nearest[:, step:])
        np.minimum(nearest[:, :-step], down[:, step:] + step**2, out=nearest[:, :-step])
    return np.sqrt(nearest, out=nearest)


def _count_blocks(digit: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shear the digit until its top and its bottom begin in one column, and count the ink of 8x8 blocks."""
    import numpy as np

    rows, side = digit.shape
    top, bottom = (int(band.any(axis=0).argmax()) for band in (digit[: _BAND * _FINE], digit[-_BAND * _FINE :]))
    shift = np.round((top - bottom) * np.linspace(-0.5, 0.5, rows)).astype(np.int64)
    source = np.arange(side) - shift[:, None]
    sheared = np.take_along_axis(digit, source.clip(0, side - 1), axis=1) & (source >= 0) & (source < side)
    bitmap = np.pad(sheared, [((side - rows) // 2,), (0,)])
    blocks: NDArray[np.int64] = bitmap.reshape(8, 4 * _FINE, 8, 4 * _FINE).sum(axis=(1, 3))
    return np.round(blocks.ravel() / _FINE**2)


def _resize(ink: NDArray[np.bool_], size: tuple[int, int], covered: float) -> NDArray[np.bool_]:
    """Resize the ink: a point is ink where this share of it is covered, or half of what is most covered."""
    import numpy as np
    from PIL import Image

    image = Image.fromarray(ink.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    cover: NDArray[np.uint8] = np.asarray(image)
    return cover >= min(covered * 255, float(cover.max()) / 2)
