"""What MLflow's own client makes of an artifact: a run with parameters, metrics, data and files, a version, an alias.

python bare_mlflow.py ARTIFACT URI NAME
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient


def flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested objects as one, with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return found


def main(artifact: str, uri: str, name: str) -> None:
    """Export it."""
    manifest = json.loads(Path(artifact, "manifest.json").read_text())
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(name)
    client = MlflowClient()
    with mlflow.start_run(tags={"gate": manifest["gate"]["verdict"]}) as run:
        mlflow.log_params({**flat(manifest["recipe"]), **flat({"estimator": manifest["model"]["parameters"]})})
        mlflow.log_metrics(
            {
                f"{each['rows']}/{each['name']}/{each.get('label', 'all')}": each["value"]
                for each in manifest["metrics"]["figures"]
            }
        )
        mlflow.log_artifacts(artifact, "artifact")
    client.create_registered_model(name)
    version = client.create_model_version(name, f"{run.info.artifact_uri}/artifact", run.info.run_id)
    client.set_registered_model_alias(name, "champion", version.version)


if __name__ == "__main__":
    main(*sys.argv[1:])
