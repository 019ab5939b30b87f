"""Predict the digits as most people would: joblib, scikit-learn and a CSV file."""

import csv
from pathlib import Path

import joblib
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, f1_score

model = joblib.load("model_train.pkl")

X, y = load_digits(return_X_y=True)
predicted = model.predict(X)
probabilities = model.predict_proba(X)

print("accuracy", accuracy_score(y, predicted))
print("f1_weighted", f1_score(y, predicted, average="weighted"))

with Path("predictions.csv").open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["row", "actual", "predicted", *(f"probability_{label}" for label in model.classes_)])
    for row, (actual, label, shares) in enumerate(zip(y, predicted, probabilities, strict=True)):
        writer.writerow([row, actual, label, *(f"{share:.6f}" for share in shares)])
