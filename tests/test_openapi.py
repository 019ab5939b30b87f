from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from artifact_pipeline.serving.http import Refusal
from artifact_pipeline.serving.openapi import document
from artifact_pipeline.serving.settings import Settings
from artifact_pipeline.serving.tensors import inference_response, parse_inference
from asking import DIGITS, FORMS, FRAMINGS, Asked, ask, open_digits
from test_tensors import CASES

if TYPE_CHECKING:
    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.training.sealed import Candidate

UNSAID = {"a row too few", "a number too many"}
"""What is refused, and the schema does not say: how many numbers a shape tells of, and which ones FP32 has."""


@pytest.fixture(scope="module")
def served(candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Served:
    return open_digits(candidate, tmp_path_factory.mktemp("openapi"))


@pytest.fixture(scope="module")
def described(served: Served) -> dict[str, Any]:
    return json.loads(json.dumps(document(served, Settings())))


def validator(described: dict[str, Any], name: str) -> Draft202012Validator:
    return Draft202012Validator(described["components"]["schemas"][name])


def test_every_schema_is_one(described: dict[str, Any]) -> None:
    """Each schema is valid by JSON Schema 2020-12, which OpenAPI 3.1 uses, and each that is named is there."""
    schemas = described["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    named = json.dumps(described["paths"]).split('"#/components/schemas/')[1:]
    assert {each.partition('"')[0] for each in named} == set(schemas)


@pytest.mark.slow
@pytest.mark.parametrize("framing", [each for each in FRAMINGS if "binary" not in each])
@pytest.mark.parametrize("datatype", FORMS)
def test_what_is_answered_is_described(served: Served, described: dict[str, Any], datatype: str, framing: str) -> None:
    """A request that is answered is valid by the document, and so is its answer."""
    for more in ({}, {"id": "1", "outputs": [{"name": "label"}], "parameters": {"binary_data_output": False}}):
        asked = ask(DIGITS.X[:3], datatype, framing, **more)
        validator(described, "Inference").validate(json.loads(asked.body))
        inference = parse_inference(asked.body, None, served)
        answers = served.predictor.predict(inference.rows.X)
        response = inference_response(inference, answers.labels, answers.probabilities, served)
        validator(described, "Answer").validate(json.loads(response.body))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "asked"),
    [(name, asked) for name, asked, _ in CASES if asked.length is None],
    ids=[name for name, asked, _ in CASES if asked.length is None],
)
def test_what_is_refused_is_not_described(served: Served, described: dict[str, Any], name: str, asked: Asked) -> None:
    """A request that is refused is not valid by the document, but for what JSON Schema cannot say."""
    with pytest.raises(Refusal) as caught:
        parse_inference(asked.body, asked.length, served)
    validator(described, "Error").validate(json.loads(caught.value.response().body))
    assert validator(described, "Inference").is_valid(json.loads(asked.body)) == (name in UNSAID)
