"""Each command that a page shows runs as it stands, in the order of the page, and prints what the page shows."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from artifact_pipeline.artifact.pointer import resolve
from artifact_pipeline.digits.dataset import load_digits
from conftest import install
from drawing import draw_digit, encode
from pages import HEX, PAGES, PLATFORM, ROOT, Shown, blocks, here, shown
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.mark import ParameterSet

SYSTEM = os.pathsep.join(
    each for each in os.environ["PATH"].split(os.pathsep) if each != str(Path(sys.executable).parent)
)

NOT_HERE = {
    # Commands that are whole runs of their own: `.ci/run` runs them, or what they stand for.
    "make run": ".ci/run",
    "make test": "is this suite",
    "pip install -r requirements.txt": "asks a package index; `make run` installs the same file",
    "python -m pytest tests/ -v": "is this suite",
    # A repository at GitHub.
    "git push origin main": "needs a repository at GitHub",
    "make branches": "test_branches.py::test_make_calls_the_script",
    "make promote": "test_branches.py::test_make_calls_the_script",
    "gh run download RUN": "needs a run at GitHub",
    # A tracker.
    "pip install 'artifact-pipeline[track]'": "asks a package index",
    "artifact-pipeline export mlflow artifact": "test_tracking.py::test_digits_in_mlflow",
    # Other machines, and an object store.
    "pip install 'artifact-pipeline[scale]'": "asks a package index",
    "pip install 'artifact-pipeline[registry]'": "asks a package index",
    "artifact-pipeline push artifact oci://": "test_oci.py::test_what_is_pushed_comes_back",
    "artifact-pipeline pull oci://": "test_oci.py::test_what_is_pushed_comes_back",
    "artifact-pipeline push artifact s3://": "test_object_store.py::test_what_is_pushed_comes_back",
    "artifact-pipeline pull s3://": "test_object_store.py::test_what_is_pushed_comes_back",
    "aws s3 sync s3://": "test_object_store.py::test_a_copy_of_the_objects_is_a_store",
    "artifact-pipeline verify digits/artifact": "test_object_store.py::test_a_copy_of_the_objects_is_a_store",
    "artifact-pipeline runs --registry oci://": "test_oci_kept.py::test_a_registry_is_listed_as_a_store_is",
    "artifact-pipeline gc --registry oci://": "test_oci_kept.py::test_what_other_tags_lead_to_stays",
    "artifact-pipeline verify oci://": "test_remote.py::test_a_verb_says_the_same_of_an_artifact_in_a_registry",
    "artifact-pipeline predict new.csv --artifact oci://": (
        "test_remote.py::test_a_verb_says_the_same_of_an_artifact_in_a_registry"
    ),
    "artifact-pipeline serve oci://": "test_remote.py::test_a_tag_is_followed",
    "artifact-pipeline compare artifact oci://": (
        "test_remote.py::test_a_verb_says_the_same_of_an_artifact_in_a_registry"
    ),
    "artifact-pipeline train --champion oci://": "test_remote.py::test_a_champion_may_be_in_a_registry",
    "artifact-pipeline promote oci://": "test_promotion.py::test_one_that_is_no_worse_follows",
    "artifact-pipeline history oci://": "test_promotion.py::test_signed_statements_are_checked",
    "artifact-pipeline demote oci://": "test_promotion.py::test_demoting_goes_back_step_by_step",
    "artifact-pipeline predict rows/ -o predictions/ --workers 8": "test_cluster.py::test_cluster_of_this_machine",
    "artifact-pipeline predict rows/ -o predictions/ --scheduler": (
        "test_cluster.py::test_cluster_that_is_there_gives_the_bytes_of_one_process"
    ),
    "artifact-pipeline predict s3://bucket/rows/": "test_storage.py::test_predictions_from_a_store_into_a_store",
    "dask scheduler --host": "test_cluster.py::test_cluster_that_is_there_gives_the_bytes_of_one_process",
    "dask worker tcp://": "test_cluster.py::test_cluster_that_is_there_gives_the_bytes_of_one_process",
    # An image; without a daemon here.
    "docker build": "test_container.py::test_it_serves_from_a_read_only_root_and_drains",
    "docker run": "test_container.py::test_it_serves_from_a_read_only_root_and_drains",
    "docker inspect": "test_container.py::test_the_image_says_what_it_is",
    # Artifacts of another kind than the page's first commands use.
    "artifact-pipeline report artifact --data rows.csv": (
        "test_report.py::test_rows_of_a_table_are_shown_where_it_is_named"
    ),
    "artifact-pipeline report artifact candidate": "test_report.py::test_several_stand_beside_each_other",
    "artifact-pipeline compare candidate artifact earlier": "test_side_by_side.py::test_html_is_one_sound_file",
    "artifact-pipeline reproduce artifact --data rows.csv": (
        "test_reproduction.py::test_the_same_rows_in_another_file_give_the_bytes"
    ),
    "artifact-pipeline serve artifact --feedback": ("test_feedback.py::test_drawings_that_people_labelled_are_learned"),
    "artifact-pipeline train --with drawn.jsonl": "test_feedback.py::test_drawings_that_people_labelled_are_learned",
    "artifact-pipeline reproduce artifact --search": (
        "test_search.py::test_reproduction_of_the_winner_and_of_the_search"
    ),
    "artifact-pipeline train --config config/search.json --jobs": (
        "test_search.py::test_processes_give_the_same_results_though_one_is_killed"
    ),
    "artifact-pipeline train --config config/search.json --minutes": (
        "test_search.py::test_a_search_that_is_stopped_can_be_replayed_and_goes_on"
    ),
    "artifact-pipeline reproduce artifact --champion": (
        "test_reproduction.py::test_a_comparison_is_made_again_where_its_champion_is_named"
    ),
}
"""How a command begins that is not run here, with the test that runs it, or the reason."""

UNTRAINED = {"README.md", "docs/tutorials/digits.md", "docs/installation.md", "docs/tutorials/your-table.md"}
"""Pages whose reader has trained nothing yet; the readers of all other pages have done what the README says first."""

SIGNED = {"docs/serving.md", "docs/trust.md", "docs/tutorials/trust.md"}
"""Pages that show signatures."""


def excuse(command: str) -> str | None:
    return next((reason for start, reason in NOT_HERE.items() if command.startswith(start)), None)


def digits_rows(root: Path) -> None:
    """Files of digits, by the names that the pages use."""
    digits = load_digits()
    columns = {name: digits.X[:40, index] for index, name in enumerate(digits.names)}
    for place in ("rows.parquet", "rows.csv", "rows/a.parquet", "rows/b.parquet"):
        (root / place).parent.mkdir(exist_ok=True)
        write_table(root / place, columns)
    (root / "rows.csv.gz").write_bytes(gzip.compress((root / "rows.csv").read_bytes()))
    (root / "drawn").mkdir()
    (root / "drawn" / "three.png").write_bytes(encode(draw_digit(3, np.random.default_rng(3))))


def own_table(root: Path) -> None:
    """A table of one's own, as the README tells of it, and new rows."""
    columns = blobs(["left", "right"])
    write_table(root / "rows.csv", columns)
    write_table(root / "new.csv", {name: values[:30] for name, values in columns.items() if name != "label"})


class Reader:
    """Somebody who types what a page shows, in one folder.

    Attributes:
        root: the folder, a checkout with its environment.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._scripts = root / ".venv" / "bin"
        self._server: subprocess.Popen[str] | None = None
        self._port = "8080"

    def type(self, told: Shown) -> None:
        """Run one command, which must end well or print the error that the page shows."""
        command = self._meant(told.command)
        if command.startswith("artifact-pipeline serve "):
            printed = self._serve(command)
        else:
            done = subprocess.run(
                ["bash", "-c", command], cwd=self.root, env=self._environment(command), capture_output=True, text=True,
                check=False, timeout=120,
            )  # fmt: skip
            printed = done.stdout if done.returncode == 0 else done.stderr
            assert told.output or done.returncode == 0, f"{command}: {done.stderr}"
        if told.output:
            assert self._plain(printed) == self._plain(told.output), command

    def stop(self) -> None:
        """End the server that runs, if there is one; it must end well."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.communicate(timeout=30)
            assert self._server.returncode == 0
            self._server = None

    def _serve(self, command: str) -> str:
        self.stop()
        words = command.partition("#")[0]
        self._server = subprocess.Popen(
            ["sh", "-c", f"exec {words} --port 0"], cwd=self.root, env=self._environment(command), text=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._server.stdout is not None
        lines = [self._server.stdout.readline(), self._server.stdout.readline()]
        self._port = re.findall(r":(\d+)/", lines[1])[0]
        return "".join(lines)

    def _meant(self, command: str) -> str:
        """The command with the digest and the port that are meant by the page's placeholders."""
        if "<hex>" in command or "sha256:…" in command:
            digest = resolve(self.root / "artifact").name
            command = command.replace("<hex>", digest).replace("sha256:…", f"sha256:{digest}")
        if here() != PLATFORM and (self.root / "artifact").exists():
            command = HEX.sub(resolve(self.root / "artifact").name, command)
        return command.replace("127.0.0.1:8080", f"127.0.0.1:{self._port}")

    def _plain(self, text: str) -> str:
        """Text without what differs by platform and port."""
        text = text.replace(f"127.0.0.1:{self._port}", "127.0.0.1:8080").rstrip("\n")
        return text if here() == PLATFORM else HEX.sub("<hex>", text)

    def _environment(self, command: str) -> dict[str, str]:
        # What is shown with its path is typed before the environment has been activated.
        path = SYSTEM if command.startswith(".venv/bin/") else f"{self._scripts}{os.pathsep}{SYSTEM}"
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith("GITHUB_") and key != "PYTHONPATH"
        }
        return {**kept, "PATH": path}


@pytest.fixture
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    """The reader of a page, with what the page takes for granted."""
    page = request.node.callspec.params["page"]
    root = install(request.getfixturevalue("checkout" if page in UNTRAINED else "trained"))
    if page == "docs/tutorials/your-table.md":
        shutil.rmtree(root / "config")
    (own_table if page == "README.md" else digits_rows)(root)
    (policy,) = blocks("docs/trust.md", "json")
    if page != "docs/tutorials/trust.md":
        (root / "trust.json").write_text(policy)
    found = Reader(root)
    if page == "docs/serving.md":
        for told in shown("docs/trust.md")[:3]:
            found.type(told)
    yield found
    found.stop()


def pages() -> Iterator[ParameterSet]:
    """The pages that show a command which runs here."""
    for page in PAGES:
        if any(excuse(each.command) is None for each in shown(page)):
            marks = [pytest.mark.needs("model_signing")] if page in SIGNED else []
            yield pytest.param(page, marks=marks)


@pytest.mark.slow
@pytest.mark.parametrize("page", list(pages()))
def test_commands_of_a_page_run_and_print_what_it_shows(page: str, reader: Reader) -> None:
    """Each command that a page shows is run in order, and prints just what the page shows."""
    if page == "docs/tutorials/your-table.md":
        (example,) = blocks(page, "python")
        reader.type(Shown(f"python - <<'END'\n{example}END"))
    for told in shown(page):
        if excuse(told.command) is None:
            reader.type(told)


def test_each_command_that_is_not_run_here_is_shown_and_excused() -> None:
    """A command is left out for a reason only while a page shows it; a test that is named as running it is there."""
    commands = [told.command for page in PAGES for told in shown(page)]
    for start, reason in NOT_HERE.items():
        assert any(command.startswith(start) for command in commands), start
        module, _, name = reason.partition("::")
        assert not name or f"def {name}(" in (ROOT / "tests" / module).read_text(), reason
    for target in (command for command, reason in NOT_HERE.items() if reason == ".ci/run"):
        assert f"\n{target}\n" in (ROOT / ".ci" / "run").read_text()
