"""A candidate beside its champion on the same held-out rows: is it no worse than a margin allows?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.artifact.manifest1 import Manifest1
from artifact_pipeline.artifact.parts import DECIMALS
from artifact_pipeline.artifact.provenance import Comparison
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected, Problem, plural
from artifact_pipeline.plugins import NAMES, data_set
from artifact_pipeline.verification import verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.config import Gate
    from artifact_pipeline.metrics import paired
    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.training.sealed import Candidate

    Outcome = Literal["identical", "passed", "failed", "inconclusive"]

_HINT = "compare with a model of the same data and the same split, or train the champion again on them"


def check_fit(champion: Verified, *, data: Sequence[str], split: bytes) -> None:
    """Make sure that the champion has not seen the held-out rows, before an expensive training.

    Args:
        champion: the verified artifact.
        data: the digest of each source of the rows, as the champion's columns have them.
        split: one bit a row, as `split.bin` holds them.

    Raises:
        ArtifactRejected: other data, so that what it was trained on is not known here; or another split.
    """
    mine, its = int.from_bytes(split, "little"), int.from_bytes(champion.role("split"), "little")
    seen = (mine & ~its).bit_count()
    if [source.digest for source in champion.manifest.data.sources] != [*data]:
        rule, message = "champion-data", "it was trained on other rows, and may have seen those that are held out here"
    elif seen:
        rule = "champion-saw-held-out"
        message = f"it was trained on {seen:,} of the {mine.bit_count():,} rows that are held out here"
    elif mine != its:
        rule = "champion-split"
        message = f"it was measured on {plural(its.bit_count(), 'row')}, here are {mine.bit_count():,}"
    else:
        return
    raise _refused(champion, rule, message)


def compare(
    candidate: Path, champion: Path, *, data: Path | None, held_out: Path | None = None, margin: float
) -> tuple[str, Comparison]:
    """Compare two artifacts on the rows that both held out; their gates may have failed.

    Args:
        candidate: a pointer, or an artifact's folder.
        champion: likewise.
        data: the table that both were trained from; None for a built-in data set.
        held_out: the held-out file of both, where they have one.
        margin: by how much the candidate may be worse.

    Returns:
        The candidate's artifact digest, and the comparison.

    Raises:
        ArtifactRejected: one is not what it claims to be, or the two cannot be compared.
        ConfigError: the table, or the held-out file, is needed and not named.
        DataRejected: the rows cannot be read, or are others.
    """
    from artifact_pipeline.config import Gate

    ours, theirs = (verify(path, accept_failed_gate=True) for path in (candidate, champion))
    rows = _rows_of(ours.manifest, data, held_out)
    return ours.digest, challenge(ours, theirs, rows, Gate(margin=margin))


def split_with_path(manifest: Manifest, held_out: Path | None) -> dict[str, Any]:
    """Return the split of a manifest's recipe with the held-out file, whose path no manifest holds.

    Raises:
        ConfigError: it is needed and not named, or named and not needed.
    """
    split = manifest.recipe.get("split")
    if not (isinstance(split, dict) and split.get("by") == "held_out"):
        if held_out is not None:
            raise ConfigError("--held-out: the artifact's recipe has no held-out file", hint="leave it away")
        return {}
    if held_out is None:
        message = "--held-out: the artifact was measured on the rows of a held-out file, and holds no path to it"
        raise ConfigError(message, hint="name that file, too: --held-out FILE")
    return {"split": {**split, "path": str(held_out)}}


def _rows_of(manifest: Manifest, data: Path | None, held_out: Path | None) -> Rows:
    """The rows that an artifact was trained from; `challenge` compares their digest."""
    beside = split_with_path(manifest, held_out)
    if data is not None:
        from artifact_pipeline.rows.held_out import with_held_out
        from artifact_pipeline.rows.labels import LabelColumn
        from artifact_pipeline.rows.table import read_table
        from artifact_pipeline.rows.typed_table import read_typed_table

        features, target = [each.name for each in manifest.model.columns], manifest.data.target
        if isinstance(manifest, Manifest1):
            return read_table(str(data), target=target, features=features)
        kinds = {each.name: each.kind for each in manifest.model.columns}
        table = manifest.recipe.get("dataset")
        left_out = isinstance(table, dict) and table.get("unlabelled") is not None
        labels = LabelColumn(target, leave_out=left_out)
        rows = read_typed_table(str(data), target=labels, features=features, columns=kinds)
        return with_held_out(rows, beside["split"]["path"], beside=str(data)) if beside else rows
    name = manifest.recipe.get("dataset")
    if name not in NAMES:
        raise ConfigError("--data is needed: the artifact was trained from a table", hint="--data rows.csv")
    own: Rows = data_set(name).load()
    return own


def challenge(candidate: Candidate | Verified, champion: Verified, rows: Rows, asked: Gate) -> Comparison:
    """Compare a candidate with its champion on the rows that both held out.

    Args:
        candidate: a trained model, or an artifact.
        champion: the verified artifact that it would replace.
        rows: all rows; the candidate's `split.bin` says which were held out.
        asked: the margin, and what to make of an inconclusive comparison.

    Raises:
        ArtifactRejected: the two are not about the same data, split, features and classes.
        DataRejected: `rows` are not the candidate's.
    """
    import numpy as np

    from artifact_pipeline.metrics import paired

    mine, its = candidate.manifest, champion.manifest
    split = candidate.members[mine.file("split").name]
    found, recorded = rows.digests(), [source.digest for source in mine.data.sources]
    if recorded != [*found]:
        message = f"found {', '.join(found)}, the manifest says {', '.join(recorded)}"
        problem = Problem("rows", "data-digest", message)
        raise DataRejected("these are not the rows that the model was trained from", problems=[problem])
    check_fit(champion, data=found, split=split)
    if (mine.model.classes, _columns(mine)) != (its.model.classes, _columns(its)):
        raise _refused(champion, "champion-classes", "it has other classes or other features")
    held_out = np.unpackbits(np.frombuffer(split, np.uint8), count=len(rows.X), bitorder="little").nonzero()[0]
    assert rows.y is not None
    actual = np.searchsorted(np.array(mine.model.classes), rows.y[held_out])
    answers = [_answers(model, rows, held_out) for model in (candidate, champion)]
    result = paired.compare(actual, answers[0], answers[1], classes=len(mine.model.classes))
    outcome = _outcome(result, asked.margin)
    if mine.model.digest == its.model.digest:
        outcome = "identical"
    return Comparison(
        candidate=mine.model.digest,
        champion=champion.digest,
        champion_model=its.model.digest,
        held_out=mine.data.split.digest,
        rows=result.rows,
        won=result.won,
        lost=result.lost,
        accuracy=_rounded(result.accuracy),
        f1_weighted=_rounded(result.f1_weighted),
        mcnemar=round(result.mcnemar, DECIMALS),
        margin=asked.margin,
        outcome=outcome,
        accepted=outcome in {"identical", "passed"} or (outcome == "inconclusive" and asked.on_inconclusive == "pass"),
    )


def _columns(manifest: Manifest) -> list[tuple[str, str]]:
    return [(each.name, each.kind) for each in manifest.model.columns]


def _answers(model: Candidate | Verified, rows: Rows, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    from artifact_pipeline.model.predictor import predictor_of

    S = None if rows.S is None else rows.S[chosen]
    return predictor_of(model.manifest, model.members).predict_rows(rows.X[chosen], S).positions


def _outcome(result: paired.Paired, margin: float) -> Outcome:
    """Both figures must be within the margin; one that is certainly not is enough to fail."""
    outcomes = {result.accuracy.outcome(margin), result.f1_weighted.outcome(margin)}
    if "failed" in outcomes:
        return "failed"
    return "passed" if outcomes == {"passed"} else "inconclusive"


def _rounded(difference: paired.PairedDifference) -> Comparison.Change:
    value, low, high = (round(each, DECIMALS) for each in (difference.value, difference.low, difference.high))
    return Comparison.Change(value=value, low=low, high=high)


def _refused(champion: Verified, rule: str, message: str) -> ArtifactRejected:
    return ArtifactRejected(
        "the champion cannot be compared with", problems=[Problem(str(champion.folder), rule, message)], hint=_HINT
    )
