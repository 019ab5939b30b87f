"""A training again from what a manifest records: how much of the artifact comes back, and why not all of it.

The grades, the best first:

* `bytes`        the same artifact digest, which an artifact of format 1 cannot reach: format 2 is written
* `model`        the same model digest: the same answers to everything
* `parameters`   the fitted numbers within `TOLERANCE`, and the same label for every row
* `predictions`  the same label for every row
* `metrics`      the same figures to the four decimals that are reported
* `diverged`     none of these
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from artifact_pipeline.artifact import provenance
from artifact_pipeline.artifact.trials import FILE
from artifact_pipeline.canonical import dotted
from artifact_pipeline.config import Gate
from artifact_pipeline.errors import ConfigError, NotReproduced, Problem, plural
from artifact_pipeline.registry import remote
from artifact_pipeline.runtime import KERNEL_VARIABLE, choose_kernel
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.causes import GRADES, KINDS, find_causes, recipe_of
from artifact_pipeline.training.champion import challenge, rows_for
from artifact_pipeline.training.dataset import Dataset, load_rows
from artifact_pipeline.training.differences import compare_answers, compare_parameters, parameters_of
from artifact_pipeline.training.search.run import Searched
from artifact_pipeline.training.trained_from import recipe_config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from artifact_pipeline.artifact.figures import Metrics
    from artifact_pipeline.artifact.figures2 import Measured
    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.artifact.provenance import Comparison
    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.training.causes import Cause, Grade, KernelChoice, Kind
    from artifact_pipeline.training.sealed import Candidate

TOLERANCE = 1e-9
"""How far `parameters` may be apart, as a share of the greatest number of their array.

Over OpenBLAS kernels, a solver that goes to the optimum (newton-cholesky) agrees within 5e-14 on the digits, one that
stops near it (lbfgs at its default) is 7e-2 to 2e-1 apart; 1e-9 stands far from both. It is also below what a float32
input can tell (6e-8), and far below what the golden rows allow a probability (1e-5).
"""


@dataclass(frozen=True, slots=True)
class ReproductionRequest:
    """What is asked of a training again.

    Attributes:
        artifact: a pointer, an artifact's folder, or a place in a registry; its gate may have failed.
        data: the table, where the recipe names one: a manifest holds no path.
        held_out: the held-out file, where the recipe has one.
        champion: the artifact to compare with again; its gate may have failed. No byte of the artifact depends on it.
        expect: the artifact digest known from elsewhere; anything else is refused unread.
        feedback: the files of feedback, where the data has any, in any order.
        search: do a search again, too, instead of taking its results from the artifact.
        jobs: how many trials are fitted at a time.
    """

    artifact: Path | str
    data: Path | None = None
    held_out: Path | None = None
    champion: Path | str | None = None
    expect: str | None = None
    feedback: tuple[str, ...] = ()
    search: bool = False
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class _Differences:
    """How far the training here and the artifact are apart.

    Attributes:
        files: the artifact's files that have other bytes.
        manifest: the manifest's fields that have other values.
        parameters: the greatest difference of a fitted number, as a share of the greatest number of its array; None
            where they cannot be compared, because their shapes differ, say.
        rows: how many rows both models answered.
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
    """What a training again gave.

    Attributes:
        grade: the best that was reached.
        of: the artifact that was trained again.
        artifact: the artifact digest here.
        model: the model digest here.
        kernels: the BLAS kernels that ran.
        chosen_by: who chose the BLAS kernel.
        differences: how far it is from the artifact.
        causes: what differs of all that the bytes depend on; first what changes a model most.
        carried: what was taken from the manifest or the provenance without being computed, a sentence each.
        comparison: the new model beside the champion, where one was named.
        recorded: the comparison that the provenance records, if there is one.
    """

    grade: Grade
    of: Verified
    artifact: str
    model: str
    kernels: tuple[str, ...]
    chosen_by: KernelChoice
    differences: _Differences
    causes: tuple[Cause, ...]
    carried: tuple[str, ...]
    comparison: Comparison | None
    recorded: Comparison | None

    @property
    def sole(self) -> Kind | None:
        """The only kind of thing that differs, which is then the cause; None where there are several or none."""
        kinds = {cause.kind for cause in self.causes}
        return kinds.pop() if len(kinds) == 1 else None

    @property
    def explanation(self) -> str:
        """What the causes come to, in a sentence."""
        if not self.causes:
            alone = "the artifact does not come from this recipe and these rows alone"
            return f"nothing that the manifest records differs: {alone}"
        if self.sole is None:
            kinds = dict.fromkeys(KINDS[each.kind] for each in self.causes)
            return f"one or more of {', '.join(kinds)}; mend one at a time to find which"
        first = self.causes[0]
        which = f" ({first.what}: {first.recorded} recorded, {first.here} here)" if len(self.causes) == 1 else ""
        same = ", and the model is the same" if self.grade == "model" else ""
        return f"{KINDS[self.sole]}{which}; nothing else that the manifest records differs{same}"

    @property
    def _remedy(self) -> str:
        if self.sole == "data":
            return "name the rows that the artifact was trained from by --data, and its feedback by --with"
        if self.sole == "kernel" and self.chosen_by == "user":
            return f"unset {KERNEL_VARIABLE}, and the kernel that the manifest records is used where it can be"
        if self.sole == "recipe" or not self.causes:
            return "do not trust what the manifest says of how the model came about"
        if self.sole == "format":
            return f"--at-least {self.grade} is what another format can reach; an older version writes the older one"
        return "reproduce --print-environment prints the requirements with which the bytes come back"

    def reaches(self, level: Grade) -> bool:
        """Return whether the grade is `level` or better."""
        return GRADES.index(self.grade) <= GRADES.index(level)

    def refusal(self, level: Grade) -> NotReproduced | None:
        """Return the error of a reproduction that had to reach `level`; None where it does."""
        if self.reaches(level):
            return None
        problems = [
            Problem(each.kind, f"differs-{each.kind}", f"{each.what}: {each.recorded} recorded, {each.here} here")
            for each in self.causes
        ]
        return NotReproduced(
            f"not reproduced: the grade is {self.grade}, asked for was {level}",
            problems=problems or [Problem("artifact", "differs-unrecorded", self.explanation)],
            hint=self._remedy,
        )


def reproduce(asked: ReproductionRequest, *, progress: Callable[[str], None] | None = None) -> Reproduction:
    """Verify an artifact, train it again from its manifest alone, and compare; nothing is written.

    The BLAS kernel that the manifest records is used, if NumPy is not loaded yet and the user set none. A model that
    was searched for is trained again as the results in the artifact choose it, unless the search is done again, too.

    Raises:
        ArtifactRejected: one of them is not what it claims to be, or this version cannot train the recipe.
        ConfigError: a file that is needed is not named, or one is named that is not.
        DataRejected: the rows cannot be read, split or learned.
    """
    report = progress or (lambda _: None)
    verified = remote.verify(asked.artifact, expect=asked.expect, accept_failed_gate=True)
    champion = remote.verify(asked.champion, accept_failed_gate=True) if asked.champion is not None else None
    manifest, recorded_kernels = verified.manifest, verified.manifest.environment.kernels
    # Before NumPy is loaded, which the training does.
    chosen_by = choose_kernel(recorded_kernels[0] if len(recorded_kernels) == 1 else "")
    config = recipe_config(manifest, asked.data, asked.held_out, feedback=asked.feedback)
    if asked.search and config.search is None:
        raise ConfigError("--search: the artifact was not searched for", hint="leave it away")
    found = None if asked.search else Searched.of_artifact(config, verified)
    report("loading rows")
    # The manifest names the columns: a table's rules for leaving one out may have changed.
    dataset = Dataset.load(config, load_rows(config, columns=manifest.model.columns))
    trained = train(config, dataset, progress=report, jobs=asked.jobs, searched=found)
    candidate, carried = _with_recorded_recipe(trained, manifest)
    if found is not None:
        carried = (*carried, f"{plural(len(found.results.trials), 'result')} in {FILE}: --search makes them again")
    report("comparing")
    differences = _differences(verified, candidate, dataset)
    statement = provenance.Statement.of(verified)
    recorded = statement.internal.comparison if statement is not None else None
    comparison = None
    if champion is not None:
        comparison = _challenge(candidate, champion, dataset.rows, config, recorded=recorded)
    elif recorded is not None:
        carried = (*carried, f"the comparison with {recorded.champion}: --champion makes it again")
    return Reproduction(
        grade=_grade(verified, candidate, differences),
        of=verified,
        artifact=candidate.digest,
        model=candidate.manifest.model.digest,
        kernels=candidate.manifest.environment.kernels,
        chosen_by=chosen_by,
        differences=differences,
        causes=tuple(find_causes(manifest, candidate.manifest)),
        carried=carried,
        comparison=comparison,
        recorded=recorded,
    )


def _challenge(
    candidate: Candidate, champion: Verified, rows: Rows, config: Config, *, recorded: Comparison | None
) -> Comparison:
    """Compare again, by the margin that is recorded."""
    asked = Gate()
    if recorded is not None:
        lenient = recorded.outcome == "inconclusive" and recorded.accepted
        asked = Gate(margin=recorded.margin, on_inconclusive="pass" if lenient else "fail")
    return challenge(candidate, champion, rows, asked, its_rows=rows_for(champion, rows, config))


def _with_recorded_recipe(candidate: Candidate, manifest: Manifest) -> tuple[Candidate, tuple[str, ...]]:
    """Write the recipe as the manifest does, where the only difference is what this version has added to recipes."""
    here, recorded = recipe_of(candidate.manifest), recipe_of(manifest)
    added = {key: value for key, value in here.items() if key not in recorded}
    if not added or {key: value for key, value in here.items() if key not in added} != recorded:
        return candidate, ()
    own = msgspec.structs.replace(candidate.manifest, recipe=manifest.recipe)
    carried = tuple(
        f"recipe: {key} is not in it; this version trained with its default, {value}, and left it out again"
        for key, value in added.items()
    )
    return replace(candidate, manifest=own), carried


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
    old, new = artifact.manifest, candidate.manifest
    written = {record.role: record.sha256 for record in new.files}
    labels, probabilities = compare_answers(artifact, candidate, dataset.rows)
    recorded, here = _reported(old.metrics), _reported(new.metrics)
    fields, others = old.plain(), new.plain()
    return _Differences(
        files=tuple(
            record.name for record in old.files if record.role in written and record.sha256 != written[record.role]
        ),
        manifest=tuple(key for key in sorted(fields) if fields[key] != others.get(key)),
        parameters=compare_parameters(parameters_of(old, artifact.members), parameters_of(new, candidate.members)),
        rows=len(dataset.y),
        labels=labels,
        probabilities=probabilities,
        metrics={key: (recorded[key], here[key]) for key in recorded if recorded[key] != here[key]},
    )


def _reported(metrics: Metrics | Measured) -> dict[str, str]:
    """The figures as they are reported; their intervals follow from them."""
    held_out = metrics.held_out
    found: dict[str, Any] = {
        "held_out.rows": held_out.rows,
        "held_out.accuracy": held_out.accuracy.value,
        "held_out.f1_weighted": held_out.f1_weighted.value,
        "held_out.f1_macro": held_out.f1_macro,
        "held_out.log_loss": held_out.log_loss,
        **dotted({"training": metrics.training.plain() if metrics.training else {}, "all": metrics.all.plain()}),
    }
    return {
        name: f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
        for name, value in found.items()
        if value is not None
    }
