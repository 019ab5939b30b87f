"""The OpenAPI document of the server and of the model in charge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_pipeline import __version__
from artifact_pipeline.serving.schemas import example_of, inputs_of, tuple_of

if TYPE_CHECKING:
    from artifact_pipeline.serving.model import Served
    from artifact_pipeline.serving.settings import Settings

_ERROR = {"$ref": "#/components/schemas/Error"}


def document(served: Served, settings: Settings) -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
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
        paths[f"{place}/infer"] = {"post": _infer(served, settings)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "artifact-pipeline serve",
            "version": __version__,
            "description": f"{served.name}, artifact {served.verified.digest}, by the Open Inference Protocol V2.",
        },
        **({"servers": [{"url": settings.public_url.url}]} if settings.public_url is not None else {}),
        "paths": paths,
        "components": {"schemas": _schemas(served)},
    }


def _get(summary: str, schema: str, *, not_ready: bool = False) -> dict[str, Any]:
    content = _content("application/json", {"$ref": f"#/components/schemas/{schema}"})
    answers = {"200": content, **({"503": {**content, "description": "Not ready"}} if not_ready else {})}
    return {"get": _operation(summary, answers)}


def _operation(summary: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "responses": answers}


def _content(kind: str, schema: dict[str, Any], *, description: str = "Answer") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _infer(served: Served, settings: Settings) -> dict[str, Any]:
    refusals = {
        "400": "The request does not fit the protocol or the model",
        "403": "A page of another origin",
        "404": "Another model, or another version of it, is served by now",
        "408": "The request did not come whole in time",
        "413": f"More than {settings.max_body} bytes, or too many rows",
        "415": "A content encoding other than gzip and deflate",
        "431": "The headers are too large",
        "501": "A transfer coding other than chunked",
        "503": "Too many requests wait, or the server ends",
    }
    good = _content("application/json", {"$ref": "#/components/schemas/Answer"})
    good["content"]["application/octet-stream"] = {}
    good["headers"] = {
        "Inference-Header-Content-Length": {
            "description": "How many bytes of the body are JSON, where an output is wanted as binary data",
            "schema": {"type": "integer", "minimum": 1},
        }
    }
    answers = {"200": good}
    answers |= {status: _content("application/json", _ERROR, description=words) for status, words in refusals.items()}
    content = {"schema": {"$ref": "#/components/schemas/Inference"}, "example": {"inputs": example_of(served)}}
    body = {"required": True, "content": {"application/json": content}}
    words = (
        "In JSON, or by the binary tensor extension: then Inference-Header-Content-Length says how many bytes of the "
        "body are JSON, and the tensors follow them. What JSON Schema cannot say: data has as many values as the shape "
        "says, all columns have as many rows, null stands only where a value may be missing, a model of FP32 takes "
        "only whole numbers that FP32 has, and numbers near the largest can be too large for the model together."
    )
    if served.shapes:
        words += " In place of the matrix a request may hold a tensor for each column, of its name and of shape [n]."
    return {
        **_operation(f"Labels and {served.predictor.kind} of rows", answers),
        "description": words,
        "requestBody": body,
    }


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
    """The schema of an object that has exactly these properties."""
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
            "name": {"enum": [*served.outputs]},
            "parameters": {
                "type": ["object", "null"],
                "properties": {"binary_data": {"type": ["boolean", "null"]}, "classification": False},
            },
        },
        "required": ["name"],
    }
    both = [[_named(wanted, name) for name in names] for names in (served.outputs, served.outputs[::-1])]
    outputs = {
        "anyOf": [
            {"type": "null"},
            {"type": "array", "items": wanted, "maxItems": 1},
            *map(tuple_of, both),
        ]
    }
    parameters = {"type": ["object", "null"], "properties": {"binary_data_output": {"type": "boolean"}}}
    return {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": parameters,
            "inputs": inputs_of(served),
            "outputs": outputs,
        },
        "required": ["inputs"],
    }


def _named(output: dict[str, Any], name: str) -> dict[str, Any]:
    return {**output, "properties": {**output["properties"], "name": {"const": name}}}


def _answer(served: Served) -> dict[str, Any]:
    label = {"type": "string" if served.texts else "integer"}
    shape = {"type": "array", "items": {"type": "integer"}}
    probability = {"type": "number", "minimum": 0, "maximum": 1.000001}
    answer = probability if served.predictor.kind == "probabilities" else {"type": "number"}

    def output(name: str, datatype: str, item: dict[str, Any]) -> dict[str, Any]:
        common = {"name": {"const": name}, "datatype": {"const": datatype}, "shape": shape}
        return _object(**common, data={"type": "array", "items": item})

    response = _object(
        model_name={"const": served.name},
        model_version={"const": served.version},
        outputs={
            "type": "array",
            "items": {
                "anyOf": [
                    output(served.outputs[0], "BYTES" if served.texts else "INT64", label),
                    output(served.outputs[1], "FP64", answer),
                ]
            },
        },
    )
    response["properties"]["id"] = {"type": "string"}
    return response
