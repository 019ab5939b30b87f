"""The documentation as a site: every page is in it, it builds without a warning, and it asks no other host."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

import artifact_pipeline
from pages import DOCS, ROOT
from tools import browser, program_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOADED = re.compile(
    r"<(?:script|link|img|source|iframe|object|embed|video|audio)\b[^>]*?(?:src|href|data)=[\"']?([^\"' >]+)"
)
SETTINGS = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]


def leaves(entries: list[dict[str, Any]]) -> Iterator[str]:
    """The files that a navigation leads to, in order."""
    for entry in entries:
        for each in entry.values():
            yield from leaves(each) if isinstance(each, list) else [each]


def test_each_page_stands_once_in_the_navigation() -> None:
    """The navigation of the site leads to every page of docs/, and to each one once."""
    assert sorted(leaves(SETTINGS["nav"])) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, in a folder of its own."""
    program = program_of(".venv-docs", "zensical")
    root = tmp_path_factory.mktemp("documentation")
    shutil.copytree(DOCS, root / "docs")
    shutil.copy(ROOT / "zensical.toml", root)
    (root / "src").symlink_to(ROOT / "src")
    done = subprocess.run(
        [program, "build", "--clean", "--strict"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout + done.stderr
    return root / "site"


@pytest.mark.slow
def test_site_has_every_page(site: Path) -> None:
    """The site builds without a warning, and has a file for each page."""
    made = {str(path.relative_to(site).with_suffix(".md")) for path in site.rglob("*.html")} - {"404.md"}
    assert made == set(leaves(SETTINGS["nav"]))


@pytest.mark.slow
def test_site_describes_every_public_name(site: Path) -> None:
    """The page of the Python API has a section for each name that the package exports."""
    found = re.findall(r'id="artifact_pipeline\.(\w+)"', (site / "reference" / "python.html").read_text())
    assert set(artifact_pipeline.__all__) <= set(found)


@pytest.mark.slow
def test_site_names_no_other_host_to_load_from(site: Path) -> None:
    """No page loads a script, a style, a picture or a frame from another host, and no style a font."""
    pages = [path.read_text() for path in site.rglob("*.html")]
    styles = [path.read_text() for path in site.rglob("*.css")]
    loaded = [address for page in pages for address in LOADED.findall(page)]
    loaded += [address for text in styles for address in re.findall(r"url\([\"']?([^\"')]+)", text)]
    assert len(loaded) > len(pages)
    assert [address for address in loaded if "//" in address.removeprefix("data:").partition(",")[0]] == []
    assert not any("@import" in text for text in styles)


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.mark.slow
def test_browser_asks_no_other_host(site: Path) -> None:
    """A browser that opens every page, and searches, asks the site's own server alone, and meets no error."""
    playwright = pytest.importorskip("playwright.sync_api")
    asked: list[str] = []
    errors: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{server.server_port}/"
        with playwright.sync_playwright() as driver:
            chromium = driver.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
            page = chromium.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: errors.append(str(error)))
            for path in leaves(SETTINGS["nav"]):
                page.goto(home + path.removesuffix(".md") + ".html", wait_until="networkidle")
            page.keyboard.press("/")
            page.keyboard.type("quarantine")
            page.get_by_text(re.compile(r"^\d+ results?$")).wait_for()
            chromium.close()
        server.shutdown()
    assert errors == []
    assert len(asked) > 40
    assert [address for address in asked if not address.startswith(home)] == []
