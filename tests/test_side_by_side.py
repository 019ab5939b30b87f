"""`artifact-pipeline compare` of several artifacts: figures for a program, and a page for a pull request."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from artifact_pipeline.cli import main
from artifact_pipeline.verification import verify
from test_report import sound, table_of, trained_on

if TYPE_CHECKING:
    from collections.abc import Callable

    Cli = Callable[..., tuple[int, str]]

GOLDEN = Path(__file__).resolve().parent / "golden" / "v2"
MODELS = ("GaussianNB", "LogisticRegression", "LinearDiscriminantAnalysis")
COMMENT = 65_536
"""Characters that a comment of GitHub may have."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models of the same rows, each in a folder of its name, and the rows."""
    folder = tmp_path_factory.mktemp("trained")
    table = table_of(folder)
    for name in MODELS:
        (folder / name).mkdir()
        (folder / name / "rows.csv").symlink_to(table)
        trained_on(folder / name, {"estimator": name})
    return folder


@pytest.fixture
def cli(trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `compare` over the three models, or others, in their folder: its status, and what it prints."""
    monkeypatch.chdir(trained)

    def call(*arguments: str | Path, models: tuple[str, ...] = MODELS) -> tuple[int, str]:
        capsys.readouterr()
        places = [f"{name}/artifact" for name in models]
        status = main(["compare", *places, "--data", "rows.csv", *map(str, arguments)])
        return status, capsys.readouterr().out

    return call


def said_of(cli: Cli, *arguments: str | Path, models: tuple[str, ...] = MODELS) -> dict[str, Any]:
    """What `compare` gives to a program."""
    status, out = cli(*arguments, "--json", models=models)
    assert status == 0
    found: dict[str, Any] = json.loads(out)
    return found


def test_each_champion_is_compared_as_if_it_were_the_only_one(cli: Cli, trained: Path) -> None:
    """Of several champions each has the comparison that it has alone; of one there is no list."""
    alone = [said_of(cli, models=(MODELS[0], name)) for name in MODELS[1:]]
    assert all(each.keys() == {"candidate", "comparison"} for each in alone)
    found = said_of(cli)
    assert found.keys() == {"candidate", "comparisons"}
    assert found["candidate"] == verify(trained / MODELS[0] / "artifact").digest
    assert found["comparisons"] == [each["comparison"] for each in alone]


def test_text_says_each_comparison(cli: Cli, trained: Path) -> None:
    """As text each champion is named by its digest, with its outcome."""
    status, out = cli()
    assert status == 0
    assert [line.partition(",")[0] for line in out.splitlines() if line.startswith("champion: ")] == [
        f"champion: {verify(trained / name / 'artifact').digest}" for name in MODELS[1:]
    ]
    assert out.count("\ncomparison: ") == 2


def test_markdown_needs_no_extra_and_holds_the_figures(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page for a pull request has each outcome and each difference, and is made without matplotlib and Jinja2."""
    expected = said_of(cli)["comparisons"]
    for name in ("matplotlib", "jinja2", "markupsafe"):
        for loaded in [each for each in sys.modules if each.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.setitem(sys.modules, name, None)
    status, out = cli("--format", "markdown")
    assert status == 0
    rows = [line for line in out.splitlines() if line.startswith(("| `B: ", "| `C: ")) and "McNemar" not in line]
    for row, each in zip(rows[:2], expected, strict=True):
        cells = [cell.strip() for cell in row.split("|")[2:-1]]
        assert cells[:2] == [each["outcome"], f"{each['accuracy']['value']:+.4f}"]
        assert cells[3] == f"{each['f1_weighted']['value']:+.4f}"
        assert cells[5:] == [f"{each['won']:,}", f"{each['lost']:,}", f"{each['mcnemar']:.4f}"]


@pytest.mark.needs("matplotlib", "jinja2")
def test_html_is_one_sound_file(cli: Cli, tmp_path: Path) -> None:
    """The page of HTML asks for nothing and runs nothing; printed or written it is the same, and names each model."""
    place = tmp_path / "page.html"
    assert said_of(cli, "--format", "html", "-o", place)["page"] == str(place)
    status, out = cli("--format", "html")
    assert (status, out) == (0, f"{place.read_text().rstrip()}\n")
    text = sound(out).text
    assert "Candidate beside 2 champions" in text
    assert all(f"{letter}: {name}" in text for letter, name in zip("ABC", MODELS, strict=True))


def test_a_page_of_many_fits_into_a_comment(cli: Cli) -> None:
    """The page of as many artifacts as are compared is no longer than a comment may be; one more is refused."""
    many = (MODELS * 4)[:12]
    status, out = cli("--format", "markdown", models=many)
    assert status == 0
    assert 1_000 < len(out) < COMMENT
    assert cli(models=(*many, MODELS[0]))[0] == 2


def test_a_page_is_written_over_nothing_that_is_read(cli: Cli, trained: Path) -> None:
    """A page without a form, over the rows or into an artifact is refused, and all that stood there stands."""
    before = (trained / "rows.csv").read_bytes()
    assert cli("-o", "page.md")[0] == 2
    assert cli("--format", "markdown", "-o", "rows.csv")[0] == 2
    assert cli("--format", "markdown", "-o", f"{MODELS[1]}/artifact/page.md")[0] == 2
    assert (trained / "rows.csv").read_bytes() == before
    assert not (trained / "page.md").exists()
    verify(trained / MODELS[1] / "artifact")


def test_one_that_cannot_be_compared_is_named(cli: Cli, trained: Path) -> None:
    """A champion of other rows, or one that was changed, ends the comparison by its name; no page is written."""
    shutil.copytree(GOLDEN / "SVC", trained / "other" / "artifact", dirs_exist_ok=True)
    assert cli("--format", "markdown", "-o", "page.md", models=(*MODELS, "other"))[0] == 4
    assert cli("--format", "markdown", "-o", "page.md", models=("nowhere", *MODELS))[0] == 4
    assert not (trained / "page.md").exists()
