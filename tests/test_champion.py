"""The champion gate: a candidate goes into charge only if it is no worse on the same held-out rows."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from artifact_pipeline.artifact import provenance
from artifact_pipeline.artifact.pointer import resolve
from artifact_pipeline.artifact.store import Store
from artifact_pipeline.config import Gate, load_config
from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.errors import ArtifactRejected, DataRejected, GateFailed
from artifact_pipeline.metrics import paired
from artifact_pipeline.training import candidate as candidates
from artifact_pipeline.training import champion as c
from artifact_pipeline.training.dataset import load_rows
from artifact_pipeline.training.publication import publish, rollback
from artifact_pipeline.training.statement import TrainingOrigin, make_statement
from artifact_pipeline.verification import verify
from tables import blobs, write_table
from tools import hexadecimal, renamed

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.artifact.provenance import Comparison
    from artifact_pipeline.training.sealed import Candidate

    Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "config.json"
LOW = ("gate.min_accuracy=0.5", "gate.min_f1=0.5")


def train(*overrides: str) -> Candidate:
    return candidates.train(load_config(CONFIG, overrides), progress=lambda _: None)


@pytest.fixture(scope="session")
def near() -> Candidate:
    """A model that gives the champion's labels on all held-out rows, by other numbers."""
    return train("C=0.5")


@pytest.fixture(scope="session")
def worse() -> Candidate:
    """A model that is five points worse than the champion."""
    return train("C=0.0001", *LOW)


@pytest.fixture
def champion(published: Path) -> Verified:
    """The documented config's artifact, in charge."""
    return verify(published / "artifact")


def challenge(candidate: Candidate, champion: Verified, **gate: Any) -> Comparison:
    digits = load_digits()
    return c.challenge(candidate, champion, digits, Gate(**gate), its_rows=digits)


def put(root: Path, candidate: Candidate, comparison: Comparison | None) -> Path:
    statement = make_statement(candidate, TrainingOrigin(CONFIG, Path("x")), key={}, looks=2, comparison=comparison)
    export = root / "model_train.pkl"
    return publish(candidate, artifact=root / "artifact", export=export, statement=statement)


# --- the three outcomes, and the fourth


def test_a_model_as_good_passes(near: Candidate, champion: Verified, published: Path) -> None:
    """No row won or lost: both intervals lie above minus the margin, and the candidate goes into charge."""
    comparison = challenge(near, champion)
    assert (comparison.outcome, comparison.accepted) == ("passed", True)
    assert (comparison.rows, comparison.won, comparison.lost, comparison.mcnemar) == (360, 0, 0, 1.0)
    assert comparison.champion == champion.digest
    put(published, near, comparison)
    assert verify(published / "artifact").digest == near.digest


def test_a_worse_model_fails(worse: Candidate, champion: Verified, published: Path) -> None:
    """An interval below minus the margin ends with status 3; pointer and export stay, the candidate is kept."""
    before = (published / "artifact").readlink(), (published / "model_train.pkl").read_bytes()
    comparison = challenge(worse, champion)
    assert (comparison.outcome, comparison.accepted) == ("failed", False)
    assert comparison.lost > comparison.won
    with pytest.raises(GateFailed) as caught:
        put(published, worse, comparison)
    assert caught.value.exit_status == 3
    assert caught.value.rules == {"champion-failed"}
    assert ((published / "artifact").readlink(), (published / "model_train.pkl").read_bytes()) == before
    told = provenance.Statement.read(published / "artifacts" / hexadecimal(worse))
    assert told is not None
    assert told.internal.comparison == comparison


@pytest.mark.parametrize(("asked", "accepted"), [("fail", False), ("pass", True)])
def test_too_few_rows_are_inconclusive(
    published: Path, worse: Candidate, champion: Verified, asked: str, accepted: object
) -> None:
    """An interval across minus the margin is inconclusive, and the config says what becomes of it: by default fail."""
    comparison = challenge(worse, champion, margin=0.05, on_inconclusive=asked)
    assert (comparison.outcome, comparison.accepted) == ("inconclusive", accepted)
    if accepted:
        put(published, worse, comparison)
    else:
        with pytest.raises(GateFailed) as caught:
            put(published, worse, comparison)
        assert caught.value.rules == {"champion-inconclusive"}
    assert Gate().on_inconclusive == "fail"


def test_figures_are_those_of_the_statistics(worse: Candidate, champion: Verified) -> None:
    """The record holds what `evaluation.paired` says of both models' labels, to six decimals."""
    comparison, rows = challenge(worse, champion), load_digits()
    assert rows.y is not None
    bits = np.unpackbits(np.frombuffer(worse.members["split.bin"], np.uint8), bitorder="little")[: len(rows.X)]
    held_out = np.flatnonzero(bits)
    answers = [c._answers(model, rows, held_out) for model in (worse, champion)]
    expected = paired.compare(rows.y[held_out], answers[0], answers[1], classes=10)
    assert (comparison.won, comparison.lost, comparison.rows) == (expected.won, expected.lost, 360)
    assert comparison.mcnemar == round(expected.mcnemar, 6)
    for name in ("accuracy", "f1_weighted"):
        told, found = getattr(comparison, name), getattr(expected, name)
        assert (told.value, told.low, told.high) == tuple(
            round(each, 6) for each in (found.value, found.low, found.high)
        )
    difference = worse.manifest.metrics.held_out.accuracy.value - champion.manifest.metrics.held_out.accuracy.value
    assert comparison.accuracy.value == pytest.approx(difference, abs=2e-6)


@pytest.mark.parametrize(
    ("accuracy", "f1", "outcome"),
    [
        ((-0.01, 0.01), (-0.01, 0.01), "passed"),
        ((-0.01, 0.01), (-0.03, 0.01), "inconclusive"),
        ((-0.03, 0.01), (-0.01, 0.01), "inconclusive"),
        ((-0.01, 0.01), (-0.05, -0.03), "failed"),
        ((-0.05, -0.03), (-0.03, 0.01), "failed"),
        ((-0.02, 0.01), (-0.01, 0.01), "inconclusive"),
    ],
)
def test_both_figures_count(accuracy: tuple[float, float], f1: tuple[float, float], outcome: str) -> None:
    """Accuracy and F1 must both be within the margin; one that surely is not is enough to fail."""
    both = [paired.PairedDifference(sum(each) / 2, *each) for each in (accuracy, f1)]
    found = paired.Paired(rows=100, won=1, lost=1, accuracy=both[0], f1_weighted=both[1], mcnemar=1.0)
    assert c._outcome(found, 0.02) == outcome


def test_a_candidate_that_is_its_own_champion_is_identical(candidate: Candidate, champion: Verified) -> None:
    """The same model bytes are `identical`, never `passed`, whatever the margin and whatever else the manifest says."""
    assert challenge(candidate, champion).outcome == "identical"
    assert challenge(renamed(candidate, "other"), champion, margin=1.0).outcome == "identical"


def test_artifact_is_a_function_of_recipe_data_and_environment(candidate: Candidate) -> None:
    """Neither champion nor margin nor what becomes of an inconclusive comparison changes a byte of the artifact."""
    other = train("gate.champion=somewhere", "gate.margin=0.5", "gate.on_inconclusive=pass")
    assert other.digest == candidate.digest


# --- refused


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("random_state=7", "champion-saw-held-out"),
        ("test_size=0.3", "champion-saw-held-out"),
        ("test_size=0.1", "champion-split"),
    ],
)
def test_another_split_is_refused(champion: Verified, override: str, rule: str) -> None:
    """A champion that trained on rows that are held out here, or was measured on others, is refused by name."""
    with pytest.raises(ArtifactRejected) as caught:
        challenge(train(override, *LOW), champion)
    assert caught.value.rules == {rule}


def test_a_champion_of_other_data_is_refused(champion: Verified) -> None:
    """Where a champion's training rows are not these, nobody knows whether the held-out ones are among them."""
    with pytest.raises(ArtifactRejected) as caught:
        c.check_fit(champion, replace(load_digits(), target="other"), champion.role("split"))
    assert caught.value.rules == {"champion-data"}


def test_other_classes_are_refused(candidate: Candidate, champion: Verified) -> None:
    """A champion with other classes cannot be compared with."""
    model = msgspec.structs.replace(champion.manifest.model, classes=tuple(range(11)))
    forged = replace(champion, manifest=msgspec.structs.replace(champion.manifest, model=model))
    with pytest.raises(ArtifactRejected) as caught:
        challenge(candidate, forged)
    assert caught.value.rules == {"champion-classes"}


def test_other_rows_than_the_candidates_are_refused(candidate: Candidate, champion: Verified) -> None:
    """Rows that are not the candidate's own are refused before any is answered."""
    digits = load_digits()
    with pytest.raises(DataRejected) as caught:
        c.challenge(candidate, champion, replace(digits, X=digits.X + 1), Gate(), its_rows=digits)
    assert caught.value.rules == {"data-digest"}


# --- what follows from it


def test_rollback_passes_over_what_its_champion_beat(
    published: Path, candidate: Candidate, worse: Candidate, near: Candidate, champion: Verified
) -> None:
    """A candidate that failed beside its champion is nothing to go back to, unless it is named."""
    with pytest.raises(GateFailed):
        put(published, worse, challenge(worse, champion))
    put(published, near, challenge(near, champion))
    for index, each in enumerate((candidate, worse, near)):
        os.utime(published / "artifacts" / hexadecimal(each), ns=(index, index))
    assert [run.passed for run in Store(published / "artifact").runs()] == [True, False, True]
    assert rollback(published / "artifact").digest == candidate.digest
    assert rollback(published / "artifact", to=worse.digest).digest == worse.digest


# --- by the command line


def test_train_with_a_champion(run: Run, trained: Path) -> None:
    """A candidate that passes is shown beside its champion, in text, JSON and page, and the looks are counted."""
    before = verify(trained / "artifact").digest
    done = run("src/train.py", "--champion", "artifact", "-S", "C=0.5", "--summary", "page", cwd=trained)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert f"champion: {before}, on the same 360 held-out rows, looked at 2 times" in lines
    told = "comparison: passed, no worse than the margin allows (0 rows won, 0 lost, McNemar p 1.0000)"
    assert told in lines
    page = (trained / "page").read_text()
    assert "### Comparison with the champion: passed" in page
    assert "| accuracy | +0.0000 | -0.0106 to +0.0106 | -0.0200 |" in page
    assert verify(trained / "artifact").digest != before
    told = provenance.Statement.read(resolve(trained / "artifact"))
    assert told is not None
    assert told.internal.looks == 2
    assert run("src/train.py", "--champion", "artifact", "-S", "C=0.5", cwd=trained).stdout.startswith("unchanged")


@pytest.mark.slow
def test_a_config_names_its_champion(run: Run, trained: Path) -> None:
    """`gate.champion` of the config starts at the config's folder, and a worse candidate ends with status 3."""
    path = trained / "config" / "config.json"
    values = {"C": 0.0001, "solver": "lbfgs", "max_iter": 1000}
    gate = {"champion": "../artifact", "margin": 0.02, "min_accuracy": 0.5, "min_f1": 0.5}
    path.write_text(json.dumps({**values, "gate": gate}))
    before = verify(trained / "artifact").digest
    done = run("src/train.py", "--summary", "page", cwd=trained)
    assert done.returncode == 3
    assert (
        "  gate: accuracy lies -0.0827 to -0.0297 from the champion's (95 %), and must lie above -0.0200" in done.stderr
    )
    assert "### Comparison with the champion: failed" in (trained / "page").read_text()
    assert verify(trained / "artifact").digest == before
    env = {"PYTHONPATH": str(trained / "src")}
    listed = run("-m", "artifact_pipeline", "runs", "--json", env=env, cwd=trained)
    assert [each["comparison"] for each in json.loads(listed.stdout)["runs"]] == ["failed", None]
    assert "passed, champion: failed" in run("-m", "artifact_pipeline", "runs", env=env, cwd=trained).stdout


@pytest.mark.slow
def test_identical_publishes_nothing(run: Run, trained: Path) -> None:
    """The same model again is `identical`: nothing is published, and outputs name the artifact that stays."""
    standing = resolve(trained / "artifact")
    before = {path: path.lstat().st_mtime_ns for path in (trained / "artifacts").rglob("*")}
    (trained / "model_train.pkl").unlink()
    # Another recipe that gives the same model: the limit is not reached.
    command = ["src/train.py", "--champion", "artifact", "-S", "range_margin=0.4", "--outputs", "outputs"]
    done = run(*command, cwd=trained)
    assert done.returncode == 0, done.stderr
    assert "comparison: identical, the same model (0 rows won, 0 lost, McNemar p 1.0000)" in done.stdout
    assert f"artifact: artifacts/{standing.name} stays, nothing is published" in done.stdout
    assert {path: path.lstat().st_mtime_ns for path in (trained / "artifacts").rglob("*")} == before
    assert f"digest=sha256:{standing.name}" in (trained / "outputs").read_text().splitlines()
    assert (trained / "model_train.pkl").exists()  # the standing artifact's own, since it was missing
    assert json.loads(run(*command, "--json", cwd=trained).stdout)["comparison"]["outcome"] == "identical"


def test_a_champion_must_verify(run: Run, trained: Path) -> None:
    """A champion that is tampered with, or missing, is refused before anything is trained."""
    place = resolve(trained / "artifact")
    for arguments in (["--champion", "nowhere"], ["--champion", place]):
        done = run("src/train.py", *arguments, "-S", "C=0.5", cwd=trained)
        assert done.returncode == 4
        assert "training on" not in done.stderr
        (place / "model.onnx").write_bytes(b"another")
    assert len(Store(trained / "artifact").runs()) == 1


@pytest.mark.slow
def test_a_champion_can_be_asked_who_vouches_for_it(run: Run, trained: Path) -> None:
    """`--champion-expect` and `--champion-policy` refuse a champion before a training; alone they are an error."""
    mine = verify(trained / "artifact").digest
    policy = trained / "trust.json"
    policy.write_text(json.dumps({"format": 1, "revoked": [mine]}))
    other, asked = f"sha256:{'0' * 64}", ["--champion", "artifact", "-S", "C=0.5"]
    for arguments, status in (
        ([*asked, "--champion-expect", other], 4),
        ([*asked, "--champion-expect", mine, "--champion-policy", policy], 4),
        (["--champion-expect", mine], 2),
        (["--champion-policy", policy], 2),
    ):
        done = run("src/train.py", *arguments, cwd=trained)
        assert done.returncode == status, done.stderr
        assert "training on" not in done.stderr
    assert run("src/train.py", *asked, "--champion-expect", mine, cwd=trained).returncode == 0


@pytest.mark.slow
def test_a_champion_of_another_split_is_refused_before_the_fit(run: Run, trained: Path) -> None:
    """A champion that has seen the held-out rows is refused with status 4, and nothing is trained."""
    done = run("src/train.py", "--champion", "artifact", "-S", "random_state=7", cwd=trained)
    assert done.returncode == 4
    assert "rows that are held out here" in done.stderr
    assert "training on" not in done.stderr


@pytest.mark.slow
def test_compare_prints_without_training(run: Run, published: Path, worse: Candidate) -> None:
    """`compare A B` says what the gate would say, trains nothing and writes nothing; A beside itself is identical."""
    publish(worse, artifact=published / "other", export=published / "other.pkl")
    before = {path: path.lstat().st_mtime_ns for path in published.rglob("*")}
    done = run("-m", "artifact_pipeline", "compare", "other", "artifact", "--json")
    value = json.loads(done.stdout)
    assert (done.returncode, value["candidate"], value["comparison"]["outcome"]) == (0, worse.digest, "failed")
    assert "comparison: failed, worse than" in run("-m", "artifact_pipeline", "compare", "other", "artifact").stdout
    wide = run("-m", "artifact_pipeline", "compare", "other", "artifact", "--margin", "0.1", "--json")
    assert json.loads(wide.stdout)["comparison"]["outcome"] == "passed"
    same = run("-m", "artifact_pipeline", "compare", "artifact", "artifact", "--json")
    assert json.loads(same.stdout)["comparison"]["outcome"] == "identical"
    assert {path: path.lstat().st_mtime_ns for path in published.rglob("*")} == before


@pytest.mark.slow
def test_compare_of_tables_asks_for_the_rows(run: Run, tmp_path: Path) -> None:
    """Artifacts of a table are compared on the file that --data names, and refused on any other."""
    columns = blobs(["no", "yes"])
    path = write_table(tmp_path / "rows.csv", columns)
    for name, C in (("one", 1.0), ("two", 0.01)):
        config = load_config(CONFIG, [f"C={C}", *LOW, "dataset=" + json.dumps({"path": str(path), "target": "label"})])
        made = candidates.train(config, progress=lambda _: None)
        assert load_rows(config).digest() == made.manifest.data.sources[0].digest
        publish(made, artifact=tmp_path / name, export=tmp_path / f"{name}.pkl")
    done = run("-m", "artifact_pipeline", "compare", "two", "one")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, "hint: --data rows.csv")
    assert run("-m", "artifact_pipeline", "compare", "two", "one", "--data", "rows.csv").returncode == 0
    columns["width"][0] += 1
    write_table(path, columns)
    assert run("-m", "artifact_pipeline", "compare", "two", "one", "--data", "rows.csv").returncode == 5
