"""The page in a real browser, against a real server: what one draws, drops, types and touches."""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from artifact_pipeline.digits.dataset import load_digits
from browsing import DESK, LOW_CONTRAST, PHONE, announced, dropped, launched, opened
from drawing import STYLES, _smooth, draw_digit, encode, strokes_of
from proxies import NAME, PUBLIC, documented_block, proxying
from servers import serving
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserType, Page

    from artifact_pipeline.training.sealed import Candidate
    from servers import Server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
SHOT = ROOT / "docs" / "images" / "draw.png"
DIGITS = load_digits()


@pytest.fixture(scope="module")
def folder(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from artifact_pipeline.training.publication import publish

    folder = tmp_path_factory.mktemp("served")
    publish(candidate, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(folder / "artifact", "--feedback", folder / "drawings.jsonl") as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with opened(browser, server) as page:
        yield page


def lines_of(page: Page, digit: int, style: int = 0) -> list[list[tuple[float, float]]]:
    """The strokes of a digit in the window's pixels, in the middle of the sheet."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    middle, size = np.array([0.5, 0.5]), np.array([0.42, 0.7])
    corner, side = np.array([box["x"], box["y"]]), box["width"]
    lines = []
    for stroke in strokes_of(STYLES[digit][style]):
        line = (_smooth(np.array(stroke), steps=6) - middle) * size + middle
        lines.append([(float(x), float(y)) for x, y in corner + side * line])
    return lines


def draw(page: Page, digit: int, style: int = 0) -> None:
    """Draw a digit with the mouse."""
    draw_lines(page, lines_of(page, digit, style))


def draw_lines(page: Page, lines: list[list[tuple[float, float]]]) -> None:
    for line in lines:
        page.mouse.move(*line[0])
        page.mouse.down()
        for point in line[1:]:
            page.mouse.move(*point)
        page.mouse.up()


def table_of(rows: int) -> bytes:
    """A CSV of the digits with labels, its second row bad."""
    lines = [
        ",".join(map(str, [*x, y])) for x, y in zip(DIGITS.X[:rows].tolist(), DIGITS.y[:rows].tolist(), strict=True)
    ]
    lines[1] = f"abc{lines[1][3:]}"
    return "\n".join([",".join([*DIGITS.names, "target"]), *lines, ""]).encode()


# --- drawing


@pytest.mark.parametrize("style", [0, 1])
def test_ten_digits_that_are_drawn_are_read(page: Page, style: int) -> None:
    """Each digit, drawn with the mouse, is announced as what it is, and its bar is the longest."""
    for digit in range(10):
        draw(page, digit, style)
        announced(page, f"^(This is|This looks like|Perhaps this is) an? {digit}, (over )?[0-9.]+ % sure$")
        assert page.locator("#label").inner_text() == str(digit)
        assert page.locator("#bars .best b").inner_text() == str(digit)
        assert page.locator("#confusion th.now").inner_text() == str(digit)
        page.keyboard.press("Escape")
        announced(page, "The sheet is empty")


def test_the_page_shows_what_the_model_sees(page: Page) -> None:
    """The 64 pixels stand on the page, and which of them spoke for the answer and which against it."""
    draw(page, 4)
    announced(page, "a 4")
    assert page.get_by_role("img", name=re.compile(r"8 by 8 pixels, \d+ of them with ink")).is_visible()
    assert page.get_by_role("img", name=re.compile(r"\d+ pixels spoke for it, \d+ against it")).is_visible()
    shares = page.evaluate("[...document.querySelectorAll('#seen i')].map((e) => +e.style.getPropertyValue('--value'))")
    assert len(shares) == 64
    assert 0 < np.mean(shares) < 1


def test_strokes_are_undone_one_by_one(page: Page) -> None:
    """Undo takes the last stroke back, by its button and by Ctrl+Z; the first one's undoing empties the sheet."""
    draw(page, 4)
    announced(page, "a 4")
    page.keyboard.press("Control+z")
    announced(page, "(This|Perhaps)(?!.* a 4,)")
    page.get_by_role("button", name="Undo").click()
    announced(page, "The sheet is empty")
    # The page draws once a frame, and it says so before it has drawn.
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    expect(page.locator("#wording")).to_have_text("Nothing drawn yet")


@pytest.mark.parametrize("how", ["button", "Escape", "Delete"])
def test_the_sheet_is_cleared(page: Page, how: str) -> None:
    """Clear empties the sheet, whichever way it is asked."""
    draw(page, 7)
    announced(page, "a 7")
    if how == "button":
        page.get_by_role("button", name="Clear").click()
    else:
        page.keyboard.press(how)
    announced(page, "The sheet is empty")
    expect(page.locator("#sheet.inked")).to_have_count(0)


def test_one_draws_with_the_keyboard_alone(page: Page) -> None:
    """The sheet is reached by Tab; Space sets the pen down, arrows move it, and the pen is said to be down."""
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "canvas"
    assert page.get_by_role("application", name="Drawing area").is_visible()
    page.keyboard.press("Space")
    announced(page, "Pen down")
    for _ in range(14):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    announced(page, "(a 1,|Pen up)")
    announced(page, "a 1,")
    assert page.locator("#pen").evaluate("(pen) => getComputedStyle(pen).opacity") == "1"


def test_a_slanted_line_is_drawn_by_two_arrows(page: Page) -> None:
    """Two arrows that are held at once move the pen aslant."""
    page.locator("#canvas").focus()
    page.keyboard.down("ArrowLeft")
    page.keyboard.down("ArrowDown")
    x, y = page.locator("#pen").evaluate("(pen) => ['--x', '--y'].map((n) => +pen.style.getPropertyValue(n))")
    assert x < 0.5
    assert y > 0.2


def test_one_draws_with_a_finger(browser: Browser, server: Server) -> None:
    """A finger draws, and the page does not scroll meanwhile."""
    with opened(browser, server, **PHONE) as page:
        (line,) = lines_of(page, 3)
        session = page.context.new_cdp_session(page)
        for index, (x, y) in enumerate(line):
            kind = "touchMove" if index else "touchStart"
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        announced(page, "a 3,")
        assert page.evaluate("scrollY") == 0


# --- files


def test_a_picture_is_dropped_and_drawn_over(page: Page) -> None:
    """A picture that is dropped is answered as it is; the next stroke begins a new drawing."""
    dropped(page, "six.png", "image/png", encode(draw_digit(6, np.random.default_rng(3))))
    announced(page, "a 6,")
    draw(page, 2)
    announced(page, "a 2,")
    page.keyboard.press("Escape")
    announced(page, "The sheet is empty")


def test_a_picture_is_pasted(page: Page) -> None:
    """A picture is taken from the clipboard, too."""
    dropped(page, "image.png", "image/png", encode(draw_digit(9, np.random.default_rng(4))), "paste")
    announced(page, "a 9,")


def test_a_table_is_dropped(page: Page) -> None:
    """A CSV gets a page of its own: how many rows, how many right, which bad, and the first answers."""
    dropped(page, "rows.csv", "text/csv", table_of(300))
    right = r"\d+\.\d % of the 299 labelled ones are right; training rows may be among them\."
    announced(page, rf"299 rows answered, 1 set aside\. {right}")
    assert page.get_by_role("heading", name="rows.csv").is_visible()
    assert page.get_by_text("row 1, pixel_0_0").is_visible()
    rows = page.locator("#first tbody tr")
    assert rows.count() == 100
    assert rows.first.inner_text().split()[:3] == ["0", "0", "0"]
    assert page.get_by_role("region", name="Rows", exact=True).is_visible()
    assert page.get_by_text("1 to 100 of 299").is_visible()


def test_a_file_is_opened_by_its_button(page: Page, tmp_path: Path) -> None:
    """What can be dropped can be opened by a button, too."""
    file = tmp_path / "rows.csv"
    file.write_bytes(table_of(30))
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open a picture or CSV").click()
    chooser.value.set_files(file)
    announced(page, "29 rows answered")


def test_what_is_refused_is_told_as_text(browser: Browser, server: Server) -> None:
    """A file that cannot be read is an alert in words, whatever its name; the next stroke takes it away."""
    with opened(browser, server, "status of 400") as page:
        dropped(page, "<img src=x>.csv", "text/csv", b"a,b\n1,2\n")
        page.get_by_role("alert").filter(has_text="<img src=x>.csv: no column 'pixel_0_0'").wait_for()
        dropped(page, "note.txt", "application/pdf", b"hello")
        page.get_by_role("alert").filter(has_text="note.txt: this page takes a PNG, a JPEG or a CSV").wait_for()
        dropped(page, "white.png", "image/png", encode(np.full((64, 64), 255, dtype=np.uint8)))
        page.get_by_role("alert").filter(has_text="white.png: shows nothing").wait_for()
        assert page.locator("img").count() == 0
        draw(page, 1)
        announced(page, "a 1,")
        assert page.get_by_role("alert").count() == 0


# --- feedback


def test_what_it_was_is_written_down_once(page: Page, folder: Path) -> None:
    """One click appends the drawing as a row with its label; then the drawing is done with."""
    feedback = folder / "drawings.jsonl"
    before = len(feedback.read_text().splitlines())
    draw(page, 8)
    announced(page, "an 8,")
    button = page.get_by_role("button", name="This was an 8")
    button.click()
    page.get_by_role("status").filter(has_text="Written down as an 8. Thank you.").wait_for()
    assert button.is_disabled()
    line = json.loads(feedback.read_text().splitlines()[before])
    assert list(line) == [*DIGITS.names, "target"]
    assert line["target"] == 8
    draw(page, 1)
    page.wait_for_timeout(500)
    assert button.is_disabled(), "the same drawing, with a stroke more"
    page.keyboard.press("Escape")
    draw(page, 1)
    announced(page, "a 1,")
    page.get_by_role("button", name="This was a 1").click()
    page.get_by_role("status").filter(has_text="Written down as a 1.").wait_for()
    assert len(feedback.read_text().splitlines()) == before + 2


def test_a_server_that_is_gone_is_waited_for(browser: Browser, folder: Path) -> None:
    """While the server is away the page says so; once it is back the drawing is answered."""
    # Not one that the system gives to clients: the page that looks for the server might get it.
    port = next(port for port in range(21_000, 29_000) if is_free(port))
    with (
        serving(folder / "artifact", "--port", str(port)) as server,
        opened(browser, server, "net::ERR_CONNECTION_REFUSED") as page,
    ):
        server.stop()
        draw(page, 5)
        page.get_by_role("alert").filter(has_text="The server does not answer. Trying again").wait_for()
        with serving(folder / "artifact", "--port", str(port)):
            announced(page, "a 5,")
            assert page.get_by_role("alert").count() == 0


def test_a_server_that_sends_away_is_asked_again(browser: Browser, server: Server) -> None:
    """What a server that is too busy says is told, and the drawing is answered once it has time."""
    with opened(browser, server, "status of 503") as page:
        busy = '{"error": "too many requests wait already; try again"}'
        page.route("**/page/picture", lambda route: route.fulfill(status=503, body=busy))
        draw(page, 1)
        page.get_by_role("alert").filter(has_text="The server says: too many requests wait already").wait_for()
        page.unroute("**/page/picture")
        announced(page, "a 1,")
        assert page.get_by_role("alert").count() == 0


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


# --- by whose name


def test_the_page_works_behind_a_proxy(browsers: BrowserType, folder: Path, tmp_path: Path) -> None:
    """Behind the documented nginx one draws, drops a table and writes down what it was, by https and under a prefix."""
    feedback = tmp_path / "drawings.jsonl"
    (tmp_path / "nginx").mkdir()
    with (
        serving(folder / "artifact", "--public-url", PUBLIC, "--feedback", feedback) as server,
        proxying(documented_block(), server, tmp_path / "nginx") as proxy,
        launched(browsers, **{f"{NAME}:443": f"127.0.0.1:{proxy.port}"}) as browser,
        opened(browser, replace(server, url=PUBLIC), **DESK, ignore_https_errors=True) as page,
    ):
        draw(page, 8)
        announced(page, "an 8,")
        page.get_by_role("button", name="This was an 8").click()
        page.get_by_role("status").filter(has_text="Written down as an 8. Thank you.").wait_for()
        dropped(page, "rows.csv", "text/csv", table_of(150))
        announced(page, "149 rows answered")
        assert len(feedback.read_text().splitlines()) == 1


READ = """async ([places, host]) => {
  const found = [];
  for (const place of places) {
    for (const how of [{}, {mode: 'no-cors'}, {headers: {'Accept-Language': '', 'User-Agent': 'node'}},
        {method: 'HEAD'}, {method: 'POST', body: '{}'}, {method: 'POST', body: '{}', mode: 'no-cors'}]) {
      try {
        const answer = await fetch(host + place, {...how, referrerPolicy: 'no-referrer'});
        found.push([answer.status, answer.headers.get('artifact-digest'), await answer.text()]);
      } catch {
        found.push([0, null, '']);
      }
    }
  }
  return found;
}"""
"""What a page of somebody else's tries, and what it gets to see of each answer."""
PLACES = ["/", "/page/model", "/metrics", "/openapi.json", "/v2", "/v2/models/digits", "/page/feedback"]


def test_another_page_neither_reads_nor_posts(browsers: BrowserType, folder: Path, tmp_path: Path) -> None:
    """A page whose name was made to lead here is refused all, and a page elsewhere sees and does nothing."""
    feedback = tmp_path / "drawings.jsonl"
    with (
        serving(folder / "artifact", "--feedback", feedback) as server,
        launched(browsers, **{"attacker.example": "127.0.0.1"}) as browser,
    ):
        port = server.address[1]
        page = browser.new_page()
        page.route("**/evil", lambda route: route.fulfill(content_type="text/html", body="<title>evil</title>"))
        page.goto(f"http://attacker.example:{port}/evil")
        told = page.evaluate(READ, [PLACES, ""])
        seen = [(status, digest) for status, digest, _ in told]
        assert seen == [(403, None)] * 6 * len(PLACES)
        assert not [text for *_, text in told if "digits" in text]
        refused = server.figure("requests_total", status="403")
        assert refused >= len(seen)
        page.goto("http://attacker.example:1/evil")
        told = page.evaluate(READ, [PLACES, server.url])
        assert told == [[0, None, ""]] * len(told)
        posts = server.figure("requests_total", route="page", status="400")
        assert (posts, feedback.read_text()) == (0, "")
        assert page.goto(f"http://attacker.example:{port}/").status == 403
        assert page.goto(server.url).status == 200


# --- a model of something else


def test_a_model_of_tables_has_no_sheet(browser: Browser, tmp_path: Path) -> None:
    """Where one cannot draw, the page has a form of the columns, and answers a CSV of them."""
    from artifact_pipeline.config import from_mapping
    from artifact_pipeline.training.candidate import train
    from artifact_pipeline.training.publication import publish

    table = write_table(tmp_path / "rows.csv", blobs(["no", "yes"]))
    mapping = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "split": {"by": "random"}}
    mapping |= {"dataset": {"path": str(table), "target": "label"}}
    publish(
        train(from_mapping(mapping), progress=lambda _: None),
        artifact=tmp_path / "artifact",
        export=tmp_path / "model_train.pkl",
    )
    with serving(tmp_path / "artifact") as server, opened(browser, server) as page:
        assert page.get_by_role("spinbutton").count() == page.get_by_role("slider").count() == 2
        assert page.get_by_role("application").count() == 0
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Open a CSV").click()
        chooser.value.set_files(table)
        right = "100.0 % of the 40 held-out rows and 100.0 % of the 160 training rows are right."
        announced(page, f"200 rows answered, 0 set aside. These are the model's own rows. {right}")
        assert page.get_by_role("table", name=re.compile("Confusion matrix")).is_visible()


# --- how it looks, and to whom


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 760, 1280])
def test_no_width_scrolls_sideways(browser: Browser, server: Server, scheme: str, width: int, tmp_path: Path) -> None:
    """From a phone to a desk, in light and dark, with all sections open, nothing is wider than the window."""
    with opened(browser, server, viewport={"width": width, "height": 800}, color_scheme=scheme) as page:
        draw(page, 2)
        dropped(page, "rows.csv", "text/csv", table_of(150))
        announced(page, "149 rows answered")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", ground))) < 100) == (scheme == "dark")
        page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(browser: Browser, server: Server, scheme: str) -> None:
    """All text has a contrast of at least 4.5 to what is behind it (WCAG 2.2 AA), but on what is disabled."""
    with opened(browser, server, **DESK, color_scheme=scheme) as page:
        draw(page, 2)
        announced(page, "a 2,")
        assert page.evaluate(LOW_CONTRAST) == []


def test_everything_is_reached_by_tab_with_a_visible_focus(page: Page) -> None:
    """Tab goes through digest, sheet, buttons and labels in the order of the page, and each shows its focus."""
    draw(page, 0)
    announced(page, "a 0,")
    page.evaluate("document.activeElement.blur()")
    page.mouse.click(5, 5)
    reached = []
    for _ in range(17):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.ariaLabel"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    lessons = [f"This was {'an' if digit == 8 else 'a'} {digit}" for digit in range(10)]
    assert reached == ["digest", "canvas", "undo", "clear", "open", *lessons, "model-digest", "matrix"]


def test_roles_and_names_are_told(page: Page) -> None:
    """What assistive technology needs is there: headings, lists, a table with headers, names of controls."""
    assert page.get_by_role("heading", level=1, name="Draw a digit").is_visible()
    assert page.get_by_role("list", name="Probabilities").get_by_role("listitem").count() == 10
    table = page.get_by_role("table", name=re.compile("Confusion matrix"))
    assert table.get_by_role("columnheader").count() == 10
    assert table.get_by_role("rowheader").count() == 10
    assert page.get_by_role("button", name="Copy the artifact digest").get_attribute("title").startswith("sha256:")
    assert page.get_by_role("group", name="This was a …").get_by_role("button").count() == 10
    assert page.get_by_text("95 % interval").count() == 2


def test_motion_is_reduced_where_that_is_asked(browser: Browser, server: Server) -> None:
    """Whoever wants little motion gets bars that jump."""
    with opened(browser, server, **DESK, reduced_motion="reduce") as page:
        moving = "getComputedStyle(document.querySelector('.fill')).transitionDuration"
        assert page.evaluate(moving) == "0s"


def test_the_documented_picture_is_the_page(browser: Browser, server: Server, tmp_path: Path) -> None:
    """The page as the documentation shows it; UPDATE_SCREENSHOT=1 takes the picture anew."""
    place = SHOT if os.environ.get("UPDATE_SCREENSHOT") else tmp_path / "draw.png"
    with opened(browser, server) as page:
        *lines, last = lines_of(page, 3, 3)
        draw_lines(page, [*lines, last[: len(last) * 92 // 100]])  # not quite closed: one sees more than one bar
        announced(page, "a 3,")
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=place, full_page=True)
    with Image.open(place) as taken, Image.open(SHOT) as documented:
        assert taken.width == documented.width
