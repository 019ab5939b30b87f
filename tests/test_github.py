"""Annotations, step outputs and the step summary, as GitHub Actions reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from artifact_pipeline.cli.github import MAX_SUMMARY_BYTES, append_outputs, append_summary, error_annotations
from artifact_pipeline.errors import ConfigError, DataRejected, Problem, StorageError


def test_config_errors_become_annotations_at_their_lines() -> None:
    """A problem with line and column is put there; one of an option has no place in a file."""
    error = ConfigError(
        "bad",
        problems=[
            Problem("config/config.json:3:15", "out-of-range", "max_iter: must be at least 1"),
            Problem("-S C=0", "out-of-range", "C: must be above 0"),
        ],
    )
    assert error_annotations(error) == [
        "::error file=config/config.json,line=3,col=15::max_iter: must be at least 1",
        "::error::-S C=0: C: must be above 0",
    ]


def test_an_annotation_cannot_begin_another_command() -> None:
    """Line breaks, percent signs, colons and commas of a hostile file name or value are escaped."""
    error = ConfigError("bad", problems=[Problem("a,b:c\n.json:1:2", "x", "100 %\n::stop-commands::now")])
    (line,) = error_annotations(error)
    assert line == "::error file=a%2Cb%3Ac%0A.json,line=1,col=2::100 %25%0A::stop-commands::now"


def test_annotations_are_for_configs_alone() -> None:
    """Other errors have no place in a file of the repository."""
    assert error_annotations(DataRejected("bad", problems=[Problem("config.json:1:1", "x", "y")])) == []


@pytest.mark.parametrize("actions", ["true", ""])
def test_a_bad_config_is_annotated_on_github_alone(run: Any, tmp_path: Path, actions: str) -> None:
    """The real command prints the annotation under its error where GitHub Actions reads it, and nowhere else."""
    (tmp_path / "config.json").write_text('{"C": 1.0, "solver": "lbfgs",\n "max_iter": -5}')
    done = run("-m", "artifact_pipeline", "train", "--config", "config.json", env={"GITHUB_ACTIONS": actions})
    assert done.returncode == 2
    line = "::error file=config.json,line=2,col=14::max_iter: must be a whole number of at least 1, got -5\n"
    assert (line in done.stderr) == bool(actions)


@pytest.mark.slow
def test_train_passes_on_outputs_and_page(run: Any, checkout: Path) -> None:
    """A training tells digest, verdict, accuracy and place, and its page is what `inspect` prints as Markdown."""
    done = run("src/train.py", "--summary", "page.md", "--outputs", "outputs")
    assert done.returncode == 0, done.stderr
    told = dict(line.split("=", 1) for line in (checkout / "outputs").read_text().splitlines())
    folder = (checkout / "artifact").resolve()
    assert told == {
        "digest": f"sha256:{folder.name}",
        "verdict": "passed",
        "accuracy": "0.975",
        "artifact-path": str(folder),
    }
    shown = run("-m", "artifact_pipeline", "inspect", "--format", "markdown")
    assert shown.stdout == (checkout / "page.md").read_text()
    done = run("src/inference.py", "--expect", told["digest"], "--summary", "page.md")
    assert done.returncode == 0, done.stderr
    assert "### Misclassified: 9 of 1,797 rows" in (checkout / "page.md").read_text()


@pytest.mark.slow
def test_a_failed_gate_passes_on_its_verdict(run: Any, checkout: Path) -> None:
    """Also of a failed gate the job's page and outputs say so, and the status is 3."""
    done = run("src/train.py", "-S", "gate.min_accuracy=1", "--summary", "page.md", "--outputs", "outputs")
    assert done.returncode == 3
    assert "verdict=failed\n" in (checkout / "outputs").read_text()
    assert "gate failed" in (checkout / "page.md").read_text()


def test_no_more_annotations_than_github_shows() -> None:
    """GitHub shows ten errors a step; the text has all of them."""
    problems = [Problem(f"c.json:{line}:1", "x", "y") for line in range(1, 30)]
    assert len(error_annotations(ConfigError("bad", problems=problems))) == 10


def test_outputs_are_appended(tmp_path: Path) -> None:
    """Outputs are added to what other steps wrote."""
    file = tmp_path / "outputs"
    file.write_text("before=1\n")
    append_outputs(file, {"digest": "sha256:ab", "verdict": "passed"})
    assert file.read_text() == "before=1\ndigest=sha256:ab\nverdict=passed\n"


def test_an_output_with_a_line_break_is_refused(tmp_path: Path) -> None:
    """A value with a line break would set another output."""
    with pytest.raises(ConfigError):
        append_outputs(tmp_path / "outputs", {"digest": "a\nverdict=passed"})
    assert not (tmp_path / "outputs").exists()


def test_summary_stays_below_the_limit(tmp_path: Path) -> None:
    """However often pages are appended, the file stays below what GitHub refuses, and says what was left out."""
    file = tmp_path / "summary"
    page = "a line of a page\n" * 20_000
    for _ in range(5):
        append_summary(file, page)
    assert file.stat().st_size < MAX_SUMMARY_BYTES + 1024
    assert "The rest is left out" in file.read_text()


def test_summary_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    """A folder in the summary's place is one clear error."""
    with pytest.raises(StorageError):
        append_summary(tmp_path, "page")


@pytest.mark.slow
def test_the_job_of_tests_has_its_page(run: Any, tmp_path: Path) -> None:
    """A run of the tests in a job writes passed, failed and slowest to the job's page."""
    page = tmp_path / "page.md"
    root = Path(__file__).resolve().parents[1]
    done = run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_train.py", "-k", "config"),
        env={"GITHUB_STEP_SUMMARY": str(page)},
        cwd=root,
    )
    assert done.returncode == 0, done.stdout
    assert page.read_text().startswith("## Tests: 4 passed, 0 failed, 0 skipped\n")
    assert "`tests/test_train.py::test_config_loads`" in page.read_text()


@pytest.mark.slow
def test_the_runner_obeys_nothing_that_a_test_prints(run: Any, tmp_path: Path) -> None:
    """A run of the tests in a job tells the runner to obey nothing until a token comes that no test knows."""
    done = run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_train.py", "-k", "config"),
        env={"GITHUB_ACTIONS": "true"},
        cwd=Path(__file__).resolve().parents[1],
    )
    assert done.returncode == 0, done.stdout
    first, *_, last = filter(None, done.stdout.splitlines())
    assert re.fullmatch("::stop-commands::[0-9a-f]{32}", first)
    assert last == f"::{first.rpartition(':')[2]}::"
