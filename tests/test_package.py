"""A model that was trained elsewhere gets the same proof, or one refusal that names the step and what can be done."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    LabelEncoder,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

import artifact_pipeline as ap
from artifact_pipeline.errors import ArtifactRejected, ConfigError, DataRejected, GateFailed, PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

    Run = Callable[..., Any]

ROWS = 400
LEVELS = ("Berlin", "Oslo", "Paris", "Rome", "Łódź")


def frame(seed: int = 0) -> pd.DataFrame:
    """Numbers, one of them whole, texts, whole numbers that are classes, booleans; some values are missing."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "id": np.arange(ROWS),
            "age": random.normal(40, 12, ROWS),
            "income": random.lognormal(10, 1, ROWS),
            "city": random.choice(LEVELS, ROWS, p=[0.3, 0.3, 0.2, 0.18, 0.02]),
            "plan": random.integers(8, 12, ROWS),
            "member": random.random(ROWS) < 0.4,
        }
    )
    table.loc[random.random(ROWS) < 0.1, "age"] = np.nan
    table.loc[random.random(ROWS) < 0.05, "city"] = np.nan
    return table


def labels(table: pd.DataFrame) -> np.ndarray:
    """What depends on each column but the number of the row."""
    score = 0.05 * (table["age"].fillna(40) - 40) + np.log(table["income"]) - 10 + 1.2 * (table["city"] == "Berlin")
    score += 0.5 * table["member"] - (table["plan"] == 10) + np.random.default_rng(1).normal(0, 0.6, len(table))
    return np.where(score > 0.5, "yes", "no")


TABLE = frame()
LABELS = labels(TABLE)
NUMBERS, CATEGORIES = ["age", "income"], ["city", "plan"]
PLAIN = TABLE[["income", "plan", "member"]]
MATRIX = PLAIN.to_numpy(np.float64)


def logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=1000)


def imputed(*steps: Any) -> Pipeline:
    return make_pipeline(SimpleImputer(), *(steps or (StandardScaler(),)))


def columns(*transformers: Any, classifier: Any = None, after: tuple[Any, ...] = (), **options: Any) -> Pipeline:
    """A pipeline that begins with a `ColumnTransformer`."""
    named = [(f"part{at}", *each) for at, each in enumerate(transformers)]
    return make_pipeline(ColumnTransformer(named, **options), *after, classifier or logistic())


def encoded(encoder: Any, names: Any = ("city", "plan"), **options: Any) -> Pipeline:
    return columns((imputed(), NUMBERS), (encoder, list(names)), **options)


UNKNOWN = {"handle_unknown": "ignore"}
RARE = {"handle_unknown": "infrequent_if_exist"}
ORDINAL = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
WRITTEN: dict[str, tuple[Any, Any]] = {
    "by names": (encoded(OneHotEncoder(**UNKNOWN)), TABLE),
    "by positions": (columns((imputed(), [1, 2]), (OneHotEncoder(), [3, -2])), TABLE),
    "by slices and marks": (
        columns((imputed(), slice(1, 3)), (OneHotEncoder(), [False] * 3 + [True] + [False] * 2)),
        TABLE,
    ),
    "by a selector": (
        columns(
            (imputed(), make_column_selector(dtype_include="float")),
            (OneHotEncoder(**UNKNOWN), make_column_selector(dtype_include=["str", "object"])),
        ),
        TABLE,
    ),
    "categories first, the rest as it is": (
        columns((OneHotEncoder(**UNKNOWN), CATEGORIES), (imputed(), NUMBERS), remainder="passthrough"),
        TABLE,
    ),
    "the rest by a step of its own": (
        columns((OneHotEncoder(**UNKNOWN), CATEGORIES), remainder=imputed(RobustScaler())),
        TABLE,
    ),
    "a column twice": (columns((imputed(), NUMBERS), (imputed(MinMaxScaler()), ["age"])), TABLE),
    "steps behind all columns": (
        encoded(OneHotEncoder(**UNKNOWN), after=(StandardScaler(with_mean=False), PCA(3)), sparse_threshold=0),
        TABLE,
    ),
    "a pipeline in a pipeline": (
        Pipeline(
            [("prepare", Pipeline([("columns", encoded(OneHotEncoder())[0]), ("no", None)])), ("fit", logistic())]
        ),
        TABLE,
    ),
    "the first level dropped": (encoded(OneHotEncoder(drop="first", **UNKNOWN)), TABLE),
    "one of two levels dropped": (encoded(OneHotEncoder(drop="if_binary"), ["city", "member"]), TABLE),
    "rare levels together": (encoded(OneHotEncoder(min_frequency=30, **RARE)), TABLE),
    "at most three levels, the first dropped": (encoded(OneHotEncoder(max_categories=3, drop="first", **RARE)), TABLE),
    "levels in another order": (encoded(OneHotEncoder(categories=[[*LEVELS[::-1]]], **UNKNOWN), ["city"]), TABLE),
    "a category that is imputed": (
        encoded(make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(**UNKNOWN)), ["city"]),
        TABLE,
    ),
    "a category with a level for what is missing": (
        encoded(make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder()), ["city"]),
        TABLE,
    ),
    "an encoder with a scaler behind": (
        encoded(make_pipeline(OneHotEncoder(**UNKNOWN), StandardScaler(with_mean=False)), ["city"]),
        TABLE,
    ),
    "positions of levels": (
        encoded(
            OrdinalEncoder(**ORDINAL, encoded_missing_value=-2),
            ["city", "plan", "member"],
            classifier=HistGradientBoostingClassifier(max_iter=5),
        ),
        TABLE,
    ),
    "positions of frequent levels": (
        encoded(OrdinalEncoder(**ORDINAL, encoded_missing_value=-2, max_categories=3)),
        TABLE,
    ),
    "an encoder of all columns": (
        make_pipeline(OneHotEncoder(**UNKNOWN), logistic()),
        TABLE[["city", "member"]],
    ),
    "columns of the dtype category": (encoded(OneHotEncoder(**UNKNOWN)), TABLE.astype({"city": "category"})),
    "texts in which None is missing": (
        encoded(OneHotEncoder(**UNKNOWN)),
        TABLE.assign(city=TABLE["city"].astype(object).where(TABLE["city"].notna(), None)),
    ),
    "a level that is read as missing": (encoded(OneHotEncoder()), TABLE.assign(city=TABLE["city"].fillna("NA"))),
    "a frame of Polars": (encoded(OneHotEncoder(**UNKNOWN)), pl.from_pandas(TABLE)),
    "a matrix of objects": (columns((imputed(), [1, 2]), (OneHotEncoder(), [3, 4])), TABLE.to_numpy(object)),
    "an indicator of missing values": (columns((SimpleImputer(add_indicator=True), NUMBERS)), TABLE),
    "missing values that a forest takes": (RandomForestClassifier(5, random_state=0), TABLE[NUMBERS]),
    "a classifier alone": (logistic(), PLAIN),
    "a matrix": (make_pipeline(StandardScaler(), logistic()), MATRIX),
    "columns without names": (make_pipeline(StandardScaler(), logistic()), pd.DataFrame(MATRIX)),
    "float32": (make_pipeline(StandardScaler(), logistic()), MATRIX.astype(np.float32)),
    "a frame of float32": (make_pipeline(StandardScaler(), logistic()), PLAIN.astype(np.float32)),
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def as_read(X: Any, names: list[str]) -> Any:
    """Rows as an artifact takes them, where X does not have the names that it has."""
    if isinstance(X, np.ndarray) and X.dtype == object:
        return {name: X[:, int(name[1:])].tolist() for name in names}
    return X.to_numpy(np.float64) if isinstance(X, pd.DataFrame) and X.columns[0] == 0 else X


def fitted(model: Any, X: Any, y: Any = LABELS) -> Any:
    return model.fit(X, y)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_packaged_model_answers_as_the_model_does(name: str) -> None:
    """No label differs from those of scikit-learn on the given rows, and no probability by more than 1e-6."""
    model, X = WRITTEN[name]
    fitted(model, X)
    done = ap.package(model, X, LABELS, name="m", gate={"min_accuracy": 0.5})
    artifact = ap.open_artifact("artifact", expect=done.digest)
    taken = as_read(X, [each.name for each in done.manifest.model.inputs])
    assert (artifact.predict(taken) == model.predict(X)).all()
    assert np.abs(artifact.predict_proba(taken) - model.predict_proba(X)).max() < 1e-6
    assert done.manifest.model.parity.rows == ROWS + 10_000


def test_rows_that_were_not_given_get_the_answers_of_the_model() -> None:
    """Levels that no row had, and gaps where there were none, are answered as scikit-learn answers them."""
    model = fitted(encoded(OneHotEncoder(min_frequency=30, **RARE)), TABLE)
    ap.package(model, TABLE, LABELS, name="m")
    later = frame(seed=5)
    later.loc[::7, "city"] = "Tromsø"
    later.loc[::5, "plan"] = 99
    later.loc[::4, "income"] = np.nan
    artifact = ap.open_artifact("artifact")
    assert np.abs(artifact.predict_proba(later) - model.predict_proba(later)).max() < 1e-12


def test_columns_may_come_in_another_order_and_dropped_ones_be_missing() -> None:
    """Columns are found by the names that the model was fitted on."""
    model = fitted(encoded(OneHotEncoder(**UNKNOWN)), TABLE)
    one = ap.package(model, TABLE, LABELS, name="m")
    two = ap.package(model, TABLE[["plan", "city", "income", "age"]], LABELS, name="m")
    three = ap.package(model, {name: TABLE[name].tolist() for name in TABLE}, LABELS, name="m")
    assert one.digest == two.digest == three.digest
    assert [each.name for each in one.manifest.model.inputs] == ["age", "income", "city", "plan"]


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (LABELS == "yes", ("False", "True")),
        ((LABELS == "yes").astype(float), (0, 1)),
        ((LABELS == "yes").astype(np.int8) * 7 - 3, (-3, 4)),
        (LABELS.astype(np.str_), ("no", "yes")),
        (LABELS.astype(object), ("no", "yes")),
        (LABELS.tolist(), ("no", "yes")),
        (pa.chunked_array([LABELS.tolist()]), ("no", "yes")),
    ],
    ids=["booleans", "floats", "whole numbers", "texts", "objects", "a list", "a column of Arrow"],
)
def test_labels_of_any_type(y: Any, classes: tuple[int | str, ...]) -> None:
    """Booleans become the texts that a CSV of them holds, whole floats whole numbers; others stay as they are."""
    model = fitted(logistic(), PLAIN, y)
    done = ap.package(model, PLAIN, y, name="m", gate={"min_accuracy": 0.5})
    assert done.manifest.model.classes == classes
    places = np.searchsorted(model.classes_, model.predict(PLAIN))
    assert (ap.open_artifact("artifact").predict(PLAIN) == np.array(classes)[places]).all()


def test_the_work_is_proportional_to_the_number_of_categories() -> None:
    """Of twice as many encoded columns, twice as much is computed: each column's levels are read a few times."""

    def calls(columns: int) -> int:
        table = pd.DataFrame({f"c{number}": np.array(LEVELS)[np.arange(60) % 5] for number in range(columns)})
        encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3)
        model, count = make_pipeline(encoder, logistic()).fit(table, LABELS[:60]), 0

        def counted(frame: FrameType, event: str, _: object) -> None:
            nonlocal count
            count += event == "call" and frame.f_code.co_filename.endswith("encoders.py")

        sys.setprofile(counted)
        try:
            ap.package(model, table, LABELS[:60], name="m", gate={"min_accuracy": 0.0})
        finally:
            sys.setprofile(None)
        return count

    assert calls(80) < 2.5 * calls(40)


def test_the_manifest_says_what_is_not_known() -> None:
    """The data are `packaged`, no row is one of training, and the label has the name of the series."""
    done = ap.package(fitted(logistic(), PLAIN), PLAIN, pd.Series(LABELS, name="bought"), name="m")
    manifest = done.manifest
    assert manifest.recipe == {"dataset": "packaged", "gate": {"beats_baseline": True}}
    assert (manifest.data.sources[0].name, manifest.data.target) == ("packaged", "bought")
    assert (manifest.data.split.training, manifest.data.split.held_out) == (0, ROWS)
    assert manifest.metrics.training is None
    assert manifest.exports == ()


def test_the_same_model_and_rows_give_the_same_bytes() -> None:
    """Two packagings give one artifact."""
    model = fitted(encoded(OneHotEncoder()), TABLE)
    assert len({ap.package(model, TABLE, LABELS, name="m").digest for _ in range(2)}) == 1


def test_the_verbs_take_a_packaged_artifact(run: Run, tmp_path: Path) -> None:
    """It verifies, predicts, shows itself, lists itself and finds drift as any artifact does."""
    ap.package(fitted(encoded(OneHotEncoder(**UNKNOWN)), TABLE), TABLE, LABELS, name="m")
    TABLE.assign(label=LABELS).to_csv(tmp_path / "rows.csv", index=False)
    frame(seed=3).assign(income=1.0).to_csv(tmp_path / "later.csv", index=False)
    for command in ("verify", "inspect", "runs", "predict rows.csv -o rows.parquet"):
        done = run("-m", "artifact_pipeline", *command.split(), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = run(
        "-m", "artifact_pipeline", *["predict", "later.csv", "-o", "later.parquet", "--fail-on-drift"], cwd=tmp_path
    )
    assert done.returncode == 7, done.stderr
    receipt = json.loads((tmp_path / "rows.parquet.receipt.json").read_text())
    assert receipt["rows"]["written"] == ROWS


def test_a_packaged_model_cannot_be_trained_again(run: Run, tmp_path: Path) -> None:
    """`reproduce` refuses it with one sentence that says why."""
    ap.package(fitted(logistic(), PLAIN), PLAIN, LABELS, name="m")
    with pytest.raises(ArtifactRejected) as refusal:
        ap.reproduce("artifact")
    assert refusal.value.rules == {"packaged"}
    done = run("-m", "artifact_pipeline", "reproduce", cwd=tmp_path)
    assert done.returncode == 4
    assert "the model was trained elsewhere and packaged" in done.stderr


def test_two_packaged_models_are_compared_on_their_rows(tmp_path: Path) -> None:
    """`compare` takes the file of the given rows."""
    for name, model in (("one", logistic()), ("two", RandomForestClassifier(5, max_depth=2, random_state=0))):
        (tmp_path / name).mkdir()
        ap.package(fitted(model, PLAIN), PLAIN, LABELS, name="m", artifact=f"{name}/artifact", gate={"min_f1": 0.1})
    PLAIN.assign(label=LABELS).to_csv(tmp_path / "rows.csv", index=False)
    found = ap.compare("two/artifact", "one/artifact", data="rows.csv")
    assert found.rows == ROWS
    assert found.outcome in {"passed", "failed", "inconclusive"}


def test_a_gate_that_fails_keeps_the_candidate_out_of_charge() -> None:
    """What was in charge stays there, and the error has the candidate."""
    first = ap.package(fitted(logistic(), PLAIN), PLAIN, LABELS, name="m")
    with pytest.raises(GateFailed) as refusal:
        ap.package(fitted(logistic(), PLAIN[["member"]]), PLAIN, LABELS, name="m", gate={"min_accuracy": 0.99})
    assert refusal.value.rules == {"gate-accuracy"}
    assert refusal.value.result.outcome == "failed"
    assert ap.open_artifact("artifact").digest == first.digest
    assert len(ap.runs("artifact")) == 2


NOT_WRITTEN: dict[str, tuple[Any, Any, str, str]] = {
    "a function": (
        columns((FunctionTransformer(np.log1p), ["income"])),
        TABLE,
        "step 'columntransformer.part0': FunctionTransformer",
        "compute such columns",
    ),
    "another step": (columns((KBinsDiscretizer(), ["income"])), TABLE, "'columntransformer.part0': KBins", "Scaler"),
    "a step in a pipeline": (
        columns((imputed(MinMaxScaler(clip=True)), NUMBERS)),
        TABLE,
        "step 'columntransformer.part0.minmaxscaler': MinMaxScaler with clip=True",
        "clip=False",
    ),
    "a union": (
        make_pipeline(FeatureUnion([("one", StandardScaler())]), logistic()),
        PLAIN,
        "step 'featureunion'",
        "ColumnTransformer",
    ),
    "a scaler before an encoder": (
        columns((make_pipeline(MinMaxScaler(), OneHotEncoder()), ["plan"])),
        TABLE,
        "MinMaxScaler before OneHotEncoder",
        "SimpleImputer alone",
    ),
    "weights": (columns((imputed(), NUMBERS), transformer_weights={"part0": 2}), TABLE, "transformer_weights", "leave"),
    "NaN for what is missing": (
        encoded(OrdinalEncoder(), classifier=HistGradientBoostingClassifier(max_iter=3)),
        TABLE,
        "OrdinalEncoder with encoded_missing_value=nan",
        "encoded_missing_value=-1",
    ),
    "levels with decimals": (
        columns((OneHotEncoder(), ["income"])),
        TABLE,
        "levels are texts, whole numbers",
        "as text",
    ),
    "a number that is a category too": (
        columns((StandardScaler(), ["plan"]), (OneHotEncoder(), ["plan"])),
        TABLE,
        "the column 'plan' is encoded",
        "a copy of the column",
    ),
    "another missing value": (
        columns((SimpleImputer(missing_values=8), ["plan"])),
        TABLE,
        "SimpleImputer with missing_values=8",
        "missing_values=numpy.nan",
    ),
    "two missing values": (
        encoded(OneHotEncoder(), ["city"]),
        TABLE.assign(city=TABLE["city"].astype(object).where(TABLE["plan"] != 8, None)),
        "a missing value in two ways",
        "write it in one way",
    ),
    "several labels": (MultiOutputClassifier(logistic()), PLAIN, "several labels", "one model for each label"),
    "a search": (GridSearchCV(logistic(), {"C": [1, 2]}, cv=2), PLAIN, "is a search", "best_estimator_"),
    "a regression": (Ridge(), PLAIN, "Ridge is no classifier", "classifier"),
}


@pytest.mark.parametrize("name", NOT_WRITTEN)
def test_what_cannot_be_written_is_refused_by_its_step(name: str) -> None:
    """One sentence names the step, and the hint says what to do."""
    model, X, words, hint = NOT_WRITTEN[name]
    y = LABELS if name != "several labels" else np.column_stack([LABELS, LABELS])
    fitted(model, X, LABELS == "yes" if name == "a regression" else y)
    with pytest.raises(ConfigError) as refusal:
        ap.package(model, X, LABELS, name="m")
    (problem,) = refusal.value.problems
    assert words in str(problem)
    assert hint in (refusal.value.hint or "")
    assert not ap.runs("artifact")


@pytest.mark.parametrize("model", [logistic(), encoded(OneHotEncoder()), logistic().fit, LogisticRegression])
def test_what_is_not_fitted_is_refused(model: Any) -> None:
    """An estimator without a fit, a class and a function are none."""
    with pytest.raises(ConfigError) as refusal:
        ap.package(model, TABLE, LABELS, name="m")
    assert refusal.value.rules == {"model-not-written"}


@pytest.mark.parametrize(
    ("X", "y", "rule", "words"),
    [
        (TABLE[["age", "city"]], LABELS, "rows-shape", "without the column 'income'"),
        (TABLE, LABELS[:5], "rows-shape", "5 labels, and X has 400 rows"),
        (TABLE, np.column_stack([LABELS, LABELS]), "rows-shape", "several labels"),
        (TABLE, LabelEncoder().fit_transform(LABELS), "label-unknown", "the model answers with 'no', 'yes'"),
        (TABLE, 5, "rows-shape", "no sequence of labels"),
        (TABLE, [None, *LABELS[1:]], "label-unknown", "row 0 has the label None"),
        (TABLE[:0], LABELS[:0], "no-rows", "no row"),
        (TABLE.to_numpy(object)[:, :3], LABELS, "rows-shape", "(400, 3)"),
        ("rows.csv", LABELS, "rows-shape", "str"),
        (
            TABLE.set_axis(["id", "age", "age", "city", "plan", "member"], axis=1),
            LABELS,
            "rows-shape",
            "2 columns 'age'",
        ),
        (pa.table([pa.array([1.0])] * 2, names=["age", "age"]), LABELS, "rows-shape", "2 columns 'age'"),
        (TABLE.assign(income="much"), LABELS, "not-a-number", "'much' is not a number"),
        (TABLE.assign(city="Bergen"), LABELS, "level-unknown", "Bergen"),
    ],
    ids=[
        *("a column", "too few", "two a row", "encoded", "a number", "missing", "no row", "narrow"),
        *("a path", "a name twice", "a name twice in Arrow", "texts", "a level"),
    ],
)
def test_rows_and_labels_that_do_not_fit_are_refused(X: Any, y: Any, rule: str, words: str) -> None:
    """What is wrong is named, and nothing is written."""
    model = fitted(encoded(OneHotEncoder(), ["city"]), TABLE)
    with pytest.raises(DataRejected) as refusal:
        ap.package(model, X, y, name="m")
    assert refusal.value.rules == {rule}
    assert words in str(refusal.value)
    assert not ap.runs("artifact")


def test_a_model_that_does_not_impute_refuses_rows_with_gaps() -> None:
    """The column is named, with what can be done."""
    model = fitted(logistic(), TABLE[["income", "age"]].fillna(0))
    with pytest.raises(DataRejected, match=r"'age'.*does not impute") as refusal:
        ap.package(model, TABLE[["income", "age"]], LABELS, name="m")
    assert "SimpleImputer" in (refusal.value.hint or "")


def test_a_classifier_that_takes_categories_by_itself_is_refused() -> None:
    """The hint says how to encode them."""
    table = TABLE[["income", "city"]].astype({"city": "category"})
    with pytest.raises(PipelineError) as refusal:
        ap.package(fitted(HistGradientBoostingClassifier(max_iter=3), table), table, LABELS, name="m")
    assert "OrdinalEncoder" in (refusal.value.hint or "")


@pytest.mark.parametrize(
    ("name", "gate", "words"),
    [
        ("m", {"min_acuracy": 0.9}, "did you mean min_accuracy"),
        ("m", {"champion": "artifact"}, "compared once it is an artifact"),
        ("M", None, "name"),
    ],
)
def test_a_gate_or_a_name_that_breaks_a_rule_is_refused(name: str, gate: Any, words: str) -> None:
    """They have the rules of a config."""
    with pytest.raises(ConfigError) as refusal:
        ap.package(fitted(logistic(), PLAIN), PLAIN, LABELS, name=name, gate=gate)
    assert words in str(refusal.value)
