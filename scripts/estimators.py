"""Write the page of what can be written: each classifier trained, written and compared with scikit-learn.

`python scripts/estimators.py` writes `docs/estimators.md`; `make estimators` runs it. It takes a few minutes: each
classifier is trained on the digits and on a mixed table, by the code that `train` runs. A test compares the names, the
families and the answers with what this script gives. A difference is rounded up to a power of ten, so that
it is the same on each machine.
"""

from __future__ import annotations

import math
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the tables and the comparison are those of the tests

import numpy as np  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from artifact_pipeline.config.estimators import WRITTEN  # noqa: E402
from artifact_pipeline.model.writer import write  # noqa: E402
from artifact_pipeline.training.estimators import not_allowed  # noqa: E402
from artifact_pipeline.training.pipeline import unfitted  # noqa: E402
from artifact_pipeline.training.reading import read_config  # noqa: E402
from fitted import Table, digits_table, mixed_table, parity, taken, unseen  # type: ignore[import-not-found] # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "estimators.md"
PARTS = {"line": {"estimator": "LogisticRegression"}, "bayes": {"estimator": "GaussianNB"}}
LINE = {"estimator": "LinearSVC"}
PARAMETERS: dict[str, dict[str, Any]] = {
    "LogisticRegression": {"max_iter": 1000},
    "QuadraticDiscriminantAnalysis": {"reg_param": 0.1},
    "NuSVC": {"nu": 0.2},
    "VotingClassifier": {"estimators": PARTS},
    "StackingClassifier": {"estimators": PARTS},
    "CalibratedClassifierCV": {"base_estimator": LINE},
    "OneVsRestClassifier": {"base_estimator": LINE},
}
"""The parameters by which each classifier is measured, where it is not by its defaults."""
SMALLEST = 1e-16

HEAD = """\
# The classifiers that can be written

Written by `scripts/estimators.py`, which trains each classifier, by the parameters that the table names or by its
defaults, on the digits and on a table of numbers, categories and missing values, writes it, and compares each answer
of the written model with scikit-learn's.

- **family**: the type of `model.steps.classifier` in the manifest.
- **labels that differ**: of all rows of both tables.
- **difference**: the largest one of a probability, or of a score as a share of it where it is above 1, rounded up to a
  power of ten; 0 where all bits are equal.
- **size**: of `model.onnx` for the digits, rounded up to two digits.
- **no key**: the parameters of scikit-learn that no config sets, and why; `n_jobs`, `random_state`, `verbose` and
  `warm_start` are never one. [Configuration](configuration.md) says how all others are given.

| estimator | family | measured with | answers | labels that differ | difference | size | no key |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
FOOT = """
## What is not exact, and refused

- **`CalibratedClassifierCV` by `isotonic` or `temperature`**: between two steps of an isotonic curve lie as little as
  1e-14, so that the last bit of a score moves a probability by up to 1; `temperature` takes a logarithm of what is near
  zero. By `sigmoid` all bits but the last stay.
- **`probability` of `SVC` and `NuSVC`**: scikit-learn has deprecated it, and iterates for it. `CalibratedClassifierCV`
  with an `SVC` as its `base_estimator` gives probabilities.
- **`decision_function_shape` `ovo`**: a score for each pair of classes is none for each class. The labels are the same.
- **The kernel `precomputed`**, and of `KNeighborsClassifier` each metric but `euclidean`, `manhattan` and `minkowski`.
- **`StackingClassifier` with `cv` `prefit`**: what it holds would have been trained elsewhere.
- **`OneVsRestClassifier` of a classifier without a decision function**, trees and neighbours excepted: where several
  classes have a probability near 1, the last bits decide. A naive Bayes gave 103 of 1,797 digits another label.

## Neighbours that are equally far

Where training rows are equally far and not all of them count, scikit-learn takes any of them, by the order in which a
heap was filled. The written model takes those that stand first in the training rows. Training does not compare such
rows; the manifest counts them among the `ties` of `model.parity`. Distances are computed column by column, not by a
product of matrices, so that equal rows have the distance 0.

## PassiveAggressiveClassifier

scikit-learn has deprecated it, and will remove it in version 1.10. It is trained as long as the scikit-learn that is
installed has it, without scikit-learn's warning: what it learns has not changed. `SGDClassifier` with
`"loss": "hinge", "penalty": null, "learning_rate": "pa1", "eta0": 1.0` is the same model, where `eta0` is its `C`.
"""


class Measured(NamedTuple):
    """What one classifier has given.

    Attributes:
        name: its name.
        family: what its spec is called.
        answers: `probabilities` or `scores`.
        unequal: how many labels differ.
        difference: the largest difference.
        size: of the model of the digits, in bytes.
    """

    name: str
    family: str
    answers: str
    unequal: int
    difference: float
    size: int


def measure(name: str) -> Measured:
    """Train a classifier on both tables, write it, and compare it with scikit-learn."""
    found, sizes, family = [], [], ""
    for table in (digits_table(), mixed_table()):
        model = _trained(name, table)
        data, steps = write(model, table.columns)
        sizes.append(len(data))
        family = str(type(steps.classifier).__struct_config__.tag)
        rows = unseen(table.rows) if table.rows.S.shape[1] else table.rows
        found.append(parity(model, table.columns, rows))
    return Measured(
        name,
        family,
        found[0].answers,
        sum(each.unequal for each in found),
        max(each.difference for each in found),
        sizes[0],
    )


def _trained(name: str, table: Table) -> Any:
    model = {"estimator": name, **PARAMETERS.get(name, {})}
    config = read_config({"model": model, "preprocess": "auto", "split": {"by": "random"}})
    made = unfitted(config, table.columns, np.unique(table.labels).tolist())
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return made.fit(taken(made, table.columns, table.rows), table.labels)


def rounded(difference: float) -> str:
    """A difference rounded up to a power of ten; the last bit of 1 is the least that counts."""
    if difference == 0:
        return "0"
    return f"1e{math.ceil(math.log10(max(difference, SMALLEST)) - 1e-9):d}"


def row(found: Measured) -> str:
    """The row of a classifier."""
    given = PARAMETERS.get(found.name, {})
    words = ", ".join(
        f"`{key}`" if key in {"estimators", "base_estimator"} else f"`{key}` {value}" for key, value in given.items()
    )
    digits = 10 ** (len(str(found.size)) - 2)
    size = math.ceil(found.size / digits) * digits
    cells = [
        f"`{found.name}`",
        f"`{found.family}`",
        words or "defaults",
        found.answers,
        str(found.unequal),
        rounded(found.difference),
        f"{size / 1000:,g} kB",
        ", ".join(f"`{each}`" for each in not_allowed(found.name)) or "",
    ]
    return f"| {' | '.join(cells)} |\n"


def rows() -> Iterator[str]:
    """The rows of all classifiers."""
    for name in WRITTEN:
        yield row(measure(name))


def main() -> None:
    """Write the page."""
    PAGE.write_text(HEAD + "".join(rows()) + FOOT, encoding="utf-8")


if __name__ == "__main__":
    main()
