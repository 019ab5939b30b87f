"""Checks of the figures: the split, repeated rows, the fit, and whether the rows give the same figures again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.artifact.manifest2 import Manifest2
from artifact_pipeline.errors import plural
from artifact_pipeline.reports.page.mistakes import counts_of
from artifact_pipeline.reports.page.parts import Cell, DataTable, Section, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.reports.page.rows import AnsweredRows

_GOOD, _LOOK, _UNKNOWN = Cell("holds", look="good"), Cell("look at it", look="bad"), Cell("not known", look="open")
_Check = tuple[str, Cell, str]


def section(artifact: Verified, answered: AnsweredRows | None) -> Section:
    """Return the checks, a row each."""
    manifest = artifact.manifest
    found = [*_of_rows(manifest, answered), _of_split(manifest), *_of_fit(manifest)]
    table = DataTable("Checks", ("check", "verdict", "what was found"), tuple(found))
    return Section("checks", "Split and leakage checks", (), (table,))


def _of_rows(manifest: Manifest, answered: AnsweredRows | None) -> Iterator[_Check]:
    if answered is None:
        words = "no rows are at hand; --data TABLE brings them, and the figures are computed again"
        yield "the figures come back from the rows", _UNKNOWN, words
        return
    if answered.known:
        yield "the rows are those of the manifest", _GOOD, "their digest is that of the manifest"
    else:
        known = "; the hash split says which of them the model has not learned" if answered.side != "unknown" else ""
        yield "the rows are those of the manifest", _UNKNOWN, f"{answered.place} holds other rows{known}"
    if answered.side != "held out":
        words = "the model may have learned them: figures of rows below may be too good"
        yield "the rows were held out", _LOOK if answered.side == "training" else _UNKNOWN, words
    elif answered.known:
        own = [list(row) for row in manifest.metrics.held_out.confusion]
        if own == counts_of(answered, len(manifest.model.classes)):
            rows = plural(len(answered), "held-out row")
            verdict, words = _GOOD, f"the published model answers {rows} again, by the same confusion matrix"
        else:
            verdict, words = _LOOK, "the published model gives another confusion matrix here than the manifest says"
        yield "the figures come back from the rows", verdict, words
    if answered.repeated is not None:
        words = f"{plural(answered.repeated, 'held-out row')} with just the values of a training row"
        yield "no held-out row is a training row", _LOOK if answered.repeated else _GOOD, words


def _of_split(manifest: Manifest) -> _Check:
    name = "how rows were held out"
    if manifest.recipe.get("dataset") == "packaged":
        return name, _UNKNOWN, "the model was trained elsewhere; what it has seen is not recorded here"
    recipe = manifest.recipe.get("split")
    split = recipe if isinstance(recipe, dict) else {}
    keys, column = split.get("key"), short(split.get("column", ""), 40)
    key = ", ".join(short(each, 30) for each in keys) if isinstance(keys, list) else ""
    words = {
        "hash": f"by the hash of {key or 'all features'}: equal rows stay together, and growing data does not leak",
        "group": f"by group, {column}: no group is on both sides",
        "time": f"by time, {column}: the latest rows are held out",
        "held_out": "the rows of another file are held out",
    }
    found = words.get(str(split.get("by")))
    if found is not None:
        return name, _GOOD, found
    drawn = "at random: rows of one person or time can be on both sides, which flatters; split by group or time then"
    return name, Cell("consider", look="open"), drawn


def _of_fit(manifest: Manifest) -> Iterator[_Check]:
    model, held_out = manifest.model, manifest.metrics.held_out
    if model.iterations is not None:
        words = plural(model.iterations, "iteration")
        yield "the solver converged", _GOOD if model.converged else _LOOK, words
    better = held_out.accuracy.low > held_out.majority_share
    words = f"accuracy is at least {held_out.accuracy.low:.4f}, always one label reaches {held_out.majority_share:.4f}"
    yield "better than always one label", _GOOD if better else _LOOK, words
    missed = held_out.never_predicted
    names = ", ".join(short(each.label, 24) for each in missed[:10])
    yield "each class is predicted", _LOOK if missed else _GOOD, f"never: {names}" if missed else "at least once"
    if isinstance(manifest, Manifest2):
        parity = manifest.model.parity
        words = (
            f"{plural(parity.rows, 'row')} compared with the estimator, {plural(parity.ties, 'tie')}, greatest "
            f"difference {parity.max_difference:.1g}"
        )
        yield "the published model is the estimator", _GOOD, words
