"""The JSON Schema of a config's file, by which an editor completes and checks it.

What the types hold is said by pydantic. The parameters of each classifier are scikit-learn's: `parameters.json` holds
them as the scikit-learn that we lock has them (`scripts/parameters.py` writes it), so that no scikit-learn is needed
here. Training compares a config with the one that is installed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from artifact_pipeline.config.estimators import WRITTEN
from artifact_pipeline.config.models import KINDS, LONG_DEFAULTS, NESTED_KEYS, Estimator
from artifact_pipeline.config.preparing import SPLIT_NEEDS, STEP_OPTIONS
from artifact_pipeline.config.schema import SCHEMA_KEY, SHORT_FORMS, Config

PARAMETERS = Path(__file__).with_name("parameters.json")
_SHORT_TYPES = {"model": "LogisticRegression", "split": "Split"}
_TYPES = {"voting": "Voting", "stack": "Stack", "wrapper": "Wrapper", "trees": "TreesOrWrapper"}
"""The type of each kind of classifier that holds others."""
_CLASSIFIER = {"$ref": "#/$defs/Classifier"}
_SPACES = {"type": "object", "required": ["space"], "properties": {"space": {"type": "array"}}}
_SEARCHED = {"required": ["search"], "properties": {"search": {"anyOf": [{"const": "quick"}, _SPACES]}}}
"""What a config is whose model is drawn."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a config file, with a title, description and default for each key."""
    schema = Config.model_json_schema()
    pointer = {"type": "string", "title": "JSON Schema", "description": "Where editors find the schema of this file."}
    definitions, properties = schema["$defs"], {SCHEMA_KEY: pointer}
    needed = [name for name in definitions["LogisticRegression"].pop("required") if name != "estimator"]
    for name, part in schema["properties"].items():
        properties[name] = _section(name, part)
        for key in SHORT_FORMS.get(name, ()):
            properties[key] = definitions[_SHORT_TYPES[name]]["properties"][key]
    _add_conditions(definitions)
    _add_classifiers(definitions)
    schema["properties"] = properties
    schema.pop("required")
    schema["oneOf"] = [
        {"required": needed, "not": {"anyOf": [{"required": ["model"]}, _SEARCHED]}},
        {"required": ["model"], "not": {"anyOf": [*_keys_of_short("model"), _SEARCHED]}},
        {**_SEARCHED, "not": {"anyOf": [{"required": ["model"]}, *_keys_of_short("model")]}},
    ]
    split_alone = {"required": ["split"], "not": {"anyOf": _keys_of_short("split")}}
    schema["anyOf"] = [{"not": {"required": ["split"]}}, split_alone]
    return {SCHEMA_KEY: "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """Return the JSON Schema as it is committed and printed."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _section(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a section: `model` is any classifier, and `search` may be `quick`."""
    if name == "model":
        return _CLASSIFIER
    if name == "search":
        return part | {"anyOf": [{"const": "quick"}, *part["anyOf"]]}
    return part


def _keys_of_short(section: str) -> list[dict[str, Any]]:
    """Return for each key of a section's short form the schema of a config that has it."""
    return [{"required": [key]} for key in SHORT_FORMS[section]]


def _where(key: str, value: str, then: dict[str, Any]) -> dict[str, Any]:
    """Return the schema by which an object whose key has this value must fit `then`."""
    return {"if": {"properties": {key: {"const": value}}, "required": [key]}, "then": then}


def _add_conditions(definitions: dict[str, Any]) -> None:
    """Say which keys a step may have, and which ones a split must have."""
    step, split = definitions["Step"], definitions["Split"]
    keys = step["properties"]
    step["properties"] = {"step": keys["step"]}
    del step["additionalProperties"]
    step["allOf"] = [
        _where("step", name, {"additionalProperties": False, "properties": _keys_of_step(name, keys)})
        for name in keys["step"]["enum"]
    ]
    split["allOf"] = [
        _where("by", by, {"required": [key], "properties": {key: {"type": "string"}}})
        for by, key in SPLIT_NEEDS.items()
    ]


def _keys_of_step(name: str, keys: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in keys.items() if key == "step" or name in STEP_OPTIONS[key]}


def _add_classifiers(definitions: dict[str, Any]) -> None:
    """Define each classifier with its parameters, and one of them as what `model` may be."""
    logistic = definitions.pop("LogisticRegression")
    logistic["properties"] = {
        key: part | ({"default": LONG_DEFAULTS[key]} if key in LONG_DEFAULTS else {})
        for key, part in logistic["properties"].items()
    }
    own = {kind: definitions.pop(name) for kind, name in _TYPES.items()}
    del definitions["Estimator"]
    estimator = Estimator.model_json_schema()["properties"]["estimator"]
    known = json.loads(PARAMETERS.read_text(encoding="utf-8"))["estimators"]
    definitions["Classifier"] = {
        "type": "object",
        "title": "Model",
        "description": "A classifier of scikit-learn and its parameters, by their names.",
        "properties": {"estimator": estimator},
        "required": ["estimator"],
        "allOf": [_where("estimator", name, {"$ref": f"#/$defs/{name}"}) for name in WRITTEN],
    }
    parameters = {
        name: [*found["parameters"], *own.get(KINDS.get(name, ""), {"properties": {}})["properties"]]
        for name, found in known.items()
    }
    _add_space(definitions, estimator, parameters | {"LogisticRegression": [*logistic["properties"]]})
    definitions["LogisticRegression"] = logistic
    for name, found in known.items():
        kind = own.get(KINDS.get(name, ""), {"properties": {}, "required": ["estimator"]})
        inner = {key: _any_classifier(key, part) for key, part in kind["properties"].items() if key != "estimator"}
        definitions[name] = {
            "type": "object",
            "title": name,
            "description": found["description"],
            "additionalProperties": False,
            "properties": {
                "estimator": {"title": "Estimator", "description": "The name of the classifier.", "const": name},
                **inner,
                **found["parameters"],
            },
            "required": kind["required"],
        }


def _add_space(definitions: dict[str, Any], estimator: dict[str, Any], parameters: dict[str, list[str]]) -> None:
    """Define a space of a search, by the names of each classifier's parameters; training checks their values."""
    definitions["Space"] = {
        "type": "object",
        "title": "Space",
        "description": "A classifier and its parameters, each a value or a range.",
        "properties": {"estimator": estimator},
        "required": ["estimator"],
        "allOf": [
            _where(
                "estimator", name, {"propertyNames": {"enum": sorted({"estimator", "preprocess", *parameters[name]})}}
            )
            for name in WRITTEN
        ],
    }
    spaces = definitions["Search"]["properties"]["space"]["anyOf"][0]
    spaces["items"] = {"$ref": "#/$defs/Space"}


def _any_classifier(key: str, part: dict[str, Any]) -> dict[str, Any]:
    """Let the classifiers in a classifier be any, once defined."""
    found = {name: value for name, value in part.items() if name not in {"anyOf", "oneOf", "$ref"}}
    if key not in NESTED_KEYS:
        return found | {"additionalProperties": _CLASSIFIER}
    nullable = {"type": "null"} in part.get("anyOf", ())
    return found | ({"anyOf": [_CLASSIFIER, {"type": "null"}]} if nullable else _CLASSIFIER)
