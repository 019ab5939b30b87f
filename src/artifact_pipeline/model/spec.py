"""The spec of a model, format 2: its steps, and every size that does not follow from its columns and classes.

The manifest holds it as JSON. With the columns and the classes it determines `model.onnx` except for the numbers.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from artifact_pipeline.artifact.parts import Frozen
from artifact_pipeline.model.bounds import (
    MAX_CLASS_STEPS,
    MAX_CLASSES,
    MAX_DEPTH,
    MAX_INNER,
    MAX_NODES,
    MAX_REFERENCES,
    MAX_TREES,
    MAX_WIDTH,
    Position,
    Width,
)
from artifact_pipeline.rows.features import MAX_LEVELS


class Impute(Frozen, frozen=True, tag="impute"):
    """Each missing number becomes a number that its column has.

    Attributes:
        indicators: the columns of which another column, behind all others, says where a number is missing.
    """

    indicators: Annotated[tuple[Position, ...], Meta(max_length=MAX_WIDTH)] = ()


class Scale(Frozen, frozen=True, tag="scale"):
    """A center is subtracted from each column, then it is divided by a scale: either may be left out."""

    center: bool
    scale: bool


class MinMaxScale(Frozen, frozen=True, tag="min_max_scale"):
    """Each column is multiplied by a factor, then an offset is added."""


class Pca(Frozen, frozen=True, tag="pca"):
    """The columns become principal components; with `whiten`, each has the variance one."""

    components: Width
    whiten: bool


NumberStep = Impute | Scale | MinMaxScale | Pca


Level = Annotated[str, Meta(max_length=1024)]
Code = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
Chosen = Annotated[tuple[Position, ...], Meta(max_length=MAX_WIDTH)]
NumberSteps = Annotated[tuple[NumberStep, ...], Meta(max_length=8)]


class NumberPart(Frozen, frozen=True, tag="numbers"):
    """Some numbers of a row, and the steps on them.

    Attributes:
        columns: their positions among all numbers; () where all are taken, in their order.
    """

    columns: Chosen = ()
    steps: NumberSteps = ()


class CategoryPart(Frozen, frozen=True, tag="categories"):
    """Some categories of a row, how they become numbers, and the steps on those.

    Attributes:
        encoding: a column for each code, or the code itself; with a column for each, a level without one is a row of
            zeros, and its code is -1.
        columns: their positions among all categories; () where all are taken, in their order.
        missing: for each category the level that a missing value counts as, or "" where it counts as an unknown one;
            () where a missing value is a level of its own, or there is none.
        codes: for each category the code of each of its levels; () where that is the level's position.
        unknown: for each category the code of a level that the model does not know; () where that is -1.
    """

    encoding: Literal["one_hot", "ordinal"]
    columns: Chosen = ()
    missing: Annotated[tuple[Level, ...], Meta(max_length=MAX_WIDTH)] = ()
    codes: Annotated[
        tuple[Annotated[tuple[Code, ...], Meta(max_length=MAX_LEVELS)], ...], Meta(max_length=MAX_WIDTH)
    ] = ()
    unknown: Annotated[tuple[Code, ...], Meta(max_length=MAX_WIDTH)] = ()
    steps: NumberSteps = ()


class Linear(Frozen, frozen=True, tag="linear"):
    """Scores are linear in the columns.

    Attributes:
        probabilities: how they follow from the scores: by softmax, by a sigmoid for each class and division by their
            sum, by the formula of the modified Huber loss; None where the estimator has none.
    """

    probabilities: Literal["softmax", "sigmoid", "modified_huber"] | None


class GaussianBayes(Frozen, frozen=True, tag="gaussian_bayes"):
    """Each class has a normal distribution of each column."""


class BernoulliBayes(Frozen, frozen=True, tag="bernoulli_bayes"):
    """Scores are linear in whether each column is greater than a threshold; without `binarize`, in the column."""

    binarize: bool


class Quadratic(Frozen, frozen=True, tag="quadratic"):
    """Each class has a multivariate normal distribution, whose rank `ranks` gives."""

    ranks: Annotated[tuple[Width, ...], Meta(min_length=2, max_length=MAX_CLASS_STEPS)]


class Centroid(Frozen, frozen=True, tag="centroid"):
    """Each class has a point.

    Attributes:
        metric: how far a row is from it; `euclidean` alone gives probabilities.
        nearest: whether the label is that of the nearest point, and the classes' shares do not count.
    """

    metric: Literal["euclidean", "manhattan"]
    nearest: bool


class Neural(Frozen, frozen=True, tag="neural"):
    """A multi-layer perceptron: the widths of its hidden layers, and their activation."""

    activation: Literal["identity", "logistic", "tanh", "relu"]
    hidden: Annotated[tuple[Width, ...], Meta(max_length=64)]


Nodes = Annotated[int, Meta(ge=1, le=MAX_NODES)]


class Forest(Frozen, frozen=True, tag="forest"):
    """The share of each class in the leaf that a row reaches, averaged over the trees.

    Attributes:
        nodes: of each tree how many nodes it has that split.
        leaves: how many different shares the leaves give.
    """

    nodes: Annotated[tuple[Nodes, ...], Meta(min_length=1, max_length=MAX_TREES)]
    leaves: Annotated[int, Meta(ge=1, le=MAX_NODES + MAX_TREES)]


class Boosting(Frozen, frozen=True, tag="boosting"):
    """Scores are sums of the values of the leaves that a row reaches.

    Attributes:
        nodes: for each score how many nodes its trees have that split; of two classes the second one alone has a score.
        trees: how many trees each score has; the first one has the same value for each row.
        histogram: whether columns are compared as float64, and not as float32, and of two classes the first one is the
            answer where the score is zero.
        exponential: whether the loss was the exponential one, which makes another probability of a score.
    """

    nodes: Annotated[tuple[Nodes, ...], Meta(min_length=1, max_length=MAX_CLASS_STEPS)]
    trees: Nodes
    histogram: bool
    exponential: bool


class Svm(Frozen, frozen=True, tag="svm"):
    """Each pair of classes has a score, a sum over the support vectors of both, which is a vote for one of them.

    Attributes:
        degree: of the kernel `poly`; 1 elsewhere.
        vectors: how many support vectors each class has.
        break_ties: whether the sums of the scores decide between classes that have equally many votes.
    """

    kernel: Literal["linear", "poly", "rbf", "sigmoid"]
    degree: Annotated[int, Meta(ge=1, le=1024)]
    vectors: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=MAX_REFERENCES)], ...], Meta(min_length=2, max_length=MAX_CLASS_STEPS)
    ]
    break_ties: bool


class Neighbors(Frozen, frozen=True, tag="neighbors"):
    """The training rows that are nearest to a row vote for its class.

    Attributes:
        rows: how many training rows there are.
        neighbors: how many of them vote.
        by_distance: whether a nearer row counts for more.
    """

    rows: Annotated[int, Meta(ge=1, le=MAX_REFERENCES)]
    neighbors: Annotated[int, Meta(ge=1, le=MAX_REFERENCES)]
    metric: Literal["euclidean", "manhattan", "minkowski"]
    by_distance: bool


class _Nested(Frozen, frozen=True):
    """A classifier that has others in it."""

    def __post_init__(self) -> None:
        """Refuse classifiers that are nested too deeply."""
        if self.depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} classifiers stand in one another")

    @property
    def inner(self) -> tuple[Classifier, ...]:
        """The classifiers in it."""
        found = [*getattr(self, "estimators", ()), *([self.final] if isinstance(self, Stacking) else [])]
        return tuple(each.classifier if isinstance(each, Stacked | Bagged) else each for each in found)

    @property
    def depth(self) -> int:
        """How deep classifiers are nested, this one counted."""
        return 1 + max(each.depth if isinstance(each, _Nested) else 1 for each in self.inner)


class Vote(_Nested, frozen=True, tag="vote"):
    """The mean of the probabilities of several classifiers, of which each may have a weight.

    Attributes:
        hard: whether each gives one vote to its label, and no probabilities.
    """

    estimators: Annotated[tuple[Classifier, ...], Meta(min_length=1, max_length=64)]
    weighted: bool
    hard: bool = False


class Calibration(_Nested, frozen=True, tag="calibration"):
    """The mean of the calibrated answers of several classifiers: a sigmoid for each class, and the sum made 1.

    Attributes:
        gives: the answer to which the sigmoid is applied.
    """

    estimators: Annotated[tuple[Classifier, ...], Meta(min_length=1, max_length=MAX_INNER)]
    gives: Literal["probabilities", "decision"]


class Stacked(Frozen, frozen=True):
    """A classifier of which one answer is given to the final one."""

    classifier: Classifier
    gives: Literal["probabilities", "decision", "label"]


class Stacking(_Nested, frozen=True, tag="stacking"):
    """A final classifier, whose columns are the answers of others.

    Attributes:
        passthrough: whether `final` gets the columns too, behind the answers.
    """

    estimators: Annotated[tuple[Stacked, ...], Meta(min_length=1, max_length=MAX_INNER)]
    final: Classifier
    passthrough: bool


class Bagged(Frozen, frozen=True):
    """A classifier of some columns, which knows some of the classes.

    Attributes:
        features: the positions of its columns; () where it has all.
        classes: the positions of its classes; () where it knows all.
    """

    classifier: Classifier
    features: Annotated[tuple[Position, ...], Meta(max_length=MAX_WIDTH)] = ()
    classes: Annotated[tuple[Annotated[int, Meta(ge=0, lt=MAX_CLASSES)], ...], Meta(max_length=MAX_CLASSES)] = ()


class Bagging(_Nested, frozen=True, tag="bagging"):
    """The mean of the probabilities of several classifiers; one without probabilities gives one vote to its label."""

    estimators: Annotated[tuple[Bagged, ...], Meta(min_length=1, max_length=MAX_INNER)]


class AdaBoost(_Nested, frozen=True, tag="adaboost"):
    """Each classifier adds its weight to the class of its label, and subtracts a share of it from each other class."""

    estimators: Annotated[tuple[Classifier, ...], Meta(min_length=1, max_length=MAX_INNER)]


class OneVsRest(_Nested, frozen=True, tag="one_vs_rest"):
    """For each class a classifier that parts it from all others; of two classes one for the second.

    Attributes:
        gives: the answer that decides: a decision above 0, or a probability above one half.
    """

    estimators: Annotated[tuple[Classifier, ...], Meta(min_length=1, max_length=MAX_CLASS_STEPS)]
    gives: Literal["probabilities", "decision"]


Classifier = (
    Linear
    | GaussianBayes
    | BernoulliBayes
    | Quadratic
    | Centroid
    | Neural
    | Forest
    | Boosting
    | Svm
    | Neighbors
    | Vote
    | Calibration
    | Stacking
    | Bagging
    | AdaBoost
    | OneVsRest
)


class Steps(Frozen, frozen=True):
    """All steps of a model.

    Attributes:
        parts: the groups of columns and their steps; their results are put side by side in this order.
        joined: the steps on all of these results together.
    """

    classifier: Classifier
    parts: Annotated[tuple[NumberPart | CategoryPart, ...], Meta(min_length=1, max_length=256)] = (NumberPart(),)
    joined: NumberSteps = ()
