"""Reports in a real browser: nothing is asked for, nothing goes wrong, and everyone can read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from artifact_pipeline.reports.page.request import ReportRequest, report
from browsing import LOW_CONTRAST
from test_report import DIGITS, table_of, trained_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.needs("matplotlib", "jinja2")]

SHOT = Path(__file__).resolve().parents[1] / "docs" / "images" / "report.png"
WIDE, NARROW = {"width": 1100, "height": 800}, {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The reports of the digits, of a mixed table, and of two models, by name."""
    folder = tmp_path_factory.mktemp("reports")
    table = table_of(folder)
    forest = trained_on(folder, {"estimator": "RandomForestClassifier", "n_estimators": 12})
    asked = {"digits": ((DIGITS,), None), "table": ((forest,), str(table)), "both": ((DIGITS, forest), None)}
    for name, (artifacts, data) in asked.items():
        report(ReportRequest(artifacts, folder / f"{name}.html", data))
    return {name: folder / f"{name}.html" for name in asked}


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window; nothing may go wrong in its console, and nothing be asked for but the file."""
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: wrong.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    yield page
    context.close()
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["digits", "table", "both"])
def test_everyone_can_read_a_report(name: str, scheme: str, page: Page, reports: dict[str, Path]) -> None:
    """With every part unfolded, in light and dark, axe finds nothing, and each text stands out from its ground."""
    page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
    page.goto(reports[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in {"serious", "critical"}] == []
    assert [each for each in page.evaluate(LOW_CONTRAST) if each[0] != "text"] == []


@pytest.mark.parametrize("name", ["digits", "table", "both"])
def test_report_fits_a_narrow_screen(name: str, page: Page, reports: dict[str, Path]) -> None:
    """320 px wide, with every part unfolded, the page does not scroll sideways."""
    page.set_viewport_size({"width": NARROW["width"], "height": NARROW["height"]})
    page.goto(reports[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_number_of_the_matrix_opens_its_rows(page: Page, reports: dict[str, Path]) -> None:
    """A click on a number of the confusion matrix unfolds the pictures behind it."""
    page.goto(reports["digits"].as_uri())
    place = page.locator("#cell-3-5 img").first
    assert not place.is_visible()
    page.locator("a[href='#cell-3-5']").click()
    place.wait_for(state="visible")


def test_picture_of_the_readme_is_made(page: Page, reports: dict[str, Path], tmp_path: Path) -> None:
    """The README's picture of the report has at most 200 kB; UPDATE_SCREENSHOT=1 takes it again."""
    page.goto(reports["digits"].as_uri())
    file = SHOT if os.environ.get("UPDATE_SCREENSHOT") else tmp_path / "report.png"
    page.set_viewport_size({"width": 1100, "height": 1000})
    page.screenshot(path=file)
    assert file.stat().st_size <= 200_000
    assert SHOT.stat().st_size <= 200_000
