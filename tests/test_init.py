"""`artifact-pipeline init`: what it says of a table, and a config that trains as it stands."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from jsonschema import validate
from pyarrow import parquet

from artifact_pipeline.cli import main
from artifact_pipeline.config import recipe
from artifact_pipeline.plugins import NAMES
from artifact_pipeline.rows.survey import survey_table
from artifact_pipeline.training.dataset import Dataset
from artifact_pipeline.training.draft import draft
from artifact_pipeline.training.drafted import Draft, DraftRequest
from artifact_pipeline.training.reading import read_config
from artifact_pipeline.training.targets import TARGET_NAMES, choose_target
from typedtables import FORMATS, write

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = 60
RANDOM = np.random.default_rng(7)
SIZE = [round(float(each), 3) for each in RANDOM.normal(size=ROWS)]
TOWN = [str(each) for each in RANDOM.choice(["Rom", "Kiel", "Bern"], ROWS)]
LABEL = ["yes" if size + (town == "Rom") > 0.2 else "no" for size, town in zip(SIZE, TOWN, strict=True)]
MIXED: dict[str, Sequence[Any]] = {
    "size": [None if at % 9 == 4 else each for at, each in enumerate(SIZE)],
    "town": TOWN,
    "weight": [2.5 * each + 1 for each in SIZE],
    "label": LABEL,
}
LENIENT = ("-S", 'gate={"beats_baseline": false, "min_accuracy": 0.01}')
"""The few rows that a table of a test holds out beat no baseline for sure."""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def drafted(cells: dict[str, Sequence[Any]], *, target: str | None = None, force: bool = True) -> Draft:
    """What `init` makes of a CSV of these cells."""
    write(Path("rows.csv"), cells)
    return draft(DraftRequest("rows.csv", None, target, Path("config.json"), force=force))


def mixed(**more: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """The mixed table with more columns before its label."""
    return {**{name: MIXED[name] for name in ("size", "town")}, **more, "label": LABEL}


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The error of a command that fails."""
    capsys.readouterr()
    status = main([*arguments, "--json"])
    error: dict[str, Any] = json.loads(capsys.readouterr().out)["error"]
    assert status == error["status"]
    return error


# A config that trains


@pytest.mark.parametrize("form", FORMATS)
def test_what_init_writes_trains_as_it_stands(form: str) -> None:
    """A table of any format gives a config by which `train` trains, without a word more."""
    file = write(Path(f"rows.{form}"), MIXED)
    assert main(["init", str(file)]) == 0
    assert main(["train", "--config", "config.json", *LENIENT]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_that_comes_with_the_package_has_a_config_too(name: str) -> None:
    """`--dataset` drafts a config for a built-in data set, by which its rows are read and split."""
    found = draft(DraftRequest(None, name, None, Path("config.json")))
    assert {each.use for each in found.columns[:-1]} == {"learned"}
    config = read_config(Path("config.json"))
    assert (config.dataset, config.split.by, config.preprocess, config.gate.beats_baseline) == (
        name,
        "hash",
        "auto",
        True,
    )


def test_a_packed_file_a_folder_and_a_pattern_are_tables() -> None:
    """A packed CSV, a folder of parts and a pattern are looked at as a training reads them."""
    text = write(Path("rows.csv"), MIXED).read_bytes()
    Path("packed.csv.gz").write_bytes(gzip.compress(text))
    head, *lines = text.splitlines(keepends=True)
    Path("parts").mkdir()
    for number, part in enumerate((lines[:20], lines[20:])):
        Path(f"parts/part-{number}.csv").write_bytes(b"".join([head, *part]))
    for table, files in (("packed.csv.gz", 1), ("parts", 2), ("parts/part-*.csv", 2)):
        found = draft(DraftRequest(table, None, None, Path("config.json"), force=True))
        assert (found.rows, found.files) == (ROWS, files)
        assert found.columns[0].missing == sum(each is None for each in MIXED["size"])
        assert read_config(Path("config.json")).dataset.path == table  # type: ignore[union-attr]


def test_the_path_starts_at_the_folder_of_the_config(tmp_path: Path) -> None:
    """The path in the config leads from its folder to the table, from wherever it is read."""
    (tmp_path / "data").mkdir()
    (tmp_path / "configs").mkdir()
    write(tmp_path / "data" / "rows.csv", MIXED)
    assert main(["init", "data/rows.csv", "-o", "configs/mine.json"]) == 0
    written = json.loads(Path("configs/mine.json").read_text())
    assert written["dataset"]["path"] == "../data/rows.csv"
    assert main(["train", "--config", str(tmp_path / "configs" / "mine.json"), "--dry-run"]) == 0


def test_a_config_says_what_differs_from_the_defaults_alone() -> None:
    """Each section that is written changes what is trained, and one that says the default is left away."""
    found = drafted(MIXED).config
    values = {key: value for key, value in found.items() if key != "$schema"}
    for section in values.keys() - {"dataset", "model"}:
        shorter = {key: value for key, value in values.items() if key != section}
        assert recipe(read_config(shorter)) != recipe(read_config(values)), section
    config = read_config(values)
    assert (config.split.by, config.split.test_size, config.preprocess) == ("hash", 0.2, "auto")
    assert (config.gate.beats_baseline, config.gate.min_accuracy, config.gate.min_f1) == (True, None, None)
    assert "columns" not in found["dataset"]


def test_the_schema_stands_beside_the_config_and_fits_it() -> None:
    """The config names its JSON Schema, which is written beside it where none stands there, and which it fits."""
    found = drafted(MIXED)
    assert found.written == (Path("config.json"), Path("config.schema.json"))
    config = json.loads(Path("config.json").read_text())
    schema = Path(config["$schema"])
    validate(config, json.loads(schema.read_text()))
    schema.write_text("{}")
    assert drafted(MIXED).written == (Path("config.json"),)
    assert schema.read_text() == "{}"


def test_the_model_is_named_after_the_file() -> None:
    """The name of the model is that of the file, in the letters that a name may have."""
    text = write(Path("rows.csv"), MIXED).read_bytes()
    for file, name in (("Ämter & Co.csv", "mter-co"), ("A.b.csv", "a"), ("__.csv", "table")):
        Path(file).write_bytes(text)
        found = draft(DraftRequest(file, None, None, Path("config.json"), force=True))
        assert found.config["name"] == name


# What each column is


@pytest.mark.parametrize(
    ("name", "cells", "use", "why"),
    [
        ("a", SIZE, "learned", "each value is a number"),
        ("a", ["true", "false"] * 30, "learned", "each value is true or false"),
        ("a", TOWN, "learned", "3 different texts"),
        ("a", ["007", "12", "9"] * 20, "learned", "digits, some of which begin with a zero"),
        ("a", [*range(1, 61)], "left out", "it counts the rows, 1 to 60"),
        ("", [*range(60)], "left out", "it counts the rows, 0 to 59"),
        ("Unnamed: 0", SIZE, "left out", "it looks like an index that pandas has written"),
        ("userId", [each * 37 for each in range(60)], "left out", "it has the name of an id, and 60 different"),
        ("grid", [each * 37 for each in range(60)], "learned", "each value is a number"),
        ("a", ["x"] * 60, "left out", "it has the same value in all rows"),
        ("a", ["x", None] * 30, "learned", "1 different texts"),
        ("a", [None] * 60, "left out", "it has no value"),
        ("a", [f"2024-01-{each % 28 + 1:02}" for each in range(60)], "left out", "a date: '2024-01-01' is a date"),
        ("a", [f"person {each}" for each in range(60)], "left out", "free text or an id: 'person 0' is one of 60"),
        ("a", ["1e999", *SIZE[1:]], "left out", "1e999 is not a finite number"),
        ("a", [f"t{each % 29}" for each in range(60)], "left out", "none of its levels has 5 training rows"),
        ("a", ["1" if each == "yes" else "0" for each in LABEL], "left out", "it is a copy of the target"),
        ("a", ["Y" if each == "yes" else "N" for each in LABEL], "left out", "it is a copy of the target"),
    ],
)
def test_what_a_column_is_and_why(name: str, cells: list[Any], use: str, why: str) -> None:
    """Each column is learned from or left out by a stated rule, and the config leaves out the same columns."""
    found = drafted({name: cells, **MIXED})
    column = found.columns[0]
    assert (column.name, column.use) == (name, use)
    assert column.why.startswith(why)
    assert found.config["dataset"].get("drop", []) == ([name] if use == "left out" else [])


def test_the_index_of_pandas_and_lists_are_left_out() -> None:
    """A column that a Parquet file calls its index, and one of lists, are left out with the reason."""
    index = pa.array([each * 3 for each in range(ROWS)])
    columns = {"size": SIZE, "tags": [[1, 2]] * ROWS, "key": index, "label": LABEL}
    about = {b"pandas": json.dumps({"index_columns": ["key"]}).encode()}
    parquet.write_table(pa.table(columns).replace_schema_metadata(about), "rows.parquet")
    found = draft(DraftRequest("rows.parquet", None, None, Path("config.json")))
    left_out = {each.name: each.why for each in found.columns if each.use == "left out"}
    assert left_out == {
        "tags": "[1, 2] is a list or an object",
        "key": "it looks like an index that pandas has written",
    }


def test_a_column_that_turns_out_to_be_text_is_read_again() -> None:
    """A text in the last of many rows makes a column of digits a category, as it does in a training."""
    rows = 100_000
    cells = [*(str(each % 7) for each in range(rows - 1)), "x"]
    write(Path("rows.csv"), {"a": cells, "b": [each % 5 for each in range(rows)], "label": ["no", "yes"] * (rows // 2)})
    column = survey_table("rows.csv").columns[0]
    assert column.kind == "category"
    assert [column.levels[each] for each in column.values[[0, 1, 7, -1]]] == ["0", "1", "0", "x"]


# Which column is the target


def other(*cells: Any) -> list[Any]:
    return [cells[at % len(cells)] for at in range(ROWS)]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"Species": LABEL, "size": SIZE}, "Species"),
        ({"size": SIZE, "town": TOWN, "result": LABEL, "note": other(1, 2, 3)}, "result"),
        ({"class": TOWN, "size": SIZE, "survived": other(0, 1)}, "survived"),
        ({"size": SIZE, "town": TOWN, "kind": LABEL}, "kind"),
        ({"town": LABEL, "size": SIZE}, "town"),
        ({"target": [*(f"c{each % 25}" for each in range(ROWS))], "town": TOWN}, "target"),
    ],
)
def test_the_target_is_found_by_its_name_or_its_place(cells: dict[str, list[Any]], expected: str) -> None:
    """The target is the one column with a target's name, or the last of them, or the last or only column of classes."""
    found = drafted(cells)
    assert found.target.name == found.config["dataset"]["target"] == expected
    assert found.target.why


def test_each_name_of_a_target_is_known_in_any_spelling() -> None:
    """A name of the list is found in capitals, and with a point or a blank for its underscore."""
    for name in sorted(TARGET_NAMES):
        for spelling in {name.upper(), name.replace("_", "."), name.replace("_", " ")}:
            write(Path("rows.csv"), {spelling: LABEL, "town": TOWN, "size": SIZE})
            assert choose_target(survey_table("rows.csv"), None).name == spelling


def test_several_that_can_be_meant_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Where several columns can be the target, nothing is written, and the hint is an option that works."""
    write(Path("rows.csv"), {"town": TOWN, "kind of it": LABEL, "size": SIZE})
    error = failed(capsys, "init", "rows.csv")
    assert (error["status"], error["problems"][0]["rule"]) == (2, "target-unknown")
    assert error["problems"][0]["message"] == "it can be 'town' (3 classes) or 'kind of it' (2 classes)"
    assert not Path("config.json").exists()
    option = shlex.split(error["hint"].removeprefix("name it: "))
    assert main(["init", "rows.csv", *option]) == 0
    assert json.loads(Path("config.json").read_text())["dataset"]["target"] == "kind of it"


@pytest.mark.parametrize(
    ("cells", "status", "rule"),
    [
        ([*SIZE], 2, "target-is-quantity"),
        ([*range(60)], 5, "class-not-in-training"),
        ([None] * ROWS, 5, "no-values"),
        (["x"] * ROWS, 2, "single-class"),
        ([f"2024-{each % 12 + 1}-01" for each in range(ROWS)], 5, "date"),
    ],
)
def test_a_target_that_no_classifier_learns_is_refused(
    cells: list[Any], status: int, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A quantity, no label at all, one class alone and dates are refused as a target, with what to do."""
    write(Path("rows.csv"), {"town": TOWN, "size": SIZE, "it": cells})
    error = failed(capsys, "init", "rows.csv", "--target", "it")
    assert (error["status"], error["problems"][0]["rule"]) == (status, rule)
    assert error["hint"]
    assert not Path("config.json").exists()


def test_a_quantity_by_a_targets_name_is_refused_with_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    """A column called target that holds measured numbers is refused, and the columns that hold classes are named."""
    write(Path("rows.csv"), {"town": TOWN, "target": SIZE})
    error = failed(capsys, "init", "rows.csv")
    assert error["problems"][0]["message"].startswith("column 'target' holds numbers with decimals: it is a quantity")
    assert error["hint"].endswith("name another target: --target town")


@pytest.mark.parametrize("gap", [None, "NA", " NaN "])
def test_rows_without_a_label_are_left_out_and_counted(gap: str | None) -> None:
    """Where some rows have no label the config leaves them out, says how many they are, and trains as it stands."""
    labels = [gap if at in {3, 40} else each for at, each in enumerate(LABEL)]
    found = drafted({**MIXED, "label": labels})
    assert found.config["dataset"]["unlabelled"] == "leave_out"
    assert found.target.labels == tuple(sorted({"yes", "no"}, key=LABEL.count, reverse=True))
    assert found.warnings[0] == "2 rows without a label are left out"
    assert main(["train", "--config", "config.json", *LENIENT]) == 0
    assert main(["predict", "rows.csv", "-o", "answers.csv"]) == 0
    assert len(Path("answers.csv").read_text().splitlines()) == ROWS + 1
    assert main(["reproduce", "artifact", "--data", "rows.csv"]) == 0
    assert main(["compare", "artifact", "artifact", "--data", "rows.csv"]) == 0


def test_a_pointer_that_turns_to_another_model_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A training that takes the pointer from a model of another name says so, with a pointer of its own to be typed."""
    drafted(MIXED)
    train = ["train", "--config", "config.json", *LENIENT]
    assert main([*train, "-S", "name=churn"]) == main([*train, "-S", "name=churn", "-S", "random_state=7"]) == 0
    assert "another model" not in capsys.readouterr().err
    assert main([*train, "-S", "name=fraud"]) == 0
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(
        'warning: artifact led to another model, "churn", before this training; --artifact artifact-fraud'
    )
    assert main([*train, "-S", "name=fraud", *shlex.split(said.partition("; ")[2])[:2]]) == 0
    assert Path("artifact-fraud").is_symlink()


# What is suspicious


def sentences(cells: dict[str, Sequence[Any]]) -> list[str]:
    found = drafted(cells)
    return [*found.warnings, *found.suggestions]


def test_a_column_that_tells_the_target_is_said() -> None:
    """A number that a threshold turns into the label is said with the option that leaves it out, which works."""
    leak = [(100.0 if each == "yes" else 0.0) + at for at, each in enumerate(LABEL)]
    warning = next(each for each in sentences(mixed(leak=leak)) if "leak" in each)
    assert "alone tells the class of 100.0%" in warning
    options = shlex.split(warning.partition("leave it out: ")[2])
    assert main(["train", "--config", "config.json", "--dry-run", *options]) == 0
    assert not any("tells the class" in each for each in sentences(MIXED))


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (mixed(gap=[-999 if at % 10 == 0 else at % 7 for at in range(ROWS)]), "column 'gap' holds -999 in 6 rows"),
        (mixed(gap=[("?", "1", "2")[at % 3] for at in range(ROWS)]), "column 'gap' has the level '?'"),
        ({**mixed(), "label": ["rare", *["often"] * 59]}, "'often' is the label of 98.3% of the rows; rare: 'rare'"),
        (
            mixed(patient=[f"p{at % 25}" for at in range(ROWS)]),
            "each of the 25 values of 'patient' stands in 2.4 rows",
        ),
        (mixed(day=[f"2024-01-{at % 28 + 1:02}" for at in range(ROWS)]), "'day' is a date"),
        ({**mixed(), "label": ["rare", *["often"] * 59]}, "-S gate.beats_baseline=false"),
    ],
)
def test_what_looks_wrong_is_said(cells: dict[str, Sequence[Any]], words: str) -> None:
    """Hidden gaps, rare classes, groups and dates are each said in a sentence."""
    assert any(words in each for each in sentences(cells))


@pytest.mark.parametrize("name", ["patient", "day"])
def test_a_split_that_is_suggested_can_be_typed(name: str) -> None:
    """The split by group, or by time, that is suggested is an option by which `train` splits the rows."""
    cells = [f"p{at % 25}" if name == "patient" else f"2024-01-{at % 28 + 1:02}" for at in range(ROWS)]
    suggestion = next(each for each in sentences(mixed(**{name: cells})) if name in each)
    options = shlex.split(suggestion[suggestion.index("-S ") :])
    assert main(["train", "--config", "config.json", *LENIENT, *options]) == 0


def test_no_option_that_is_suggested_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A date is suggested as a time only as `split` takes it, typed or as text, and its cells are not missing."""
    days = [date(2024, 1, at % 28 + 1) for at in range(ROWS)]
    texts = {"iso": [f"{each}" for each in days], "german": [f"{each:%d.%m.%Y}" for each in days]}
    cells = pa.table({**mixed(**texts), "typed": days, "hours": pa.array(range(ROWS), pa.duration("s"))})
    parquet.write_table(cells, "rows.parquet")
    found = draft(DraftRequest("rows.parquet", None, None, Path("config.json"), force=True))
    assert [(each.name, each.missing) for each in found.columns if each.kind is None] == [
        ("iso", 0), ("german", 0), ("typed", 0), ("hours", 0),
    ]  # fmt: skip
    suggested = [each.split("'")[1] for each in found.suggestions if "is a date" in each]
    assert suggested == ["iso", "typed"]
    for name in suggested:
        split = json.dumps({"by": "time", "column": name})
        assert main(["train", "--config", "config.json", *LENIENT, "-S", f"split={split}"]) == 0, capsys.readouterr()


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["Inf", *[f"{at % 25}.5" for at in range(1, 400)]], "since 'Inf' is not a number, though 399 of its 400"),
        ([f"{at % 25 + 1} 234,50 €" for at in range(400)], "such as '1 234,50 €'; write numbers without marks"),
        ([f"{at % 25}%" for at in range(400)], "such as '0%'; write numbers without marks"),
        ([f"{at % 25:03}" for at in range(400)], None),
        ([f"A{at % 25}" for at in range(400)], None),
        ([f"{at % 19}" if at else "19+" for at in range(400)], None),
    ],
)
def test_numbers_that_become_texts_are_said(cells: list[str], words: str | None) -> None:
    """Texts that look like measured numbers are warned of, and those that are meant as texts have an option for it."""
    found = drafted({"a": cells, "label": ["yes" if at % 3 else "no" for at in range(400)]})
    assert [words in each for each in found.warnings] == ([True] if words else [])
    if words:
        option = shlex.split(found.warnings[0].partition("as categories: ")[2])[1]
        config = read_config(
            {**found.config, "$schema": "", "dataset": {**found.config["dataset"], **_dataset(option)}}
        )
        assert Dataset.load(config).rows.warnings == ()


def _dataset(option: str) -> dict[str, Any]:
    """The value of `-S dataset.columns=…` as it stands in a config."""
    return {"columns": json.loads(option.removeprefix("dataset.columns="))}


def test_many_classes_alike_are_not_called_imbalanced() -> None:
    """Of forty classes each has few of the rows, and none is rare."""
    labels = [f"class {at % 40}" for at in range(400)]
    size = [round(at * 0.731 % 5, 2) for at in range(400)]
    assert drafted({"size": size, "label": labels}, target="label").warnings == ()


@pytest.mark.parametrize("words", [("TRUE", "FALSE"), ("True", "False"), ("true", "false")])
def test_a_class_is_shown_as_the_gate_takes_it(words: tuple[str, str]) -> None:
    """A target of booleans has the labels of the file, and the gate's rule about one of them can be typed."""
    found = drafted({**mixed(), "label": [words[each == "no"] for each in LABEL]})
    assert set(found.target.labels) == set(words)
    recall = json.dumps({found.target.labels[0]: 0.0})
    assert main(["train", "--config", "config.json", *LENIENT, "-S", f"gate.min_recall={recall}", "--dry-run"]) == 0


_LINES = "size;town;label\n" + "".join(f"{at % 9},5;{'abc'[at % 3]};{LABEL[at]}\n" for at in range(ROWS))
"""A table as Excel saves it where a comma stands before decimals."""
_POINTS = _LINES.replace(",", ".")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", _LINES.encode("utf-8-sig")),
        ("rows.csv.gz", gzip.compress(_LINES.encode())),
        ("a b.csv", _POINTS.replace(";", "\t").encode()),
        ("rows.tsv", _POINTS.replace(";", "\t").encode()),
        ("rows.csv.bz2", bz2.compress(_POINTS.replace(";", ",").encode())),
        ("rows.csv", b"sep=,\r\n" + _POINTS.replace(";", ",").encode()),
        ("rows.csv", b"Report of May,,\n" + _POINTS.replace(";", ",").encode()),
    ],
)
def test_the_hint_about_another_kind_of_file_makes_a_table(
    name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command in the hint writes a CSV that `init` takes, numbers as numbers, and leaves the file as it is."""
    Path(name).write_bytes(content)
    hint = failed(capsys, "init", name)["hint"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-c", hint.partition(": ")[2]], env={**os.environ, "PATH": path}, check=True)
    assert Path(name).read_bytes() == content
    found = draft(DraftRequest(f"{name.partition('.')[0]}-new.csv", None, None, Path("config.json")))
    assert [(each.name, each.kind) for each in found.columns] == [
        ("size", "number"), ("town", "category"), ("label", "category"),
    ]  # fmt: skip


def test_equal_rows_of_different_cases_are_drawn_at_random() -> None:
    """Where fewer than half of the rows are different, a hash would hold out whole groups: they are drawn at random."""
    cells = {"town": other("a", "b", "c"), "sex": other("f", "m"), "label": LABEL}
    found = drafted(cells)
    config = read_config({key: value for key, value in found.config.items() if key != "$schema"})
    assert (config.split.by, config.split.stratify) == ("random", True)
    assert any("only 6 of 60 rows are different" in each for each in found.suggestions)
    assert read_config({**drafted(MIXED).config, "$schema": ""}).split.by == "hash"


def test_a_random_state_is_found_by_which_each_class_is_learned() -> None:
    """Where the usual random state leaves a class without a training row, the config has another one."""
    states = set()
    for rare in range(12):
        labels = ["rare" if at == rare else each for at, each in enumerate(LABEL)]
        states.add(drafted({**MIXED, "label": labels}).config.get("random_state"))
        data = Dataset.load(read_config(Path("config.json")))
        assert set(data.y[data.train]) == {"rare", "yes", "no"}
    assert len(states) > 1


# What is written


def test_a_file_that_stands_is_not_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    """A config that stands already is kept, and --force replaces it."""
    write(Path("rows.csv"), MIXED)
    Path("config.json").write_text("mine")
    error = failed(capsys, "init", "rows.csv")
    assert (error["status"], error["problems"][0]["rule"]) == (2, "output-exists")
    assert Path("config.json").read_text() == "mine"
    assert main(["init", "rows.csv", "--force"]) == 0
    assert read_config(Path("config.json")).name == "rows"


@pytest.mark.parametrize("to", ["rows.csv", "parts/part.csv", "parts/config.json", "nowhere/config.json"])
def test_an_output_is_no_input_and_has_a_folder(to: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The config is written over no table, and into none, even by force; its folder must be there."""
    Path("parts").mkdir()
    for file in ("rows.csv", "parts/part.csv"):
        write(Path(file), MIXED)
    before = Path("rows.csv").read_bytes()
    error = failed(capsys, "init", "parts" if to.startswith("parts") else "rows.csv", "-o", to, "--force")
    assert error["status"] == (8 if to.startswith("nowhere") else 2)
    assert error["hint"]
    assert Path("rows.csv").read_bytes() == Path("parts/part.csv").read_bytes() == before


def test_another_file_in_a_folder_of_parts_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A file of no format in a folder of parts is named, and the hint is one for tables to learn from."""
    Path("parts").mkdir()
    write(Path("parts/a.csv"), MIXED)
    Path("parts/notes.txt").write_text("mine")
    error = failed(capsys, "init", "parts")
    assert (error["status"], error["problems"][0]["place"]) == (5, "parts/notes.txt")
    assert error["hint"] == "give the table such a name; in a folder of parts no other file may stand"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 2),
        (["rows.csv", "--dataset", "iris"], 2),
        (["--dataset", "iris", "--target", "target"], 2),
        (["-"], 2),
        (["s3://bucket/rows.csv"], 2),
        (["nothing.csv"], 5),
        (["rows.csv", "--target", "lable"], 2),
        (["empty.csv"], 5),
        (["words.csv"], 5),
    ],
)
def test_what_cannot_be_drafted_is_refused(
    arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """No table, two, one that no config names, a missing column and words alone are refused with a hint."""
    write(Path("rows.csv"), MIXED)
    write(Path("words.csv"), {"a": [f"person {each}" for each in range(ROWS)], "label": LABEL})
    Path("empty.csv").write_text("a,label\n")
    error = failed(capsys, "init", *arguments)
    assert error["status"] == status
    assert error["hint"]
    assert not Path("config.json").exists()


def test_what_is_printed_ends_with_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each column, the target, the model and its alternatives are printed, then the command to go on with."""
    write(Path("rows.csv"), mixed(note=["long " * 20 + str(each) for each in range(ROWS)]))
    assert main(["init", "rows.csv"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == "60 rows"
    assert re.match(r"  size +learned +number +7 +\S+ to \S+ +each value is a number$", lines[3])
    assert max(map(len, lines[2:8])) < 200
    assert "target: 'label', since its name is that of a target; 2 classes" in printed.out
    for line in lines:
        if line.startswith("or: "):
            assert main(["train", "--config", "config.json", "--dry-run", *shlex.split(line[4:])]) == 0
    assert lines[-1].startswith("next: ")
    assert lines[-1].endswith("train --config config.json")


def test_json_holds_the_config_and_each_column(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints what was written, each column, the target with its classes, and what is suspicious."""
    write(Path("rows.csv"), MIXED)
    assert main(["init", "rows.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["config"] == json.loads(Path("config.json").read_text())
    assert [each["name"] for each in found["columns"]] == [*MIXED]
    assert {each["label"]: each["rows"] for each in found["target"]["classes"]} == {
        label: LABEL.count(label) for label in set(LABEL)
    }
    assert found["written"] == ["config.json", "config.schema.json"]
