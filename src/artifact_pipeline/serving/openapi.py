"""The OpenAPI document that the server publishes about itself and the model in charge."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Any

from artifact_pipeline import __version__
from artifact_pipeline.rows.tables import MAX_WHOLE
from artifact_pipeline.serving.model import INPUT
from artifact_pipeline.serving.tensors import INPUT_TYPES, LABEL, PROBABILITIES

if TYPE_CHECKING:
    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.serving.settings import Settings

_ERROR = {"$ref": "#/components/schemas/Error"}
_NUMBERS: dict[str, dict[str, Any]] = {
    "FP32": {"type": "number", "minimum": -3.4e38, "maximum": 3.4e38},
    "FP64": {"type": "number", "minimum": -3.4e38, "maximum": 3.4e38},
    "INT64": {"type": "integer", "minimum": -MAX_WHOLE, "maximum": MAX_WHOLE},
    "UINT8": {"type": "integer", "minimum": 0, "maximum": 255},
}


def document(served: Served, settings: Settings) -> dict[str, Any]:
    """The document, OpenAPI 3.1, for the model that is served just now."""
    paths = {
        "/v2": _get("The server", "Server"),
        "/v2/health/live": _get("Whether the server lives", "Live"),
        "/v2/health/ready": _get("Whether the server takes requests", "Ready", not_ready=True),
        "/metrics": {"get": _operation("Figures for Prometheus", {"200": _content("text/plain", {"type": "string"})})},
        "/openapi.json": _get("This document", "Object"),
    }
    for place in (f"/v2/models/{served.name}", f"/v2/models/{served.name}/versions/{served.version}"):
        paths[place] = _get("The model", "Model")
        paths[f"{place}/ready"] = _get("Whether the model takes requests", "ModelReady", not_ready=True)
        paths[f"{place}/infer"] = {"post": _infer(settings)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "artifact-pipeline serve",
            "version": __version__,
            "description": f"{served.name}, artifact {served.verified.digest}, by the Open Inference Protocol V2.",
        },
        "paths": paths,
        "components": {"schemas": _schemas(served)},
    }


def _get(summary: str, schema: str, *, not_ready: bool = False) -> dict[str, Any]:
    told = _content("application/json", {"$ref": f"#/components/schemas/{schema}"})
    answers = {"200": told, **({"503": {**told, "description": "Not ready"}} if not_ready else {})}
    return {"get": _operation(summary, answers)}


def _operation(summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": answers}


def _content(kind: str, schema: dict[str, Any], *, description: str = "Answer") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _infer(settings: Settings) -> dict[str, Any]:
    refusals = {
        "400": "The request does not fit the protocol or the model",
        "403": "A page of another origin",
        "408": "The request did not come whole in time",
        "413": f"More than {settings.max_body} bytes, or too many rows",
        "415": "A content encoding other than gzip and deflate",
        "431": "The headers are too large",
        "503": "Too many requests wait, or the server ends",
    }
    answers = {"200": _content("application/json", {"$ref": "#/components/schemas/Answer"})}
    answers |= {status: _content("application/json", _ERROR, description=words) for status, words in refusals.items()}
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Inference"}}}}
    words = (
        "In JSON, or by the binary tensor extension: then Inference-Header-Content-Length tells how many bytes of the "
        "body are JSON, and the tensors follow them. What JSON Schema cannot say: data has as many numbers as the "
        "shape tells."
    )
    return {**_operation("Labels and probabilities of rows", answers), "description": words, "requestBody": body}


def _schemas(served: Served) -> dict[str, Any]:
    text, flag = {"type": "string"}, {"type": "boolean"}
    tensor = _object(name=text, datatype=text, shape={"type": "array", "items": {"type": "integer"}})
    return {
        "Error": _object(error=text),
        "Object": {"type": "object"},
        "Live": _object(live=flag),
        "Ready": _object(ready=flag),
        "ModelReady": _object(name=text, ready=flag),
        "Server": _object(name=text, version=text, extensions={"type": "array", "items": text}),
        "Model": _object(
            name=text,
            versions={"type": "array", "items": text},
            platform=text,
            inputs={"type": "array", "items": tensor},
            outputs={"type": "array", "items": tensor},
        ),
        "Inference": _inference(served),
        "Answer": _answer(served),
    }


def _object(**properties: Any) -> dict[str, Any]:
    """An object with these properties, all of them there, and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _inference(served: Served) -> dict[str, Any]:
    wanted = {
        "type": "object",
        "properties": {
            "name": {"enum": [LABEL, PROBABILITIES]},
            "parameters": {
                "type": ["object", "null"],
                "properties": {"binary_data": {"type": ["boolean", "null"]}, "classification": False},
            },
        },
        "required": ["name"],
    }
    outputs = {"type": ["array", "null"], "items": wanted, "maxItems": 2}
    parameters = {"type": ["object", "null"], "properties": {"binary_data_output": {"type": "boolean"}}}
    return {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": parameters,
            "inputs": {
                "type": "array",
                "items": {"oneOf": [_tensor(served, name) for name in INPUT_TYPES]},
                "minItems": 1,
                "maxItems": 1,
            },
            "outputs": outputs,
        },
        "required": ["inputs"],
    }


def _tensor(served: Served, datatype: str) -> dict[str, Any]:
    """The input by one datatype: flat, nested by rows, or nested by rows and columns."""
    features, side, number = served.features, isqrt(served.features), _NUMBERS[datatype]
    row = {"type": "array", "items": number, "minItems": features, "maxItems": features}
    forms = [([{"const": features}], {"type": "array", "items": number, "minItems": features})]
    forms.append(([{"const": features}], {"type": "array", "items": row, "minItems": 1}))
    if side * side == features:
        line = {"type": "array", "items": number, "minItems": side, "maxItems": side}
        square = {"type": "array", "items": line, "minItems": side, "maxItems": side}
        forms.append(([{"const": side}, {"const": side}], {"type": "array", "items": square, "minItems": 1}))
    rows = {"type": "integer", "minimum": 1, "maximum": served.max_rows}
    return {
        "type": "object",
        "properties": {"name": {"const": INPUT}, "datatype": {"const": datatype}},
        "required": ["name", "datatype", "shape", "data"],
        "anyOf": [
            {
                "properties": {
                    "shape": {
                        "type": "array",
                        "prefixItems": [rows, *rest],
                        "minItems": 1 + len(rest),
                        "maxItems": 1 + len(rest),
                    },
                    "data": data,
                }
            }
            for rest, data in forms
        ],
    }


def _answer(served: Served) -> dict[str, Any]:
    label = {"type": "string" if served.texts else "integer"}
    shape = {"type": "array", "items": {"type": "integer"}}

    def output(name: str, datatype: str, item: dict[str, Any]) -> dict[str, Any]:
        told = {"name": {"const": name}, "datatype": {"const": datatype}, "shape": shape}
        return _object(**told, data={"type": "array", "items": item})

    told = _object(
        model_name={"const": served.name},
        model_version={"const": served.version},
        outputs={
            "type": "array",
            "items": {
                "anyOf": [
                    output(LABEL, "BYTES" if served.texts else "INT64", label),
                    output(PROBABILITIES, "FP64", {"type": "number", "minimum": 0, "maximum": 1.000001}),
                ]
            },
        },
    )
    told["properties"]["id"] = {"type": "string"}
    return told
