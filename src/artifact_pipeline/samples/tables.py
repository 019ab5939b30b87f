"""The built-in tables iris, wine and breast_cancer, shipped with the package.

They are the rows of `sklearn.datasets.load_iris`, `load_wine` and `load_breast_cancer`, number by number, with the
names of the classes as labels (a test compares them). So the base install predicts them without scikit-learn.
SAMPLES-LICENSE.txt says where they come from.
"""

from __future__ import annotations

import gzip
import io
from functools import cache, partial
from pathlib import Path

from artifact_pipeline.plugins import BuiltIn
from artifact_pipeline.rows.matrix import Rows

_FOLDER = Path(__file__).parent
_NUCLEUS = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)
_WINE = (
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280/od315_of_diluted_wines",
    "proline",
)


def _table(name: str, *, features: tuple[str, ...], labels: tuple[str, ...], digest: str) -> BuiltIn:
    """Describe the table whose file is `{name}.npy.gz`: its columns, then the position of each row's label."""
    file = _FOLDER / f"{name}.npy.gz"
    load = partial(_rows, file, name, features, labels)
    return BuiltIn(name, features, classes=len(labels), digest=digest, file=file, load=load)


@cache
def _rows(file: Path, name: str, features: tuple[str, ...], labels: tuple[str, ...]) -> Rows:
    """Return the rows: `X` float64 of shape (rows, features), `y` text of shape (rows,)."""
    import numpy as np

    stored = np.load(io.BytesIO(gzip.decompress(file.read_bytes())), allow_pickle=False)
    X = np.ascontiguousarray(stored[:, :-1], dtype=np.float64)
    y = np.array(labels)[stored[:, -1].astype(np.int64)]
    X.flags.writeable = y.flags.writeable = False  # one copy serves all callers
    return Rows(source=name, names=features, target="target", X=X, y=y)


IRIS = _table(
    "iris",
    features=("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"),
    labels=("setosa", "versicolor", "virginica"),
    digest="sha256:f2dfe9c1e8f94b2b4d2d64799f241fa03711177ce641e4706fbf82d69cb9f47c",
)
WINE = _table(
    "wine",
    features=_WINE,
    labels=("class_0", "class_1", "class_2"),
    digest="sha256:28057827650b4b11b2b86ae11cd4fbe0557c2b7eebdd356f923d8afb650acd56",
)
BREAST_CANCER = _table(
    "breast_cancer",
    features=(
        *(f"mean {measure}" for measure in _NUCLEUS),
        *(f"{measure} error" for measure in _NUCLEUS),
        *(f"worst {measure}" for measure in _NUCLEUS),
    ),
    labels=("malignant", "benign"),
    digest="sha256:3ce13426c980ef5e1957b3eeda72fd277a2f3ec6a7e07646d473dc542af2af98",
)
