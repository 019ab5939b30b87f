"""Models that compare rows, and classifiers in classifiers, that must be refused before any session is made.

As in `hostile_models.py`, most of them are our own model with one thing changed.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from onnx import AttributeProto, ModelProto, helper
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from artifact_pipeline.model import spec
from artifact_pipeline.model.plan import plan
from artifact_pipeline.model.reading import read
from artifact_pipeline.model.wire import encode
from artifact_pipeline.model.writer import write
from artifact_pipeline.rows.features import Column, Features
from fitted import Table, fit
from hostile_models import Claim, node, numbers, tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from artifact_pipeline.model.wire import Message

COMPOSED: dict[str, tuple[Callable[[], Claim], str]] = {}

LINE = LogisticRegression()
MODELS: dict[str, Any] = {
    "machine": SVC(kernel="rbf"),
    "power": SVC(kernel="poly", degree=5, gamma=0.1),
    "neighbors": KNeighborsClassifier(4, p=3, weights="distance"),
    "stack": StackingClassifier([("svc", LinearSVC()), ("bayes", GaussianNB())], cv=2),
    "bag": BaggingClassifier(DecisionTreeClassifier(random_state=0), n_estimators=3, max_features=2, random_state=0),
    "calibrated": CalibratedClassifierCV(LinearSVC(), cv=2),
    "adaboost": AdaBoostClassifier(n_estimators=3, random_state=0),
    "one": OneVsRestClassifier(LINE),
    "vote": VotingClassifier([("line", LINE), ("bayes", GaussianNB())], voting="hard"),
}


@functools.cache
def claim(name: str) -> Claim:
    """A classifier of three classes on three numbers."""
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    columns = tuple(Column(f"x{number}", "number") for number in range(3))
    table = Table(columns, Features.of_numbers(random.normal(size=(60, 3)) + labels[:, None]), labels)
    data, steps = write(fit(MODELS[name], table), columns)
    return Claim(data, columns, steps, [0, 1, 2])


def _changed(rule: str, name: str) -> Callable[[Callable[[ModelProto], object]], Callable[[ModelProto], object]]:
    """Register a change of a model that `rule` refuses."""

    def register(change: Callable[[ModelProto], object]) -> Callable[[ModelProto], object]:
        def build() -> Claim:
            model = ModelProto.FromString(claim(name).data)
            change(model)
            data = model.SerializeToString(deterministic=True)
            assert data != claim(name).data
            return replace(claim(name), data=data)

        COMPOSED[change.__name__] = build, rule
        return change

    return register


def _encoded(rule: str, name: str) -> Callable[[Callable[[Message, dict[str, bytes]], object]], object]:
    """Register a change of the message and the numbers of a model with trees, which `rule` refuses.

    onnx writes the lists of a tree in another way than we do.
    """

    def register(change: Callable[[Message, dict[str, bytes]], object]) -> object:
        def build() -> Claim:
            base = claim(name)
            message = plan(base.columns, base.steps, base.classes).message
            arrays = read(base.data, message)
            change(message, arrays)
            return replace(base, data=encode(message, arrays))

        COMPOSED[change.__name__] = build, rule
        return change

    return register


def _claimed(rule: str, name: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Register another classifier in the manifest of a model, which `rule` refuses."""

    def register(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def build() -> Claim:
            base = claim(name)
            return replace(base, steps=msgspec.structs.replace(base.steps, classifier=change(base.steps.classifier)))

        COMPOSED[change.__name__] = build, rule
        return change

    return register


def _with(found: Any, **changes: object) -> Any:
    return msgspec.structs.replace(found, **changes)


def _fill(model: ModelProto, name: str, value: float) -> None:
    numbers(model, name, lambda values: values.fill(value))


# Support vector machines


@_changed("onnx-not-finite", "machine")
def vector_that_is_no_number(model: ModelProto) -> None:
    numbers(model, "classifier.vectors.1", lambda values: values.__setitem__((0, 0), np.nan))


@_changed("onnx-not-finite", "machine")
def infinite_gamma(model: ModelProto) -> None:
    _fill(model, "classifier.gamma", np.inf)


@_changed("onnx-shape", "machine")
def transposed_vectors(model: ModelProto) -> None:
    dims = tensor(model, "classifier.vectors.0").dims
    dims[:] = dims[::-1]


@_changed("onnx-constant", "machine")
def pairs_change_places(model: ModelProto) -> None:
    numbers(model, "pairs 0 of 3", lambda values: values.__setitem__(slice(None), values[::-1].copy()))


@_changed("onnx-constant", "machine")
def votes_for_the_other_class(model: ModelProto) -> None:
    numbers(model, "grid of 3", lambda values: values.__setitem__(slice(None), values.T.copy()))


@_changed("onnx-operator", "machine")
def other_side_of_the_border(model: ModelProto) -> None:
    node(model, "Greater").op_type = "GreaterOrEqual"


@_changed("onnx-graph", "machine")
def product_of_a_row_with_itself(model: ModelProto) -> None:
    node(model, "MatMul").input[1] = node(model, "MatMul").input[0]


@_claimed("onnx-operator", "machine")
def another_kernel(found: spec.Svm) -> spec.Svm:
    return _with(found, kernel="linear")


@_claimed("onnx-operator", "power")
def another_degree(found: spec.Svm) -> spec.Svm:
    return _with(found, degree=4)


@_claimed("onnx-shape", "machine")
def vectors_of_two_classes_of_three(found: spec.Svm) -> spec.Svm:
    return _with(found, vectors=found.vectors[:2])


@_claimed("onnx-shape", "machine")
def one_vector_more(found: spec.Svm) -> spec.Svm:
    return _with(found, vectors=(found.vectors[0] + 1, *found.vectors[1:]))


@_claimed("onnx-graph", "machine")
def ties_that_were_not_broken(found: spec.Svm) -> spec.Svm:
    return _with(found, break_ties=True)


def pairs_of_a_thousand_classes() -> Claim:
    """The votes of 499,500 pairs would be counted in a table of a million places, for each row."""
    machine = spec.Svm(kernel="rbf", degree=1, vectors=(1,) * 1000, break_ties=False)
    return replace(claim("machine"), steps=spec.Steps(classifier=machine), classes=tuple(range(1000)))


COMPOSED["pairs_of_a_thousand_classes"] = pairs_of_a_thousand_classes, "onnx-classes"


def levels_in_256_parts() -> Claim:
    """A manifest of 900 kB asks for tables of levels that take 500 MB."""
    levels = tuple(sorted(format(number, "x") for number in range(9_990)))
    columns = [Column(str(number), "category", levels=levels) for number in range(14)]
    steps = spec.Steps(
        classifier=spec.Linear(probabilities="softmax"), parts=(spec.CategoryPart(encoding="ordinal"),) * 256
    )
    return replace(claim("machine"), columns=columns, steps=steps)


COMPOSED["levels_in_256_parts"] = levels_in_256_parts, "onnx-too-large"


def vectors_of_144_mb() -> Claim:
    """The bytes say the same as the manifest, and hold no vectors."""
    return _without_numbers(spec.Svm(kernel="rbf", degree=1, vectors=(2_000_000,) * 3, break_ties=False))


COMPOSED["vectors_of_144_mb"] = vectors_of_144_mb, "onnx-initializer-size"


def _without_numbers(classifier: Any) -> Claim:
    base = replace(claim("machine"), steps=spec.Steps(classifier=classifier))
    planned = plan(base.columns, base.steps, base.classes)
    return replace(base, data=encode(planned.message, {each.name: bytes(8) for each in planned.numbers}))


# Neighbours


@_changed("onnx-classes", "neighbors")
def label_that_is_no_class(model: ModelProto) -> None:
    numbers(model, "classifier.labels", lambda values: values.__setitem__(7, 3))


@_changed("onnx-classes", "neighbors")
def label_below_zero(model: ModelProto) -> None:
    numbers(model, "classifier.labels", lambda values: values.__setitem__(7, -1))


@_changed("onnx-not-finite", "neighbors")
def row_at_infinity(model: ModelProto) -> None:
    numbers(model, "classifier.rows", lambda values: values.__setitem__((0, 0), -np.inf))


@_changed("onnx-not-positive", "neighbors")
def power_of_zero(model: ModelProto) -> None:
    _fill(model, "classifier.power", 0.0)


@_changed("onnx-not-positive", "neighbors")
def negative_root(model: ModelProto) -> None:
    _fill(model, "classifier.root", -1.0)


@_changed("onnx-constant", "neighbors")
def trillion_neighbors(model: ModelProto) -> None:
    numbers(model, "axis 4", lambda values: values.fill(2**40))


@_changed("onnx-attribute", "neighbors")
def the_farthest_rows(model: ModelProto) -> None:
    (largest,) = (each for each in node(model, "TopK").attribute if each.name == "largest")
    largest.i = 1


@_changed("onnx-attribute", "neighbors")
def neighbors_in_any_order(model: ModelProto) -> None:
    node(model, "TopK").attribute.append(AttributeProto(name="sorted", i=0, type=AttributeProto.INT))


@_changed("onnx-graph", "neighbors")
def one_output_of_two(model: ModelProto) -> None:
    del node(model, "TopK").output[1]


@_changed("onnx-graph", "neighbors")
def places_and_distances_change(model: ModelProto) -> None:
    outputs = node(model, "TopK").output
    outputs[0], outputs[1] = outputs[1], outputs[0]


@_claimed("onnx-shape", "neighbors")
def more_neighbors_than_rows(found: spec.Neighbors) -> spec.Neighbors:
    return _with(found, neighbors=61)


@_claimed("onnx-operator", "neighbors")
def another_metric(found: spec.Neighbors) -> spec.Neighbors:
    return _with(found, metric="euclidean")


def rows_of_48_mb() -> Claim:
    """The bytes say the same as the manifest, and hold no rows."""
    return _without_numbers(spec.Neighbors(rows=2_000_000, neighbors=5, metric="euclidean", by_distance=False))


COMPOSED["rows_of_48_mb"] = rows_of_48_mb, "onnx-initializer-size"


# Classifiers in classifiers

FOREST = spec.Forest(nodes=(1,), leaves=2)


@_claimed("onnx-graph", "stack")
def decision_of_a_classifier_without_one(found: spec.Stacking) -> spec.Stacking:
    return _with(found, estimators=(spec.Stacked(classifier=FOREST, gives="decision"),))


@_claimed("onnx-graph", "stack")
def probabilities_of_a_classifier_without_them(found: spec.Stacking) -> spec.Stacking:
    return _with(found, estimators=(spec.Stacked(classifier=spec.Linear(probabilities=None), gives="probabilities"),))


@_claimed("onnx-operator", "stack")
def label_in_place_of_the_decision(found: spec.Stacking) -> spec.Stacking:
    first, *others = found.estimators
    return _with(found, estimators=(_with(first, gives="label"), *others))


@_claimed("onnx-graph", "stack")
def columns_that_are_passed_on(found: spec.Stacking) -> spec.Stacking:
    return _with(found, passthrough=True)


def stack_wider_than_a_matrix() -> Claim:
    """Seven classifiers of 10,000 classes give 70,000 columns."""
    each = spec.Stacked(classifier=spec.Linear(probabilities="softmax"), gives="probabilities")
    final = spec.Stacking(estimators=(each,) * 7, final=spec.Linear(probabilities="softmax"), passthrough=False)
    return replace(claim("stack"), steps=spec.Steps(classifier=final), classes=tuple(range(10_000)))


COMPOSED["stack_wider_than_a_matrix"] = stack_wider_than_a_matrix, "onnx-shape"


def _first(found: spec.Bagging, **changes: object) -> spec.Bagging:
    first, *others = found.estimators
    return _with(found, estimators=(_with(first, **changes), *others))


@_claimed("onnx-shape", "bag")
def column_beyond_those_of_a_bag(found: spec.Bagging) -> spec.Bagging:
    return _first(found, features=(0, 3))


@_claimed("onnx-shape", "bag")
def class_beyond_those_of_a_bag(found: spec.Bagging) -> spec.Bagging:
    return _first(found, classes=(0, 3))


@_claimed("onnx-shape", "bag")
def classes_of_a_bag_out_of_order(found: spec.Bagging) -> spec.Bagging:
    return _first(found, classes=(1, 0))


@_claimed("onnx-shape", "bag")
def one_class_alone_in_a_bag(found: spec.Bagging) -> spec.Bagging:
    return _first(found, classes=(1,))


@_encoded("onnx-constant", "bag")
def other_columns_of_a_bag(message: Message, arrays: dict[str, bytes]) -> None:
    held = message["graph"]["initializer"]
    columns = next(each for each in held if each["name"].startswith("columns "))
    columns["raw_data"] = np.array([0, 2**40]).tobytes()


@_encoded("onnx-tree", "bag")
def column_of_a_tree_beyond_those_that_its_bag_gives(message: Message, arrays: dict[str, bytes]) -> None:
    """The tree has two of three columns: the third one exists, and not for it."""
    name = "classifier.0.tree.0.nodes_featureids"
    arrays[name] = np.full(len(arrays[name]) // 8, 2).tobytes()


@_encoded("onnx-tree", "bag")
def row_beyond_the_table_of_a_tree_in_a_bag(message: Message, arrays: dict[str, bytes]) -> None:
    name = "classifier.2.tree.0.leaf_weights"
    arrays[name] = np.full(len(arrays[name]) // 8, 1e6).tobytes()


def steps_of_bags_in_a_bag() -> Claim:
    """A bag of 200 bags of 200 classifiers would have 80,000 steps and more."""
    inner = spec.Bagging(estimators=(spec.Bagged(classifier=spec.Linear(probabilities="softmax")),) * 200)
    bag = spec.Bagging(estimators=(spec.Bagged(classifier=inner),) * 200)
    return replace(claim("bag"), steps=spec.Steps(classifier=bag))


COMPOSED["steps_of_bags_in_a_bag"] = steps_of_bags_in_a_bag, "onnx-too-large"


@_claimed("onnx-graph", "calibrated")
def calibrated_decision_that_is_not_there(found: spec.Calibration) -> spec.Calibration:
    return _with(found, estimators=(FOREST, FOREST))


@_claimed("onnx-graph", "calibrated")
def calibrated_probabilities_that_are_not_there(found: spec.Calibration) -> spec.Calibration:
    return _with(found, gives="probabilities")


@_changed("onnx-not-finite", "calibrated")
def slope_that_is_no_number(model: ModelProto) -> None:
    _fill(model, "classifier.0.slopes", np.nan)


@_encoded("onnx-not-positive", "adaboost")
def weights_that_sum_to_nothing(message: Message, arrays: dict[str, bytes]) -> None:
    arrays["classifier.total"] = bytes(8)


@_encoded("onnx-graph", "adaboost")
def votes_against_the_label(message: Message, arrays: dict[str, bytes]) -> None:
    where = next(each for each in message["graph"]["node"] if each["op_type"] == "Where")
    where["input"] = [where["input"][0], *where["input"][:0:-1]]


@_claimed("onnx-shape", "one")
def two_classifiers_for_three_classes(found: spec.OneVsRest) -> spec.OneVsRest:
    return _with(found, estimators=found.estimators[:2])


@_claimed("onnx-operator", "vote")
def labels_that_were_no_votes(found: spec.Vote) -> spec.Vote:
    return _with(found, hard=False)


@_changed("onnx-operator", "vote")
def step_between_the_votes(model: ModelProto) -> None:
    place = next(at for at, each in enumerate(model.graph.node) if each.op_type == "ArgMax")
    model.graph.node.insert(place, helper.make_node("Neg", [model.graph.node[place].input[0]], ["other"]))
