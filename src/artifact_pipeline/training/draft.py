"""A config drafted from a table: what each column is, which one is the target, and a config that runs as it stands.

Before the config is written it is read, the table is read by it, and its rows are split by it, all as a training does.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import ConfigError, DataRejected, Problem, listing
from artifact_pipeline.training import suspicions
from artifact_pipeline.training.drafted import Draft, DraftRequest, drafted_column
from artifact_pipeline.training.targets import choose_target

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.config import Config
    from artifact_pipeline.rows.matrix import Rows
    from artifact_pipeline.rows.survey import Survey
    from artifact_pipeline.training.targets import Target

SCHEMA_FILE = "config.schema.json"
"""The JSON Schema that stands beside the config, where editors find it."""
MANY_ROWS = 1000
"""Rows from which on trees are proposed: below, a linear model is as good and simpler."""
_LINEAR: dict[str, Any] = {"estimator": "LogisticRegression", "max_iter": 1000}
_TREES: dict[str, Any] = {"estimator": "HistGradientBoostingClassifier"}
_FOREST: dict[str, Any] = {"estimator": "RandomForestClassifier", "min_samples_leaf": 5}
_BY_HASH: dict[str, Any] = {"by": "hash", "test_size": 0.2}
_SEEDS = (42, *range(100))
"""Random states that are tried until each class has a training row."""
_MAX_BYTES = 65_536
"""Most bytes of a config file that is read."""
_SHOWN = 3


def draft(request: DraftRequest, progress: Callable[[str], None] = lambda _: None) -> Draft:
    """Look at a table, and write a config for it.

    Raises:
        ConfigError: the output stands already or is an input, or no column can be the target.
        DataRejected: the table cannot be read, or holds nothing to learn from.
        StorageError: the config cannot be written.
    """
    _check_output(request)
    progress("looking at the columns")
    survey = _survey(request)
    target = choose_target(survey, request.target)
    reasons: dict[str, str | None] = {
        column.name: suspicions.reason_to_drop(column, survey, target) if request.table is not None else None
        for column in survey.columns
        if column.name != target.name
    }
    models = (_TREES, _FOREST, _LINEAR) if survey.rows >= MANY_ROWS else (_LINEAR, _TREES, _FOREST)
    progress("reading and splitting the rows as a training does")
    values, rows, split = _drafted_config(request, target, reasons, models[0])
    learned = [column for column in survey.columns if reasons.get(column.name, "") is None]
    text = _text(_shortest(values), request)
    return Draft(
        config=json.loads(text),
        written=_write(request, text),
        rows=survey.rows,
        files=survey.files,
        columns=tuple(drafted_column(column, reasons.get(column.name), target) for column in survey.columns),
        target=target,
        model=_model_reason(survey.rows),
        alternatives=models[1:],
        warnings=(
            *suspicions.target_suspicions(target),
            *suspicions.column_suspicions(learned, target),
            *rows.warnings,
        ),
        suggestions=(*split, *suspicions.split_suggestions(survey, target)),
    )


def _check_output(request: DraftRequest) -> None:
    from artifact_pipeline.rows.sources import STDIN, places_of
    from artifact_pipeline.storage.outputs import Place, check_outputs
    from artifact_pipeline.storage.places import is_url

    table = request.table
    if table is None and request.target is not None:
        raise ConfigError("a data set that comes with the package has its own target", hint="leave --target away")
    if table is not None and (table == STDIN or is_url(table)):
        problem = Problem(table, "not-a-file", "a training reads its table again, so a config names a file")
        raise ConfigError("no config can name this table", problems=[problem], hint="save it to a file, and name that")
    output = Place("-o", str(request.output))
    check_outputs(places_of([table], []) if table is not None else [], [output])
    if os.path.lexists(request.output) and not request.force:
        problem = Problem("-o", "output-exists", f"{request.output} is there already")
        raise ConfigError("nothing is overwritten", problems=[problem], hint="--force replaces it, -o names another")


def _survey(request: DraftRequest) -> Survey:
    from artifact_pipeline.plugins import data_set
    from artifact_pipeline.rows.survey import survey_rows, survey_table

    if request.table is not None:
        return survey_table(request.table, target=request.target)
    assert request.dataset is not None
    return survey_rows(data_set(request.dataset).load())


def _nothing_to_learn(request: DraftRequest, reasons: dict[str, str | None]) -> DataRejected:
    found = [f"{name!r}: {reason}" for name, reason in reasons.items()]
    message = listing(found, _SHOWN, separator="; ") or "it has no column but the target"
    problem = Problem(str(request.table), "no-columns", message)
    hint = "a classifier learns from numbers, categories and booleans"
    return DataRejected("no column is left to learn from", problems=[problem], hint=hint)


def _values(request: DraftRequest, target: Target, dropped: list[str], model: dict[str, Any]) -> dict[str, Any]:
    """The config with every section, and with the path relative to the working folder."""
    from artifact_pipeline.config.schema import name_after

    values: dict[str, Any] = {
        "dataset": request.dataset,
        "split": _BY_HASH,
        "preprocess": "auto",
        "model": model,
        "gate": {"beats_baseline": True, "min_accuracy": None, "min_f1": None},
    }
    if request.table is None:
        return values
    dataset: dict[str, Any] = {"path": request.table, "target": target.name}
    if dropped:
        dataset["drop"] = dropped
    if not target.labelled.all():
        dataset["unlabelled"] = "leave_out"
    stem = Path(os.path.abspath(request.table)).name.partition(".")[0]  # noqa: PTH100 - it follows no link
    return {"name": name_after(stem) or "table", **values, "dataset": dataset}


def _drafted_config(
    request: DraftRequest, target: Target, reasons: dict[str, str | None], model: dict[str, Any]
) -> tuple[dict[str, Any], Rows, tuple[str, ...]]:
    """The config with its split, the rows as a training by it reads them, and why they are not split by their hash.

    A column whose levels are all rare among the training rows is left out, too: its reason is added to `reasons`.

    Raises:
        DataRejected: the rows cannot be read or split, or no column is left.
    """
    from artifact_pipeline.rows.folding import MIN_ROWS, fold_rare_levels
    from artifact_pipeline.training.dataset import load_rows

    while True:
        if None not in reasons.values():
            raise _nothing_to_learn(request, reasons)
        values = _values(request, target, [name for name, why in reasons.items() if why is not None], model)
        rows = load_rows(_config(values))
        split, why_split = _split(rows, target)
        values, training = _with_seed({**values, "split": split}, rows)
        folded = fold_rare_levels(rows.columns, rows.features, training).columns
        empty = [column.name for column in folded if column.kind == "category" and not column.levels]
        if not empty:
            return values, rows, why_split
        reasons.update(dict.fromkeys(empty, f"none of its levels has {MIN_ROWS} training rows"))


def _split(rows: Rows, target: Target) -> tuple[dict[str, Any], tuple[str, ...]]:
    """How the rows are split, and why where it is not by their hash.

    A hash keeps equal rows together, as copies of one case. Where fewer than half of the rows are different, equal rows
    are different cases, and whole groups of them would be held out by the hash: they are drawn at random.
    """
    import numpy as np

    from artifact_pipeline.rows.row_hash import feature_hashes

    different = len(np.unique(feature_hashes(rows.columns, rows.features, seed=0)))
    if 2 * different >= len(rows.X):
        return _BY_HASH, ()
    stratify = target.counts[-1] > 1 and len(target.labels) <= len(rows.X) // 10
    words = f"only {different:,} of {len(rows.X):,} rows are different, so equal rows are taken for different cases"
    return {"by": "random", "test_size": 0.2, "stratify": stratify}, (f"{words}, and drawn at random",)


def _with_seed(values: dict[str, Any], rows: Rows) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """The config with a random state by which the rows can be split, and the positions of the training rows.

    Raises:
        DataRejected: no random state gives each class a training row.
    """
    from artifact_pipeline.training.dataset import Dataset

    config = _config(values)
    first: DataRejected | None = None
    for seed in _SEEDS:
        try:
            data = Dataset.load(config.model_copy(update={"random_state": seed}), rows)
        except DataRejected as error:
            if not error.rules <= {"class-not-in-training", "split"}:
                raise
            first = first or error
        else:
            return (values if seed == config.random_state else {**values, "random_state": seed}), data.train
    assert first is not None
    raise first


def _shortest(values: dict[str, Any]) -> dict[str, Any]:
    """The config without the sections that equal their defaults."""
    from artifact_pipeline.config import recipe

    for section in ("split", "preprocess", "gate"):
        shorter = {key: value for key, value in values.items() if key != section}
        if recipe(_config(shorter)) == recipe(_config(values)):
            values = shorter
    return values


def _config(values: dict[str, Any]) -> Config:
    from artifact_pipeline.training.reading import read_config

    return read_config(values)


def _text(values: dict[str, Any], request: DraftRequest) -> str:
    """The text of the config's file; paths in it are relative to its folder."""
    from artifact_pipeline.config.schema import SCHEMA_KEY

    if request.table is not None:
        path = _from_folder(request.table, request.output.parent)
        values = {**values, "dataset": {**values["dataset"], "path": path}}
    text = json.dumps({SCHEMA_KEY: f"./{SCHEMA_FILE}", **values}, indent=2, ensure_ascii=False) + "\n"
    if len(text.encode("utf-8", "surrogateescape")) > _MAX_BYTES:
        message = f"it would have more than {_MAX_BYTES:,} bytes, most of them names of columns that are left out"
        problem = Problem(str(request.output), "too-large", message)
        raise ConfigError(
            "the config cannot be written", problems=[problem], hint="take those columns out of the table"
        )
    return text


def _from_folder(path: str, folder: Path) -> str:
    """Return a path relative to a folder; an absolute one that does not lie in it stays as it is."""
    above, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 - a link at its end is not followed
    real = os.path.join(os.path.realpath(above), name)  # noqa: PTH118
    relative = os.path.relpath(real, os.path.realpath(folder))
    return path if os.path.isabs(path) and relative.startswith("..") else relative  # noqa: PTH117


def _write(request: DraftRequest, text: str) -> tuple[Path, ...]:
    """Write the config, and the schema beside it unless there is one."""
    from artifact_pipeline.config import schema_text
    from artifact_pipeline.files import storage_error, write_atomic, write_new

    if request.force:
        write_atomic(request.output, text.encode())
    else:
        try:
            write_new(request.output, text.encode())
        except OSError as error:
            raise storage_error(request.output, error) from error
    schema = request.output.parent / SCHEMA_FILE
    if os.path.lexists(schema):
        return (request.output,)
    write_atomic(schema, schema_text().encode())
    return (request.output, schema)


def _model_reason(rows: int) -> str:
    if rows >= MANY_ROWS:
        return f"the table has at least {MANY_ROWS:,} rows, from which trees learn more than a linear model"
    return f"the table has fewer than {MANY_ROWS:,} rows, for which a linear model is as good as trees, and smaller"
