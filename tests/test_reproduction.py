"""`reproduce`: each grade by a real cause, and the cause by its name."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import numpy as np
import pytest

from artifact_pipeline import api
from artifact_pipeline.api import reproduce
from artifact_pipeline.artifact.environment import PACKAGES
from artifact_pipeline.cli import main
from artifact_pipeline.config import from_mapping
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected, NotReproduced
from artifact_pipeline.runtime import KERNEL, KERNEL_VARIABLE, KERNELS, choose_kernel
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.causes import GRADES, KINDS, Kind, find_causes
from artifact_pipeline.training.reproduction import TOLERANCE, Reproduction
from artifact_pipeline.verification import verify
from forging import REMOVED, changed, manifest_of, reseal, unpack
from tables import blobs, write_table
from tools import cannot_run, slow

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.artifact.environment import Environment
    from artifact_pipeline.training.sealed import Candidate

    Run = Callable[..., subprocess.CompletedProcess[str]]
    Columns = dict[str, np.ndarray]

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "v1"
PROOF = (ROOT / "docs" / "proof.md").read_text()
CONFIG = ROOT / "config" / "config.json"
OLD_SKLEARN = "1.8.0"
COMMAND = ("-m", "artifact_pipeline")


def flags() -> set[str]:
    """What the processor says that it can do."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}


def runs(kernel: str) -> bool:
    return KERNELS[kernel] <= flags()


two_kernels = pytest.mark.skipif(not runs(KERNEL), reason="needs an x86-64 processor with AVX2 and FMA")


def again(artifact: Path, data: Path | None = None) -> Reproduction:
    return reproduce(artifact, data=data, progress=lambda _: None)


def kinds(found: Reproduction) -> list[str]:
    return list(dict.fromkeys(cause.kind for cause in found.causes))


def train_in(folder: Path, run: Run, *options: str, kernel: str = KERNEL) -> None:
    done = run(*COMMAND, "train", "--config", CONFIG, *options, cwd=folder, env={KERNEL_VARIABLE: kernel})
    assert done.returncode == 0, done.stderr


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


# --- the same environment


def test_the_same_environment_gives_the_bytes(published: Path) -> None:
    """Trained again in the environment that made it, an artifact comes back byte for byte, and nothing differs."""
    found = again(published / "artifact")
    assert (found.grade, found.causes, found.carried, found.sole) == ("bytes", (), (), None)
    differences = found.differences
    assert (differences.files, differences.manifest, differences.metrics) == ((), (), {})
    assert (differences.parameters, differences.labels, differences.probabilities) == (0.0, 0, 0.0)
    assert differences.rows == 1797


def test_nothing_is_written(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reproduction leaves every file as it was, and no other."""
    monkeypatch.chdir(published)
    before = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    assert main(["reproduce", "--quiet"]) == 0
    assert {path: path.read_bytes() for path in published.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_comparison_is_made_again_where_its_champion_is_named(published: Path, run: Run) -> None:
    """What is recorded of a champion is carried over, and said to be; with --champion it comes back the same."""
    standing = (published / "artifact").resolve()
    train_in(published, run, "-S", "C=0.9", "-S", "gate.margin=0.1", "--champion", "artifact")
    alone = told(run(*COMMAND, "reproduce", "artifact", "--json", cwd=published))
    assert any("--champion makes it again" in line for line in alone["carried_over"])
    assert alone["comparison"]["here"] is None
    assert alone["comparison"]["recorded"]["margin"] == 0.1
    again = told(run(*COMMAND, "reproduce", "artifact", "--champion", standing, "--json", cwd=published))
    assert again["grade"] == "bytes"
    assert again["comparison"]["here"] == again["comparison"]["recorded"]
    assert again["carried_over"] == []
    said = run(*COMMAND, "reproduce", "artifact", "--champion", standing, cwd=published)
    assert "recorded comparison: the same" in said.stdout.splitlines()


def test_a_recipe_of_before_comes_back_as_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    """The golden artifact has no `range_margin`: what this version adds is said, left out again, and no cause.

    It is of format 1, and this version writes format 2: the numbers come back, and the format is the first cause.
    """
    found = again(GOLDEN)
    assert "recipe" not in kinds(found)
    assert found.causes[0].kind == "format"
    assert any("range_margin is not in it" in line and "0.5" in line for line in found.carried)
    assert found.reaches("predictions")
    assert (found.grade == "parameters") == (found.sole == "format")
    if (refusal := found.refusal("bytes")) is not None and refusal.hint is not None and found.sole == "format":
        assert refusal.hint.startswith("--at-least parameters ")
    assert main(["reproduce", str(GOLDEN), "--at-least", "predictions"]) == 0
    assert "carried over: recipe: range_margin is not in it" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_names_of_one_letter_change_no_byte(name: str, tmp_path: Path) -> None:
    """A table whose columns have names of one letter comes back byte for byte, read by names or as it stands."""
    rows = [{"x": at % 7 + 0.5, "c": "uv"[at % 2], "z": at % 5 - 0.5, "label": "pq"[at % 7 > 3]} for at in range(120)]
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dataset = {"path": str(tmp_path / name), "target": "label"}
    config = {"dataset": dataset, "model": {"estimator": "GaussianNB"}, "gate": {"min_accuracy": 0.1}}
    artifact = tmp_path / "artifact"
    training = api.train(config, artifact=artifact, export=tmp_path / "model_train.pkl")
    assert reproduce(artifact, data=tmp_path / name).grade == "bytes"
    chosen = {**config, "dataset": {**dataset, "features": ["x", "c", "z"]}}
    named = api.train(chosen, artifact=tmp_path / "named", export=tmp_path / "named.pkl")
    assert named.manifest.exports == training.manifest.exports


def test_a_model_whose_gate_failed_is_reproduced_too(tmp_path: Path) -> None:
    """A failed gate does not keep a model from being reproduced: one wants to see why."""
    config = from_mapping({"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "gate": {"min_accuracy": 0.99}})
    candidate = train(config, progress=lambda _: None)
    assert again(unpack(candidate, tmp_path / "failed")).grade == "bytes"


# --- another kernel


@pytest.mark.slow
@two_kernels
@pytest.mark.parametrize("kernel", ["Prescott", *(slow(each) for each in ("Sandybridge", "SkylakeX") if runs(each))])
def test_lbfgs_under_another_kernel_gives_the_predictions(published: Path, run: Run, kernel: str) -> None:
    """The solver lbfgs stops elsewhere under another kernel: every label is the same, and the kernel is named."""
    done = run(*COMMAND, "reproduce", "--json", cwd=published, env={KERNEL_VARIABLE: kernel})
    value = told(done)
    assert (value["grade"], value["sole_cause"], done.returncode) == ("predictions", "kernel", 6)
    assert [cause["recorded"] for cause in value["causes"]] == [KERNEL]
    differences = value["differences"]
    assert differences["labels"] == 0
    assert differences["parameters"] > TOLERANCE
    assert 0 < differences["probabilities"] < 0.2
    assert value["kernel"]["chosen_by"] == "user"


@pytest.mark.slow
@two_kernels
def test_newton_cholesky_under_another_kernel_gives_the_parameters(tmp_path: Path, run: Run) -> None:
    """A solver that goes to the optimum agrees over kernels in its numbers, far within the tolerance."""
    train_in(tmp_path, run, "-S", "solver=newton-cholesky")
    done = run(*COMMAND, "reproduce", "--json", cwd=tmp_path, env={KERNEL_VARIABLE: "Sandybridge"})
    value = told(done)
    assert (value["grade"], value["sole_cause"]) == ("parameters", "kernel")
    assert 0 < value["differences"]["parameters"] < 1e-12 < TOLERANCE
    assert value["differences"]["metrics"] == {}


@pytest.mark.slow
@two_kernels
def test_the_kernel_of_the_manifest_is_used(tmp_path: Path, run: Run) -> None:
    """What was made under another kernel comes back byte for byte: nobody has set one, so the recorded one is used."""
    train_in(tmp_path, run, kernel="Sandybridge")
    value = told(run(*COMMAND, "reproduce", "--json", cwd=tmp_path))
    assert value["grade"] == "bytes"
    assert value["kernel"] == {"ran": ["Sandybridge"], "chosen_by": "artifact"}


@pytest.mark.slow
@two_kernels
def test_the_kernel_of_the_user_wins(tmp_path: Path, run: Run) -> None:
    """A kernel that the user has set runs, even if it is the usual one, and the hint says how to be rid of it."""
    train_in(tmp_path, run, kernel="Sandybridge")
    done = run(*COMMAND, "reproduce", cwd=tmp_path, env={KERNEL_VARIABLE: KERNEL})
    assert done.returncode == 6
    assert f"kernel: {KERNEL}, as OPENBLAS_CORETYPE says" in done.stdout
    assert "cause: the BLAS kernel (BLAS kernel: Sandybridge recorded, Haswell here)" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("hint: unset OPENBLAS_CORETYPE")


@pytest.mark.slow
@two_kernels
@pytest.mark.parametrize("kernel", ["Unheard-of", "../../x", "Bulldozer"])
def test_a_kernel_that_is_not_known_is_not_used(published: Path, run: Run, tmp_path: Path, kernel: str) -> None:
    """A kernel that we do not know to run here is never set: the usual one runs, and is named as what differs."""
    folder = tmp_path / "other"
    shutil.copytree((published / "artifact").resolve(), folder)
    reseal(folder, {"environment.blas.0.kernel": kernel, "environment.blas.1.kernel": kernel})
    value = told(run(*COMMAND, "reproduce", folder, "--json"))
    assert value["kernel"] == {"ran": [KERNEL], "chosen_by": "default"}
    assert (value["grade"], value["sole_cause"]) == ("model", "kernel")


# --- other rows


@pytest.fixture(scope="module")
def rows() -> Columns:
    return blobs(["blue", "green", "red"], rows=300)


@pytest.fixture(scope="module")
def table(rows: Columns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact that was trained from a table, and the table beside it."""
    folder = tmp_path_factory.mktemp("table")
    path = write_table(folder / "rows.csv", rows)
    dataset = {"path": str(path), "target": "label"}
    asked = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "name": "blobs", "dataset": dataset}
    config = from_mapping({**asked, "split": {"by": "random"}})
    unpack(train(config, progress=lambda _: None), folder / "artifact")
    return folder


def held_out(table: Path, *, wanted: bool) -> int:
    """The first row of the table that is held out, or that is not."""
    bits = np.unpackbits(np.frombuffer((table / "artifact" / "split.bin").read_bytes(), np.uint8), bitorder="little")
    return int(np.flatnonzero(bits[:300] == wanted)[0])


def with_rows(table: Path, place: Path, columns: Columns) -> Reproduction:
    return again(table / "artifact", write_table(place / "other.csv", columns))


def test_the_same_rows_in_another_file_give_the_bytes(table: Path, rows: Columns, tmp_path: Path) -> None:
    """The rows count, not their file: a Parquet file of another name gives the same bytes."""
    assert again(table / "artifact", write_table(tmp_path / "moved.parquet", rows)).grade == "bytes"


def test_one_held_out_value_changed_gives_the_model(table: Path, rows: Columns, tmp_path: Path) -> None:
    """A value that the estimator never saw leaves the model as it was; that the data differ is said all the same."""
    width = rows["width"].copy()
    width[held_out(table, wanted=True)] += 0.25
    found = with_rows(table, tmp_path, {**rows, "width": width})
    assert (found.grade, found.sole) == ("model", "data")
    assert "model.onnx" not in found.differences.files
    assert set(found.differences.manifest) == {"data", "metrics"}


def test_one_training_value_changed_gives_the_predictions(table: Path, rows: Columns, tmp_path: Path) -> None:
    """One value that was learned from changes every number a little, and no label; the data are named."""
    width = rows["width"].copy()
    width[held_out(table, wanted=False)] += 0.25
    found = with_rows(table, tmp_path, {**rows, "width": width})
    assert (found.grade, found.sole, kinds(found)) == ("predictions", "data", ["data"])
    assert found.differences.parameters is not None
    assert found.differences.parameters > TOLERANCE


def test_two_classes_exchanged_give_the_metrics(table: Path, rows: Columns, tmp_path: Path) -> None:
    """With two labels exchanged everywhere the figures are the same and the answers are not."""
    exchanged = {"blue": "red", "red": "blue", "green": "green"}
    found = with_rows(table, tmp_path, {**rows, "label": np.array([exchanged[each] for each in rows["label"]])})
    assert (found.grade, found.sole) == ("metrics", "data")
    assert found.differences.labels == int((rows["label"] != "green").sum())
    assert found.differences.metrics == {}


def test_permuted_labels_diverge(table: Path, rows: Columns, tmp_path: Path) -> None:
    """With labels that have nothing to do with their rows nothing comes back."""
    found = with_rows(table, tmp_path, {**rows, "label": np.random.default_rng(0).permutation(rows["label"])})
    assert (found.grade, found.sole) == ("diverged", "data")
    assert "held_out.accuracy" in found.differences.metrics


def test_columns_are_taken_by_their_names(table: Path, rows: Columns, tmp_path: Path) -> None:
    """Columns are taken by the names that the manifest has: without one of them the table is refused by its name."""
    with pytest.raises(DataRejected) as caught:
        with_rows(table, tmp_path, {{"width": "breadth"}.get(name, name): rows[name] for name in rows})
    assert [each.message for each in caught.value.problems] == ["no column 'width'"]


def test_a_column_more_changes_nothing(table: Path, rows: Columns, tmp_path: Path) -> None:
    """A column that the model was not made from is not learned from: the bytes come back."""
    assert with_rows(table, tmp_path, {"depth": rows["width"] / 2, **rows}).grade == "bytes"


def test_rows_of_other_classes_cannot_be_compared(table: Path, rows: Columns, tmp_path: Path) -> None:
    """With another class labels cannot be compared, and the grade is `diverged`."""
    labels = np.array(["white" if each == "red" else each for each in rows["label"]])
    found = with_rows(table, tmp_path, {**rows, "label": labels})
    assert (found.grade, found.differences.labels, found.differences.probabilities) == ("diverged", None, None)


def test_a_table_must_be_named(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest holds no path: without --data the status is 2, and the target's column is named."""
    assert main(["reproduce", str(table / "artifact")]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: --data: ")
    assert "'label'" in hint


def test_digits_take_no_table(published: Path, table: Path) -> None:
    """--data is refused where the recipe names the built-in digits."""
    with pytest.raises(ConfigError, match="built-in digits"):
        again(published / "artifact", table / "rows.csv")


def test_rows_that_cannot_be_read_end_with_5(table: Path) -> None:
    """A table that is not there is the rows' fault."""
    assert main(["reproduce", str(table / "artifact"), "--data", str(table / "nowhere.csv"), "--quiet"]) == 5


# --- forged recipes


def forged(candidate: Candidate, place: Path, changes: dict[str, object]) -> Path:
    folder = unpack(candidate, place / "forged")
    reseal(folder, changes)
    return folder


def test_a_recipe_that_is_not_the_estimators_is_named(candidate: Candidate, tmp_path: Path) -> None:
    """A manifest that claims another C than its estimator was made with: the recipe is named."""
    found = again(forged(candidate, tmp_path, {"recipe.C": 0.001}))
    assert found.grade == "diverged"
    assert [(cause.what, cause.recorded, cause.here) for cause in found.causes] == [
        ("C, of the artifact's estimator", "1.0", "0.001")
    ]
    assert found.sole == "recipe"


def test_a_consistent_forgery_has_no_recorded_cause(
    candidate: Candidate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that does not come from its recipe, though the whole manifest says so: no cause is invented."""
    folder = forged(candidate, tmp_path, {"recipe.max_iter": 20, "model.parameters.max_iter": 20})
    found = again(folder)
    assert (found.causes, found.sole) == ((), None)
    assert not found.reaches("parameters")
    assert main(["reproduce", str(folder)]) == 6
    said = capsys.readouterr()
    assert "cause: nothing that the manifest records differs" in said.out
    assert said.err.splitlines()[-1] == "hint: do not trust what the manifest says of how the model came about"


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe.frob": 1},
        {"recipe.C": "1"},
        {"recipe.C": -1.0},
        {"recipe.dataset": "mnist"},
        {"recipe.dataset": 7},
        {"recipe.C": REMOVED},
    ],
    ids=lambda changes: ",".join(f"{key}={'removed' if value is REMOVED else value}" for key, value in changes.items()),
)
def test_a_recipe_that_is_none_is_the_artifacts_fault(
    candidate: Candidate, tmp_path: Path, changes: dict[str, object]
) -> None:
    """A recipe that this version cannot train is refused as the artifact's, not as the user's config."""
    with pytest.raises(ArtifactRejected) as refused:
        again(forged(candidate, tmp_path, changes))
    assert refused.value.exit_status == 4
    assert all(problem.place == "manifest.json: recipe" for problem in refused.value.problems)
    assert refused.value.problems


def test_a_path_in_a_recipe_is_never_read(table: Path, tmp_path: Path) -> None:
    """A path that a forged recipe names is not opened: only --data is."""
    folder = tmp_path / "forged"
    shutil.copytree(table / "artifact", folder)
    reseal(folder, {"recipe.dataset.path": "/etc/passwd"})
    with pytest.raises(ConfigError, match="--data"):
        again(folder)
    found = again(folder, table / "rows.csv")
    assert (found.grade, found.sole) == ("model", "recipe")


def test_numbers_of_a_recipe_are_compared_as_they_are_written(candidate: Candidate, tmp_path: Path) -> None:
    """`C: 1` is not the `C: 1.0` that a training writes: another manifest, and the recipe is named."""
    found = again(forged(candidate, tmp_path, {"recipe.C": 1}))
    assert (found.grade, found.sole) == ("model", "recipe")


# --- causes


def altered(environment: Environment, **changes: Any) -> Environment:
    return msgspec.structs.replace(environment, **changes)


@pytest.mark.parametrize(
    ("kind", "changes", "whats"),
    [
        ("packages", {"packages.scikit-learn": "1.7.0"}, ["scikit-learn"]),
        ("packages", {"blas.0.version": "0.3.1"}, ["openblas"]),
        ("python", {"python.version": "3.10.1"}, ["Python"]),
        ("libc", {"libc": "glibc 2.17"}, ["C library"]),
        ("system", {"system": "Darwin", "architecture": "arm64"}, ["system", "architecture"]),
        ("kernel", {"blas.0.kernel": "Zen"}, ["BLAS kernel"]),
    ],
    ids=str,
)
def test_each_part_of_the_environment_is_a_cause_of_its_own(
    candidate: Candidate, tmp_path: Path, kind: str, changes: dict[str, str], whats: list[str]
) -> None:
    """Each thing that the manifest records of its environment is named, alone, where it differs."""
    found = again(forged(candidate, tmp_path, {f"environment.{key}": value for key, value in changes.items()}))
    assert (found.grade, found.sole) == ("model", kind)
    assert [cause.what for cause in found.causes] == whats
    assert found.differences.manifest == ("environment",)


def test_several_causes_are_not_one(candidate: Candidate, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where two things differ both are named, and none is said to be the cause."""
    changes = {"environment.libc": "glibc 2.17", "environment.packages.numpy": "1.0"}
    folder = forged(candidate, tmp_path, changes)
    assert again(folder).sole is None
    assert main(["reproduce", str(folder), "--at-least", "model"]) == 0
    assert (
        "cause: one or more of the versions of packages, the C library; mend one at a time" in capsys.readouterr().out
    )


def test_causes_of_equal_manifests_are_none(candidate: Candidate) -> None:
    """A manifest has nothing against itself; and every sort of cause has words, here and in the page."""
    assert list(find_causes(candidate.manifest, candidate.manifest)) == []
    assert tuple(KINDS) == get_args(Kind)
    causes = PROOF.split("## The causes")[1].split("\n## ")[0]
    assert [kind for kind in KINDS if f"`{kind}`" not in causes] == []


# --- the command


def test_the_page_explains_the_grades() -> None:
    """The page of proof has a row for each grade, the best first, and the tolerance that the code has."""
    table = PROOF.split("## The grades")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == GRADES
    assert f"*Why {TOLERANCE:.0e}*".replace("e-09", "e-9") in table


def test_a_kernel_is_not_chosen_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once NumPy is loaded a kernel can no longer be chosen: nothing is set, and that is what is said."""
    monkeypatch.delenv(KERNEL_VARIABLE, raising=False)
    assert choose_kernel("Sandybridge") == "process"
    assert KERNEL_VARIABLE not in os.environ


@pytest.mark.parametrize(
    ("level", "status"), [("bytes", 6), ("model", 6), ("parameters", 6), ("predictions", 0), ("metrics", 0)]
)
def test_at_least(tmp_path: Path, level: str, status: int, table: Path, rows: Columns) -> None:
    """A grade as good as --at-least asks, or better, ends with 0; a worse one with 6."""
    width = rows["width"].copy()
    width[held_out(table, wanted=False)] += 0.25
    data = write_table(tmp_path / "other.csv", {**rows, "width": width})
    arguments = ["reproduce", str(table / "artifact"), "--data", str(data), "--at-least", level, "--quiet"]
    assert main(arguments) == status


def test_json_has_the_grade_whether_it_is_enough_or_not(
    table: Path, rows: Columns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --json there is one object, with grade, differences and causes; the error, if it is one, stands in it."""
    data = write_table(tmp_path / "other.csv", {**rows, "label": rows["label"][::-1]})
    arguments = ["reproduce", str(table / "artifact"), "--json", "--data"]
    assert main([*arguments, str(table / "rows.csv")]) == 0
    good = json.loads(capsys.readouterr().out)
    assert (good["grade"], good["causes"], good["sole_cause"], good["error"]) == ("bytes", [], None, None)
    assert main([*arguments, str(data)]) == 6
    said = capsys.readouterr()
    bad = json.loads(said.out)
    assert bad.keys() == good.keys()
    assert (bad["grade"], bad["error"]["status"]) == ("diverged", NotReproduced.exit_status)
    assert f"error: {bad['error']['message']}" in said.err
    assert [problem["rule"] for problem in bad["error"]["problems"]] == ["differs-data"]
    assert bad["artifact"]["recorded"] == good["artifact"]["here"]


def test_quiet_says_the_error_alone(
    table: Path, rows: Columns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --quiet nothing is said but the error."""
    data = write_table(tmp_path / "other.csv", {**rows, "label": rows["label"][::-1]})
    assert main(["reproduce", str(table / "artifact"), "--quiet", "--data", str(data)]) == 6
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: not reproduced: the grade is diverged, asked for was bytes\n")


def test_another_digest_is_refused_unread(published: Path) -> None:
    """--expect takes the digest from outside; another artifact is not trained again."""
    assert main(["reproduce", str(published / "artifact"), "--expect", f"sha256:{'0' * 64}", "--quiet"]) == 4


# --- the environment


def test_requirements_are_what_is_installed(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--print-environment prints each package as pip takes it, and Python, system, C library, kernel as comments."""
    assert main(["reproduce", str(published / "artifact"), "--print-environment"]) == 0
    lines = capsys.readouterr().out.splitlines()
    comments = [line for line in lines if line.startswith("# ")]
    assert [line for line in lines if line not in comments] == [f"{name}=={version(name)}" for name in PACKAGES]
    words = " ".join(comments)
    environment = verify(published / "artifact").manifest.environment
    for each in (environment.python.version, environment.libc, environment.system, environment.blas[0].kernel):
        assert each in words


def test_requirements_as_json(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the requirements and the variables are one object."""
    assert main(["reproduce", str(published / "artifact"), "--print-environment", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert f"numpy=={version('numpy')}" in value["requirements"]
    if runs(KERNEL):
        assert value["variables"][KERNEL_VARIABLE] == KERNEL


def test_requirements_need_no_numpy(published: Path, run: Run) -> None:
    """The requirements are printed without NumPy: it may be what is missing."""
    code = "import sys; from artifact_pipeline.cli import main; main(sys.argv[1:]); assert 'numpy' not in sys.modules"
    done = run("-c", code, "reproduce", "--print-environment", cwd=published)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "packages",
    [
        {"numpy": "2.0\n--index-url=http://example.org"},
        {"numpy": "2.0 --hash=x"},
        {"--extra-index-url": "1"},
        {"numpy @ http://example.org/x.whl ": "1"},
        {"": "1"},
        {"artifact-pipeline": "0 # x"},
    ],
    ids=str,
)
def test_requirements_that_pip_would_obey_are_refused(
    candidate: Candidate, tmp_path: Path, packages: dict[str, str]
) -> None:
    """A forged package that pip would read as an option, a URL or another line is not printed."""
    folder = unpack(candidate, tmp_path / "forged")
    reseal(folder)
    value = changed(manifest_of(folder), {"environment": {**manifest_of(folder)["environment"], "packages": packages}})
    reseal(folder, value)
    assert main(["reproduce", str(folder), "--print-environment", "--quiet"]) == 4


# --- other environments


def environment(name: str, key: str, *steps: list[str], beside: bool) -> Path:
    """A virtual environment at the project's root, made once for a key; the Python in it.

    Args:
        name: the folder's name.
        key: what it was made from; with another key it is made again.
        steps: what pip is told to install, call by call.
        beside: whether what it lacks is found where these tests have it.
    """
    folder = ROOT / f".venv-{name}"
    python, mark = folder / "bin" / "python", folder / "made-from"
    if not (mark.exists() and mark.read_text() == key):
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for step in steps:
            command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *step]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                cannot_run(f"pip cannot install {' '.join(step)}: {done.stderr.strip()[-300:]}")
        if beside:
            (site,) = folder.glob("lib/python*/site-packages")
            (site / "beside.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
        mark.write_text(key)
    return python


def reproduce_by(python: Path, artifact: Path, *arguments: str) -> dict[str, Any]:
    kept = {name: value for name, value in os.environ.items() if name != KERNEL_VARIABLE}
    done = subprocess.run(
        [python, *COMMAND, "reproduce", artifact, "--json", *arguments],
        env={**kept, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    return told(done)


@pytest.mark.slow
def test_another_scikit_learn_is_named(published: Path) -> None:
    """In an environment with an older scikit-learn and all else the same, that version is named as the cause."""
    step = ["--no-deps", f"scikit-learn=={OLD_SKLEARN}"]
    python = environment("test-old", f"{sys.version} {step}", step, beside=True)
    value = reproduce_by(python, published / "artifact")
    assert value["sole_cause"] == "packages"
    assert value["causes"] == [
        {"kind": "packages", "what": "scikit-learn", "recorded": version("scikit-learn"), "here": OLD_SKLEARN}
    ]
    assert value["grade"] in {"model", "parameters", "predictions"}
    assert value["differences"]["labels"] == 0


@pytest.mark.slow
def test_the_printed_requirements_bring_the_bytes_back(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fresh environment from the printed requirements, beside what the package itself needs, gives the same bytes."""
    assert main(["reproduce", str(published / "artifact"), "--print-environment"]) == 0
    text = capsys.readouterr().out
    printed = tmp_path / "requirements.txt"
    printed.write_text(text)
    ours = [f"{name}=={version(name)}" for name in ("click", "msgspec", "pydantic", "rich", "threadpoolctl")]
    python = environment("test-printed", f"{sys.version} {text} {ours}", ["-r", str(printed), *ours], beside=False)
    assert reproduce_by(python, published / "artifact")["grade"] == "bytes"
