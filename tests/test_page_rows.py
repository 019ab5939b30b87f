"""What the page asks of a model of any columns: a row that is tried, why it was answered so, a sample, a table."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

import artifact_pipeline
from artifact_pipeline.artifact.manifest2 import InputColumn, Manifest2
from artifact_pipeline.artifact.reference import FeatureReference
from artifact_pipeline.cli import main
from artifact_pipeline.model.contributions import LinearScores
from artifact_pipeline.model.writer import write
from artifact_pipeline.rows.coded import MISSING_CODE, coded, decoded
from artifact_pipeline.rows.features import Column, Features
from artifact_pipeline.serving.http import Refusal, Request
from artifact_pipeline.serving.model import open_model
from artifact_pipeline.serving.page import form, row, sample, table, typical
from artifact_pipeline.serving.page.row import answer_row, what_spoke
from artifact_pipeline.serving.page.typical import control, typical_row
from artifact_pipeline.verification import verify
from mixedmodels import COLUMNS, MODELS, mixed_rows, new_rows, train_each, write_mixed

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.serving.model import Served

DATATYPES = {"number": "FP64", "boolean": "BOOL", "category": "BYTES"}
STEPS = {
    "scaled": {"number": [{"step": "impute_mean", "indicator": True}, "standard_scale"], "category": ["one_hot"]},
    "components": {
        "number": ["impute_median", "standard_scale", {"step": "pca", "n_components": 2}],
        "category": ["one_hot"],
    },
    "ordinal": {"number": ["impute_median", "min_max_scale"], "category": ["impute_most_frequent", "ordinal"]},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three models of a mixed table, by name: where each was trained."""
    return train_each(tmp_path_factory)


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, Served]:
    return {name: open_model(verify(folder / "artifact")) for name, folder in folders.items()}


def asked(served: Served, values: list[Any]) -> Request:
    """A request for one row."""
    inputs = [
        {"name": column.name, "datatype": DATATYPES[column.kind], "shape": [1], "data": [value]}
        for column, value in zip(served.verified.manifest.model.columns, values, strict=True)
    ]
    return Request("POST", "/page/row", {}, json.dumps({"inputs": inputs}).encode())


def tried(served: Served, values: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer_row(served, asked(served, values)).body)
    return found


def features_of(served: Served, values: list[Any]) -> Features:
    return decoded([values], served.verified.manifest.model.columns)


# --- one row


@pytest.mark.parametrize("name", MODELS)
def test_a_row_is_answered_as_the_model_answers_it(models: dict[str, Served], name: str) -> None:
    """A row that is tried gets the label and the numbers of the predictor, missing values and other levels included."""
    served = models[name]
    for values in ([40, 3e4, 1_700_000_500, "Paris", "a", True], [None, 1.5, 1_699_999_999, None, "never seen", None]):
        found = tried(served, values)
        expected = served.predictor.predict_features(features_of(served, values))
        assert found["values"] == expected.values[0].tolist()
        assert found["best"] == expected.positions[0]
        assert len(found["spoke"]) == len(COLUMNS)


@pytest.mark.parametrize("rows", [0, 2])
def test_one_row_is_asked_at_a_time(models: dict[str, Served], rows: int) -> None:
    """The page asks for one row; what holds none or several is refused with 400."""
    request = asked(models["logistic"], [40, 3e4, 1.7e9, "Paris", "a", True])
    body = json.loads(request.body)
    for tensor in body["inputs"]:
        tensor |= {"shape": [rows], "data": tensor["data"] * rows}
    request.body = json.dumps(body).encode()
    with pytest.raises(Refusal, match=r"one row|no rows") as caught:
        answer_row(models["logistic"], request)
    assert caught.value.status == 400


# --- what spoke


def scores_of(served: Served, rows: Features) -> np.ndarray:
    """The scores of rows: those of the model, or the logarithms of its probabilities, which are as far apart."""
    values = served.predictor.predict_features(rows).values
    return values if served.predictor.kind == "scores" else np.log(values)


def see_that_contributions_add_up(served: Served, steps: str) -> None:
    """Two rows' scores are as far apart as what their columns add."""
    scores = LinearScores.of(served.verified.manifest, served.verified.role("model"))
    assert scores is not None
    rows = decoded([*new_rows(), *[row[:-1] for row in mixed_rows(40)]], served.verified.manifest.model.columns)
    apart = np.diff(scores_of(served, rows), axis=1)[:, 0]
    added = np.array([np.diff(scores.contributions(rows[at : at + 1]).sum(axis=0))[0] for at in range(len(rows))])
    assert np.ptp(apart) > 1
    assert np.abs((apart - apart[0]) - (added - added[0])).max() < 1e-6, steps


@pytest.mark.parametrize("name", ["logistic", "ridge"])
def test_contributions_are_exact(models: dict[str, Served], name: str) -> None:
    """For a linear model what the columns add is the score, beside a constant that no column changes."""
    see_that_contributions_add_up(models[name], name)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in STEPS])
def test_contributions_are_exact_behind_any_steps(name: str, tmp_path: Path) -> None:
    """They add up behind indicators, principal components and codes of levels, too."""
    data = write_mixed(tmp_path / "rows.csv", mixed_rows())
    config = {
        "dataset": {"path": str(data), "target": "diagnosis"},
        "preprocess": STEPS[name],
        "model": MODELS["logistic"],
        "gate": {"min_accuracy": 0.3, "min_f1": 0.3},
    }
    artifact_pipeline.train(config, artifact=tmp_path / "artifact", export=tmp_path / "model.pkl")
    see_that_contributions_add_up(open_model(verify(tmp_path / "artifact")), name)


def test_contributions_are_exact_behind_steps_on_all_columns_together(models: dict[str, Served]) -> None:
    """Principal components of several columns, and steps behind them, give each column its share."""
    from sklearn.compose import ColumnTransformer
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler

    random = np.random.default_rng(5)
    X, S = random.normal(size=(90, 3)) * [1, 10, 100], random.choice(["x", "y", "z"], (90, 1)).astype(object)
    y = np.where(X[:, 0] + X[:, 1] / 10 + (S[:, 0] == "x") > 0, "yes", "no")
    pieces = ColumnTransformer([
        ("number", make_pipeline(MinMaxScaler(), PCA(2, whiten=True)), [0, 1, 2]),
        ("category", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [3]),
    ])  # fmt: skip
    pipeline = make_pipeline(pieces, StandardScaler(), PCA(3), RobustScaler(), LogisticRegression())
    pipeline.fit(np.concatenate([X.astype(object), S], axis=1), y)
    columns = [*(Column(name, "number") for name in "abc"), Column("d", "category", levels=("x", "y", "z"))]
    data, steps = write(pipeline, columns)
    said = models["logistic"].verified.manifest
    assert isinstance(said, Manifest2)
    inputs = [InputColumn(name=each.name, kind=each.kind, nullable=False) for each in columns[:3]]
    inputs.append(InputColumn(name="d", kind="category", nullable=False, levels=("x", "y", "z"), other="accept"))
    spec = msgspec.to_builtins(steps)
    model = msgspec.structs.replace(said.model, inputs=tuple(inputs), steps=spec, classes=("no", "yes"))
    scores = LinearScores.of(msgspec.structs.replace(said, model=model), data)
    assert scores is not None
    rows = Features(X, S)
    added = np.array([np.diff(scores.contributions(rows[at : at + 1]).sum(axis=0))[0] for at in range(90)])
    apart = pipeline.decision_function(np.concatenate([X.astype(object), S], axis=1))
    assert np.ptp(apart) > 1
    assert np.abs((apart - apart[0]) - (added - added[0])).max() < 1e-9


def test_a_column_that_changes_nothing_adds_the_same(models: dict[str, Served]) -> None:
    """What one column adds does not depend on the other columns."""
    served = models["logistic"]
    first = tried(served, [40, 3e4, 1_700_000_500, "Paris", "a", True])
    second = tried(served, [80, 1e5, 1_700_000_500, "Paris", "b", None])
    assert first["by"] == "contributions"
    sign = 1 if first["best"] == second["best"] else -1
    for column in (2, 3):
        assert math.isclose(first["spoke"][column], sign * second["spoke"][column])
    assert first["spoke"][0] != sign * second["spoke"][0]


def test_of_other_models_it_is_the_change_to_the_typical_value(models: dict[str, Served]) -> None:
    """A forest's answer loses just what is said where one sets the column to its typical value."""
    served = models["forest"]
    values = [80.0, 3e4, 1_700_000_500.0, "Paris", "never seen", None]
    found = tried(served, values)
    assert found["by"] == "typical"
    for column, usual in enumerate(typical_row(served)):
        other = [*values[:column], usual, *values[column + 1 :]]
        answers = served.predictor.predict_features(features_of(served, other))
        assert math.isclose(found["spoke"][column], found["values"][found["best"]] - answers.values[0, found["best"]])
    assert any(found["spoke"])


def test_nothing_speaks_for_the_typical_row_of_a_forest(models: dict[str, Served]) -> None:
    """Where each column is typical, none makes a difference."""
    served = models["forest"]
    by, spoke = what_spoke(served, features_of(served, typical_row(served)), 0)
    assert (by, spoke.tolist()) == ("typical", [0.0] * len(COLUMNS))


def test_of_many_columns_the_first_are_tried(models: dict[str, Served], monkeypatch: pytest.MonkeyPatch) -> None:
    """However many columns there are, the rows that are answered for one row have a bound."""
    served = models["forest"]
    values = [80.0, 3e4, 1_700_000_500.0, "never seen", "never seen", None]
    whole = tried(served, values)["spoke"]
    monkeypatch.setattr(row, "MAX_TRIED", 4)
    assert tried(served, values)["spoke"] == [*whole[:4], 0.0, 0.0]


# --- the typical row


@pytest.mark.parametrize("count", [1, 2, 7, 40, 401])
@pytest.mark.parametrize("spread", [1, 5, 1000])
def test_the_typical_number_is_the_median(count: int, spread: int) -> None:
    """Of few values it is one of them in the middle; of many the median itself; missing ones do not count."""
    values = np.random.default_rng(count * spread).integers(0, spread, count).astype(float) + 0.25
    for missing in (0, count):
        column = Column("a", "number", nullable=missing > 0)
        gaps = np.full(missing, MISSING_CODE)
        feature = FeatureReference.of(np.concatenate([values, gaps]), "a", nullable=column.nullable)
        found = typical._typical(feature, column)
        assert (values < found).sum() <= count / 2
        assert (values > found).sum() <= count / 2
        if not feature.discrete:
            assert found == np.median(values)


def test_the_typical_level_is_the_most_frequent() -> None:
    """Neither a missing value nor all other levels together are typical while there is a level that is known."""
    column = Column("a", "category", nullable=True, levels=("", "x", "y"))
    rows = Features(
        np.empty((10, 0)), np.array([[text] for text in ["", "", "", "", "z", "z", "z", "y", "y", "x"]], dtype=object)
    )
    feature = FeatureReference.of_category(coded([column], rows.X.T, rows.S.T)[0], 3, "a")
    assert typical._typical(feature, column) == "y"
    empty = Column("a", "category", nullable=True, levels=("",))
    assert typical._typical(FeatureReference.of_category(np.zeros(3), 1, "a"), empty) is None


def test_the_form_knows_each_column(models: dict[str, Served]) -> None:
    """The page is told of each column what it may be, and which value is typical."""
    served = models["logistic"]
    age, income, made, city, plan, smoker = form.panel().about(served)["columns"]
    assert (age["kind"], age["nullable"], age["low"], age["whole"]) == ("number", True, 18.0, True)
    assert (income["nullable"], income["whole"]) == (False, False)
    assert made["low"] < made["typical"] < made["high"]
    assert (city["levels"], city["nullable"], city["other"]) == (["Berlin", "Paris", "Łódź"], True, True)
    assert plan["levels"] == ["a", "b", "c:d", 'say "e"']
    assert smoker["typical"] in {True, False}


def test_a_column_of_decimals_is_not_taken_for_whole_numbers() -> None:
    """Temperatures to a tenth are no whole numbers, though their deciles look like those of whole ones."""
    values = np.arange(350, 421) / 10
    feature = FeatureReference.of(values, "a")
    assert not control(feature, Column("a", "number"), 37.0)["whole"]
    assert control(FeatureReference.of(np.arange(100.0), "a"), Column("a", "number"), 37.0)["whole"]


# --- the sample


@pytest.mark.parametrize("name", MODELS)
def test_the_sample_is_a_table_of_the_model(models: dict[str, Served], name: str) -> None:
    """The sample has the model's columns, and read back it gets the golden labels."""
    served = models[name]
    response = sample.sample(served)
    assert dict(response.headers)[b"content-disposition"] == f'attachment; filename="{served.name}-sample.csv"'.encode()
    head, *rows = csv.reader(io.StringIO(response.body.decode()))
    assert tuple(head) == COLUMNS
    assert len(rows) > 10
    answer = json.loads(table.read_table(served, response.body).body)
    golden = json.loads(served.verified.role("selftest"))["labels"]
    labels = [served.labels[each] for each in answer["answers"]["label"]]
    assert (answer["rejected"]["rows"], labels) == (0, golden[: len(rows)])


def test_a_sample_holds_nothing_that_a_spreadsheet_runs(tmp_path: Path) -> None:
    """Rows with a level that looks like a formula are left out of the sample; a column of such a name has none."""
    rows = mixed_rows()
    for each in rows:
        each[4] = {"b": "=1+1", "a": "@a"}.get(each[4], each[4])
    data = write_mixed(tmp_path / "rows.csv", rows)
    config = {"dataset": {"path": str(data), "target": "diagnosis"}, "preprocess": "auto", "model": MODELS["ridge"]}
    config["gate"] = {"min_accuracy": 0.3, "min_f1": 0.3}
    artifact_pipeline.train(config, artifact=tmp_path / "artifact", export=tmp_path / "model.pkl")
    served = open_model(verify(tmp_path / "artifact"))
    assert "=1+1" in form.panel().about(served)["columns"][4]["levels"]
    text = sample.sample(served).body.decode()
    assert len(text.splitlines()) > 3
    assert "=1+1" not in text
    assert "@a" not in text
    assert not sample.has_sample([Column("=cmd", "number")])


# --- tables


@pytest.mark.parametrize("name", MODELS)
def test_the_answers_are_the_file_that_predict_writes(
    folders: dict[str, Path], models: dict[str, Served], name: str, tmp_path: Path
) -> None:
    """What one downloads for a table has the very bytes that `predict` writes."""
    data = write_mixed(tmp_path / "new.csv", new_rows())
    output = tmp_path / "answers.csv"
    command = ["predict", str(data), "--artifact", str(folders[name] / "artifact"), "-o", str(output)]
    assert main([*command, "--on-error", "quarantine"]) == 0
    response = table.answers_file(models[name], data.read_bytes())
    assert response.body == output.read_bytes()
    assert response.rows == len(output.read_bytes().splitlines()) - 1


def test_a_table_shows_each_row(models: dict[str, Served], tmp_path: Path) -> None:
    """Each row comes back with its answer, its label where it has one, and its values, None where one is missing."""
    served = models["forest"]
    rows = mixed_rows(60)
    rows[3][-1] = ""
    data = write_mixed(tmp_path / "rows.csv", rows)
    found = json.loads(table.read_table(served, data.read_bytes()).body)
    expected = served.predictor.predict_features(
        decoded([each[:-1] for each in rows], served.verified.manifest.model.columns)
    )
    answers = found["answers"]
    assert answers["row"] == list(range(60))
    assert answers["label"] == expected.positions.tolist()
    assert answers["sure"] == expected.values.max(axis=1).round(6).tolist()
    assert answers["actual"] == [served.labels.index(each[-1]) if each[-1] else -1 for each in rows]
    assert found["cells"] == [each[:-1] for each in rows]


@pytest.fixture(scope="module")
def split_by_hash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model whose rows were held out by the hash of a column that it does not take."""
    folder = tmp_path_factory.mktemp("hashed")
    data = write_mixed(folder / "patients.csv", mixed_rows())
    config = {
        "dataset": {"path": str(data), "target": "diagnosis", "drop": ["made"]},
        "split": {"by": "hash", "key": ["made"], "test_size": 0.3},
        "preprocess": "auto",
        "model": MODELS["logistic"],
        "gate": {"min_accuracy": 0.3, "min_f1": 0.3},
    }
    artifact_pipeline.train(config, artifact=folder / "artifact", export=folder / "model.pkl")
    return folder


def test_held_out_rows_of_any_labelled_table_are_told_apart(split_by_hash: Path, tmp_path: Path) -> None:
    """By a hash split each row's side is said as `predict` says it, and the figures of the sides stand apart."""
    served = open_model(verify(split_by_hash / "artifact"))
    data = write_mixed(tmp_path / "some.csv", [*mixed_rows()[50:150], *mixed_rows(50, seed=9)])
    output = tmp_path / "answers.csv"
    assert main(["predict", str(data), "--artifact", str(split_by_hash / "artifact"), "-o", str(output)]) == 0
    assert table.answers_file(served, data.read_bytes()).body == output.read_bytes()
    expected = [each["split"] for each in csv.DictReader(io.StringIO(output.read_text()))]
    found = json.loads(table.read_table(served, data.read_bytes()).body)
    assert [{0: "training", 1: "held-out"}[side] for side in found["answers"]["side"]] == expected
    accuracy, notes = found["accuracy"], found["notes"]
    assert (accuracy["own"], accuracy["rows"], notes) == (False, 150, [])
    assert {each["name"]: each["rows"] for each in accuracy["splits"]} == {
        name: expected.count(name) for name in ("held-out", "training")
    }
    right = np.array(found["answers"]["label"]) == found["answers"]["actual"]
    held_out = next(each for each in accuracy["splits"] if each["name"] == "held-out")
    assert held_out["value"] == right[np.array(expected) == "held-out"].mean()


def test_a_table_without_the_key_is_not_told_apart(split_by_hash: Path, tmp_path: Path) -> None:
    """Where the column is missing whose hash decides, one sentence says so, and no side is claimed."""
    served = open_model(verify(split_by_hash / "artifact"))
    data = write_mixed(tmp_path / "some.csv", mixed_rows(50)).read_bytes().replace(b"made", b"done", 1)
    found = json.loads(table.read_table(served, data).body)
    assert found["notes"] == ["table has no column 'made', by which training rows were told from held-out ones"]
    assert found["accuracy"]["splits"] == []
    assert set(found["answers"]["side"]) == {-1}


def test_the_values_of_a_large_table_are_left_out(
    models: dict[str, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a table with more values than the page shows there are the answers alone."""
    data = write_mixed(tmp_path / "rows.csv", mixed_rows(60)).read_bytes()
    monkeypatch.setattr(table, "MAX_CELLS", 60 * len(COLUMNS) - 1)
    found = json.loads(table.read_table(models["forest"], data).body)
    assert found["cells"] is None
    assert len(found["answers"]["row"]) == 60


def test_scores_are_shown_as_they_are(models: dict[str, Served], tmp_path: Path) -> None:
    """Where a model gives scores, what stands beside the answer is its score."""
    served = models["ridge"]
    rows = [each[:-1] for each in mixed_rows(30)]
    data = write_mixed(tmp_path / "rows.csv", rows)
    found = json.loads(table.read_table(served, data.read_bytes()).body)
    values = served.predictor.predict_features(decoded(rows, served.verified.manifest.model.columns)).values
    assert found["answers"]["sure"] == values.max(axis=1).round(6).tolist()
