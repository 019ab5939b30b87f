"""Trees that must be refused before any session is made: cycles, chains, nodes that are shared, numbers out of range.

`HOSTILE_TREES` holds builders by name, each with the rule that refuses what it builds, and some words of the reason.
Each one is our own model with one thing changed, so that nothing but this thing can be the reason.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier

from artifact_pipeline.model.plan import plan
from artifact_pipeline.model.reading import read
from artifact_pipeline.model.wire import encode
from artifact_pipeline.model.writer import write
from artifact_pipeline.rows.features import Column, Features
from fitted import Table, fit
from hostile_models import Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from artifact_pipeline.model import spec
    from artifact_pipeline.model.wire import Message

TYPES = {"float64": "<f8", "int64": "<i8", "uint8": "u1"}
Arrays = dict[str, np.ndarray]


@dataclass
class Model:
    """What a manifest says of a model, and the model's numbers, which may be changed."""

    columns: tuple[Column, ...]
    steps: spec.Steps
    classes: Sequence[int]
    arrays: Arrays

    def message(self) -> Message:
        """The model but for its numbers."""
        return plan(self.columns, self.steps, self.classes).message

    def data(self, message: Message | None = None) -> bytes:
        """The bytes of a model with these numbers."""
        held = {name: np.ascontiguousarray(array).tobytes() for name, array in self.arrays.items()}
        return encode(message or self.message(), held)

    def claim(self, data: bytes) -> Claim:
        """Bytes, and what the manifest says of them."""
        return Claim(data, self.columns, self.steps, self.classes)

    def trees(self, part: str) -> Arrays:
        """The numbers of one step, by its attributes; as they are, not to be changed."""
        begin = f"classifier.{part}."
        return {name.removeprefix(begin): each for name, each in self.arrays.items() if name.startswith(begin)}

    def put(self, part: str, **arrays: Any) -> None:
        """Put other numbers into a step."""
        for name, values in arrays.items():
            known = self.arrays[f"classifier.{part}.{name}"]
            self.arrays[f"classifier.{part}.{name}"] = np.asarray(values, dtype=known.dtype)

    def says(self, **fields: Any) -> None:
        """Let the manifest say other things of the classifier."""
        classifier = msgspec.structs.replace(self.steps.classifier, **fields)
        self.steps = msgspec.structs.replace(self.steps, classifier=classifier)


@dataclass(frozen=True)
class Hostile:
    """A builder of a model that must be refused, with the rule, and words of the reason."""

    build: Callable[[], Claim]
    rule: str
    words: str


HOSTILE_TREES: dict[str, Hostile] = {}


@functools.cache
def _fitted(estimator: str) -> tuple[bytes, tuple[Column, ...], spec.Steps]:
    random = np.random.default_rng(0)
    X = random.normal(size=(120, 2))
    labels = np.arange(120) % 3
    X[:, 0] += labels
    columns = (Column("x", "number"), Column("y", "number"))
    estimators = {
        "forest": RandomForestClassifier(n_estimators=3, max_depth=4, random_state=0),
        "boosting": GradientBoostingClassifier(n_estimators=3, random_state=0),
        "histogram": HistGradientBoostingClassifier(max_iter=2, random_state=0),
    }
    data, steps = write(fit(estimators[estimator], Table(columns, Features.of_numbers(X), labels)), columns)
    return data, columns, steps


def good(estimator: str) -> tuple[bytes, Model]:
    """A `forest` of three trees, or four trees a class by `boosting`, or by `histogram`; three classes, two numbers."""
    data, columns, steps = _fitted(estimator)
    planned = plan(columns, steps, [0, 1, 2])
    types = {each.name: TYPES[each.dtype] for each in planned.numbers}
    arrays = {name: np.frombuffer(held, types[name]).copy() for name, held in read(data, planned.message).items()}
    return data, Model(columns, steps, [0, 1, 2], arrays)


def changed(rule: str, words: str = "", *, of: str = "forest") -> Callable[[Any], Any]:
    """Register a change of a model's numbers, or of what its manifest says."""

    def register(change: Callable[[Model], object]) -> Callable[[Model], object]:
        def build() -> Claim:
            _, model = good(of)
            change(model)
            return model.claim(model.data())

        HOSTILE_TREES[change.__name__] = Hostile(build, rule, words)
        return change

    return register


def claimed(rule: str, words: str = "", *, of: str = "forest") -> Callable[[Any], Any]:
    """Register a change of what a manifest says, beside the bytes as they were."""

    def register(change: Callable[[Model], object]) -> Callable[[Model], object]:
        def build() -> Claim:
            data, model = good(of)
            change(model)
            return model.claim(data)

        HOSTILE_TREES[change.__name__] = Hostile(build, rule, words)
        return change

    return register


def spelled(rule: str, words: str = "", *, of: str = "forest") -> Callable[[Any], Any]:
    """Register a change of the first `TreeEnsemble` as a message, or of another step; the numbers stay."""

    def register(change: Callable[[Message], object]) -> Callable[[Message], object]:
        def build() -> Claim:
            _, model = good(of)
            message = model.message()
            change(message["graph"])
            return model.claim(model.data(message))

        HOSTILE_TREES[change.__name__] = Hostile(build, rule, words)
        return change

    return register


def one(values: np.ndarray, at: int, value: float) -> np.ndarray:
    """The values with one of them changed."""
    values = values.copy()
    values[at] = value
    return values


def put_one(model: Model, name: str, at: int, value: float, *, part: str = "tree.0") -> None:
    """Change one number of a step."""
    model.put(part, **{name: one(model.trees(part)[name], at, value)})


def inner(model: Model, side: str = "true", part: str = "tree.0") -> int:
    """The first node, the root excepted, whose branch on a side leads to a node."""
    leads = model.trees(part)[f"nodes_{side}leafs"] == 0
    return int(np.flatnonzero(leads[1:])[0]) + 1


def chain(model: Model, length: int) -> None:
    """Make the first tree a chain: each node leads to a leaf, and to the next node."""
    numbers = np.arange(length)
    last = numbers == length - 1
    model.put(
        "tree.0",
        leaf_targetids=np.zeros(length + 1),
        leaf_weights=np.zeros(length + 1),
        nodes_falseleafs=last,
        nodes_falsenodeids=np.where(last, length, numbers + 1),
        nodes_featureids=np.zeros(length),
        nodes_missing_value_tracks_true=np.zeros(length),
        nodes_modes=np.zeros(length),
        nodes_splits=numbers,
        nodes_trueleafs=np.ones(length),
        nodes_truenodeids=numbers,
    )
    model.says(nodes=(length, *model.steps.classifier.nodes[1:]))


# Branches: the cases of cycles, shared nodes, and ids out of range


@changed("onnx-tree", "back to its own node or to one before it")
def a_node_leads_to_the_root(model: Model) -> None:
    put_one(model, "nodes_truenodeids", inner(model), 0)


@changed("onnx-tree", "back to its own node or to one before it")
def a_root_leads_to_itself(model: Model) -> None:
    put_one(model, "nodes_truenodeids", 0, 0)


@changed("onnx-tree", "back to its own node or to one before it")
def two_nodes_lead_to_each_other(model: Model) -> None:
    at = inner(model, "false")
    put_one(model, "nodes_falsenodeids", at, at - 1)


@changed("onnx-tree", "node is reached twice")
def both_branches_lead_to_one_node(model: Model) -> None:
    tree = model.trees("tree.0")
    at = int(np.flatnonzero((tree["nodes_trueleafs"] == 0) & (tree["nodes_falseleafs"] == 0))[0])
    put_one(model, "nodes_falsenodeids", at, tree["nodes_truenodeids"][at])


@changed("onnx-tree", "leaf is reached twice")
def two_branches_lead_to_one_leaf(model: Model) -> None:
    leads = np.flatnonzero(model.trees("tree.0")["nodes_trueleafs"])
    put_one(model, "nodes_truenodeids", leads[0], model.trees("tree.0")["nodes_truenodeids"][leads[1]])


@changed("onnx-tree", "node is reached twice", of="boosting")
def a_tree_leads_into_the_next_tree(model: Model) -> None:
    tree = model.trees("score.0")
    at = int(np.flatnonzero(tree["nodes_trueleafs"][: tree["tree_roots"][2]] == 0)[0])
    put_one(model, "nodes_truenodeids", at, tree["tree_roots"][2], part="score.0")


@changed("onnx-tree", "node is reached twice", of="boosting")
def a_root_is_a_node_of_the_tree_before(model: Model) -> None:
    tree = model.trees("score.0")
    put_one(model, "tree_roots", 2, tree["tree_roots"][1] + 1, part="score.0")


@changed("onnx-tree", "a true branch leads to a node or a leaf that does not exist")
def a_node_beyond_the_last(model: Model) -> None:
    put_one(model, "nodes_truenodeids", 0, len(model.trees("tree.0")["nodes_splits"]))


@changed("onnx-tree", "a false branch leads to a node or a leaf that does not exist")
def a_node_far_beyond_the_last(model: Model) -> None:
    put_one(model, "nodes_falsenodeids", 0, 2**62)


@changed("onnx-tree", "leads to a node or a leaf that does not exist")
def a_leaf_beyond_the_last(model: Model) -> None:
    at = int(np.flatnonzero(model.trees("tree.0")["nodes_falseleafs"])[0])
    put_one(model, "nodes_falsenodeids", at, len(model.trees("tree.0")["leaf_weights"]))


@changed("onnx-tree", "is reached twice")
def a_leaf_is_called_a_node(model: Model) -> None:
    tree = model.trees("tree.0")
    at = int(np.flatnonzero(tree["nodes_trueleafs"])[0])
    model.put("tree.0", nodes_trueleafs=one(tree["nodes_trueleafs"], at, 0))
    put_one(model, "nodes_truenodeids", at, len(tree["nodes_splits"]) - 1)


@changed("onnx-tree", "is never reached")
def a_node_is_called_a_leaf(model: Model) -> None:
    tree = model.trees("tree.0")
    at = inner(model)
    leaves = len(tree["leaf_weights"]) + 1
    model.put("tree.0", nodes_trueleafs=one(tree["nodes_trueleafs"], at, 1))
    put_one(model, "nodes_truenodeids", at, leaves - 2)


@changed("onnx-tree", "deeper than 512")
def a_chain_of_513_nodes(model: Model) -> None:
    chain(model, 513)


@changed("onnx-tree", "deeper than 512")
def a_chain_that_ends_the_runtime(model: Model) -> None:
    chain(model, 30_000)


@changed("onnx-tree", "deeper than 512")
def a_chain_of_200_000_nodes(model: Model) -> None:
    chain(model, 200_000)


# Roots


@changed("onnx-tree", "does not begin at the first node")
def a_root_that_is_not_the_first_node(model: Model) -> None:
    put_one(model, "tree_roots", 0, 1)


@changed("onnx-tree", "does not begin at the first node")
def a_root_beyond_the_last_node(model: Model) -> None:
    put_one(model, "tree_roots", 0, 55_555)


@changed("onnx-tree", "root of a tree is a node that does not exist", of="boosting")
def a_last_root_beyond_the_last_node(model: Model) -> None:
    put_one(model, "tree_roots", -1, 2**40, part="score.1")


@changed("onnx-tree", "do not ascend", of="boosting")
def one_root_for_two_trees(model: Model) -> None:
    put_one(model, "tree_roots", 2, model.trees("score.0")["tree_roots"][1], part="score.0")


@changed("onnx-tree", "do not ascend", of="boosting")
def roots_that_change_places(model: Model) -> None:
    roots = model.trees("score.2")["tree_roots"]
    model.put("score.2", tree_roots=roots[[0, 2, 1, 3]])


# Numbers of nodes and leaves


@changed("onnx-tree", "looks at a column that does not exist")
def a_column_beyond_the_last(model: Model) -> None:
    put_one(model, "nodes_featureids", 0, 2)


@changed("onnx-tree", "looks at a column that does not exist", of="histogram")
def a_column_far_beyond_the_last(model: Model) -> None:
    put_one(model, "nodes_featureids", -1, 10**6, part="score.1")


@changed("onnx-tree", "counts for another target")
def a_second_target(model: Model) -> None:
    put_one(model, "leaf_targetids", 0, 1)


@changed("onnx-tree", "counts for another target")
def a_target_beyond_all(model: Model) -> None:
    put_one(model, "leaf_targetids", 1, 10**7)


@changed("onnx-tree", "compares by something else")
def a_mode_that_does_not_exist(model: Model) -> None:
    put_one(model, "nodes_modes", 0, 9)


@changed("onnx-tree", "compares by something else")
def a_node_that_compares_by_less(model: Model) -> None:
    put_one(model, "nodes_modes", 0, 1)


@changed("onnx-tree", "compares by something else")
def a_node_that_asks_for_members_of_no_list(model: Model) -> None:
    put_one(model, "nodes_modes", 0, 6)


@changed("onnx-not-finite")
def a_threshold_that_is_no_number(model: Model) -> None:
    put_one(model, "nodes_splits", 0, np.nan)


@changed("onnx-not-finite", of="histogram")
def a_threshold_that_is_infinite(model: Model) -> None:
    put_one(model, "nodes_splits", -1, np.inf, part="score.0")


@changed("onnx-not-finite", of="boosting")
def a_leaf_that_gives_no_number(model: Model) -> None:
    put_one(model, "leaf_weights", 0, np.nan, part="score.0")


@changed("onnx-not-finite")
def a_share_that_is_infinite(model: Model) -> None:
    model.arrays["classifier.leaves"][0] = -np.inf


@changed("onnx-tree", "none of the table's")
def a_leaf_of_a_row_beyond_the_table(model: Model) -> None:
    put_one(model, "leaf_weights", 0, len(model.arrays["classifier.leaves"]) // 3)


@changed("onnx-tree", "none of the table's")
def a_leaf_of_a_row_before_the_table(model: Model) -> None:
    put_one(model, "leaf_weights", 0, -1)


@changed("onnx-tree", "none of the table's")
def a_leaf_of_half_a_row(model: Model) -> None:
    put_one(model, "leaf_weights", 0, 0.5)


@changed("onnx-tree", "none of the table's")
def a_leaf_of_a_row_that_no_int64_counts(model: Model) -> None:
    put_one(model, "leaf_weights", 0, 1e300)


@changed("onnx-tree", "nodes_trueleafs holds a number that is neither 0 nor 1")
def a_leaf_more_than_true(model: Model) -> None:
    put_one(model, "nodes_trueleafs", 0, 2)


@changed("onnx-tree", "nodes_falseleafs holds a number that is neither 0 nor 1")
def a_leaf_far_more_than_true(model: Model) -> None:
    put_one(model, "nodes_falseleafs", 0, 2**40)


@changed("onnx-tree", "nodes_missing_value_tracks_true holds a number that is neither 0 nor 1")
def a_missing_value_that_goes_a_third_way(model: Model) -> None:
    put_one(model, "nodes_missing_value_tracks_true", 0, 2)


# Sizes: of the bytes against the manifest, and of what the manifest says


@changed("onnx-initializer-size")
def fewer_thresholds_than_nodes(model: Model) -> None:
    model.put("tree.0", nodes_splits=model.trees("tree.0")["nodes_splits"][:-1])


@changed("onnx-initializer-size")
def fewer_branches_than_nodes(model: Model) -> None:
    model.put("tree.1", nodes_truenodeids=model.trees("tree.1")["nodes_truenodeids"][:-1])


@changed("onnx-initializer-size")
def more_branches_than_nodes(model: Model) -> None:
    model.put("tree.1", nodes_falseleafs=[*model.trees("tree.1")["nodes_falseleafs"], 1])


@changed("onnx-initializer-size")
def no_modes(model: Model) -> None:
    model.put("tree.2", nodes_modes=[])


@changed("onnx-initializer-size", of="boosting")
def fewer_roots_than_trees(model: Model) -> None:
    model.put("score.0", tree_roots=[0])


@claimed("onnx-too-large", "allowed are 2,000,000")
def two_million_nodes_and_one(model: Model) -> None:
    model.says(nodes=(2_000_000, 1))


@claimed("onnx-shape", "2 scores for 3 classes", of="boosting")
def a_score_less_than_classes(model: Model) -> None:
    model.says(nodes=model.steps.classifier.nodes[:2])


@claimed("onnx-initializer-size")
def a_node_more_than_there_are(model: Model) -> None:
    first, *others = model.steps.classifier.nodes
    model.says(nodes=(first + 1, *others))


@claimed("onnx-operator")
def a_tree_less_than_there_are(model: Model) -> None:
    model.says(nodes=model.steps.classifier.nodes[:2])


@claimed("onnx-operator", of="boosting")
def columns_that_are_not_rounded(model: Model) -> None:
    model.says(histogram=True)


# Spelling


def attribute(graph: Message, name: str) -> Message:
    """An attribute of the first `TreeEnsemble`."""
    step = next(node for node in graph["node"] if node["op_type"] == "TreeEnsemble")
    return next(each for each in step["attribute"] if each["name"] == name)


def negative(value: int) -> bytes:
    """A negative number as protobuf writes it, in ten bytes."""
    value += 1 << 64
    return bytes([*((value >> shift & 0x7F) | 0x80 for shift in range(0, 63, 7)), 1])


@spelled("onnx-wire", "63 bits", of="boosting")
def a_negative_column(graph: Message) -> None:
    ids = attribute(graph, "nodes_featureids")
    ids["ints"] = negative(-5) + bytes(ids["ints"].dims[0] - 1)


@spelled("onnx-wire", "63 bits")
def a_negative_target(graph: Message) -> None:
    ids = attribute(graph, "leaf_targetids")
    ids["ints"] = negative(-3) + bytes(ids["ints"].dims[0] - 1)


@spelled("onnx-wire")
def a_root_with_needless_bytes(graph: Message) -> None:
    attribute(graph, "tree_roots")["ints"] = b"\x80\x00"


@spelled("onnx-wire")
def a_root_that_is_cut_short(graph: Message) -> None:
    attribute(graph, "tree_roots")["ints"] = b"\x00\x80"


@spelled("onnx-attribute")
def targets_of_34_gb(graph: Message) -> None:
    attribute(graph, "n_targets")["i"] = 2**33


@spelled("onnx-attribute")
def no_target(graph: Message) -> None:
    attribute(graph, "n_targets")["i"] = 0


@spelled("onnx-attribute")
def an_aggregate_that_does_not_exist(graph: Message) -> None:
    attribute(graph, "aggregate_function")["i"] = 9


@spelled("onnx-attribute", of="histogram")
def the_mean_of_the_trees(graph: Message) -> None:
    attribute(graph, "aggregate_function")["i"] = 0


@spelled("onnx-attribute")
def a_transform_of_what_the_trees_give(graph: Message) -> None:
    attribute(graph, "post_transform")["i"] = 3


@spelled("onnx-attribute")
def members_of_a_list(graph: Message) -> None:
    step = next(node for node in graph["node"] if node["op_type"] == "TreeEnsemble")
    tensor = {"data_type": 11, "dims": [1], "raw_data": bytes(8)}
    step["attribute"].insert(3, {"name": "membership_values", "t": tensor, "type": 4})


@spelled("onnx-attribute")
def no_way_for_missing_values(graph: Message) -> None:
    step = next(node for node in graph["node"] if node["op_type"] == "TreeEnsemble")
    step["attribute"] = [each for each in step["attribute"] if "missing" not in each["name"]]


@spelled("onnx-operator")
def the_older_operator(graph: Message) -> None:
    next(node for node in graph["node"] if node["op_type"] == "TreeEnsemble")["op_type"] = "TreeEnsembleRegressor"


@spelled("onnx-domain")
def the_domain_of_another(graph: Message) -> None:
    next(node for node in graph["node"] if node["op_type"] == "TreeEnsemble")["domain"] = "ai.onnx.mm"


@spelled("onnx-dtype")
def thresholds_of_another_type(graph: Message) -> None:
    attribute(graph, "nodes_splits")["t"]["data_type"] = 7


@spelled("onnx-shape")
def thresholds_of_another_shape(graph: Message) -> None:
    attribute(graph, "nodes_splits")["t"]["dims"] = [2**40]


@spelled("onnx-attribute")
def shares_added_backwards(graph: Message) -> None:
    step = next(node for node in graph["node"] if node["op_type"] == "CumSum")
    step["attribute"] = [{"name": "reverse", "i": 1, "type": 2}]


@spelled("onnx-graph")
def one_tree_counted_twice(graph: Message) -> None:
    step = next(node for node in graph["node"] if node["op_type"] == "Concat")
    step["input"][0] = step["input"][1]
