"""What a training says of its candidate, before it is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifact_pipeline.cli import views
from artifact_pipeline.errors import plural

if TYPE_CHECKING:
    from artifact_pipeline.artifact.provenance import Statement
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.training.candidate import Candidate


_MOST_NEWTON = 2000
"""Coefficients up to which the solver newton-cholesky, with a matrix of their square (32 MB), is proposed."""


def say_candidate(output: Output, candidate: Candidate) -> None:
    """Say what a training gave: digests, figures, verdict, and what one should know of them."""
    manifest = candidate.manifest
    if not manifest.model.converged:
        output.talk(f"warning: the fit did not converge in {manifest.model.iterations} iterations; {_mend(candidate)}")
    if manifest.model.parity.ties:
        output.talk(f"note: {plural(manifest.model.parity.ties, 'tie')} between two classes")
    views.say_digests(output, candidate.digest, manifest)
    views.say_figures(output, manifest)
    views.warn_of_unpredicted(output, manifest.metrics.held_out)
    if manifest.metrics.held_out.never_predicted:
        output.talk(
            "hint: -S class_weight=balanced weighs rare classes more; -S gate.min_recall=0.5 lets none pass unseen"
        )
    views.say_gate(output, manifest)


def say_unknown(output: Output, statement: Statement) -> None:
    """Say which facts about the commit are unknown, and why."""
    told = statement.source.annotations if statement.source is not None else {}
    if "reason" in told:
        what = "the commit" if "commit" in told else "whether tracked files differ from the commit"
        output.talk(f"note: {what} is unknown, as the provenance says, too: {told['reason']}")


def _mend(candidate: Candidate) -> str:
    """What lets a fit converge."""
    model, scales = candidate.manifest.model, candidate.scales
    more = f"-S max_iter={10 * model.iterations}"
    if scales is None:
        return f"give it more with {more}, or another solver"
    wide, narrow = (
        f"{scales.wide!r} ({scales.wide_deviation:.3g})",
        f"{scales.narrow!r} ({scales.narrow_deviation:.3g})",
    )
    apart = (
        f"the standard deviation of {wide} is {scales.ratio:,.0f} times that of {narrow}: "
        "scale the columns of the table, or try "
    )
    # It does not depend on the scales; but it knows no L1 penalty, and holds a matrix of all coefficients squared.
    small = len(model.inputs) * len(model.classes) <= _MOST_NEWTON
    newton = small and not model.parameters["l1_ratio"] and model.parameters["solver"] != "newton-cholesky"
    return apart + ("-S solver=newton-cholesky" if newton else more)
