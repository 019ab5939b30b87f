"""Ask MLflow's own client what a server has, and answer rows by `mlflow.pyfunc`: one JSON object on standard output.

python ask.py URI NAME [ROWS.npz FOLDER]
python ask.py URI --each NAME ...

NAME is that of a registered model, and of an experiment.

It runs in `.venv-mlflow`, for tests/test_tracking.py.
"""

from __future__ import annotations

import json
import logging
import os
import sys

os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = os.environ["ORT_DISABLE_TELEMETRY"] = "true"

import numpy as np

import mlflow
from mlflow import MlflowClient


def main(uri: str, first: str, *more: str) -> dict[str, object]:
    """Return what the client lists of one name, or of each."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    return {name: listed(client, name) for name in more} if first == "--each" else listed(client, first, *more)


def listed(client: MlflowClient, name: str, *rows: str) -> dict[str, object]:
    """Return what the client lists, and the labels of the rows."""
    versions = sorted(client.search_model_versions(f"name='{name}'"), key=lambda each: int(each.version))
    runs = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    aliases = client.get_registered_model(name).aliases if versions else {}
    found: dict[str, object] = {
        "versions": [{"version": str(each.version), "run": each.run_id, "tags": each.tags} for each in versions],
        "aliases": {key: str(value) for key, value in aliases.items()},
        "runs": [describe(client, each.info.run_id) for each in runs],
    }
    return found | (answer(f"models:/{name}/{versions[-1].version}", versions[-1].run_id, *rows) if rows else {})


def answer(model: str, run: str, rows: str, folder: str) -> dict[str, object]:
    """Return the labels that a registered model gives, its signature, and where the run's artifact has been put."""
    loaded = mlflow.pyfunc.load_model(model)
    answers = loaded.predict(dict(np.load(rows)))
    return {
        "labels": np.asarray(answers["label"]).tolist(),
        "answers": sorted(answers),
        "signature": loaded.metadata.signature.to_dict(),
        "columns": loaded.metadata.metadata["columns"],
        "folder": mlflow.artifacts.download_artifacts(f"runs:/{run}/artifact", dst_path=folder),
    }


def describe(client: MlflowClient, identifier: str) -> dict[str, object]:
    """Return what a run holds."""
    run = client.get_run(identifier)
    pending, files = [""], []
    while pending:
        for each in client.list_artifacts(identifier, pending.pop() or None):
            (pending if each.is_dir else files).append(each.path)
    datasets = [
        {"name": each.dataset.name, "source": each.dataset.source, "tags": {tag.key: tag.value for tag in each.tags}}
        for each in run.inputs.dataset_inputs
    ]
    return {
        "run": identifier,
        "status": run.info.status,
        "params": run.data.params,
        "metrics": run.data.metrics,
        "tags": run.data.tags,
        "files": sorted(files),
        "datasets": datasets,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
