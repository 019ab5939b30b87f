"""The pickle export: what is written opens everywhere, and reading back executes nothing."""

from __future__ import annotations

import ast
import io
import os
import pickle
import pickletools
import random
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.pipeline import make_pipeline

import pickles
from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.pickles import FittedLogisticRegression, export_bytes, load_model, read_export, rebuild

ROOT = Path(__file__).parent.parent
WRITERS = {
    "protocol 4": lambda model: pickle.dumps(model, 4),
    "protocol 5": lambda model: pickle.dumps(model, 5),
    "joblib": pickles.dumped,
    "joblib protocol 5": lambda model: pickles.dumped(model, protocol=5),
}
written = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def refusal(data: bytes) -> tuple[str, str, str | None]:
    """Rule, message and hint with which `data` is refused."""
    with pytest.raises(ArtifactRejected) as caught:
        read_export(data, name="theirs.pkl")
    (problem,) = caught.value.problems
    assert problem.place == "theirs.pkl"
    assert caught.value.exit_status == 4
    return problem.rule, problem.message, caught.value.hint


def assert_same(model: LogisticRegression, other: LogisticRegression) -> None:
    """Both hold the same attributes in the same order, bit for bit."""
    assert type(model) is type(other) is LogisticRegression
    assert list(vars(model)) == list(vars(other))
    for name, value in vars(model).items():
        again = getattr(other, name)
        if isinstance(value, np.ndarray) and value.dtype != object:
            assert (value.dtype, value.shape, value.tobytes()) == (again.dtype, again.shape, again.tobytes()), name
            assert again.flags.owndata, name
            assert again.flags.writeable, name
        elif isinstance(value, np.ndarray):
            assert (value.dtype, value.tolist()) == (again.dtype, again.tolist()), name
        else:
            assert value == again, name


@pytest.fixture(scope="module")
def digits() -> LogisticRegression:
    """A model of ours, fitted only as far as a test needs."""
    X, y = load_digits(return_X_y=True)
    return LogisticRegression(C=1.0, solver="lbfgs", max_iter=1000, tol=1.0).fit(X[:200], y[:200])


def fitted_models() -> dict[str, LogisticRegression]:
    """Real fits over solvers, kinds of labels and parameters."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 3))
    two, three = (X[:, 0] > 0).astype(int), np.digitize(X[:, 1], [-0.4, 0.4])
    words = np.array(["drei", "one", "été"])
    models = {
        solver: LogisticRegression(solver=solver, tol=1e-2).fit(X, three)
        for solver in ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")
    }
    models["binary"] = LogisticRegression().fit(X, two)
    models["liblinear"] = LogisticRegression(solver="liblinear").fit(X, two)
    models["liblinear without intercept"] = LogisticRegression(solver="liblinear", fit_intercept=False).fit(X, two)
    models["without intercept"] = LogisticRegression(fit_intercept=False).fit(X, three)
    models["float32"] = LogisticRegression().fit(X.astype(np.float32), three)
    models["words"] = LogisticRegression().fit(X, words[three])
    for dtype in (bool, np.uint8, np.int32, np.float64):
        models[f"labels {np.dtype(dtype)}"] = LogisticRegression().fit(
            X, (two if dtype is bool else three).astype(dtype)
        )
    models["weights"] = LogisticRegression(class_weight={0: 1.0, 1: 2}, random_state=2**31).fit(X, two)
    models["balanced"] = LogisticRegression(class_weight="balanced", verbose=0, n_jobs=None).fit(X, three)
    named = LogisticRegression().fit(X, three)
    named.feature_names_in_ = np.array(["länge", "b", "a name"], dtype=object)
    models["named columns"] = named
    return models


MODELS = fitted_models()
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def test_a_model_of_ours_comes_back_bit_for_bit(digits: LogisticRegression) -> None:
    """Export, read and rebuild give the pickle of the model that was exported, byte for byte."""
    again = rebuild(read_export(export_bytes(digits)))
    assert_same(digits, again)
    assert digits.coef_.flags.f_contiguous
    assert again.coef_.flags.f_contiguous
    for protocol in (4, 5):
        assert pickle.dumps(again, protocol) == pickle.dumps(digits, protocol)


@written
@models
def test_every_writer_is_read_bit_for_bit(model: LogisticRegression, write: Any) -> None:
    """What pickle and joblib write of a fitted model is read as the numbers that the model has."""
    again = rebuild(read_export(write(model)))
    if "feature_names_in_" in vars(model):  # set by hand here; a fit sets it first
        again.feature_names_in_ = vars(again).pop("feature_names_in_")
    assert_same(model, again)


@models
def test_users_open_the_export_with_joblib(model: LogisticRegression, tmp_path: Path) -> None:
    """`joblib.load` of any user opens what is written, as a model with the same predictions."""
    path = tmp_path / "model_train.pkl"
    path.write_bytes(export_bytes(model))
    opened, loaded = joblib.load(path), load_model(path)
    X = np.random.default_rng(1).normal(size=(20, 3))
    for other in (opened, loaded):
        assert type(other) is LogisticRegression
        np.testing.assert_array_equal(model.coef_, other.coef_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # named columns, and rows without names
        np.testing.assert_array_equal(model.predict_proba(X), opened.predict_proba(X))
        np.testing.assert_array_equal(model.predict(X), loaded.predict(X))


@pytest.mark.slow
def test_the_export_depends_on_the_numbers_alone(digits: LogisticRegression) -> None:
    """Memory layout, sharing of objects and order of attributes do not change the bytes, nor does the process."""
    expected = export_bytes(digits)
    other = LogisticRegression(**digits.get_params())
    for name in reversed(list(vars(digits))):
        value = getattr(digits, name)
        setattr(other, name, np.repeat(value, 2, axis=-1)[..., ::2] if isinstance(value, np.ndarray) else value)
    other.coef_ = np.asfortranarray(other.coef_)
    assert export_bytes(other) == expected
    code = (
        "import sys; sys.path.insert(0, 'src')\n"
        "from artifact_pipeline.pickles import export_bytes, read_export, rebuild\n"
        "sys.stdout.buffer.write(export_bytes(rebuild(read_export(sys.stdin.buffer.read()))))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    process = subprocess.run(
        [sys.executable, "-c", code], input=expected, cwd=ROOT, env=environment, capture_output=True, check=True
    )
    assert process.stdout == expected


NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=6)


@st.composite
def numbers(draw: st.DrawFn) -> FittedLogisticRegression:
    """Any numbers that a fitted logistic regression may have."""
    labels = st.one_of(
        st.sets(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=5),
        st.sets(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9), min_size=2),
        st.sets(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=5),
    )
    classes = np.unique(np.array(sorted(draw(labels))))
    k, names = len(classes), draw(st.none() | NAMES)
    features = len(names) if names else draw(st.integers(1, 6))
    rows = 1 if k == 2 else k
    real = draw(st.sampled_from([np.float32, np.float64]))
    finite = {"allow_nan": False, "allow_infinity": False, "width": 8 * real().itemsize}
    coef = draw(hnp.arrays(real, (rows, features), elements=st.floats(**finite)))
    intercept = draw(hnp.arrays(real, (rows,), elements=st.floats(**finite)))
    parameters = {**LogisticRegression().get_params(), "C": draw(st.floats(5e-324, 1e300))}
    return FittedLogisticRegression(
        parameters={name: parameters[name] for name in vars(LogisticRegression())},
        coef_=np.asfortranarray(coef) if draw(st.booleans()) else coef,
        intercept_=intercept,
        classes_=classes,
        n_iter_=np.array([draw(st.integers(0, 2**31 - 1))], dtype=np.int32),
        n_features_in_=features,
        feature_names_in_=tuple(names) if names else None,
    )


@settings(max_examples=60, deadline=None)
@given(numbers(), st.sampled_from(list(WRITERS)))
def test_any_numbers_survive_the_round_trip(fitted: FittedLogisticRegression, writer: str) -> None:
    """Whatever finite numbers a model holds, in whatever order of memory, every writer gives the same back."""
    model = rebuild(fitted)
    again = read_export(WRITERS[writer](model))
    assert_same(model, rebuild(again))
    assert again.feature_names_in_ == fitted.feature_names_in_


@pytest.mark.parametrize("data", pickles.WRITTEN_ELSEWHERE.values(), ids=pickles.WRITTEN_ELSEWHERE)
def test_files_of_other_versions_are_read(data: bytes) -> None:
    """Files of scikit-learn 1.8 and NumPy 1, by old and new joblib, give what joblib itself reads in them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        theirs = joblib.load(io.BytesIO(data))
    assert b"1.8.0" in data
    assert_same(theirs, rebuild(read_export(data)))


def test_big_arrays_and_many_names_are_read() -> None:
    """Arrays beyond one frame of 64 KiB and more names than a pickler writes in one batch are read."""
    model = pickles.small_model()
    model.n_features_in_ = 3_500
    model.coef_ = np.asfortranarray(np.random.default_rng(0).normal(size=(3, 3_500)))
    model.feature_names_in_ = np.array([f"column {i}" for i in range(3_500)], dtype=object)
    for write in WRITERS.values():
        fitted = read_export(write(model))
        assert fitted.coef_.tobytes() == model.coef_.tobytes()
        assert fitted.feature_names_in_ == tuple(model.feature_names_in_)


def test_numpy_scalars_become_plain_numbers() -> None:
    """A parameter that a search has set as a NumPy scalar is read as the Python number that it equals."""
    model = pickles.small_model(C=np.float64(0.3), max_iter=np.int64(50), dual=np.bool_(False))  # noqa: FBT003
    for write in WRITERS.values():
        parameters = read_export(write(model)).parameters
        assert (parameters["C"], parameters["max_iter"], parameters["dual"]) == (0.3, 50, False)
        assert [type(parameters[name]) for name in ("C", "max_iter", "dual")] == [float, int, bool]


@written
def test_the_other_byte_order_is_read(write: Any) -> None:
    """Arrays of a machine with the other byte order are read as native ones with the same values."""
    model = pickles.small_model()
    swapped = {name: value for name, value in vars(model).items() if isinstance(value, np.ndarray)}
    swapped = {name: value.astype(value.dtype.newbyteorder("S")) for name, value in swapped.items()}
    assert_same(model, rebuild(read_export(write(pickles.changed_model(**swapped)))))


def test_reading_needs_no_scikit_learn() -> None:
    """Reading an export imports neither scikit-learn nor joblib, nor does importing the package load NumPy."""
    code = (
        "import sys; sys.path.insert(0, 'src')\n"
        "from artifact_pipeline.pickles import read_export\n"
        "assert 'numpy' not in sys.modules\n"
        "read_export(sys.stdin.buffer.read())\n"
        "assert not {'sklearn', 'scipy', 'joblib', 'pandas'} & sys.modules.keys()"
    )
    data = pickles.dumped(pickles.small_model())
    subprocess.run([sys.executable, "-c", code], input=data, cwd=ROOT, check=True)


EXPECTED = {
    "newobj_ex of a known class": "export-opcode",
    "global": "export-opcode",
    "inst": "export-opcode",
    "obj": "export-opcode",
    "extension code": "export-opcode",
    "persistent id": "export-opcode",
    "binary persistent id": "export-opcode",
    "out-of-band buffer": "export-opcode",
    "raw pointers by numpy.ndarray": "export-call",
    "raw pointers by _reconstruct": "export-dtype",
    "raw pointers by _frombuffer": "export-dtype",
    "raw pointers as column names": "export-dtype",
    "dtype with fields": "export-value",
    "billion laughs of tuples": "export-depth",
    "billion laughs of lists": "export-value",
    "deep tuples": "export-depth",
    "deep marks": "export-depth",
    "deep lists": "export-depth",
    "long tuple": "export-depth",
    "endless memo": "export-memo",
    "endless opcodes": "export-opcode",
    "recalled before it is remembered": "export-memo",
    "integer of two gigabytes": "export-opcode",
    "integer of 255 bytes": "export-integer",
    "bytes of eight exabytes": "export-opcode",
    "bytearray of eight exabytes": "export-truncated",
    "string of four gigabytes": "export-string",
    "frame past the end": "export-truncated",
    "frame inside a frame": "export-frame",
    "frame that cuts a value": "export-frame",
    "frame that goes on after stop": "export-frame",
    "nothing on the stack": "export-stack",
    "another estimator": "export-estimator",
}


@pytest.mark.parametrize("sample", pickles.MALICIOUS)
def test_a_malicious_file_is_refused_by_name(sample: str, tmp_path: Path) -> None:
    """Each hostile sample is refused by the rule that it breaks, and its canary never appears."""
    canary = tmp_path / "canary"
    rule, _, hint = refusal(pickles.MALICIOUS[sample](canary))
    compressed = "compressed" in sample
    assert rule == EXPECTED.get(sample, "export-compressed" if compressed else "export-global")
    assert hint
    assert not canary.exists()


def test_reading_malicious_files_does_nothing_that_python_audits(tmp_path: Path) -> None:
    """While hostile samples are read, the interpreter opens, imports, compiles, starts and unpickles nothing."""
    for index, build in enumerate(pickles.MALICIOUS.values()):
        (tmp_path / f"{index}.pkl").write_bytes(build(tmp_path / "canary"))
    code = (
        "import pickletools, sys; sys.path.insert(0, 'src')\n"
        "from pathlib import Path\n"
        "import numpy\n"
        "from artifact_pipeline.pickles import read_export\n"
        "from artifact_pipeline.errors import ArtifactRejected\n"
        "files = [path.read_bytes() for path in Path(sys.argv[1]).glob('*.pkl')]\n"
        "seen, watching = [], False\n"
        "sys.addaudithook(lambda event, args: seen.append(event) if watching else None)\n"
        "refused, watching = 0, True\n"
        "for data in files:\n"
        "    try: read_export(data)\n"
        "    except ArtifactRejected: refused += 1\n"
        "watching = False\n"
        "print(refused, sorted(set(seen)))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert process.stdout.strip() == f"{len(pickles.MALICIOUS)} []"
    assert not (tmp_path / "canary").exists()


def test_the_malicious_samples_are_real(tmp_path: Path) -> None:
    """A real unpickler, given the samples in a process of its own, runs the code of every one that should fire."""
    for index, name in enumerate(sorted(pickles.FIRES)):
        (tmp_path / f"{index}.pkl").write_bytes(pickles.MALICIOUS[name](tmp_path / f"{index}.canary"))
    code = (
        "import pathlib, sys, joblib\n"
        "for path in pathlib.Path(sys.argv[1]).glob('*.pkl'):\n"
        "    try: joblib.load(path)\n"
        "    except Exception: pass\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], check=True)
    fired = {int(path.stem) for path in tmp_path.glob("*.canary")}
    assert [name for index, name in enumerate(sorted(pickles.FIRES)) if index not in fired] == []
    assert len(pickles.FIRES) >= 20


def _array(*values: object, dtype: Any = None) -> np.ndarray:
    return np.array(values, dtype=dtype)


BROKEN: dict[str, tuple[dict[str, object], str, str]] = {
    "coef is NaN": ({"coef_": np.full((3, 2), np.nan)}, "export-not-finite", "coef_"),
    "intercept is infinite": ({"intercept_": _array(0.0, np.inf, 0.0)}, "export-not-finite", "intercept_"),
    "label is NaN": ({"classes_": _array(0.0, 1.0, np.nan)}, "export-not-finite", "classes_"),
    "C is NaN": ({"C": float("nan")}, "export-not-finite", "C"),
    "C is infinite": ({"C": np.float64("inf")}, "export-not-finite", "C"),
    "C is zero": ({"C": 0.0}, "export-parameter", "C"),
    "C is text": ({"C": "1"}, "export-parameter", "C"),
    "C is true": ({"C": True}, "export-parameter", "C"),
    "C is a list": ({"C": []}, "export-parameter", "C"),
    "penalty": ({"penalty": "l3"}, "export-parameter", "penalty"),
    "solver": ({"solver": "adam"}, "export-parameter", "solver"),
    "solver is None": ({"solver": None}, "export-parameter", "solver"),
    "max_iter": ({"max_iter": -1}, "export-parameter", "max_iter"),
    "max_iter is a float": ({"max_iter": 10.0}, "export-parameter", "max_iter"),
    "fit_intercept": ({"fit_intercept": 1}, "export-parameter", "fit_intercept"),
    "random_state": ({"random_state": -1}, "export-parameter", "random_state"),
    "weight": ({"class_weight": {0: -1.0}}, "export-parameter", "class_weight"),
    "weight is NaN": ({"class_weight": {0: float("nan")}}, "export-not-finite", "class_weight"),
    "weight of a tuple": ({"class_weight": {(0, 1): 1.0}}, "export-value", "dict"),
    "generator": ({"random_state": np.random.RandomState(0)}, "export-global", "numpy"),
    "coef has another shape": ({"coef_": np.ones((2, 3))}, "export-shape", "coef_"),
    "coef is flat": ({"coef_": np.ones(6)}, "export-shape", "coef_"),
    "coef has three dimensions": ({"coef_": np.ones((3, 2, 1))}, "export-shape", "dimensions"),
    "coef is empty": ({"coef_": np.ones((3, 0))}, "export-shape", "(3, 0)"),
    "coef is integers": ({"coef_": np.ones((3, 2), dtype=int)}, "export-dtype", "coef_"),
    "coef is half precision": ({"coef_": np.ones((3, 2), dtype=np.float16)}, "export-dtype", "f2"),
    "coef is complex": ({"coef_": np.ones((3, 2), dtype=complex)}, "export-dtype", "c16"),
    "coef is structured": ({"coef_": np.zeros(3, dtype="f8,f8")}, "export-dtype", "V16"),
    "coef is a list": ({"coef_": []}, "export-array", "coef_"),
    "intercept has another shape": ({"intercept_": np.ones(2)}, "export-shape", "intercept_"),
    "intercept is a number": ({"intercept_": 1.0}, "export-array", "intercept_"),
    "intercept has no dimension": ({"intercept_": np.array(1.0)}, "export-shape", "dimensions"),
    "labels are objects": ({"classes_": _array("a", "b", "c", dtype=object)}, "export-dtype", "classes_"),
    "labels are dates": ({"classes_": np.arange(3).astype("M8[D]")}, "export-depth", "tuples"),
    "labels are not sorted": ({"classes_": _array(0, 2, 1)}, "export-classes", "classes_"),
    "labels are repeated": ({"classes_": _array("a", "b", "b")}, "export-classes", "classes_"),
    "one label": ({"classes_": _array(0)}, "export-classes", "classes_"),
    "labels in a table": ({"classes_": _array([0], [1], [2])}, "export-classes", "classes_"),
    "iterations below 0": ({"n_iter_": _array(-1)}, "export-value", "n_iter_"),
    "iterations are floats": ({"n_iter_": _array(1.0)}, "export-dtype", "n_iter_"),
    "too many iterations": ({"n_iter_": _array(1, 1)}, "export-shape", "n_iter_"),
    "more features than columns": ({"n_features_in_": 3}, "export-shape", "coef_"),
    "features are text": ({"n_features_in_": "2"}, "export-value", "n_features_in_"),
    "features are true": ({"n_features_in_": True}, "export-value", "n_features_in_"),
    "a name too few": ({"feature_names_in_": _array("a", dtype=object)}, "export-shape", "feature_names_in_"),
    "names that are numbers": ({"feature_names_in_": _array(1, 2, dtype=object)}, "export-value", "list"),
    "names of fixed width": ({"feature_names_in_": _array("a", "b")}, "export-dtype", "feature_names_in_"),
    "names in a table": ({"feature_names_in_": _array(["a"], ["b"], dtype=object)}, "export-shape", "feature_"),
    "unknown attribute": ({"multi_class": "auto"}, "export-attribute", "multi_class"),
    "a huge text": ({"solver": 5_000 * "x"}, "export-string", "5,000"),
    "a huge integer": ({"random_state": 2**80}, "export-integer", "11 bytes"),
    "an estimator as an attribute": ({"C": LogisticRegression()}, "export-parameter", "LogisticRegression"),
    "a set": ({"C": {1.0}}, "export-opcode", "EMPTY_SET"),
}


@written
@pytest.mark.parametrize("case", BROKEN)
def test_a_value_that_no_fit_leaves_is_refused(case: str, write: Any) -> None:
    """An attribute of a wrong kind, shape or value is refused by its rule, and the message names it."""
    attributes, expected, part = BROKEN[case]
    rule, message, _ = refusal(write(pickles.changed_model(**attributes)))
    assert rule == expected
    assert part in message


@written
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (LogisticRegression(), "export-attribute"),
        (LogisticRegression, "export-estimator"),
        (LogisticRegressionCV(), "export-estimator"),
        (make_pipeline(LogisticRegression()), "export-estimator"),
        ((pickles.small_model(), 1), "export-estimator"),
        ({"model": pickles.small_model()}, "export-estimator"),
        (np.ones(3), "export-estimator"),
        (None, "export-estimator"),
    ],
    ids=["unfitted", "class", "another", "pipeline", "tuple", "dict", "array", "nothing"],
)
def test_anything_but_a_fitted_logistic_regression_is_refused(value: object, expected: str, write: Any) -> None:
    """Other estimators and other objects are refused, with the hint to use the artifact's ONNX model."""
    rule, _, hint = refusal(write(value))
    assert rule == expected
    if rule == "export-estimator":
        assert "ONNX" in str(hint)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"C": pickles.literal(1.0) + pickles.literal("C") + pickles.literal(2.0)}, "export-value"),
        ({"C": pickles.literal(1)}, None),
        ({"coef_": pickles.literal(None)}, "export-array"),
        ({"coef_": b"X\x02\x00\x00\x00\xff\xfe"}, "export-string"),
        ({"_sklearn_version": pickles.literal("1.9.1\x1b[2J")}, "export-value"),
        (
            {"classes_": pickles.reconstructed(
                pickles.dtype("b1", (3, "|", None, None, None, -1, -1, 0)), (2,), pickles.literal(b"\x00\x02")
            )},
            "export-value",
        ),
        (
            {"classes_": pickles.reconstructed(
                pickles.dtype("U1", (3, "<", None, None, None, 4, 4, 8)), (2,), pickles.literal(b"a\0\0\0\0\0\x11\0")
            )},
            "export-value",
        ),
        (
            {"classes_": pickles.reconstructed(
                pickles.dtype("U1", (3, "<", None, None, None, 4, 4, 8)), (2,), pickles.literal(b"a\0\0\0\0\xd8\0\0")
            )},
            "export-value",
        ),
        (
            {"coef_": pickles.reconstructed(
                pickles.dtype("f8", (3, "=", None, None, None, -1, -1, 0)), (3, 2), pickles.literal(bytes(48))
            )},
            "export-call",
        ),
        (
            {"coef_": pickles.reconstructed(
                pickles.dtype("f8", (3, "<", None, None, None, -1, -1, 0)), (3, 2), pickles.literal(bytes(47))
            )},
            "export-shape",
        ),
        (
            {"coef_": pickles.reconstructed(
                pickles.dtype("f8", (3, "<", None, None, None, -1, -1, 0)), (2**62, 2**62), pickles.literal(bytes(48))
            )},
            "export-shape",
        ),
    ],
)  # fmt: skip
def test_an_attribute_that_no_pickler_writes_is_refused(attributes: dict[str, bytes], expected: str | None) -> None:
    """Opcodes that only a forger puts together are refused by their rule; the same forger's good ones are read."""
    data = pickles.estimator(**attributes)
    if expected is None:
        assert_same(pickles.small_model(), rebuild(read_export(data)))
    else:
        assert refusal(data)[0] == expected


def test_other_protocols_and_files_are_refused() -> None:
    """Protocols 0 to 3, files that are no pickle, an empty one and bytes after the end are refused by name."""
    model = pickles.small_model()
    for protocol in (2, 3):
        rule, message, hint = refusal(pickle.dumps(model, protocol))
        assert (rule, f"protocol {protocol}" in message, "protocol=5" in str(hint)) == ("export-protocol", True, True)
    for data in (pickle.dumps(model, 0), pickle.dumps(model, 1), b"\x93NUMPY", b'{"C": 1}'):
        assert refusal(data)[0] == "export-protocol"
    assert refusal(b"")[0] == "export-truncated"
    assert refusal(pickle.dumps(model, 5) + b"\n")[0] == "export-trailing"
    assert refusal(b"PK\x03\x04")[0] == "export-compressed"
    rule, message, hint = refusal(pickles.OLD_JOBLIB_NAMES)
    assert (rule, "protocol 2" in message, "joblib 1.5" in str(hint)) == ("export-protocol", True, True)


def test_joblib_framing_is_checked() -> None:
    """Padding that joblib does not write, and an array described in another way, are refused."""
    data = pickles.dumped(pickles.small_model())
    padding = next(m for m in re.finditer(rb"b([\x01-\x10])(\xff+)", data) if len(m[2]) >= m[1][0])
    at = padding.start(2)
    assert refusal(data[:at] + b"\xfe" + data[at + 1 :])[0] == "export-array"
    assert refusal(data.replace(b"\x8c\x01F\x94", b"\x8c\x01K\x94"))[0] == "export-array"
    assert refusal(data.replace(b"\x8c\x05order", b"\x8c\x05ordre"))[0] == "export-array"
    assert refusal(data.replace(b"allow_mmap\x94\x88", b"allow_mmap\x94)"))[0] == "export-array"


def test_load_model_says_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    """A missing file tells the next command; a folder, a pipe and a file of 64 MiB and a byte are refused at once."""
    huge, pipe = tmp_path / "huge.pkl", tmp_path / "pipe.pkl"
    huge.touch()
    os.truncate(huge, 64 * 2**20 + 1)
    os.mkfifo(pipe)
    cases = {
        tmp_path / "none.pkl": "export-missing",
        tmp_path: "export-unreadable",
        pipe: "export-unreadable",
        huge: "export-too-large",
    }
    for path, rule in cases.items():
        with pytest.raises(ArtifactRejected) as caught:
            load_model(path)
        assert caught.value.rules == {rule}
        assert str(path) in str(caught.value)
        assert (caught.value.hint == "run artifact-pipeline train first") == (rule == "export-missing")
    assert refusal(bytes(64 * 2**20 + 1))[0] == "export-too-large"


def test_the_exporter_writes_only_what_it_would_read() -> None:
    """An estimator that is not fitted, not finite or of another class is refused before anything is written."""
    for estimator in (LogisticRegression(), pickles.changed_model(C=float("inf")), LogisticRegressionCV()):
        with pytest.raises(ArtifactRejected):
            export_bytes(estimator)


@written
def test_a_file_cut_at_any_length_is_refused(write: Any) -> None:
    """Every proper prefix of a good file is refused."""
    model = pickles.changed_model(feature_names_in_=_array("a", "b", dtype=object))
    data = write(model)
    assert {refusal(data[:length])[0] for length in range(len(data))} <= {"export-truncated", "export-stack"}


def without_frames(data: bytes) -> bytes:
    """The same pickle without FRAME, so that a changed length does not end at the first frame."""
    starts = [position for opcode, _, position in pickletools.genops(data) if opcode.name == "FRAME"]
    for start in reversed(starts):
        data = data[:start] + data[start + 9 :]
    return data


def seeds() -> list[bytes]:
    """Good files of every kind, for mutations to begin with."""
    named = pickles.changed_model(
        feature_names_in_=_array("a", "bé", dtype=object), classes_=_array("x", "y", "zz"), class_weight={"x": 2.0}
    )
    plain = [pickle.dumps(model, protocol) for model in (pickles.small_model(), named) for protocol in (4, 5)]
    joblibs = [pickles.dumped(pickles.small_model()), pickles.dumped(named), *pickles.WRITTEN_ELSEWHERE.values()]
    return [*plain, *map(without_frames, plain), *joblibs, pickles.estimator()]


OPCODES = [ord(opcode.code) for opcode in pickletools.opcodes]
LENGTHS = [b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", bytes(8), b"\xff" * 7 + b"\x7f", b"\x01\0\0\0\0\0\0\0"]


def mutate(generator: random.Random, good: list[bytes]) -> bytes:
    """One to four random changes of a good file: flips, opcode swaps, insertions, deletions, copies, splices, cuts."""
    data = generator.choice(good)
    for _ in range(generator.choice((1, 1, 2, 4))):
        at, other = generator.randrange(len(data) + 1), generator.choice(good)
        start = generator.randrange(len(data) + 1)
        old, copied = data[at : at + 1] or b"\0", data[start : start + generator.randrange(24)]
        piece = generator.choice(
            (
                bytes([old[0] ^ (1 << generator.randrange(8))]),
                bytes([generator.choice(OPCODES)]),
                generator.randbytes(generator.randrange(1, 9)),
                generator.choice(LENGTHS),
                copied,
            )
        )
        match generator.randrange(8):
            case 0 | 1 | 2 | 3:
                data = data[:at] + piece + data[at + len(piece) :]
            case 4:
                data = data[:at] + piece + data[at:]
            case 5:
                data = data[:at] + data[at + len(copied) :]
            case 6:
                data = data[:at] + other[generator.randrange(len(other)) :]
            case 7:
                data = data[: max(at, start)]
    return data


def assert_sound(fitted: FittedLogisticRegression) -> None:
    """What every reader of the numbers may rely on."""
    k, f = len(fitted.classes_), fitted.n_features_in_
    rows = 1 if k == 2 else k
    assert fitted.coef_.shape == (rows, f)
    assert fitted.intercept_.shape in {(rows,), ()}
    assert np.isfinite(fitted.coef_).all()
    assert np.isfinite(fitted.intercept_).all()
    assert list(fitted.classes_.tolist()) == sorted(set(fitted.classes_.tolist()))
    assert 0 < fitted.parameters["C"] < float("inf")
    assert (fitted.n_iter_ >= 0).all()
    for value in (fitted.coef_, fitted.intercept_, fitted.classes_, fitted.n_iter_):
        assert value.dtype.kind in "biufU"
        assert value.flags.owndata
    if fitted.feature_names_in_ is not None:
        assert [type(name) for name in fitted.feature_names_in_] == f * [str]


@pytest.mark.parametrize(
    "count",
    [10_000, pytest.param(100_000, marks=pytest.mark.slow), pytest.param(1_000_000, marks=pytest.mark.fuzz)],
)
def test_mutated_files_are_refused_or_sound(count: int) -> None:
    """A damaged file raises nothing but the refusal with one problem, or gives finite numbers that fit together."""
    generator, good = random.Random(count), seeds()
    rules: set[str] = set()
    read = 0
    for index in range(count):
        data = mutate(generator, good)
        try:
            fitted = read_export(data)
        except ArtifactRejected as error:
            (problem,) = error.problems
            rules.add(problem.rule)
        else:
            read += 1
            assert_sound(fitted)
            if index % 20 == 0:
                assert rebuild(fitted).get_params() == fitted.parameters
    assert read > count / 100
    assert {"export-frame", "export-opcode", "export-truncated", "export-global", "export-dtype"} <= rules
    assert len(rules) >= 18


def test_the_source_cannot_unpickle() -> None:
    """Nothing under src imports an unpickler: `dumps` and joblib's threads are all that is taken from such modules."""
    banned = {"pickle", "_pickle", "cPickle", "joblib", "skops", "dill", "cloudpickle", "shelve", "marshal"}
    files = sorted((ROOT / "src").rglob("*.py"))
    assert len(files) > 5
    taken = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            place = f"{file}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert not banned & {alias.name.partition(".")[0] for alias in node.names}, place
            elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in banned:
                taken |= {(node.module, alias.name) for alias in node.names}
            elif isinstance(node, ast.Attribute):
                assert node.attr not in {"find_class", "read_pickle", "Unpickler", "_Unpickler"}, place
            elif isinstance(node, ast.keyword):
                assert node.arg != "allow_pickle" or ast.unparse(node.value) == "False", place
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
                assert not banned & {getattr(argument, "value", None) for argument in node.args}, place
    threads = {("joblib", "parallel_config"), ("joblib.parallel", "ThreadingBackend")}
    assert taken == {("pickle", "dumps"), *threads}
