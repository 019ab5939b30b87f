"""Hostile trees are refused by rule before a session is made; what is accepted is a set of trees."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from artifact_pipeline.errors import ArtifactRejected
from artifact_pipeline.model.check import checked_plan
from artifact_pipeline.rows.features import Features
from fitted import Session
from hostile_trees import HOSTILE_TREES, chain, good

if TYPE_CHECKING:
    from hostile_models import Claim


def checked(claim: Claim) -> None:
    """Check a model for what its manifest says."""
    checked_plan(claim.data, claim.columns, claim.steps, claim.classes)


@pytest.mark.parametrize("estimator", ["forest", "boosting", "histogram"])
def test_trees_that_are_written_again_are_accepted(estimator: str) -> None:
    """The models of which the hostile ones are made pass the check, and have the bytes that their numbers give."""
    data, model = good(estimator)
    checked(model.claim(data))
    assert model.data() == data


@pytest.mark.parametrize("name", HOSTILE_TREES)
def test_hostile_trees_are_refused_by_rule(name: str) -> None:
    """Each one is refused for what is wrong with it, and takes less than 100 MiB beside its bytes."""
    hostile = HOSTILE_TREES[name]
    claim = hostile.build()
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactRejected) as refused:
            checked(claim)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert refused.value.rules == {hostile.rule}
    assert hostile.words in str(refused.value)


def test_a_chain_of_512_nodes_is_accepted_and_runs() -> None:
    """The bound is where it says, and onnxruntime follows such a tree."""
    _, model = good("forest")
    chain(model, 512)
    checked(model.claim(model.data()))
    labels, _ = Session(model.data())(Features.of_numbers(np.array([[-1.0, 0.0], [600.0, 0.0]])))
    assert len(labels) == 2
