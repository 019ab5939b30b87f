"""The notebooks of `examples/`: each runs from its first cell, and gives what it shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.tools import browser

from pages import HEX, PLATFORM, here

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def cells(file: Path) -> list[dict[str, Any]]:
    """The cells of a notebook with code."""
    return [cell for cell in json.loads(file.read_text())["cells"] if cell["cell_type"] == "code"]


def shown(notebook: Any) -> list[tuple[str, str]]:
    """Each output of a notebook as text, and as HTML where it has that."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    texts = [output["text"] if output["output_type"] == "stream" else "" for output in outputs]
    data = [output.get("data", {}) for output in outputs]
    return [
        ("".join(text) or "".join(each["text/plain"]), "".join(each.get("text/html", "")))
        for text, each in zip(texts, data, strict=True)
    ]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_was_run_and_holds_nothing_of_a_machine(file: Path) -> None:
    """Each cell was run once, in order, without an error; no path, colour, time or version of a kernel is kept."""
    found = cells(file)
    assert len(found) >= 6
    assert [cell["execution_count"] for cell in found] == list(range(1, len(found) + 1))
    assert not [output for cell in found for output in cell["outputs"] if output["output_type"] == "error"]
    text = file.read_text()
    assert not re.search(r"/(?:home|root|tmp|work|usr)/|\\u001b|\d{4}-\d\d-\d\dT|language_info", text)
    assert "_repr_html_" not in text
    assert "text/html" in text


@pytest.mark.slow
@pytest.mark.needs("nbclient")
def test_notebooks_give_what_they_show(tmp_path: Path) -> None:
    """Run in an empty folder, each notebook gives the outputs that it shows; on its platform the same digests."""
    command = [sys.executable, "scripts/notebooks.py", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for file in NOTEBOOKS:
        again = tmp_path / file.name
        if here() == PLATFORM:
            assert again.read_text() == file.read_text()
        else:
            plain = [HEX.sub("<hex>", text) for text, _ in shown(json.loads(again.read_text()))]
            assert plain == [HEX.sub("<hex>", text) for text, _ in shown(json.loads(file.read_text()))]


@pytest.mark.slow
@pytest.mark.needs("playwright")
@pytest.mark.parametrize(("paper", "ink"), [("white", "rgb(17, 17, 17)"), ("black", "rgb(238, 238, 238)")])
def test_what_is_shown_has_the_colours_of_its_page(paper: str, ink: str) -> None:
    """On a light and on a dark page each text has the page's own colour, and no cell a background of its own."""
    from playwright.sync_api import sync_playwright

    (html, *_) = [html for _, html in shown(json.loads(NOTEBOOKS[0].read_text())) if html]
    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        page = chromium.new_page()
        page.set_content(f'<body style="background: {paper}; color: {ink}">{html}')
        found = page.evaluate(
            "[...document.querySelectorAll('body *')].map(each => getComputedStyle(each))"
            ".map(style => [style.color, style.backgroundColor])"
        )
        chromium.close()
    assert {tuple(each) for each in found} == {(ink, "rgba(0, 0, 0, 0)")}
