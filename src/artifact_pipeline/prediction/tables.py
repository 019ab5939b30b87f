"""Answers to tables in memory: the same rules, the same calls and so the same bits as those of files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from artifact_pipeline.model.predictor import Answers
from artifact_pipeline.prediction.scoring import Calls, Options, Scorer
from artifact_pipeline.rows.batches import NO_COLUMN
from artifact_pipeline.rows.memory import MEND, PLACE, batches_of
from artifact_pipeline.rows.sources import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from artifact_pipeline.artifact.manifest import Verified
    from artifact_pipeline.rows.memory import Table

_MEMORY = Source(PLACE, PLACE, "memory")


class TableScorer:
    """A verified artifact that answers tables in memory; several threads may use one."""

    def __init__(self, artifact: Verified) -> None:
        """Open the predictor, and replay the golden rows.

        Raises:
            ArtifactRejected: the runtime refuses the model, or the golden answers differ.
        """
        scorer = Scorer(artifact, Options(out_of_range="ignore", drift=False, form="parquet"))
        self._predictor = scorer.predictor
        self._wanted = replace(scorer.wanted(_MEMORY), target=NO_COLUMN)  # labels may be there, and are not read

    def answer(self, table: Table) -> Answers:
        """Answer every row.

        Args:
            table: as `rows.memory.batches_of` takes it.

        Raises:
            DataRejected: the table is none or does not fit the model, or a row is bad.
        """
        import numpy as np

        calls, nothing = Calls(self._predictor), self._predictor.predict(np.empty((0, self._predictor.features)))
        labels, probabilities = [nothing.labels], [nothing.probabilities]
        for batch in batches_of(table, self._wanted):
            scored = calls.score(batch)
            if scored.rejected:
                raise scored.rejected[0].refusal(PLACE, hint=MEND)
            labels.append(scored.labels)
            probabilities.append(scored.probabilities.T)
        answers: NDArray[Any] = np.concatenate(labels)
        return Answers(answers, self._predictor.positions(answers), np.concatenate(probabilities))
