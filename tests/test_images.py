from __future__ import annotations

import struct
import subprocess
import sys
import time
import zlib
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFile

from artifact_pipeline.digits.containers import FORMATS, MAX_PIXELS, MAX_SCANS
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.digits.images import digit_from_image
from artifact_pipeline.errors import DataRejected
from artifact_pipeline.model.predictor import predictor_of
from artifact_pipeline.rows.limits import MAX_PICTURE_TEXT
from drawing import SIDE, draw_digit, draw_digits, encode

if TYPE_CHECKING:
    from artifact_pipeline.training.sealed import Candidate

SEED = 2026  # no choice in digits/images.py was made by its drawings
REQUIRED = 0.92


@cache
def drawn(digit: int = 5, seed: int = 0, **how: float) -> np.ndarray:
    """A drawing, dark on light unless it is asked otherwise; the same one for everyone, so nobody writes into it."""
    picture = draw_digit(digit, np.random.default_rng(seed), **how)
    picture.flags.writeable = False
    return picture


def row_of(picture: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> np.ndarray:
    return digit_from_image(encode(picture, kind, **options), place="digit")


def refused(data: bytes) -> str:
    """The rule by which a picture is refused; its place is the one that was given."""
    with pytest.raises(DataRejected) as caught:
        digit_from_image(data, place="here.png")
    (problem,) = caught.value.problems
    assert caught.value.message == "the picture cannot be read"
    assert problem.place == "here.png"
    return problem.rule


def near(row: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two rows differ by less than half a step on the average, and nowhere by more than five."""
    difference = np.abs(row - expected)
    return bool(difference.mean() <= 0.4 and difference.max() <= 5)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG, as kind and body."""
    found, at = [], 8
    while at < len(file):
        length = int.from_bytes(file[at : at + 4], "big")
        found.append((file[at + 4 : at + 8], file[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png(*parts: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def grey_png(rows: list[bytes], width: int, *, height: int | None = None, depth: int = 8) -> bytes:
    """A PNG of these rows, whatever its header says."""
    header = struct.pack(">IIBBBBB", width, height or len(rows), depth, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return png((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))


def with_chunk(file: bytes, kind: bytes, body: bytes) -> bytes:
    """The PNG with one more chunk after its header."""
    header, *rest = chunks(file)
    return png(header, (kind, body), *rest)


# What the model makes of drawings


@cache
def rows_drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of drawn digits, and their labels."""
    pictures, labels = draw_digits(count, SEED)
    return np.array([row_of(picture) for picture in pictures]), labels


def share_right(candidate: Candidate, count: int) -> float:
    rows, labels = rows_drawn(count)
    answers = predictor_of(candidate.manifest, candidate.members).predict(rows)
    return float((answers.labels == labels).mean())


@pytest.mark.slow
def test_drawn_digits_are_recognised(candidate: Candidate) -> None:
    """Of 100 drawn digits of many hands the documented model names at least 92 % rightly."""
    assert share_right(candidate, 100) >= REQUIRED


@pytest.mark.slow
def test_a_thousand_drawn_digits_are_recognised(candidate: Candidate) -> None:
    """Of 1,000 drawn digits of many hands the documented model names at least 92 % rightly."""
    assert share_right(candidate, 1000) >= REQUIRED


def test_rows_are_as_inky_as_the_digits() -> None:
    """Whatever the pen, the mean of a row is that of the digits, within a tenth on the average."""
    rows, _ = rows_drawn(100)
    assert abs(rows.mean() - load_digits().X.mean()) < 0.1
    assert rows.mean(axis=1).std() < load_digits().X.mean(axis=1).std()


def test_a_hand_is_fixed_by_its_seed() -> None:
    """The same seed draws the same digits, another one others."""
    draw = drawn.__wrapped__  # anew each time
    assert np.array_equal(draw(seed=1), draw(seed=1))
    assert not np.array_equal(draw(seed=1), draw(seed=2))


# What a row is


@pytest.mark.parametrize("digit", range(10))
def test_a_row_is_counts_of_ink(digit: int) -> None:
    """A row has 64 values, each a whole number from 0 to 16, as float64."""
    row = row_of(drawn(digit))
    assert row.shape == (64,)
    assert row.dtype == np.float64
    assert set(row.tolist()) <= set(range(17))


def test_rows_are_deterministic() -> None:
    """The same bytes give the same row."""
    assert np.array_equal(row_of(drawn(), "JPEG"), row_of(drawn(), "JPEG"))


@pytest.mark.slow
@given(digit=st.integers(0, 9), x=st.integers(0, SIDE), y=st.integers(0, SIDE))
@settings(max_examples=50)
def test_rows_do_not_depend_on_the_place(digit: int, x: int, y: int) -> None:
    """Wherever the same drawing stands on a page, it gives the same row."""
    page = np.full((2 * SIDE, 2 * SIDE), 255, dtype=np.uint8)
    page[y : y + SIDE, x : x + SIDE] = drawn(digit)
    middle = np.pad(drawn(digit), SIDE // 2, constant_values=255)
    assert np.array_equal(row_of(page), row_of(middle))


@pytest.mark.slow
@given(digit=st.integers(0, 9), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_rows_do_not_depend_on_polarity(digit: int, seed: int) -> None:
    """Dark on light and light on dark are the same row."""
    picture = drawn(digit, seed)
    assert np.array_equal(row_of(255 - picture), row_of(picture))


@pytest.mark.parametrize("side", [140, 420, 560, 1500, 3000])
@pytest.mark.parametrize("digit", [2, 7])
def test_rows_hardly_depend_on_the_size(digit: int, side: int) -> None:
    """The same drawing in half the size or ten times as large gives nearly the same row."""
    sized = Image.fromarray(drawn(digit)).resize((side, side), Image.Resampling.BICUBIC)
    assert near(row_of(sized), row_of(drawn(digit)))


@pytest.mark.parametrize("quality", [95, 75, 30])
def test_rows_hardly_depend_on_the_format(quality: int) -> None:
    """A JPEG gives nearly the row of a PNG, at any usual quality and as a progressive file."""
    for options in ({}, {"progressive": True}):
        assert near(row_of(drawn(), "JPEG", quality=quality, **options), row_of(drawn()))


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("noise", [10, 30])
def test_rows_hardly_depend_on_noise(digit: int, noise: int) -> None:
    """A noisy picture gives nearly the row of a clean one."""
    noisy = np.clip(drawn(digit) + np.random.default_rng(1).normal(0, noise, (SIDE, SIDE)), 0, 255)
    assert near(row_of(noisy.astype(np.uint8)), row_of(drawn(digit)))


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05])
def test_rows_hardly_depend_on_specks(share: float) -> None:
    """Black and white specks neither widen the digit's box nor make holes in it."""
    picture, chance = drawn().copy(), np.random.default_rng(1).random((SIDE, SIDE))
    picture[chance < share / 2], picture[chance > 1 - share / 2] = 0, 255
    assert near(row_of(picture), row_of(drawn()))


def test_a_blot_aside_is_no_ink() -> None:
    """A blot much smaller than the digit is left out."""
    picture = drawn(side=200).copy()
    blotted = np.pad(picture, 40, constant_values=255)
    blotted[5:9, 5:9] = 0
    assert np.array_equal(row_of(blotted), row_of(picture))


@pytest.mark.parametrize("width", [1, 2, 40])
@pytest.mark.parametrize("side", [100, 300, 1000])
def test_hair_lines_and_brushes_count(side: int, width: int) -> None:
    """A ring of one pixel, or of a brush, has about as much ink as the digits."""
    picture = Image.new("L", (side, side), 255)
    box = (side * 0.2, side * 0.1, side * 0.8, side * 0.9)
    ImageDraw.Draw(picture).ellipse(box, outline=0, width=max(1, min(width, side // 10)))
    assert abs(row_of(picture).mean() - load_digits().X.mean()) < 0.3


def test_faint_ink_counts() -> None:
    """A pencil of twenty grey values gives nearly the row of black ink."""
    assert near(row_of(drawn(paper=220, ink=200)), row_of(drawn()))


@pytest.mark.parametrize("light", ["ramp", "vignette"])
def test_uneven_light_is_no_ink(light: str) -> None:
    """Paper that is darker on one side, or in its corners, gives nearly the row of even paper."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    shade = {"ramp": 40 * (x + y), "vignette": -60 * (x**2 + y**2)}[light]
    lit = np.clip(170 + shade - (255 - drawn()) * 0.35, 0, 255).astype(np.uint8)
    assert near(row_of(lit), row_of(drawn()))


@pytest.mark.parametrize(
    ("ink", "paper"),
    [("navy", "white"), ("yellow", "white"), ("red", "gray"), ("white", "darkgreen"), ("#ff00b4", "#00c800")],
)
def test_coloured_ink_counts(ink: str, paper: str) -> None:
    """Ink of any colour on paper of any other gives the row of black on white, equal brightness or not."""
    size = (SIDE, SIDE)
    cover = Image.fromarray(255 - drawn())
    picture = Image.composite(Image.new("RGB", size, ink), Image.new("RGB", size, paper), cover)
    assert near(row_of(picture), row_of(drawn()))


# What a file may be


def in_mode(mode: str) -> Image.Image:
    return Image.fromarray(drawn()).convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_of_a_png_is_read(mode: str) -> None:
    """One bit, grey, palette and colour, with and without transparency, give the same row."""
    picture = Image.fromarray(drawn()).point(lambda grey: 255 * (grey > 127))  # of two values, so that "1" holds it
    assert np.array_equal(row_of(picture.convert(mode)), row_of(picture))


@pytest.mark.parametrize("ink", [0, 255])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_ink_on_nothing_is_ink(mode: str, ink: int) -> None:
    """Dark or light strokes on a transparent background give the row of dark on light."""
    picture = Image.new("LA", (SIDE, SIDE), (ink, 0))
    picture.putalpha(Image.fromarray(255 - drawn()))
    assert near(row_of(picture.convert(mode)), row_of(drawn()))


def test_a_palette_may_be_transparent() -> None:
    """In a palette the paper may be the transparent colour, whatever colour hides there."""
    picture = Image.fromarray((drawn() < 128).astype(np.uint8), "P")
    picture.putpalette([90, 90, 90, 80, 80, 80])
    expected = row_of(Image.fromarray(drawn()).point(lambda grey: 255 * (grey > 127)))
    assert np.array_equal(row_of(picture, transparency=0), expected)


@pytest.mark.parametrize("scale", [257, 100])
def test_sixteen_bits_are_read(scale: int) -> None:
    """A PNG of 16 bits is scaled and not clipped, whether it uses all of them or a part."""
    assert near(row_of(Image.fromarray(drawn().astype(np.uint16) * scale)), row_of(drawn()))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_mode_of_a_jpeg_is_read(mode: str) -> None:
    """Grey, colour and the four inks of print give nearly the same row."""
    assert near(row_of(in_mode(mode), "JPEG", quality=90), row_of(drawn()))


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 2), (6, 1), (8, 3)])
def test_a_turned_camera_is_turned_back(orientation: int, turn: int, byte_order: str) -> None:
    """The orientation in a JPEG's EXIF is applied, in either byte order."""
    exif = Image.Exif()
    exif.endian = byte_order
    exif[0x0112] = orientation
    taken = np.rot90(drawn(), turn)  # as the sensor saw it
    assert near(row_of(np.ascontiguousarray(taken), "JPEG", quality=90, exif=exif), row_of(drawn()))


def test_a_mirrored_camera_is_mirrored_back() -> None:
    """The mirrored orientations are applied too."""
    exif = Image.Exif()
    exif[0x0112] = 2
    assert near(row_of(drawn()[:, ::-1].copy(), "JPEG", quality=90, exif=exif), row_of(drawn()))


def test_the_first_frame_counts() -> None:
    """Of an animated PNG the first frame is read, and the others are not decoded."""
    frames = [Image.fromarray(drawn(digit)) for digit in (2, 7)]
    file = encode(frames[0], save_all=True, append_images=frames[1:])
    assert b"acTL" in file
    assert np.array_equal(digit_from_image(file, place="digit"), row_of(drawn(2)))


def test_an_interlaced_png_is_read() -> None:
    """The seven passes of an interlaced PNG are counted as its pixels are."""
    grey, passes = drawn(side=50), b""
    for left, top, right, down in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)):
        passes += b"".join(b"\0" + row.tobytes() for row in grey[top::down, left::right])
    passes += b"".join(b"\0" + row.tobytes() for row in grey[1::2])
    header = struct.pack(">IIBBBBB", 50, 50, 8, 0, 0, 0, 1)
    file = png((b"IHDR", header), (b"IDAT", zlib.compress(passes)), (b"IEND", b""))
    assert np.array_equal(digit_from_image(file, place="digit"), row_of(grey))


def test_a_png_of_colours_by_number_needs_its_palette() -> None:
    """A PNG whose pixels are numbers of colours is refused where the palette is missing, or comes too late."""
    header, pixels = struct.pack(">IIBBBBB", 32, 32, 8, 3, 0, 0, 0), zlib.compress(bytes(33 * 32))
    palette = (b"PLTE", bytes(range(6)))
    for beside in ([], [palette]):
        assert refused(png((b"IHDR", header), (b"IDAT", pixels), *beside, (b"IEND", b""))) == "image-unreadable"
    assert refused(png((b"IHDR", header), palette, (b"IDAT", pixels), (b"IEND", b""))) == "image-no-ink"


def test_harmless_texts_and_profiles_are_left_out() -> None:
    """What a PNG holds beside its pixels changes nothing, even where it makes no sense."""
    file = encode(drawn())
    for kind, body in ((b"zTXt", b"a\0\0" + zlib.compress(b"text")), (b"eXIf", b"nonsense"), (b"tIME", b"")):
        assert np.array_equal(digit_from_image(with_chunk(file, kind, body), place="digit"), row_of(drawn()))


def test_nonsense_beside_the_pixels_of_a_jpeg_is_left_out() -> None:
    """A broken EXIF or multi-picture segment changes nothing, and no warning of Pillow's escapes."""
    file = encode(drawn(), "JPEG")
    for marker, body in ((b"\xe1", b"Exif\0\0MM\0*\0\0\0\x08\0\x09"), (b"\xe2", b"MPF\0II*\0\xff\xff\xff\xff")):
        segment = b"\xff" + marker + struct.pack(">H", len(body) + 2) + body
        changed = file[:2] + segment + file[2:]
        assert np.array_equal(digit_from_image(changed, place="digit"), row_of(drawn(), "JPEG"))


# Refusals: no ink


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_picture_has_no_ink(grey: int) -> None:
    """A picture of one grey is refused, as PNG and as JPEG."""
    blank = np.full((SIDE, SIDE), grey, dtype=np.uint8)
    assert refused(encode(blank)) == refused(encode(blank, "JPEG")) == "image-no-ink"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["faint", "strong", "even", "specks", "few specks"])
def test_noise_alone_is_no_ink(kind: str, seed: int) -> None:
    """Noise without a stroke is refused, be it faint or strong, of each pixel or of some."""
    random = np.random.default_rng(seed)
    size = (SIDE, SIDE)
    picture = {
        "faint": lambda: random.normal(200, 5, size),
        "strong": lambda: random.normal(128, 50, size),
        "even": lambda: random.uniform(0, 256, size),
        "specks": lambda: 255.0 * (random.random(size) > 0.05),
        "few specks": lambda: 255.0 * (random.random(size) > 0.0005),
    }[kind]()
    assert refused(encode(np.clip(picture, 0, 255).astype(np.uint8))) == "image-no-ink"


@pytest.mark.parametrize("shade", ["ramp", "vignette"])
def test_a_shadow_is_no_ink(shade: str) -> None:
    """Uneven light on blank paper is refused."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    assert (
        refused(encode((150 + {"ramp": 40 * (x + y), "vignette": 40 * x * x}[shade]).astype(np.uint8)))
        == "image-no-ink"
    )


def test_a_grain_of_dust_is_no_ink() -> None:
    """A single dot on a blank page is refused."""
    page = np.full((SIDE, SIDE), 255, dtype=np.uint8)
    page[100:103, 50:53] = 0
    assert refused(encode(page)) == "image-no-ink"


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (100, 3)])
def test_a_tiny_picture_has_no_ink(size: tuple[int, int]) -> None:
    """A picture of less than eight pixels a side shows no digit."""
    assert refused(encode(np.zeros(size, dtype=np.uint8))) == "image-no-ink"


def test_a_transparent_picture_has_no_ink() -> None:
    """A picture that is transparent everywhere is refused, whatever colours it hides."""
    hidden = Image.fromarray(drawn()).convert("LA")
    hidden.putalpha(0)
    assert refused(encode(hidden)) == "image-no-ink"


# Refusals: too large


def test_a_hundred_megapixels_are_too_large() -> None:
    """A PNG of 10,000 x 10,000 pixels is refused, though its file has few bytes and is whole."""
    file = grey_png([b"\xff" * 1250] * 10_000, 10_000, depth=1)
    assert len(file) < 50_000
    assert refused(file) == "image-too-large"


@pytest.mark.parametrize("side", [(8_000, 8_001), (10_000, 10_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_the_header_of_a_png_decides(side: tuple[int, int]) -> None:
    """A PNG is refused by its header, before anything after it is looked at."""
    assert refused(grey_png([b""], side[0], height=side[1])[:33]) == "image-too-large"


@pytest.mark.parametrize("side", [10_000, 65_500])
def test_the_header_of_a_jpeg_decides(side: int) -> None:
    """A JPEG is refused by its header, and no warning of Pillow's escapes."""
    file = encode(drawn(), "JPEG")
    size = file.index(b"\xff\xc0") + 5
    assert refused(file[:size] + struct.pack(">HH", side, side) + file[size + 4 :]) == "image-too-large"


def test_the_largest_picture_is_read() -> None:
    """A picture of just the allowed pixels is no refusal of size."""
    row = b"\xff" * 1000
    file = grey_png([b"\xff" * 400 + b"\0" * 20 + b"\xff" * 580] * 6000 + [row] * 2000, 8000, depth=1)
    assert len(digit_from_image(file, place="digit")) == 64
    assert MAX_PIXELS == 8000 * 8000


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_bomb_beside_the_pixels_is_too_large(kind: bytes) -> None:
    """A text or profile of a few bytes that unpacks to many megabytes is refused."""
    bomb = b"name\0\0" + zlib.compress(bytes(50_000_000))
    assert refused(with_chunk(encode(drawn()), kind, bomb)) == "image-too-large"


def test_many_texts_beside_the_pixels_are_too_large() -> None:
    """Texts that are each small enough are counted together: a file of kilobytes does not unpack to gigabytes."""
    text = chunk(b"zTXt", b"name\0\0" + zlib.compress(bytes(MAX_PICTURE_TEXT)))
    file, before = encode(drawn()), time.process_time()
    assert refused(file[:33] + 5_000 * text + file[33:]) == "image-too-large"
    assert time.process_time() - before < 5


def test_fill_before_a_marker_of_a_jpeg_is_skipped_at_once() -> None:
    """Bytes of 0xFF may stand before each marker; megabytes of them cost no second."""
    file, fill, before = encode(drawn(), "JPEG"), b"\xff" * (8 << 20), time.process_time()
    assert np.array_equal(digit_from_image(file[:2] + fill + file[2:], place="digit"), row_of(drawn(), "JPEG"))
    assert refused(file[:2] + fill) == "image-unreadable"
    assert time.process_time() - before < 5


def test_a_bomb_in_the_pixels_is_refused() -> None:
    """Pixels that unpack to more than the header says are refused, and not unpacked to their end."""
    assert refused(grey_png([b"\xff" * 50_000_000], 100, height=100)) == "image-unreadable"


def test_a_jpeg_of_many_scans_is_too_large() -> None:
    """A progressive JPEG that passes over its pixels again and again is refused."""
    file = encode(drawn(), "JPEG", progressive=True)
    last = file.rindex(b"\xff\xda")
    assert refused(file[:last] + file[last:-2] * (MAX_SCANS + 1) + file[-2:]) == "image-too-large"


def test_pillow_is_left_as_it_was() -> None:
    """Pillow's own bounds are not changed for the rest of the process."""
    before = Image.MAX_IMAGE_PIXELS
    row_of(drawn())
    assert before == Image.MAX_IMAGE_PIXELS
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


# Refusals: what cannot be read


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"compress_level": 0}], ids=str)
def test_a_png_that_is_cut_off_is_unreadable(options: dict[str, object]) -> None:
    """A PNG is refused whole or not at all: at every length but the last."""
    file = encode(drawn(side=40), **options)
    assert {refused(file[:length]) for length in range(len(file))} == {"image-unreadable"}


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=str)
def test_a_jpeg_that_is_cut_off_is_unreadable(options: dict[str, object]) -> None:
    """A JPEG is refused whole or not at all: at every length but the last."""
    file = encode(drawn(side=40), "JPEG", **options)
    assert {refused(file[:length]) for length in range(len(file))} == {"image-unreadable"}


def test_a_large_jpeg_that_is_cut_off_is_unreadable() -> None:
    """The same holds where a JPEG is decoded at a smaller size."""
    large = Image.fromarray(drawn()).resize((2400, 2400))
    file = encode(large, "JPEG")
    assert {refused(file[:length]) for length in np.linspace(0, len(file) - 1, 40, dtype=int)} == {"image-unreadable"}


@pytest.mark.parametrize("rows", [0, 1, 50, 99, 101])
def test_a_png_with_missing_rows_is_unreadable(rows: int) -> None:
    """A PNG that is well formed, but holds fewer or more rows than its header says, is refused; Pillow reads it."""
    file = grey_png([b"\xff" * 30 + b"\0" * 10 + b"\xff" * 60] * rows, 100, height=100)
    assert refused(file) == "image-unreadable"
    assert len(digit_from_image(grey_png([b"\xff" * 30 + b"\0" * 10 + b"\xff" * 60] * 100, 100), place="whole")) == 64


def test_each_changed_byte_of_a_png_is_found() -> None:
    """A PNG in which one byte of header, pixels or end is another is refused."""
    file = encode(drawn(side=40))
    for at in range(len(file)):
        assert refused(file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]) in {"image-unreadable", "image-too-large"}


def test_a_second_header_is_unreadable() -> None:
    """A PNG with two headers is refused: the second could say another size."""
    file = encode(drawn())
    assert refused(with_chunk(file, *chunks(file)[0])) == "image-unreadable"


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO"])
def test_other_formats_are_unreadable(kind: str) -> None:
    """Only PNG and JPEG are read, whatever Pillow can read."""
    assert FORMATS == ("PNG", "JPEG")
    assert refused(encode(drawn(), kind)) == "image-unreadable"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"5",
        b"a,b\n1,2\n",
        b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L9 9"/></svg>',
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xda",
        b"\xff\xd8\xff\xff\xff\xff",
        b"\xff\xd8\xff\xe0\0\0" * 9,
        bytes(1000),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_picture_is_unreadable(data: bytes) -> None:
    """An empty file, a text, a drawing in words, and the mere beginning of a picture are refused."""
    assert refused(data) == "image-unreadable"


def test_a_refusal_says_nothing_of_this_process() -> None:
    """The same bytes are refused in the same words: no address of memory stands in them."""
    file = bytearray(encode(drawn(), "JPEG"))
    file[file.index(b"\xff\xc0") + 4] = 12  # bits a sample
    with pytest.raises(DataRejected) as caught:
        digit_from_image(bytes(file), place="p")
    assert "0x" not in str(caught.value)


@pytest.mark.slow
@settings(max_examples=300)
@given(data=st.data(), kind=st.sampled_from(FORMATS))
def test_mutants_are_read_or_refused(data: st.DataObject, kind: str) -> None:
    """Whatever bytes a picture has, it gives a row or a refusal, and never another error or a warning."""
    file = bytearray(encode(drawn(side=40), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DataRejected):
        assert digit_from_image(bytes(file), place="mutant").shape == (64,)


def test_neither_scikit_learn_nor_scipy_nor_pandas_is_imported() -> None:
    """A picture becomes a row with NumPy and Pillow alone."""
    code = (
        "import sys; from artifact_pipeline.digits.images import digit_from_image as row; "
        "assert not {'numpy', 'PIL'} & set(sys.modules); row(sys.stdin.buffer.read(), place='digit'); "
        "print([name for name in ('sklearn', 'scipy', 'pandas', 'pyarrow') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], input=encode(drawn()), capture_output=True, check=False)
    assert (ran.stdout, ran.stderr) == (b"[]\n", b"")
