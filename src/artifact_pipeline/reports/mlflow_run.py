"""The content of a run of MLflow: parameters, figures, data, files; each may be written twice.

The limits are those of MLflow's server; longer values are shortened, with a note. The model is as MLflow loads it:
`MLmodel` of the onnx flavour, with its signature, beside `model.onnx`. Its inputs are the tensors of that model: `X`
for numbers and booleans, `S` for categories, whose columns and order the file names.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from artifact_pipeline.artifact.about import AboutRecord
from artifact_pipeline.artifact.parts import NAME
from artifact_pipeline.canonical import PREFIX
from artifact_pipeline.errors import plural
from artifact_pipeline.reports.facts import facts_of
from artifact_pipeline.reports.yaml_text import yaml_text
from artifact_pipeline.rows.features import category_columns, number_columns
from artifact_pipeline.rows.matrix import HELD_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.reports.facts import Facts
    from artifact_pipeline.reports.mlflow_server import MlflowServer

_MAX_KEY, _MAX_VALUE, _MAX_TAG = 250, 6000, 5000
_MAX_PARAMS, _MAX_METRICS = 100, 1000
_MAX_DIGEST, _MAX_SCHEMA = 36, 1_000_000
_NOTE = "mlflow.note.content"
"""The tag that MLflow shows as the description of a run."""


def fill(
    server: MlflowServer, verified: Verified, *, run: str, files: str, begun: int, progress: Callable[[str], None]
) -> list[str]:
    """Write everything that a run holds, and return a sentence about parameters that were shortened.

    `files` is the path of the run's files at the server. The run began at `begun`, in milliseconds.

    Raises:
        StorageError: the server does not take it.
    """
    facts = facts_of(verified)
    params, notes = _within(facts.params)
    progress("sending parameters and metrics")
    for part in _batches(params, _MAX_PARAMS):
        server.set("runs/log-batch", {"run_id": run, "params": part})
    metrics = [
        {"key": key[:_MAX_KEY], "value": value, "timestamp": begun, "step": 0} for key, value in facts.metrics.items()
    ]
    for part in _batches(metrics, _MAX_METRICS):
        server.set("runs/log-batch", {"run_id": run, "metrics": part})
    server.set("runs/log-batch", {"run_id": run, "tags": [{"key": _NOTE, "value": _note(verified)}]})
    server.set("runs/log-inputs", {"run_id": run, "datasets": list(_datasets(verified, facts))})
    for name, data in run_files(verified).items():
        progress(f"sending {name}")
        server.upload(files, name, data)
    return notes


def run_files(verified: Verified) -> dict[str, bytes]:
    """Return the files of a run: the artifact, the model as MLflow loads it, and what people read; no rows."""
    from artifact_pipeline.reports.bom import bill_of_materials
    from artifact_pipeline.reports.card import model_card
    from artifact_pipeline.reports.page.request import page_alone

    artifact = {NAME: verified.manifest.canonical(), **verified.members}
    return {
        **{f"artifact/{name}": data for name, data in artifact.items()},
        **{f"model/{name}": data for name, data in mlflow_files(verified).items()},
        **page_alone(verified),
        "model_card.md": model_card(verified).encode(),
        "bom.json": json.dumps(bill_of_materials(verified), indent=2, sort_keys=True).encode() + b"\n",
    }


def _within(params: Mapping[str, str]) -> tuple[list[dict[str, str]], list[str]]:
    """The parameters within MLflow's limits, and what was shortened for them."""
    found: dict[str, str] = {}
    shortened = []
    for key, value in params.items():
        end = f"-{len(found)}" if len(key) > _MAX_KEY else ""
        name = f"{key[: _MAX_KEY - len(end)]}{end}"
        found[name] = value if len(value) <= _MAX_VALUE else f"{value[: _MAX_VALUE - 1]}…"
        if (name, found[name]) != (key, value):
            shortened.append(name)
    notes = []
    if shortened:
        named = ", ".join(each[:60] for each in shortened[:3])
        limits = f"{_MAX_KEY} characters of a name and {_MAX_VALUE:,} of a value"
        notes.append(f"{plural(len(shortened), 'parameter')} shortened to MLflow's limits, {limits}: {named}")
    return [{"key": key, "value": value} for key, value in found.items()], notes


def _batches(items: list[dict[str, Any]], most: int) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(items), most):
        yield items[start : start + most]


def _note(verified: Verified) -> str:
    """The description of the run, in Markdown."""
    from artifact_pipeline.reports.markdown import baseline, figures_table, prose

    manifest = verified.manifest
    about = AboutRecord.of(manifest)
    text = "\n\n".join([*prose(about.description or ""), figures_table(manifest), baseline(manifest.metrics.held_out)])
    proof = f"`artifact-pipeline verify artifact --expect {verified.digest}`"
    return f"{text}\n\n{proof}" if len(text) + len(proof) + 2 <= _MAX_TAG else proof


def _datasets(verified: Verified, facts: Facts) -> Iterator[dict[str, Any]]:
    """The data: what it is, never where; of the digest as much as MLflow takes, whole in its source."""
    types = {"number": "double", "boolean": "boolean", "category": "string"}
    columns = [{"name": each.name, "type": types[each.kind]} for each in verified.manifest.model.columns]
    schema = json.dumps({"mlflow_colspec": columns})
    for each in facts.data:
        dataset = {
            "name": each["name"] or "rows",
            "digest": each["digest"].removeprefix(PREFIX)[:_MAX_DIGEST],
            "source_type": "artifact-pipeline",
            "source": json.dumps({**each, "target": facts.target}),
            "profile": json.dumps({"num_rows": each["rows"], "target": facts.target}),
        }
        if len(schema) <= _MAX_SCHEMA:
            dataset["schema"] = schema
        context = "evaluation" if each["name"] == HELD_OUT else "training"
        yield {"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": context}]}


_MODEL = "model.onnx"
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")


def mlflow_files(verified: Verified) -> dict[str, bytes]:
    """Return the files of the folder that MLflow loads, by name."""
    manifest = verified.manifest
    versions = manifest.environment.packages
    pinned = [
        f"{name}=={versions[name]}" for name in ("numpy", "onnxruntime") if _VERSION.fullmatch(versions.get(name, ""))
    ]
    environment = {"python": manifest.environment.python.version, "dependencies": ["-r requirements.txt"]}
    return {
        "MLmodel": yaml_text(_mlmodel(verified)).encode(),
        _MODEL: verified.role("model"),
        "requirements.txt": "".join(f"{line}\n" for line in ("mlflow", "onnx", *pinned)).encode(),
        "python_env.yaml": yaml_text(environment).encode(),
    }


def tensor_columns(manifest: Manifest) -> dict[str, list[str]]:
    """Return the columns of each tensor that the model takes, in their order; no tensor without columns."""
    tensors = {"X": number_columns(manifest.model.columns), "S": category_columns(manifest.model.columns)}
    return {name: [each.name for each in columns] for name, columns in tensors.items() if columns}


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
    types = {"X": manifest.model.dtype, "S": "string"}
    inputs = [_tensor(name, types[name], len(columns)) for name, columns in tensor_columns(manifest).items()]
    outputs = [
        _tensor(each.name, each.dtype, *(size for size in each.shape[1:] if size is not None))
        for each in manifest.model.outputs
    ]
    return {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs)}


def _tensor(name: str, dtype: str, *shape: int) -> dict[str, Any]:
    dtype = "str" if dtype == "string" else dtype
    return {"name": name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, *shape]}}
