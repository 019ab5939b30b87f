"""Serve the model as most people would: FastAPI, pydantic, joblib and scikit-learn.

python fastapi_server.py PORT
"""
# mypy: disable-error-code="import-not-found, untyped-decorator"
# FastAPI is in the environment of this script, not in that of the checks.

import sys
from typing import Any

import joblib
import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load("model_train.pkl")


class Rows(BaseModel):
    """The body of a request."""

    rows: list[list[float]]


class Predictions(BaseModel):
    """The body of an answer."""

    labels: list[int]
    probabilities: list[list[float]]


@app.post("/predict")
def predict(given: Rows) -> Predictions:
    """Predict some rows."""
    X: Any = np.array(given.rows)
    return Predictions(labels=model.predict(X).tolist(), probabilities=model.predict_proba(X).tolist())


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
