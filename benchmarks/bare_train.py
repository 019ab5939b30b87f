"""Train on the digits as most people would: scikit-learn, joblib and a config file."""

import json
from pathlib import Path

import joblib
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split

config = json.loads(Path("config/config.json").read_text())

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)

model = LogisticRegression(C=config["C"], solver=config["solver"], max_iter=config["max_iter"])
model.fit(X_train, y_train)

predicted = model.predict(X_test)
print("accuracy", accuracy_score(y_test, predicted))
print("f1_weighted", f1_score(y_test, predicted, average="weighted"))

joblib.dump(model, "model_train.pkl")
