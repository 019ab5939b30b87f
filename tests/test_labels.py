"""`artifact-pipeline evaluate`, by real files through the public door; scikit-learn is the oracle for the figures."""

from __future__ import annotations

import csv
import gzip
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from sklearn import metrics as theirs

from artifact_pipeline.digits.dataset import load_digits
from artifact_pipeline.prediction import labels as module
from artifact_pipeline.prediction.writers import HashedFile, open_writer
from tables import write_table
from verbs import Said, run_verb

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Run = Callable[..., subprocess.CompletedProcess[str]]

FORMS = ["csv", "parquet", "jsonl"]
CLASSES = ["no", 'say "yes", or no', "yes"]
ROWS = 40
DIGITS = load_digits()


def evaluate(*arguments: str | Path) -> Said:
    return run_verb("evaluate", *arguments, "--json")


@dataclass(frozen=True)
class Answered:
    """Predictions whose probabilities each format holds exactly, and what was right; positions in the classes."""

    classes: Sequence[int | str]
    actual: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def write(self, path: Path, columns: Mapping[str, Any], rows: slice = slice(None)) -> Path:
        """Write predictions as `predict` does, behind these columns."""
        with path.open("wb") as file:
            writer = open_writer(
                path.suffix[1:],
                HashedFile(file),
                [f"probability_{each}" for each in self.classes],
                artifact="sha256:" + 64 * "0",
            )
            told = np.array(self.classes)[self.predicted]
            writer.write({**columns, "predicted": told[rows]}, self.probabilities[rows].T)
            writer.close()
        return path

    def labels(self) -> list[Any]:
        """The right labels."""
        return np.array(self.classes)[self.actual].tolist()

    def check(self, found: Mapping[str, Any], rows: Sequence[int]) -> None:
        """Compare figures with scikit-learn's over some rows."""
        actual, predicted = self.actual[rows], self.predicted[rows]
        positions = list(range(len(self.classes)))
        precision, recall, f1, support = theirs.precision_recall_fscore_support(
            actual, predicted, labels=positions, zero_division=0
        )
        assert found["rows"] == len(rows)
        assert found["accuracy"]["value"] == pytest.approx(theirs.accuracy_score(actual, predicted), abs=1e-6)
        for name, average in (("f1_weighted", "weighted"), ("f1_macro", "macro")):
            value = found[name]["value"] if name == "f1_weighted" else found[name]
            expected = theirs.f1_score(actual, predicted, average=average, zero_division=0)
            assert value == pytest.approx(expected, abs=1e-6)
        for name in ("accuracy", "f1_weighted"):
            assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
        loss = theirs.log_loss(actual, self.probabilities[rows], labels=positions)
        assert found["log_loss"] == pytest.approx(loss, abs=1e-6)
        assert found["confusion"] == theirs.confusion_matrix(actual, predicted, labels=positions).tolist()
        assert [each["label"] for each in found["classes"]] == [str(each) for each in self.classes]
        assert [each["rows"] for each in found["classes"]] == support.tolist()
        for name, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
            assert [each[name] for each in found["classes"]] == pytest.approx(expected.tolist(), abs=1e-6)


def answered(classes: Sequence[int | str] = CLASSES, rows: int = ROWS, seed: int = 5) -> Answered:
    """Random answers, right in most rows; probabilities in 64ths, zeros among them."""
    random = np.random.default_rng(seed)
    probabilities = random.multinomial(64, np.full(len(classes), 1 / len(classes)), rows) / 64
    probabilities[:3] = np.eye(len(classes))[0]
    predicted = probabilities.argmax(axis=1)
    actual = np.where(random.random(rows) < 0.7, predicted, random.integers(0, len(classes), rows))
    return Answered(classes, actual, predicted, probabilities)


ANSWERED = answered()


def table(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    """Write columns of Python values in the format that the name tells."""
    rows = list(zip(*columns.values(), strict=True))
    if path.suffix == ".parquet":
        parquet.write_table(pa.table(dict(columns)), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(dict(zip(columns, row, strict=True)))}\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([[*columns], *rows])
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with predictions.csv."""
    monkeypatch.chdir(tmp_path)
    ANSWERED.write(tmp_path / "predictions.csv", {"row": np.arange(ROWS)})
    return tmp_path


# --- figures


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("labels", FORMS)
@pytest.mark.parametrize("classes", [CLASSES, [-1, 7, 12]])
def test_figures_are_those_of_scikit_learn(here: Path, form: str, labels: str, classes: list[int | str]) -> None:
    """Whatever the two formats, and whether labels are numbers or text, the figures are scikit-learn's."""
    ours = answered(classes)
    predictions = ours.write(here / f"predictions.{form}", {"row": np.arange(ROWS)})
    later = table(here / f"later.{labels}", {"row": range(ROWS), "truth": ours.labels()})
    said = evaluate(predictions, later)
    assert (said.status, said.err) == (0, "")
    ours.check(said.json["metrics"], range(ROWS))
    assert said.json["key"] == ["row"]
    assert said.json["label"] == "truth"
    assert said.json["labels"] == said.json["predictions"] == {"read": ROWS, "matched": ROWS, "unmatched": 0}


@pytest.mark.slow
@settings(max_examples=40)
@given(
    picked=st.permutations(range(ROWS)).flatmap(lambda rows: st.integers(1, ROWS).map(lambda size: rows[:size])),
    strangers=st.sets(st.integers(ROWS, 10**12), max_size=5),
    again=st.randoms(use_true_random=False),
)
def test_law_any_subset_in_any_order(picked: list[int], strangers: set[int], again: Any) -> None:
    """Any labels in any order are matched by key alone: the same figures, and each label matched or counted."""
    rows = [*picked, *sorted(strangers)]
    truth = dict(zip(rows, [*np.array(ANSWERED.labels())[picked], *("no" for _ in strangers)], strict=True))
    with TemporaryDirectory() as folder:
        predictions = ANSWERED.write(Path(folder, "predictions.parquet"), {"row": np.arange(ROWS)})
        said = []
        for _ in range(2):
            later = table(Path(folder, "later.csv"), {"row": rows, "truth": [truth[row] for row in rows]})
            said.append(evaluate(predictions, later))
            again.shuffle(rows)
    assert said[0] == said[1]
    found = said[0].json
    ANSWERED.check(found["metrics"], sorted(picked))
    assert found["labels"] == {"read": len(rows), "matched": len(picked), "unmatched": len(strangers)}
    assert found["predictions"] == {"read": ROWS, "matched": len(picked), "unmatched": ROWS - len(picked)}


def test_predictions_of_the_verb_itself(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `predict` says of the digits, whose labels it knows, is what `evaluate` says once they come as a file."""
    monkeypatch.chdir(published)
    later = write_table(published / "later.parquet", {"row": np.arange(len(DIGITS.y)), "digit": DIGITS.y})
    for form in FORMS:
        said = run_verb("predict", "-o", f"predictions.{form}", "--json").json["scores"]["all"]
        found = evaluate(f"predictions.{form}", later).json["metrics"]
        assert found["accuracy"]["value"] == pytest.approx(said["accuracy"], abs=1e-6)
        assert found["f1_weighted"]["value"] == pytest.approx(said["f1_weighted"], abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_folder_of_parts(published: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """A folder of parts is scored like a file; rows of several inputs are told apart by file and row."""
    monkeypatch.chdir(published)
    features = {name: DIGITS.X[:, index] for index, name in enumerate(DIGITS.names)}
    for name, rows in (("a.csv", slice(0, 300)), ("b.csv", slice(300, 500))):
        write_table(published / name, {column: values[rows] for column, values in features.items()})
    assert run_verb("predict", "a.csv", "b.csv", "-o", "parts/", "--to", form, "-q").status == 0
    files, numbers = ["a.csv"] * 300 + ["b.csv"] * 200, [*range(300), *range(200)]
    later = table(published / "later.csv", {"row": numbers, "digit": DIGITS.y[:500].tolist(), "file": files})
    found = evaluate("parts", later, "--key", "file,row")
    assert found.status == 0
    assert found.json["predictions"] == {"read": 500, "matched": 500, "unmatched": 0}
    assert evaluate("parts", later, "--key", "file", "--key", "row") == found
    first = table(published / "first.csv", {"row": [3], "digit": [3]})
    refused = evaluate("parts", first)
    assert refused.problem["rule"] == "key-repeated"
    assert "--key file,row" in refused.json["error"]["hint"]


def test_a_part_without_rows_changes_nothing(here: Path) -> None:
    """A part of JSON Lines all of whose rows were bad is empty, wherever it stands."""
    (here / "parts").mkdir()
    for number, rows in enumerate((slice(0, 0), slice(0, 25), slice(0, 0), slice(25, ROWS))):
        ANSWERED.write(here / "parts" / f"part-{number}.jsonl", {"row": np.arange(ROWS)[rows]}, rows)
    later = table(here / "later.csv", {"row": range(ROWS), "truth": ANSWERED.labels()})
    assert evaluate("parts", later) == evaluate("predictions.csv", later)


def test_parts_of_two_models_are_refused(here: Path) -> None:
    """A part whose model has other classes than the first part's is refused, whether it has fewer or more."""
    for names, rule in ((["a", "b", "c"], "no-predictions"), (["a", "c"], "column-missing")):
        folder = here / rule
        folder.mkdir()
        for number, classes in enumerate((["a", "b"], names)):
            answered(classes).write(folder / f"part-{number}.parquet", {"row": np.arange(ROWS) + ROWS * number})
        later = table(here / "later.csv", {"row": [0], "truth": ["a"]})
        said = evaluate(folder, later)
        assert (said.status, said.problem["rule"]) == (5, rule)
        assert "part-1.parquet" in said.problem["place"]


def test_kept_columns_are_keys(here: Path) -> None:
    """A column that was carried through is a key, as whole numbers here and as text there, whatever it is called."""
    keys = np.arange(ROWS) * 7 - 3
    columns = {"row": np.arange(ROWS), "probability_old": keys, "name": pa.array([f"n{key}" for key in keys])}
    for form in FORMS:
        predictions = ANSWERED.write(here / f"kept.{form}", columns)
        for name, told in (("probability_old", keys.tolist()), ("name", columns["name"].to_pylist())):
            for labels in FORMS:
                later = table(here / f"later.{labels}", {name: told[::-1], "truth": ANSWERED.labels()[::-1]})
                ANSWERED.check(evaluate(predictions, later, "--key", name).json["metrics"], range(ROWS))


def test_label_column_is_chosen(here: Path) -> None:
    """--label says which column holds the labels where there are others; a dictionary of Parquet is text too."""
    columns = {"row": range(ROWS), "truth": ANSWERED.labels(), "note": ["x"] * ROWS}
    expected = evaluate("predictions.csv", table(here / "later.csv", columns), "--label", "truth")
    assert expected.json["label"] == "truth"
    coded = pa.table({**columns, "truth": pa.array(columns["truth"]).dictionary_encode()})
    parquet.write_table(coded, here / "later.parquet")
    assert evaluate("predictions.csv", "later.parquet", "--label", "truth") == expected
    (here / "later.csv.gz").write_bytes(gzip.compress((here / "later.csv").read_bytes()))
    assert evaluate("predictions.csv", "later.csv.gz", "--label", "truth") == expected


def test_predictions_without_a_key_have_no_label(here: Path) -> None:
    """A prediction whose key is missing cannot have a label; it is counted among those without one."""
    told = [None if row % 4 == 0 else f"n{row}" for row in range(ROWS)]
    later = table(here / "later.csv", {"id": [f"n{row}" for row in range(ROWS)], "truth": ANSWERED.labels()})
    for form in FORMS:
        predictions = ANSWERED.write(here / f"kept.{form}", {"row": np.arange(ROWS), "id": pa.array(told)})
        found = evaluate(predictions, later, "--key", "id").json
        ANSWERED.check(found["metrics"], [row for row in range(ROWS) if row % 4])
        assert found["predictions"]["unmatched"] == found["labels"]["unmatched"] == ROWS // 4


# --- keys of several columns

PART = st.text('",\\:a ', min_size=1, max_size=3)
CUTS = st.tuples(st.sampled_from(['","', ",", '"', ":", "\\", " "]), st.lists(PART, min_size=3, max_size=6)).map(
    lambda drawn: [(drawn[0].join(drawn[1][:cut]), drawn[0].join(drawn[1][cut:])) for cut in range(1, len(drawn[1]))]
)
"""One text, cut in two at each of its separators: joined by that separator again, the pairs would all be one."""
PAIRS = CUTS.map(lambda pairs: list(dict.fromkeys(pairs)))


@pytest.mark.slow
@settings(max_examples=60)
@given(pairs=PAIRS)
def test_law_composite_keys_are_told_apart(pairs: list[tuple[str, str]]) -> None:
    """No two keys of several parts become one, whatever separators, quotes and escapes their parts hold."""
    ours = answered(rows=len(pairs))
    first, second = ([pair[index] for pair in pairs] for index in range(2))
    with TemporaryDirectory() as folder:
        columns = {"row": np.arange(len(pairs)), "a": pa.array(first), "b": pa.array(second)}
        predictions = ours.write(Path(folder, "predictions.jsonl"), columns)
        later = {"b": second[::-1], "truth": ours.labels()[::-1], "a": first[::-1]}
        said = evaluate(predictions, table(Path(folder, "later.csv"), later), "--key", "a,b")
    assert said.status == 0, said.out
    ours.check(said.json["metrics"], range(len(pairs)))


def test_order_of_the_key_is_that_of_its_columns(here: Path) -> None:
    """The parts of a key are matched by their columns' names, and so a swapped pair does not match."""
    ours = answered(rows=2)
    predictions = ours.write(
        here / "two.csv", {"row": np.arange(2), "a": pa.array(["x", "y"]), "b": pa.array(["y", "x"])}
    )
    later = table(here / "later.csv", {"a": ["y", "z"], "b": ["x", "x"], "truth": ["no", "no"]})
    found = evaluate(predictions, later, "--key", "b,a").json
    ours_of_one = theirs.accuracy_score(["no"], [CLASSES[ours.predicted[1]]])
    assert found["labels"] == {"read": 2, "matched": 1, "unmatched": 1}
    assert found["metrics"]["accuracy"]["value"] == ours_of_one


# --- refusals


class Bad(NamedTuple):
    """Labels that are refused: their columns, the options, and what is told."""

    columns: dict[str, Sequence[Any]]
    arguments: list[str]
    rule: str
    words: str


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "bad",
    [
        Bad({"id": [1], "truth": ["no"]}, [], "column-missing", "no column 'row'"),
        Bad({"row": [1], "truth": ["no"]}, ["--label", "label"], "column-missing", "no column 'label'"),
        Bad({"id": [1], "truth": ["no"]}, ["--key", "id"], "column-missing", "no column 'id'"),
        Bad({"row": [1], "a": ["no"], "b": ["no"]}, [], "label-column", "2 columns are no key: 'a', 'b'"),
        Bad({"row": [1]}, [], "label-column", "every column is a key"),
        Bad({"row": [1, 2, 1], "truth": ["no"] * 3}, [], "key-repeated", 'the key "1" stands twice, first in row 0'),
        Bad({"row": range(2), "truth": ["no", ""]}, [], "label-missing", "the label is missing"),
        Bad({"row": ["0", ""], "truth": ["no", "no"]}, [], "key-missing", "the key is missing"),
        Bad({"row": range(2), "truth": ["maybe", "no"]}, [], "label-unknown", "the label 'maybe' is none"),
        Bad(
            {"row": [900, 901], "truth": ["no", "no"]},
            [],
            "no-match",
            "a prediction's: 2 keys here, 40",
        ),
    ],
    ids=lambda bad: bad.words,
)
def test_refused_labels(here: Path, form: str, bad: Bad) -> None:
    """Labels that cannot be matched one by one with predictions are refused by their rule, place and mend."""
    table(here / f"later.{form}", bad.columns)
    said = evaluate("predictions.csv", f"later.{form}", *bad.arguments)
    assert said.status == said.json["error"]["status"] == 5
    assert said.problem["rule"] == bad.rule
    assert bad.words in said.problem["message"]
    assert said.problem["place"].startswith(("later.", "predictions.csv"))
    assert said.json["error"]["hint"]


def test_without_the_column_row_the_key_is_named(here: Path) -> None:
    """Where one side has no `row`, the hint names the option and a column of both, and works as it stands."""
    kept = pa.array([f"p{number}" for number in range(ROWS)])
    ANSWERED.write(here / "kept.csv", {"row": np.arange(ROWS), "patient id": kept})
    table(here / "later.csv", {"patient id": ["p1", "p0"], "truth": ["no", "no"]})
    said = evaluate("kept.csv", "later.csv")
    assert (said.problem["place"], said.problem["rule"]) == ("later.csv", "column-missing")
    assert said.problem["message"] == "no column 'row' for the key; it has 'patient id', 'truth'"
    hint = said.json["error"]["hint"]
    assert hint == "name the column that identifies a row in both files: --key 'patient id'"
    assert evaluate("kept.csv", "later.csv", *shlex.split(hint.partition(": ")[2])).status == 0
    said = evaluate("predictions.csv", "later.csv")
    assert "--keep COLUMN" in said.json["error"]["hint"]
    assert "--key COLUMN" in said.json["error"]["hint"]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_missing_value_is_an_empty_one(here: Path, form: str) -> None:
    """A null is no label and no key, as an empty text is none; the row is named."""
    table(here / f"later.{form}", {"row": [0, 1], "truth": ["no", None]})
    said = evaluate("predictions.csv", f"later.{form}")
    place = f"later.{form}, row 1, column 'truth'"
    assert (said.problem["rule"], said.problem["place"]) == ("label-missing", place)
    table(here / f"later.{form}", {"row": [None, 1], "truth": ["no", "no"]})
    assert evaluate("predictions.csv", f"later.{form}").problem["rule"] == "key-missing"


def test_numbers_with_a_point_are_no_keys(here: Path) -> None:
    """A column of floats is no key: as text it would be other keys than whole numbers are; labels are read by rule."""
    table(here / "later.parquet", {"row": [0.0, 1.0], "truth": ["no", "no"]})
    assert evaluate("predictions.csv", "later.parquet").problem["rule"] == "key-invalid"
    table(here / "later.parquet", {"row": [0, 1], "truth": [0.0, 1.0]})
    assert evaluate("predictions.csv", "later.parquet").problem["rule"] == "label-unknown"


def test_no_match_shows_both_keys(here: Path) -> None:
    """Where nothing matches, a key of each side is shown, so that one sees why."""
    table(here / "later.csv", {"row": ["n0", "n1"], "truth": ["no", "no"]})
    hint = evaluate("predictions.csv", "later.csv").json["error"]["hint"]
    assert hint == """compare the keys: the first label's is "n0", the first prediction's "0\""""


@pytest.mark.parametrize("form", FORMS)
def test_repeated_key_of_predictions(here: Path, form: str) -> None:
    """A label that fits two predictions is refused; two predictions without a label may have one key."""
    numbers = np.arange(ROWS)
    numbers[-1] = 2
    ANSWERED.write(here / f"twice.{form}", {"row": numbers})
    table(here / "later.csv", {"row": [1, 2], "truth": ["no", "no"]})
    said = evaluate(f"twice.{form}", "later.csv")
    assert said.status == 5
    assert (said.problem["rule"], said.problem["message"]) == ("key-repeated", 'the key "2" stands twice')
    table(here / "later.csv", {"row": [1, 3], "truth": ["no", "no"]})
    assert evaluate(f"twice.{form}", "later.csv").json["predictions"]["unmatched"] == ROWS - 2


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("p.csv", "row,truth\n0,no\n", "no-predictions"),
        ("p.csv", "row,probability_no,predicted\n0,1.0,no\n", "no-predictions"),
        ("p.csv", "row,predicted,probability_no\n0,yes,1.0\n", "no-predictions"),
        ("p.csv", "row,predicted,probability_no\n0,,1.0\n", "no-predictions"),
        ("p.csv", "row,predicted,probability_no\n0,no,many\n", "not-a-number"),
        ("p.csv", "row,predicted,probability_no\n0,no,\n", "missing"),
        ("p.csv", "row,predicted,probability_no\n0,no,nan\n", "not-finite"),
        ("p.csv", "row,predicted,probability_no\n0,no\n", "row-width"),
        ("p.csv", "row,predicted,probability_no\n", "no-rows"),
        ("p.csv", "", "no-predictions"),
        ("p.jsonl", "", "no-predictions"),
        ("p.jsonl", '{"row": 0, "predicted": "no", "probability_no": 1.0}\n{\n', "json-invalid"),
        ("p.jsonl", '{"row": 0, "predicted": "no", "probability_no": 1.0}\n{"row": 1}\n', "missing"),
        ("p.parquet", "row,predicted,probability_no\n0,no,1.0\n", "unreadable"),
        ("p.txt", "row,predicted,probability_no\n0,no,1.0\n", "unknown-suffix"),
        ("p.png", "row,predicted,probability_no\n0,no,1.0\n", "unknown-suffix"),
    ],
)
def test_refused_predictions(here: Path, name: str, content: str, rule: str) -> None:
    """What `predict` cannot have written is refused by its rule, at its place."""
    (here / name).write_text(content)
    table(here / "later.csv", {"row": [0], "truth": ["no"]})
    said = evaluate(name, "later.csv")
    assert said.status == 5
    assert said.problem["rule"] == rule
    assert said.problem["place"].startswith(name)


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("l.csv", "row,truth\n", "no-rows"),
        ("l.csv", "row,truth\n0,no,no\n", "row-width"),
        ("l.csv", "row,row,truth\n0,0,no\n", "column-repeated"),
        ("l.jsonl", '{"row": 0, "truth": "no"}\nno\n', "json-invalid"),
        ("l.jsonl", "no\n", "column-missing"),
        ("l.parquet", "row,truth\n", "unreadable"),
        ("l.txt", "row,truth\n0,no\n", "unknown-suffix"),
        ("l.npy", "row,truth\n0,no\n", "unknown-suffix"),
    ],
)
def test_unreadable_labels(here: Path, name: str, content: str, rule: str) -> None:
    """Labels that cannot be read are refused whole, by the first thing that is wrong."""
    (here / name).write_text(content)
    said = evaluate("predictions.csv", name)
    assert (said.status, said.problem["rule"]) == (5, rule)


@pytest.mark.parametrize(
    "arguments", [["nowhere.csv", "later.csv"], ["predictions.csv", "nowhere.csv"], ["gone/", "-"]]
)
def test_missing_files(here: Path, arguments: list[str]) -> None:
    """A file that is not there is refused, whichever of the two it is."""
    table(here / "later.csv", {"row": [0], "truth": ["no"]})
    said = evaluate(*arguments)
    assert said.status == 5
    assert said.problem["rule"] in {"missing-file", "unknown-suffix"}


def test_swapped_arguments(here: Path) -> None:
    """Labels in the place of predictions are told to be none."""
    table(here / "later.csv", {"row": [0], "truth": ["no"]})
    said = evaluate("later.csv", "predictions.csv")
    assert said.problem["rule"] == "no-predictions"
    assert said.json["error"]["hint"] == "PREDICTIONS is what the verb predict wrote"


@pytest.mark.parametrize("arguments", [["--key", ","], ["--key", "row,row"], ["--label", "row"], ["--min-f1", "2"]])
def test_options_that_cannot_be(here: Path, arguments: list[str]) -> None:
    """No key, a key twice, a key as label and a share beyond 1 break the rules of options: status 2."""
    table(here / "later.csv", {"row": [0], "truth": ["no"]})
    assert evaluate("predictions.csv", "later.csv", *arguments).status == 2


# --- how it speaks


def test_text_says_what_was_matched(here: Path) -> None:
    """Both sides are counted, the unmatched ones too; then come figures, classes and the confusion matrix."""
    rows = [*range(30), 100, 101]
    table(here / "later.csv", {"row": rows, "truth": [*ANSWERED.labels()[:30], "no", "yes"]})
    said = run_verb("evaluate", "predictions.csv", "later.csv")
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[:2] == [
        "labels: 32 read = 30 matched + 2 without a prediction",
        "predictions: 40 read = 30 matched + 10 without a label",
    ]
    hits = int((ANSWERED.actual[:30] == ANSWERED.predicted[:30]).sum())
    head = "rows  count  accuracy  95 % interval  F1 weighted  95 % interval  F1 macro  log loss"
    assert lines[3].split() == head.split()
    assert lines[4].startswith("  matched (may include training rows)")
    assert lines[4].split()[5:7] == ["30", f"{hits / 30:.4f}"]
    assert evaluate("predictions.csv", "later.csv").json["metrics"]["training_rows"] == "unknown"
    found = evaluate("predictions.csv", "later.csv").json["metrics"]["classes"]
    majority = max(found, key=lambda each: each["rows"])
    share = f"{majority['rows'] / 30:.4f}"
    assert lines[6] == f"majority share: {share} (the accuracy of always answering {majority['label']!r})"
    for line, each in zip(lines[9:12], found, strict=True):
        figures = [f"{each[name]:.4f}" for name in ("precision", "recall", "f1")]
        assert line.removeprefix(f"  {each['label']}").split() == [str(each["rows"]), *figures]
    assert lines[13].startswith("confusion matrix")


def test_quiet_and_summary(here: Path) -> None:
    """--quiet says nothing; --summary appends a page, in which a label can bring no Markdown of its own."""
    table(here / "later.csv", {"row": range(ROWS), "truth": ANSWERED.labels()})
    said = run_verb("evaluate", "predictions.csv", "later.csv", "--quiet", "--summary", "page.md")
    assert said == Said(0, "", "")
    page = (here / "page.md").read_text()
    assert "- labels: 40 read = 40 matched + 0 without a prediction" in page
    assert '| `say "yes", or no` |' in page
    assert "Majority share " in page


def test_gate(here: Path) -> None:
    """--min-accuracy and --min-f1 end with status 3 below the figures, which are said all the same, and name each."""
    table(here / "later.csv", {"row": range(ROWS), "truth": ANSWERED.labels()})
    figures = evaluate("predictions.csv", "later.csv").json["metrics"]
    accuracy, f1 = figures["accuracy"]["value"], figures["f1_weighted"]["value"]
    assert accuracy < 1
    enough = run_verb("evaluate", "predictions.csv", "later.csv", "--min-accuracy", str(accuracy), "--min-f1", str(f1))
    assert enough.status == 0
    assert f"gate: passed (accuracy {accuracy:.4f} >= {accuracy:.4f}, f1_weighted {f1:.4f} >= {f1:.4f})" in enough.out
    said = run_verb("evaluate", "predictions.csv", "later.csv", "--min-accuracy", "1", "--min-f1", "0.1")
    assert said.status == 3
    assert f"{accuracy:.4f}" in said.out
    assert said.err.splitlines() == ["error: the gate failed", f"  gate: accuracy {accuracy} is below 1.0"]
    refused = evaluate("predictions.csv", "later.csv", "--min-accuracy", "1", "--min-f1", "1")
    assert refused.status == refused.json["error"]["status"] == 3
    assert [each["rule"] for each in refused.json["error"]["problems"]] == ["gate-accuracy", "gate-f1_weighted"]


VERB = "import sys\nfrom artifact_pipeline.cli import main\nassert main() == 0\nprint(*sys.modules)"


def test_loads_no_model_and_nothing_of_training(here: Path, run: Run) -> None:
    """Scoring needs no artifact and no runtime, and loads neither scikit-learn, pandas nor pydantic."""
    table(here / "later.csv", {"row": range(ROWS), "truth": ANSWERED.labels()})
    done = run("-c", VERB, "evaluate", "predictions.csv", "later.csv", "--quiet", cwd=here)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "pyarrow" in loaded
    assert not loaded & {"sklearn", "scipy", "pandas", "onnx", "onnxruntime", "joblib", "pydantic", "rich"}


# --- bounds

MANY = 150_000
"""Rows enough for three batches."""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Answered, Path]:
    ours = answered(rows=MANY)
    folder = tmp_path_factory.mktemp("many")
    return ours, ours.write(folder / "predictions.parquet", {"row": np.arange(MANY)})


@pytest.mark.parametrize("held", [3 * 65536, module.HELD])
def test_predictions_stream_by(many: tuple[Answered, Path], here: Path, monkeypatch: Any, held: int) -> None:
    """However many batches are looked up together, the figures are the same, and no more is held than allowed."""
    ours, predictions = many
    expected = [65536, 65536, MANY - 2 * 65536] if held < module.HELD else [2 * 65536, MANY - 2 * 65536]
    monkeypatch.setattr(module, "HELD", held)
    blocks: list[int] = []
    add = module._Join.add

    def counted(self: Any, place: str, batches: Sequence[Any]) -> None:
        blocks.append(sum(len(each.predicted) for each in batches))
        add(self, place, batches)

    monkeypatch.setattr(module._Join, "add", counted)
    picked = np.random.default_rng(1).permutation(MANY)[: MANY * 2 // 3]
    later = write_table(here / "later.parquet", {"row": picked, "truth": np.array(ours.labels())[picked]})
    said = evaluate(predictions, later)
    ours.check(said.json["metrics"], np.sort(picked).tolist())
    assert blocks == expected


def test_repeated_keys_far_apart(many: tuple[Answered, Path], here: Path) -> None:
    """A key that stands again many batches later is found."""
    ours, _ = many
    numbers = np.arange(MANY)
    numbers[-1] = 0
    predictions = ours.write(here / "twice.parquet", {"row": numbers})
    table(here / "later.csv", {"row": [0], "truth": ["no"]})
    assert evaluate(predictions, "later.csv").problem["message"] == 'the key "0" stands twice'
