"""Training again from what a manifest says, here: how much of the artifact comes back, and what has changed if not all.

The grades, each worth more than the next; docs/proof.md tells how to read them:

* `bytes`        the same artifact digest
* `model`        the same model digest: the same answers to everything
* `parameters`   the fitted numbers within `TOLERANCE`, and the same label for every row
* `predictions`  the same label for every row
* `metrics`      the same figures to the four decimals that are reported
* `diverged`     none of these
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from artifact_pipeline.artifact import manifest as m
from artifact_pipeline.artifact import provenance
from artifact_pipeline.artifact.parameters import parse_parameters
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.config import Gate, from_mapping
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected, Problem
from artifact_pipeline.model.predictor import open_predictor
from artifact_pipeline.runtime import choose_kernel
from artifact_pipeline.training.candidate import Candidate, train_on
from artifact_pipeline.training.causes import find_causes, flatten, kernels
from artifact_pipeline.training.champion import challenge
from artifact_pipeline.training.dataset import load_dataset, load_rows
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.figures import Metrics
    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.artifact.provenance import Comparison
    from artifact_pipeline.config import Config
    from artifact_pipeline.training.causes import Cause, Kind
    from artifact_pipeline.training.dataset import Dataset

Grade = Literal["bytes", "model", "parameters", "predictions", "metrics", "diverged"]
GRADES: tuple[Grade, ...] = get_args(Grade)
"""The best first."""

TOLERANCE = 1e-9
"""How far `parameters` may be apart, as a share of the greatest number of their array.

Over OpenBLAS kernels, a solver that goes to the optimum (newton-cholesky) agrees within 5e-14 on the digits, one that
stops near it (lbfgs at its default) is 7e-2 to 2e-1 apart; 1e-9 stands far from both. It is also below what a float32
input can tell (6e-8), and far below what the golden rows allow a probability (1e-5).
"""


@dataclass(frozen=True, slots=True)
class _Differences:
    """How far the training here and the artifact are apart.

    Attributes:
        files: the artifact's files that have other bytes.
        manifest: the manifest's fields that have other values.
        parameters: the greatest difference of a fitted number, as a share of the greatest number of its array; None
            where they cannot be compared, since their shapes differ, say.
        rows: how many rows both models have answered.
        labels: how many of them got another label; None where the inputs or the classes differ.
        probabilities: the greatest difference of a probability, or None as for `labels`.
        metrics: the figures that differ in four decimals, each as (recorded, here).
    """

    files: tuple[str, ...]
    manifest: tuple[str, ...]
    parameters: float | None
    rows: int
    labels: int | None
    probabilities: float | None
    metrics: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came of a training again.

    Attributes:
        grade: the best that was reached.
        of: the artifact that was trained again.
        artifact: the artifact digest that came of it.
        model: its model digest.
        kernels: the BLAS kernels that ran.
        differences: how far it is from the artifact.
        causes: what differs of all that the bytes depend on; what is most likely to matter first.
        carried: what was taken from the manifest or the provenance without being computed again, a sentence each.
        comparison: the model that came back beside the champion, where one was named.
        recorded: the comparison that the provenance tells of, where it does.
        chosen_by: who has chosen the BLAS kernel, as `runtime.choose_kernel` says it.
    """

    grade: Grade
    of: Verified
    artifact: str
    model: str
    kernels: tuple[str, ...]
    differences: _Differences
    causes: tuple[Cause, ...]
    carried: tuple[str, ...]
    comparison: Comparison | None = None
    recorded: Comparison | None = None
    chosen_by: Literal["artifact", "user", "process", "default"] = "process"

    @property
    def sole(self) -> Kind | None:
        """The only sort of thing that differs, which is then the cause; None where there are several or none."""
        kinds = {cause.kind for cause in self.causes}
        return kinds.pop() if len(kinds) == 1 else None

    def reaches(self, level: Grade) -> bool:
        """Whether the grade is `level` or better."""
        return GRADES.index(self.grade) <= GRADES.index(level)


def reproduce_artifact(
    artifact: Path,
    *,
    data: Path | None = None,
    champion: Path | None = None,
    expect: str | None = None,
    progress: Callable[[str], None],
) -> Reproduction:
    """Verify an artifact, and train it again under the BLAS kernel that it records, if that is still to be decided.

    Args:
        artifact: a pointer, or an artifact's folder; its gate may have failed.
        data: the table, where the recipe names one.
        champion: the artifact to compare with once more; its gate may have failed.
        expect: the artifact digest known from elsewhere.
        progress: is called with each step, in a few words.

    Raises:
        ArtifactRejected: one of them is not what it claims to be; or as `reproduce`.
        ConfigError: as `reproduce`.
        DataRejected: as `reproduce`.
    """
    verified = verify(artifact, expect=expect, accept_failed_gate=True)
    rival = verify(champion, accept_failed_gate=True) if champion is not None else None
    recorded = {each.kernel for each in verified.manifest.environment.blas}
    # Before NumPy is loaded, which the training does.
    chosen_by = choose_kernel(recorded.pop() if len(recorded) == 1 else "")
    return replace(reproduce(verified, data=data, champion=rival, progress=progress), chosen_by=chosen_by)


def reproduce(
    artifact: Verified,
    *,
    data: Path | None,
    champion: Verified | None = None,
    progress: Callable[[str], None],
) -> Reproduction:
    """Train again from the manifest alone, and compare; nothing is written.

    Args:
        artifact: a verified artifact.
        data: the table, where the recipe names one: a manifest holds no path.
        champion: the model to compare with once more what comes back; no byte of the artifact depends on it.
        progress: is told what begins, a few words each time.

    Raises:
        ConfigError: a table that is needed is not named, or one is named that is not.
        DataRejected: the rows cannot be read, split or learned.
        ArtifactRejected: the recipe is none that this version can train, or the artifact's own model does not answer.
    """
    told = artifact.manifest
    config = _recipe_config(told, data)
    progress("loading rows")
    # The manifest names the columns: what is left out of a table today may have been learned from before.
    names = [feature.name for feature in told.model.inputs]
    dataset = load_dataset(config, load_rows(config, features=names))
    candidate, carried = _with_own_recipe(train_on(dataset, config, progress=progress), told)
    progress("comparing")
    found = candidate.manifest
    differences = _differences(artifact, candidate, dataset)
    statement = provenance.read(artifact.folder)
    recorded = statement.internal.comparison if statement is not None else None
    if recorded is not None and champion is None:
        carried = (*carried, f"the comparison with {recorded.champion}: --champion makes it again")
    return Reproduction(
        grade=_grade(artifact, candidate, differences),
        of=artifact,
        artifact=candidate.digest,
        model=found.model.digest,
        kernels=kernels(found),
        differences=differences,
        causes=tuple(find_causes(told, found)),
        carried=carried,
        comparison=None if champion is None else _challenge(candidate, champion, dataset, recorded),
        recorded=recorded,
    )


def _challenge(candidate: Candidate, champion: Verified, dataset: Dataset, recorded: Comparison | None) -> Comparison:
    """Compare once more, by the margin that is recorded."""
    asked = Gate()
    if recorded is not None:
        lenient = recorded.outcome == "inconclusive" and recorded.accepted
        asked = Gate(margin=recorded.margin, on_inconclusive="pass" if lenient else "fail")
    return challenge(candidate, champion, dataset.rows, asked)


def _recipe_config(manifest: m.Manifest, data: Path | None) -> Config:
    """The config that a manifest's recipe stands for; keys that it does not have yet take this version's defaults.

    Raises:
        ConfigError: a table that is needed is not named, or one is named that is not.
        ArtifactRejected: the recipe is none that this version can train.
    """
    recipe = dict(manifest.recipe)
    table = recipe.get("dataset")
    if isinstance(table, dict):
        if data is None:
            raise ConfigError(
                "--data: the artifact was trained from a table, and holds no path to it",
                hint=f"name the table with the column {manifest.data.target!r}: --data FILE",
            )
        recipe["dataset"] = {**table, "path": str(data)}  # over any path that a forged recipe may name
    elif data is not None:
        raise ConfigError(f"--data: the artifact was trained from the built-in {table}, not from a table")
    try:
        return from_mapping(recipe)
    except ConfigError as error:
        problems = [Problem(f"{NAME}: recipe", each.rule, each.message) for each in error.problems]
        raise ArtifactRejected(
            "the recipe is none that this version can train",
            problems=problems,
            hint="use the version of artifact-pipeline that the manifest's environment names",
        ) from error


def _with_own_recipe(candidate: Candidate, told: m.Manifest) -> tuple[Candidate, tuple[str, ...]]:
    """Write the recipe as the manifest does, where the only difference is what this version has added to recipes."""
    here, recorded = flatten(candidate.manifest.recipe), flatten(told.recipe)
    added = {key: value for key, value in here.items() if key not in recorded}
    if not added or {key: value for key, value in here.items() if key not in added} != recorded:
        return candidate, ()
    manifest = msgspec.structs.replace(candidate.manifest, recipe=told.recipe)
    carried = [
        f"recipe: {key} is not in it; this version trained with its default, {value}, and left it out again"
        for key, value in added.items()
    ]
    return replace(candidate, manifest=manifest), tuple(carried)


def _grade(artifact: Verified, candidate: Candidate, differences: _Differences) -> Grade:
    """The best grade that was reached."""
    if candidate.digest == artifact.digest:
        return "bytes"
    if candidate.manifest.model.digest == artifact.manifest.model.digest:
        return "model"
    if differences.labels == 0:
        near = differences.parameters is not None and differences.parameters <= TOLERANCE
        return "parameters" if near else "predictions"
    return "diverged" if differences.labels is None or differences.metrics else "metrics"


def _differences(artifact: Verified, candidate: Candidate, dataset: Dataset) -> _Differences:
    told, found = artifact.manifest, candidate.manifest
    labels, probabilities = _compare_answers(artifact, candidate, dataset.X)
    recorded, here = _figures(told.metrics), _figures(found.metrics)
    own, other = told.plain(), found.plain()
    return _Differences(
        files=tuple(
            record.name
            for record in told.files
            if record.role in m.ROLES and record.sha256 != found.file(record.role).sha256
        ),
        manifest=tuple(key for key in sorted(own) if own[key] != other[key]),
        parameters=_compare_parameters(artifact.role("parameters"), candidate.members[found.file("parameters").name]),
        rows=len(dataset.y),
        labels=labels,
        probabilities=probabilities,
        metrics={key: (recorded[key], here[key]) for key in recorded if recorded[key] != here[key]},
    )


def _compare_answers(
    artifact: Verified, candidate: Candidate, X: NDArray[np.float64]
) -> tuple[int | None, float | None]:
    """How many labels of the two models differ over all rows, and the greatest difference of a probability."""
    import numpy as np

    from artifact_pipeline.model.predictor import Predictor

    told, found = artifact.manifest.model, candidate.manifest.model
    if told.digest == found.digest:
        return 0, 0.0
    if told.classes != found.classes or told.inputs != found.inputs:
        return None, None
    new = Predictor(candidate.members[candidate.manifest.file("model").name], found.classes).predict(X)
    try:
        old = open_predictor(artifact).predict(X)
    except DataRejected:  # a value of other rows that the artifact's model cannot take
        return None, None
    labels = int((old.positions != new.positions).sum())
    return labels, float(np.abs(old.probabilities - new.probabilities).max())


def _compare_parameters(told: bytes, found: bytes) -> float | None:
    """The greatest difference of a number, as a share of the greatest one of its array; None if not comparable."""
    import numpy as np

    shares, ours, theirs = [], parse_parameters(found), parse_parameters(told)
    if ours["classes"] != theirs["classes"]:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        for name in ("coef", "intercept"):
            if ours[name].shape != theirs[name].shape:
                return None
            new, old = (np.frombuffer(each[name].data, dtype="<f8") for each in (ours, theirs))
            scale, difference = np.abs([old, new]).max(), np.abs(old - new).max()
            shares.append(float(difference / scale) if scale else 0.0)
    return max(shares) if np.isfinite(shares).all() else None


def _figures(metrics: Metrics) -> dict[str, str]:
    """The figures as they are reported; their intervals follow from them."""
    held_out = metrics.held_out
    figures: dict[str, str] = {"held_out.rows": f"{held_out.rows:,}"}
    for name, estimate in (("accuracy", held_out.accuracy), ("f1_weighted", held_out.f1_weighted)):
        figures[f"held_out.{name}"] = f"{estimate.value:.4f}"
    for name, value in (("f1_macro", held_out.f1_macro), ("log_loss", held_out.log_loss)):
        figures[f"held_out.{name}"] = f"{value:.4f}"
    for split, plain in (("training", metrics.training), ("all", metrics.all)):
        figures[f"{split}.rows"] = f"{plain.rows:,}"
        for name in ("accuracy", "f1_weighted", "f1_macro", "log_loss"):
            figures[f"{split}.{name}"] = f"{getattr(plain, name):.4f}"
    return figures
