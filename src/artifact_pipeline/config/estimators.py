"""The classifiers that a config may name, and what is known of each before scikit-learn is imported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of a classifier of scikit-learn that can be written.

    Attributes:
        module: the module of scikit-learn that it comes from.
        scale: the step by which `auto` scales numbers for it; empty where it needs none.
        missing: whether it takes missing numbers itself.
    """

    module: str
    scale: str = ""
    missing: bool = False


_STANDARD = "standard_scale"

WRITTEN: dict[str, Traits] = {
    "LogisticRegression": Traits("linear_model", _STANDARD),
    "LogisticRegressionCV": Traits("linear_model", _STANDARD),
    "LinearDiscriminantAnalysis": Traits("discriminant_analysis", _STANDARD),
    "QuadraticDiscriminantAnalysis": Traits("discriminant_analysis", _STANDARD),
    "RidgeClassifier": Traits("linear_model", _STANDARD),
    "RidgeClassifierCV": Traits("linear_model", _STANDARD),
    "LinearSVC": Traits("svm", _STANDARD),
    "SGDClassifier": Traits("linear_model", _STANDARD),
    "Perceptron": Traits("linear_model", _STANDARD),
    "PassiveAggressiveClassifier": Traits("linear_model", _STANDARD),
    "MLPClassifier": Traits("neural_network", _STANDARD),
    "GaussianNB": Traits("naive_bayes"),
    "MultinomialNB": Traits("naive_bayes", "min_max_scale"),  # they count, and take no negative number
    "ComplementNB": Traits("naive_bayes", "min_max_scale"),
    "BernoulliNB": Traits("naive_bayes", _STANDARD),  # a value counts as true above 0, so above the column's mean
    "NearestCentroid": Traits("neighbors", _STANDARD),
    "DecisionTreeClassifier": Traits("tree", missing=True),
    "ExtraTreeClassifier": Traits("tree", missing=True),
    "RandomForestClassifier": Traits("ensemble", missing=True),
    "ExtraTreesClassifier": Traits("ensemble", missing=True),
    "GradientBoostingClassifier": Traits("ensemble"),
    "HistGradientBoostingClassifier": Traits("ensemble", missing=True),
    "SVC": Traits("svm", _STANDARD),
    "NuSVC": Traits("svm", _STANDARD),
    "KNeighborsClassifier": Traits("neighbors", _STANDARD),
    "VotingClassifier": Traits("ensemble"),
    "StackingClassifier": Traits("ensemble"),
    "CalibratedClassifierCV": Traits("calibration"),
    "OneVsRestClassifier": Traits("multiclass"),
    "BaggingClassifier": Traits("ensemble", missing=True),
    "AdaBoostClassifier": Traits("ensemble"),
}
"""The classifiers that a config may name; `auto` prepares the columns by what stands here.

One that is made of others needs what any of them needs; what stands here holds where it is made of decision trees.
"""

NEAREST: dict[str, str] = {
    "GaussianProcessClassifier": "SVC",
    "RadiusNeighborsClassifier": "KNeighborsClassifier",
    "LabelPropagation": "KNeighborsClassifier",
    "LabelSpreading": "KNeighborsClassifier",
    "CategoricalNB": "MultinomialNB",
    "OneVsOneClassifier": "OneVsRestClassifier",
    "OutputCodeClassifier": "OneVsRestClassifier",
}
"""Classifiers that cannot be written, and the one of `WRITTEN` that is nearest to each."""


def not_written(name: str) -> str:
    """Return why a config may not name this classifier, as the end of `must be …`; empty where it may."""
    if name in WRITTEN:
        return ""
    if name in NEAREST:
        return f"a classifier that can be written ({name} cannot; the nearest is {NEAREST[name]})"
    return "a classifier that can be written"
