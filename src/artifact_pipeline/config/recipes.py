"""What is made from a config: the recipe, and the JSON Schema of its file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from artifact_pipeline.config.models import KINDS, NESTED_KEYS, Estimator, LogisticRegression
from artifact_pipeline.config.preparing import Preparation
from artifact_pipeline.config.schema import SCHEMA_KEY, SHORT_FORMS, Config
from artifact_pipeline.config.sections import Gate, OptionalInRecipe, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel


def plain(config: Config) -> dict[str, Any]:
    """Return the config as a plain dict, ready for JSON, with every default.

    A LogisticRegression and a random split stand in their short form, whichever form the file had.
    """
    values = config.model_dump()
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name == "model":
            found |= value if _is_short(config.model) else {name: value}
        elif name == "split":
            found |= {key: value[key] for key in SHORT_FORMS[name]} if config.split.by == "random" else {name: value}
        else:
            found[name] = value
    found.pop("estimator", None)
    return found


def _is_short(model: BaseModel) -> bool:
    return isinstance(model, LogisticRegression)


def recipe(config: Config) -> dict[str, Any]:
    """Return the resolved config without any path, ready for JSON: equal trainings have equal recipes.

    How the candidate is compared with a champion is no part of it: that decides where the model goes, not what it is.
    """
    values = plain(config)
    for key in ("champion", "margin", "on_inconclusive"):
        del values["gate"][key]
    _leave_out_defaults(values["gate"], Gate)
    if _is_short(config.model):
        _leave_out_defaults(values, LogisticRegression)
    if config.preprocess == "none":
        del values["preprocess"]
    elif isinstance(config.preprocess, Preparation):
        values["preprocess"] = config.preprocess.short
    if "split" in values:
        values["split"] = config.split.model_dump(exclude={"path"}, exclude_defaults=True)
        if config.split.by != "held_out":
            values["split"]["test_size"] = config.split.test_size
    if isinstance(config.dataset, Table):
        given = config.dataset.model_dump(exclude={"path"})
        values["dataset"] = {key: names for key, names in given.items() if names is not None}
    return values


def _leave_out_defaults(values: dict[str, Any], kind: type[BaseModel]) -> None:
    """Remove the keys that are marked `OptionalInRecipe` and have their default."""
    for name, field in kind.model_fields.items():
        if OptionalInRecipe() in field.metadata and values[name] == field.default:
            del values[name]


def of_recipe(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config's values that a recipe stands for: what a recipe does not say is no default of today's."""
    gate = recipe.get("gate")
    gates = {"gate": {"beats_baseline": False, **gate}} if isinstance(gate, dict) else {}
    return {"preprocess": "none", **recipe, **gates}


_SHORT_TYPES = {"model": "LogisticRegression", "split": "Split"}
_TYPES = {
    "logistic": "LogisticRegression",
    "voting": "Voting",
    "stack": "Stack",
    "wrapper": "Wrapper",
    "trees": "TreesOrWrapper",
}
"""The type in the schema of each kind of classifier."""
_CLASSIFIER = {"$ref": "#/$defs/Classifier"}


def _without(section: str) -> dict[str, Any]:
    """The section is there, and no key of its short form."""
    short = [{"required": [key]} for key in SHORT_FORMS[section]]
    return {"required": [section], "not": {"anyOf": short}}


def _classifier_schema() -> dict[str, Any]:
    """The names of the classifiers, but not the parameters of each, which scikit-learn decides."""
    return {
        "type": "object",
        "title": "Model",
        "description": "A classifier of scikit-learn and its parameters, by their names.",
        "properties": Estimator.model_json_schema()["properties"],
        "required": ["estimator"],
        "allOf": [
            {"if": {"properties": {"estimator": {"const": name}}}, "then": {"$ref": f"#/$defs/{_TYPES[kind]}"}}
            for name, kind in KINDS.items()
        ],
    }


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a config file, with a title, description and default for each key."""
    schema = Config.model_json_schema()
    pointer = {"type": "string", "title": "JSON Schema", "description": "Where editors find the schema of this file."}
    definitions, properties = schema["$defs"], {SCHEMA_KEY: pointer}
    needed = [name for name in definitions["LogisticRegression"].pop("required") if name != "estimator"]
    definitions["Classifier"] = _classifier_schema()
    for each in _TYPES.values():
        _refer_to_classifier(definitions[each]["properties"])
    for name, part in schema["properties"].items():
        properties[name] = _CLASSIFIER if name == "model" else part
        for key in SHORT_FORMS.get(name, ()):
            properties[key] = definitions[_SHORT_TYPES[name]]["properties"][key]
    schema["properties"] = properties
    schema.pop("required")
    schema["oneOf"] = [{"required": needed, "not": {"required": ["model"]}}, _without("model")]
    schema["anyOf"] = [{"not": {"required": ["split"]}}, _without("split")]
    return {SCHEMA_KEY: "https://json-schema.org/draft/2020-12/schema", **schema}


def _refer_to_classifier(properties: dict[str, Any]) -> None:
    """Let the classifiers in a classifier be any, once defined."""
    if "estimators" in properties:
        properties["estimators"]["additionalProperties"] = _CLASSIFIER
    for key in NESTED_KEYS:
        if key in properties:
            choices = properties[key].pop("anyOf", None)
            nullable = choices is not None and {"type": "null"} in choices
            for kind in ("oneOf", "$ref"):
                properties[key].pop(kind, None)
            properties[key] |= {"anyOf": [_CLASSIFIER, {"type": "null"}]} if nullable else _CLASSIFIER


def schema_text() -> str:
    """Return the JSON Schema as it is committed and printed."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
