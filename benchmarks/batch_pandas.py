"""Predict a Parquet file as most people would: pandas, joblib and scikit-learn, all of it at once.

python batch_pandas.py INPUT OUTPUT
"""

import sys

import joblib
import numpy as np
import pandas as pd

model = joblib.load("model_train.pkl")
rows = pd.read_parquet(sys.argv[1])
probabilities = model.predict_proba(rows.to_numpy())
answers = pd.DataFrame(probabilities.astype(np.float32), columns=[f"probability_{each}" for each in model.classes_])
answers.insert(0, "predicted", model.classes_[probabilities.argmax(axis=1)])
answers.insert(0, "row", np.arange(len(rows)))
answers.to_parquet(sys.argv[2], index=False)
