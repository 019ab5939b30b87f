"""Train on tables as most people would by hand: pandas and scikit-learn, on the same rows as the pipeline.

It reads a list of jobs from standard input, and writes the accuracy of each on the rows that are held out.
"""

import json
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

warnings.simplefilter("ignore")


def accuracy(job: dict[str, Any]) -> float:
    """Train without the rows that are held out, and return the accuracy on those."""
    read = pd.read_json if job["path"].endswith(".jsonl") else pd.read_csv
    table = read(job["path"], lines=True) if read is pd.read_json else read(job["path"])
    dropped = [name or "Unnamed: 0" for name in job["drop"]]
    there = table[job["target"]].notna()
    X, y = table.drop(columns=[*dropped, job["target"]])[there], table[job["target"]][there]
    numbers = X.select_dtypes("number").columns
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    others = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    X = X.astype(dict.fromkeys(X.columns.difference(numbers), object)).where(X.notna(), np.nan)
    columns = ColumnTransformer([("number", numeric, numbers), ("other", others, X.columns.difference(numbers))])
    model = make_pipeline(columns, LogisticRegression(max_iter=1000))
    held_out = np.zeros(len(X), dtype=bool)
    held_out[job["held_out"]] = True
    model.fit(X[~held_out], y[~held_out])
    return float(accuracy_score(y[held_out], model.predict(X[held_out])))


json.dump([accuracy(job) for job in json.load(sys.stdin)], sys.stdout)
