"""Train three models by MLJAR, or answer rows by what it has trained: `train` or `predict`, a CSV, a folder."""

import sys

import pandas as pd
from supervised import AutoML

verb, table, folder = sys.argv[1:]
rows = pd.read_csv(table)
if verb == "train":
    model = AutoML(
        results_path=folder,
        mode="Explain",
        algorithms=["Linear", "Random Forest", "LightGBM"],
        explain_level=0,
        train_ensemble=False,
        n_jobs=1,
        random_state=42,
        verbose=0,
    )
    model.fit(rows.drop(columns="label"), rows["label"])
else:
    model = AutoML(results_path=folder)
    pd.Series(model.predict(rows)).to_csv("predictions.csv", index=False)
