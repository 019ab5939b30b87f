"""Train three models by AutoGluon, or answer rows by what it has trained: `train` or `predict`, a CSV, a folder."""

import sys

import pandas as pd
from autogluon.tabular import TabularPredictor

verb, table, folder = sys.argv[1:]
rows = pd.read_csv(table)
if verb == "train":
    predictor = TabularPredictor(label="label", path=folder, verbosity=0)
    predictor.fit(rows, hyperparameters={"LR": {}, "RF": {}, "GBM": {}}, num_cpus=1)
else:
    predictor = TabularPredictor.load(folder)
    predictor.predict(rows).to_csv("predictions.csv", index=False)
