"""A candidate beside its champion on the same held-out rows: is it no worse than a margin allows?"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from artifact_pipeline.artifact.parts import DECIMALS
from artifact_pipeline.artifact.provenance import Comparison
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected, Problem, plural
from artifact_pipeline.plugins import NAMES, data_set
from artifact_pipeline.prediction.hash_split import HELD_OUT_SIDE, HashSplit
from artifact_pipeline.registry import remote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.config import Config, Gate
    from artifact_pipeline.metrics import paired
    from artifact_pipeline.rows.features import Column
    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.training.sealed import Candidate

    Outcome = Literal["identical", "passed", "failed", "inconclusive"]

_HINT = "compare with a model of the same data and the same split, or train the champion again on them"
_HINT_COLUMNS = "give the table the columns that the champion was trained on, or train it again from this table"
_HINT_OF_HASH = (
    "by the hash of all features, a model of other columns holds other rows out: split both models by one key, such as "
    """-S 'split={"by": "hash", "key": ["id"]}', and train the champion again"""
)


def rows_for(champion: Verified, rows: Rows, config: Config) -> Rows:
    """Return a candidate's rows by the columns that its champion takes, which may be others, or of other kinds.

    Raises:
        ArtifactRejected: the table does not have a column that the champion needs, or not as it needs it.
    """
    columns = champion.manifest.model.columns
    if _kinds(columns) == _kinds(rows.columns) or isinstance(config.dataset, str):
        return rows.split
    from artifact_pipeline.training.dataset import load_split_rows

    with _naming_champion():
        return load_split_rows(config, columns=columns)


@contextmanager
def _naming_champion() -> Iterator[None]:
    """Let a refusal of the table say that it is the champion that needs its columns."""
    try:
        yield
    except DataRejected as error:
        problems = [
            replace(each, message=f"{each.message}, which the champion needs")
            if each.rule == "column-missing"
            else each
            for each in error.problems
        ]
        raise ArtifactRejected("the champion cannot be compared with", problems=problems, hint=_HINT_COLUMNS) from error


def check_fit(champion: Verified, rows: Rows, split: bytes) -> None:
    """Make sure that the champion has not seen the held-out rows, before an expensive training.

    It is known which rows it has seen if these are the rows that it was trained from; of other rows, such as a table
    that has grown, if it was split by the hash of what these rows hold, too.

    Args:
        champion: the verified artifact.
        rows: the candidate's rows, as `rows_for` gives them; feedback among them is not looked at.
        split: one bit a row, as `split.bin` holds them.

    Raises:
        ArtifactRejected: other data, so that what it was trained on is not known here; or another split.
    """
    import numpy as np

    rows = rows.split
    mine, its = int.from_bytes(split, "little"), int.from_bytes(champion.role("split"), "little")
    own = [source.digest for source in champion.manifest.data.split_sources] == [*rows.digests()]
    if not own:
        sides = _sides(champion, rows)
        if sides is None:
            message = "it was trained on other rows, and may have seen those that are held out here"
            raise _refused(champion, "champion-data", message)
        held_out = np.packbits(sides == HELD_OUT_SIDE, bitorder="little").tobytes()
        its = mine & int.from_bytes(held_out, "little")
    if seen := (mine & ~its).bit_count():
        may = "was" if own else "may have been"
        message = f"it {may} trained on {seen:,} of the {mine.bit_count():,} rows that are held out here"
        raise _refused(champion, "champion-saw-held-out", message, hint=_hint_of_split(champion))
    if mine != its:
        message = f"it was measured on {plural(its.bit_count(), 'row')}, here are {mine.bit_count():,}"
        raise _refused(champion, "champion-split", message)


def _sides(champion: Verified, rows: Rows) -> NDArray[np.int8] | None:
    """On which side of the champion's split other rows than its own are; None where that cannot be known.

    Raises:
        ArtifactRejected: a column has gaps, and the champion takes none.
    """
    split, manifest = HashSplit.of(champion.manifest), champion.manifest
    if split is None or split.lacks(rows.split_by) is not None or manifest.data.target != rows.target:
        return None
    if _kinds(manifest.model.columns) != _kinds(rows.columns):
        return None
    takes = {each.name for each in manifest.model.columns if each.nullable}
    gaps = [each.name for each in rows.columns if each.nullable and each.name not in takes]
    if gaps:
        message = f"the column {gaps[0]!r} has gaps here, and it takes none"
        raise _refused(champion, "champion-columns", message, hint=_HINT_COLUMNS)
    return split.sides_of(rows.features, rows.split_by)


def _hint_of_split(champion: Verified) -> str:
    """What to do where other rows are held out than by the champion."""
    split = HashSplit.of(champion.manifest)
    return _HINT if split is None or split.key else _HINT_OF_HASH


def compare(
    artifacts: Sequence[Path | str], *, data: Path | None, held_out: Path | None, margin: float
) -> tuple[tuple[Verified, ...], tuple[Comparison, ...]]:
    """Compare an artifact with each of some others, on the rows that both held out; all are verified first.

    Args:
        artifacts: the candidate, then its champions: pointers, artifacts' folders, or places in a registry. Their
            gates may have failed.
        data: the table that all were trained from; None for a built-in data set.
        held_out: the held-out file of all, where they have one.
        margin: by how much the candidate may be worse.

    Returns:
        The artifacts, and the comparisons of the first one with each other one.

    Raises:
        ArtifactRejected: one is not what it claims to be, or two cannot be compared.
        ConfigError: the table, or the held-out file, is needed and not named.
        DataRejected: the rows cannot be read, or are others.
    """
    verified = tuple(remote.verify(path, accept_failed_gate=True) for path in artifacts)
    return verified, compare_verified(verified, data=data, held_out=held_out, margin=margin)


def compare_verified(
    artifacts: Sequence[Verified], *, data: Path | None, held_out: Path | None, margin: float
) -> tuple[Comparison, ...]:
    """Compare an artifact with each of some others, as `compare` does, once they are verified."""
    from artifact_pipeline.config import Gate

    if not 0 <= margin <= 1:
        raise ConfigError(f"margin: must be a number from 0 to 1, both included, got {margin}", hint="0.02 is usual")
    ours, *others = artifacts
    rows, found = _rows_of(ours.manifest, data, held_out), []
    for theirs in others:
        its_rows = rows
        if _kinds(ours.manifest.model.columns) != _kinds(theirs.manifest.model.columns) and data is not None:
            with _naming_champion():
                its_rows = _rows_of(theirs.manifest, data, held_out)
        found.append(challenge(ours, theirs, rows, Gate(margin=margin), its_rows=its_rows))
    return tuple(found)


def check_held_out(manifest: Manifest, held_out: Path | None) -> None:
    """Make sure that a held-out file is named exactly where a manifest's recipe has one; its path no manifest holds.

    Raises:
        ConfigError: it is needed and not named, or named and not needed.
    """
    split = manifest.recipe.get("split")
    needed = isinstance(split, dict) and split.get("by") == "held_out"
    if held_out is not None and not needed:
        raise ConfigError("--held-out: the artifact's recipe has no held-out file", hint="leave it away")
    if held_out is None and needed:
        message = "--held-out: the artifact was measured on the rows of a held-out file, and holds no path to it"
        raise ConfigError(message, hint="name that file, too: --held-out FILE")


def _rows_of(manifest: Manifest, data: Path | None, held_out: Path | None) -> Rows:
    """The rows that an artifact was trained from; `challenge` compares their digest."""
    check_held_out(manifest, held_out)
    if data is not None:
        from artifact_pipeline.rows.held_out import with_held_out
        from artifact_pipeline.rows.labels import LabelColumn
        from artifact_pipeline.rows.table import read_table

        kinds = {each.name: each.kind for each in manifest.model.columns}
        split, table = HashSplit.of(manifest), manifest.recipe.get("dataset")
        left_out = isinstance(table, dict) and table.get("unlabelled") is not None
        rows = read_table(
            str(data),
            target=LabelColumn(manifest.data.target, leave_out=left_out),
            features=[*kinds],
            columns=kinds,
            split_by=dict.fromkeys(split.key if split else (), "key"),
        )
        if held_out is None:
            return rows
        return with_held_out(rows, str(held_out), beside=str(data), leave_out=left_out)
    name = manifest.recipe.get("dataset")
    if name not in NAMES:
        raise ConfigError("--data is needed: the artifact was made from a table", hint="--data rows.csv")
    own: Rows = data_set(name).load()
    return own


def challenge(
    candidate: Candidate | Verified, champion: Verified, rows: Rows, gate: Gate, *, its_rows: Rows
) -> Comparison:
    """Compare a candidate with its champion on the rows that both held out.

    Args:
        candidate: a trained model, or an artifact.
        champion: the verified artifact that it would replace.
        rows: all rows; the candidate's `split.bin` says which of those but feedback were held out.
        gate: the margin, and what to make of an inconclusive comparison.
        its_rows: the same rows by the champion's columns, as `rows_for` gives them.

    Raises:
        ArtifactRejected: the two are not about the same data, split and classes.
        DataRejected: `rows` are not the candidate's.
    """
    import numpy as np

    from artifact_pipeline.metrics import paired

    rows, its_rows, mine, its = rows.split, its_rows.split, candidate.manifest, champion.manifest
    split = candidate.members[mine.file("split").name]
    found, recorded = rows.digests(), [source.digest for source in mine.data.split_sources]
    if recorded != [*found]:
        message = f"found {', '.join(found)}, the manifest says {', '.join(recorded)}"
        problem = Problem("rows", "data-digest", message)
        hint = "name the table that it was trained from, with --data"
        raise DataRejected("these are not the rows that the model was trained from", problems=[problem], hint=hint)
    check_fit(champion, its_rows, split)
    if mine.model.classes != its.model.classes:
        raise _refused(champion, "champion-classes", "it has other classes")
    if _kinds(its.model.columns) != _kinds(its_rows.columns):
        raise _refused(champion, "champion-columns", "it takes other columns", hint=_HINT_COLUMNS)
    held_out = np.unpackbits(np.frombuffer(split, np.uint8), count=len(rows.X), bitorder="little").nonzero()[0]
    assert rows.y is not None
    actual = np.searchsorted(np.array(mine.model.classes), rows.y[held_out])
    answers, its_answers = _answers(candidate, rows, held_out), _answers(champion, its_rows, held_out)
    result = paired.compare(actual, answers, its_answers, classes=len(mine.model.classes))
    outcome = "identical" if mine.model.digest == its.model.digest else _outcome(result, gate.margin)
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
        margin=gate.margin,
        outcome=outcome,
        accepted=outcome in {"identical", "passed"} or (outcome == "inconclusive" and gate.on_inconclusive == "pass"),
    )


def _kinds(columns: Sequence[Column]) -> list[tuple[str, str]]:
    return [(each.name, each.kind) for each in columns]


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


def _refused(champion: Verified, rule: str, message: str, *, hint: str = _HINT) -> ArtifactRejected:
    return ArtifactRejected(
        "the champion cannot be compared with", problems=[Problem(str(champion.place), rule, message)], hint=hint
    )
