"""Any classifier through the public door: trained on a mixed table, verified, asked, trained again, compared."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import artifact_pipeline
from artifact_pipeline import api
from artifact_pipeline.artifact.manifest2 import Manifest2
from artifact_pipeline.cli import main
from artifact_pipeline.errors import ConfigError, GateFailed
from artifact_pipeline.training.request import TrainingRequest
from artifact_pipeline.training.run import run
from conftest import run_python

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.training.request import Training

PARTS = {"a": {"estimator": "GaussianNB"}, "b": {"estimator": "DecisionTreeClassifier"}}
FAMILIES: dict[str, dict[str, Any]] = {
    "LogisticRegression": {"C": 1.0, "solver": "lbfgs", "max_iter": 1000},
    "LogisticRegressionCV": {"max_iter": 1000},
    "LinearDiscriminantAnalysis": {},
    "QuadraticDiscriminantAnalysis": {"reg_param": 0.1},
    "RidgeClassifier": {},
    "RidgeClassifierCV": {},
    "LinearSVC": {},
    "SGDClassifier": {},
    "Perceptron": {},
    "PassiveAggressiveClassifier": {},
    "MLPClassifier": {"hidden_layer_sizes": [8], "max_iter": 1000},
    "GaussianNB": {},
    "MultinomialNB": {},
    "ComplementNB": {},
    "BernoulliNB": {},
    "NearestCentroid": {},
    "DecisionTreeClassifier": {"min_samples_leaf": 5},
    "ExtraTreeClassifier": {"min_samples_leaf": 5},
    "RandomForestClassifier": {"n_estimators": 10, "min_samples_leaf": 5},
    "ExtraTreesClassifier": {"n_estimators": 10, "min_samples_leaf": 5},
    "GradientBoostingClassifier": {"n_estimators": 10},
    "HistGradientBoostingClassifier": {"max_iter": 10},
    "SVC": {},
    "NuSVC": {},
    "KNeighborsClassifier": {},
    "VotingClassifier": {"estimators": PARTS},
    "StackingClassifier": {"estimators": PARTS, "final_estimator": {"estimator": "LinearSVC"}, "cv": 3},
    "CalibratedClassifierCV": {"base_estimator": {"estimator": "LinearSVC"}, "cv": 3},
    "OneVsRestClassifier": {"base_estimator": {"estimator": "LinearSVC"}},
    "BaggingClassifier": {"base_estimator": {"estimator": "KNeighborsClassifier"}, "n_estimators": 3},
    "AdaBoostClassifier": {"n_estimators": 5},
}
QUICK = ("RidgeClassifier", "RandomForestClassifier", "BaggingClassifier")
"""Families that stand for the others in the fast run: one with scores, one with probabilities, one nested."""
EACH = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FAMILIES]
COLUMNS = ("age", "income", "made", "city", "smoker", "constant", "rare")


def write_patients(path: Path) -> Path:
    """Write a CSV with numbers, one of them near 1.7e9 and one constant, a boolean, categories, and missing values."""
    generator, rows = np.random.default_rng(3), 400
    age, city = generator.integers(18, 90, rows), generator.choice(["Berlin", "Łódź", "Paris"], rows)
    smoker, rare = generator.choice(["true", "false"], rows), generator.choice(["x", "y"], rows).astype("<U6")
    rare[:3] = ["one", "two", "three"]
    sick = age / 90 + (city == "Paris") * 0.5 + (smoker == "true") * 0.3 + generator.normal(0, 0.2, rows) > 0.8
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "diagnosis"])
        for row in range(rows):
            made = 1_700_000_000 + int(generator.integers(0, 1_000_000))
            values = [age[row] if row % 20 else "", round(generator.lognormal(10, 1), 2), made]
            values += [city[row] if row % 25 else "NA", smoker[row], 3, rare[row]]
            writer.writerow([*values, "sick" if sick[row] else "well"])
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mixed table."""
    return write_patients(tmp_path_factory.mktemp("table") / "patients.csv")


def asked(table: Path, name: str) -> dict[str, Any]:
    """A config that trains a classifier on the table, with a gate that any one passes."""
    return {
        "dataset": {"path": str(table), "target": "diagnosis"},
        "split": {"by": "hash"},
        "preprocess": "auto",
        "model": {"estimator": name, **FAMILIES[name]},
        "gate": {"min_accuracy": 0.3, "min_f1": 0.3, "beats_baseline": False},
    }


def read_rows(path: Path) -> list[dict[str, str]]:
    """The first rows of a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))[:30]


def trained(table: Path, name: str, folder: Path) -> Training:
    """The training of a classifier on the table, published into the folder."""
    return artifact_pipeline.train(asked(table, name), artifact=folder / "artifact", export=folder / "model.pkl")


@pytest.mark.parametrize("name", EACH)
def test_each_family_is_trained_verified_and_asked(name: str, table: Path, tmp_path: Path) -> None:
    """A mixed table is learned; the artifact verifies and answers the training rows as the manifest's figures say."""
    training = trained(table, name, tmp_path)
    manifest = training.manifest
    assert isinstance(manifest, Manifest2)
    assert main(["verify", str(tmp_path / "artifact")]) == 0
    output = tmp_path / "predictions.csv"
    assert main(["predict", str(table), "--artifact", str(tmp_path / "artifact"), "-o", str(output)]) == 0
    scores = json.loads((tmp_path / "predictions.csv.receipt.json").read_text())["metrics"]
    assert (round(scores["accuracy"], 6), scores["rows"]) == (manifest.metrics.all.accuracy, 400)
    header = output.read_text(encoding="utf-8").splitlines()[0]
    kind = {"probabilities": "probability", "scores": "score"}[manifest.model.answers]
    assert header == f"row,split,predicted,{kind}_sick,{kind}_well"


@pytest.mark.parametrize("name", EACH)
def test_each_family_gives_the_same_bytes_again(name: str, table: Path, tmp_path: Path) -> None:
    """A training from the manifest and the table alone gives the artifact's very bytes."""
    trained(table, name, tmp_path)
    assert main(["reproduce", str(tmp_path / "artifact"), "--data", str(table), "--at-least", "bytes"]) == 0


SPREAD: dict[str, dict[str, Any]] = {
    "ExtraTreesClassifier": {"n_estimators": 8},
    "KNeighborsClassifier": {"weights": "distance"},
    "BaggingClassifier": {"n_estimators": 4, "max_features": 0.5},
    "VotingClassifier": {"estimators": {**PARTS, "c": {"estimator": "RandomForestClassifier", "n_estimators": 3}}},
    "StackingClassifier": {"estimators": PARTS, "cv": 2},
    "OneVsRestClassifier": {"base_estimator": {"estimator": "HistGradientBoostingClassifier", "max_iter": 5}},
}
"""Classifiers of which scikit-learn fits several parts at a time, and one whose ties two threads would order."""
FEW = ("KNeighborsClassifier", "BaggingClassifier")


@pytest.mark.parametrize("name", [pytest.param(each, marks=() if each in FEW else pytest.mark.slow) for each in SPREAD])
def test_jobs_change_no_bit(name: str, table: Path, tmp_path: Path) -> None:
    """Two jobs give the artifact that one gives, its parameters and the pickle too; of neighbours, ties included."""
    digests = []
    for jobs in (1, 2):
        config = asked(table, name) | {
            "dataset": {"path": str(table), "target": "diagnosis", "drop": ["income", "made"]},
            "model": {"estimator": name, **SPREAD[name]},
        }
        folder = tmp_path / str(jobs)
        folder.mkdir()
        training = run(TrainingRequest(config, folder / "artifact", folder / "model.pkl", force=True, jobs=jobs))
        assert training.manifest.model.parameters.get("n_jobs") is None
        digests.append((training.digest, (folder / "model.pkl").read_bytes()))
    assert digests[0] == digests[1]


THREADS = """
import sklearn.ensemble, joblib, threadpoolctl
import numpy
from artifact_pipeline.rows.features import Features
from artifact_pipeline.training import fitting

def most(_):
    return max(each["num_threads"] for each in threadpoolctl.threadpool_info() if each["user_api"] == "openmp")

class Looks:
    def fit(self, X, y):
        self.found = joblib.Parallel()(joblib.delayed(most)(each) for each in range(4))

looks = Looks()
fitting.fit_model(looks, [], Features.of_numbers(numpy.zeros((1, 1))), None, jobs=2)
print(sorted(set(looks.found)), joblib.Parallel()(joblib.delayed(most)(each) for each in range(1)))
"""


@pytest.mark.slow
def test_each_job_has_one_openmp_thread(tmp_path: Path) -> None:
    """Threads of joblib do not multiply those of OpenMP, of which a process may have several."""
    done = run_python("-c", THREADS, cwd=tmp_path, env={"OMP_NUM_THREADS": "2"})
    assert done.stdout.strip() == "[1] [2]", done.stderr


def test_columns_are_frozen_as_they_were_learned(table: Path, tmp_path: Path) -> None:
    """The manifest holds each column's kind, what may be missing, and of a category the levels of enough rows."""
    manifest = trained(table, "RidgeClassifier", tmp_path).manifest
    found = {each.name: (each.kind, each.nullable, each.levels) for each in manifest.model.columns}
    assert found == {
        "age": ("number", True, ()),
        "income": ("number", False, ()),
        "made": ("number", False, ()),
        "city": ("category", True, ("", "Berlin", "Paris", "Łódź")),
        "smoker": ("boolean", False, ()),
        "constant": ("number", False, ()),
        "rare": ("category", False, ("x", "y")),
    }


def test_a_level_that_was_never_seen_is_answered_and_drifts(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of a new level are answered as of another one, and the drift names them so."""
    trained(table, "RandomForestClassifier", tmp_path)
    other = tmp_path / "new.csv"
    other.write_text(table.read_text(encoding="utf-8").replace("Paris", "Atlantis"), encoding="utf-8")
    assert main(["predict", str(other), "--artifact", str(tmp_path / "artifact"), "-o", str(tmp_path / "p.csv")]) == 0
    assert re.search("city +chi-square .* drifted .*level", capsys.readouterr().out)


def test_python_answers_rows_with_missing_values(table: Path, tmp_path: Path) -> None:
    """A table in memory is answered bit by bit as the file is, None where a value is missing."""
    trained(table, "RandomForestClassifier", tmp_path)
    model = artifact_pipeline.open_artifact(tmp_path / "artifact")
    rows = read_rows(table)
    columns: dict[str, Any] = {
        name: [None if row[name] in {"", "NA"} else float(row[name]) for row in rows]
        for name in ("age", "income", "made", "constant")
    }
    columns |= {name: [None if row[name] == "NA" else row[name] for row in rows] for name in ("city", "rare")}
    columns["smoker"] = [row["smoker"] == "true" for row in rows]
    assert main(["predict", str(table), "--artifact", str(tmp_path / "artifact"), "-o", str(tmp_path / "p.csv")]) == 0
    written = read_rows(tmp_path / "p.csv")
    assert model.predict(columns).tolist() == [row["predicted"] for row in written]
    assert [f"{each:.6f}" for each in model.predict_proba(columns)[:, 0]] == [
        row["probability_sick"] for row in written
    ]


def test_a_model_without_probabilities_says_so(table: Path, tmp_path: Path) -> None:
    """Where a classifier has scores alone, asking it for probabilities is an error with a mend."""
    trained(table, "RidgeClassifier", tmp_path)
    model = artifact_pipeline.open_artifact(tmp_path / "artifact")
    with pytest.raises(ConfigError, match="gives no probabilities"):
        model.predict_proba({name: [] for name in COLUMNS})


@pytest.mark.parametrize(
    ("seed", "model"),
    [
        (5, {"estimator": "SVC"}),
        (3, {"estimator": "BaggingClassifier", "base_estimator": {"estimator": "SVC"}}),
        (0, {"estimator": "CalibratedClassifierCV", "base_estimator": {"estimator": "SVC"}, "cv": 2}),
    ],
    ids=["alone", "in bags", "calibrated"],
)
def test_votes_that_rounding_decides_are_ties(seed: int, model: dict[str, Any], tmp_path: Path) -> None:
    """A row that is equally far from two classes may get either vote, and is a tie, as by few levels it often is."""
    generator = np.random.default_rng(seed)
    rows = zip(generator.choice(["a", "b", "c", "d"], 80), generator.integers(0, 6, 80), strict=True)
    table = tmp_path / "table.csv"
    table.write_text("site,stage\n" + "".join(f"{site},s{stage}\n" for site, stage in rows))
    config = {"dataset": {"path": str(table), "target": "stage"}, "split": {"by": "random"}, "model": model}
    with pytest.raises(GateFailed) as failed:
        api.train(config, artifact=tmp_path / "artifact")
    parity = failed.value.result.manifest.model.parity
    assert parity.rows == 80
    assert parity.max_difference <= 1e-6
