"""The champion gate between models of different families and columns, and over a table that has grown."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from artifact_pipeline.artifact import provenance
from artifact_pipeline.artifact.pointer import resolve
from artifact_pipeline.cli import main
from artifact_pipeline.metrics import paired
from artifact_pipeline.verification import verify
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Mapping

ROWS = 400
FOREST = {"estimator": "RandomForestClassifier", "n_estimators": 20, "min_samples_leaf": 3}
LOGISTIC = {"estimator": "LogisticRegression"}
KEY = {"by": "hash", "key": ["id"], "test_size": 0.3}
LENIENT = {"min_accuracy": 0.0, "min_f1": 0.0, "margin": 0.5}


def cells(rows: int = ROWS) -> dict[str, Any]:
    random = np.random.default_rng(4)
    columns = blobs(["no", "yes"], rows=rows, seed=3)
    label = columns.pop("label")
    label = np.where(random.random(rows) < 0.15, np.where(label == "no", "yes", "no"), label)
    return {
        "id": [f"p{at}" for at in range(rows)],
        "town": random.choice(["Rom", "Paris", "Bern"], rows),
        "zip": random.choice([8001, 8002, 3007], rows),
        "age": random.normal(40, 9, rows),
        **columns,
        "label": label,
    }


def train(name: str, model: Mapping[str, Any], dataset: Mapping[str, Any], *more: str, **other: Any) -> int:
    """Train into the working folder from rows.csv."""
    config = {
        "dataset": {"path": "rows.csv", "target": "label", **dataset},
        "model": model,
        "preprocess": "auto",
        "split": KEY,
        "gate": LENIENT,
        **other,
    }
    Path("config.json").write_text(json.dumps(config))
    return main(["train", "--config", "config.json", "--artifact", name, "--export", f"{name}.pkl", *more])


@pytest.fixture
def champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A logistic regression over three columns in charge, of which the ZIP code is a category."""
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "rows.csv", cells())
    columns = {"features": ["zip", "width", "height"], "columns": {"zip": "category"}}
    assert train("champion", LOGISTIC, columns, "-q") == 0
    return "champion"


def answers(artifact: str) -> np.ndarray:
    assert main(["predict", "rows.csv", "--artifact", artifact, "-o", "p.csv", "-q"]) == 0
    with Path("p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([[row["predicted"], row["split"]] for row in rows])


def test_models_of_other_columns_are_compared_on_the_same_rows(
    champion: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A forest over five columns, one of them of another kind, is compared with a logistic regression over three."""
    five = {"features": ["age", "town", "zip", "height", "width"]}
    assert train("forest", FOREST, five, "--champion", champion) == 0
    ours, theirs = verify(Path("forest")), verify(Path(champion))
    assert {each.name: each.kind for each in ours.manifest.model.columns}["zip"] == "number"
    assert {each.name: each.kind for each in theirs.manifest.model.columns}["zip"] == "category"
    statement = provenance.Statement.read(resolve(Path("forest")))
    assert statement is not None
    found = statement.internal.comparison
    assert found is not None
    mine, its = answers("forest"), answers(champion)
    out = mine[:, 1] == "held-out"
    assert (mine[:, 1] == its[:, 1]).all()
    classes = np.array(["no", "yes"])
    positions = [np.searchsorted(classes, each[out]) for each in (cells()["label"], mine[:, 0], its[:, 0])]
    expected = paired.compare(*positions, classes=2)
    assert (found.rows, found.won, found.lost) == (out.sum(), expected.won, expected.lost)
    assert found.won + found.lost > 0
    assert found.accuracy.low == round(expected.accuracy.low, 6)
    capsys.readouterr()
    assert main(["compare", "forest", champion, "--data", "rows.csv", "--margin", "0.5", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["comparison"]
    assert (again["won"], again["lost"], again["rows"]) == (found.won, found.lost, found.rows)
    # And the other way round: what the one wins, the other loses.
    assert main(["compare", champion, "forest", "--data", "rows.csv", "--margin", "0.5", "--json"]) == 0
    turned = json.loads(capsys.readouterr().out)["comparison"]
    assert (turned["won"], turned["lost"]) == (found.lost, found.won)
    assert main(["reproduce", "forest", "--data", "rows.csv", "--champion", champion]) == 0


def test_a_column_that_the_champion_lacks_in_the_table_is_named(
    champion: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the table no longer has a column of the champion's, it is named, with what to do, before the fit."""
    write_table(Path("rows.csv"), {name: each for name, each in cells().items() if name != "zip"})
    assert train("other", LOGISTIC, {"features": ["width"]}, "--champion", champion) == 4
    said = capsys.readouterr().err
    assert "rows.csv: no column 'zip', which the champion needs" in said
    assert "hint: give the table the columns that the champion was trained on, or train it again" in said
    assert "training on" not in said


def test_other_columns_by_the_hash_of_features_are_refused_with_a_key(
    champion: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hash of other features holds other rows out, and the refusal says to split both by one key."""
    features = {"by": "hash"}
    assert train("narrow", LOGISTIC, {"features": ["width", "height"]}, "-q", split=features) == 0
    capsys.readouterr()
    assert (
        train("wide", LOGISTIC, {"features": ["width", "height", "age"]}, "--champion", "narrow", split=features) == 4
    )
    said = capsys.readouterr().err
    assert "rows that are held out here" in said
    assert """split both models by one key, such as -S 'split={"by": "hash", "key": ["id"]}'""" in said


@pytest.mark.parametrize("split", [KEY, {"by": "hash"}])
def test_a_champion_of_fewer_rows_is_compared_as_the_table_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], split: Any
) -> None:
    """By a hash split the champion has seen no row that is held out of the grown table, and is compared on all."""
    monkeypatch.chdir(tmp_path)
    drop, columns = {"drop": ["id"]}, cells()
    write_table(Path("rows.csv"), {name: each[:300] for name, each in columns.items()})
    assert train("champion", LOGISTIC, drop, "-q", split=split) == 0
    write_table(Path("rows.csv"), {name: each[::-1] for name, each in columns.items()})
    assert train("grown", FOREST, drop, "--champion", "champion", split=split) == 0
    held_out = verify(Path("grown")).manifest.data.split.held_out
    assert held_out > verify(Path("champion")).manifest.data.split.held_out
    assert f"on the same {held_out} held-out rows" in capsys.readouterr().out
    # Another share or seed holds rows out that the champion has learned.
    wider = {**split, "test_size": 0.6}
    assert train("wider", FOREST, drop, "--champion", "champion", split=wider) == 4
    assert "it may have been trained on" in capsys.readouterr().err


def test_a_champion_of_other_rows_by_chance_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a random split nothing is known of other rows than the champion's own."""
    monkeypatch.chdir(tmp_path)
    drop, columns, split = {"drop": ["id"]}, cells(), {"by": "random"}
    write_table(Path("rows.csv"), {name: each[:300] for name, each in columns.items()})
    assert train("champion", LOGISTIC, drop, "-q", split=split) == 0
    write_table(Path("rows.csv"), columns)
    assert train("grown", LOGISTIC, drop, "--champion", "champion", split=split) == 4
    assert "it was trained on other rows, and may have seen those that are held out here" in capsys.readouterr().err


def test_gaps_that_the_champion_does_not_take_are_named(champion: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A column that has gaps by now is named where the champion, which learned it without, takes none."""
    columns = cells()
    write_table(Path("rows.csv"), {**columns, "width": [None, *columns["width"].tolist()[1:]]})
    assert train("later", LOGISTIC, {"features": ["width", "height"]}, "--champion", champion) == 4
    assert "the column 'width' has gaps here, and it takes none" in capsys.readouterr().err
