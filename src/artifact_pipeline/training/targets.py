"""Which column of a table is the target, by stated rules: its name, or else its place and how few values it has."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

from artifact_pipeline.errors import ConfigError, DataRejected, Problem, listing, plural
from artifact_pipeline.rows.faults import meant_names
from artifact_pipeline.rows.values import TRUE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.rows.survey import Survey, SurveyedColumn

TARGET_NAMES = frozenset({
    "target", "label", "labels", "class", "classes", "y", "outcome", "response", "diagnosis", "species", "survived",
    "survival", "churn", "churned", "default", "fraud", "is_fraud", "spam", "is_spam", "status", "result", "verdict",
    "decision", "approved", "deny", "denied", "disease", "quality", "grade", "risk", "vote", "choice", "died", "death",
    "attrition", "subscribed", "clicked", "converted", "purchased", "bought", "income_class", "loan_status", "type",
})  # fmt: skip
"""Names of columns that are targets, in lower case."""
MAX_GUESSED = 20
"""Most classes of a target that is guessed; a whole number with more values is taken for a quantity."""
MAX_CLASSES = 100
"""Most different numbers of a target that is named."""
_SHOWN = 10
_BY_NAME = "its name is that of a target"


class Target(NamedTuple):
    """The column of the labels.

    Attributes:
        name: the column.
        why: why it was chosen, in words.
        labels: the label of each class, most frequent first.
        counts: how many rows have it.
        codes: int64 of shape (labelled rows,), each row's position among `labels`.
        labelled: bool of shape (rows,), whether a row has a label.
    """

    name: str
    why: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    codes: NDArray[np.int64]
    labelled: NDArray[np.bool_]


def choose_target(survey: Survey, named: str | None) -> Target:
    """Return the target: the column that is named, or one that is found.

    A column can be found where it has 2 to 20 classes and no missing value. Of these it is the one with a name of
    `TARGET_NAMES`; where none has such a name, the only one. Of several it is the last column of the table. A file that
    calls an array its labels, such as an NPZ file, has its target.

    Raises:
        ConfigError: there is no such column, several can be meant, or it is a quantity and holds no classes.
        DataRejected: the column that is named cannot be learned.
    """
    columns = {column.name: column for column in survey.columns}
    name = named if named is not None else survey.labels
    if name is not None:
        if name not in columns:
            problem = Problem("--target", "column-missing", f"no column {name!r}")
            raise ConfigError("there is no such target", problems=[problem], hint=meant_names([name], [*columns]))
        _check(columns[name], survey)
        return _target(columns[name], "--target names it" if named is not None else "the file calls it the labels")
    return _guessed(survey)


def _guessed(survey: Survey) -> Target:
    candidates = [column for column in survey.columns if _is_candidate(column)]
    possible = [column for column in candidates if _has_target_name(column)]
    if not possible:
        named = [column for column in survey.columns if _has_target_name(column)]
        if named:
            _check(named[-1], survey)
            return _target(named[-1], _BY_NAME)
        possible = candidates
    last = possible[-1] if possible and possible[-1] is survey.columns[-1] else None
    chosen = possible[0] if len(possible) == 1 else last
    if chosen is None:
        raise _no_target(possible)
    by_name = f"{_BY_NAME}, and it is the last column of such a name" if len(possible) > 1 else _BY_NAME
    by_place = "it is the last column, and holds classes" if chosen is last else "no other column holds classes"
    return _target(chosen, by_name if _has_target_name(chosen) else by_place)


def _no_target(candidates: list[SurveyedColumn]) -> ConfigError:
    """The error where several columns can be meant, or none."""
    if not candidates:
        problem = Problem(
            "--target", "target-unknown", f"no column has 2 to {MAX_GUESSED} classes and no missing value"
        )
        hint = "a classifier learns classes; name the column that holds them with --target"
        return ConfigError("no column looks like a target", problems=[problem], hint=hint)
    found = [f"{each.name!r} ({plural(distinct(each), 'class')})" for each in candidates]
    problem = Problem("--target", "target-unknown", f"it can be {listing(found, _SHOWN, separator=' or ')}")
    hint = f"name it: {_option(candidates[-1].name)}"
    return ConfigError("say which column is the target", problems=[problem], hint=hint)


def _has_target_name(column: SurveyedColumn) -> bool:
    return column.name.strip().lower().replace(" ", "_").replace(".", "_") in TARGET_NAMES


def _is_candidate(column: SurveyedColumn) -> bool:
    """Whether a column may be guessed as the target."""
    if column.kind is None or column.missing or column.is_index or column.row_number is not None:
        return False
    return is_whole(column) and 2 <= distinct(column) <= MAX_GUESSED


def is_whole(column: SurveyedColumn) -> bool:
    """Whether no value has decimals; those of other columns than numbers have none."""
    import numpy as np

    if column.kind != "number":
        return True
    values = column.values[_present(column)]
    return bool((np.trunc(values) == values).all())


def distinct(column: SurveyedColumn) -> int:
    """The number of different values, without missing ones."""
    import numpy as np

    return len(np.unique(column.values[_present(column)]))


def _present(column: SurveyedColumn) -> NDArray[np.bool_]:
    """Which cells are not missing, bool of shape (rows,)."""
    import numpy as np

    present: NDArray[np.bool_] = column.values >= 0 if column.kind == "category" else ~np.isnan(column.values)
    return present


def _check(column: SurveyedColumn, survey: Survey) -> None:
    """Refuse a column that no classifier can learn as its target."""
    if column.fault is not None:
        problem = Problem(f"column {column.name!r}", column.fault.rule, column.fault.message)
        raise DataRejected("the target cannot be learned", problems=[problem], hint=_hint(survey, column))
    values, whole = distinct(column), is_whole(column)
    if column.kind == "number" and (not whole or values > MAX_CLASSES):
        what = f"{values:,} different numbers" if whole else "numbers with decimals"
        message = f"column {column.name!r} holds {what}: it is a quantity, and a classifier learns classes"
        problem = Problem("--target", "target-is-quantity", message)
    elif values < 2:
        problem = Problem("--target", "single-class", f"column {column.name!r} has one value alone")
    else:
        return
    raise ConfigError("the target is no class", problems=[problem], hint=_hint(survey, column))


def _hint(survey: Survey, column: SurveyedColumn) -> str:
    """Say what to do with a target that is refused."""
    names = [each.name for each in survey.columns if each is not column and _is_candidate(each)]
    sort = "sort it into classes in a column of its own"
    return f"{sort}, or name another target: {' or '.join(map(_option, names[:_SHOWN]))}" if names else sort


def _option(name: str) -> str:
    return f"--target {shlex.quote(name)}"


def _target(column: SurveyedColumn, why: str) -> Target:
    import numpy as np

    labelled = _present(column)
    values, codes = np.unique(column.values[labelled], return_inverse=True)
    if column.kind == "category":
        texts = [column.levels[int(each)] for each in values]
    elif column.kind == "boolean":
        written = {text.strip(" \t") in TRUE: text for text in reversed(column.levels)}
        texts = [written.get(bool(each), str(bool(each))) for each in values.tolist()]
    else:
        texts = [str(int(each)) for each in values.tolist()]
    counts = np.bincount(codes)
    order = np.argsort(-counts, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    labels = tuple(texts[each] for each in order.tolist())
    return Target(column.name, why, labels, tuple(counts[order].tolist()), place[codes].astype(np.int64), labelled)
