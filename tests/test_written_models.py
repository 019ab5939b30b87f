from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from msgspec import json
from sklearn.base import clone

from artifact_pipeline.model.check import check
from artifact_pipeline.model.graph import Graph, port
from artifact_pipeline.model.reading import read
from artifact_pipeline.model.spec import Steps
from artifact_pipeline.model.wire import encode
from fitted import classifiers, digits_table, fit, mixed_table, number_steps, parity, pipeline, unseen, written

DIGITS = digits_table()
MIXED = {2: mixed_table(classes=2), 3: mixed_table(classes=3)}
CLASSIFIERS = classifiers()


def construct(name: str) -> Any:
    """One of the classifiers, unfitted; some are deprecated, and warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(CLASSIFIERS[name])


@functools.cache
def mixed_model(name: str, classes: int) -> Any:
    """A classifier behind an imputer with indicators, a scaler and an encoder."""
    table = MIXED[classes]
    return fit(pipeline(table, construct(name), number=number_steps(name)), table)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_written_classifier_answers_the_digits_as_scikit_learn_does(name: str) -> None:
    """No label differs, and no probability by more than 1e-12."""
    found = parity(fit(construct(name), DIGITS), DIGITS.columns, DIGITS.rows)
    assert found.unequal == 0
    assert found.difference <= 1e-12


@pytest.mark.parametrize("classes", MIXED)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_written_classifier_answers_a_mixed_table_as_scikit_learn_does(name: str, classes: int) -> None:
    """The same where values are missing, unseen, near 1.7e9 or constant, and labels are texts of two or three."""
    table = MIXED[classes]
    found = parity(mixed_model(name, classes), table.columns, unseen(table.rows))
    assert found.unequal == 0
    assert found.difference <= 1e-12


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_onnx_accepts_what_is_written_and_the_spec_survives_json(name: str) -> None:
    """The checker of onnx accepts the bytes, and the spec read back from JSON is the one that they were written by."""
    table = MIXED[3]
    data, steps = written(mixed_model(name, 3), table.columns)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    again = json.decode(json.encode(steps), type=Steps)
    assert again == steps
    check(data, table.columns, again, sorted(set(table.labels)))


def test_long_lists_of_whole_numbers_come_back() -> None:
    """A list of a million numbers is written and read as it was, up to the greatest of 63 bits; onnx reads the same."""
    values = np.random.default_rng(0).integers(0, 2**63, 1_000_000, dtype=np.int64) >> np.arange(1_000_000) % 63
    values[:9] = [2 ** (7 * digits) - 1 for digits in range(1, 10)]
    graph = Graph()
    graph.add("TreeEnsemble", "X", domain="ai.onnx.ml", nodes_featureids=graph.declare_list("ids", len(values)))
    message = graph.message([port("X", "float64", 1)], [])

    data = encode(message, {"ids": values.tobytes()})

    assert read(data, message) == {"ids": values.tobytes()}
    assert list(onnx.load_from_string(data).graph.node[0].attribute[0].ints) == values.tolist()
