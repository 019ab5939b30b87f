"""The pages of a job summary: what they show, and that nothing from a file gets out of its cell."""

from __future__ import annotations

import csv
import re
import subprocess
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from artifact_pipeline.prediction.run import PredictionRequest, predict
from artifact_pipeline.reports.markdown import escape, manifest_page, predictions_page
from artifact_pipeline.reports.markdown import table as table_of
from artifact_pipeline.reports.page.parts import Page, Section
from artifact_pipeline.reports.page.render import markdown
from artifact_pipeline.reports.tables import clean
from tools import require_tool

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.training.sealed import Candidate

LINKS = [
    "www.evil.example",
    "see http://evil.example/?a=b",
    "ftp://evil.example",
    "mailto:a@evil.example",
    "xmpp:a@evil.example",
    "a@evil.example",
    "a&#64;evil.example",
    "<http://evil.example>",
    "[text](http://evil.example)",
    "![picture](http://evil.example/x.png)",
    "[ref]: http://evil.example",
    "@everyone",
    "#123",
    "GH-123",
    "owner/repo#123",
    "owner/repo@deadbeef",
    "deadbeef",
    "deadbee cafe123",
    "0123456789abcdef0123456789abcdef01234567",
    ":x:",
    "<a href=x>y</a>",
    "<script>",
    "&amp;",
    "~~gone~~",
    "- [ ] task",
    "$`x`$",
]
TEXTS = st.text() | st.text("`|\\\\ a&#;<*") | st.sampled_from(LINKS) | st.lists(st.sampled_from(LINKS)).map("".join)
# Outside of code: words that GitHub makes nothing of, and the two letters that end a cell or code.
PLAIN = re.compile(r"(?:[A-Za-z]*[G-Zg-z][A-Za-z]*|[0-9A-Za-z]{1,6}|\s|&#(?:96|124);)*")


class Rendered(HTMLParser):
    """What a renderer has made: its elements, the text of each cell, line and heading, and the text outside of code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.cells: list[str] = []
        html = render(page)
        self.outside = unescape(re.sub("<code>.*?</code>|<[^>]*>", " ", html))
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: D102, ARG002 - HTMLParser's
        self.elements.add(tag)
        if tag in {"td", "p", "h2"}:
            self.cells.append("")

    def handle_data(self, data: str) -> None:  # noqa: D102 - HTMLParser's
        if self.cells:
            self.cells[-1] += data


def render(page: str) -> str:
    """The HTML that GitHub's renderer makes of a page."""
    names = ("autolink", "table", "strikethrough", "tagfilter", "tasklist")
    extensions = (part for name in names for part in ("--extension", name))
    command = [require_tool("cmark-gfm"), "--unsafe", *extensions]
    return subprocess.run(command, input=page.encode(), capture_output=True, check=True).stdout.decode()


@given(TEXTS)
def test_escaped_text_is_code_or_plain_words(text: str) -> None:
    """Escaped text has no line break, and outside of code neither a link nor HTML nor what GitHub makes a link of."""
    escaped = escape(text)
    assert "\n" not in escaped
    assert PLAIN.fullmatch(re.sub("`[^`]*`", "", escaped).replace("|", "<"))


@pytest.mark.parametrize("words", ["good ", "good-", "g", "ab-", "1,"])
def test_a_long_text_is_shown_at_once(words: str) -> None:
    """A text of many words with one mark is shown as code, in a time that grows with its length alone."""
    text = words * 20_000 + "!"
    assert escape(text) == f"`{text}`"
    assert f"`and {text}`" in markdown(Page("digits", "passed", (Section("x", "X", (f"and {text}",)),)))


@settings(max_examples=50)
@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=50))
def test_escaped_text_is_shown_as_it_is(texts: list[str]) -> None:
    """As GitHub's renderer shows it in a table, a line and a heading, escaped text is the very text and no link."""
    cells = [escape(text) for text in texts]
    page = f"{table_of(['text'], [[cell] for cell in cells])}\n\nfirst {cells[0]}\n\n## a {cells[-1]}: b\n"
    rendered = Rendered(page)
    assert rendered.elements <= {"table", "thead", "tbody", "tr", "th", "td", "p", "h2", "code"}
    *shown, line, heading = rendered.cells
    assert [cell.rstrip("\n") for cell in shown] == [clean(text) for text in texts]
    assert line.rstrip("\n") == f"first {clean(texts[0])}"
    assert heading.rstrip("\n") == f"a {clean(texts[-1])}: b"


@pytest.mark.parametrize("text", LINKS)
def test_nothing_outside_of_code_can_be_a_link(text: str) -> None:
    """What a renderer, or GitHub in what it has rendered, makes a link, a mention or a picture of is in code."""
    rendered = Rendered(f"see {escape(text)} there")
    assert rendered.elements == {"p", "code"}
    assert PLAIN.fullmatch(re.sub("[`|]", " ", rendered.outside))


def test_page_of_a_manifest_shows_figures_gate_and_confusion(candidate: Candidate) -> None:
    """The page has both digests, the intervals, each rule of the gate, and the confusion matrix with bold hits."""
    page = manifest_page(candidate.digest, candidate.manifest)
    assert f"`{candidate.digest}`" in page
    assert f"`{candidate.manifest.model.digest}`" in page
    assert "| held out | 360 | **0.9750** (0.9532 to 0.9868) | **0.9751** (0.9584 to 0.9890) |" in page
    assert "| accuracy | 0.9500 | 0.9750 | passed |" in page
    assert "| **0** | **33** | · | · |" in page
    assert "kernel" in page


def test_tables_have_as_many_cells_in_each_row(candidate: Candidate) -> None:
    """Every row of a table has the cells that its head has, or Markdown would drop some."""
    for table in re.findall(r"(?:^\|.*\n?)+", manifest_page(candidate.digest, candidate.manifest), re.MULTILINE):
        widths = {line.count("|") for line in table.splitlines()}
        assert len(widths) == 1, table


def test_hostile_labels_stay_in_their_cells(candidate: Candidate) -> None:
    """A class that is named like Markdown, HTML or a mention is shown as that text, and does nothing."""
    hostile = sorted(
        ["<img src=x>", "a|b", "@everyone", "[x](y)", "`", "*_~", "line\nbreak", "#1", "\x1b[31m", "&amp;"]
    )
    model = replace(candidate.manifest.model, classes=tuple(hostile))
    page = manifest_page(candidate.digest, replace(candidate.manifest, model=model))
    (heads,) = re.findall(r"^\| actual ↓ predicted → \| (.*) \|$", page, re.MULTILINE)
    assert heads.split(" | ") == [escape(label) for label in hostile]
    rendered = Rendered(page)
    assert not rendered.elements & {"img", "a"}
    assert "everyone" not in rendered.outside
    assert "\x1b" not in page


def test_page_of_predictions_lists_what_was_wrong(published: Path) -> None:
    """The page shows accuracy by split and each of the nine misclassified digits."""
    predictions = predict(PredictionRequest(published / "artifact", output=str(published / "out.csv")))
    page = predictions_page(predictions)
    assert "| held-out | 360 | 0.9750 | 0.9751 |" in page
    assert "### Misclassified: 9 of 1,797 rows" in page
    with (published / "out.csv").open() as file:
        wrong = [row for row in csv.DictReader(file) if row["actual"] != row["predicted"]]
    assert len(wrong) == 9
    for row in wrong:
        assert f"| {row['row']} | held-out | {row['actual']} | {row['predicted']} |" in page
