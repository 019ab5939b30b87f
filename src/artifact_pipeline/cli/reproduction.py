"""`artifact-pipeline reproduce`: how much of an artifact comes back from what its manifest records."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from artifact_pipeline.cli.comparison import plain, say_comparison
from artifact_pipeline.cli.options import (
    ArtifactPlace,
    artifact_argument,
    expect_option,
    feedback_option,
    file_option,
    held_out_option,
    jobs_option,
    verb,
    with_artifact,
)
from artifact_pipeline.files import shown
from artifact_pipeline.reports.tables import clean
from artifact_pipeline.runtime import KERNEL_VARIABLE
from artifact_pipeline.training.causes import GRADES

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_pipeline.artifact.manifest import Manifest
    from artifact_pipeline.cli.output import Output
    from artifact_pipeline.training.causes import Grade
    from artifact_pipeline.training.reproduction import Reproduction

_CHOSEN = {
    "artifact": "as the manifest records",
    "user": f"as {KERNEL_VARIABLE} says",
    "process": "as NumPy had been loaded before",
    "default": "the usual one here",
}
"""How the kernel was chosen, in words."""


@verb("Train an artifact again from its manifest, and grade what comes back.", 4, 5, 6)
@artifact_argument
@click.option(
    "--at-least",
    type=click.Choice(GRADES[:-1]),
    default="bytes",
    show_default=True,
    help="The grade that counts as success; anything below ends with status 6.",
)
@file_option(
    "--data",
    words="The table (CSV, Parquet or JSON Lines) that it was trained from, which a manifest does not name; "
    "not for the digits.",
)
@held_out_option
@feedback_option("A file of feedback that it learned from, too; can be repeated.")
@click.option(
    "--champion",
    metavar="ARTIFACT",
    type=ArtifactPlace(),
    help="The model that it was compared with: the comparison is made again beside the training.",
)
@expect_option
@click.option(
    "--search", is_flag=True, help="Do the search again, too, instead of taking its results from the artifact."
)
@jobs_option("Run N trials of the search at a time.")
@click.option(
    "--print-environment",
    is_flag=True,
    help="Print the exact requirements with which the bytes come back, for pip install -r, and do not train.",
)
@click.pass_obj
def reproduce(
    output: Output,
    /,
    artifact: Path | str,
    *,
    at_least: Grade,
    data: Path | None,
    expect: str | None,
    **options: Any,  # as the options above name it
) -> None:
    """Train ARTIFACT again in this environment, from its manifest alone, and say how much of it comes back.

    The grades, the best first: bytes (the same artifact digest), model (the same model digest), parameters (the
    fitted numbers within 1e-9, and every label), predictions (the same label for every row), metrics (the same figures
    to four decimals), diverged (none of these).

    A model that was searched for is trained as the results in the artifact choose it; --search makes those again.
    Below the first grade, what differs of packages, Python, C library, system, BLAS kernel, data and recipe is named.
    Nothing is written. The BLAS kernel that the manifest records is used where OPENBLAS_CORETYPE is not set.
    """
    if options["print_environment"]:
        from artifact_pipeline.registry import remote

        _print_environment(output, remote.verify(artifact, expect=expect, accept_failed_gate=True).manifest)
        return
    from artifact_pipeline.training import reproduction

    given = {name: options[name] for name in ("held_out", "champion", "feedback", "search", "jobs")}
    with output.progress() as progress:
        request = reproduction.ReproductionRequest(artifact, data, expect=expect, **given)
        found = reproduction.reproduce(request, progress=progress)
    place = found.of.reference or artifact
    output.say(f"reproduced: {shown(place)}, grade {found.grade}")
    _say(output, found)
    result = {"at_least": at_least, **_result(found)}
    error = found.refusal(at_least)
    if error is not None:
        output.beside_error = result
        raise error
    output.next(with_artifact("artifact-pipeline inspect", place))
    output.result({**result, "error": None})


def _say(output: Output, found: Reproduction) -> None:
    output.say(f"artifact digest: {found.of.digest} recorded")
    output.say(f"                 {found.artifact} here")
    output.say(f"model digest:    {found.of.manifest.model.digest} recorded")
    output.say(f"                 {found.model} here")
    output.say(f"kernel: {', '.join(found.kernels) or 'none'}, {_CHOSEN[found.chosen_by]}")
    output.say()
    output.table(["compared", "found"], _compared(found))
    output.say()
    if found.causes:
        output.table(
            ["differs", "which", "recorded", "here"],
            [[cause.kind, cause.what, cause.recorded, cause.here] for cause in found.causes],
        )
        output.say()
    for line in found.carried:
        output.say(f"carried over: {line}")
    if found.comparison is not None:
        say_comparison(output, found.comparison)
        same = "the same" if found.comparison == found.recorded else "another one"
        output.say(f"recorded comparison: {same if found.recorded is not None else 'none is recorded'}")
    if found.grade != "bytes":
        output.say(f"cause: {found.explanation}")


def _compared(found: Reproduction) -> list[list[str]]:
    apart, unknown = found.differences, "cannot be compared"
    figures = [f"{name} {old} is {new}" for name, (old, new) in apart.metrics.items()]
    return [
        ["files", ", ".join(apart.files) or "all the same"],
        ["manifest", ", ".join(apart.manifest) or "all the same"],
        ["parameters", unknown if apart.parameters is None else f"{apart.parameters:.1e} apart at most, relative"],
        ["labels", unknown if apart.labels is None else f"{apart.labels:,} of {apart.rows:,} differ"],
        ["probabilities", unknown if apart.probabilities is None else f"{apart.probabilities:.1e} apart at most"],
        ["metrics", "; ".join(figures) or "the same to four decimals"],
    ]


def _result(found: Reproduction) -> dict[str, Any]:
    metrics = {name: {"recorded": old, "here": new} for name, (old, new) in found.differences.metrics.items()}
    return {
        "grade": found.grade,
        "artifact": {"recorded": found.of.digest, "here": found.artifact},
        "model": {"recorded": found.of.manifest.model.digest, "here": found.model},
        "kernel": {"ran": list(found.kernels), "chosen_by": found.chosen_by},
        "differences": {**asdict(found.differences), "metrics": metrics},
        "causes": [asdict(cause) for cause in found.causes],
        "sole_cause": found.sole,
        "carried_over": list(found.carried),
        "comparison": {
            "here": plain(found.comparison) if found.comparison is not None else None,
            "recorded": plain(found.recorded) if found.recorded is not None else None,
        },
    }


def _print_environment(output: Output, manifest: Manifest) -> None:
    from artifact_pipeline.training.causes import Requirements

    needed, environment = Requirements.of(manifest), manifest.environment
    if output.as_json:
        output.result(
            {
                "requirements": list(needed.packages),
                "artifact-pipeline": needed.version,
                "variables": dict(needed.variables),
                "python": environment.python.plain(),
                "system": environment.system,
                "architecture": environment.architecture,
                "libc": environment.libc,
            }
        )
        return
    comments = [
        f"Python: {environment.python.implementation} {environment.python.version}",
        f"system: {environment.system} {environment.architecture}, {environment.libc or 'an unknown C library'}",
        *(f"BLAS: {each.library} {each.version}, kernel {each.kernel}" for each in environment.blas),
        *(f"variable: {name}={value}" for name, value in needed.variables.items()),
        f"artifact-pipeline: {needed.version or 'unknown'}, with its extra [train]",
    ]
    lines = [*(f"# {clean(each)}" for each in comments), *needed.packages]
    output.print("".join(f"{line}\n" for line in lines))
