"""Serve the model by LitServe, as its documentation shows it: decode, predict, encode; one worker on the CPU.

python litserve_server.py PORT
"""
# mypy: disable-error-code="import-not-found, misc"
# LitServe is in the environment of this script, not in that of the checks.

import sys
from typing import Any

import joblib
import litserve
import numpy as np


class Digits(litserve.LitAPI):
    """The model behind POST /predict."""

    def setup(self, device: str) -> None:
        """Load the model, in the worker."""
        del device  # scikit-learn knows one only
        self.model = joblib.load("model_train.pkl")

    def decode_request(self, request: dict[str, Any]) -> Any:
        """Rows of the body, as a matrix."""
        return np.array(request["rows"])

    def predict(self, x: Any) -> Any:
        """Labels and probabilities."""
        return self.model.predict(x), self.model.predict_proba(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Both, as the body of the answer."""
        labels, probabilities = output
        return {"labels": labels.tolist(), "probabilities": probabilities.tolist()}


if __name__ == "__main__":  # its workers import this file again
    server = litserve.LitServer(Digits(), accelerator="cpu", workers_per_device=1)
    # It would write a client.py into the working folder, listen on every interface, and log every request.
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
