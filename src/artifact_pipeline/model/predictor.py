"""The predictor: verified bytes become a session that answers rows. Training measures with it, inference ships it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from artifact_pipeline.artifact.manifest2 import WrittenModel
from artifact_pipeline.artifact.selftest import PLACE, TOLERANCE, SelfTest
from artifact_pipeline.artifact.selftest2 import GoldenRows
from artifact_pipeline.errors import ArtifactRejected, DataRejected, Problem
from artifact_pipeline.model.check import check_written
from artifact_pipeline.rows.coded import decoded
from artifact_pipeline.rows.features import Features, number_columns
from artifact_pipeline.runtime import load_onnxruntime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.rows.features import Column

AnswerKind = Literal["probabilities", "scores"]
_NAMES: dict[AnswerKind, str] = {"probabilities": "probability", "scores": "score"}
BATCH = 4096
"""Rows a call, in training and in inference alike: the last bits of an answer depend on it, and so does the memory
beside the rows. A call of 512 costs a fifth more a row, one of 8,192 no less."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the model answers to some rows.

    Attributes:
        labels: the predicted class of each row, int64 or Unicode of shape (rows,).
        positions: the same as positions in the model's classes, int64 of shape (rows,).
        values: the probabilities, or the scores of a model that gives none; float64 of shape (rows, classes), in the
            order of the model's classes.
        kind: which of the two they are.
    """

    labels: NDArray[np.int64] | NDArray[np.str_]
    positions: NDArray[np.int64]
    values: NDArray[np.float64]
    kind: AnswerKind = "probabilities"

    @property
    def probabilities(self) -> NDArray[np.float64] | None:
        """The probabilities; None where the model gives none."""
        return self.values if self.kind == "probabilities" else None

    def take(self, rows: NDArray[np.int64]) -> Answers:
        """The answers to some of the rows, by their positions."""
        return Answers(self.labels[rows], self.positions[rows], self.values[rows], self.kind)


class Predictor:
    """A session over the bytes of one `model.onnx`, one thread, no file and no network touched.

    Attributes:
        columns: the columns that the model takes; empty for format 1.
        features: how many numbers a row has, categories not counted.
        dtype: the type in which the model takes them.
        classes: the labels, ascending.
        rows: how many rows may go in one call.
        kind: what the model gives beside the label.
    """

    def __init__(
        self,
        model: bytes,
        classes: Sequence[int | str],
        columns: Sequence[Column] | None = None,
        *,
        kind: AnswerKind = "probabilities",
        rows: int = BATCH,
    ) -> None:
        """Make the session from the bytes of `model.onnx`.

        `columns` are those of a model of format 2, whose bytes `check` has accepted; None is a model of format 1, which
        is walked here.

        Raises:
            ArtifactRejected: the bytes are not a model that this package writes, or the runtime refuses them.
        """
        import numpy as np

        if columns is None:
            from artifact_pipeline.model.linear import walk

            shape = walk(model)
            self.features, self.dtype = shape.features, np.dtype(shape.dtype)
        else:
            self.features, self.dtype = len(number_columns(columns)), np.dtype("float64")
        ort = load_onnxruntime()
        self.columns, self.kind, self.rows = tuple(columns or ()), kind, rows
        self.classes = np.array(classes)
        gapless = self.classes.dtype.kind == "i" and int(classes[-1]) - int(classes[0]) == len(classes) - 1
        self._first = self.classes[0] if gapless else None
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # What was checked is what runs; and of five nodes there is nothing to optimise.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3  # errors alone: its warnings about hardware go to standard error
        try:
            # From bytes, never from a path: given a path, the runtime would follow external data.
            self._session: Any = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0][:200]
            problem = Problem("model.onnx", "onnx-runtime", f"ONNX Runtime refuses the model: {reason}")
            raise ArtifactRejected("the model cannot be loaded", problems=[problem]) from error
        inputs = {each.name for each in self._session.get_inputs()}
        self._run_options = ort.RunOptions()  # or each call makes its own
        self._takes_numbers, self._takes_texts = "X" in inputs, "S" in inputs
        self._outputs = [each.name for each in self._session.get_outputs()]

    def predict_rows(self, X: NDArray[np.float64], S: NDArray[Any] | None) -> Answers:
        """Answer rows of numbers and categories; a model of format 1 takes the numbers alone.

        Raises:
            DataRejected: as `predict` and `predict_features`.
        """
        if not self.columns:
            return self.predict(X)
        return self.predict_features(Features.of_numbers(X) if S is None else Features(X, S))

    def predict_features(self, features: Features) -> Answers:
        """Answer rows of the columns of a model of format 2.

        Raises:
            DataRejected: a value is missing where none may be, is infinite, or is so large that no answer comes of it.
        """
        labels, values = self._by_calls(len(features), lambda rows: self._answer_features(features[rows]))
        return Answers(labels, self.positions(labels), values, self.kind)

    def _answer_features(self, features: Features) -> tuple[NDArray[Any], NDArray[np.float64]]:
        import numpy as np

        labels, values = self.answer(features.X.astype(self.dtype, order="C", copy=False), features.S)
        nullable = np.array([column.nullable for column in number_columns(self.columns)], dtype=bool)
        if np.isinf(features.X).any() or np.isnan(features.X[:, ~nullable]).any() or not np.isfinite(values).all():
            raise _not_finite("a row holds a value that is missing, infinite or too large for the model to answer")
        return labels, values

    def predict(self, X: NDArray[np.float64]) -> Answers:
        """Answer rows of a model of format 1, float64 of shape (rows, features), every value finite.

        Raises:
            DataRejected: another number of features, or a value that is not finite in the model's dtype, or so large
                that no probability comes of it.
        """
        if X.ndim != 2 or X.shape[1] != self.features:
            message = f"the model takes {self.features} features a row, got an array of shape {X.shape}"
            raise DataRejected("the rows do not fit the model", problems=[Problem("rows", "rows-shape", message)])
        labels, probabilities = self.checked(X)
        # By the label and not by the probabilities: the model decides by its scores, and two scores that differ can
        # give two probabilities that are equal.
        return Answers(labels, self.positions(labels), probabilities, self.kind)

    def positions(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """Labels that the model has given as positions in its classes, int64 of shape (rows,)."""
        import numpy as np

        if self._first is not None:
            return np.asarray(labels - self._first)  # classes without a gap: nothing needs to be looked up
        return self.classes.searchsorted(labels).astype(np.int64, copy=False)

    def checked(self, X: NDArray[Any], S: NDArray[Any] | None = None) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Labels, and probabilities or scores, of any number of rows.

        Args:
            X: of shape (rows, features), every value finite, or NaN where it is missing and may be.
            S: the categories, objects of shape (rows, categories); None where the model takes none.

        Raises:
            DataRejected: a value is so large that no answer comes of it; of a model of format 1 also, one is not finite
                in the model's dtype.
        """
        if len(X) <= self.rows:
            return self._checked(X, S)
        return self._by_calls(len(X), lambda rows: self._checked(X[rows], None if S is None else S[rows]))

    def _by_calls(
        self, count: int, answer: Callable[[slice], tuple[NDArray[Any], NDArray[np.float64]]]
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Answer `count` rows, as many in a call as the model takes; `answer` gives the answers to a slice of them."""
        import numpy as np

        pieces = [slice(start, start + self.rows) for start in range(0, count, self.rows)] or [slice(0)]
        labels, values = map(np.concatenate, zip(*map(answer, pieces), strict=True))
        return labels, values

    def _checked(self, X: NDArray[Any], S: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[np.float64]]:
        import numpy as np

        if X.dtype == self.dtype:
            rows = np.ascontiguousarray(X)
        else:
            with np.errstate(over="ignore"):  # what overflows is refused below
                rows = np.ascontiguousarray(X, dtype=self.dtype)
        labels, values = self.answer(rows, S)
        # A value that is not finite, or so large that a score overflows, makes the answers to its row not finite: so
        # the answers show it, and the rows need not be looked at.
        if np.count_nonzero(np.isfinite(values)) < values.size:
            message = "a row holds a value too large for the model to answer"
            if not self.columns and not np.isfinite(rows).all():
                message = f"a row holds a value that is no finite {self.dtype}"
            raise _not_finite(message)
        return labels, values

    def answer(
        self, rows: NDArray[np.float32] | NDArray[np.float64], texts: NDArray[Any] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Labels, and probabilities or scores, of at most `BATCH` rows, unchecked.

        Args:
            rows: of the model's dtype and of shape (rows, features), C-contiguous, every value finite, or NaN where it
                is missing and may be.
            texts: the categories, objects of shape (rows, categories); None where the model takes none.
        """
        import numpy as np

        if not len(rows):
            return np.empty(0, dtype=self.classes.dtype), np.empty((0, len(self.classes)))
        feeds: dict[str, Any] = {}
        if self._takes_numbers:
            feeds["X"] = rows
        if self._takes_texts:
            assert texts is not None
            feeds["S"] = np.ascontiguousarray(texts)
        labels, values = self._session.run(self._outputs, feeds, self._run_options)
        return labels, values

    def replay(self, golden: SelfTest | GoldenRows) -> None:
        """Answer the golden rows again.

        Raises:
            ArtifactRejected: a label differs, or an answer by more than 1e-5; a score by that share of it.
        """
        import numpy as np

        if isinstance(golden, GoldenRows):
            answers, expected = self.predict_features(decoded(golden.rows, self.columns)), np.array(golden.answers)
        else:
            rows = np.array(golden.rows, dtype=np.float64)
            answers, expected = self.predict(rows), np.array(golden.probabilities)
        wrong = int((answers.labels != np.array(golden.labels)).sum())
        difference = float((np.abs(answers.values - expected) / np.maximum(1, np.abs(expected))).max())
        if wrong or not difference <= TOLERANCE:
            message = (
                f"{wrong} of {len(golden.rows)} golden labels differ, and a {_NAMES[self.kind]} by {difference:.1e} "
                f"({TOLERANCE:.0e} at most)"
            )
            raise ArtifactRejected(
                "the model does not give its golden answers here",
                problems=[Problem(PLACE, "selftest-answers", message)],
                hint="compare the installed onnxruntime with the manifest's environment",
            )


def _not_finite(message: str) -> DataRejected:
    return DataRejected("the rows do not fit the model", problems=[Problem("rows", "not-finite", message)])


def predictor_of(manifest: Manifest, members: Mapping[str, bytes]) -> Predictor:
    """Make the predictor of a model from the bytes of an artifact's files, and replay its golden rows.

    Raises:
        ArtifactRejected: the bytes are not what the manifest says, the runtime refuses them, or the golden answers
            differ.
    """
    data, golden = (members[manifest.file(role).name] for role in ("model", "selftest"))
    said = manifest.model
    if isinstance(said, WrittenModel):
        rows = check_written(data, said)
        predictor = Predictor(data, said.classes, said.columns, kind=said.answers, rows=rows)
        predictor.replay(GoldenRows.read(golden))
    else:
        predictor = Predictor(data, said.classes)
        predictor.replay(SelfTest.read(golden))
    return predictor


def open_predictor(artifact: Verified) -> Predictor:
    """Make the predictor of a verified artifact, and replay its golden rows.

    Raises:
        ArtifactRejected: the runtime refuses the model, or the golden answers differ.
    """
    return predictor_of(artifact.manifest, artifact.members)
