"""A verified artifact in Python: it answers tables in memory, and has a summary for notebooks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.model.predictor import Answers
from artifact_pipeline.prediction.notebook import html_summary
from artifact_pipeline.prediction.scoring import BatchPredictor, Options, Scorer
from artifact_pipeline.registry import remote
from artifact_pipeline.rows.batches import NO_COLUMN
from artifact_pipeline.rows.memory import MEND, PLACE, batches_of
from artifact_pipeline.rows.sources import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.figures import Metrics
    from artifact_pipeline.artifact.figures2 import Measured
    from artifact_pipeline.artifact.manifest import Manifest, Verified
    from artifact_pipeline.rows.memory import Table

_MEMORY = Source(PLACE, PLACE, "memory")


class Model:
    """A verified artifact that answers rows; `open_artifact` makes one. Several threads may use it.

    Attributes:
        artifact: the verified artifact, with its digest, its manifest and its bytes.

    Examples:
        >>> model = open_artifact("artifact")
        >>> model.classes
        (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    """

    def __init__(self, artifact: Verified) -> None:
        """Open the model, and replay its golden rows.

        Raises:
            ArtifactRejected: the runtime refuses the model, or the golden answers differ here.
        """
        self.artifact = artifact
        scorer = Scorer(artifact, Options(out_of_range="ignore", drift=False, form="parquet"))
        self._predictor = scorer.predictor
        # A column of labels may be there, and is not read.
        self._wanted = replace(scorer.wanted(_MEMORY), target=NO_COLUMN, keys=())

    @property
    def digest(self) -> str:
        """The artifact digest: `sha256:` and 64 hexadecimal digits.

        Examples:
            >>> open_artifact("artifact").digest[:7]
            'sha256:'
        """
        return self.artifact.digest

    @property
    def manifest(self) -> Manifest:
        """The artifact's manifest.

        Examples:
            >>> open_artifact("artifact").manifest.model.estimator
            'sklearn.linear_model.LogisticRegression'
        """
        return self.artifact.manifest

    @property
    def classes(self) -> tuple[int | str, ...]:
        """The labels, in the order of the columns of `predict_proba`.

        Examples:
            >>> len(open_artifact("artifact").classes)
            10
        """
        return self.artifact.manifest.model.classes

    @property
    def metrics(self) -> Metrics | Measured:
        """The figures of the published model: `held_out`, with 95 % intervals, `training` and `all`.

        Examples:
            >>> open_artifact("artifact").metrics.held_out.accuracy.value
            0.975
        """
        return self.artifact.manifest.metrics

    def predict(self, table: Table) -> NDArray[np.int64] | NDArray[np.str_]:
        """Answer every row by its label, bit by bit as the verb `predict` does.

        Args:
            table: an object with Arrow's PyCapsule protocol (of pyarrow, pandas, Polars, DuckDB), or a mapping from
                names to columns: the model's columns are taken by their names, others are left out. Or a NumPy array
                of shape (rows, features), its columns in the model's order.

        Returns:
            The labels, int64 or Unicode of shape (rows,).

        Raises:
            DataRejected: a column is missing or holds no numbers, or a row has a value that is missing or no finite
                number; the problem names row, column and value.

        Examples:
            >>> import numpy as np
            >>> open_artifact("artifact").predict(np.zeros((2, 64))).shape
            (2,)
        """
        return self._answer(table).labels

    def predict_proba(self, table: Table) -> NDArray[np.float64]:
        """Answer every row by the probability of each class.

        Args:
            table: as for `predict`.

        Returns:
            The probabilities, float64 of shape (rows, classes), in the order of `classes`.

        Raises:
            ConfigError: the model gives no probabilities.
            DataRejected: as `predict`.

        Examples:
            >>> import numpy as np
            >>> open_artifact("artifact").predict_proba(np.zeros((2, 64))).shape
            (2, 10)
        """
        probabilities = self._answer(table).probabilities
        if probabilities is None:
            raise ConfigError(
                f"{self.manifest.model.estimator} gives no probabilities", hint="ask for labels: model.predict(table)"
            )
        return probabilities

    def _answer(self, table: Table) -> Answers:
        import numpy as np

        scorer = BatchPredictor(self._predictor)
        nothing = self._predictor.predict_rows(np.empty((0, self._predictor.features)), None)
        labels, values = [nothing.labels], [nothing.values]
        for batch in batches_of(table, self._wanted):
            scored = scorer.score(batch)
            if scored.rejected:
                raise scored.rejected[0].refusal(PLACE, hint=MEND)
            labels.append(scored.labels)
            values.append(scored.probabilities.T)
        answers: NDArray[Any] = np.concatenate(labels)
        return Answers(answers, self._predictor.positions(answers), np.concatenate(values), nothing.kind)

    def verify(self) -> None:
        """Verify the artifact again in its place: nothing of it has changed.

        Raises:
            ArtifactRejected: it is no longer there, or no longer what it was.
            StorageError: it is in a registry, and that is out of reach.

        Examples:
            >>> open_artifact("artifact").verify()
        """
        remote.verify(self.artifact.place, expect=self.digest, accept_failed_gate=True)

    def __repr__(self) -> str:
        return f"<Model {self.manifest.name!r}, {self.digest}>"

    def _repr_html_(self) -> str:
        """Return the summary that a notebook shows; every text of the artifact is escaped."""
        return html_summary(self.manifest, self.digest)
