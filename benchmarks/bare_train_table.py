"""The same training by scikit-learn and pandas, without a proof: read, split, scale, fit, answer, measure, save.

python bare_train_table.py TABLE OUTPUT
"""

from __future__ import annotations

import sys

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

read = pd.read_parquet if sys.argv[1].endswith(".parquet") else pd.read_csv
frame = read(sys.argv[1])
y = frame.pop("label").to_numpy()
train, held_out = train_test_split(np.arange(len(y)), test_size=0.2, random_state=42)
model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, solver="lbfgs", max_iter=20))
model.fit(frame.iloc[train], y[train])
probabilities = model.predict_proba(frame)
predicted = model.classes_[probabilities.argmax(axis=1)]
for rows in (held_out, train, np.arange(len(y))):
    actual, answered = y[rows], predicted[rows]
    print(accuracy_score(actual, answered), balanced_accuracy_score(actual, answered))
    print(f1_score(actual, answered, average="weighted"), f1_score(actual, answered, average="macro"))
    print(log_loss(actual, probabilities[rows]), roc_auc_score(actual, probabilities[rows, 1]))
joblib.dump(model, sys.argv[2])
