"""The classifiers that a config may name, and what is known of each before scikit-learn is imported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """A classifier of scikit-learn that can be written.

    Attributes:
        module: the module of scikit-learn that it comes from.
        scale: the step by which `auto` scales numbers for it; empty where it needs none.
        missing: whether it takes missing numbers itself.
    """

    module: str
    scale: str = ""
    missing: bool = False


_STANDARD = "standard_scale"

WRITTEN: dict[str, Family] = {
    "LogisticRegression": Family("linear_model", _STANDARD),
    "LogisticRegressionCV": Family("linear_model", _STANDARD),
    "LinearDiscriminantAnalysis": Family("discriminant_analysis", _STANDARD),
    "QuadraticDiscriminantAnalysis": Family("discriminant_analysis", _STANDARD),
    "RidgeClassifier": Family("linear_model", _STANDARD),
    "RidgeClassifierCV": Family("linear_model", _STANDARD),
    "LinearSVC": Family("svm", _STANDARD),
    "SGDClassifier": Family("linear_model", _STANDARD),
    "Perceptron": Family("linear_model", _STANDARD),
    "PassiveAggressiveClassifier": Family("linear_model", _STANDARD),
    "MLPClassifier": Family("neural_network", _STANDARD),
    "GaussianNB": Family("naive_bayes"),
    "MultinomialNB": Family("naive_bayes", "min_max_scale"),  # they count, and take no negative number
    "ComplementNB": Family("naive_bayes", "min_max_scale"),
    "BernoulliNB": Family("naive_bayes", _STANDARD),  # a value counts as true above 0, so above the column's mean
    "NearestCentroid": Family("neighbors", _STANDARD),
    "DecisionTreeClassifier": Family("tree", missing=True),
    "ExtraTreeClassifier": Family("tree", missing=True),
    "RandomForestClassifier": Family("ensemble", missing=True),
    "ExtraTreesClassifier": Family("ensemble", missing=True),
    "GradientBoostingClassifier": Family("ensemble"),
    "HistGradientBoostingClassifier": Family("ensemble", missing=True),
    "VotingClassifier": Family("ensemble", _STANDARD),
}
"""The classifiers that a config may name; `auto` prepares the columns by what stands here."""

LATER: dict[str, str] = {
    "SVC": "LinearSVC",
    "NuSVC": "LinearSVC",
    "KNeighborsClassifier": "NearestCentroid",
    "CalibratedClassifierCV": "LogisticRegression",
    "StackingClassifier": "VotingClassifier",
    "BaggingClassifier": "RandomForestClassifier",
    "AdaBoostClassifier": "GradientBoostingClassifier",
    "OneVsRestClassifier": "LogisticRegression",
}
"""Classifiers that cannot be written yet, and the one of `WRITTEN` that is nearest to each."""


def not_written(name: str) -> str:
    """Return why a config may not name this classifier, as the end of `must be …`; empty where it may."""
    if name in WRITTEN:
        return ""
    if name in LATER:
        return f"a classifier that can be written ({name} cannot yet; the nearest is {LATER[name]})"
    return "a classifier that can be written"
