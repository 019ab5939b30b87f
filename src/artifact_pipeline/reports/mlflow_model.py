"""A model as MLflow loads it: `MLmodel` of the onnx flavour, with its signature, beside `model.onnx`.

A function of the artifact alone. The inputs are the tensors of `model.onnx`: `X` for numbers and booleans, `S` for
categories, whose columns and order the file names.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from artifact_pipeline.reports.yaml_text import yaml_text

if TYPE_CHECKING:
    from artifact_pipeline.artifact.manifest import Manifest, Verified

MLMODEL = "MLmodel"
_MODEL = "model.onnx"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")
_TYPES = {"string": "str"}


def mlflow_files(verified: Verified) -> dict[str, bytes]:
    """Return the files of the folder that MLflow loads, by name."""
    manifest = verified.manifest
    python = manifest.environment.python.version
    versions = manifest.environment.packages
    pinned = [
        f"{name}=={versions[name]}" for name in ("numpy", "onnxruntime") if _VERSION.fullmatch(versions.get(name, ""))
    ]
    environment = {"python": python, "dependencies": ["-r requirements.txt"]}
    return {
        MLMODEL: yaml_text(_mlmodel(verified)).encode(),
        _MODEL: verified.role("model"),
        "requirements.txt": "".join(f"{line}\n" for line in ("mlflow", "onnx", *pinned)).encode(),
        "python_env.yaml": yaml_text(environment).encode(),
    }


def tensor_columns(manifest: Manifest) -> dict[str, list[str]]:
    """Return the columns of each tensor that the model takes, in their order; no tensor without columns."""
    numbers = [each.name for each in manifest.model.columns if each.kind != "category"]
    texts = [each.name for each in manifest.model.columns if each.kind == "category"]
    return {name: columns for name, columns in (("X", numbers), ("S", texts)) if columns}


def _mlmodel(verified: Verified) -> dict[str, Any]:
    manifest = verified.manifest
    function: dict[str, Any] = {
        "loader_module": "mlflow.onnx",
        "data": _MODEL,
        "env": {"virtualenv": "python_env.yaml"},
        "python_version": manifest.environment.python.version,
    }
    onnx = {"data": _MODEL, "onnx_version": "1", "providers": ["CPUExecutionProvider"]}
    return {
        "artifact_path": "model",
        "flavors": {"onnx": onnx, "python_function": function},
        "metadata": {"artifact_digest": verified.digest, "columns": tensor_columns(manifest)},
        "signature": _signature(manifest),
    }


def _signature(manifest: Manifest) -> dict[str, str]:
    types = {"X": manifest.model.dtype, "S": "str"}
    inputs = [_tensor(name, types[name], len(columns)) for name, columns in tensor_columns(manifest).items()]
    outputs = [
        _tensor(each.name, _TYPES.get(each.dtype, each.dtype), *(size for size in each.shape[1:] if size is not None))
        for each in manifest.model.outputs
    ]
    return {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs)}


def _tensor(name: str, dtype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, *shape]}}
